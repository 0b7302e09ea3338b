"""DeLong against the data of his own paper, pROC, placement values one pair at a time, and Holm against statsmodels."""

import math
import time

import numpy as np
import pytest
from scipy.stats import chi2, norm

from trabecula import metrics as ours
from trabecula.metrics.paired import wald

# DeLong, DeLong and Clarke-Pearson 1988: albumin, total protein, K-G score and whether surgery helped, 43 women with
# ovarian cancer, as printed in the SAS/STAT user's guide, PROC LOGISTIC, "Comparing Receiver Operating Characteristic
# Curves" (there, 10 less the K-G score).
PRINTED = """
3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0  1.6 5.6 5 1  3.8 5.7 5 1
3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1  4.3 7.0 4 1  3.6 6.7 4 0  2.3 4.4 6 1  4.2 7.6 4 0
4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1  3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1  3.1 6.6 6 1  4.1 8.2 6 1  4.3 7.0 5 1
4.3 6.5 4 1  3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0  3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1  3.5 6.2 5 1
2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1  3.3 5.7 6 1  3.7 6.9 5 1  3.6 6.6 5 1
"""
OVARIAN = np.array(PRINTED.split(), dtype=float).reshape(-1, 4)
HELPED, TESTS = OVARIAN[:, 3], np.stack([OVARIAN[:, 0], OVARIAN[:, 1], 10 - OVARIAN[:, 2]])

# aSAH of pROC (Turck et al., Intensive Care Med 2010;36:107): patients with good and poor outcome at each of the 50
# values of S100B, lowest first, counted from the ROC curve in pROC's tests (helper-roc-expected.R).
GOOD = [0, 5, 3, 2, 6, 6, 6, 7, 4, 0, 3, 4, 4, 3, 2, 1, 2, 0, 0, 1, 0, 0, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 2, 1,
        0, 2] + 11 * [0]  # fmt: skip
POOR = [1, 0, 0, 0, 3, 1, 2, 2, 1, 1, 2, 1, 0, 1, 0, 0, 0, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 2, 0, 0, 0, 1,
        1, 0, 1, 1, 1, 1, 2, 1, 1, 1, 1, 1, 1]  # fmt: skip


def by_pairs(truth, scores):
    """Return AUCs and covariance by the words of the paper: psi of every pair, structural components, S10/m + S01/n."""
    cases, others = np.flatnonzero(truth == 1), np.flatnonzero(truth == 0)
    psi = np.array([[[(s[i] > s[j]) + 0.5 * (s[i] == s[j]) for j in others] for i in cases] for s in scores])
    v10, v01, areas = psi.mean(axis=2), psi.mean(axis=1), psi.mean(axis=(1, 2))
    s10 = (v10 - areas[:, None]) @ (v10 - areas[:, None]).T / (len(cases) - 1)
    s01 = (v01 - areas[:, None]) @ (v01 - areas[:, None]).T / (len(others) - 1)
    return areas, s10 / len(cases) + s01 / len(others)


def test_the_ovarian_data_of_the_paper():
    # As SAS prints them: areas 0.7366, 0.6478, 0.7258, errors 0.0927, 0.1000, 0.1028; all three alike: chi-squared
    # 2.5340 of 2 degrees of freedom (recalled before they were computed here).
    areas, covariance = ours.auc_covariance(HELPED, TESTS)
    assert areas.round(4).tolist() == [0.7366, 0.6478, 0.7258]
    assert np.sqrt(np.diag(covariance)).round(4).tolist() == [0.0927, 0.1, 0.1028]
    statistic, freedom, p = ours.delong_equal(HELPED, TESTS)
    assert (round(statistic, 4), freedom) == (2.534, 2)
    assert p == pytest.approx(chi2.sf(2.534, 2), abs=1e-4)


def test_the_error_of_proc():
    # pROC's own tests: auc 0.73136856368563685, var(r.s100b) 0.00266868245717244; its page: ci 0.6301-0.8326 (plain).
    value = np.concatenate([np.repeat(np.arange(50), POOR), np.repeat(np.arange(50), GOOD)])
    truth = np.repeat([1, 0], (41, 72))
    areas, covariance = ours.auc_covariance(truth, value)
    assert areas[0] == pytest.approx(0.73136856368563685)
    assert covariance[0, 0] == pytest.approx(0.00266868245717244)
    found = ours.delong_interval(truth, value)
    logit = math.log(areas[0] / (1 - areas[0]))
    half = norm.ppf(0.975) * math.sqrt(0.00266868245717244) / (areas[0] * (1 - areas[0]))
    assert math.log(found.low / (1 - found.low)) == pytest.approx(logit - half)
    assert math.log(found.high / (1 - found.high)) == pytest.approx(logit + half)
    assert (found.low, found.high) == pytest.approx((0.6301, 0.8326), abs=0.02)


