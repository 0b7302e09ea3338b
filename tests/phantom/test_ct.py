"""CT physics: figures of the published sources, computed from attenuation data, and laws that must hold exactly."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trabecula.image import read_nifti
from trabecula.phantom.body import Body, Rod, with_contrast, with_rods
from trabecula.phantom.ct import PUBLISHED_CORRECTION, Scanner, hounsfield, scan, water_equivalent_cm
from trabecula.phantom.ct_noise import KERNELS, REFERENCE_SLICE_MM, correlated_noise, noise_sd
from trabecula.phantom.material import (
    ENERGIES_KEV,
    MATERIALS,
    Material,
    get_material,
    mass_attenuation,
    pure,
    rod,
    trabecular_bone,
)
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
    for name, published in (("water", water), ("aluminium", aluminium)):
        assert np.interp(kev, ENERGIES_KEV, mass_attenuation(name)) == pytest.approx(published, rel=0.015)


def test_slopes_of_rods_change_with_size_and_calibration_removes_it():
    """What is left is what another marrow than the rods' water adds: reported, not removed."""
    bone, left = {fat: trabecular_bone(120, fat=fat) for fat in (0.2, 0.5, 0.8)}, {}
    slopes = {cm: slope("hydroxyapatite", water_cm=cm) for cm in (15, 25, 35)}
    assert slopes[15] / slopes[35] > 1.2
    for cm, per_mg in slopes.items():
        in_rod = hounsfield(rod("hydroxyapatite", 120), SCANNER, water_cm=cm) / per_mg
        assert in_rod == pytest.approx(120, abs=0.5)
        left |= {(cm, fat): hounsfield(bone[fat], SCANNER, water_cm=cm) / per_mg - 120 for fat in bone}
    for fat in bone:
        assert abs(left[15, fat] - left[35, fat]) < 8, "far less than the 25 mg/cm3 that uncalibrated HU move"
    fat_error = np.array([left[cm, 0.2] - left[cm, 0.8] for cm in slopes])
    assert ((fat_error > 15) & (fat_error < 35)).all(), fat_error


def test_scanned_rods_read_what_their_material_says():
    rods = tuple(
        Rod(material=material, mg_cm3=150, centre_mm=centre, radius_mm=12)
        for material, centre in (("hydroxyapatite", (100, 100)), ("k2hpo4", (220, 100)))
    )
    image = scan(with_rods(cylinder(), rods), SCANNER, NO_NOISE, water_cm=25.0)
    for bar in rods:
        j, i = (int(mm / 2) for mm in bar.centre_mm)
        expected = hounsfield(rod(bar.material, 150), SCANNER, water_cm=25.0)
        assert image.voxels[1, j - 2 : j + 2, i - 2 : i + 2].mean() == pytest.approx(expected, abs=1)


def test_k2hpo4_reads_more_than_hydroxyapatite_and_more_so_at_high_voltage():
    """Direction and trend of Goodsitt 1992, who measured 0.86 at 80 and 0.81 at 140 kVp with real rods."""
    ratio = {
        kvp: slope("hydroxyapatite", Scanner(kvp=kvp), 25.0) / slope("k2hpo4", Scanner(kvp=kvp), 25.0)
        for kvp in (80, 140)
    }
    assert ratio[80] - ratio[140] == pytest.approx(0.86 - 0.81, abs=0.02)
    assert 0.90 < ratio[140] < ratio[80] < 1


@pytest.mark.parametrize("kernel", sorted(KERNELS))
@pytest.mark.parametrize(("slice_mm", "interval_mm"), [(1.0, 1.0), (3.0, 1.5), (5.0, 5.0)])
def test_noise_is_what_was_asked_for(kernel, slice_mm, interval_mm):
    scanner = Scanner(
        kernel=kernel, pixel_mm=0.8, slice_mm=slice_mm, interval_mm=interval_mm, noise_hu=12, range_hu=(-2000, 2000)
    )
    water = Body(densities={"water": np.ones((24, 48, 48))}, spacing=(1.0, 1.6, 1.6))
    image = scan(water, scanner, np.random.default_rng(1), water_cm=25.0)
    asked = noise_sd(12, kernel=kernel, slice_mm=slice_mm)
    assert image.voxels.std() == pytest.approx(asked, rel=0.05)


