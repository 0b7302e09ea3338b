"""Newcombe's interval of an AUC by the equation that its limits solve."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from trabecula import metrics as ours

RNG = np.random.default_rng(14)
TRUTH = np.repeat([1, 0], (20, 60))
SCORE = np.round(RNG.normal(1.2 * TRUTH), 1)


def error(area, cases, others):
    """Standard error of method 5 as the R package auRoc writes it (recalled), N the mean size of the classes."""
    size = (cases + others) / 2
    factor = 2 * size - 1 - (3 * size - 3) / ((2 - area) * (1 + area))
    return math.sqrt(area * (1 - area) / (cases * others) * factor)


def test_limits_are_just_so_many_of_their_own_errors_away():
    found = ours.newcombe_interval(TRUTH, SCORE)
    assert found.value == pytest.approx(float(ours.auc(TRUTH, SCORE)))
    for limit in (found.low, found.high):
        assert abs(found.value - limit) == pytest.approx(norm.ppf(0.975) * error(limit, 20, 60), rel=1e-6)


def test_hanley_and_mcneil_1982():
    # Radiology 143:29, table I: AUC 0.893 of 51 and 58 images. Their variance (Q1 = A/(2-A), Q2 = 2A^2/(1+A)), with
    # classes of one size, is that of method 5: at 54.5 each it gives 0.0319; they report 0.032.
    area = 0.893
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    theirs = (area * (1 - area) + 53.5 * (q1 - area**2) + 53.5 * (q2 - area**2)) / (51 * 58)
    assert error(area, 51, 58) == pytest.approx(math.sqrt(theirs), rel=1e-9)
    assert math.sqrt(theirs) == pytest.approx(0.032, abs=0.001)


def test_turned_around_it_is_mirrored():
    found, turned = ours.newcombe_interval(TRUTH, SCORE), ours.newcombe_interval(TRUTH, -SCORE)
    assert (turned.low, turned.high) == pytest.approx((1 - found.high, 1 - found.low))


def test_perfect_separation_has_a_lower_limit():
    few, more = ours.newcombe_interval([1, 1, 0, 0], [3, 4, 1, 2]), ours.newcombe_interval(TRUTH, TRUTH)
    assert few.value == few.high == more.high == 1
    assert 0 < few.low < more.low < 1
    assert ours.newcombe_interval([1, 0], [0, 1]).low == 0
    assert ours.newcombe_interval([1, 1], [0, 1]).to_json() == {"value": None, "low": None, "high": None}


def test_of_many_patients_it_is_as_wide_as_delong():
    rng = np.random.default_rng(15)
    truth = np.repeat([1, 0], 2000)
    score = rng.normal(truth)
    found, delong = ours.newcombe_interval(truth, score), ours.delong_interval(truth, score)
    assert found.high - found.low == pytest.approx(delong.high - delong.low, rel=0.03)
