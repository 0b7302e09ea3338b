"""The population: drawn alone or together alike, near NHANES, and had back from an enriched sample by its weights."""

import numpy as np
import pytest

from trabecula.phantom.chance import Chance
from trabecula.phantom.population import OLDEST, YOUNGEST, class_shares, draw, usual_bmd

PEOPLE = np.arange(40_000)
MEASURES = ("femoral_neck", "total_hip", "lumbar", "bmi", "height")

# NHANES 2007-2008, weighted mean and SD by sex and decade, 80 and over together: femoral neck, total hip and L1-L4 in
# g/cm2, BMI in kg/m2, height in cm as it was told.
NHANES = {
    ("female", 20): ((0.905, 0.986, 1.074, 27.9, 164.0), (0.131, 0.127, 0.111, 8.3, 7.7)),
    ("female", 30): ((0.859, 0.962, 1.071, 28.6, 164.0), (0.126, 0.129, 0.123, 7.3, 7.2)),
    ("female", 40): ((0.834, 0.950, 1.056, 28.7, 163.9), (0.125, 0.129, 0.131, 7.1, 7.4)),
    ("female", 50): ((0.779, 0.902, 0.979, 29.5, 162.9), (0.129, 0.138, 0.139, 7.4, 6.9)),
    ("female", 60): ((0.729, 0.853, 0.945, 28.9, 163.1), (0.117, 0.129, 0.149, 6.4, 6.5)),
    ("female", 70): ((0.698, 0.820, 0.932, 28.7, 161.3), (0.123, 0.145, 0.176, 6.1, 6.6)),
    ("female", 80): ((0.644, 0.760, 0.936, 26.6, 158.6), (0.116, 0.125, 0.140, 4.6, 6.9)),
    ("male", 20): ((0.956, 1.075, 1.058, 26.8, 177.6), (0.131, 0.128, 0.115, 6.0, 8.1)),
    ("male", 30): ((0.898, 1.042, 1.044, 28.6, 177.6), (0.136, 0.141, 0.122, 6.1, 8.2)),
    ("male", 40): ((0.876, 1.040, 1.046, 28.9, 177.9), (0.125, 0.128, 0.132, 5.7, 8.1)),
    ("male", 50): ((0.844, 1.029, 1.052, 29.2, 177.6), (0.124, 0.137, 0.146, 5.8, 7.9)),
    ("male", 60): ((0.815, 1.004, 1.057, 29.6, 177.2), (0.138, 0.148, 0.147, 6.2, 7.6)),
    ("male", 70): ((0.785, 0.978, 1.085, 29.2, 175.9), (0.125, 0.148, 0.182, 5.1, 7.2)),
    ("male", 80): ((0.740, 0.919, 1.084, 26.8, 175.2), (0.121, 0.146, 0.204, 4.1, 7.3)),
}


@pytest.fixture(scope="module")
def population():
    return draw(Chance(0, PEOPLE), enriched=False)


@pytest.fixture(scope="module")
def enriched():
    return draw(Chance(1, PEOPLE), enriched=True)


def test_chance_is_uniform_and_its_names_are_independent():
    chance = Chance(3, PEOPLE)
    first, second = chance.uniform("first"), chance.uniform("second")
    counts = np.histogram(first, bins=20, range=(0, 1))[0]
    assert ((counts - 2000) ** 2 / 2000).sum() < 50  # chi-square of 19 degrees, P = 0.0001
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(len(PEOPLE))
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 4 / np.sqrt(len(PEOPLE))
    assert abs(np.corrcoef(chance.normal("first"), chance.normal("first", 1))[0, 1]) < 4 / np.sqrt(len(PEOPLE))


@pytest.mark.parametrize("kind", [False, True])
def test_a_person_does_not_depend_on_who_else_is_drawn(kind):
    together = draw(Chance(5, np.arange(300)), enriched=kind)
    alone = draw(Chance(5, np.array([217])), enriched=kind)
    assert (together.bmd[217] == alone.bmd[0]).all()
    assert together.height_cm[217] == alone.height_cm[0]
    assert not (draw(Chance(6, np.array([217])), enriched=kind).bmd == alone.bmd).all()