def test_proc_test_from_its_own_covariances():
    # pROC: var(wfns) 0.00146991470882363, var(s100b) 0.00266868245717244, cov 0.00119615567376754, difference in AUC
    # 0.0923102981029815 (the middle of its interval): Z 2.20898359144091, p 0.0271757822291882, interval as below.
    variance = 0.00146991470882363 + 0.00266868245717244 - 2 * 0.00119615567376754
    found = wald((0.0104061769564846 + 0.174214419249478) / 2, math.sqrt(variance))
    assert found.value / math.sqrt(variance) == pytest.approx(2.20898359144091)
    assert found.p == pytest.approx(0.0271757822291882)
    assert (found.low, found.high) == pytest.approx((0.0104061769564846, 0.174214419249478))


def test_by_hand():
    # Cases score 3, 2 and others 1, 2: psi = [[1, 1], [1, 1/2]]; AUC 7/8; components (1, 3/4) on both sides, of
    # variance 1/32 each; so the variance is 1/64 + 1/64.
    areas, covariance = ours.auc_covariance([1, 1, 0, 0], [3, 2, 1, 2])
    assert areas[0] == 7 / 8
    assert covariance[0, 0] == pytest.approx(1 / 32)


def test_every_pair_of_patients_agrees_ties_and_all():
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1], (31, 23))
    scores = np.round(rng.normal(truth, 1, (4, 54)), 1)
    scores[1] = np.round(scores[0])  # many ties
    areas, covariance = ours.auc_covariance(truth, scores)
    wanted, spread = by_pairs(truth, scores)
    assert areas == pytest.approx(wanted)
    assert covariance == pytest.approx(spread)
    assert areas == pytest.approx([float(ours.auc(truth, s)) for s in scores])
    found = ours.delong_difference(truth, scores[0], scores[2])
    error = math.sqrt(spread[0, 0] + spread[2, 2] - 2 * spread[0, 2])
    assert found.value == pytest.approx(wanted[0] - wanted[2])
    assert found.p == pytest.approx(2 * norm.sf(abs(found.value) / error))
    assert (found.high - found.low) / 2 == pytest.approx(norm.ppf(0.975) * error)
    statistic, freedom, p = ours.delong_equal(truth, scores[[0, 2]])
    assert (statistic, freedom, p) == (pytest.approx((found.value / error) ** 2), 1, pytest.approx(found.p))


def test_what_ranks_alike_does_not_differ():
    scores = np.stack([TESTS[0], np.exp(TESTS[0])])
    assert ours.delong_difference(HELPED, *scores) == ours.Tested(0.0, 0.0, 0.0, 1.0)
    assert ours.delong_equal(HELPED, scores) == (0.0, 0, 1.0)
    assert ours.delong_equal(HELPED, np.stack([*scores, TESTS[1]]))[1] == 1
    swapped = ours.delong_difference(HELPED, TESTS[1], TESTS[0])
    found = ours.delong_difference(HELPED, TESTS[0], TESTS[1])
    assert (swapped.value, swapped.low, swapped.p) == pytest.approx((-found.value, -found.high, found.p))


def test_perfect_separation_is_no_certainty():
    found = ours.delong_interval([0, 0, 1, 1], [1, 2, 3, 4])
    assert found.to_json() == {"value": 1.0, "low": None, "high": None}
    assert math.isnan(ours.delong_interval([1, 1], [1, 2]).value)
    alone = ours.delong_interval([1, 0, 0], [2, 1, 3])
    assert (alone.value, math.isnan(alone.low)) == (0.5, True)
    assert math.isnan(ours.delong_equal([1, 0, 0], [[2, 1, 3], [1, 2, 3]])[0])


@pytest.mark.parametrize(
    ("truth", "scores", "message"),
    [([0, 1], [[1, 2, 3]], "systems, n"), ([0, 2], [1, 2], "0 or 1"), ([0, 1], [1, math.nan], "abstentions")],
)
def test_what_is_refused(truth, scores, message):
    with pytest.raises(ValueError, match=message):
        ours.auc_covariance(truth, scores)


def test_twenty_systems_on_ten_thousand_patients_take_n_log_n():
    # The promise of 1 s is measured in bench/speed.py; here only that no table of all pairs (4 GB) is made.
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, 10_000)
    start = time.process_time()
    areas, covariance = ours.auc_covariance(truth, rng.normal(size=(20, 10_000)) + truth)
    assert time.process_time() - start < 5
    assert areas == pytest.approx(np.full(20, norm.cdf(1 / math.sqrt(2))), abs=0.02)
    assert np.linalg.eigvalsh(covariance).min() > 0


def test_holm_by_hand_and_by_statsmodels():
    multitest = pytest.importorskip("statsmodels.stats.multitest", reason="statsmodels is an oracle of tests only")
    # Smallest first: 0.01 * 3, 0.02 * 2, 0.04 * 1, none below the one before it.
    assert ours.holm([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    rng = np.random.default_rng(2)
    for size in (1, 2, 7, 40):
        p = rng.uniform(size=size) ** 3
        assert ours.holm(p) == pytest.approx(multitest.multipletests(p, method="holm")[1])
    assert ours.holm([0.01, math.nan, 0.03])[[0, 2]] == pytest.approx([0.02, 0.03])
    assert math.isnan(ours.holm([0.01, math.nan])[1])
    assert len(ours.holm([])) == 0
    with pytest.raises(ValueError, match="0 to 1"):
        ours.holm([0.1, 1.2])
