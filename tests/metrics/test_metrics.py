"""Metrics against scikit-learn, statsmodels, published examples and sums by hand; intervals against their promise."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import norm
from sklearn import metrics as theirs

from trabecula import metrics as ours

RNG = np.random.default_rng(20)
TRUTH = RNG.integers(0, 2, 120)
SCORE = np.round(np.clip(TRUTH * 0.3 + RNG.normal(0.35, 0.25, 120), 0, 1), 1)  # rounded, so that there are ties
WEIGHTS = RNG.integers(0, 5, 120)
GRADE = RNG.integers(0, 4, 120)
GRADES = RNG.dirichlet(np.ones(4), 120)
VALUE = RNG.normal(size=120)
MEASURED = VALUE + RNG.normal(0.3, 0.5, 120)
YEARS = np.round(RNG.exponential(5, 120), 0)
EVENT = RNG.integers(0, 3, 120)
SURVIVAL = np.stack([YEARS, EVENT], axis=1)

ARGUMENTS = {
    **dict.fromkeys(("auc", "average_precision", "brier", "sensitivity", "specificity"), (TRUTH, SCORE)),
    "accuracy": (TRUTH, SCORE),
    "quadratic_kappa": (GRADE, GRADES),
    "auc_highest": (GRADE, GRADES),
    **dict.fromkeys(
        ("mean_absolute_error", "root_mean_square_error", "bias", "limits_of_agreement", "correlation"),
        (VALUE, MEASURED),
    ),
    "concordance": (SURVIVAL, SCORE),
}


@pytest.mark.parametrize("weights", [np.ones(120), WEIGHTS], ids=["plain", "weighted"])
def test_scikit_learn_agrees(weights):
    w = {"sample_weight": weights}
    called, top = SCORE >= 0.5, GRADES.argmax(axis=1)
    pairs = {
        "auc": theirs.roc_auc_score(TRUTH, SCORE, **w),
        "average_precision": theirs.average_precision_score(TRUTH, SCORE, **w),
        "brier": theirs.brier_score_loss(TRUTH, SCORE, **w),
        "sensitivity": theirs.recall_score(TRUTH, called, **w),
        "specificity": theirs.recall_score(TRUTH, called, pos_label=0, **w),
        "accuracy": theirs.accuracy_score(TRUTH, called, **w),
        "quadratic_kappa": theirs.cohen_kappa_score(GRADE, top, weights="quadratic", **w),
        "auc_highest": theirs.roc_auc_score(GRADE == 3, GRADES[:, 3], **w),
        "mean_absolute_error": theirs.mean_absolute_error(VALUE, MEASURED, **w),
        "root_mean_square_error": theirs.root_mean_squared_error(VALUE, MEASURED, **w),
        "correlation": np.cov(VALUE, MEASURED, aweights=weights)[0, 1]
        / math.sqrt(np.cov(VALUE, aweights=weights) * np.cov(MEASURED, aweights=weights)),
        "bias": np.average(MEASURED - VALUE, weights=weights),
        "limits_of_agreement": 1.96 * math.sqrt(np.cov(MEASURED - VALUE, fweights=weights.astype(int))),
    }
    for name, value in pairs.items():
        assert getattr(ours, name)(*ARGUMENTS[name], weights) == pytest.approx(value), name
    assert ours.accuracy(GRADE, GRADES, weights) == pytest.approx(theirs.accuracy_score(GRADE, top, **w))


@pytest.mark.parametrize("name", ARGUMENTS)
def test_a_weight_is_that_many_patients_alike(name):
    metric, (truth, prediction) = getattr(ours, name), ARGUMENTS[name]
    again = np.repeat(np.arange(120), WEIGHTS)
    assert metric(truth, prediction, WEIGHTS) == pytest.approx(metric(truth[again], prediction[again]))


@pytest.mark.parametrize("name", ARGUMENTS)
def test_many_rows_of_weights_are_many_figures(name):
    metric, (truth, prediction) = getattr(ours, name), ARGUMENTS[name]
    rows = np.random.default_rng(0).integers(0, 4, (3, 2, 120))
    together = metric(truth, prediction, rows)
    assert together.shape == (3, 2)
    for place in itertools.product(range(3), range(2)):
        assert together[place] == pytest.approx(metric(truth, prediction, rows[place]))


@pytest.mark.parametrize("name", ARGUMENTS)
def test_the_order_of_patients_does_not_matter(name):
    metric, (truth, prediction) = getattr(ours, name), ARGUMENTS[name]
    order = np.random.default_rng(1).permutation(120)
    assert metric(truth[order], prediction[order], WEIGHTS[order]) == pytest.approx(metric(truth, prediction, WEIGHTS))


def test_every_metric_of_the_table_is_tried_here():
    tried = {getattr(ours, name) for name in ARGUMENTS}
    known = {metric for kind, row in ours.METRICS.items() if kind != "label_map" for metric in row.values()}
    assert known <= tried


def test_hanley_and_mcneil_1982():
    # Radiology 143:29, table I: 58 normal and 51 abnormal CT images rated definitely normal to definitely abnormal.
    normal, abnormal = (33, 6, 6, 11, 2), (3, 2, 2, 11, 33)
    rating = np.concatenate([np.repeat(np.arange(5), counts) for counts in (normal, abnormal)])
    truth = np.repeat([0, 1], (58, 51))
    assert round(float(ours.auc(truth, rating)), 3) == 0.893
    found = ours.auc_interval(truth, rating)
    assert (found.high - found.low) / (2 * 1.96) == pytest.approx(0.032, abs=0.003)  # their standard error


def test_bland_and_altman_1986():
    # Lancet 1:307: peak flow of 17 people by a Wright and a mini Wright meter; mean difference -2.1, s 38.8 l/min.
    wright = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
    mini = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]
    assert round(float(ours.bias(mini, wright)), 1) == -2.1
    assert round(float(ours.limits_of_agreement(mini, wright)) / 1.96, 1) == 38.8


@pytest.mark.parametrize(
    ("cases", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_newcombe_1998(cases, n, low, high):
    # Stat Med 17:857, table I, method 3.
    assert ours.wilson(cases, n) == pytest.approx((low, high), abs=5e-5)


def test_wilson_by_statsmodels():
    proportion = pytest.importorskip("statsmodels.stats.proportion", reason="statsmodels is an oracle of tests only")
    for cases, n in ((0, 7), (3, 9), (40, 40), (512, 1000)):
        assert ours.wilson(cases, n) == pytest.approx(proportion.proportion_confint(cases, n, method="wilson"))
    assert all(math.isnan(x) for x in ours.wilson(0, 0))


def test_auc_by_its_meaning():
    pairs = [(a, b) for a in SCORE[TRUTH == 1] for b in SCORE[TRUTH == 0]]
    assert ours.auc(TRUTH, SCORE) == pytest.approx(np.mean([(a > b) + 0.5 * (a == b) for a, b in pairs]))
    assert ours.auc(TRUTH, -SCORE) == pytest.approx(1 - ours.auc(TRUTH, SCORE))
    assert ours.auc(TRUTH, np.exp(5 * SCORE)) == pytest.approx(ours.auc(TRUTH, SCORE))
    assert ours.auc(TRUTH, np.zeros(120)) == 0.5
    assert ours.auc(TRUTH, TRUTH) == 1


def test_concordance_by_its_meaning():
    right = known = 0.0
    for i, j in itertools.permutations(range(120), 2):
        before = YEARS[i] < YEARS[j] or (YEARS[i] == YEARS[j] and EVENT[j] != 1)
        if EVENT[i] == 1 and before:
            known += 1
            right += (SCORE[i] > SCORE[j]) + 0.5 * (SCORE[i] == SCORE[j])
    assert ours.concordance(SURVIVAL, SCORE) == pytest.approx(right / known)
    # Harrell's own words by hand: three patients, the earliest event has the highest risk, the last is censored.
    assert ours.concordance([[1, 1], [2, 1], [3, 0]], [0.9, 0.1, 0.5]) == pytest.approx(2 / 3)
    assert math.isnan(ours.concordance([[1, 0], [2, 2]], [0.9, 0.1]))


def test_dice_by_hand():
    truth = np.array([[[0, 1, 1, 2]]])
    assert ours.dice(truth, truth) == 1
    assert ours.dice(truth, np.array([[[0, 1, 0, 2]]])) == pytest.approx((2 / 3 + 1) / 2)
    assert ours.dice(truth, np.zeros((1, 1, 4))) == 0
    assert ours.dice(truth, np.array([[[9, 1, 1, 2]]])) == 1  # a label that the truth does not know
    assert math.isnan(ours.dice(np.zeros((1, 1, 4)), truth))
    with pytest.raises(ValueError, match="differ in shape"):
        ours.dice(truth, truth[:, :, :3])


def test_a_figure_that_has_no_meaning_is_nan():
    one_class = np.ones(5)
    with np.errstate(all="raise"):
        for name in ("auc", "specificity"):
            assert math.isnan(getattr(ours, name)(one_class, np.linspace(0, 1, 5)))
        assert math.isnan(ours.average_precision(np.zeros(5), np.linspace(0, 1, 5)))
        assert math.isnan(ours.correlation(one_class, np.linspace(0, 1, 5)))
        assert math.isnan(ours.quadratic_kappa(np.zeros(3), np.eye(3)[[0, 0, 0]]))
        for name in set(ARGUMENTS) - {"concordance", "accuracy", "quadratic_kappa", "auc_highest"}:
            assert math.isnan(getattr(ours, name)([], [])), name


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("name", ["auc", "average_precision", "brier", "mean_absolute_error"])
def test_nan_is_no_highest_score(name, bad):
    with pytest.raises(ValueError, match="abstentions"):
        getattr(ours, name)([0, 1, 1], [0.1, bad, 0.3])
    with pytest.raises(ValueError, match="one number a patient"):
        getattr(ours, name)([0, 1, 1], [0.1, 0.3])


def test_the_roc_curve_has_the_area_of_the_auc():
    false, hit = ours.roc(TRUTH, SCORE, points=2001)
    assert np.trapezoid(hit, false) == pytest.approx(ours.auc(TRUTH, SCORE), abs=2e-3)
    assert (np.diff(hit) >= 0).all()
    assert (hit[0], hit[-1]) == ((SCORE[TRUTH == 1] > SCORE[TRUTH == 0].max()).mean(), 1)
    folds = np.arange(120) % 3
    _, averaged = ours.roc(TRUTH, SCORE, folds=folds)
    each = [ours.roc(TRUTH[folds == f], SCORE[folds == f])[1] for f in range(3)]
    assert averaged == pytest.approx(np.mean(each, axis=0))
    assert np.isnan(ours.roc(np.ones(4), np.arange(4))[1]).all()


def test_calibration_bins_hold_everybody_once():
    rows = ours.calibration(TRUTH, SCORE)
    assert sum(row["n"] for row in rows) == 120
    assert sum(row["n"] * row["observed"] for row in rows) == pytest.approx(TRUTH.sum())
    assert sum(row["n"] * row["predicted"] for row in rows) == pytest.approx(SCORE.sum())
    assert all(row["low"] <= row["observed"] <= row["high"] for row in rows)
    assert [row["predicted"] for row in rows] == sorted(row["predicted"] for row in rows)


# Intervals ------------------------------------------------------------------------------------------------------------


def delong_error(truth, score):
    """Standard error of the AUC by DeLong et al., Biometrics 1988;44:837: variance of the placement values."""
    cases, others = score[truth == 1], score[truth == 0]
    wins = (cases[:, None] > others) + 0.5 * (cases[:, None] == others)
    return math.sqrt(wins.mean(1).var(ddof=1) / len(cases) + wins.mean(0).var(ddof=1) / len(others))


def test_the_bootstrap_is_as_wide_as_delong():
    rng = np.random.default_rng(4)
    truth = np.repeat([0, 1], (150, 90))
    score = rng.normal(truth * 1.1)
    found = ours.auc_interval(truth, score, draws=4000)
    assert (found.high - found.low) / (2 * norm.ppf(0.975)) == pytest.approx(delong_error(truth, score), rel=0.08)
    assert found.value == pytest.approx(theirs.roc_auc_score(truth, score))


def test_folds_are_averaged_and_never_pooled():
    folds = np.arange(120) % 4
    shifted = SCORE + 10 * folds  # every fold's model has a scale of its own
    wanted = np.mean([theirs.roc_auc_score(TRUTH[folds == f], SCORE[folds == f]) for f in range(4)])
    found = ours.interval(ours.auc, TRUTH, shifted, folds=folds)
    assert found.value == pytest.approx(wanted)
    assert found == ours.interval(ours.auc, TRUTH, SCORE, folds=folds)
    assert found.low < found.value < found.high


def test_a_fold_without_the_figure_is_left_out_of_the_mean():
    truth, score, folds = np.array([0, 1, 0, 1, 1, 1]), np.array([0.1, 0.9, 0.8, 0.2, 0.5, 0.5]), [0, 0, 1, 1, 2, 2]
    assert ours.interval(ours.auc, truth, score, folds=folds).value == 0.5
    nothing = ours.interval(ours.auc, np.ones(4), np.arange(4.0))
    assert nothing.to_json() == {"value": None, "low": None, "high": None}


def test_same_seed_same_interval_however_many_draws_fit_into_memory(monkeypatch):
    first = ours.interval(ours.auc, TRUTH, SCORE, seed=3)
    assert ours.interval(ours.auc, TRUTH, SCORE, seed=3) == first
    assert ours.interval(ours.auc, TRUTH, SCORE, seed=4) != first
    monkeypatch.setattr(ours.resampling, "_BLOCK", 10_000)
    blocked = ours.interval(ours.auc, TRUTH, SCORE, seed=3)
    assert blocked.value == first.value
    assert (blocked.low, blocked.high) == pytest.approx((first.low, first.high), abs=0.02)


def test_a_difference_is_paired_and_antisymmetric():
    rng = np.random.default_rng(5)
    other = np.clip(SCORE + rng.normal(0, 0.05, 120), 0, 1)
    forth, back = ours.difference(ours.auc, TRUTH, SCORE, other), ours.difference(ours.auc, TRUTH, other, SCORE)
    assert (forth.value, forth.low, forth.high) == pytest.approx((-back.value, -back.high, -back.low))
    assert forth.value == pytest.approx(ours.auc(TRUTH, SCORE) - ours.auc(TRUTH, other))
    same = ours.difference(ours.auc, TRUTH, SCORE, SCORE)
    assert (same.value, same.low, same.high) == (0, 0, 0)
    a, b = (ours.auc_interval(TRUTH, each) for each in (SCORE, other))
    unpaired = math.hypot(a.high - a.low, b.high - b.low)
    assert forth.high - forth.low < 0.5 * unpaired


def test_parts_of_a_patient_are_drawn_together():
    truth, measured = np.repeat(VALUE, 4), np.repeat(MEASURED, 4)
    patients = np.repeat(np.arange(120), 4)
    alone = ours.interval(ours.bias, VALUE, MEASURED)
    together = ours.interval(ours.bias, truth, measured, patients=patients)
    assert (together.value, together.low, together.high) == pytest.approx((alone.value, alone.low, alone.high))
    apart = ours.interval(ours.bias, truth, measured)
    assert apart.high - apart.low == pytest.approx((alone.high - alone.low) / 2, rel=0.1)


@pytest.mark.slow
def test_intervals_of_the_auc_cover_at_their_promise():
    rng, shift, covered = np.random.default_rng(6), 1.2, 0
    truth, value = np.repeat([0, 1], (120, 80)), norm.cdf(shift / math.sqrt(2))
    for simulation in range(400):
        found = ours.auc_interval(truth, rng.normal(truth * shift), seed=simulation, draws=1000)
        covered += found.low <= value <= found.high
    assert 0.93 <= covered / 400 <= 0.97


@pytest.mark.slow
def test_parts_as_independent_cover_too_rarely_and_by_patient_at_their_promise():
    # With four parts that agree to rho 0.95, 1.96 / sqrt(1 + 3 rho) standard errors are left: 68 % coverage.
    rng, covered = np.random.default_rng(7), np.zeros(2)
    patients = np.repeat(np.arange(200), 4)
    for simulation in range(400):
        error = np.repeat(rng.normal(0, math.sqrt(0.95), 200), 4) + rng.normal(0, math.sqrt(0.05), 800)
        truth = rng.normal(size=800)
        for place, who in enumerate((None, patients)):
            found = ours.interval(ours.bias, truth, truth + error, patients=who, seed=simulation, draws=1000)
            covered[place] += found.low <= 0 <= found.high
    apart, by_patient = covered / 400
    assert apart == pytest.approx(0.68, abs=0.06)
    assert 0.93 <= by_patient <= 0.97
