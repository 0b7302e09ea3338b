"""Concordance against its definition pair by pair, scikit-survival as printed, and censoring of every strength."""

import itertools
import math
import tracemalloc

import numpy as np
import pytest

from trabecula import metrics as ours
from trabecula.metrics import survival
from trabecula.metrics.survival import concordance, concordance_uno, concordance_wolbers

RNG = np.random.default_rng(31)
N = 70
TRUTH = np.stack([np.round(RNG.exponential(5, N)) + 1, RNG.integers(0, 3, N)], axis=1)
RISK = np.round(RNG.normal(size=N) - TRUTH[:, 0] / 10, 1)
METRICS = {
    "harrell": concordance,
    "wolbers": concordance_wolbers,
    "uno": concordance_uno(6),
}


def by_pairs(pair_weight):
    """The share of comparable pairs in the right order; `pair_weight(i, j)` is 0 where i is not known to be first."""
    right = known = 0.0
    for i, j in itertools.permutations(range(N), 2):
        weight = pair_weight(i, j)
        known += weight
        right += weight * ((RISK[i] > RISK[j]) + 0.5 * (RISK[i] == RISK[j]))
    return right / known


def later(i, j, lasting):
    return TRUTH[j, 0] > TRUTH[i, 0] or (TRUTH[j, 0] == TRUTH[i, 0] and TRUTH[j, 1] in lasting)


def test_wolbers_2009_by_its_meaning():
    wanted = by_pairs(lambda i, j: TRUTH[i, 1] == 1 and (TRUTH[j, 1] == 2 or later(i, j, (0,))))
    assert concordance_wolbers(TRUTH, RISK) == pytest.approx(wanted)
    # By hand: the second died at once without breaking, so the first, who broke late, had the higher risk of it.
    assert concordance_wolbers([[9, 1], [1, 2]], [0.9, 0.1]) == 1
    assert math.isnan(concordance([[9, 1], [1, 2]], [0.9, 0.1]))
    alive = TRUTH[TRUTH[:, 1] < 2]
    assert concordance_wolbers(alive, RISK[TRUTH[:, 1] < 2]) == concordance(alive, RISK[TRUTH[:, 1] < 2])


def followed_before(years):
    """Chance of not being lost before a time, by the days on which somebody was lost."""
    chance = 1.0
    for day in np.unique(TRUTH[(TRUTH[:, 1] == 0) & (TRUTH[:, 0] < years), 0]):
        lost = ((TRUTH[:, 0] == day) & (TRUTH[:, 1] == 0)).sum()
        chance *= 1 - lost / (lost + (TRUTH[:, 0] > day).sum())
    return chance


@pytest.mark.parametrize("horizon", [3, 6, 100])
def test_wolbers_2014_by_its_meaning(horizon):
    chance = [followed_before(years) for years in TRUTH[:, 0]]

    def weight(i, j):
        if TRUTH[i, 1] != 1 or TRUTH[i, 0] > horizon:
            return 0.0
        if later(i, j, (0,)):
            return 1 / chance[i] ** 2
        return 1 / (chance[i] * chance[j]) if TRUTH[j, 1] == 2 else 0.0

    assert concordance_uno(horizon)(TRUTH, RISK) == pytest.approx(by_pairs(weight))


def test_without_censoring_uno_is_wolbers():
    whole = TRUTH[TRUTH[:, 1] > 0]
    risk = RISK[TRUTH[:, 1] > 0]
    assert concordance_uno(100)(whole, risk) == pytest.approx(concordance_wolbers(whole, risk))


# Stanford heart transplants (Miller, Biometrika 1976;63:449, as statsmodels ships them): days, 1 died, age.
DAYS = [
    15, 3, 624, 46, 127, 64, 1350, 280, 23, 10, 1024, 39, 730, 136, 1775, 1, 836, 60, 1536, 1549, 54, 47, 1, 51,
    1367, 1264, 44, 994, 51, 1106, 897, 253, 147, 51, 875, 322, 838, 65, 815, 551, 66, 228, 65, 660, 25, 589, 592,
    63, 12, 499, 305, 29, 456, 439, 48, 297, 389, 50, 339, 68, 26, 30, 237, 161, 14, 167, 110, 13, 1,
]  # fmt: skip
DIED = [
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 1, 0, 1, 0,
    1, 0, 1, 1, 1, 1, 0, 1, 0, 0, 1, 1, 0, 0, 1, 0, 0, 1, 1, 0, 1, 0, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0,
]  # fmt: skip
AGE = [
    54.3, 40.4, 51, 42.5, 48, 54.6, 54.1, 49.5, 56.9, 55.3, 43.4, 42.8, 58.4, 52, 33.3, 54.2, 45, 64.5, 49, 40.6,
    49, 61.5, 41.5, 50.5, 48.6, 45.5, 36.2, 48.6, 47.2, 36.8, 46.1, 48.8, 47.5, 52.5, 38.9, 48.1, 41.6, 49.1, 32.7,
    48.9, 51.3, 19.7, 45.2, 48, 53, 47.5, 26.7, 56.4, 29.2, 52.2, 49.3, 54, 46.5, 52.9, 53.4, 42.8, 48.9, 46.4,
    54.4, 51.4, 52.5, 45.8, 47.8, 43.8, 40.3, 26.7, 23.7, 28.9, 35.2,
]  # fmt: skip


