"""Figures at a horizon against their definitions and the truth without censoring; scikit-survival: `test_survival`."""

import json
import math

import numpy as np
import pytest

from trabecula import metrics as ours
from trabecula.metrics.calibrated import calibration_slope, expected_over_observed
from trabecula.metrics.horizon import at_horizon, calibration_at, outcome_at, scaled_brier, why_untold
from trabecula.metrics.incidence import aalen_johansen
from trabecula.metrics.time_to_event import incidence_told, survival_figures
from trabecula.prediction import Survival

RNG = np.random.default_rng(32)
N = 80
TRUTH = np.stack([np.round(RNG.exponential(5, N)) + 1, RNG.integers(0, 3, N)], axis=1)
TOLD = np.clip(np.round(RNG.normal(0.35, 0.15, N) - TRUTH[:, 0] / 60, 2), 0.01, 0.99)
AT = {"auc": ours.auc, "brier": ours.brier, "scaled": scaled_brier, "eo": expected_over_observed}
FIVE = [[1, 1], [2, 2], [3, 0], [4, 1], [5, 0]]


def people(rng, n, *, lost=12.0):
    """Followed people whose incidence of a fracture is known: hazards of 0.05 exp(x) and of death 0.06 a year."""
    x = rng.normal(size=n)
    hazard = 0.05 * np.exp(x)
    years, cause = rng.exponential(1 / (hazard + 0.06)), np.where(rng.random(n) < hazard / (hazard + 0.06), 1, 2)
    end = rng.uniform(0, lost, n) if lost else np.full(n, np.inf)
    truth = np.stack([np.minimum(years, end), np.where(years <= end, cause, 0)], axis=1)
    return truth, lambda t: hazard / (hazard + 0.06) * -np.expm1(-(hazard + 0.06) * t)


def test_five_people_by_hand():
    # The third is lost at 3 years with two others still followed: each of them stands for one and a half.
    happened, weights = outcome_at(FIVE, horizon=4)
    assert happened.tolist() == [1, 0, 0, 1, 0]
    assert weights == pytest.approx([1, 1, 0, 1.5, 1.5])
    told = [0.5, 0.2, 0.9, 0.4, 0.1]
    squares = 0.5**2 + 0.2**2 + 1.5 * 0.6**2 + 1.5 * 0.1**2
    assert at_horizon(ours.brier, 4)(FIVE, told) == pytest.approx(squares / 5)
    assert at_horizon(scaled_brier, 4)(FIVE, told) == pytest.approx(1 - squares / 5 / 0.25)
    expected = 0.5 + 0.2 + 1.5 * 0.4 + 1.5 * 0.1
    assert at_horizon(expected_over_observed, 4)(FIVE, told) == pytest.approx(expected / 2.5)
    risk = [0.5, 0.45, 0.9, 0.4, 0.1]  # the fourth lies below the second, who died: 1.5 of 6.25 pairs
    assert at_horizon(ours.auc, 4)(FIVE, risk) == pytest.approx(1 - 1.5 * 1 / (2.5 * 2.5))
    assert at_horizon(ours.auc, 4, deaths=False)(FIVE, risk) == 1
    # Who is lost on the day of the horizon is known to be free of the event until then.
    assert outcome_at([[1, 1], [4, 0]], horizon=4)[1].tolist() == [1, 1]


@pytest.mark.parametrize("horizon", [0.5, 2, 5.5, 9])
def test_weights_stand_for_everybody_and_their_mean_is_aalen_johansen(horizon):
    # Satten and Datta, Am Stat 2001;55:207.
    rows = np.random.default_rng(0).integers(0, 4, (2, 3, N))
    happened, weights = outcome_at(TRUTH, rows, horizon=horizon)
    assert weights.sum(axis=-1) == pytest.approx(rows.sum(axis=-1).astype(float))
    assert (weights * happened).sum(axis=-1) / rows.sum(axis=-1) == pytest.approx(
        aalen_johansen(TRUTH, rows).at(horizon)
    )