def test_noise_follows_slice_and_kernel():
    assert noise_sd(10, kernel="standard", slice_mm=REFERENCE_SLICE_MM) == pytest.approx(10)
    assert noise_sd(10, kernel="standard", slice_mm=REFERENCE_SLICE_MM / 4) == pytest.approx(20)
    gaussian = KERNELS["soft"].sigma_mm / KERNELS["standard"].sigma_mm
    assert noise_sd(10, kernel="soft", slice_mm=3.0) == pytest.approx(10 * gaussian**-1.5, rel=1e-3), (
        "analytic integral"
    )
    assert noise_sd(10, kernel="bone", slice_mm=3.0) > 15


def test_noise_power_rises_like_a_ramp_and_falls_with_the_kernel():
    noise = correlated_noise((60, 128, 128), np.random.default_rng(2), kernel="soft", pixel_mm=0.8)
    power = (np.abs(np.fft.fft2(noise)) ** 2).mean(axis=0)
    f = np.hypot(np.fft.fftfreq(128, 0.8)[:, None], np.fft.fftfreq(128, 0.8)[None, :])
    shape = f * KERNELS["soft"].mtf(f) ** 2
    rings = [(f > a) & (f <= a + 0.05) for a in np.arange(0.05, 0.5, 0.05)]
    measured, expected = (np.array([values[ring].mean() for ring in rings]) for values in (power, shape))
    np.testing.assert_allclose(measured / measured.sum(), expected / expected.sum(), atol=0.01)


def test_overlapping_slices_share_noise():
    noise = correlated_noise((200, 24, 24), np.random.default_rng(3), kernel="standard", pixel_mm=0.8, overlap=2.0)
    assert np.corrcoef(noise[1:].ravel(), noise[:-1].ravel())[0, 1] == pytest.approx(0.5, abs=0.03)
    assert np.corrcoef(noise[2:].ravel(), noise[:-2].ravel())[0, 1] == pytest.approx(0.0, abs=0.03)


def test_slices_may_be_thicker_than_the_grid_and_a_crop_needs_its_patient():
    whole = cylinder(100, inside=trabecular_bone(150, fat=0.5), spacing=(1.0, 1.0, 1.0), slices=30, side=240)
    crop = Body(
        densities={name: values[:, 95:145, 95:145] for name, values in whole.densities.items()},
        spacing=whole.spacing,
        origin=(95.0, 95.0, 0.0),
    )
    scanner = Scanner(pixel_mm=1.0, slice_mm=5.0, interval_mm=2.5)
    full = scan(whole, scanner, NO_NOISE)
    cut = scan(crop, scanner, NO_NOISE, water_cm=water_equivalent_cm(whole, scanner))
    assert full.shape == (12, 240, 240)
    assert cut.shape == (12, 50, 50)
    inner = slice(5, -5)  # the kernel sees air beyond the crop's border
    np.testing.assert_allclose(cut.voxels[:, inner, inner], full.voxels[:, 95:145, 95:145][:, inner, inner], atol=0.1)
    np.testing.assert_allclose(cut.affine @ [0, 0, 0, 1], full.affine @ [0, 95, 95, 1], atol=1e-3)
    alone = core(scan(crop, scanner, NO_NOISE)).mean()
    assert alone > core(cut).mean() + 20, "a crop taken for the patient is too thin, its beam too soft"


@pytest.mark.parametrize("kernel", sorted(KERNELS))
def test_an_edge_is_as_sharp_on_a_coarse_grid_as_on_a_fine_one(kernel):
    edges = []
    for mm in (2.0, 0.5):
        water = np.zeros((2, 4, int(60 / mm)))
        water[:, :, int(30 / mm) :] = 1.0
        body = Body(densities={"water": water}, spacing=(3.0, 10.0, mm))
        edges.append(scan(body, replace(SCANNER, pixel_mm=0.5, kernel=kernel), NO_NOISE, water_cm=24.0).voxels[0, 40])
    np.testing.assert_allclose(edges[0], edges[1], atol=1)


