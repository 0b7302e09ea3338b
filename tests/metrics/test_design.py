"""Intervals by design against a textbook, linearised variances, every draw counted out, and repeated surveys."""

import itertools
import math

import numpy as np
import pytest

from trabecula import metrics as ours
from trabecula.metrics.design import Design, survey_interval
from trabecula.metrics.horizon import at_horizon
from trabecula.survey import weighted_mean


def mean_of(truth, _, weights):
    return ours.bias(np.zeros(len(truth)), truth, weights)


def survey(rng, clusters, people=12, spread=1.0):
    """Strata of so many clusters each, in which people resemble each other; yes or no, score, weights, strata, psu."""
    strata = np.repeat(np.arange(len(clusters)), np.array(clusters) * people)
    psu = np.concatenate([np.repeat(np.arange(n), people) for n in clusters])
    shared = np.concatenate([np.repeat(rng.normal(0, spread, n), people) for n in clusters])
    score = shared + rng.normal(size=len(psu))
    truth = (score + rng.normal(0, 1.5, len(psu)) > 0.5).astype(int)
    return truth, score, Design(rng.uniform(0.5, 4, len(psu)), strata, psu)


def test_lohr_1999():
    # Sampling: Design and Analysis, example 5.2: grades of 4 students in each of 5 suites drawn from 100;
    # mean 2.826 with standard error 0.164, of which sqrt(1 - 5 / 100) is the suites' share that was drawn.
    grades = [3.08, 2.60, 3.44, 3.04, 2.36, 3.04, 3.28, 2.68, 2.00, 2.56, 2.52, 1.88, 3.00, 2.88, 3.44, 3.64,
              2.68, 1.92, 3.28, 3.20]  # fmt: skip
    suites = np.repeat(np.arange(5), 4)
    found = survey_interval(mean_of, grades, grades, Design(np.full(20, 20.0), np.zeros(20), suites), draws=20_000)
    assert round(found.value, 3) == 2.826
    assert found.se * math.sqrt(1 - 5 / 100) == pytest.approx(0.164, abs=0.003)
    exact = weighted_mean(grades, np.full(20, 20.0), strata=np.zeros(20), psu=suites)
    assert round(exact.se * math.sqrt(1 - 5 / 100), 3) == 0.164
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=0.02)


def test_every_draw_counted_out_has_the_variance_of_the_design():
    # Of a total the variance is exact: of n clusters a stratum, n / (n - 1) times the squares about their mean.
    design = Design([1.0, 2.0, 1.5, 3.0, 1.0], [0, 0, 1, 1, 1], [0, 1, 0, 1, 2])
    value = np.array([3.0, 1.0, 2.0, 5.0, 4.0])
    parts = design.weights * value
    wanted = sum(
        n / (n - 1) * ((parts[rows] - parts[rows].mean()) ** 2).sum()
        for n, rows in ((2, design.strata == "0"), (3, design.strata == "1"))
    )
    pairs = [np.bincount(chosen, minlength=3) * 3 / 2 for chosen in itertools.product(range(3), repeat=2)]
    ways = [np.r_[2 * np.eye(2)[first], pair] for first in range(2) for pair in pairs]  # 18, equally likely
    assert np.var([way @ parts for way in ways]) == pytest.approx(wanted)
    drawn = design.drawn(np.random.default_rng(0), 9000) / design.weights
    for way in np.unique(ways, axis=0):
        often = np.mean([np.array_equal(way, each) for each in ways])
        assert (np.abs(drawn - way).max(axis=1) < 1e-9).mean() == pytest.approx(often, abs=0.02)


@pytest.mark.parametrize("clusters", [[2] * 15, [5, 3, 9, 12]])
def test_a_mean_has_the_linearised_error(clusters):
    _, score, design = survey(np.random.default_rng(1), clusters)
    exact = weighted_mean(score, design.weights, strata=design.strata, psu=design.psu)
    found = survey_interval(mean_of, score, score, design, draws=4000)
    assert found.value == pytest.approx(exact.value)
    assert found.se == pytest.approx(exact.se, rel=0.05)
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=0.05 * 4 * exact.se)
    assert design.freedom == sum(clusters) - len(clusters)


@pytest.mark.parametrize("metric", [ours.sensitivity, ours.specificity])
def test_a_sensitivity_is_the_mean_of_a_domain(metric):
    truth, score, design = survey(np.random.default_rng(2), [8] * 12)
    told = 1 / (1 + np.exp(-score))
    yes = metric is ours.sensitivity
    right, domain = (told >= 0.5) == yes, design.weights * (truth == yes)
    exact = weighted_mean(right, domain, strata=design.strata, psu=design.psu)
    found = survey_interval(metric, truth, told, design, draws=4000, share=True)
    assert found.value == pytest.approx(exact.value)
    assert found.se == pytest.approx(exact.se, rel=0.06)


