"""Tissues that are found: what they are taken for in made patients and real CTs, and density by them beside rods."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.measure.bodies import orientations
from trabecula.cohorts.phantom_lumbar_ct.cohort import SETTINGS, make
from trabecula.image import Image, read_nifti
from trabecula.measure.density import internal_calibration, rod_calibration
from trabecula.measure.masks import named_mask
from trabecula.measure.tissues import found_tissues

DATA = Path(__file__).parents[3] / "shared" / "data"

HU = {"air": -1000.0, "fat": -100.0, "muscle": 45.0, "blood": 40.0, "bone": 200.0}


def made(**changed):
    """A patient of blocks: bone in muscle in fat in air, an aorta before the bone, 80 x 120 x 120 mm."""
    hu = HU | changed
    labels = np.zeros((20, 60, 60), dtype=np.uint8)
    voxels = np.full(labels.shape, hu["air"])
    voxels[:, 8:54, 8:52] = hu["fat"]
    voxels[:, 24:46, 16:44] = hu["muscle"]
    voxels[4:16, 24:34, 24:36] = hu["bone"]
    voxels[:, 14:22, 26:36] = hu["blood"]
    labels[4:16, 24:34, 24:36] = 1
    labels[:, 14:22, 26:36] = 2
    voxels += np.random.default_rng(0).normal(0, 12, voxels.shape)
    geometry = {"spacing": (4.0, 2.0, 2.0), "origin": (-60.0, -60.0, 0.0)}
    return (Image(voxels=voxels, unit="HU", **geometry),
            Image(voxels=labels, unit="label", names={1: "L3", 2: "aorta"}, **geometry))  # fmt: skip


def readings(image, found):
    return {name: image.voxels[found.voxels == value].mean() for value, name in found.names.items()}


def test_each_tissue_is_found_and_nothing_else_is_in_it():
    image, mask = made()
    found = found_tissues(image, [mask])
    assert readings(image, found) == pytest.approx({name: HU[name] for name in found.names.values()}, abs=1.0)
    assert set(found.names.values()) == {"air", "fat", "muscle", "blood"}


def test_orientation_changes_nothing_but_where_blocks_begin():
    image, mask = made()
    expected = readings(image, found_tissues(image, [mask]))
    for own, named in zip(list(orientations(image))[::5], list(orientations(mask))[::5], strict=True):
        assert readings(own, found_tissues(own, [named])) == pytest.approx(expected, abs=1.0)


def test_named_muscle_is_taken_before_what_lies_behind_the_spine():
    image, mask = made()
    labels = np.array(mask.voxels)
    labels[:, 26:34, 17:23] = 3
    voxels = np.where(labels == 3, 60.0, image.voxels)
    named = replace(mask, voxels=labels, names={**mask.names, 3: "right psoas"})
    found = found_tissues(image.with_voxels(voxels), [named])
    assert readings(image.with_voxels(voxels), found)["muscle"] == pytest.approx(60, abs=1)


def test_the_edge_of_the_field_and_cut_off_air_are_no_air():
    image, mask = made()
    edge = np.where(image.voxels < -900, -1000.0, image.voxels)
    cut = np.maximum(image.voxels, -1000.0)
    for voxels in (edge, cut):
        assert "air" not in found_tissues(image.with_voxels(voxels), [mask]).names.values()


def test_contrast_in_the_aorta_is_refused_by_the_calibration():
    image, mask = made(blood=180.0)
    with pytest.raises(ValueError, match="the blood reads 180 HU"):
        internal_calibration(image, found_tissues(image, [mask]))


def test_what_cannot_be_found_is_refused():
    image, mask = made(fat=45.0)
    with pytest.raises(ValueError, match="of fat could be found near the bones"):
        found_tissues(image, [mask])
    with pytest.raises(ValueError, match="not in HU"):
        found_tissues(replace(image, unit="stored"), [mask])
    with pytest.raises(ValueError, match="no bone is named"):
        found_tissues(image, [replace(mask, names={2: "aorta"})])
    with pytest.raises(ValueError, match="resample the mask"):
        found_tissues(image, [replace(mask, voxels=mask.voxels[1:])])
    with pytest.raises(ValueError, match="no spacing"):
        found_tissues(replace(image, spacing=None), [replace(mask, spacing=None)])


def against_rods(patient):
    case = make(patient, 0, SETTINGS | {"contrast": "none"})
    image = case.images.source("lumbar_ct").load()
    bodies, rods = (case.masks.source(role).load() for role in ("vertebral_bodies", "calibration_rods"))
    by_rods = rod_calibration(image, rods)
    own = internal_calibration(image, found_tissues(image, [bodies]), material=by_rods.material)
    return own.mg_cm3_per_hu / by_rods.mg_cm3_per_hu, own.mg_cm3(150.0) - by_rods.mg_cm3(150.0)


@pytest.mark.slow
def test_made_patients_are_calibrated_as_by_the_rods_where_fat_is_what_it_is_taken_for():
    """Slopes within 1.5 %, densities at 150 HU within 2.5 mg/cm3; made fat is the fat of the tables, as people's is
    only roughly: 3 HU of it make 6 %."""
    slopes, off = np.array([against_rods(patient) for patient in range(5)]).T
    assert np.abs(slopes - 1).max() < 0.02
    assert np.abs(off).max() < 3


@pytest.mark.skipif(not (DATA / "ct_hip").exists(), reason="needs ../shared/data/ct_hip")
def test_real_scans_have_the_energy_that_scanners_have():
    """120 to 140 kV behind a pelvis are as 64 to 78 keV; with ICRU 44's adipose they would be as 45 to 60."""
    for name in ("STS_011", "STS_015", "STS_026"):
        image = read_nifti(DATA / "ct_hip" / f"{name}_CT.nii.gz", unit="HU")
        bone = replace(image, voxels=(image.voxels > 350).astype(np.uint8), unit="label", names={1: "bone"})
        found = internal_calibration(image, found_tissues(image, [bone]))
        assert 62 < float(found.source.split()[-2]) < 78
        assert 0.6 < found.mg_cm3_per_hu < 0.95


@pytest.mark.skipif(not (DATA / "ct_totalseg_example").exists(), reason="needs ../shared/data/ct_totalseg_example")
def test_a_published_label_map_names_muscle_and_aorta():
    folder = DATA / "ct_totalseg_example"
    image = read_nifti(folder / "example_ct.nii.gz", unit="HU")
    mask = named_mask(read_nifti(folder / "all_117_classes.nii.gz", unit="label"), "totalsegmentator")
    found = found_tissues(image, [mask])
    read = readings(image, found)
    assert -112 < read["fat"] < -90
    assert 30 < read["muscle"] < 70
