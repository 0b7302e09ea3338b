"""Made periapical radiographs: bone, beam and position each move what they should, and the difficulty is fair."""

import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from tests.cohorts.told import coarse
from trabecula.cohort import open_cohort
from trabecula.cohorts.phantom_periapical.cohort import SETTINGS, make
from trabecula.metrics import auc
from trabecula.phantom.periapical import NAMES, PeriapicalMask


def source(patient, seed=0, **settings):
    return make(patient, seed, {**SETTINGS, **settings}).images.source("periapical")


def pixels(patient, **settings):
    return source(patient, **settings).load().voxels[0].astype(float)


def mask(picture, what):
    return PeriapicalMask(picture=picture, what=what).load().voxels[0]


def test_a_film_is_as_large_as_one():
    """Size 2 films are 31 x 41 mm; sensors a little less."""
    for patient in range(12):
        film = source(patient).film
        assert 0.06 < film.xray.pixel_mm < 0.13
        assert 24 < film.rows * film.xray.pixel_mm < 34
        assert 34 < film.columns * film.xray.pixel_mm < 44
        assert 55 <= film.xray.kvp <= 75


def test_density_brightens_trabecular_bone_step_by_step():
    picture = source(4)
    region = mask(picture, "trabecular_region") > 0
    greys = [
        replace(picture, bone=replace(picture.bone, trabecular=sd)).load().voxels[0][region].mean()
        for sd in (-4.0, -2.0, 0.0, 2.0)
    ]
    assert region.mean() > 0.05
    assert all(low + 2 < high for low, high in pairwise(greys))


def test_crowns_are_brighter_than_bone_and_bone_than_the_cheek():
    for patient in (3, 4, 9):
        picture = source(patient)
        grey, label = picture.load().voxels[0].astype(float), mask(picture, "bones")
        above = (label == 0) & (np.arange(len(label)) < 0.5 * len(label))[:, None]
        assert np.percentile(grey[label == 2], 90) > grey[label == 1].mean() + 20 > grey[above].mean() + 40


def test_masks_agree_with_each_other():
    picture = source(6)
    found = {what: mask(picture, what) for what in NAMES}
    assert np.array_equal(found["bone"] == 1, found["bones"] == 1)
    assert (found["bone"][found["trabecular_region"] > 0] == 1).all()
    assert 0 < found["trabecular_region"].sum() < 0.8 * found["bone"].sum()


@pytest.mark.parametrize("changed", [{"kvp_shift": 5.0}, {"noise_scale": 2.0}, {"shift_mm": 2.0}])
def test_the_digest_changes_with_every_setting_that_changes_the_picture(changed):
    assert source(3, **changed).digest != source(3).digest
    assert (pixels(3, **changed) != pixels(3)).any()


def test_a_film_further_back_shows_the_same_jaw():
    picture = replace(source(4, noise_scale=0.2), side="L")
    step = picture.film.xray.pixel_mm / 1.06
    here, moved = (mask(replace(picture, shift_mm=mm), "bones") for mm in (0.0, 20 * step))
    assert (here[:, 20:] != moved[:, :-20]).mean() < 0.002
    assert (here != moved).mean() > 0.05
    grey, other = (replace(picture, shift_mm=mm).load().voxels[0].astype(float) for mm in (0.0, 20 * step))
    bone = here[:, 20:] == 1
    assert np.corrcoef(grey[:, 20:][bone], other[:, :-20][bone])[0, 1] > 0.7, "trabeculae move with the bone"
    assert np.corrcoef(grey[:, 20:][bone], other[:, 20:][bone])[0, 1] < 0.5


def test_twins_have_the_same_noise():
    noises = [
        pixels(4, bone_shift=shift, noise_scale=3.0) - pixels(4, bone_shift=shift, noise_scale=1e-3)
        for shift in (0.0, -1.0)
    ]
    assert np.corrcoef(*(noise.ravel() for noise in noises))[0, 1] > 0.95


def test_impossible_settings_say_what_is_possible():
    with pytest.raises(ValueError, match="share"):
        source(0, shortcut=1.5)
    with pytest.raises(ValueError, match="positive factor"):
        source(0, noise_scale=0.0)


def test_the_mean_of_the_picture_says_little():
    """AUC for osteoporosis at n = 90 on coarse pixels; the whole statement is `slow`."""
    cases = open_cohort("phantom_periapical", n=90, seed=5).cases
    truth = np.array([case.truth["osteoporosis_dxa"] for case in cases])
    mean = [coarse(case.images.source("periapical").recipe, 8).load().voxels.mean() for case in cases]
    density = [case.images.source("periapical").recipe.bone.trabecular for case in cases]
    assert auc(truth, -np.array(mean)) < auc(truth, -np.array(density)) - 0.05


@pytest.mark.slow
def test_a_picture_takes_less_than_a_second():
    sources = [source(patient) for patient in range(6)]
    sources[0].load()
    started = time.process_time()
    for each in sources:
        each.load()
    assert (time.process_time() - started) / len(sources) < 1.0
