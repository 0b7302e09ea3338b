"""Texture against known fractals, made Brownian surfaces, planted waves, textbook patterns, the standard's phantom."""

import csv
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from trabecula.image import Image, read_nifti
from trabecula.measure.number import Missing
from trabecula.measure.texture import IN_MM, IN_PIXELS, measure_texture
from trabecula.measure.texture.binary_pattern import binary_patterns, pattern_shares
from trabecula.measure.texture.fractal import box_dimension, bright_pattern, variogram
from trabecula.measure.texture.gabor import gabor_energy
from trabecula.measure.texture.pairs import co_occurrences
from trabecula.measure.texture.patch import Patch

IBSI = Path(__file__).parents[3] / "shared" / "data" / "ibsi"


def picture(values, mm=0.15):
    spacing = None if mm is None else (1.0, mm, mm)
    return Image(voxels=np.asarray(values)[None], unit="stored", spacing=spacing, space="detector")


def patch(values, inside=None, pixel=(1.0, 1.0)):
    inside = np.ones(values.shape, dtype=bool) if inside is None else inside
    return Patch(values=values, inside=inside, pixel=pixel)


def by_name(measured):
    return {each.name: each for each in measured}


# --- co-occurrence


@pytest.mark.skipif(not IBSI.exists(), reason=f"the IBSI digital phantom is not in {IBSI}")
def test_co_occurrence_of_the_slices_of_the_standard_s_phantom():
    """Its features by slice and direction, averaged, are the consensus values of `2D_avg`."""
    levels = read_nifti(IBSI / "digital_phantom/nifti/image/phantom.nii.gz", unit="stored").voxels.astype(np.int64)
    mask = read_nifti(IBSI / "digital_phantom/nifti/mask/mask.nii.gz", unit="label").voxels != 0
    slices = [co_occurrences(np.where(inside, plane, 0), 6) for plane, inside in zip(levels, mask, strict=True)]
    with (IBSI / "digital_phantom_reference.csv").open(encoding="utf-8-sig") as file:
        rows = [row for row in csv.DictReader(file) if row["tag"].startswith("cm_") and row["tag"].endswith("_2D_avg")]
    assert len(rows) == 25
    for row in rows:
        value = np.mean([each[row["tag"]] for each in slices])
        assert abs(float(f"{value:.3g}") - float(row["reference value"])) <= float(row["tolerance"]), row["tag"]


def test_pairs_are_as_far_apart_as_told_and_stay_in_the_region():
    """Columns of 1 1 3 3: neighbours are alike or 2 apart in half of the pairs, pixels two apart always differ."""
    levels = np.tile([1, 1, 3, 3], (8, 6))
    upright = co_occurrences(levels, 3)["cm_contrast_2D_avg"]  # of four directions one lies along the columns
    assert upright == pytest.approx(3 / 4 * 4 * (11 / 23))
    assert co_occurrences(levels, 3, distance=(2, 2))["cm_contrast_2D_avg"] == pytest.approx(3 / 4 * 4)
    assert co_occurrences(levels, 3, distance=(2, 4))["cm_contrast_2D_avg"] == 0
    with pytest.raises(ValueError, match="no two pixels"):
        co_occurrences(levels, 3, distance=(40, 40))
    with pytest.raises(ValueError, match="at least one pixel"):
        co_occurrences(levels, 3, distance=(0, 1))


# --- binary patterns


@pytest.mark.parametrize(
    ("nine", "pattern"),
    [
        ([[5, 5, 5], [5, 5, 5], [5, 5, 5]], 8),  # flat: as bright counts as bright
        ([[0, 0, 0], [0, 9, 0], [0, 0, 0]], 0),  # a bright spot
        ([[9, 9, 9], [9, 0, 9], [9, 9, 9]], 8),  # a dark spot
        ([[9, 9, 9], [5, 5, 5], [0, 0, 0]], 5),  # an edge: three brighter, two as bright
        ([[0, 0, 0], [0, 5, 9], [0, 0, 0]], 1),  # the end of a line, bilinear: the diagonals stay below 5
        ([[0, 9, 0], [9, 5, 9], [0, 9, 0]], 9),  # a cross: eight changes, not uniform
        ([[9, 0, 0], [0, 5, 0], [0, 0, 9]], 9),  # a diagonal line: four changes
    ],
)
def test_patterns_of_the_textbook(nine, pattern):
    """P = 8, R = 1; diagonal neighbours lie at 0.71 and are interpolated."""
    nine = np.array(nine, dtype=float)
    if pattern == 9 and nine[0, 0] == 9:
        nine[0, 0] = nine[2, 2] = 30  # so that what is interpolated still exceeds the middle
    found = binary_patterns(nine)
    assert found[1, 1] == pattern
    assert (found[[0, 0, 2, 2], [0, 2, 0, 2]] == -1).all()


