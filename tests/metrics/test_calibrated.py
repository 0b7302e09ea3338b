"""Calibration against statsmodels, decision curves by hand, and both carried to another prevalence."""

import math

import numpy as np
import pytest
from scipy.interpolate import CubicSpline
from scipy.stats import norm

from trabecula import metrics as ours

RNG = np.random.default_rng(7)
N = 400
RISK = RNG.beta(1.5, 3, N)
TRUTH = (RNG.uniform(size=N) < RISK).astype(float)
SAID = 1 / (1 + np.exp(-(0.4 + 1.7 * np.log(RISK / (1 - RISK)))))  # too extreme, and too high
WEIGHTS = RNG.integers(0, 4, N).astype(float)
METRICS = (ours.calibration_slope, ours.calibration_intercept, ours.expected_over_observed, ours.calibration_error)


def glm(design, offset=None, weights=None):
    models = pytest.importorskip("statsmodels.genmod.api", reason="statsmodels is an oracle of tests only")
    return models.GLM(TRUTH, design, family=models.families.Binomial(), offset=offset, freq_weights=weights).fit()


@pytest.mark.parametrize("weights", [np.ones(N), WEIGHTS], ids=["plain", "weighted"])
def test_slope_and_intercept_by_statsmodels(weights):
    logit = np.log(SAID / (1 - SAID))
    both = glm(np.column_stack([np.ones(N), logit]), weights=weights)
    assert ours.calibration_slope(TRUTH, SAID, weights) == pytest.approx(both.params[1], rel=1e-6)
    fixed = glm(np.ones((N, 1)), offset=logit, weights=weights)
    assert ours.calibration_intercept(TRUTH, SAID, weights) == pytest.approx(fixed.params[0], rel=1e-6)
    assert ours.expected_over_observed(TRUTH, SAID, weights) == pytest.approx(
        (weights * SAID).sum() / (weights * TRUTH).sum()
    )


def test_the_smooth_curve_by_natural_splines_and_statsmodels():
    logit = np.log(SAID / (1 - SAID))
    knots = np.quantile(logit, [0.1, 0.5, 0.9])
    basis = []
    for unit in np.eye(3):
        spline = CubicSpline(knots, unit, bc_type="natural")
        inside = np.clip(logit, knots[0], knots[2])
        basis.append(spline(inside) + (logit - inside) * spline(inside, 1))  # straight outside
    fitted = glm(np.column_stack(basis), weights=WEIGHTS).fittedvalues
    assert ours.calibration_curve(TRUTH, SAID, SAID, WEIGHTS) == pytest.approx(fitted, rel=1e-5)
    assert ours.calibration_error(TRUTH, SAID, WEIGHTS) == pytest.approx(
        np.average(np.abs(fitted - SAID), weights=WEIGHTS), rel=1e-5
    )


def test_the_smooth_curve_follows_what_is_true():
    rng = np.random.default_rng(8)
    risk = rng.uniform(0.02, 0.98, 40_000)
    truth = rng.uniform(size=len(risk)) < risk
    at = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
    assert ours.calibration_curve(truth, risk, at) == pytest.approx(at, abs=0.02)
    assert ours.calibration_curve(truth, risk**2, at**2) == pytest.approx(at, abs=0.03)
    draws = rng.multinomial(500, np.full(500, 1 / 500), 50)
    band = ours.calibration_curve(truth[:500], risk[:500], at, draws)
    assert band.shape == (50, 5)
    assert band[3] == pytest.approx(ours.calibration_curve(truth[:500], risk[:500], at, draws[3]))
    two = np.where(risk[:500] > 0.5, 0.7, 0.3)  # no room for a bend
    assert ours.calibration_curve(truth[:500], two, [0.3, 0.7]) == pytest.approx(
        [truth[:500][two < 0.5].mean(), truth[:500][two > 0.5].mean()]
    )


