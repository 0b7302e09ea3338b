"""Made hip CTs: HU follow bone, rods calibrate them, masks are exact, and twins differ in one thing."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from trabecula.cohort import open_cohort
from trabecula.cohorts.phantom_hip_ct.cohort import SETTINGS, make
from trabecula.metrics import auc

SHORT = (100.0, 210.0)
"""A field that holds head, neck and trochanters: quicker than the whole."""


def source(patient, seed=0, **settings):
    recipe = make(patient, seed, {**SETTINGS, **settings}).images.source("hip_ct")
    scanner = replace(recipe.scanner, pixel_mm=1.4, slice_mm=3.0, interval_mm=3.0)
    return replace(recipe, scanner=scanner, field_mm=SHORT, shift_mm=(recipe.shift_mm[0], 0.0, 10.0))


@cache
def volume(patient, role="hip_ct", **settings):
    return replace(source(patient, **settings), role=role).load()


def hydroxyapatite():
    """Return a patient whose rods are made of hydroxyapatite."""
    return next(n for n in range(20) if source(n).rods == "hydroxyapatite")


def core(patient):
    """Return the voxels of the head well within its cortex."""
    femur = volume(patient, "proximal_femur").voxels > 0
    inside = binary_erosion(femur, np.ones((3, 5, 5)), iterations=2)
    inside[: int(0.66 * len(inside))] = False
    return inside


def test_hu_follows_the_bone_of_a_twin_and_nothing_else_moves():
    patient = hydroxyapatite()
    usual, dense = (volume(patient, bone_shift=shift).voxels for shift in (0.0, 1.5))
    inside, bones = core(patient), volume(patient, "bones").voxels > 0
    assert inside.sum() > 50
    assert dense[inside].mean() > usual[inside].mean() + 10
    near = binary_erosion(~bones, np.ones((3, 3, 3)), iterations=2)
    assert np.abs(dense - usual)[near].mean() < 0.5


def test_rods_calibrate_the_head_but_for_the_fat_of_its_marrow():
    """Yellow marrow reads less than water, so that density is told too low: by 10 to 90 mg/cm3, and less than true."""
    patient = hydroxyapatite()
    image, rods = volume(patient, noise_scale=0.1), volume(patient, "calibration_rods")
    known, read = [], []
    for value, name in rods.names.items():
        known.append(float(name.split()[1]))
        read.append(image.voxels[binary_erosion(rods.voxels == value, np.ones((1, 3, 3)), iterations=3)].mean())
    slope, offset = np.polyfit(read, known, 1)
    assert np.abs(slope * np.array(read) + offset - known).max() < 4
    found = slope * image.voxels[core(patient)].mean() + offset
    field = source(patient)
    true = field.owner.mineral.trabecular_mg_cm3
    assert 0.3 * true < found < 3.0 * true
    assert 1.0 < 1 / slope < 1.8, "HU per mg/cm3; 1.3 to 1.6 by size, computed from attenuation"


def test_masks_are_exact_and_of_the_side_asked_for():
    patient = hydroxyapatite()
    recipe = source(patient)
    femur, bones = volume(patient, "proximal_femur"), volume(patient, "bones")
    side = "left" if recipe.side == "L" else "right"
    assert set(femur.names.values()) == {f"{side} femur"}
    assert set(femur.names.values()) < set(bones.names.values())
    value = next(value for value, name in bones.names.items() if name == f"{side} femur")
    assert np.array_equal(bones.voxels == value, femur.voxels > 0)
    x = femur.origin[0] + np.where(femur.voxels.any(axis=(0, 1)))[0].mean() * femur.spacing[2]
    assert (x > 0) == (side == "left"), "x grows to the patient's left"
    image = volume(patient)
    assert image.voxels[femur.voxels > 0].mean() > 150 > image.voxels[bones.voxels == 0].mean()


def test_the_head_fits_its_socket():
    """A joint space of 2 to 6 mm between femur and hip bone above the head."""
    patient = hydroxyapatite()
    owner = source(patient).owner
    gap = owner.hip.pelvis.socket_mm - owner.hip.femur.head_mm
    assert 2 < gap < 6
    bones = volume(patient, "bones")
    named = {name: bones.voxels == value for value, name in bones.names.items()}
    femur = next(mask for name, mask in named.items() if "femur" in name)
    hip = next(mask for name, mask in named.items() if "hip bone" in name and mask.sum() > 1000)
    assert not (femur & hip).any()


def test_noise_kernel_and_position_are_twins_of_their_own():
    patient = hydroxyapatite()
    usual, sharp, loud = volume(patient), volume(patient, kernel="bone"), volume(patient, noise_scale=2.0)
    muscle = (np.abs(volume(patient, noise_scale=0.01).voxels - 45) < 25) & (volume(patient, "bones").voxels == 0)
    assert loud.voxels[muscle].std() > 1.4 * usual.voxels[muscle].std()
    assert sharp.voxels[muscle].std() > usual.voxels[muscle].std()
    pixel = source(patient).scanner.pixel_mm
    moved, still = (volume(patient, "proximal_femur", shift_mm=mm).voxels for mm in (4 * pixel, 0.0))
    assert np.array_equal(moved[:, :, :-4], still[:, :, 4:])


def test_bad_fields_are_one_clear_line():
    with pytest.raises(ValueError, match="a field is positive"):
        replace(source(0), field_mm=(0.0, 200.0))
    with pytest.raises(ValueError, match="enlarge it"):
        replace(source(0), field_mm=(1.0, 200.0)).load()


def test_enough_hips_break_and_true_density_tells_enough():
    """At n = 1,000; the AUC for osteoporosis is population-weighted."""
    cases = open_cohort("phantom_hip_ct").cases
    outcomes = [case.truth["time_to_hip_fracture"] for case in cases if "time_to_hip_fracture" in case.truth]
    assert sum(each.event == 1 for each in outcomes) >= 100
    density = [-case.images.source("hip_ct").recipe.owner.mineral.trabecular_mg_cm3 for case in cases]
    truth, weights = [case.truth["osteoporosis_dxa"] for case in cases], [case.weight for case in cases]
    assert 0.77 < auc(truth, density, weights) < 0.88
