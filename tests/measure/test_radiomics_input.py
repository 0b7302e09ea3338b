"""Wrong input is refused with its reason; what is not defined is absent; what does not matter changes nothing."""

import math
from dataclasses import asdict, replace

import numpy as np
import pytest

from trabecula import cache
from trabecula.image import Image
from trabecula.measure.radiomics import Settings, extract, record

SPACING = (2.0, 1.0, 1.5)


def pair(shape=(8, 10, 12), seed=0, spacing=SPACING):
    rng = np.random.default_rng(seed)
    hu = rng.normal(150, 60, shape).round().astype(np.int16)
    inside = np.zeros(shape, dtype=bool)
    inside[1:-1, 2:-2, 2:-2] = rng.random((shape[0] - 2, shape[1] - 4, shape[2] - 4)) < 0.9
    return Image(voxels=hu, unit="HU", spacing=spacing), Image(voxels=inside, unit="label", spacing=spacing)


BINS = Settings(bin_width=25.0)


def test_empty_mask():
    image, mask = pair()
    with pytest.raises(ValueError, match="the mask is empty"):
        extract(image, mask.with_voxels(np.zeros(mask.shape, dtype=bool)))


def test_one_voxel():
    image, mask = pair()
    one = np.zeros(mask.shape, dtype=bool)
    one[3, 3, 3] = True
    with pytest.raises(ValueError, match="marks one voxel"):
        extract(image, mask.with_voxels(one))


@pytest.mark.parametrize("definitions", ["ibsi", "pyradiomics"])
def test_constant_region(definitions):
    image, mask = pair()
    with pytest.raises(ValueError, match="constant has no texture"):
        extract(image.with_voxels(np.full(image.shape, 40)), mask, settings=replace(BINS, definitions=definitions))


def test_region_that_becomes_constant():
    image, mask = pair()
    clipped = image.with_voxels(np.minimum(image.voxels, 150))
    with pytest.raises(ValueError, match="a constant has no texture"):
        extract(clipped, mask, settings=replace(BINS, keep_within=(150.0, 150.5)))


def test_small_values_have_no_histogram_of_whole_numbers():
    image, mask = pair()
    share = image.with_voxels(image.voxels / 1e4)
    assert set(extract(share, mask, settings=Settings(families=("ivh",)))) == {
        "ivh_i10",
        "ivh_i90",
        "ivh_diff_i10_i90",
        "ivh_auc",
    }
    assert len(extract(share, mask, settings=Settings(families=("ivh",), ivh_bin_count=100))) == 7


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"origin": (0.0, 0.0, 5.0)}, "does not lie where"),
        ({"spacing": (2.0, 1.0, 1.4)}, "does not lie where"),
        ({"direction": ((-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))}, "does not lie where"),
        ({"space": "detector"}, "does not lie where"),
        ({"spacing": None}, "has no spacing"),
    ],
)
def test_mask_of_another_place(change, reason):
    image, mask = pair()
    with pytest.raises(ValueError, match=reason):
        extract(image, replace(mask, **change))


def test_mask_of_another_shape():
    image, _ = pair()
    _, mask = pair((8, 10, 11))
    with pytest.raises(ValueError, match="resample the mask"):
        extract(image, mask)


def test_several_labels_need_a_name():
    image, mask = pair()
    labels = mask.voxels.astype(np.uint8)
    labels[4:] *= 7
    both = mask.with_voxels(labels)
    with pytest.raises(ValueError, match=r"several labels \(1, 7\)"):
        extract(image, both)
    with pytest.raises(ValueError, match="label 3 is not in the mask, which holds 1, 7"):
        extract(image, both, label=3)
    alone = extract(image, mask.with_voxels(labels == 7), settings=BINS)
    assert extract(image, both, settings=BINS, label=7) == alone


def test_nan_never_arrives():
    with pytest.raises(ValueError, match="NaN or infinite"):
        Image(voxels=np.full((2, 2, 2), np.nan), unit="HU", spacing=SPACING)


def test_range_that_keeps_nothing_says_what_there_is():
    image, mask = pair()
    with pytest.raises(ValueError, match="0 voxels of the region lie within 5000 to 6000"):
        extract(image, mask, settings=replace(BINS, keep_within=(5000.0, 6000.0)))


def test_too_many_bins():
    image, mask = pair()
    with pytest.raises(ValueError, match=r"more than 100,000"):
        extract(image, mask, settings=Settings(bin_width=1e-4))


def test_ranges_may_be_open_and_filters_have_their_own_bins():
    image, mask = pair()
    open_, half = (Settings(bin_width=25.0, keep_within=within) for within in (None, (-math.inf, math.inf)))
    assert extract(image, mask, settings=open_) == extract(image, mask, settings=half)
    bands = Settings(bin_width=25.0, keep_within=(-1000.0, 1000.0), filters=("wavelet",), families=("ih",))
    found = extract(image, mask, settings=bands)
    assert len(found) == 8 * 23
    assert {value for tag, value in found.items() if tag.endswith("ih_min")} == {1.0}  # not 40 levels above -1000