def test_without_censoring_it_is_a_yes_or_no():
    whole, told = TRUTH[TRUTH[:, 1] > 0], TOLD[TRUTH[:, 1] > 0]
    happened = (whole[:, 1] == 1) & (whole[:, 0] <= 4)
    assert at_horizon(ours.auc, 4)(whole, told) == pytest.approx(ours.auc(happened, told))
    assert at_horizon(ours.brier, 4)(whole, told) == pytest.approx(ours.brier(happened, told))
    assert at_horizon(calibration_slope, 4)(whole, told) == pytest.approx(calibration_slope(happened, told))
    alive = ~((whole[:, 1] == 2) & (whole[:, 0] <= 4))
    assert at_horizon(ours.auc, 4, deaths=False)(whole, told) == pytest.approx(ours.auc(happened[alive], told[alive]))


@pytest.mark.parametrize("name", AT)
def test_weights_rows_and_intervals(name):
    metric, rows = at_horizon(AT[name], 5), np.random.default_rng(0).integers(0, 4, (2, 3, N))
    together = metric(TRUTH, TOLD, rows)
    for place in np.ndindex(2, 3):
        again = np.repeat(np.arange(N), rows[place])
        assert together[place] == pytest.approx(metric(TRUTH[again], TOLD[again]))
    found = ours.interval(metric, TRUTH, TOLD, draws=400)
    assert found.value == pytest.approx(metric(TRUTH, TOLD))
    assert found.low < found.value < found.high
    folds = np.arange(N) % 2
    each = [metric(TRUTH[folds == f], TOLD[folds == f]) for f in (0, 1)]
    assert ours.interval(metric, TRUTH, TOLD, folds=folds, draws=10).value == pytest.approx(np.mean(each))
    same = ours.difference(metric, TRUTH, TOLD, TOLD, draws=100)
    assert (same.value, same.low, same.high) == (0, 0, 0)


@pytest.mark.parametrize("name", AT)
def test_beyond_follow_up_nothing_is_told(name):
    assert math.isnan(at_horizon(AT[name], 6)(FIVE, np.linspace(0, 1, 5)))
    assert math.isnan(at_horizon(AT[name], 6)(np.zeros((0, 2)), []))
    deaths_known = [[1, 1], [2, 2], [4, 1]]  # nobody was lost, so what happened is known for ever
    assert math.isfinite(at_horizon(AT[name], 6)(deaths_known, [0.6, 0.2, 0.5]))


def test_when_a_horizon_is_told():
    kept = [[9, 0]] * 10 + [[2, 1]] * 10
    assert why_untold(kept, horizon=5) == ""
    assert why_untold(kept[1:], horizon=5) == "9 are known to be free of the event at 5 years: fewer than 10"
    assert why_untold(kept[:-1], horizon=5) == "9 had the event within 5 years: fewer than 10"
    assert why_untold(kept, horizon=1) == "0 had the event within 1 years: fewer than 10"
    assert "chance of being followed for 10 years is 0%" in why_untold(kept, horizon=10)
    assert "is 9%" in why_untold(kept + [[3, 0]] * 101, horizon=5)
    assert why_untold([[2, 1]] * 10 + [[3, 2]] * 10, horizon=10) == ""  # all died, so all is known
    assert why_untold([], horizon=1) == "nobody was followed"


def test_calibration_tells_what_happened_in_each_group():
    truth, incidence = people(np.random.default_rng(5), 3000)
    told = incidence(5)
    rows = calibration_at(truth, told, horizon=5)
    assert [row["n"] for row in rows] == [600] * 5
    assert [row["predicted"] for row in rows] == sorted(row["predicted"] for row in rows)
    top = np.argsort(told)[-600:]
    assert rows[-1]["predicted"] == pytest.approx(told[top].mean())
    assert rows[-1]["observed"] == pytest.approx(aalen_johansen(truth[top]).at(5))
    assert all(row["low"] < row["predicted"] < row["high"] for row in rows)
    low = calibration_at(truth, told / 2, horizon=5)
    assert low[-1]["predicted"] < low[-1]["low"]
    assert at_horizon(expected_over_observed, 5)(truth, told / 2) == pytest.approx(0.5, abs=0.04)
    assert len(calibration_at(truth[:100], told[:100], horizon=5)) < 5
    assert math.isnan(calibration_at([[1, 0], [2, 0]], [0.1, 0.2], horizon=5)[0]["observed"])