def test_patterns_do_not_change_with_a_quarter_turn_nor_with_brightness():
    values = np.random.default_rng(0).normal(size=(40, 50))
    own = binary_patterns(values)
    np.testing.assert_array_equal(binary_patterns(np.rot90(values)), np.rot90(own))
    np.testing.assert_array_equal(binary_patterns(3 * values + 100), own)
    assert set(np.unique(own)) == {-1, *range(10)}


def test_uniform_patterns_of_noise_have_the_shares_of_independent_order():
    """The middle of 9 independent values is below none of its 8 neighbours as often as it is the largest: 1 in 9.

    With a radius of one pixel and four points, none is interpolated; 1 in 5 of the middles are the largest of five.
    """
    shares = pattern_shares(patch(np.random.default_rng(0).normal(size=(400, 400))), points=4)
    assert shares.sum() == pytest.approx(1)
    assert shares[0] == pytest.approx(1 / 5, abs=0.005)
    assert shares[4] == pytest.approx(1 / 5, abs=0.005)


def test_circles_are_measured_in_mm_and_stay_in_the_region():
    values = np.random.default_rng(1).normal(size=(60, 60))
    np.testing.assert_array_equal(pattern_shares(patch(values, pixel=(0.5, 0.5)), radius=1.0),
                                  pattern_shares(patch(values), radius=2.0))  # fmt: skip
    inside = np.zeros(values.shape, dtype=bool)
    inside[10:40, 20:50] = True
    changed = np.where(inside, values, 1e6)
    np.testing.assert_array_equal(pattern_shares(patch(changed, inside)), pattern_shares(patch(values, inside)))
    with pytest.raises(ValueError, match="choose a smaller one"):
        pattern_shares(patch(values, inside), radius=20)


# --- Gabor


def wave(wavelength, orientation_deg, pixel=(0.2, 0.2), size=160):
    j, i = np.indices((size, size), dtype=float)
    angle = np.deg2rad(orientation_deg)
    along = np.cos(angle) * i * pixel[1] - np.sin(angle) * j * pixel[0]
    return patch(100 + 7 * np.cos(2 * np.pi * along / wavelength), pixel=pixel)


def test_a_filter_answers_one_to_its_own_wave():
    for wavelength, angle in ((1.0, 0), (2.0, 45), (3.0, 110)):
        found = gabor_energy(wave(wavelength, angle), wavelength=wavelength, orientation_deg=angle)
        assert found == pytest.approx(1, abs=0.02)


def test_the_response_is_largest_at_the_planted_wavelength_and_orientation():
    planted = wave(1.6, 60, pixel=(0.2, 0.15))  # pixels are not square
    wavelengths, angles = (0.8, 1.2, 1.6, 2.2, 3.2), range(0, 180, 15)
    found = {
        (length, angle): gabor_energy(planted, wavelength=length, orientation_deg=angle)
        for length in wavelengths
        for angle in angles
    }
    assert max(found, key=found.get) == (1.6, 60)
    assert found[1.6, 150] < 1e-3


def test_zero_degrees_answers_upright_stripes():
    stripes = np.tile(np.cos(2 * np.pi * np.arange(200) / 10), (200, 1))
    upright, level = (gabor_energy(patch(stripes), wavelength=10, orientation_deg=angle) for angle in (0, 90))
    assert upright > 0.9
    assert level < 0.01


def test_brightness_contrast_and_surroundings_change_no_energy():
    rng = np.random.default_rng(0)
    values, inside = rng.normal(size=(90, 90)), np.zeros((90, 90), dtype=bool)
    inside[10:70, 15:80] = True
    own = gabor_energy(patch(values, inside), wavelength=6, orientation_deg=30)
    changed = np.where(inside, 40 * values + 1000, -5000)
    assert gabor_energy(patch(changed, inside), wavelength=6, orientation_deg=30) == pytest.approx(own, rel=1e-9)


def test_waves_that_cannot_be_seen_are_refused():
    with pytest.raises(ValueError, match="less than two pixels"):
        gabor_energy(wave(2, 0), wavelength=0.3, orientation_deg=0)
    with pytest.raises(ValueError, match="take a shorter one"):
        gabor_energy(wave(2, 0), wavelength=40, orientation_deg=0)


# --- fractals


