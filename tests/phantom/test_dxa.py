"""DXA against known mineral: exact where soft tissue is even, biased as published where it is not."""

import math
from dataclasses import replace

import numpy as np
import pytest

from trabecula.phantom.dxa import Densitometer, areal_bmd, dual_energy
from trabecula.phantom.material import BONE_MATRIX_CM3_PER_G, MINERAL_SHARE, get_material
from trabecula.phantom.projection import XRay
from trabecula.phantom.sites import SITES

DEVICE = Densitometer()
RNG = np.random.default_rng(0)


def quiet(device):
    return Densitometer(low=replace(device.low, photons=math.inf), high=replace(device.high, photons=math.inf))


def spine(*, bmd=1.0, fat=0.45, fat_over_bone=None, marrow_cm=(0.0, 0.0), thick_cm=20.0):
    """A square of bone in soft tissue: columns, where bone is, where soft tissue alone is, and mineral in g/cm2.

    Shares of fat are by volume; `marrow_cm` is the thickness of red and yellow marrow behind bone, about 1.3 cm each
    in a lumbar vertebra.
    """
    bone = np.zeros((60, 60), dtype=bool)
    bone[15:45, 20:40] = True
    mineral = bmd * (1 + 0.2 * np.sin(np.arange(60) / 3.0))[:, None] * bone
    matrix = mineral / MINERAL_SHARE
    share = np.where(bone, fat if fat_over_bone is None else fat_over_bone, fat)
    room = thick_cm - matrix * BONE_MATRIX_CM3_PER_G - sum(marrow_cm) * bone
    maps = {
        "bone_matrix": matrix,
        "muscle": get_material("muscle").density * (1 - share) * room,
        "adipose": get_material("adipose").density * share * room,
        "red_marrow": get_material("red_marrow").density * marrow_cm[0] * bone,
        "yellow_marrow": get_material("yellow_marrow").density * marrow_cm[1] * bone,
    }
    beside = np.zeros_like(bone)
    beside[:, :14] = beside[:, 46:] = True
    return maps, bone, beside, mineral


def bias(device=DEVICE, rng=RNG, **anatomy):
    """Return found less true areal BMD, the mean over bone in g/cm2."""
    maps, bone, beside, mineral = spine(**anatomy)
    found = areal_bmd(*dual_energy(maps, device, rng), device, beside=beside)
    return float((found - mineral)[bone].mean())


@pytest.mark.parametrize("site", sorted(SITES))
@pytest.mark.parametrize(("fat", "thick_cm", "bmd"), [(0.0, 12.0, 0.5), (0.45, 25.0, 1.2), (0.7, 25.0, 0.5)])
def test_dxa_returns_the_areal_bmd_in_uniform_soft_tissue(site, fat, thick_cm, bmd):
    device = quiet(SITES[site].densitometer)
    maps, bone, beside, mineral = spine(bmd=bmd, fat=fat, thick_cm=thick_cm)
    found = areal_bmd(*dual_energy(maps, device, RNG), device, beside=beside)
    assert found[bone].mean() == pytest.approx(mineral[bone].mean(), rel=0.01)
    np.testing.assert_allclose(found[bone], mineral[bone], atol=0.01)


@pytest.mark.parametrize("site", sorted(SITES))
@pytest.mark.parametrize("seed", range(2))
def test_dxa_with_noise(site, seed):
    device = SITES[site].densitometer
    maps, bone, beside, mineral = spine(bmd=0.9, thick_cm=22.0)
    found = areal_bmd(*dual_energy(maps, device, np.random.default_rng(seed)), device, beside=beside)
    assert found[bone].mean() == pytest.approx(mineral[bone].mean(), rel=0.03)
    assert (found - mineral)[bone].std() > 0.02, "there is noise"