def test_an_auc_has_the_linearised_error():
    # Each case adds its share of non-cases below it, each non-case its share of cases above (as DeLong), by weight.
    truth, score, design = survey(np.random.default_rng(3), [10] * 12)
    w, case = design.weights, truth == 1
    wins = (score[case][:, None] > score[~case]) + 0.5 * (score[case][:, None] == score[~case])
    auc = w[case] @ wins @ w[~case] / (w[case].sum() * w[~case].sum())
    share = np.empty(len(truth))
    share[case] = (wins @ w[~case] / w[~case].sum() - auc) * w.sum() / w[case].sum()
    share[~case] = (w[case] @ wins / w[case].sum() - auc) * w.sum() / w[~case].sum()
    exact = weighted_mean(share, w, strata=design.strata, psu=design.psu)
    found = survey_interval(ours.auc, truth, score, design, draws=4000, share=True)
    assert found.value == pytest.approx(auc)
    assert found.se == pytest.approx(exact.se, rel=0.06)
    assert 0 < found.low < auc < found.high < 1
    flat = survey_interval(ours.auc, truth, score, design, draws=4000)
    assert (flat.low + flat.high) / 2 == pytest.approx(auc)
    assert (found.low, found.high) == pytest.approx((flat.low, flat.high), abs=0.01)


def test_folds_domains_and_times_to_an_event():
    truth, score, design = survey(np.random.default_rng(4), [4] * 8)
    folds = np.arange(len(truth)) % 2
    shifted = score + 100 * folds
    each = [ours.auc(truth[folds == f], score[folds == f], design.weights[folds == f]) for f in (0, 1)]
    assert survey_interval(ours.auc, truth, shifted, design, folds=folds, draws=20).value == pytest.approx(
        np.mean(each)
    )
    inside = np.arange(len(truth)) % 3 > 0
    domain = Design(np.where(inside, design.weights, 0), design.strata, design.psu)
    found = survey_interval(ours.auc, np.where(inside, truth, -9), np.where(inside, score, np.nan), domain, draws=50)
    assert found.value == pytest.approx(ours.auc(truth[inside], score[inside], design.weights[inside]))
    years = np.stack([np.abs(score) + 0.1, truth], axis=1)
    late = survey_interval(at_horizon(ours.auc, 1), years, score, design, draws=50)
    assert late.low < late.value < late.high
    assert survey_interval(ours.auc, truth, score, design, seed=1) == survey_interval(
        ours.auc, truth, score, design, seed=1
    )


def test_what_has_no_interval():
    truth, score, design = survey(np.random.default_rng(5), [3] * 4)
    assert all(math.isnan(x) for x in survey_interval(ours.auc, np.ones(len(truth)), score, design, draws=10))
    perfect = survey_interval(ours.auc, truth, truth, design, draws=10, share=True)
    assert perfect.value == 1
    assert math.isnan(perfect.low)


@pytest.mark.parametrize(
    ("weights", "strata", "psu", "said"),
    [
        ([1, 1], [0, 0, 0], [1, 2], "length"),
        ([1, -1], [0, 0], [1, 2], "not negative"),
        ([0, 0], [0, 0], [1, 2], "some are positive"),
        ([1, 1], [0, 0], [1, 1], "stratum 0 has one PSU"),
    ],
)
def test_errors_say_what_to_do(weights, strata, psu, said):
    with pytest.raises(ValueError, match=said):
        Design(weights, strata, psu)
    with pytest.raises(ValueError, match="one PSU only"):
        survey_interval(mean_of, [1.0, 2.0], [1.0, 2.0], Design([1, 0], [0, 0], [1, 2]))


@pytest.mark.slow
def test_intervals_of_the_auc_cover_in_repeated_surveys():
    # People of a cluster are alike in score and illness; taken as drawn one by one, intervals are too narrow.
    rng, covered, alone, repeats = np.random.default_rng(6), 0, 0, 250
    truth, score, _ = survey(rng, [20_000], people=12)
    value = ours.auc(truth, score)
    for simulation in range(repeats):
        truth, score, design = survey(rng, [2] * 15, people=12)
        even = Design(np.ones(len(truth)), design.strata, design.psu)
        found = survey_interval(ours.auc, truth, score, even, draws=300, seed=simulation, share=True)
        covered += found.low <= value <= found.high
        found = ours.auc_interval(truth, score, draws=300, seed=simulation)
        alone += found.low <= value <= found.high
    assert covered / repeats == pytest.approx(0.95, abs=0.04)
    assert alone < covered