def test_histograms_of_millions_of_bins_are_refused():
    image, mask = pair()
    far = image.with_voxels(image.voxels.astype(np.float64) * 1e6)
    with pytest.raises(ValueError, match="give ivh_bin_width or ivh_bin_count"):
        extract(far, mask, settings=Settings(families=("ivh",)))


def test_values_are_not_taken_as_levels_by_accident():
    image, mask = pair()
    with pytest.raises(ValueError, match="give bin_width or bin_count"):
        extract(image, mask, settings=Settings(families=("cm",)))


@pytest.mark.parametrize("spacing", [(0.0, 1.0, 1.0), (1.0, -1.0, 1.0)])
def test_spacing_must_be_positive(spacing):
    with pytest.raises(ValueError, match="the new spacing is positive"):
        extract(*pair(), settings=replace(BINS, spacing_mm=spacing))


def test_spacing_that_leaves_nothing():
    with pytest.raises(ValueError, match="choose a finer one"):
        extract(*pair(), settings=replace(BINS, spacing_mm=(100.0, 100.0, 100.0)))


def test_mask_ends_with_the_image():
    """Five slices of 1 mm become three of 2.4: the outer two lie beyond the last centres, where nothing was marked."""
    image, mask = pair((5, 7, 7), spacing=(1.0, 1.0, 1.0))
    everything = mask.with_voxels(np.ones(mask.shape, dtype=bool))
    settings = replace(BINS, families=("morph",), spacing_mm=(2.4, None, None))
    assert extract(image, everything, settings=settings)["morph_vol_approx"] == pytest.approx(49 * 2.4)


@pytest.mark.parametrize(
    "told",
    [
        {"families": ("glcm",)},
        {"definitions": "pyradiomics", "families": ("cm",)},
        {"bin_width": 25.0, "bin_count": 32},
        {"filters": ("log",)},
        {"log_sigma_mm": (1.0,)},
        {"keep_within": (400.0, -500.0)},
        {"aggregations": ("4D",)},
        {"filters": ()},
    ],
)
def test_settings_that_contradict_themselves(told):
    with pytest.raises(ValueError, match=r"unknown|not both|go together|from low to high|at least one"):
        Settings(**told)


def test_integers_do_not_overflow():
    image, mask = pair()
    big = image.voxels.astype(np.int16) + np.int16(20000)
    narrow, wide = image.with_voxels(big), image.with_voxels(big.astype(np.float64))
    assert extract(narrow, mask, settings=BINS) == extract(wide, mask, settings=BINS)
    assert extract(narrow, mask, settings=BINS)["stat_energy"] > 1e8 * np.count_nonzero(mask.voxels)


def test_undefined_is_absent_and_nothing_is_nan():
    """One grey level, one slice: the standard's own values, and no number where there is none."""
    image, mask = pair((3, 12, 12))
    found = extract(image, mask, settings=Settings(bin_width=1e4))
    assert all(math.isfinite(value) for value in found.values())
    assert found["cm_corr_3D_avg"] == 1
    assert found["ngt_coarseness_3D"] == 1e6
    assert found["ih_entropy"] == 0
    assert found["morph_pca_flatness"] == 0
    assert "morph_vol_dens_aee" not in found  # an ellipsoid without volume
    assert "morph_vol_dens_conv_hull" in found


def test_mean_of_zero_has_no_coefficient_of_variation():
    image, mask = pair()
    values = np.where(np.indices(image.shape).sum(axis=0) % 2, 10, -10)
    inside = np.zeros(image.shape, dtype=bool)
    inside[2:6, 2:6, 2:6] = True
    found = extract(image.with_voxels(values), mask.with_voxels(inside), settings=Settings(families=("stat",)))
    assert found["stat_mean"] == 0
    assert "stat_cov" not in found


@pytest.mark.parametrize("definitions", ["ibsi", "pyradiomics"])
def test_surroundings_do_not_matter(definitions):
    image, mask = pair((14, 20, 20), spacing=(1.0, 1.0, 1.0))
    inside = np.zeros(image.shape, dtype=bool)
    inside[4:10, 7:13, 7:12] = True
    families = ("morph", "stat", "ih", "cm", "rlm", "szm", "dzm", "ngt", "ngl") if definitions == "ibsi" else ()
    settings = Settings(definitions=definitions, families=families, bin_width=25.0)
    here = extract(image, mask.with_voxels(inside), settings=settings)
    outside = np.where(inside, image.voxels, 3000)
    assert extract(image.with_voxels(outside), mask.with_voxels(inside), settings=settings) == here


