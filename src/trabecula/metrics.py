"""How good answers are: pure functions on arrays, with intervals by resampling patients.

A metric is a function of truth `[n]`, prediction `[n]` (or `[n, grades]`) and weights `[..., n]`, and returns one
figure for each row of weights. Weights of one give the figure itself, resampling counts give its bootstrap draws, and
population weights the population's. `interval` and `difference` average a metric over folds inside each draw: models
of different folds have different scales, so their scores are never pooled. Both are conditional on the fitted models.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = "NDArray[np.float64]"
Metric: TypeAlias = Callable[[Any, Any, Any], Any]
_BLOCK = 4_000_000  # weights held at once: 32 MB


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, float | None]:
        """Return plain JSON; a figure that could not be computed is null."""
        return {name: None if math.isnan(x) else x for name, x in vars(self).items()}


def auc(truth: ArrayLike, score: ArrayLike, weights: ArrayLike = 1.0) -> Any:
    """Area under the ROC curve: the chance that a case scores above a non-case, ties counted half.

    Hanley and McNeil, Radiology 1982;143:29. NaN where a class has no weight.
    """
    y, s, w = _arrays(truth, score, weights)
    if not len(y):
        return np.full(w.shape[:-1], np.nan)
    order = np.argsort(s, kind="stable")
    y, s, w = y[order], s[order], w[..., order]
    positive, negative = w * y, w * (1 - y)
    starts = np.flatnonzero(np.r_[True, s[1:] != s[:-1]])
    positive, negative = np.add.reduceat(positive, starts, axis=-1), np.add.reduceat(negative, starts, axis=-1)
    below = np.cumsum(negative, axis=-1) - negative / 2
    pairs = positive.sum(axis=-1) * negative.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(pairs > 0, (positive * below).sum(axis=-1) / pairs, np.nan)


def average_precision(truth: ArrayLike, score: ArrayLike, weights: ArrayLike = 1.0) -> Any:
    """Area under the precision-recall curve as a step function: the mean precision over the cases, best first."""
    y, s, w = _arrays(truth, score, weights)
    if not len(y):
        return np.full(w.shape[:-1], np.nan)
    order = np.argsort(-s, kind="stable")
    y, s, w = y[order], s[order], w[..., order]
    last = np.flatnonzero(np.r_[s[1:] != s[:-1], True])
    found, taken = np.cumsum(w * y, axis=-1)[..., last], np.cumsum(w, axis=-1)[..., last]
    gained = np.diff(found, axis=-1, prepend=0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(taken > 0, found / taken, 0.0)
        return (gained * precision).sum(axis=-1) / found[..., -1]


def brier(truth: ArrayLike, probability: ArrayLike, weights: ArrayLike = 1.0) -> Any:
    """Mean squared distance of the probability from what happened (Brier 1950)."""
    y, p, w = _arrays(truth, probability, weights)
    return _mean((y - p) ** 2, w)


def sensitivity(truth: ArrayLike, probability: ArrayLike, weights: ArrayLike = 1.0) -> Any:
    """Share of cases called at a probability of 0.5 or more."""
    y, p, w = _arrays(truth, probability, weights)
    return _mean((p >= 0.5).astype(float), w * y)


def specificity(truth: ArrayLike, probability: ArrayLike, weights: ArrayLike = 1.0) -> Any:
    """Share of non-cases not called at a probability of 0.5 or more."""
    y, p, w = _arrays(truth, probability, weights)
    return _mean((p < 0.5).astype(float), w * (1 - y))


def accuracy(truth: ArrayLike, probability: ArrayLike, weights: ArrayLike = 1.0) -> Any:
    """Share of right calls at 0.5; for grades `[n, grades]` of right most likely grades."""
    p = np.asarray(probability, dtype=float)
    called = p.argmax(axis=-1) if p.ndim == 2 else p >= 0.5
    y, c, w = _arrays(truth, called, weights)
    return _mean((y == c).astype(float), w)


def quadratic_kappa(truth: ArrayLike, probability: ArrayLike, weights: ArrayLike = 1.0) -> Any:
    """Cohen's kappa with quadratic weights of the most likely grade (Cohen, Psychol Bull 1968;70:213)."""
    y, c, w = _arrays(truth, np.asarray(probability).argmax(axis=-1), weights)
    total = w.sum(axis=-1)
    observed = (w * (y - c) ** 2).sum(axis=-1) / total
    mean_y, mean_c = (w * y).sum(axis=-1) / total, (w * c).sum(axis=-1) / total
    squares = (w * (y**2 + c**2)).sum(axis=-1) / total
    with np.errstate(invalid="ignore", divide="ignore"):
        return 1 - observed / (squares - 2 * mean_y * mean_c)


