"""Made hip radiographs: twins that differ in one thing, exact regions, mirrored sides, a difficulty that is fair."""

import math
import time
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from tests.cohorts.told import acquisition, coarse, cross_validated
from trabecula.cohort import open_cohort
from trabecula.cohorts.phantom_hip_xray.cohort import SETTINGS, make
from trabecula.metrics import auc, auc_interval


def source(patient, seed=0, **settings):
    return make(patient, seed, {**SETTINGS, **settings}).images.source("hip_xray")


@cache
def pixels(patient, *, part="picture", **settings):
    return coarse(source(patient, **settings), part=part).load().voxels[0].astype(float)


def recipes(n, seed=0):
    cases = open_cohort("phantom_hip_xray", n=n, seed=seed).cases
    return cases, np.array([case.truth["osteoporosis_dxa"] for case in cases])


def test_grey_follows_the_bone_of_a_twin():
    femur = pixels(3, part="proximal_femur") > 0
    sparse, usual, dense = (pixels(3, bone_shift=shift) for shift in (-1.0, 0.0, 1.0))
    assert sparse[femur].mean() + 3 < usual[femur].mean() < dense[femur].mean() - 3
    regions = pixels(3, part="hip_regions")
    for label in (1, 2, 3):
        assert sparse[regions == label].mean() < dense[regions == label].mean() - 3, label


def test_noise_position_and_beam_are_twins_of_their_own():
    usual = pixels(3)
    louder, other = pixels(3, noise_scale=3.0), pixels(3, kvp_shift=10.0)
    assert np.corrcoef(usual.ravel(), louder.ravel())[0, 1] > 0.99
    assert (louder - usual).std() > 0.5
    assert np.corrcoef(usual.ravel(), other.ravel())[0, 1] > 0.98
    assert (other != usual).mean() > 0.3
    pixel = coarse(source(3)).film.xray.pixel_mm
    moved, still = (pixels(3, part="proximal_femur", shift_mm=mm) > 0 for mm in (4 * pixel, 0.0))
    assert np.array_equal(moved[:, :-4], still[:, 4:]), "the field moved to the left by four pixels"


def test_the_other_side_is_mirrored():
    recipe = coarse(source(8))
    film = replace(recipe.film, quanta=math.inf, marker="none", shutter=(0.0,) * 4)
    right, left = (replace(recipe, side=side, film=film, shift_mm=(0.0, 0.0)).load().voxels[0] for side in "RL")
    assert np.array_equal(right, left[:, ::-1])
    assert (right != left).mean() > 0.5
    regions = [replace(recipe, side=side, shift_mm=(0.0, 0.0), part="hip_regions").load().voxels[0] for side in "RL"]
    assert np.array_equal(regions[0], regions[1][:, ::-1])


def test_regions_lie_within_the_femur_and_are_the_truth():
    case = make(4, 0, SETTINGS)
    regions, femur = (case.masks[role] for role in ("hip_regions", "proximal_femur"))
    assert case.truth["hip_region_mask"].digest == case.masks.source("hip_regions").digest
    assert set(regions.names.values()) == {"femoral neck", "trochanter", "intertrochanteric", "Ward's triangle"}
    assert not ((regions.voxels > 0) & (femur.voxels == 0)).any()
    total = (regions.voxels > 0).sum() * np.prod(regions.spacing[1:]) / 100
    assert 25 < total < 55, "cm2 of total hip; some 30 to 45 in adults"
    assert femur.voxels.sum() > 1.5 * (regions.voxels > 0).sum()


def test_a_film_of_both_hips_is_symmetric_but_for_gas_and_noise():
    recipe = coarse(source(5))
    film = replace(recipe.film, rows=80, columns=90, quanta=math.inf, marker="none", shutter=(0.0,) * 4)
    whole = replace(recipe, film=replace(film, xray=replace(film.xray, pixel_mm=4.5)), both=True, shift_mm=(0.0, 0.0))
    grey = whole.load().voxels[0].astype(float)
    assert np.median(np.abs(grey - grey[:, ::-1])) < 3
    with pytest.raises(ValueError, match="masks are of one hip"):
        replace(whole, part="hip_regions").load()


def test_true_bone_tells_enough_and_acquisition_tells_nothing():
    """AUC for osteoporosis at n = 1,000, the first weighted back to the population: no picture is made."""
    cases, truth = recipes(1000, seed=1)
    weights = [case.weight for case in cases]
    density = [-case.images.source("hip_xray").recipe.owner.mineral.trabecular_mg_cm3 for case in cases]
    assert 0.77 < auc(truth, density, weights) < 0.88
    assert 0.44 < auc(truth, cross_validated(truth, acquisition(cases))) < 0.56


@pytest.mark.slow
def test_the_mean_of_the_picture_tells_less_and_its_regions_tell_more():
    """Films of four times wider pixels at n = 120: greys of the regions and of the soft tissue beside."""
    cases, truth = recipes(120, seed=2)
    means, read, density = [], [], []
    for case in cases:
        recipe = coarse(case.images.source("hip_xray").recipe)
        grey = recipe.load().voxels[0].astype(float)
        labels, femur = (replace(recipe, part=part).load().voxels[0] for part in ("hip_regions", "proximal_femur"))
        beside = binary_dilation(femur, iterations=5) & ~binary_dilation(femur, iterations=2)
        means.append(-grey.mean())
        inside = [level for label in (1, 2, 3) for level in np.percentile(grey[labels == label], (10, 50, 90))]
        read.append([*inside, *np.percentile(grey[beside], (25, 75)), grey.mean(), grey[labels > 0].std()])
        density.append(-recipe.owner.mineral.trabecular_mg_cm3)
    assert auc(truth, means) < auc(truth, density) - 0.10
    assert auc_interval(truth, cross_validated(truth, read)).low > 0.60


@pytest.mark.slow
def test_a_film_of_512_pixels_takes_two_seconds():
    recipes_ = [replace(source(n), film=replace(source(n).film, rows=512, columns=512)) for n in range(3)]
    recipes_[0].load()
    started = time.process_time()
    for each in recipes_[1:]:
        each.load()
    assert (time.process_time() - started) / 2 < 3