def test_scikit_survival_agrees():
    # Printed by scikit-survival 0.28.0. A day's losses come a little after its deaths: it has no rule which is first.
    age = np.array(AGE)
    truth = np.stack([np.array(DAYS) + 0.25 * (np.array(DIED) == 0), DIED], axis=1)
    assert concordance(truth, age) == pytest.approx(0.6092206366630076)  # concordance_index_censored
    uno = {200: 0.6177961778785946, 700: 0.6110233497337232, 9999: 0.6209248228122156}  # concordance_index_ipcw by tau
    for horizon, value in uno.items():
        assert concordance_uno(horizon)(truth, age) == pytest.approx(value)
    told = 1 / (1 + np.exp(-(age - 50) / 8))  # cumulative_dynamic_auc of age, brier_score of this incidence
    printed = {100.5: (0.68115793, 0.22365623), 365.5: (0.63634312, 0.25882618), 900.5: (0.68088588, 0.26590356)}
    for day, row in printed.items():
        found = (ours.at_horizon(metric, day)(truth, told) for metric in (ours.auc, ours.brier))
        assert tuple(found) == pytest.approx(row)


@pytest.mark.parametrize("name", METRICS)
def test_weights_rows_and_order(name):
    metric, rows = METRICS[name], np.random.default_rng(0).integers(0, 4, (2, 3, N))
    together = metric(TRUTH, RISK, rows)
    assert together.shape == (2, 3)
    order = np.random.default_rng(1).permutation(N)
    for place in np.ndindex(2, 3):
        again = np.repeat(np.arange(N), rows[place])
        assert together[place] == pytest.approx(metric(TRUTH[again], RISK[again]))
        assert together[place] == pytest.approx(metric(TRUTH[order], RISK[order], rows[place][order]))


@pytest.mark.parametrize("name", METRICS)
def test_intervals_and_differences_by_patient(name):
    metric = METRICS[name]
    found = ours.interval(metric, TRUTH, RISK, draws=300)
    assert found.value == pytest.approx(metric(TRUTH, RISK))
    assert found.low < found.value < found.high
    twice = ours.interval(
        metric, np.repeat(TRUTH, 2, axis=0), np.repeat(RISK, 2), patients=np.repeat(np.arange(N), 2), draws=300
    )
    assert (twice.low, twice.high) == pytest.approx((found.low, found.high))
    same = ours.difference(metric, TRUTH, RISK, 3 * RISK, draws=300)
    assert (same.value, same.low, same.high) == (0, 0, 0)


@pytest.mark.parametrize("name", METRICS)
def test_what_cannot_be_measured(name):
    metric = METRICS[name]
    assert math.isnan(metric([[1, 0], [2, 2]], [0.9, 0.1]))
    assert math.isnan(metric(np.zeros((0, 2)), []))
    with pytest.raises(ValueError, match="abstentions"):
        metric([[1, 1], [2, 0]], [math.nan, 0.1])
    with pytest.raises(ValueError, match="one number a patient"):
        metric([[1, 1], [2, 0]], [0.1])


def test_pairs_are_compared_in_blocks(monkeypatch):
    whole = [metric(TRUTH, RISK) for metric in METRICS.values()]
    monkeypatch.setattr(survival, "_BLOCK", 3 * N)
    assert [metric(TRUTH, RISK) for metric in METRICS.values()] == pytest.approx(whole)


def test_twenty_thousand_patients_need_little_memory():
    rng = np.random.default_rng(2)
    truth = np.stack([rng.exponential(5, 20_000), rng.choice(3, 20_000, p=[0.96, 0.02, 0.02])], axis=1)
    tracemalloc.start()
    found = concordance_uno(10)(truth, rng.normal(size=20_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == pytest.approx(0.5, abs=0.1)
    assert peak < 2e8  # all pairs of events with everybody are 16 times as many


@pytest.mark.slow
def test_uno_does_not_depend_on_who_is_lost_when():
    # A risk that tells the first years better than the later ones: the more are lost, the better Harrell's C looks.
    rng, n = np.random.default_rng(3), 6000
    risk = rng.normal(size=n)
    early, late = rng.exponential(6 * np.exp(-1.5 * risk)), 1 + rng.exponential(6, n)
    years = np.where(early < 1, early, late)
    died = rng.exponential(20, n)
    cause = np.where(years < died, 1, 2)
    years = np.minimum(years, died)
    whole = concordance_uno(5)(np.stack([years, cause], axis=1), risk)
    lost = rng.exponential(2.5, n)
    seen = np.stack([np.minimum(years, lost), np.where(years <= lost, cause, 0)], axis=1)
    assert concordance_uno(5)(seen, risk) == pytest.approx(whole, abs=0.015)
    assert concordance(seen, risk) > whole + 0.03
    assert concordance_wolbers(seen, risk) > whole + 0.03