def turned(image, axis):
    """Write the same body the other way round along an axis, with the geometry that says so."""
    direction = [list(row) for row in image.direction]
    direction[axis] = [-x for x in direction[axis]]
    last = np.zeros(4)
    last[axis], last[3] = image.shape[axis] - 1, 1
    return replace(
        image,
        voxels=np.flip(image.voxels, axis),
        origin=tuple((image.affine @ last)[:3]),
        direction=tuple(tuple(row) for row in direction),
    )


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_writing_order_does_not_matter(axis):
    """Textures to rounding; the mesh to a thousandth, because its table of triangles has a handedness."""
    image, mask = pair((9, 14, 12))
    k, j, i = np.meshgrid(*(np.linspace(-1.2, 1.2, n) for n in mask.shape), indexing="ij")
    mask = mask.with_voxels(k**2 + j**2 + i**2 < 1)
    settings = replace(BINS, spacing_mm=(1.5, 1.5, 1.5), rounded=False)
    here = extract(image, mask, settings=settings)
    there = extract(turned(image, axis), turned(mask, axis), settings=settings)
    assert here.keys() == there.keys()
    for tag, value in here.items():
        assert there[tag] == pytest.approx(value, rel=1e-3 if "morph" in tag else 1e-6, abs=1e-9), tag


def test_a_ball_is_a_ball():
    """Volume, diameter and axes of a ball of radius 12 mm; the box and the ellipsoid around it."""
    n = 29
    k, j, i = np.indices((n, n, n)) - n // 2
    inside = k**2 + j**2 + i**2 <= 12**2
    rng = np.random.default_rng(0)
    image = Image(voxels=rng.normal(size=inside.shape), unit="HU", spacing=(1.0, 1.0, 1.0))
    mask = Image(voxels=inside, unit="label", spacing=(1.0, 1.0, 1.0))
    found = extract(image, mask, settings=Settings(families=("morph",)))
    assert found["morph_volume"] == pytest.approx(4 / 3 * np.pi * 12**3, rel=0.03)
    assert found["morph_diam"] == pytest.approx(25, rel=0.01)  # the border lies half a voxel beyond the last centre
    assert found["morph_pca_maj_axis"] == pytest.approx(4 * 12 / np.sqrt(5), rel=0.02)
    assert found["morph_pca_flatness"] == pytest.approx(1, abs=1e-6)
    assert found["morph_vol_dens_ombb"] == pytest.approx(np.pi / 6, rel=0.08)
    assert found["morph_vol_dens_ombb"] >= found["morph_vol_dens_aabb"]
    around = 4 / 3 * np.pi * 12.5**3
    assert found["morph_vol_dens_mvee"] == pytest.approx(found["morph_volume"] / around, rel=0.02)
    assert found["morph_moran_i"] == pytest.approx(0, abs=2e-3)  # noise
    assert found["morph_geary_c"] == pytest.approx(1, abs=5e-3)


def test_a_tilted_box_has_a_smaller_box_than_its_axes_give():
    n = 41
    k, j, i = np.indices((n, n, n)) - n // 2
    u, v = (j + i) / np.sqrt(2), (j - i) / np.sqrt(2)
    inside = (np.abs(k) <= 5) & (np.abs(u) <= 15) & (np.abs(v) <= 6)
    rng = np.random.default_rng(0)
    image = Image(voxels=rng.normal(size=inside.shape), unit="HU", spacing=(1.0, 1.0, 1.0))
    found = extract(
        image, Image(voxels=inside, unit="label", spacing=(1.0, 1.0, 1.0)), settings=Settings(families=("morph",))
    )
    assert found["morph_vol_dens_ombb"] > 0.9
    assert found["morph_vol_dens_aabb"] < 0.5


def test_moran_and_geary_are_the_sums_over_all_pairs():
    image, mask = pair((6, 7, 8))
    found = extract(image, mask, settings=Settings(families=("morph",)))
    at = np.argwhere(mask.voxels) * SPACING
    x = image.voxels[mask.voxels].astype(float)
    distance = np.linalg.norm(at[:, None] - at, axis=2)
    weight = np.divide(1, distance, out=np.zeros_like(distance), where=distance > 0)
    away, n = x - x.mean(), len(x)
    moran = n / weight.sum() * (away @ weight @ away) / (away @ away)
    geary = (n - 1) / (2 * weight.sum()) * (weight * np.square(x[:, None] - x)).sum() / (away @ away)
    assert found["morph_moran_i"] == pytest.approx(moran, rel=1e-9)
    assert found["morph_geary_c"] == pytest.approx(geary, rel=1e-9)


def test_remembered_once(tmp_path, monkeypatch):
    monkeypatch.setenv("TRABECULA_CACHE", str(tmp_path))
    image, mask = pair()
    settings = replace(BINS, families=("stat", "szm"), keep_within=(0.0, 400.0))
    first = cache.remember(record, image, mask, settings={"settings": asdict(settings)})
    again = cache.remember(record, image, mask, settings={"settings": asdict(settings)})
    direct = extract(image, mask, settings=settings)
    assert first.dtype.names == again.dtype.names == tuple(direct)
    assert list(again[0].item()) == list(direct.values())
