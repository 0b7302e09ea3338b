"""MRI against the signal equation, published relaxation, and the statistics of a magnitude."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import brentq

from trabecula.phantom.body import Body
from trabecula.phantom.material import MATERIALS, get_material, pure, trabecular_bone
from trabecula.phantom.mri import PROTONS, SpinEcho, scan_mri, signal
from trabecula.phantom.sites import SITES

STILL = SpinEcho(pixel_mm=2.0, slice_mm=2.0, interval_mm=2.0, snr=math.inf, bias=0.0)
RNG = np.random.default_rng(0)


def uniform(densities, shape=(20, 20, 20), mm=2.0, **maps):
    filled = {name: np.full(shape, g_cm3, dtype=np.float32) for name, g_cm3 in densities.items()}
    return Body(densities={**filled, **maps}, spacing=(mm, mm, mm))


def test_the_signal_is_the_equation():
    """Muscle against adipose at 1.5 T, TR 500, TE 20: water 74 % with T1 1008 and T2 44, lipid with 343 and 58."""

    def left(t1, t2):
        return (1 - math.exp(-500 / t1)) * math.exp(-20 / t2)

    muscle, fat = left(1008, 44), 1.05 * left(343, 58)
    expected = 1.05 * (0.74 * muscle + 0.02 * fat) / (0.95 * (0.21 * muscle + 0.74 * fat))
    echo = SpinEcho(tr_ms=500, te_ms=20, gain=1000)
    assert signal(pure("muscle"), echo) == pytest.approx(1000 * expected)
    assert signal(pure("adipose"), echo) == pytest.approx(1000)


@pytest.mark.parametrize("site", sorted(SITES))
def test_fat_is_bright_and_fluid_dark_at_every_site(site):
    echo = SITES[site].spin_echo
    bright = [
        signal(densities, echo)
        for densities in (
            pure("adipose"), trabecular_bone(120, fat=0.6), pure("soft_tissue"), pure("water"), pure("cortical_bone")
        )
    ]  # fmt: skip
    assert all(more > 1.15 * less for more, less in pairwise(bright)), bright
    assert signal(pure("muscle"), echo) < 0.75 * bright[1]
    dark = ("blood", "bone_matrix", "cortical_bone", "air", "titanium")
    assert [signal(pure(name), echo) for name in dark] == [0.0] * len(dark)


@pytest.mark.parametrize("field_t", [1.5, 3.0])
def test_yellow_marrow_brightens_bone_step_by_step(field_t):
    echo = SpinEcho(field_t=field_t)
    shares = [signal(trabecular_bone(120, fat=fat), echo) for fat in np.linspace(0, 1, 11)]
    assert (np.diff(shares) > 0).all()
    assert shares[8] > 1.15 * shares[2]


def test_vertebral_marrow_relaxes_as_published():
    """L4 of healthy volunteers at 3 T: T1 586 +- 73 and T2 49 +- 4 ms (de Bazelaire 2004), as one exponential."""
    bone = trabecular_bone(150, fat=0.3)

    def seen(tr, te):
        echo = SpinEcho(field_t=3.0, tr_ms=tr, te_ms=te)
        return signal(bone, echo) / signal(pure("water"), echo) * (1 - math.exp(-tr / 4273)) * math.exp(-te / 1578)

    ratio = seen(500, 12) / seen(8000, 12)
    t1 = brentq(lambda t: (1 - math.exp(-500 / t)) / (1 - math.exp(-8000 / t)) - ratio, 50, 4000)
    assert t1 == pytest.approx(586, abs=2 * 73)
    assert 40 / math.log(seen(3000, 20) / seen(3000, 60)) == pytest.approx(49, abs=2 * 4)


@pytest.mark.parametrize("mg_cm3", [50, 300, 1000])
def test_water_bound_to_mineral_gives_no_signal(mg_cm3):
    bone = trabecular_bone(mg_cm3, fat=0.4)
    marrow = {name: g_cm3 for name, g_cm3 in bone.items() if name.endswith("marrow")}
    assert signal(bone, STILL) == pytest.approx(signal(marrow, STILL), rel=1e-6)
    picture = scan_mri(uniform(bone), STILL, RNG).voxels
    assert picture.mean() == pytest.approx(signal(marrow, STILL), abs=0.6)


def test_the_background_is_rayleigh():
    echo = replace(STILL, pixel_mm=1.0, slice_mm=1.0, interval_mm=1.0, snr=6.0)
    air = scan_mri(uniform(pure("air"), (60, 60, 60), 1.0), echo, np.random.default_rng(1)).voxels
    sigma = signal(pure("muscle"), echo) / 6
    assert air.mean() == pytest.approx(sigma * math.sqrt(math.pi / 2), rel=0.02)
    assert air.std() == pytest.approx(sigma * math.sqrt(2 - math.pi / 2), rel=0.02)


@pytest.mark.parametrize("snr", [6.0, 12.0])
def test_a_strong_signal_is_lifted_by_half_its_variance(snr):
    echo = replace(STILL, pixel_mm=1.0, slice_mm=1.0, interval_mm=1.0, snr=snr)
    muscle = scan_mri(uniform(pure("muscle"), (80, 80, 80), 1.0), echo, np.random.default_rng(2)).voxels
    level = signal(pure("muscle"), echo)
    sigma = level / snr
    assert muscle.std() == pytest.approx(sigma, rel=0.03)
    lifted = sigma**2 / (2 * level)
    assert muscle.mean() - level == pytest.approx(lifted, abs=0.05 * lifted + 4 * sigma / 80**1.5)


@pytest.mark.parametrize("plane", ["sagittal", "axial"])
def test_coils_are_uneven_smooth_and_blind_to_the_body(plane):
    echo = replace(STILL, bias=0.15, plane=plane, gain=2000.0)

    def coils(name, seed):
        picture = scan_mri(uniform(pure(name), (30, 40, 50)), echo, np.random.default_rng(seed))
        return np.log(picture.voxels / signal(pure(name), echo))

    logs = [coils(name, 3) for name in ("muscle", "adipose")]
    assert logs[1].std() == pytest.approx(0.15, abs=0.005)
    np.testing.assert_allclose(logs[0], logs[1], atol=0.004)
    assert max(np.abs(np.diff(logs[1], axis=axis)).max() for axis in range(3)) < 0.08
    assert np.abs(coils("adipose", 4) - logs[1]).max() > 0.1


@pytest.mark.parametrize("plane", ["sagittal", "axial"])
def test_a_surface_coil_is_brightest_at_the_back(plane):
    picture = scan_mri(uniform(pure("adipose"), (30, 50, 20)), replace(STILL, surface=0.5, plane=plane), RNG).voxels
    along = picture.mean(axis=(0, 1) if plane == "sagittal" else (0, 2))
    assert math.log(along[-1] / along[0]) == pytest.approx(0.5 * 98 / 100, abs=0.01)


@pytest.mark.parametrize(("pixel_mm", "slice_mm"), [(1.3, 4.0), (3.1, 5.0)])
def test_partial_volume_conserves_signal(pixel_mm, slice_mm):
    ball = np.linalg.norm(np.mgrid[:60, :60, :60] - 29.5, axis=0) < 18
    body = uniform({}, (60, 60, 60), 1.0, adipose=0.95 * ball)
    image = scan_mri(body, replace(STILL, pixel_mm=pixel_mm, slice_mm=slice_mm, interval_mm=slice_mm), RNG)
    assert image.voxels.sum() * np.prod(image.spacing) == pytest.approx(900 * ball.sum(), rel=0.01)


@pytest.mark.parametrize("plane", ["sagittal", "axial"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_flipped_phantom_gives_a_flipped_image(plane, axis):
    lumps = np.random.default_rng(5).random((16, 18, 20)).astype(np.float32)
    echo = replace(STILL, plane=plane)
    one, other = (scan_mri(uniform({}, adipose=v), echo, RNG).voxels for v in (lumps, np.flip(lumps, axis)))
    along = {"axial": (0, 1, 2), "sagittal": (1, 2, 0)}[plane][axis]
    np.testing.assert_array_equal(np.flip(one, along), other)
    assert (one != other).any()


@pytest.mark.parametrize("plane", ["sagittal", "axial"])
def test_the_image_lies_where_the_body_lies(plane):
    fat = np.zeros((40, 50, 60))
    fat[9, 31, 44] = 0.95
    body = Body(densities={"adipose": fat}, spacing=(2.0, 1.0, 1.0), origin=(-30.0, 12.0, 100.0))
    echo = replace(STILL, plane=plane, pixel_mm=2.0, slice_mm=3.0, interval_mm=3.0, gain=4000)
    image = scan_mri(body, echo, RNG)
    weights = image.voxels.astype(float)
    index = [(np.indices(image.shape)[axis] * weights).sum() / weights.sum() for axis in range(3)]
    np.testing.assert_allclose((image.affine @ [*index, 1])[:3], [14.0, 43.0, 118.0], atol=1.5)
    k, j, i = image.direction
    np.testing.assert_allclose(np.cross(i, j), k, err_msg="right-handed")
    assert i == ((0.0, 1.0, 0.0) if plane == "sagittal" else (1.0, 0.0, 0.0))
    assert j == ((0.0, 0.0, -1.0) if plane == "sagittal" else (0.0, 1.0, 0.0))


def test_slices_and_field_lie_about_the_middle():
    body = uniform(pure("adipose"), (80, 70, 60), 1.0)
    echo = replace(STILL, slices=5, interval_mm=5.0, slice_mm=4.0, pixel_mm=1.0, field_mm=(64.0, 48.0))
    image = scan_mri(body, echo, RNG)
    assert image.shape == (5, 64, 48)
    middle = image.affine @ [2, 31.5, 23.5, 1]
    np.testing.assert_allclose(middle[:3], [29.5, 34.5, 39.5])


def test_fat_is_displaced_and_water_is_not():
    lump = np.zeros((20, 30, 30))
    lump[:, 10:14, 10:14] = 1.0
    rows = {}
    for name in ("adipose", "muscle"):
        pictures = [
            scan_mri(uniform({}, **{name: lump}), replace(STILL, plane="axial", fat_shift_px=px), RNG).voxels[10]
            for px in (0.0, 2.0)
        ]
        rows[name] = [(np.arange(30) @ p.sum(axis=1)) / p.sum() for p in pictures]
    water = 0.21 * 0.4 / 0.9  # of the signal of adipose tissue, about
    assert rows["adipose"][1] - rows["adipose"][0] == pytest.approx(2 * (1 - water), abs=0.15)
    assert rows["muscle"][1] - rows["muscle"][0] == pytest.approx(0.0, abs=0.15)


def test_twins_share_coils_and_noise():
    """Away from the bone, twins of another density are the same picture, bit for bit."""
    inside = np.zeros((20, 20, 20), dtype=np.float32)
    inside[5:15, 5:15, 5:15] = 1
    echo = replace(STILL, snr=20.0, bias=0.1)
    pictures = []
    for mg_cm3 in (150, 60):
        maps = {name: g_cm3 * inside for name, g_cm3 in trabecular_bone(mg_cm3, fat=0.5).items()}
        body = uniform({}, **maps, muscle=get_material("muscle").density * (1 - inside))
        pictures.append(scan_mri(body, echo, np.random.default_rng(6)).voxels)
    same = pictures[0] == pictures[1]
    assert same[:, :, :4].all()
    assert not same[8:12, 8:12, 8:12].all()
    assert pictures[0].dtype == np.uint16


def test_every_material_with_protons_is_one():
    assert set(PROTONS) <= set(MATERIALS)


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: SpinEcho(field_t=2.0), "has .* T and a plane"),
        (lambda: SpinEcho(plane="coronal"), "has .* T and a plane"),
        (lambda: SpinEcho(tr_ms=100, te_ms=200), "comes before the next pulse"),
        (lambda: SpinEcho(snr=0), "snr lies between"),
        (lambda: scan_mri(uniform(pure("water"), (2, 2, 2)), SpinEcho(), RNG), "larger than the body"),
        (lambda: scan_mri(uniform(pure("water")), replace(STILL, slices=100), RNG), "larger than the body"),
    ],
)
def test_bad_input_gives_one_clear_line(make, line):
    with pytest.raises(ValueError, match=line) as error:
        make()
    assert "\n" not in str(error.value)
