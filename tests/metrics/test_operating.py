"""Operating points by hand, against scikit-learn and statsmodels, and against printed calculators."""

import math

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from trabecula import metrics as ours

RNG = np.random.default_rng(5)
TRUTH = RNG.integers(0, 2, 200)
SCORE = np.round(RNG.normal(TRUTH), 1)


def of(hits, cases, false, others, **options):
    """Return the operating point of a table of four cells."""
    truth = np.repeat([1, 0], (cases, others))
    score = np.r_[np.arange(cases) < hits, np.arange(others) < false]
    return ours.operating_point(truth, score, 0.5, **options)


def limits(found):
    return found.value, found.low, found.high


def test_a_printed_table():
    # epiR 2.0, epi.tests of 670, 202, 74, 640 (Scott et al. 2008): positive likelihood ratio 3.75 (3.32, 4.24),
    # negative 0.13 (0.11, 0.16); sensitivity 0.90, specificity 0.76, predictive values 0.77 and 0.90 (recalled).
    found = of(670, 744, 202, 842)
    assert [round(x, 2) for x in limits(found.positive_likelihood_ratio)] == [3.75, 3.32, 4.24]
    assert [round(x, 2) for x in limits(found.negative_likelihood_ratio)] == [0.13, 0.11, 0.16]
    assert (round(found.sensitivity.value, 2), round(found.specificity.value, 2)) == (0.90, 0.76)
    assert (round(found.positive_predictive_value.value, 2), round(found.negative_predictive_value.value, 2)) == (
        0.77, 0.90,
    )  # fmt: skip


def test_a_printed_calculator():
    # A. Schwartz, araw.mede.uic.edu/cgi-bin/testcalc.pl with 25, 1, 1, 83: likelihood ratios 81 [11, 568] and 0.04
    # [0.01, 0.27]; from prior odds of 0.3 posterior probabilities of 96 % and 1 %.
    found = of(25, 26, 1, 84)
    assert [round(x) for x in limits(found.positive_likelihood_ratio)] == [81, 11, 568]
    assert [round(x, 2) for x in limits(found.negative_likelihood_ratio)] == [0.04, 0.01, 0.27]
    assert round(found.positive_predictive_value.value, 2) == 0.96
    assert round(1 - found.negative_predictive_value.value, 2) == 0.01


def test_statsmodels_has_the_same_ratio():
    proportion = pytest.importorskip("statsmodels.stats.proportion", reason="statsmodels is an oracle of tests only")
    for a, m, b, n in ((30, 40, 20, 100), (3, 7, 9, 11)):
        for (c, d), found in (
            ((a, b), of(a, m, b, n).positive_likelihood_ratio),
            ((m - a, n - b), of(a, m, b, n).negative_likelihood_ratio),
        ):
            wanted = proportion.confint_proportions_2indep(c, m, d, n, compare="ratio", method="log")
            assert (found.low, found.high) == pytest.approx(wanted, rel=1e-6)


def test_bayes_by_hand():
    # Of 1,000 people 50 have it (5 %): of these 45 are called (90 %), and of the 950 others 190 (20 %).
    found = of(90, 100, 40, 200, prevalence=0.05)
    assert found.positive_predictive_value.value == pytest.approx(45 / (45 + 190))
    assert found.negative_predictive_value.value == pytest.approx(760 / (760 + 5))
    assert found.screened_per_case_found.value == pytest.approx(1000 / 45)
    assert found.called_per_case_found.value == pytest.approx((45 + 190) / 45)
    assert (found.prevalence, found.cases, found.others, found.called_cases, found.called_others) == (
        0.05, 100, 200, 90, 40,
    )  # fmt: skip
    # Mercaldo 2007: logit PPV has the variance (1 - Se) / (Se n1) + Sp / ((1 - Sp) n0).
    logit, half = math.log(45 / 190), 1.959964 * math.sqrt(0.1 / (0.9 * 100) + 0.8 / (0.2 * 200))
    low, high = (1 / (1 + math.exp(-x)) for x in (logit - half, logit + half))
    assert limits(found.positive_predictive_value)[1:] == pytest.approx((low, high))
    logit, half = math.log(760 / 5), 1.959964 * math.sqrt(0.9 / (0.1 * 100) + 0.2 / (0.8 * 200))
    low, high = (1 / (1 + math.exp(-x)) for x in (logit - half, logit + half))
    assert limits(found.negative_predictive_value)[1:] == pytest.approx((low, high))
    assert limits(found.screened_per_case_found)[1:] == pytest.approx(
        (20 / found.sensitivity.high, 20 / found.sensitivity.low)
    )