@pytest.mark.slow
def test_a_lumbar_volume_takes_less_than_two_and_a_half_seconds():
    """200 x 200 x 180 mm at 1.5 mm from a grid of 1 mm with six materials, on one core."""
    names = ("bone_matrix", "red_marrow", "yellow_marrow", "muscle", "lipid_rich_adipose", "blood")
    body = Body(
        densities={name: np.full((180, 200, 200), 0.17, dtype=np.float32) for name in names}, spacing=(1.0, 1.0, 1.0)
    )
    scanner = Scanner(pixel_mm=1.5, slice_mm=1.5, interval_mm=1.5, noise_hu=12)
    scanner.spectrum(25.0)
    started = time.process_time()
    image = scan(body, scanner, np.random.default_rng(0))
    assert time.process_time() - started < 2.5
    assert image.shape == (120, 133, 133)


@pytest.mark.parametrize("pixel_mm", [1.1, 2.7, 5.0])
def test_partial_volume_conserves_mass(pixel_mm):
    scanner = Scanner(pixel_mm=pixel_mm, slice_mm=2.5, interval_mm=2.5)
    body = cylinder(90, inside=trabecular_bone(150, fat=0.5), spacing=(1.0, 1.0, 1.0), slices=10, side=220)
    image = scan(body, scanner, NO_NOISE, water_cm=20.0)
    per_mm3 = np.prod(image.spacing)
    attenuation = (image.voxels.astype(float) + 1000).sum() * per_mm3
    inside = body.densities["hydroxyapatite"] > 0
    water = body.densities["water"] > 0.5
    expected = hounsfield(trabecular_bone(150, fat=0.5), scanner, water_cm=20.0) + 1000
    assert attenuation == pytest.approx(expected * inside.sum() + 1000 * (water & ~inside).sum(), rel=0.01)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_flipped_phantom_gives_a_flipped_image(axis):
    body = with_rods(
        cylinder(70, side=90, slices=3), (Rod(material="hydroxyapatite", mg_cm3=200, centre_mm=(60, 120)),)
    )
    body = Body(
        densities={**body.densities, "titanium": np.random.default_rng(4).random(body.shape) > 0.9995},
        spacing=body.spacing,
    )
    flipped = Body(densities={name: np.flip(v, axis) for name, v in body.densities.items()}, spacing=body.spacing)
    one, other = (scan(b, SCANNER, NO_NOISE, water_cm=20.0).voxels for b in (body, flipped))
    np.testing.assert_allclose(np.flip(one, axis), other, atol=0.5)


def test_the_image_lies_where_the_body_lies():
    body = cylinder(inside=pure("cortical_bone"), side=161)
    image = scan(body, Scanner(pixel_mm=1.3, slice_mm=3.0, interval_mm=2.0), NO_NOISE)
    bone = np.argwhere(image.voxels > 500).mean(axis=0)
    middle = (image.affine @ [*bone, 1])[:3]
    np.testing.assert_allclose(middle, [160.0, 160.0, 4.5], atol=0.1)


def noise_of(body, scanner, seed=7):
    """Return the noise alone: the picture less the one without noise."""
    noisy, still = (
        scan(body, replace(scanner, noise_hu=hu), np.random.default_rng(seed), water_cm=24.0).voxels for hu in (20, 0)
    )
    return noisy - still


def test_twins_of_other_bone_or_voltage_share_their_noise():
    bone, thin = (cylinder(inside=trabecular_bone(mg, fat=0.5)) for mg in (150, 90))
    wide = replace(SCANNER, range_hu=(-3000.0, 6000.0))
    noise = noise_of(bone, wide)
    assert noise.std() > 10
    np.testing.assert_allclose(noise_of(thin, wide), noise, atol=0.01)
    np.testing.assert_allclose(noise_of(bone, replace(wide, kvp=80.0)), noise, atol=0.01)


def test_a_twin_of_another_kernel_has_the_same_quanta():
    """Each frequency keeps its phase, and its amplitude follows the two kernels: scaled, not drawn anew."""
    water = Body(densities={"water": np.ones((2, 64, 64))}, spacing=(3.0, 2.0, 2.0))
    wide = replace(SCANNER, range_hu=(-3000.0, 6000.0))
    sharp, soft = (np.fft.rfft2(noise_of(water, replace(wide, kernel=kernel))) for kernel in ("bone", "soft"))
    heard = np.abs(soft) > 0.02 * np.abs(soft).max()
    assert heard.mean() > 0.5
    assert np.abs(np.angle(sharp[heard] / soft[heard])).max() < 0.01
    assert np.abs(np.angle(sharp / np.fft.rfft2(noise_of(water, wide, seed=8)))).mean() > 1, (
        "another seed, other quanta"
    )


