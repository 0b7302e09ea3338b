"""The corrected resampled t-test against the plain one of scipy, and by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from trabecula import metrics as ours

APART = np.random.default_rng(3).normal(0.02, 0.05, 50)


def test_by_hand():
    # Four folds of 25 patients of 100: mean 0.02, variance (0.02^2 + 0 + 0 + 0.02^2) / 3 = 0.0008 / 3; its mean has
    # (1/4 + 1/3) of that: error 0.0124722; t = 1.60357 of 3 degrees of freedom; quantile 3.182446 by the tables.
    found = ours.corrected_difference([0.0, 0.02, 0.02, 0.04], train=75, test=25)
    error = math.sqrt(7 / 12 * 0.0008 / 3)
    assert found.value == pytest.approx(0.02)
    assert error == pytest.approx(0.0124722, abs=1e-7)
    assert (found.low, found.high) == pytest.approx((0.02 - 3.182446 * error, 0.02 + 3.182446 * error), abs=1e-6)
    assert found.p == pytest.approx(2 * stats.t.sf(1.60357, 3), abs=1e-5)


def test_without_judged_patients_it_is_the_plain_t_test():
    found = ours.corrected_difference(APART, train=1e12, test=1)
    plain = stats.ttest_1samp(APART, 0)
    assert found.p == pytest.approx(plain.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(plain.confidence_interval()))


def test_the_correction_of_nadeau_and_bengio():
    # Their statistic is the plain one times sqrt((1/J) / (1/J + n2/n1)); ten repeats of five folds: n2/n1 = 1/4.
    found = ours.corrected_difference(APART, train=400, test=100)
    plain = stats.ttest_1samp(APART, 0).statistic
    assert found.p == pytest.approx(2 * stats.t.sf(abs(plain) * math.sqrt((1 / 50) / (1 / 50 + 1 / 4)), 49))
    many = ours.corrected_difference(np.tile(APART, 100), train=400, test=100)
    assert many.high - many.low > 0.9 * (found.high - found.low)  # repeats cannot buy certainty
    # Told of ten repeats, the error is that of one run of five folds: 1/5 + 1/4.
    told = ours.corrected_difference(APART, train=400, test=100, repeats=10)
    assert told.p == pytest.approx(2 * stats.t.sf(abs(plain) * math.sqrt((1 / 50) / (1 / 5 + 1 / 4)), 49))


def test_folds_of_repeats_are_compared_one_by_one():
    rng = np.random.default_rng(4)
    truth = np.tile(rng.integers(0, 2, 60), 2)
    a, b = rng.normal(truth), rng.normal(truth)
    folds = np.r_[np.arange(60) % 3, 3 + rng.permutation(60) % 3]
    shifted = a + 10 * folds  # every fold has a scale of its own
    apart, judged = ours.fold_differences(ours.auc, truth, shifted, b, folds=folds)
    wanted = [ours.auc(truth[folds == f], a[folds == f]) - ours.auc(truth[folds == f], b[folds == f]) for f in range(6)]
    assert apart == pytest.approx(wanted)
    assert judged.tolist() == [20] * 6
    found = ours.repeated_difference(ours.auc, truth, shifted, b, folds=folds, repeats=2)
    assert found == ours.corrected_difference(wanted, train=40, test=20, repeats=2)
    back = ours.repeated_difference(ours.auc, truth, b, a, folds=folds, repeats=2)
    assert (back.value, back.p) == (pytest.approx(-found.value), pytest.approx(found.p))


def test_what_cannot_be_told_is_nan():
    same = ours.corrected_difference([0.0, 0.0, 0.0], train=2, test=1)
    assert (same.value, same.low, same.high, same.p) == (0, 0, 0, 1)
    alike = ours.corrected_difference([0.1, 0.1, 0.1], train=2, test=1)
    assert (round(alike.value, 12), math.isnan(alike.p), math.isnan(alike.low)) == (0.1, True, True)
    assert ours.corrected_difference([0.1, 0.3, math.nan], train=[2, 2, 9], test=1) == ours.corrected_difference(
        [0.1, 0.3], train=2, test=1
    )
    assert ours.corrected_difference([0.1, math.nan], train=2, test=1).to_json() == {
        "value": 0.1, "low": None, "high": None, "p": None,
    }  # fmt: skip
    with pytest.raises(ValueError, match="learns from"):
        ours.corrected_difference([0.1, 0.2], train=0, test=1)
    with pytest.raises(ValueError, match="repeats"):
        ours.repeated_difference(ours.auc, [0, 1, 0], [1, 2, 3], [1, 2, 3], folds=[0, 0, 1], repeats=2)
    with pytest.raises(ValueError, match="two folds"):
        ours.repeated_difference(ours.auc, [0, 1, 0], [1, 2, 3], [1, 2, 3], folds=[0, 0, 0])
