"""Radiographs as pictures: exposure by thickness, display, edges, shutter, marker, and twins."""

import math
import time
from dataclasses import replace

import numpy as np
import pytest

from trabecula.phantom.material import get_material, pure, trabecular_bone
from trabecula.phantom.projection import XRay
from trabecula.phantom.radiograph import Film, develop, soft_tissue_attenuation

XRAY = XRay(kvp=70.0, pixel_mm=0.5, scatter=0.3, blur_mm=0.3)
FILM = Film(rows=160, columns=120, xray=XRAY, quanta=3e3)
QUIET = replace(FILM, quanta=math.inf)


def limb(*, thick_cm=14.0, bone_cm=2.0, fat=0.3, rows=160, columns=120):
    """A limb along j in air, with a bone along its middle: columns in g/cm2, and where bone is."""
    across = (np.arange(columns) - (columns - 1) / 2) / (columns / 2)
    body = np.broadcast_to(np.sqrt(np.clip(1 - (across / 0.8) ** 2, 0, None)), (rows, columns))
    bone = np.broadcast_to(np.abs(across) < 0.15, body.shape)
    room = np.maximum(thick_cm * body - bone_cm * bone, 0)
    maps = {
        "muscle": get_material("muscle").density * (1 - fat) * room,
        "adipose": get_material("adipose").density * fat * room,
        "bone_matrix": pure("bone_matrix")["bone_matrix"] * bone_cm * bone,
    }
    return maps, bone


def grey(maps, film=QUIET, seed=0, side=None):
    image = develop(maps, film, np.random.default_rng(seed), side=side)
    return image.voxels[0].astype(float) / (2**film.bits - 1)


def test_the_picture_is_a_stored_image_of_the_film_s_size():
    image = develop(limb()[0], FILM, np.random.default_rng(0))
    assert (image.unit, image.space, image.shape) == ("stored", "detector", (1, 160, 120))
    assert image.voxels.dtype == np.uint8
    assert image.spacing == (1.0, 0.5, 0.5)
    deep = develop(limb()[0], replace(FILM, bits=12), np.random.default_rng(0)).voxels
    assert deep.dtype == np.uint16
    assert 2000 < deep.max() <= 4095


def test_bone_is_bright_soft_tissue_grey_and_air_black():
    maps, bone = limb()
    picture = grey(maps)
    flesh = (maps["muscle"] > 0.7 * maps["muscle"].max()) & ~bone
    assert picture[bone].mean() > 0.65
    assert 0.15 < picture[flesh].mean() < 0.55
    assert picture[:, :6].max() < 0.1


@pytest.mark.parametrize("thick_cm", [6.0, 14.0, 26.0, 38.0])
def test_exposure_is_automatic(thick_cm):
    """Soft tissue of any thickness has the grey and the noise that were asked for."""
    film = replace(FILM, edges=0.0, bits=16, xray=replace(XRAY, scatter=0.0, blur_mm=0.0, detector="count"))
    flat = {"muscle": np.full((160, 120), 1.05 * thick_cm)}
    still, noisy = (grey(flat, replace(film, quanta=quanta)) for quanta in (math.inf, 2500.0))
    expected = 0.84 / (1 + math.exp(-4.6 * (film.middle - 0.5))) + 0.16 * (0.8 * film.middle + 0.7)
    assert still.mean() == pytest.approx(expected, abs=0.002)
    sigmoid = 1 / (1 + math.exp(-4.6 * (film.middle - 0.5)))
    steep = (0.84 * 4.6 * sigmoid * (1 - sigmoid) + 0.16 * 0.8) / film.latitude
    assert noisy.std() == pytest.approx(steep / math.sqrt(2500), rel=0.03)


@pytest.mark.parametrize("shift", [-0.5, 0.5])
def test_bone_brightens_bone_alone(shift):
    film = replace(QUIET, xray=replace(XRAY, scatter=0.0, blur_mm=0.0), edges=0.0)
    maps, bone = limb(bone_cm=0.8)
    other = {**maps, "bone_matrix": maps["bone_matrix"] + shift * bone}
    other["muscle"] = maps["muscle"] - shift * bone * 1.05 / get_material("bone_matrix").density
    change = grey(other, film) - grey(maps, film)
    assert math.copysign(1, shift) * change[bone].mean() > 0.03
    assert np.abs(change[~bone]).max() <= 1.01 / 255


def test_twins_of_bone_and_voltage_share_their_noise():
    """In log attenuation, before the display curve bends it, so here on a curve that is all but straight."""
    film = replace(FILM, latitude=20.0, middle=0.5, edges=0.0, bits=16, xray=replace(XRAY, scatter=0.0))
    beams = [film, film, replace(film, xray=replace(film.xray, kvp=80.0))]
    patients = [limb()[0], limb(bone_cm=1.5)[0], limb()[0]]
    noises = [
        (grey(maps, beam, seed=3) - grey(maps, replace(beam, quanta=math.inf)))[:, 20:-20]
        for maps, beam in zip(patients, beams, strict=True)
    ]
    for other in noises[1:]:
        assert np.corrcoef(noises[0].ravel(), other.ravel())[0, 1] > 0.98
    fresh = grey(patients[0], film, seed=4) - grey(patients[0], replace(film, quanta=math.inf))
    assert abs(np.corrcoef(noises[0].ravel(), fresh[:, 20:-20].ravel())[0, 1]) < 0.05
    loud = grey(patients[0], replace(film, quanta=film.quanta / 4), seed=3) - grey(
        patients[0], replace(film, quanta=math.inf)
    )
    assert loud[:, 20:-20].std() / noises[0].std() == pytest.approx(2, rel=0.05)