def auc_highest(truth: ArrayLike, probability: ArrayLike, weights: ArrayLike = 1.0) -> Any:
    """AUC of the highest grade against the rest."""
    p = np.asarray(probability, dtype=float)
    return auc(np.asarray(truth) == p.shape[1] - 1, p[:, -1], weights)


def mean_absolute_error(truth: ArrayLike, value: ArrayLike, weights: ArrayLike = 1.0) -> Any:
    """Mean absolute error, in the unit of the target."""
    y, v, w = _arrays(truth, value, weights)
    return _mean(np.abs(v - y), w)


def root_mean_square_error(truth: ArrayLike, value: ArrayLike, weights: ArrayLike = 1.0) -> Any:
    """Root of the mean squared error, in the unit of the target."""
    y, v, w = _arrays(truth, value, weights)
    return np.sqrt(_mean((v - y) ** 2, w))


def bias(truth: ArrayLike, value: ArrayLike, weights: ArrayLike = 1.0) -> Any:
    """Mean of answer less truth, in the unit of the target (Bland and Altman, Lancet 1986;1:307)."""
    y, v, w = _arrays(truth, value, weights)
    return _mean(v - y, w)


def limits_of_agreement(truth: ArrayLike, value: ArrayLike, weights: ArrayLike = 1.0) -> Any:
    """How far 95 % of answers lie from the truth plus the bias: 1.96 SD of the errors (Bland and Altman, as `bias`)."""
    y, v, w = _arrays(truth, value, weights)
    error, n = v - y, w.sum(axis=-1)
    spread = _mean((error - _mean(error, w)[..., None]) ** 2, w)
    with np.errstate(invalid="ignore", divide="ignore"):
        return 1.96 * np.sqrt(spread * n / (n - 1))


def correlation(truth: ArrayLike, value: ArrayLike, weights: ArrayLike = 1.0) -> Any:
    """Pearson's correlation."""
    y, v, w = _arrays(truth, value, weights)
    mean_y, mean_v = _mean(y, w)[..., None], _mean(v, w)[..., None]
    with np.errstate(invalid="ignore", divide="ignore"):
        covariance = _mean((y - mean_y) * (v - mean_v), w)
        return covariance / np.sqrt(_mean((y - mean_y) ** 2, w) * _mean((v - mean_v) ** 2, w))


def concordance(truth: ArrayLike, risk: ArrayLike, weights: ArrayLike = 1.0) -> Any:
    """Harrell's C: among pairs whose order is known, how often the earlier event has the higher risk.

    `truth` is `[n, 2]`: years, and 1 for the event (anything else is censored). Harrell et al., JAMA 1982;247:2543.
    """
    y = np.asarray(truth, dtype=float)
    years, event, r = y[:, 0], y[:, 1] == 1, np.asarray(risk, dtype=float)
    w = np.broadcast_to(np.asarray(weights, dtype=float), (*np.shape(weights)[:-1], len(r)))
    known = event[:, None] & ((years[:, None] < years) | ((years[:, None] == years) & ~event))
    right = known * ((r[:, None] > r) + 0.5 * (r[:, None] == r))
    with np.errstate(invalid="ignore", divide="ignore"):
        return (w @ right * w).sum(axis=-1) / (w @ known.astype(float) * w).sum(axis=-1)