def test_survival_figures_are_plain_json():
    truth, incidence = people(np.random.default_rng(6), 400, lost=9.0)
    told = np.stack([incidence(t) for t in (1, 3, 5, 10)], axis=1)
    told[0, 2] = np.nan
    found = survival_figures(truth, told, folds=np.arange(400) % 2, draws=50)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    first, third, fifth, tenth = found["horizons"]
    assert third["years"] == 3
    assert third["incidence"]["event"]["value"] == pytest.approx(aalen_johansen(truth).at(3))
    assert third["incidence"]["death"]["value"] == pytest.approx(aalen_johansen(truth, cause=2).at(3))
    assert list(third["metrics"]) == [
        "auc",
        "brier",
        "scaled_brier",
        "expected_over_observed",
        "calibration_intercept",
        "calibration_slope",
        "c_index_uno",
    ]
    assert third["metrics"]["brier"]["low"] < third["metrics"]["brier"]["value"] < third["metrics"]["brier"]["high"]
    assert third["why"] == ""
    assert first["events"] < third["events"] < fifth["events"]
    assert fifth["why"] == "1 of 400 answers end before 5 years"
    assert (fifth["metrics"], fifth["calibration"]) == ({}, [])
    assert fifth["incidence"]["event"]["low"] > 0  # what happened is known all the same
    assert tenth["why"].startswith("follow-up ends before")
    assert tenth["incidence"] == {}
    followed = found["followed"]
    assert followed["patients"] == 400 == followed["censored"] + followed["events"] + followed["deaths"]
    assert followed["median_years"] == pytest.approx(4.5, abs=0.6)  # people are lost evenly over nine years
    with pytest.raises(ValueError, match="one column a horizon"):
        survival_figures(truth, told[:, :2])
    nobody = survival_figures(np.zeros((0, 2)), np.zeros((0, 4)))
    assert nobody["horizons"][0]["why"] == "nobody was followed"


def test_a_patient_judged_in_several_folds_is_one():
    truth, incidence = people(np.random.default_rng(9), 200)
    told = incidence(5)[:, None]
    once = survival_figures(truth, told, horizons=(5,), folds=np.zeros(200), draws=20)
    twice = survival_figures(
        np.r_[truth, truth], np.r_[told * 0.9, told * 1.1], horizons=(5,), folds=np.repeat([0, 1], 200),
        patients=np.tile(np.arange(200), 2), draws=20,
    )  # fmt: skip
    for part in ("incidence", "events", "at_risk"):
        assert twice["horizons"][0][part] == once["horizons"][0][part]
    assert twice["followed"] == once["followed"]
    for one, two in zip(once["horizons"][0]["calibration"], twice["horizons"][0]["calibration"], strict=True):
        assert two == pytest.approx(one)
    assert twice["horizons"][0]["metrics"]["auc"] == pytest.approx(once["horizons"][0]["metrics"]["auc"], abs=0.1)


def test_what_a_curve_tells_is_what_the_answer_says():
    answer = Survival((0.5, 2.0, 6.0), {"event": (0.1, 0.2, 0.4)})
    told = incidence_told(answer.years, answer.incidence["event"])
    assert told[:3] == pytest.approx([answer.at(t) for t in (1, 3, 5)])
    assert math.isnan(told[3])


@pytest.mark.slow
def test_censoring_does_not_move_the_figures():
    rng, horizon = np.random.default_rng(7), 5.0
    everybody, incidence = people(rng, 60_000, lost=None)
    told = incidence(horizon)
    end = rng.uniform(0, 9, 60_000)
    lost = np.stack([np.minimum(everybody[:, 0], end), np.where(everybody[:, 0] <= end, everybody[:, 1], 0)], axis=1)
    for name, metric in AT.items():
        whole, seen = (at_horizon(metric, horizon)(truth, told) for truth in (everybody, lost))
        assert seen == pytest.approx(whole, abs=0.02), name
    assert at_horizon(expected_over_observed, horizon)(lost, told) == pytest.approx(1, abs=0.03)
    assert at_horizon(calibration_slope, horizon)(lost, told) == pytest.approx(1, abs=0.04)


@pytest.mark.slow
def test_intervals_of_the_auc_at_a_horizon_cover_at_their_promise():
    rng, horizon = np.random.default_rng(8), 5.0
    truth, incidence = people(rng, 400_000, lost=None)
    value = at_horizon(ours.auc, horizon)(truth, incidence(horizon))
    metric, covered = at_horizon(ours.auc, horizon), 0
    for simulation in range(300):
        truth, incidence = people(rng, 300)
        found = ours.interval(metric, truth, incidence(horizon), seed=simulation, draws=500)
        covered += found.low <= value <= found.high
    assert covered / 300 == pytest.approx(0.95, abs=0.035)