def carpet(order):
    """Sierpinski's: of nine squares the middle one is taken out, again and again."""
    found = np.ones((1, 1), dtype=bool)
    for _ in range(order):
        row = np.concatenate([found, found, found], axis=1)
        found = np.concatenate([row, np.concatenate([found, np.zeros_like(found), found], axis=1), row])
    return found


def test_known_fractals_have_their_box_dimension():
    powers = (1, 3, 9, 27, 81)
    assert box_dimension(carpet(6), sizes=powers) == pytest.approx(np.log(8) / np.log(3), abs=1e-9)
    assert box_dimension(carpet(6)) == pytest.approx(np.log(8) / np.log(3), abs=0.06)  # its boxes are powers of two
    assert box_dimension(np.ones((256, 256), dtype=bool)) == pytest.approx(2, abs=1e-9)
    line = np.zeros((256, 256), dtype=bool)
    line[100] = True
    assert box_dimension(line) == pytest.approx(1, abs=1e-9)
    assert box_dimension(np.eye(256, dtype=bool)) == pytest.approx(1, abs=1e-9)
    point = np.zeros((256, 256), dtype=bool)
    point[3, 200] = True
    assert box_dimension(point) == pytest.approx(0, abs=1e-9)


def test_patterns_without_a_dimension_are_refused():
    with pytest.raises(ValueError, match="nothing is marked"):
        box_dimension(np.zeros((64, 64), dtype=bool))
    with pytest.raises(ValueError, match="too few sizes"):
        box_dimension(np.ones((12, 12), dtype=bool))


def test_bright_is_brighter_than_its_neighbourhood_whatever_the_shading():
    rng = np.random.default_rng(0)
    lines = np.tile(np.arange(120) % 12 < 4, (120, 1))
    shaded = 50.0 * lines + 3 * np.arange(120.0)[:, None] + rng.normal(0, 1, lines.shape)
    found = bright_pattern(patch(shaded, pixel=(0.1, 0.1)), blur=1.0)
    assert (found == lines)[20:-20, 20:-20].mean() > 0.99


@cache
def spectrum(hurst, size):
    """Power of a Brownian surface that is looked at in points: frequency ** -(2H + 2), shorter waves folded back in."""
    down, right = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None]
    with np.errstate(divide="ignore"):
        found = sum(
            np.hypot(down + m, right + n) ** -(2 * hurst + 2.0) for m in range(-6, 7) for n in range(-6, 7)
        )  # fmt: skip
    found[0, 0] = 0
    return found


def brownian(hurst, seed, size=1024, kept=256):
    """A fractional Brownian surface by spectral synthesis, cut from a torus so large that it hardly bends slopes."""
    noise = np.fft.rfft2(np.random.default_rng(seed).normal(size=(size, size)))
    return np.fft.irfft2(noise * np.sqrt(spectrum(hurst, size)), s=(size, size))[:kept, :kept]


@cache
def slopes(hurst):
    return np.array([variogram(patch(brownian(hurst, seed)), lags=(1, 16)).slope for seed in range(10)])


@pytest.mark.parametrize("hurst", [0.3, 0.5, 0.7])
def test_the_variogram_of_a_brownian_surface_rises_with_twice_its_exponent(hurst):
    """Bias +0.03, 0.00 and -0.03 in the slope, half of that in the dimension; of the synthesis, which lacks the
    shortest waves of rough and the longest of smooth surfaces. One picture of 256 pixels is off by 0.02 to 0.05."""
    assert slopes(hurst).mean() == pytest.approx(2 * hurst, abs=0.045)
    assert slopes(hurst).std() < 0.06


def test_a_brownian_surface_has_the_dimension_three_minus_its_exponent():
    for hurst in (0.3, 0.7):
        found = variogram(patch(brownian(hurst, 99)), lags=(1, 16))
        assert found.dimension == pytest.approx(3 - hurst, abs=0.06)


def test_a_plane_and_noise_are_the_ends_of_the_scale():
    tilted = patch(np.add.outer(2.0 * np.arange(100), 2.0 * np.arange(100)))
    assert variogram(tilted, lags=(1, 10)).slope == pytest.approx(2)
    assert variogram(tilted, lags=(1, 10)).dimension == pytest.approx(2)
    noise = patch(np.random.default_rng(0).normal(size=(300, 300)))
    assert variogram(noise, lags=(1, 10)).slope == pytest.approx(0, abs=0.01)


def test_lags_are_in_mm_along_pixels_that_are_not_square():
    surface = brownian(0.5, 0)
    told = variogram(patch(surface[:, ::2], pixel=(0.1, 0.2)), lags=(0.2, 1.6))
    assert told.lags == pytest.approx((0.2, 1.6))
    same = variogram(patch(surface, pixel=(0.1, 0.1)), lags=(0.2, 1.6))
    assert told.slope == pytest.approx(same.slope, abs=0.05)
    with pytest.raises(ValueError, match="take longer distances"):
        variogram(patch(surface, pixel=(0.1, 0.1)), lags=(0.01, 0.1))