def test_at_the_share_of_the_cases_here_predictive_values_are_plain_shares():
    found = of(30, 40, 20, 100)
    assert found.positive_predictive_value.value == pytest.approx(30 / 50)
    assert found.negative_predictive_value.value == pytest.approx(80 / 90)


def test_empty_cells_get_half_a_patient_and_what_nobody_tells_is_nan():
    found = of(9, 10, 0, 20)
    assert found.positive_likelihood_ratio.value == pytest.approx((9.5 / 11) / (0.5 / 21))
    assert found.positive_likelihood_ratio.low < found.positive_likelihood_ratio.high < math.inf
    assert found.specificity.value == 1
    nobody = of(0, 10, 0, 20)
    assert nobody.to_json()["positive_predictive_value"] == {"value": None, "low": None, "high": None}
    assert nobody.negative_predictive_value.value == pytest.approx(2 / 3, abs=0.02)
    assert math.isnan(nobody.screened_per_case_found.value)
    everybody = of(10, 10, 20, 20)
    assert math.isnan(everybody.negative_predictive_value.value)
    assert everybody.sensitivity.value == 1
    without = of(0, 0, 1, 3, prevalence=0.1)
    assert math.isnan(without.sensitivity.value)
    assert math.isnan(without.positive_predictive_value.value)
    with pytest.raises(ValueError, match="between 0 and 1"):
        of(1, 2, 1, 2, prevalence=1.0)


def test_thresholds_against_scikit_learn():
    false, hit, cuts = roc_curve(TRUTH, SCORE, drop_intermediate=False)

    def applied(threshold):
        called = threshold <= SCORE
        return called[TRUTH == 1].mean(), called[TRUTH == 0].mean()

    assert applied(ours.chosen_threshold(TRUTH, SCORE)) == pytest.approx(
        (hit[np.argmax(hit - false)], false[np.argmax(hit - false)])
    )
    for least in (0.5, 0.9, 0.95, 1.0):
        first = np.flatnonzero(hit >= least)[0]
        assert applied(ours.chosen_threshold(TRUTH, SCORE, "sensitivity", at_least=least)) == pytest.approx(
            (hit[first], false[first])
        )
        last = np.flatnonzero(1 - false >= least)[-1]
        assert applied(ours.chosen_threshold(TRUTH, SCORE, "specificity", at_least=least)) == pytest.approx(
            (hit[last], false[last])
        )
    assert not np.isin(ours.chosen_threshold(TRUTH, SCORE), cuts)


def test_thresholds_by_hand():
    truth, score = [0, 0, 1, 0, 1], [0.1, 0.2, 0.3, 0.6, 0.8]
    assert ours.chosen_threshold(truth, score) == 0.25  # 1 + 2/3, against 1/2 + 1
    assert ours.chosen_threshold(truth, score, "sensitivity", at_least=0.5) == pytest.approx(0.7)
    assert ours.chosen_threshold(truth, score, "specificity", at_least=0.9) == pytest.approx(0.7)
    assert ours.chosen_threshold(truth, score, "specificity", at_least=0.0) == 0.1
    assert ours.chosen_threshold([0, 1], [0.5, 0.5], "specificity", at_least=1.0) == math.inf
    close = np.nextafter(0.5, 1)
    assert ours.chosen_threshold([0, 1], [0.5, close]) == close
    # A case that stands for four and an other for three move the best cut.
    assert ours.chosen_threshold(truth, score, weights=[1, 1, 1, 9, 4]) == pytest.approx(0.7)
    with pytest.raises(ValueError, match="cases and non-cases"):
        ours.chosen_threshold([1, 1], [0.1, 0.2])
    with pytest.raises(ValueError, match="a rule is"):
        ours.chosen_threshold([0, 1], [0.1, 0.2], "best")


def test_every_fold_has_its_own_threshold():
    truth, score = np.array([0, 1, 0, 1]), np.array([0.1, 0.2, 10.0, 20.0])
    found = ours.operating_point(truth, score, [0.15, 0.15, 15, 15])
    assert (found.called_cases, found.called_others) == (2, 0)


def test_on_its_own_patients_a_threshold_looks_better_than_on_others():
    rng = np.random.default_rng(6)
    apparent, honest = [], []
    for _ in range(200):
        truth, other = rng.integers(0, 2, 40), rng.integers(0, 2, 40)
        score, elsewhere = rng.normal(truth), rng.normal(other)
        cut = ours.chosen_threshold(truth, score)
        for found, sums in (((truth, score), apparent), ((other, elsewhere), honest)):
            point = ours.operating_point(*found, cut)
            sums.append(point.sensitivity.value + point.specificity.value)
    best = 2 * 0.6914624612740131  # at the middle between two normals one apart
    assert np.mean(apparent) > best + 0.05 > np.mean(honest)
    assert np.mean(honest) < best
