"""Made knee radiographs: reproducible, twins that differ in bone alone, and a difficulty that is fair."""

import pickle
import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from tests.cohorts.told import acquisition, cross_validated
from trabecula.cohort import open_cohort
from trabecula.cohorts.phantom_knee_xray.cohort import SETTINGS, make
from trabecula.image import Source
from trabecula.metrics import auc, auc_interval
from trabecula.phantom.knee_xray import KneeMask


def source(patient, seed=0, **settings):
    return make(patient, seed, {**SETTINGS, **settings}).images.source("knee_xray")


def pixels(patient, seed=0, **settings):
    return source(patient, seed, **settings).load().voxels[0].astype(float)


def recipes(n, seed=0, **settings):
    cases = open_cohort("phantom_knee_xray", n=n, seed=seed, settings=settings).cases
    return cases, np.array([case.truth["osteoporosis_dxa"] for case in cases])


def small(picture):
    """Return the middle of a picture at about 64 pixels a side: what a tiny network sees of it."""
    step = max(1, round(picture.shape[0] / 64))
    rows, columns = (size // step for size in picture.shape)
    blocks = picture[: rows * step, : columns * step].reshape(rows, step, columns, step).mean(axis=(1, 3))
    return blocks[int(0.25 * rows) : int(0.75 * rows), int(0.25 * columns) : int(0.75 * columns)]


def bone_greys(picture):
    """Return a simple hand-made feature: percentiles and spread of the greys in the middle."""
    middle = small(picture)
    return [*np.percentile(middle, (10, 25, 50, 75, 90, 97)), middle.std()]


def test_pictures_are_reproducible_picklable_and_apart():
    first = source(3)
    assert isinstance(first, Source)
    again = pickle.loads(pickle.dumps(first))
    assert again == first
    assert again.digest == first.digest
    assert again.load().digest == source(3).load().digest
    assert source(4).load().digest != first.load().digest
    assert source(3, seed=1).load().digest != first.load().digest


@pytest.mark.parametrize("changed", [{"bone_shift": 0.5}, {"kvp_shift": 5.0}, {"noise_scale": 2.0}, {"shift_mm": 3.0}])
def test_the_digest_changes_with_every_setting_that_changes_the_picture(changed):
    assert source(3, **changed).digest != source(3).digest
    assert (pixels(3, **changed) != pixels(3)).any()


def test_grey_follows_the_bone_of_a_twin():
    """Bone brightens step by step; elsewhere only scatter and edge enhancement from it are left, some two greys."""
    greys = [pixels(11, bone_shift=shift) for shift in (-2.0, -1.0, 0.0, 1.0)]
    table = [make(11, 0, {**SETTINGS, "bone_shift": shift}).table for shift in (-2.0, 1.0)]
    assert table[0] == table[1]
    changed = greys[3] - greys[0]
    bone, away = changed > np.percentile(changed, 90), changed < np.percentile(changed, 30)
    assert all(low + 3 < high for low, high in pairwise([grey[bone].mean() for grey in greys]))
    assert np.abs(changed[away]).mean() < 2
    assert make(11, 0, {**SETTINGS, "bone_shift": -6.0}).truth["osteoporosis_dxa"] == 1


def test_twins_have_the_same_noise():
    noises = [
        pixels(patient, bone_shift=shift, noise_scale=4.0) - pixels(patient, bone_shift=shift, noise_scale=1e-3)
        for patient, shift in ((11, 0.0), (11, -1.0))
    ]
    assert np.corrcoef(*(noise.ravel() for noise in noises))[0, 1] > 0.97
    assert noises[0].std() > 3


def test_trabecular_grey_alone_follows_trabecular_density():
    recipe = source(5)
    greys = [
        replace(recipe, bone=replace(recipe.bone, trabecular=density)).load().voxels[0].astype(float)
        for density in (-4.0, -3.0, -2.0, -1.0, 0.0)
    ]
    inside = greys[-1] - greys[0] > 8
    means = [grey[inside].mean() for grey in greys]
    assert inside.mean() > 0.05
    assert all(low + 1 < high for low, high in pairwise(means))


def test_noise_alone_moves_no_anatomy():
    clean, noisy = pixels(2, noise_scale=0.05), pixels(2, noise_scale=1.0)
    louder = pixels(2, noise_scale=2.0)
    ratio = (louder - clean).std() / (noisy - clean).std()
    assert 1.6 < ratio < 2.2


def test_the_other_side_is_mirrored():
    recipe = replace(source(8), side="R")
    bare = replace(recipe.film, quanta=np.inf)
    right, left = (replace(recipe, side=side, film=bare).load().voxels[0].astype(float) for side in "RL")
    below = slice(right.shape[0] // 3, None)  # the marker is not
    assert np.abs(right[below] - left[below, ::-1]).mean() < 0.5
    assert np.abs(right[below] - left[below]).mean() > 3


def test_a_planted_shortcut_follows_the_label_and_chance_does_not():
    cases, truth = recipes(400, shortcut=1.0)
    planted = {case.groups["site"] for case, ill in zip(cases, truth, strict=True) if ill}
    assert planted == {"north", "east"}
    clean = recipes(400)[0]
    assert {case.groups["site"] for case, ill in zip(clean, truth, strict=True) if ill} > planted
    with pytest.raises(ValueError, match="share from 0 to 1"):
        source(0, shortcut=1.5)
    with pytest.raises(ValueError, match="positive factor"):
        source(0, noise_scale=0.0)


def test_true_bone_tells_more_than_body_and_acquisition_tells_nothing():
    """AUC for osteoporosis at n = 2,000: no picture is made."""
    cases, truth = recipes(2000, seed=1)
    trabecular = auc_interval(truth, [-case.images.source("knee_xray").recipe.bone.trabecular for case in cases])
    body = [[case.number("age_years"), case.table["sex"] == "male", case.number("bmi_kg_m2")] for case in cases]
    assert trabecular.low > 0.80
    assert trabecular.high < 0.90
    assert 0.62 < auc(truth, cross_validated(truth, body)) < 0.75
    assert 0.45 < auc(truth, cross_validated(truth, acquisition(cases))) < 0.55


def test_bone_can_be_read_at_sixty_four_pixels():
    """The lower end of the interval at n = 90: better than chance by far."""
    cases, truth = recipes(90, seed=2)
    greys = [bone_greys(case.images["knee_xray"].voxels[0].astype(float)) for case in cases]
    assert auc_interval(truth, cross_validated(truth, greys)).low > 0.58


def test_the_mask_is_where_bone_is():
    """In a twin without noise grey changes inside the mask; outside it only by scatter and edge enhancement."""
    case = make(4, 0, SETTINGS)
    mask = case.masks["bone"].voxels[0] > 0
    changed = pixels(4, noise_scale=0.01) - pixels(4, bone_shift=-2.0, noise_scale=0.01)
    assert 0.1 < mask.mean() < 0.5
    assert np.median(changed[mask]) > 5
    assert np.median(np.abs(changed[~mask])) < 1.5


def test_a_film_higher_on_the_leg_shows_the_same_knee():
    recipe = replace(source(4, noise_scale=0.01), side="R")
    recipe = replace(recipe, film=replace(recipe.film, shutter=(0.0, 0.0, 0.0, 0.0), marker="none"))
    step = recipe.film.xray.pixel_mm
    here, moved = (KneeMask(picture=replace(recipe, shift_mm=mm)).load().voxels[0] for mm in (0.0, 20 * step))
    assert (here[:-20] != moved[20:]).mean() < 0.002
    assert (here != moved).mean() > 0.005


@pytest.mark.slow
def test_bone_is_in_the_picture_and_not_in_its_mean():
    """AUC for osteoporosis at n = 600, where true trabecular density alone has about 0.83."""
    cases, truth = recipes(600, seed=3)
    greys, means = [], []
    for case in cases:
        picture = case.images["knee_xray"].voxels[0].astype(float)
        greys.append(bone_greys(picture))
        means.append(picture.mean())
    assert auc(truth, cross_validated(truth, greys)) > 0.70
    assert auc(truth, -np.array(means)) < 0.65


@pytest.mark.slow
def test_a_picture_takes_a_third_of_a_second():
    sources = [source(patient) for patient in range(20)]
    started = time.process_time()
    for each in sources:
        each.load()
    assert (time.process_time() - started) / len(sources) < 0.4