def test_mineral_without_its_matrix_reads_a_little_more():
    """A densitometer is calibrated on bone; collagen and water take soft tissue's place and are no soft tissue."""
    maps, bone, beside, mineral = spine()
    room = maps["bone_matrix"] * BONE_MATRIX_CM3_PER_G - mineral / get_material("hydroxyapatite").density
    bare = {
        **{name: values for name, values in maps.items() if name != "bone_matrix"},
        "hydroxyapatite": mineral,
        "muscle": maps["muscle"] + 0.55 * get_material("muscle").density * room,
        "adipose": maps["adipose"] + 0.45 * get_material("adipose").density * room,
    }
    device = quiet(DEVICE)
    found = areal_bmd(*dual_energy(bare, device, RNG), device, beside=beside)
    assert found[bone].mean() / mineral[bone].mean() == pytest.approx(1.007, abs=0.005)


def test_marrow_and_uneven_fat_bias_dxa_within_what_is_known():
    """A lumbar vertebra's marrow, and fat over bone up to 6 points of volume more or less than beside it."""
    device = quiet(DEVICE)
    usual = (1.2, 1.4)
    marrow, fatty = bias(device, marrow_cm=usual), bias(device, marrow_cm=(0.3, 2.3))
    more, less = bias(device, fat_over_bone=0.50), bias(device, fat_over_bone=0.40)
    worst = bias(device, fat_over_bone=0.50, marrow_cm=usual)
    assert -0.10 < fatty < marrow < -0.01, "the fattier the marrow, the less bone is read"
    assert -0.10 < more < -0.02 < 0.02 < less < 0.10
    assert -0.10 < worst < marrow
    assert worst == pytest.approx(marrow + more, abs=0.01)
    assert bias(device, fat_over_bone=0.55, marrow_cm=usual) < -0.10, "no correction hides what is worse than that"


@pytest.mark.parametrize("axis", [0, 1])
def test_a_flipped_phantom_gives_a_flipped_map(axis):
    device = quiet(DEVICE)
    maps, _, beside, _ = spine()
    maps["muscle"] = maps["muscle"] * (1 + 0.05 * np.random.default_rng(1).random((60, 60)))

    def found(flip):
        turned = {name: flip(values) for name, values in maps.items()}
        return areal_bmd(*dual_energy(turned, device, RNG), device, beside=flip(beside))

    np.testing.assert_allclose(found(lambda v: np.flip(v, axis)), np.flip(found(lambda v: v), axis), atol=1e-4)


def test_twins_share_their_noise():
    """Where no bone is, twins of other bone are the same picture; a louder one has the same noise, larger."""
    pairs = [dual_energy(spine(bmd=bmd)[0], DEVICE, np.random.default_rng(3)) for bmd in (1.0, 0.7)]
    beside = spine()[2]
    np.testing.assert_array_equal(pairs[0][0][beside], pairs[1][0][beside])
    assert (pairs[0][0] != pairs[1][0]).any()
    louder = Densitometer(
        low=replace(DEVICE.low, photons=DEVICE.low.photons / 4),
        high=replace(DEVICE.high, photons=DEVICE.high.photons / 4),
    )
    still, noisy, twice = (
        dual_energy(spine()[0], device, np.random.default_rng(3))[1] for device in (quiet(DEVICE), DEVICE, louder)
    )
    assert np.corrcoef((noisy - still).ravel(), (twice - still).ravel())[0, 1] > 0.999
    assert (twice - still).std() / (noisy - still).std() == pytest.approx(2, rel=0.02)


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: Densitometer(low=XRay(kvp=100), high=XRay(kvp=100)), "must be harder"),
        (
            lambda: areal_bmd(np.ones((2, 2)), np.ones((2, 2)), DEVICE, beside=np.zeros((2, 2), dtype=bool)),
            "beside the bone",
        ),
    ],
)
def test_bad_input_gives_one_clear_line(make, line):
    with pytest.raises(ValueError, match=line) as error:
        make()
    assert "\n" not in str(error.value)
