"""Conformal sets by their promise and by hand; risk against coverage one patient at a time."""

import itertools
import math

import numpy as np
import pytest

from trabecula import metrics as ours


def graded(rng, n, shares=(0.7, 0.2, 0.1)):
    truth = rng.choice(len(shares), n, p=shares)
    logits = rng.normal(0, 1, (n, len(shares))) - 1.5 * np.abs(np.arange(len(shares)) - truth[:, None])
    return truth, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def test_limits_by_hand():
    # Ten cases given 0.1 .. 1.0 and miss 0.2: the floor(11 * 0.2) = 2nd lowest. Nine others and 0.2: again the 2nd.
    truth = np.repeat([1, 0], (10, 9))
    said = np.r_[np.arange(1, 11) / 10, np.arange(9) / 10]
    assert ours.conformal_limits(truth, said, miss=0.2) == pytest.approx([0.3, 0.2])
    # Four cases are too few for a tenth: everybody may be one.
    assert ours.conformal_limits([1, 1, 1, 1], [0.9, 0.8, 0.9, 0.9])[1] == 0
    assert ours.conformal_limits(np.ones(9, dtype=int), np.linspace(0.5, 0.9, 9))[1] == 0.5
    sets = ours.conformal_sets([0.1, 0.5, 0.9], [0.3, 0.2])
    assert sets.tolist() == [[True, False], [True, True], [False, True]]
    assert ours.conformal_sets([0.5], [0.6, 0.6]).tolist() == [[False, False]]


def test_ordered_sets_have_no_hole():
    held = [[0.4, 0.1, 0.5], [0.8, 0.1, 0.1], [0.0, 0.0, 0.0]]
    assert ours.conformal_sets(held, [0.3, 0.3, 0.3]).sum(axis=1).tolist() == [2, 1, 0]
    assert ours.conformal_sets(held, [0.3, 0.3, 0.3], ordered=True).sum(axis=1).tolist() == [3, 1, 0]


def test_the_promise_holds_in_every_grade_whatever_the_system():
    # Exact law: a grade with n patients set aside is covered with the chance 1 - floor((n + 1) miss) / (n + 1).
    rng = np.random.default_rng(12)
    covered, by_hand = [], []
    for _ in range(400):
        truth, said = graded(rng, 150)
        limits = ours.conformal_limits(truth, said)
        new, told = graded(rng, 300)
        covered.append(ours.set_coverage_of(new, ours.conformal_sets(told, limits)))
        n = np.bincount(truth, minlength=3)
        by_hand.append(1 - np.floor((n + 1) * 0.1) / (n + 1))
    assert np.mean(covered, axis=0) == pytest.approx(np.mean(by_hand, axis=0), abs=0.012)
    assert (np.mean(covered, axis=0) > 0.89).all()


def test_coverage_and_size_by_hand():
    truth = [0, 1, 1, 2]
    sets = [[1, 0, 0], [1, 1, 0], [1, 0, 1], [0, 0, 0]]
    assert ours.set_coverage(truth, sets) == 0.5
    assert ours.set_size(truth, sets) == pytest.approx(5 / 4)
    assert ours.set_coverage_of(truth, sets).tolist() == [1, 0.5, 0]
    weights = np.array([[1, 2, 1, 0], [1, 1, 1, 1]])
    assert ours.set_coverage(truth, sets, weights) == pytest.approx([3 / 4, 1 / 2])
    assert ours.set_size(truth, sets, weights) == pytest.approx([7 / 4, 5 / 4])
    assert ours.set_coverage_of(truth, sets, weights)[0, :2].tolist() == [1, 2 / 3]
    assert math.isnan(ours.set_coverage_of(truth, sets, weights)[0, 2])
    found = ours.interval(ours.set_coverage, np.array(truth), np.array(sets), draws=50)
    assert found.low <= found.value == 0.5 <= found.high


@pytest.mark.parametrize(("truth", "said"), [([0, 2], [0.1, 0.2]), ([0], [0.1, 0.2]), ([0, 0.5], [0.1, 0.2])])
def test_a_truth_that_is_no_grade_is_refused(truth, said):
    with pytest.raises(ValueError, match="is a grade of"):
        ours.conformal_limits(truth, said)
    with pytest.raises(ValueError, match="may miss"):
        ours.conformal_limits([0, 1], [0.1, 0.2], miss=1)


def test_risk_against_coverage_by_hand():
    # Surest first: right, wrong, right, right: risks 0, 1/2, 1/3, 1/4.
    truth, said = [1, 0, 0, 1], [0.95, 0.9, 0.2, 0.6]
    coverage, risk = ours.risk_and_coverage(*ours.called_wrong(truth, said))
    assert coverage == pytest.approx([1 / 4, 1 / 2, 3 / 4, 1])
    assert risk == pytest.approx([0, 1 / 2, 1 / 3, 1 / 4])
    assert ours.selective_risk(truth, said) == pytest.approx((1 / 2 + 1 / 3 + 1 / 4) / 4)
    assert math.isnan(ours.selective_risk([], []))
    assert ours.called_wrong([1, 0], [0.5, 0.5])[0].tolist() == [0, 1]  # 0.5 is called, as everywhere


def test_ties_are_the_mean_over_their_orders():
    truth, said = np.array([0, 0, 1, 1, 0]), np.array([0.2, 0.9, 0.9, 0.6, 0.6])
    wrong, certain = ours.called_wrong(truth, said)
    areas = []
    for order in itertools.permutations(range(5)):
        sure = certain[list(order)]
        if (np.diff(sure) <= 0).all():
            areas.append(np.mean(np.cumsum(wrong[list(order)]) / np.arange(1, 6)))
    assert ours.selective_risk(truth, said) == pytest.approx(np.mean(areas))


def test_a_weight_is_that_many_patients():
    rng = np.random.default_rng(13)
    truth, said = graded(rng, 80)
    said = np.round(said, 2)
    weights = rng.integers(0, 4, (3, 80))
    found = ours.selective_risk(truth, said, weights)
    for row, figure in zip(weights, found, strict=True):
        again = np.repeat(np.arange(80), row)
        assert figure == pytest.approx(float(ours.selective_risk(truth[again], said[again])))
    assert np.isnan(ours.selective_risk(truth, said, np.zeros(80)))
    # A certainty that tells nothing has the same risk at every coverage.
    assert ours.selective_risk(truth, np.tile([0.4, 0.3, 0.3], (80, 1))) == pytest.approx(np.mean(truth != 0))
    sure = ours.interval(ours.selective_risk, truth, said, draws=100)
    assert sure.low < sure.value < sure.high < np.mean(ours.called_wrong(truth, said)[0])
