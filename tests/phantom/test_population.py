"""The population: drawn alone or together alike, near NHANES, and had back from an enriched sample by its weights."""

import numpy as np
import pytest

from trabecula.phantom.chance import Chance
from trabecula.phantom.people import person
from trabecula.phantom.population import SITES, class_shares, draw
from trabecula.reference import who_class
from trabecula.target import VARIABLES

PEOPLE = np.arange(20_000)

# NHANES 2007-2008, weighted mean and SD in g/cm2 of femoral neck, total hip, L1-L4, by sex and decade from 40 on.
NHANES = {
    ("female", 40): ((0.834, 0.950, 1.056), (0.125, 0.129, 0.131)),
    ("female", 50): ((0.779, 0.902, 0.979), (0.129, 0.138, 0.139)),
    ("female", 60): ((0.729, 0.853, 0.945), (0.117, 0.129, 0.149)),
    ("female", 70): ((0.698, 0.820, 0.932), (0.123, 0.145, 0.176)),
    ("male", 40): ((0.876, 1.040, 1.046), (0.125, 0.128, 0.132)),
    ("male", 50): ((0.844, 1.029, 1.052), (0.124, 0.137, 0.146)),
    ("male", 60): ((0.815, 1.004, 1.057), (0.138, 0.148, 0.147)),
    ("male", 70): ((0.785, 0.978, 1.085), (0.125, 0.148, 0.182)),
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
    assert ((counts - 1000) ** 2 / 1000).sum() < 50  # chi-square of 19 degrees, P = 0.0001
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
def test_bone_density_is_near_nhanes(population, sex, decade):
    chosen = (population.sex == int(sex == "male")) & (population.age // 10 == decade // 10)
    mean, spread = NHANES[sex, decade]
    sites = slice(0, 3 if decade < 70 else 2)  # the spine of the oldest is missing in half, not at random
    assert population.bmd[chosen].mean(axis=0) == pytest.approx(mean, rel=0.03)
    assert population.bmd[chosen].std(axis=0)[sites] == pytest.approx(spread[sites], rel=0.13)


def test_neck_and_spine_go_together(population):
    women = (population.sex == 0) & (population.age // 10 == 6)
    assert np.corrcoef(population.bmd[women, 0], population.bmd[women, 2])[0, 1] == pytest.approx(0.65, abs=0.05)


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
    expected = class_shares()[0, 20:23, 2].mean()
    share = (population.who_class[chosen] == 2).mean()
    assert abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / chosen.sum())


@pytest.mark.parametrize("kind", [False, True])
def test_a_persons_table_is_in_range_and_agrees_with_the_class(kind):
    for patient in range(400):
        drawn = person(patient, 2, enriched=kind)
        table = drawn.table
        for name, value in table.items():
            row = VARIABLES[name]
            assert value in row.codes if row.categorical else row.low <= value <= row.high, (name, value)
        assert table["t_score_lowest"] == min(table[f"t_score_{site}"] for site in SITES)
        assert table["weight_kg"] == pytest.approx(table["bmi_kg_m2"] * (table["height_cm"] / 100) ** 2, rel=0.02)
        facts = {"sex": table["sex"], "age_years": table["age_years"]}
        if table["sex"] == "female":
            facts["postmenopausal"] = bool(table["postmenopausal"])
        else:
            assert "menopause_age_years" not in table
        if drawn.who_class is None:
            with pytest.raises(ValueError, match="no WHO class"):
                who_class(table["t_score_lowest"], **facts)
        else:
            name = who_class(table["t_score_lowest"], **facts)
            assert str(name) == ("normal", "osteopenia", "osteoporosis")[drawn.who_class]


def test_a_shift_of_bone_moves_bone_and_nothing_that_was_drawn():
    usual, shifted = (person(7, 0, enriched=True, bone_shift=shift) for shift in (0.0, -1.0))
    assert shifted.table["bmd_femoral_neck_g_cm2"] == pytest.approx(usual.table["bmd_femoral_neck_g_cm2"] - 0.120)
    assert shifted.skeleton.trabecular == pytest.approx(usual.skeleton.trabecular - 1, abs=0.02)
    assert {name for name in usual.table if usual.table[name] != shifted.table[name]} <= {
        *(f"bmd_{site}_g_cm2" for site in SITES), *(f"t_score_{site}" for site in SITES), "t_score_lowest",
        "previous_fracture", "trabecular_bone_score",
    }  # fmt: skip
    assert shifted.outcomes["time_to_any_fracture"].years <= usual.outcomes["time_to_any_fracture"].years


def test_negative_numbers_are_refused():
    with pytest.raises(ValueError, match="count from 0"):
        person(-1, 0, enriched=True)