def dice(truth: NDArray[Any], labels: NDArray[Any]) -> float:
    """Dice overlap of two label maps of one shape, averaged over the labels in the truth (Dice, Ecology 1945;26:297).

    NaN where the truth is empty. Raises `ValueError` when the shapes differ.
    """
    if truth.shape != labels.shape:
        raise ValueError(f"label maps differ in shape: {truth.shape} and {labels.shape}")
    overlaps = [
        2 * np.count_nonzero((truth == label) & (labels == label))
        / (np.count_nonzero(truth == label) + np.count_nonzero(labels == label))
        for label in np.unique(truth[truth > 0])
    ]  # fmt: skip
    return float(np.mean(overlaps)) if overlaps else math.nan


METRICS: Mapping[str, Mapping[str, Metric]] = {
    "binary": {
        "auc": auc, "average_precision": average_precision, "brier": brier,
        "sensitivity": sensitivity, "specificity": specificity, "accuracy": accuracy,
    },
    "ordinal": {"quadratic_kappa": quadratic_kappa, "auc": auc_highest, "accuracy": accuracy},
    "value": {
        "mae": mean_absolute_error, "rmse": root_mean_square_error, "bias": bias,
        "limits_of_agreement": limits_of_agreement, "correlation": correlation,
    },
    "time_to_event": {"c_index": concordance},
    "label_map": {"dice": lambda _, overlap, weights: _mean(*_arrays(overlap, overlap, weights)[1:])},
}  # fmt: skip
"""By kind of target; the first is the one a leaderboard is sorted by."""

LOWER_IS_BETTER = ("brier", "mae", "rmse", "limits_of_agreement")


def interval(
    metric: Metric,
    truth: ArrayLike,
    prediction: ArrayLike,
    *,
    folds: ArrayLike | None = None,
    patients: ArrayLike | None = None,
    seed: int = 0,
    draws: int = 2000,
) -> Interval:
    """Return a metric averaged over folds, with the percentile interval of a bootstrap of patients.

    Rows are patients, or parts of the `patients` named. Within each fold, and within each class where the truth is
    one of few, patients are drawn with replacement and bring all their parts (Efron and Tibshirani 1993, chapter 13).
    NaN where the metric is not defined.
    """
    y, folds_, who = np.asarray(truth), _folds(truth, folds), _patients(truth, patients)
    return _summary(_draw(metric, y, np.asarray(prediction), (folds_, who), seed=seed, draws=draws))


def difference(
    metric: Metric, truth: ArrayLike, ours: ArrayLike, theirs: ArrayLike, *, folds: ArrayLike | None = None,
    seed: int = 0, draws: int = 2000,
) -> Interval:  # fmt: skip
    """Return `ours` less `theirs` on the same patients, with the interval of the paired bootstrap of `interval`."""
    y, who = np.asarray(truth), (_folds(truth, folds), _patients(truth, None))
    a = _draw(metric, y, np.asarray(ours), who, seed=seed, draws=draws)
    b = _draw(metric, y, np.asarray(theirs), who, seed=seed, draws=draws)
    return _summary(a - b)


def roc(
    truth: ArrayLike, score: ArrayLike, *, folds: ArrayLike | None = None, points: int = 101
) -> tuple[Floats, Floats]:
    """Return false-positive rates `[points]` and the true-positive rates there, averaged over folds."""
    y, s, members = np.asarray(truth) == 1, np.asarray(score, dtype=float), _folds(truth, folds)
    grid = np.linspace(0, 1, points)
    curves = []
    for fold in np.unique(members):
        yf, sf = y[members == fold], s[members == fold]
        if yf.all() or not yf.any():
            continue
        cuts = np.r_[np.inf, np.unique(sf)[::-1]]
        hit = np.array([(sf[yf] >= cut).mean() for cut in cuts])
        false = np.array([(sf[~yf] >= cut).mean() for cut in cuts])
        curves.append(np.interp(grid, false, hit))
    return grid, np.mean(curves, axis=0) if curves else np.full(points, np.nan)