@pytest.mark.parametrize(("sex", "decade"), NHANES)
def test_bodies_are_those_of_nhanes(population, sex, decade):
    """Means within 3 %, SDs within 10 %; 20 % for BMI, whose long tail in the young no lognormal law has.

    The SD of the spine from 70 on is exempt: half is missing there, not at random.
    """
    chosen = (population.sex == int(sex == "male")) & (np.minimum(population.age // 10, 8) == decade // 10)
    people = np.column_stack([population.bmd, population.bmi, population.height_cm])[chosen]
    means, spreads = NHANES[sex, decade]
    for name, values, mean, spread in zip(MEASURES, people.T, means, spreads, strict=True):
        assert values.mean() == pytest.approx(mean, rel=0.03), name
        if name != "lumbar" or decade < 70:
            assert values.std() == pytest.approx(spread, rel=0.20 if name == "bmi" else 0.10), name


@pytest.mark.parametrize(("sex", "low", "high"), [(0, 0.052, 0.084), (1, 0.007, 0.021)])
def test_osteoporosis_of_the_femoral_neck_is_as_common_as_in_nhanes(sex, low, high):
    """From 50 on, within the survey's own 95 % interval: 6.8 % (5.2-8.4) of women, 1.4 % (0.7-2.1) of men."""
    many = draw(Chance(11, np.arange(100_000)), enriched=False)
    grown = (many.sex == sex) & (many.age >= 50)
    assert low < (many.t_scores[grown, 0] <= -2.5).mean() < high


def test_neck_and_spine_go_together(population):
    assert np.corrcoef(population.bmd[:, 0], population.bmd[:, 2])[0, 1] == pytest.approx(0.65, abs=0.03)
    women = (population.sex == 0) & (population.age // 10 == 6)
    assert np.corrcoef(population.bmd[women, 0], population.bmd[women, 2])[0, 1] == pytest.approx(0.65, abs=0.05)


def test_usual_bone_is_the_median(population):
    usual = usual_bmd(population.sex, population.age)
    assert (population.bmd < usual).mean(axis=0) == pytest.approx([0.5] * 3, abs=0.01)
    assert population.age.min() == YOUNGEST
    assert 90 < population.age.max() <= OLDEST


def test_enriched_is_a_third_a_class_with_age_and_sex_alike(enriched):
    shares = np.bincount(enriched.who_class, minlength=3) / len(PEOPLE)
    assert shares == pytest.approx([1 / 3] * 3, abs=0.02)
    ages = [enriched.age[enriched.who_class == grade].mean() for grade in range(3)]
    women = [(enriched.sex[enriched.who_class == grade] == 0).mean() for grade in range(3)]
    assert max(ages) - min(ages) < 0.8
    assert max(women) - min(women) < 0.04


def test_weights_give_the_population_back(population, enriched):
    """Class shares by sex, and mean BMI of those with osteoporosis, within four standard errors."""
    for sex in (0, 1):
        there, here = population.eligible & (population.sex == sex), enriched.sex == sex
        for grade in range(3):
            share = (population.who_class[there] == grade).mean()
            inside = enriched.who_class[here] == grade
            again = np.average(inside, weights=enriched.weight[here])
            errors = (
                share * (1 - share) / there.sum()
                + (((inside - again) * enriched.weight[here]) ** 2).sum() / enriched.weight[here].sum() ** 2
            )
            assert abs(share - again) < 4 * np.sqrt(errors)
    ill, ill_here = population.who_class == 2, enriched.who_class == 2
    again = np.average(enriched.bmi[ill_here], weights=enriched.weight[ill_here])
    assert abs(population.bmi[ill].mean() - again) < 4 * population.bmi[ill].std() / np.sqrt(ill.sum()) + 0.2
    assert enriched.weight.mean() == pytest.approx(1, abs=0.02)
    assert enriched.bmi[ill_here].mean() != pytest.approx(population.bmi[population.eligible].mean(), abs=1)


def test_class_shares_are_those_of_many_people(population):
    chosen = population.eligible & (population.sex == 0) & (population.age >= 60) & (population.age < 63)
    expected = class_shares()[0, 40:43, 2].mean()
    share = (population.who_class[chosen] == 2).mean()
    assert abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / chosen.sum())
