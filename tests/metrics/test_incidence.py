"""Incidence against published tables, statsmodels, printed results of scikit-survival and sums by hand."""

import math

import numpy as np
import pytest

from trabecula.metrics.incidence import aalen_johansen, kaplan_meier, observations, still_followed

RNG = np.random.default_rng(30)
TRUTH = np.stack([np.round(RNG.exponential(5, 90)) + 1, RNG.integers(0, 3, 90)], axis=1)  # whole years: many ties

# Scrucca et al., Bone Marrow Transplant 2007;40:381: 35 transplants, months and 0 censored, 1 relapse, 2 death of it
# (as scikit-survival 0.28.0 ships it: `sksurv.datasets.load_bmt`).
MONTHS = [13, 1, 72, 7, 8, 67, 9, 5, 70, 4, 7, 68, 1, 10, 7, 3, 4, 4, 3, 3, 22, 8, 2, 0, 0, 35, 35, 4, 14, 26, 3, 2, 8,
          32, 12]  # fmt: skip
STATUS = [2, 1, 0, 2, 2, 0, 2, 2, 0, 0, 0, 0, 2, 2, 2, 1, 1, 1, 1, 1, 2, 1, 2, 2, 1, 0, 0, 2, 2, 2, 2, 0, 0, 0, 1]
TRANSPLANTS = np.stack([MONTHS, STATUS], axis=1)


