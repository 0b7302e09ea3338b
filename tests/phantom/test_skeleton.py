"""Truths of the skeleton: L1 as CT reads it by age, how bone goes with bone, and how much density tells of DXA."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from trabecula.phantom.chance import Chance
from trabecula.phantom.ct import Scanner, hounsfield
from trabecula.phantom.material import trabecular_bone
from trabecula.phantom.people import draw_columns


@pytest.fixture(scope="module")
def adults():
    return draw_columns(Chance(0, np.arange(30_000)), enriched=False)


def l1_hu(adults, chosen):
    """Return HU of L1 at 120 kVp behind 25 cm of water of at most 600 of those chosen."""
    rows = np.flatnonzero(chosen)[:600]
    density, fat = (adults.skeleton[name][rows] for name in ("lumbar_vbmd_mg_cm3", "marrow_fat"))
    return np.array([
        hounsfield(trabecular_bone(mg_cm3, fat=share), Scanner(), water_cm=25)
        for mg_cm3, share in zip(density.tolist(), fat.tolist(), strict=True)
    ])  # fmt: skip


@pytest.mark.parametrize(("low", "high", "mean", "sd"), [(20, 30, 226, 44), (90, 96, 89, 38)])
def test_l1_reads_what_is_published_at_both_ends_of_life(low, high, mean, sd):
    many = draw_columns(Chance(1, np.arange(40_000)), enriched=False)
    age = many.bodies.age
    hu = l1_hu(many, (age >= low) & (age < high))
    assert hu.mean() == pytest.approx(mean, rel=0.10)
    assert hu.std() == pytest.approx(sd, rel=0.10)


def test_l1_falls_by_two_and_a_half_a_year_among_those_who_were_scanned(adults):
    """20,374 adults of 60 +- 12 years: people are taken with the chance that gives them that age."""
    age = adults.bodies.age
    counts = np.bincount(age.astype(int), minlength=96)[age.astype(int)]
    wanted = np.exp(-0.5 * ((age - 60) / 12) ** 2) / counts
    chosen = np.random.default_rng(0).choice(len(age), 2000, replace=False, p=wanted / wanted.sum())
    hu = np.concatenate([l1_hu(adults, np.isin(np.arange(len(age)), part)) for part in np.array_split(chosen, 4)])
    ages = np.concatenate([age[np.sort(part)] for part in np.array_split(chosen, 4)])
    assert np.polyfit(ages, hu, 1)[0] == pytest.approx(-2.5, rel=0.10)


def test_women_read_higher_until_the_menopause_and_like_men_after_it(adults):
    woman, age = adults.bodies.sex == 0, adults.bodies.age
    young, old = (age >= 25) & (age < 40), (age >= 60) & (age < 75)
    assert l1_hu(adults, woman & young).mean() - l1_hu(adults, ~woman & young).mean() > 4
    assert abs(l1_hu(adults, woman & old).mean() - l1_hu(adults, ~woman & old).mean()) < 8


def test_trabecular_density_goes_with_areal_bmd(adults):
    bmd, skeleton = adults.bodies.bmd, adults.skeleton
    assert 0.60 < np.corrcoef(skeleton["lumbar_vbmd_mg_cm3"], bmd[:, 2])[0, 1] < 0.70
    assert 0.60 < np.corrcoef(skeleton["hip_vbmd_mg_cm3"], bmd[:, 0])[0, 1] < 0.85
    assert abs(np.corrcoef(skeleton["wall"], bmd[:, 0])[0, 1]) < 0.03
    assert abs(np.corrcoef(skeleton["axial"], bmd[:, 2])[0, 1]) < 0.03


def test_marrow_fat_rises_with_age_and_falls_with_density(adults):
    fat, age = adults.skeleton["marrow_fat"], adults.bodies.age
    assert fat[age >= 80].mean() > fat[age < 30].mean() + 0.25
    women = (adults.bodies.sex == 0) & (age >= 60) & (age < 65)
    assert np.corrcoef(fat[women], adults.skeleton["lumbar_vbmd_mg_cm3"][women])[0, 1] < -0.25


def test_muscle_and_fat_follow_body_and_sex(adults):
    sex, age, psoas = adults.bodies.sex, adults.bodies.age, adults.skeleton["psoas_cm2"]
    assert psoas[sex == 1].mean() > 1.4 * psoas[sex == 0].mean()
    assert psoas[age >= 75].mean() < 0.85 * psoas[age < 40].mean()
    share = adults.skeleton["fat_mass_share"]
    assert share[sex == 0].mean() > share[sex == 1].mean() + 0.08
    assert np.corrcoef(share[sex == 0], adults.bodies.bmi[sex == 0])[0, 1] > 0.7


def test_trabecular_density_tells_osteoporosis_hard_but_fair():
    areas = []
    for seed in range(10):
        drawn = draw_columns(Chance(seed, np.arange(1000)), enriched=True)
        ill, density = drawn.bodies.who_class == 2, drawn.skeleton["lumbar_vbmd_mg_cm3"]
        areas.append(roc_auc_score(ill, -density, sample_weight=drawn.bodies.weight))
    assert min(areas) > 0.78
    assert max(areas) < 0.88
