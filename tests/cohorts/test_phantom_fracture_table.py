"""The made table: what it offers is what its card says, and its fractures follow the planted gradient."""

import time

import numpy as np
import pytest

from trabecula.card import cohort_card
from trabecula.cohort import open_cohort
from trabecula.cohorts.phantom_fracture_table.cohort import SETTINGS, make
from trabecula.metrics import auc_interval
from trabecula.phantom.fracture import GRADIENT
from trabecula.target import VARIABLES, get_target


@pytest.fixture(scope="module")
def cases():
    return open_cohort("phantom_fracture_table", n=2000, seed=0).cases


def test_the_table_is_that_of_the_card(cases):
    card = cohort_card("phantom_fracture_table")
    assert {name for case in cases for name in case.table} == set(card.table)
    assert {name for case in cases for name in case.truth} == set(card.targets)
    assert set(card.table) <= set(VARIABLES)
    assert {*get_target("osteoporosis_dxa").defined_by} <= set(card.table)


def test_a_case_does_not_depend_on_order_or_number():
    backwards = {patient: make(patient, 4, SETTINGS) for patient in (1500, 3, 0)}
    forwards = open_cohort("phantom_fracture_table", n=1501, seed=4).cases
    for patient, case in backwards.items():
        assert case.table == forwards[patient].table
        assert case.truth == forwards[patient].truth
    assert make(3, 5, SETTINGS).table != backwards[3].table


def test_outcomes_agree_and_are_enough(cases):
    events = [case.truth["time_to_any_fracture"].event for case in cases]
    assert events.count(1) >= 100
    assert events.count(2) >= 20
    for case in cases:
        outcome = case.truth["time_to_any_fracture"]
        assert case.truth["fragility_fracture"] == int(outcome.event == 1)
        assert 0 < outcome.years <= 10
        assert outcome.event or outcome.years >= 2.5
        assert case.truth["past_fracture"] == case.table["previous_fracture"]
        assert case.truth["osteoporosis_dxa"] == int(case.truth["who_class_dxa"] == 2)


def test_without_enrichment_the_classes_are_only_where_they_are_defined():
    cases = open_cohort("phantom_fracture_table", n=1000, settings={"enriched": False}).cases
    assert all(case.weight == 1 for case in cases)
    young_men = [case for case in cases if case.table["sex"] == "male" and case.table["age_years"] < 50]
    assert young_men
    assert not any("osteoporosis_dxa" in case.truth for case in young_men)
    labelled = [case for case in cases if "osteoporosis_dxa" in case.truth]
    assert 0.05 < np.mean([case.truth["osteoporosis_dxa"] for case in labelled]) < 0.18


def test_density_predicts_fracture_and_not_too_well(cases):
    fractured = [case.truth["fragility_fracture"] for case in cases]
    neck = auc_interval(fractured, [-case.number("bmd_femoral_neck_g_cm2") for case in cases])
    assert neck.low > 0.55
    assert neck.high < 0.70


def test_unknown_settings_are_named():
    with pytest.raises(KeyError, match="bone_shift"):
        open_cohort("phantom_fracture_table", n=1, settings={"bone_shft": 1})


@pytest.mark.slow
def test_twenty_thousand_take_seconds():
    started = time.process_time()
    open_cohort("phantom_fracture_table", n=20_000, seed=1)
    assert time.process_time() - started < 6


@pytest.mark.slow
def test_the_planted_gradient_can_be_found():
    """Exponential regression (constant hazards) on age, sex and neck BMD: the ratio per SD within 3 standard errors."""
    cases = open_cohort("phantom_fracture_table", n=20_000, seed=2, settings={"enriched": False}).cases
    sex = np.array([float(case.table["sex"] == "male") for case in cases])
    spread = np.where(sex == 1, 0.122, 0.117)
    neck = np.array([-case.number("bmd_femoral_neck_g_cm2") for case in cases]) / spread
    age = (np.array([case.number("age_years") for case in cases]) - 60) / 10
    rows = np.stack([np.ones_like(sex), sex, age, age * sex, neck - neck.mean()], axis=1)
    years = np.array([case.truth["time_to_any_fracture"].years for case in cases])
    event = np.array([case.truth["fragility_fracture"] for case in cases], dtype=float)
    effects = np.array([np.log(event.sum() / years.sum()), 0, 0, 0, 0])
    for _ in range(20):
        expected = years * np.exp(rows @ effects)
        information = rows.T @ (rows * expected[:, None])
        effects = effects + np.linalg.solve(information, rows.T @ (event - expected))
    error = np.sqrt(np.linalg.inv(information)[4, 4])
    assert abs(effects[4] - np.log(np.mean(GRADIENT))) < 3 * error
    assert error < 0.05
