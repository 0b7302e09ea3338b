"""CT physics: figures of the published sources, computed from attenuation data, and laws that must hold exactly."""

import numpy as np
import pytest

from trabecula.phantom.body import Body
from trabecula.phantom.ct import PUBLISHED_CORRECTION, Scanner, hounsfield, scan
from trabecula.phantom.material import get_material, rod, trabecular_bone
from trabecula.phantom.spectrum import tube_spectrum

SCANNER = Scanner(pixel_mm=2.0, slice_mm=3.0, interval_mm=3.0)
NO_NOISE = np.random.default_rng(0)


def cylinder(radius_mm=120.0, *, inside=None, spacing=(3.0, 2.0, 2.0), slices=4, side=160):
    """A cylinder of water in air, with an optional core of 20 mm radius."""
    j, i = (np.arange(side) - (side - 1) / 2)[:, None] * spacing[1], (np.arange(side) - (side - 1) / 2) * spacing[2]
    r = np.broadcast_to(np.hypot(j, i), (slices, side, side))
    maps = {"water": (r < radius_mm) * 1.0, "air": (r >= radius_mm) * get_material("air").density}
    if inside:
        maps = {name: np.where(r < 20, 0, values) for name, values in maps.items()}
        for name, g_cm3 in inside.items():
            maps[name] = maps.get(name, 0) + g_cm3 * (r < 20)
    return Body(densities=maps, spacing=spacing)


def core(image):
    k, j, i = (size // 2 for size in image.shape)
    return image.voxels[k - 1 : k + 1, j - 4 : j + 4, i - 4 : i + 4]


def slope(material, scanner=SCANNER, water_cm=20.0):
    return (
        hounsfield(rod(material, 200), scanner, water_cm=water_cm)
        - hounsfield(rod(material, 0), scanner, water_cm=water_cm)
    ) / 200


@pytest.mark.parametrize("kvp", [80, 120, 140])
def test_water_is_0_and_air_is_minus_1000(kvp):
    image = scan(cylinder(), Scanner(kvp=kvp, pixel_mm=2.0, slice_mm=3.0, interval_mm=3.0), NO_NOISE)
    assert np.abs(core(image)).max() < 1
    assert np.abs(image.voxels[:, :3, :3] + 1000).max() < 1


@pytest.mark.parametrize(("water_cm", "published"), [(10, 1.62), (20, 1.42), (30, 1.30)])
def test_hydroxyapatite_reads_less_behind_more_water(water_cm, published):
    assert slope("hydroxyapatite", water_cm=water_cm) == pytest.approx(published, abs=0.01)


def test_marrow_fat_moves_a_voxel_as_published():
    lean, fatty = (hounsfield(trabecular_bone(120, fat=fat), SCANNER, water_cm=20) for fat in (0.2, 0.8))
    assert lean == pytest.approx(176, abs=5)
    assert fatty == pytest.approx(141, abs=5)
    assert lean - fatty == pytest.approx(35, abs=2)


@pytest.mark.parametrize(("kvp", "published"), [(100, 1.079), (140, 0.949)])
def test_tube_voltage_as_in_the_published_correction(kvp, published):
    """That work weighs by fluence out of the tube, without a patient; so does this test."""
    bone = trabecular_bone(120, fat=0.5)
    here, at_120 = (
        hounsfield(bone, Scanner(kvp=v, filters_mm=PUBLISHED_CORRECTION, detector="count"), water_cm=0)
        for v in (kvp, 120)
    )
    assert here / at_120 == pytest.approx(published, rel=0.02)


def test_published_filtration_has_the_published_mean_energy():
    assert tube_spectrum(120, filters_mm=PUBLISHED_CORRECTION).mean_kev == pytest.approx(71, abs=0.5)


@pytest.mark.parametrize(
    ("kev", "water", "aluminium"), [(60, 0.2059, 0.2778), (80, 0.1837, 0.2018), (100, 0.1707, 0.1704)]
)
def test_attenuation_is_that_of_nist(kev, water, aluminium):
    from trabecula.phantom.material import ENERGIES_KEV, mass_attenuation

    for name, published in (("water", water), ("aluminium", aluminium)):
        assert np.interp(kev, ENERGIES_KEV, mass_attenuation(name)) == pytest.approx(published, rel=0.015)