def calibration(truth: ArrayLike, probability: ArrayLike, *, bins: int = 8) -> list[dict[str, float]]:
    """Return mean probability, share of cases and its Wilson 95 % interval in bins of equal size."""
    y, p = np.asarray(truth, dtype=float), np.asarray(probability, dtype=float)
    groups = [g for g in np.array_split(np.argsort(p, kind="stable"), min(bins, max(1, len(p) // 10))) if len(g)]
    rows = []
    for group in groups:
        low, high = wilson(int(y[group].sum()), len(group))
        rows.append(
            {"predicted": float(p[group].mean()), "observed": float(y[group].mean()), "low": low, "high": high,
             "n": float(len(group))}
        )  # fmt: skip
    return rows


def wilson(cases: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's 95 % interval of a share (Wilson, JASA 1927;22:209)."""
    if n == 0:
        return math.nan, math.nan
    share, spread = cases / n, z * z / n
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def _arrays(truth: ArrayLike, prediction: ArrayLike, weights: ArrayLike) -> tuple[Floats, Floats, Floats]:
    y, s = np.asarray(truth, dtype=float), np.asarray(prediction, dtype=float)
    if y.ndim != 1 or y.shape != s.shape:
        raise ValueError(f"truth and prediction are one number a patient each; got {y.shape} and {s.shape}")
    if not (np.isfinite(y).all() and np.isfinite(s).all()):
        raise ValueError("a truth or prediction is NaN or infinite: leave abstentions out before measuring")
    w = np.asarray(weights, dtype=float)
    return y, s, np.broadcast_to(w, (*w.shape[:-1], len(y)))


def _mean(values: Floats, weights: Floats) -> Any:
    with np.errstate(invalid="ignore", divide="ignore"):
        return (weights * values).sum(axis=-1) / weights.sum(axis=-1)


def _folds(truth: ArrayLike, folds: ArrayLike | None) -> NDArray[Any]:
    return np.zeros(len(np.asarray(truth)), dtype=int) if folds is None else np.asarray(folds)


def _patients(truth: ArrayLike, patients: ArrayLike | None) -> NDArray[Any]:
    return np.arange(len(np.asarray(truth))) if patients is None else np.asarray(patients)


def _draw(
    metric: Metric,
    truth: NDArray[Any],
    prediction: NDArray[Any],
    who: tuple[NDArray[Any], NDArray[Any]],
    *,
    seed: int,
    draws: int,
) -> Floats:
    """Return `[1 + draws]`: the figure itself, then its bootstrap draws, each averaged over folds."""
    rng = np.random.default_rng(seed)
    folds, patients = who
    total, count = np.zeros(1 + draws), np.zeros(1 + draws)
    for fold in np.unique(folds):
        rows = np.flatnonzero(folds == fold)
        _, first, patient = np.unique(patients[rows], return_index=True, return_inverse=True)
        strata = _strata(truth[rows][first])
        step = max(1, _BLOCK // len(rows))
        for start in range(0, 1 + draws, step):
            size = min(step, 1 + draws - start)
            drawn = np.empty((size, len(first)))
            for members in strata:
                drawn[:, members] = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), size)
            if start == 0:
                drawn[0] = 1
            figures = np.asarray(metric(truth[rows], prediction[rows], drawn[:, patient]), dtype=float)
            defined = np.isfinite(figures)
            total[start : start + size] += np.where(defined, figures, 0)
            count[start : start + size] += defined
    with np.errstate(invalid="ignore"):
        return total / np.where(count > 0, count, np.nan)


def _strata(truth: NDArray[Any]) -> list[NDArray[np.intp]]:
    """Return the rows of each class where the truth has few values, all rows together otherwise."""
    if truth.ndim == 1 and len(values := np.unique(truth)) <= 10:
        return [np.flatnonzero(truth == value) for value in values]
    return [np.arange(len(truth))]


def _summary(drawn: Floats) -> Interval:
    defined = drawn[1:][np.isfinite(drawn[1:])]
    if not np.isfinite(drawn[0]) or len(defined) == 0:
        return Interval(math.nan, math.nan, math.nan)
    low, high = np.quantile(defined, [0.025, 0.975])
    return Interval(float(drawn[0]), float(low), float(high))


def auc_interval(
    truth: ArrayLike, score: ArrayLike, *, folds: ArrayLike | None = None, seed: int = 0, draws: int = 2000
) -> Interval:
    """Return the AUC averaged over folds with its 95 % interval by patients; see `interval`."""
    return interval(auc, truth, score, folds=folds, seed=seed, draws=draws)
