"""What `bench/coverage.py` shows at length, held to here: intervals and tests on studies whose truth is known."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

BENCH = Path(__file__).parents[2] / "bench" / "coverage.py"
RUNS = 400

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("coverage_of_claims", BENCH)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def counted(study, runs=RUNS):
    rng = np.random.default_rng(16)
    told = [study(rng) for _ in range(runs)]
    return {claim: sum(each[claim] for each in told) for claim in told[0]}


def at_least(rate, runs=RUNS):
    """Fewest hits that a rate gives in all but one of a thousand tries."""
    return binom.ppf(0.001, runs, rate)


def at_most(rate, runs=RUNS):
    return binom.ppf(0.999, runs, rate)


def test_intervals_of_an_auc_on_a_hold_out(bench):
    held = counted(bench.hold_out(200, 0.3, 0.75))
    assert min(held.values()) >= at_least(0.95)
    few = counted(bench.hold_out(60, 0.2, 0.9))
    assert few["Newcombe"] >= at_least(0.95)
    assert few["bootstrap"] < at_least(0.95)  # with twelve cases it promises too much


def test_two_equal_on_a_hold_out_differ_in_one_of_twenty(bench):
    assert max(counted(bench.two_on_hold_out(60, 0.5, 0.5)).values()) <= at_most(0.05)


def test_under_cross_validation_only_the_corrected_test_is_honest(bench):
    found = counted(bench.two_under_cross_validation(100, (0.0, 0.0)), 300)
    assert found["corrected t-test, 10 x 5 folds, as one of 5"] <= at_most(0.07, 300)
    assert found["corrected t-test, 5 folds"] <= at_most(0.07, 300)
    for pooled in ("DeLong on pooled scores, 5 folds", "plain t-test, 10 x 5 folds"):
        assert found[pooled] > at_most(0.05, 300), pooled


def test_calibration_in_the_large_draws_patients(bench):
    held = counted(bench.calibration(200), 100)
    assert held["intercept, patients drawn"] >= at_least(0.95, 100)
    assert held["slope, patients drawn"] >= at_least(0.95, 100)
    assert held["intercept, cases kept to their number"] < at_least(0.95, 100)