def test_one_probability_for_everybody_by_hand():
    # 30 of 100 are cases and 20 % is said: intercept logit(0.3) - logit(0.2), E/O 20/30; no slope can be told.
    truth, said = np.arange(100) < 30, np.full(100, 0.2)
    assert ours.calibration_intercept(truth, said) == pytest.approx(math.log(3 / 7) - math.log(1 / 4))
    assert ours.expected_over_observed(truth, said) == pytest.approx(2 / 3)
    assert math.isnan(ours.calibration_slope(truth, said))
    far = np.full(100, 1e-5)
    assert ours.calibration_intercept(truth, far) == pytest.approx(math.log(3 / 7) - math.log(1e-5 / (1 - 1e-5)))


@pytest.mark.parametrize("metric", METRICS)
def test_weights_are_patients_and_rows_are_figures(metric):
    again = np.repeat(np.arange(N), WEIGHTS.astype(int))
    if metric is not ours.calibration_error:  # whose knots are those of the patients, whatever their weights
        assert metric(TRUTH, SAID, WEIGHTS) == pytest.approx(metric(TRUTH[again], SAID[again]))
    rows = np.stack([np.ones(N), WEIGHTS, np.zeros(N), TRUTH])
    found = metric(TRUTH, SAID, rows)
    assert found.shape == (4,)
    assert found[:2] == pytest.approx([float(metric(TRUTH, SAID)), float(metric(TRUTH, SAID, WEIGHTS))])
    assert math.isnan(found[2])
    interval = ours.interval(metric, TRUTH, SAID, draws=100)
    assert interval.low < interval.value < interval.high
    assert math.isnan(metric([], []))


def test_what_is_apart_has_no_slope():
    assert math.isnan(ours.calibration_slope([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]))
    assert math.isnan(ours.calibration_intercept([1, 1], [0.3, 0.4]))
    assert ours.calibration_intercept([0, 1], [0.0, 1.0]) == pytest.approx(0, abs=1e-6)
    with pytest.raises(ValueError, match="0 to 1"):
        ours.calibration_slope([0, 1], [-0.1, 2])


def test_the_odds_shift_by_hand():
    # Learned on half cases: 0.5 has the odds 1; at 10 % they are 1/9. And there and back changes nothing.
    assert ours.shifted(0.5, learned=0.5, stated=0.1) == pytest.approx(0.1)
    assert ours.shifted([0.0, 0.2, 1.0], learned=0.5, stated=0.2) == pytest.approx([0, 0.25 * 0.25 / 1.0625, 1])
    there = ours.shifted(RISK, learned=0.4, stated=0.07)
    assert ours.shifted(there, learned=0.07, stated=0.4) == pytest.approx(RISK)
    for bad in ({"learned": 0, "stated": 0.5}, {"learned": 0.5, "stated": 1}):
        with pytest.raises(ValueError, match="between 0 and 1"):
            ours.shifted(0.5, **bad)
    with pytest.raises(ValueError, match="0 to 1"):
        ours.shifted(1.5, learned=0.5, stated=0.5)
    with pytest.raises(ValueError, match="between 0 and 1"):
        ours.at_prevalence(ours.brier, 0)


def test_shifted_by_the_law_of_two_normals():
    # Scores N(0,1) and N(1,1): the posterior at a prevalence q is by Bayes, whatever prevalence was learned at.
    score = np.linspace(-3, 4, 15)

    def posterior(q):
        case, other = q * norm.pdf(score, 1), (1 - q) * norm.pdf(score)
        return case / (case + other)

    assert ours.shifted(posterior(0.5), learned=0.5, stated=0.03) == pytest.approx(posterior(0.03))