def test_voltage_lowers_the_contrast_of_bone():
    maps, bone = limb(bone_cm=0.8)
    flesh = (maps["muscle"] > 0.7 * maps["muscle"].max()) & ~bone
    pictures = [grey(maps, replace(QUIET, xray=replace(XRAY, kvp=kvp))) for kvp in (55.0, 75.0, 110.0)]
    contrast = [picture[bone].mean() - picture[flesh].mean() for picture in pictures]
    assert contrast[0] > contrast[1] + 0.02 > contrast[2] + 0.04


def test_unsharp_masking_lifts_edges_and_leaves_plateaus():
    maps, _ = limb()
    plain, sharp = (grey(maps, replace(QUIET, edges=edges, edges_mm=2.0)) for edges in (0.0, 0.8))
    edge = slice(50, 53)  # bone runs from 51
    assert np.ptp(sharp[80, edge]) > 1.1 * np.ptp(plain[80, edge])
    flat = {"muscle": np.full((160, 120), 12.0)}
    np.testing.assert_allclose(
        grey(flat, replace(QUIET, edges=0.8)), grey(flat, replace(QUIET, edges=0.0)), atol=1 / 255
    )


@pytest.mark.parametrize("axis", [0, 1])
def test_a_flipped_phantom_gives_a_flipped_picture(axis):
    maps, _ = limb()
    maps["muscle"] = maps["muscle"] * (1 + 0.2 * np.random.default_rng(5).random((160, 120)))
    flipped = {name: np.flip(values, axis) for name, values in maps.items()}
    np.testing.assert_allclose(np.flip(grey(maps), axis), grey(flipped), atol=1.01 / 255)


def test_a_shutter_covers_what_it_says():
    film = replace(QUIET, shutter=(0.1, 0.2, 0.05, 0.15), black=0.2)
    maps = {"muscle": np.full((160, 120), 12.0)}
    covered = np.isclose(grey(maps, film), 0.2, atol=0.003)
    assert covered.mean() == pytest.approx(1 - 0.7 * 0.8, abs=0.02)
    assert covered[:14].all()
    assert covered[-30:].all()
    assert not covered[80, 60]
    assert grey(maps, film)[80, 60] == grey(maps, replace(film, shutter=(0, 0, 0, 0)))[80, 60]


@pytest.mark.parametrize("style", ["plain", "boxed"])
def test_a_marker_tells_the_side(style):
    maps, _ = limb()
    bare = grey(maps)
    film = replace(QUIET, marker=style)
    right, left = (grey(maps, film, side=side) - bare for side in "RL")
    touched = [np.argwhere(np.abs(change) > 0.05) for change in (right, left)]
    assert touched[0][:, 1].max() < 40
    assert touched[1][:, 1].min() > 80
    assert all(places[:, 0].max() < 40 for places in touched)
    lit = [(change > 0.3).sum() for change in (right, left)]
    assert lit[0] != lit[1], "two letters"
    share = lit[0] / np.prod(np.ptp(touched[0], axis=0) + 1)
    assert (share > 0.6) == (style == "boxed"), "a letter cut out of a box is mostly box"


def test_metal_and_bone_do_not_place_the_display_curve():
    maps, _ = limb()
    implant = {**maps, "titanium": np.zeros((160, 120))}
    implant["titanium"][60:100, 50:70] = 4.5
    assert soft_tissue_attenuation(implant, QUIET) == pytest.approx(soft_tissue_attenuation(maps, QUIET), abs=0.05)


def test_density_does_not_place_the_display_curve_where_bone_is_everywhere():
    """As in a jaw: mineral takes the place of marrow, and counts as the soft tissue that would fill its volume."""
    places = []
    for mg_cm3 in (50, 200, 400):
        maps = {name: np.full((160, 120), 2 * g_cm3) for name, g_cm3 in trabecular_bone(mg_cm3, fat=0.3).items()}
        maps["muscle"] = np.full((160, 120), 2.0)
        places.append(soft_tissue_attenuation(maps, QUIET))
    assert np.ptp(places) < 0.02 * places[0]


@pytest.mark.slow
def test_a_picture_of_512_takes_less_than_a_second():
    maps, _ = limb(rows=512, columns=512)
    maps |= {name: np.full((512, 512), 0.5) for name in ("red_marrow", "yellow_marrow")}
    film = replace(FILM, rows=512, columns=512)
    develop(maps, film, np.random.default_rng(0))
    started = time.process_time()
    develop(maps, film, np.random.default_rng(0))
    assert time.process_time() - started < 1.0


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: replace(FILM, rows=4), "at least 16 rows"),
        (lambda: replace(FILM, bits=4), "8 to 16 bits"),
        (lambda: replace(FILM, shutter=(0.5, 0.5, 0, 0)), "at least a tenth"),
        (lambda: replace(FILM, marker="stamp"), "a marker is"),
        (lambda: replace(FILM, latitude=0.0), "latitude lies between"),
        (lambda: grey(limb(rows=150)[0]), "160 x 120 pixels"),
        (lambda: grey(limb()[0], replace(QUIET, marker="plain")), "give the side"),
        (lambda: grey({"muscle": np.zeros((160, 120))}), "nothing stands in the beam"),
    ],
)
def test_bad_input_gives_one_clear_line(make, line):
    with pytest.raises(ValueError, match=line) as error:
        make()
    assert "\n" not in str(error.value)