def test_freireich_1963():
    # Blood 21:699, the 6-MP arm: weeks of remission; survival and Greenwood's error as every textbook prints them
    # (R's survfit of the data `gehan`).
    relapsed, going_on = [6, 6, 6, 7, 10, 13, 16, 22, 23], [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
    truth = [(week, 1) for week in relapsed] + [(week, 0) for week in going_on]
    table = {6: (0.857, 0.0764), 7: (0.807, 0.0869), 10: (0.753, 0.0963), 13: (0.690, 0.1068), 16: (0.627, 0.1141),
             22: (0.538, 0.1282), 23: (0.448, 0.1346)}  # fmt: skip
    found = kaplan_meier(truth)
    for week, (free, error) in table.items():
        assert round(1 - found.at(week), 3) == free
        assert round(math.sqrt(found.variance[found.years == week][0]), 4) == error
    assert found.at(5.99) == 0
    assert found.at(100) == found.at(23)


def test_a_death_by_hand():
    # 5 people: one breaks, one dies, one is lost, one of the last two breaks, one goes on.
    truth = [[1, 1], [2, 2], [3, 0], [4, 1], [5, 0]]
    assert aalen_johansen(truth).at(4) == pytest.approx(1 / 5 + 3 / 5 * 1 / 2)
    assert aalen_johansen(truth, cause=2).at(4) == pytest.approx(4 / 5 * 1 / 4)
    assert kaplan_meier(truth, events=(1,)).at(4) == pytest.approx(1 - 4 / 5 * 1 / 2)  # as if nobody died
    assert aalen_johansen(truth).at_risk.tolist() == [5, 4, 3, 2, 1]


@pytest.mark.parametrize("cause", [1, 2])
def test_statsmodels_agrees(cause):
    survfunc = pytest.importorskip("statsmodels.duration.survfunc", reason="statsmodels is an oracle of tests only")
    truth = np.r_[TRUTH, [[99, 0]]]  # its variance divides by zero where the last has the event
    theirs = survfunc.CumIncidenceRight(truth[:, 0], truth[:, 1].astype(int))
    ours, alone = aalen_johansen(truth, cause=cause), kaplan_meier(truth, events=(cause,))
    assert ours.value == pytest.approx(theirs.cinc[cause - 1])
    assert np.sqrt(ours.variance) == pytest.approx(theirs.cinc_se[cause - 1])
    theirs = survfunc.SurvfuncRight(truth[:, 0], truth[:, 1] == cause)
    at = np.isin(alone.years, theirs.surv_times)
    assert 1 - alone.value[at] == pytest.approx(theirs.surv_prob)
    assert np.sqrt(alone.variance[at]) == pytest.approx(theirs.surv_prob_se)


def test_scikit_survival_agrees():
    # Printed by scikit-survival 0.28.0: cumulative_incidence_competing_risks(..., conf_type="log-log",
    # var_type="Dinse_Approx"), months 5, 12, 22 and 26.
    printed = {
        1: [(0.204926, 0.090249, 0.351817), (0.272839, 0.135270, 0.430274), (0.272839, 0.135270, 0.430274),
            (0.272839, 0.135270, 0.430274)],
        2: [(0.175792, 0.071203, 0.318599), (0.340760, 0.184941, 0.503216), (0.446142, 0.268978, 0.608902),
            (0.481270, 0.299007, 0.642101)],
    }  # fmt: skip
    for cause, rows in printed.items():
        found = aalen_johansen(TRANSPLANTS, cause=cause)
        for month, row in zip((5, 12, 22, 26), rows, strict=True):
            assert (found.at(month), *found.interval(month)) == pytest.approx(row, abs=1e-6)


def test_causes_and_those_who_are_free_are_everybody():
    both = kaplan_meier(TRUTH).value
    assert aalen_johansen(TRUTH).value + aalen_johansen(TRUTH, cause=2).value == pytest.approx(both)
    assert (kaplan_meier(TRUTH, events=(1,)).value >= aalen_johansen(TRUTH).value - 1e-12).all()


def test_variance_is_greenwoods_with_one_cause_and_the_binomial_without_censoring():
    one = TRUTH * (TRUTH[:, 1] == 1)[:, None] + (TRUTH * [1, 0]) * (TRUTH[:, 1] != 1)[:, None]
    found, times = aalen_johansen(one), np.unique(one[:, 0])
    n = np.array([(one[:, 0] >= t).sum() for t in times])
    d = np.array([((one[:, 0] == t) & (one[:, 1] == 1)).sum() for t in times])
    greenwood = (1 - found.value) ** 2 * np.cumsum(d / np.maximum(n * (n - d), 1e-9))
    assert found.variance[n > d] == pytest.approx(greenwood[n > d])
    everybody = TRUTH[TRUTH[:, 1] > 0]
    whole = aalen_johansen(everybody)
    assert whole.variance == pytest.approx(whole.value * (1 - whole.value) / len(everybody))


def test_a_weight_is_that_many_patients_alike_and_a_row_is_a_figure():
    rows = np.random.default_rng(0).integers(0, 4, (2, 3, 90))
    found = aalen_johansen(TRUTH, rows)
    followed = still_followed(TRUTH, rows, [2.0, 7.0])
    for place in np.ndindex(2, 3):
        again = TRUTH[np.repeat(np.arange(90), rows[place])]
        alone = aalen_johansen(again)
        for years in (0.5, 3, 8):
            assert found.at(years)[place] == pytest.approx(alone.at(years))
            assert [end[place] for end in found.interval(years)] == pytest.approx(alone.interval(years))
        assert followed[place] == pytest.approx(still_followed(again, 1.0, [2.0, 7.0]))


def test_where_nobody_had_the_event_the_interval_is_the_exact_one_of_those_at_risk():
    low, high = aalen_johansen([[3, 0]] * 4 + [[5, 0]] * 30).interval(4)
    assert low == 0
    assert (1 - high) ** 30 == pytest.approx(0.025)  # Clopper and Pearson of 0 in 30
    assert np.isnan(aalen_johansen([[1, 1]] * 5).interval(2)).all()


def test_who_breaks_on_the_day_leaves_before_who_is_lost_on_it():
    # At 2 years one of 4 breaks and one is lost: of the 3 who could be lost, 2 are still followed after it.
    truth = [[1, 0], [2, 1], [2, 0], [3, 0], [4, 1]]
    assert still_followed(truth, 1.0, [0, 1, 2, 2.5, 3, 9]) == pytest.approx([1, 1, 4 / 5, 8 / 15, 8 / 15, 4 / 15])


@pytest.mark.parametrize(
    ("truth", "said"),
    [([1, 2], "n, 2"), ([[1, 3]], "0 censored"), ([[-1, 0]], "not negative"), ([[math.nan, 0]], "finite")],
)
def test_errors_say_what_is_wanted(truth, said):
    with pytest.raises(ValueError, match=said):
        observations(truth, 1.0)
    with pytest.raises(ValueError, match="nobody"):
        aalen_johansen(np.zeros((0, 2)))


@pytest.mark.slow
def test_intervals_of_rare_events_cover_at_their_promise():
    # 4.5 % break within 5 years, three times as many die, and a third is lost before.
    rng, event, death, within = np.random.default_rng(1), 0.01, 0.03, 5.0
    share = event / (event + death) * (1 - math.exp(-(event + death) * within))
    covered = np.zeros(2)
    for _ in range(2000):
        years, lost = rng.exponential(1 / (event + death), 400), rng.uniform(0, 15, 400)
        cause = np.where(rng.random(400) < event / (event + death), 1, 2)
        low, high = aalen_johansen(
            np.stack([np.minimum(years, lost), np.where(years <= lost, cause, 0)], axis=1)
        ).interval(within)
        covered += share < low, share > high
    assert covered / 2000 == pytest.approx(0.025, abs=0.012)  # missed on either side