# --- all of it


def knee(shape=(120, 140), seed=0):
    return np.round(100 + 40 * brownian(0.4, seed, size=256, kept=150)[: shape[0], : shape[1]]).astype(np.uint8)


def test_a_picture_has_every_number_once_with_its_lengths():
    found = measure_texture(picture(knee()))
    assert not [each for each in found if isinstance(each, Missing)]
    names = [each.name for each in found]
    assert len(names) == len(set(names)) == 25 + 10 + 12 + 1 + 2 + 12
    numbers = by_name(found)
    assert numbers["gabor_energy_0.5mm_45deg"].region == "whole picture, deeper than 0.5 mm"
    assert numbers["k_means_centre_2"].unit == "stored"
    assert sum(numbers[f"fuzzy_c_means_share_{n}"].value for n in (1, 2, 3)) == pytest.approx(1)
    assert numbers["brownian_dimension"].value == pytest.approx(3 - numbers["variogram_slope"].value / 2)


def test_without_spacing_lengths_are_in_pixels_and_say_so():
    numbers = by_name(measure_texture(picture(knee(), mm=None)))
    assert "gabor_energy_8px_0deg" in numbers
    assert "px" in numbers["variogram_slope"].region
    with pytest.raises(ValueError, match="no spacing, so no length in mm"):
        measure_texture(picture(knee(), mm=None), lengths=IN_MM)
    assert "gabor_energy_8px_0deg" in by_name(measure_texture(picture(knee()), lengths=IN_PIXELS))


def regions(**boxes):
    voxels = np.zeros((1, 120, 140), dtype=np.uint8)
    for value, box in enumerate(boxes.values(), 1):
        voxels[0][box] = value
    return Image(voxels=voxels, unit="label", spacing=(1.0, 0.15, 0.15), space="detector",
                 names=dict(enumerate(boxes, 1)))  # fmt: skip


def test_parts_are_measured_apart_and_what_is_refused_says_why():
    mask = regions(medial=np.s_[10:90, 10:70], lateral=np.s_[10:90, 75:135], dot=np.s_[100:101, 3:4])
    found = measure_texture(picture(knee()), mask)
    assert {each.part for each in found} == {"medial", "lateral", "dot"}
    (dot,) = (each for each in found if each.part == "dot")
    assert "the region has 1 pixels" in dot.abstain.reason
    alone = measure_texture(picture(np.where(mask.voxels[0] == 1, knee(), 255)), mask)
    own, same = ([each for each in measured if each.part == "medial"] for measured in (found, alone))
    assert own == same  # surroundings do not matter


def test_a_narrow_region_loses_the_long_waves_alone():
    found = measure_texture(picture(knee()), regions(strip=np.s_[10:30, 10:130]))
    (missing,) = (each for each in found if isinstance(each, Missing))
    assert missing.name == "gabor_energy_2mm"
    assert "take a shorter one" in missing.abstain.reason


def test_bad_input_is_refused_with_its_reason():
    image, mask = picture(knee()), regions(all=np.s_[:, :])
    flat = measure_texture(image.with_voxels(np.full(image.shape, 7)), mask)
    assert "a constant has no texture" in flat[0].abstain.reason
    with pytest.raises(ValueError, match="a constant has no texture"):
        measure_texture(image.with_voxels(np.full(image.shape, 7)))
    (empty,) = measure_texture(image, mask.with_voxels(np.zeros(mask.shape, dtype=np.uint8)))
    assert "the mask is empty" in empty.abstain.reason
    with pytest.raises(ValueError, match="one slice"):
        measure_texture(Image(voxels=np.zeros((4, 50, 50)), unit="HU"))
    with pytest.raises(ValueError, match="mm away from the image"):
        measure_texture(image, replace(mask, origin=(5.0, 0.0, 0.0)))
    with pytest.raises(ValueError, match="label map"):
        measure_texture(mask)
    with pytest.raises(ValueError, match="NaN"):
        picture(np.full((50, 50), np.nan))
    with pytest.raises(ValueError, match="lengths are positive"):
        replace(IN_MM, lags=(2.0, 1.0))


def test_whole_numbers_of_few_bits_do_not_overflow():
    few, many = (by_name(measure_texture(picture(knee().astype(kind)))) for kind in (np.uint8, np.float64))
    assert few == many