def test_an_enriched_sample_is_carried_to_its_population():
    rng = np.random.default_rng(9)
    n = 40_000
    truth = rng.integers(0, 2, n)  # half are cases; 8 % of the population
    score = rng.normal(truth)
    learned_here = 1 / (1 + np.exp(-(score - 0.5)))
    population = ours.shifted(learned_here, learned=0.5, stated=0.08)
    assert ours.calibration_intercept(truth, population) > 2  # judged on the sample as it is
    for metric, right in (
        (ours.calibration_intercept, 0),
        (ours.calibration_slope, 1),
        (ours.expected_over_observed, 1),
    ):
        assert ours.at_prevalence(metric, 0.08)(truth, population, 1.0) == pytest.approx(right, abs=0.05)
    assert ours.at_prevalence(ours.auc, 0.08)(truth, score, 1.0) == pytest.approx(ours.auc(truth, score))
    brier = float(ours.at_prevalence(ours.brier, 0.08)(truth, population, 1.0))
    by_class = [np.mean((population[truth == label] - label) ** 2) for label in (0, 1)]
    assert brier == pytest.approx(0.92 * by_class[0] + 0.08 * by_class[1])
    rows = ours.at_prevalence(ours.brier, 0.08)(truth, population, np.stack([np.ones(n), truth, 3 * np.ones(n)]))
    assert rows[[0, 2]] == pytest.approx([brier, brier])
    assert math.isnan(rows[1])  # no non-case has weight
    found = ours.interval(ours.at_prevalence(ours.brier, 0.08), truth[:300], population[:300], draws=50)
    assert found.low < found.value < found.high


def test_net_benefit_by_hand():
    # Of 10 patients 4 are cases; at 25 % six are called, three of them cases: 3/10 - 3/10 * (1/3) = 0.2. Acting on
    # all: 4/10 - 6/10 * (1/3) = 0.2. At 80 % one is called, a case: 1/10.
    truth = [1, 1, 1, 1, 0, 0, 0, 0, 0, 0]
    said = [0.9, 0.7, 0.3, 0.1, 0.6, 0.25, 0.5, 0.2, 0.1, 0.0]
    assert ours.net_benefit(0.25)(truth, said, 1.0) == pytest.approx(0.2)
    curve = ours.decision_curve(truth, said, [0.25, 0.8])
    assert curve["system"] == pytest.approx([0.2, 0.1])
    assert curve["everybody"] == pytest.approx([0.2, 0.4 - 0.6 * 4])
    assert curve["nobody"].tolist() == [0, 0]
    assert curve["threshold"].tolist() == [0.25, 0.8]
    # Cases that stand for two: (6 - 3/3) / 14.
    weights = [2, 2, 2, 2, 1, 1, 1, 1, 1, 1]
    assert ours.decision_curve(truth, said, 0.25, weights)["system"] == pytest.approx([5 / 14])
    # At a prevalence of 10 %: sensitivity 3/4, false alarms 3/6: 0.1 * 3/4 - 0.9 * 1/2 / 3.
    assert ours.at_prevalence(ours.net_benefit(0.25), 0.1)(truth, said, 1.0) == pytest.approx(0.075 - 0.15)
    rows = ours.net_benefit(0.25)(truth, said, np.stack([np.ones(10), weights]))
    assert rows == pytest.approx([0.2, 5 / 14])
    with pytest.raises(ValueError, match="between 0 and 1"):
        ours.net_benefit(1.0)


def test_a_calibrated_system_never_does_harm():
    rng = np.random.default_rng(10)
    risk = rng.beta(1, 4, 50_000)
    curve = ours.decision_curve(rng.uniform(size=len(risk)) < risk, risk, np.linspace(0.05, 0.6, 12))
    assert (curve["system"] > np.maximum(curve["everybody"], 0) - 1e-3).all()


def test_the_interval_in_the_large_is_as_wide_as_the_information_says():
    # The error of the intercept is 1 / sqrt(sum of p (1 - p)) by its Fisher information (Cox 1958).
    rng = np.random.default_rng(11)
    risk = rng.beta(2, 4, 1000)
    truth = rng.uniform(size=1000) < risk
    wanted = 2 * norm.ppf(0.975) / math.sqrt((risk * (1 - risk)).sum())
    found = ours.interval(ours.calibration_intercept, truth, risk, by_class=False, draws=500)
    assert found.high - found.low == pytest.approx(wanted, rel=0.12)
    kept = ours.interval(ours.calibration_intercept, truth, risk, draws=500)
    assert kept.high - kept.low < 0.8 * wanted  # cases kept to their number say too little
