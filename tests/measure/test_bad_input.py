"""Bad input, quantity by quantity: each says what is wrong with it, and no number comes of it, least of all 0."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from tests.measure.bodies import orientations, painted, spine
from tests.measure.test_quantities import hip
from trabecula.case import Case, Images
from trabecula.image import Image, read_nifti
from trabecula.measure.quantities import QUANTITIES
from trabecula.measurement import measure_cases

VOLUMES = ("hounsfield", "density", "interpretation", "vertebra", "muscle", "radiomics", "elements")
FACTS = {"kvp": "120", "contrast": "none"}


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TRABECULA_CACHE", str(tmp_path / "cache"))


@cache
def scan(mm=(2.0, 2.0, 2.0)):
    """A CT of L1 to L3 with psoas and two rods, and its masks by role."""
    bodies, _ = spine(("L1", "L2", "L3"), mm)
    beside = ((0, 0), (0, 0), (0, round(84 / mm[2])))
    hu = painted(bodies, {1: 150.0, 2: 140.0, 3: 130.0}, noise=6.0)
    voxels, labels = np.pad(hu.voxels.astype(np.float64), beside, constant_values=-50.0), np.pad(bodies.voxels, beside)
    psoas, rods = np.zeros(labels.shape, dtype=np.uint8), np.zeros(labels.shape, dtype=np.uint8)
    start, wide, deep = bodies.shape[2], round(24 / mm[2]), round(24 / mm[1])
    for n, (mask, value, read) in enumerate(((rods, 1, 0.0), (rods, 2, 260.0), (psoas, 1, 50.0))):
        left = start + n * round(28 / mm[2]) + 1
        box = np.s_[:, 2 : 2 + deep, left : left + wide]
        mask[box], voxels[box] = value, read
    names = {1: "hydroxyapatite 0 mg/cm3", 2: "hydroxyapatite 200 mg/cm3"}
    return replace(hu, voxels=voxels), {
        "vertebral_bodies": replace(bodies, voxels=labels),
        "psoas": replace(bodies, voxels=psoas, names={1: "psoas"}),
        "calibration_rods": replace(bodies, voxels=rods, names=names),
    }


def measured(what, image, masks):
    case = Case(id="a", patient="a", images=Images({"lumbar_ct": image}), masks=Images(masks), groups=FACTS)
    return measure_cases([case], [what])


def refusals(rows):
    """The reasons of rows of which none has a value."""
    assert rows
    assert all(row["value"] is None for row in rows), [row for row in rows if row["value"] is not None][:3]
    return {row["abstained"] for row in rows}


@pytest.mark.parametrize("what", VOLUMES)
def test_the_scan_itself_is_good(what):
    assert any(row["value"] for row in measured(what, *scan()))


@pytest.mark.parametrize("what", VOLUMES)
def test_an_empty_mask(what):
    image, masks = scan()
    masks = masks | {"vertebral_bodies": masks["vertebral_bodies"].with_voxels(np.zeros(image.shape, dtype=np.uint8))}
    assert any("empty" in said or "not in the mask" in said or "no bone" in said or "nowhere" in said
               for said in refusals(measured(what, image, masks)))  # fmt: skip


@pytest.mark.parametrize("what", VOLUMES)
def test_mask_and_image_of_another_shape(what):
    image, masks = scan()
    if what == "vertebra":
        pytest.skip("heights are those of the mask; no image is looked at")
    cut = replace(image, voxels=image.voxels[1:])
    assert any("resample the mask" in said for said in refusals(measured(what, cut, masks)))


@pytest.mark.parametrize("what", [word for word in VOLUMES if word != "vertebra"])
def test_a_region_that_lies_elsewhere_or_outside_of_the_image(what):
    image, masks = scan()
    away = replace(image, origin=(500.0, 0.0, 0.0))
    assert any("mm away from the image" in said or "does not lie where the image lies" in said
               for said in refusals(measured(what, away, masks)))  # fmt: skip


@pytest.mark.parametrize("what", ["hounsfield", "density", "interpretation", "vertebra", "muscle", "elements"])
def test_a_body_that_the_image_cuts_off(what):
    """Cut through L2: of all three parts only what is whole is measured, and the rest says that it is cut."""
    image, masks = scan()
    middle = int(np.argwhere(masks["vertebral_bodies"].voxels == 2)[:, 0].mean())
    cut = [replace(each, voxels=each.voxels[:middle]) for each in (image, *masks.values())]
    rows = measured(what, cut[0], dict(zip(masks, cut[1:], strict=True)))
    for row in rows:
        if row["part"] in ("L1", "L2") and not row["name"].endswith(("_whole", "_eroded")):
            assert row["value"] is None
            assert any(word in row["abstained"] for word in ("cut", "not in the mask", "edge", "L1", "two or more"))


@pytest.mark.parametrize("what", VOLUMES)
def test_a_region_of_one_voxel(what):
    image, masks = scan()
    bodies = masks["vertebral_bodies"]
    one = np.zeros(image.shape, dtype=np.uint8)
    one[tuple(np.argwhere(bodies.voxels == 3).mean(axis=0).astype(int))] = 3
    rows = measured(what, image, masks | {"vertebral_bodies": replace(bodies, voxels=one, names={3: "L3"})})
    assert all(said for said in refusals(rows))


def test_nan_never_becomes_an_image_or_a_mask():
    image, masks = scan()
    broken = np.array(image.voxels)
    broken[3, 3, 3] = np.nan
    with pytest.raises(ValueError, match="NaN or infinite"):
        image.with_voxels(broken)
    with pytest.raises(ValueError, match="NaN or infinite"):
        masks["psoas"].with_voxels(broken)


@pytest.mark.parametrize("what", [word for word in VOLUMES if word not in ("vertebra", "radiomics")])
def test_a_volume_in_the_wrong_unit(what):
    image, masks = scan()
    for unit in ("stored", "1", "label"):
        reasons = refusals(measured(what, replace(image, unit=unit), masks))
        assert any("not in HU" in said or "mg/cm3" in said for said in reasons), reasons


@pytest.mark.parametrize("what", ["hounsfield", "density", "radiomics"])
def test_small_integers_do_not_overflow(what):
    """The same HU in 16 bits and in 64, so high that a square or a sum of some would wrap."""
    image, masks = scan()
    whole = np.round(image.voxels) + 1500
    wide, narrow = (measured(what, image.with_voxels(whole.astype(kind)), masks) for kind in (np.float64, np.int16))
    for one, other in zip(wide, narrow, strict=True):
        assert one["name"] == other["name"]
        assert one["value"] == pytest.approx(other["value"], rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("what", ["hounsfield", "density", "vertebra", "muscle"])
def test_anisotropic_and_turned_volumes_give_the_same_numbers(what):
    image, masks = scan((3.0, 1.5, 2.0))
    expected = {(row["part"], row["name"]): row["value"] for row in measured(what, image, masks)}
    turned = [list(orientations(each))[17] for each in (image, *masks.values())]
    for row in measured(what, turned[0], dict(zip(masks, turned[1:], strict=True))):
        assert row["value"] == pytest.approx(expected[row["part"], row["name"]], rel=1e-5)


def test_a_tilted_patient_has_the_same_density():
    """Ten degrees about the left-right axis, in the direction of the grid alone: the same voxels, another pose."""
    image, masks = scan()
    c, s = np.cos(np.deg2rad(10)), np.sin(np.deg2rad(10))
    direction = ((0.0, -s, c), (0.0, c, s), (1.0, 0.0, 0.0))
    straight = {(row["part"], row["name"]): row["value"] for row in measured("density", image, masks)}
    masks = {role: replace(mask, direction=direction) for role, mask in masks.items()}
    for row in measured("density", replace(image, direction=direction), masks):
        assert row["value"] == pytest.approx(straight[row["part"], row["name"]], rel=0.02)


def test_a_gantry_tilt_is_refused_where_it_is_read(tmp_path):
    import nibabel

    affine = np.diag([1.0, 1.0, 3.0, 1.0])
    affine[1, 2] = 0.6
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 4, 4), dtype=np.int16), affine), tmp_path / "tilted.nii.gz")
    with pytest.raises(ValueError, match="skewed"):
        read_nifti(tmp_path / "tilted.nii.gz", unit="HU")


# --- pictures and maps


def pictured(what, image, mask, role="hip_dxa", mask_role="hip_regions"):
    case = Case(id="a", patient="a", images=Images({role: image}), masks=Images({mask_role: mask}),
                table={"sex": "female", "age_years": 70.0})  # fmt: skip
    return measure_cases([case], [what])


@pytest.mark.parametrize("what", ["areal", "interpretation", "texture"])
def test_maps_are_as_strict(what):
    images, masks = hip()
    image, mask = images["hip_dxa"], masks["hip_regions"]
    noisy = image.with_voxels(image.voxels + np.random.default_rng(0).normal(0, 0.01, image.shape))
    assert any(row["value"] for row in pictured(what, noisy, mask))
    empty = mask.with_voxels(np.zeros(mask.shape, dtype=np.uint8))
    one = np.zeros(mask.shape, dtype=np.uint8)
    one[0, 20, 20] = 1
    for broken, words in (
        (empty, ("empty", "0 pixels", "neither the femoral neck", "not in the mask")),
        (mask.with_voxels(one), ("1 pixels", "0 pixels", "neither the femoral neck", "empty")),
        (replace(mask, origin=(9.0, 0.0, 0.0)), ("mm away from the image",)),
        (replace(mask, voxels=mask.voxels[:, 1:]), ("resample the mask",)),
    ):
        for said in refusals(pictured(what, noisy, broken)):
            assert any(word in said for word in (*words, "T-score", "Z-score")), said


@pytest.mark.parametrize("what", ["areal", "interpretation"])
def test_a_map_in_the_wrong_unit(what):
    images, masks = hip()
    for said in refusals(pictured(what, replace(images["hip_dxa"], unit="log"), masks["hip_regions"])):
        assert "in 'log'" in said


def test_every_quantity_is_tried_here():
    assert {*VOLUMES, "areal", "interpretation", "texture"} == set(QUANTITIES)


def test_an_image_that_is_not_there_is_named():
    flat = Image(voxels=np.ones((1, 5, 5)), unit="stored", space="detector")
    case = Case(id="a", patient="a", images=Images({"knee_xray": flat}), masks=Images({}))
    (row,) = measure_cases([case], ["hounsfield"])
    assert "hounsfield is measured in images of ct; images here: knee_xray" in row["abstained"]