@pytest.mark.parametrize("kernel", sorted(KERNELS))
def test_a_point_is_blurred_as_the_transfer_function_says(kernel):
    point = np.zeros((1, 128, 128), dtype=np.float32)
    point[0, 64, 64] = 1000
    spread = np.abs(np.fft.fft2(KERNELS[kernel].blur(point, (0.25, 0.25))[0])) / 1000
    f = np.fft.fftfreq(128, 0.25)
    np.testing.assert_allclose(spread[0], KERNELS[kernel].mtf(np.abs(f)), atol=0.02)


def test_fat_and_muscle_lie_where_a_real_ct_has_them():
    """The two peaks of a real abdomen; they differ from patient to patient by about 10 HU."""
    path = Path(__file__).parents[3] / "shared/data/ct_totalseg_example/example_ct.nii.gz"
    if not path.exists():
        pytest.skip("the real CT is not on this machine")
    hu = read_nifti(path, unit="HU").voxels
    for tissue, low, high, apart in (("lipid_rich_adipose", -150, -40, 15), ("muscle", 0, 100, 25)):
        counts, edges = np.histogram(hu, bins=np.arange(low, high, 2.0))
        assert hounsfield(pure(tissue), SCANNER, water_cm=25.0) == pytest.approx(edges[counts.argmax()] + 1, abs=apart)


def test_water_equivalent_diameter_of_a_cylinder_of_water():
    assert water_equivalent_cm(cylinder(120.0), SCANNER) == pytest.approx(24.0, rel=0.01)


def test_contrast_moves_bone_as_published():
    bone = {name: np.full((4, 8, 8), g_cm3) for name, g_cm3 in trabecular_bone(120, fat=0.5).items()}
    body = Body(densities=bone, spacing=(3.0, 3.0, 3.0))
    hu = {
        phase: scan(with_contrast(body, phase), SCANNER, NO_NOISE, water_cm=25.0).voxels.mean()
        for phase in ("none", "arterial", "portal_venous")
    }
    assert hu["arterial"] - hu["none"] == pytest.approx(14.4, abs=3)
    assert hu["portal_venous"] - hu["none"] == pytest.approx(25.7, abs=3)


def test_two_pieces_of_metal_darken_the_line_between_them():
    body = cylinder(inside=None)
    metal = np.zeros(body.shape)
    metal[:, 78:83, 50:55] = metal[:, 78:83, 105:110] = 4.506
    maps = {name: np.where(metal > 0, 0, v) for name, v in body.densities.items()}
    image = scan(Body(densities={**maps, "titanium": metal}, spacing=body.spacing), SCANNER, NO_NOISE, water_cm=24.0)
    between, beside = image.voxels[1, 79:82, 76:84].mean(), image.voxels[1, 40:44, 76:84].mean()
    assert between < -15
    assert abs(beside) < abs(between) / 2
    assert image.voxels[1, 80, 52] == 3071


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: Scanner(kvp=400), "kvp lies between 60 and 150"),
        (lambda: Scanner(slice_mm=-1), "slice_mm lies between"),
        (lambda: Scanner(kernel="sharpest"), "no kernel is called"),
        (lambda: trabecular_bone(-5, fat=0.5), "0 to 1034"),
        (lambda: trabecular_bone(100, fat=1.5), "between 0 and 1"),
        (lambda: rod("calcium", 100), "rods are made of"),
        (lambda: Body(densities={"water": -np.ones((1, 2, 2))}, spacing=(1, 1, 1)), "not negative"),
        (lambda: Body(densities={"wood": np.ones((1, 2, 2))}, spacing=(1, 1, 1)), "no material is called"),
        (lambda: scan(cylinder(), Scanner(slice_mm=20, interval_mm=20), NO_NOISE), "larger than the body"),
        (lambda: with_contrast(cylinder(), "late"), "contrast is one of"),
        (lambda: tube_spectrum(200, filters_mm=()), "between 20 and 150"),
        (lambda: Material(name="x", density=1.0, elements=(("H", 0.5),), source=""), "add up to 1"),
    ],
)
def test_bad_input_gives_one_clear_line(make, line):
    with pytest.raises((ValueError, KeyError), match=line) as error:
        make()
    assert "\n" not in str(error.value)


def test_every_material_names_its_source():
    assert all(row.source for row in MATERIALS.values())
