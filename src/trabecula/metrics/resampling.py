"""Intervals by resampling patients: of a figure, and of the difference between two systems on the same patients.

`interval` and `difference` average a metric over folds inside each draw: models of different folds have different
scales, so their scores are never pooled. Both are conditional on the fitted models.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from trabecula.metrics.binary import auc

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from trabecula.metrics.weighted import Floats

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


def interval(
    metric: Metric,
    truth: ArrayLike,
    prediction: ArrayLike,
    *,
    folds: ArrayLike | None = None,
    patients: ArrayLike | None = None,
    by_class: bool = True,
    seed: int = 0,
    draws: int = 2000,
) -> Interval:
    """Return a metric averaged over folds, with the percentile interval of a bootstrap of patients.

    Rows are patients, or parts of the `patients` named. Within each fold, and within each class where the truth is
    one of few, patients are drawn with replacement and bring all their parts (Efron and Tibshirani 1993, chapter 13).
    Where a patient is judged in several folds, as in repeated cross-validation, patients are drawn from all folds
    together and come equally often in each: to judge somebody twice makes nobody new. Where the question is how many
    cases there are, as in calibration in the large, patients are not drawn `by_class`: kept to their number, cases
    would tell no error. NaN where the metric is not defined.
    """
    y, folds_, who = np.asarray(truth), per_fold(truth, folds), _patients(truth, patients)
    drawn = _draw(metric, y, np.asarray(prediction), (folds_, who), by_class=by_class, seed=seed, draws=draws)
    return _summary(drawn)


def difference(
    metric: Metric, truth: ArrayLike, ours: ArrayLike, theirs: ArrayLike, *, folds: ArrayLike | None = None,
    patients: ArrayLike | None = None, seed: int = 0, draws: int = 2000,
) -> Interval:  # fmt: skip
    """Return `ours` less `theirs` on the same patients, with the interval of the paired bootstrap of `interval`."""
    y, who = np.asarray(truth), (per_fold(truth, folds), _patients(truth, patients))
    a = _draw(metric, y, np.asarray(ours), who, seed=seed, draws=draws)
    b = _draw(metric, y, np.asarray(theirs), who, seed=seed, draws=draws)
    return _summary(a - b)


def auc_interval(
    truth: ArrayLike, score: ArrayLike, *, folds: ArrayLike | None = None, seed: int = 0, draws: int = 2000
) -> Interval:
    """Return the AUC averaged over folds with its 95 % interval by patients; see `interval`."""
    return interval(auc, truth, score, folds=folds, seed=seed, draws=draws)


def per_fold(truth: ArrayLike, folds: ArrayLike | None) -> NDArray[Any]:
    """Return the fold of every row; one fold where none are told."""
    return np.zeros(len(np.asarray(truth)), dtype=int) if folds is None else np.asarray(folds)


def _patients(truth: ArrayLike, patients: ArrayLike | None) -> NDArray[Any]:
    return np.arange(len(np.asarray(truth))) if patients is None else np.asarray(patients)


def _draw(
    metric: Metric,
    truth: NDArray[Any],
    prediction: NDArray[Any],
    who: tuple[NDArray[Any], NDArray[Any]],
    *,
    by_class: bool = True,
    seed: int,
    draws: int,
) -> Floats:
    """Return `[1 + draws]`: the figure itself, then its bootstrap draws, each averaged over folds."""
    rng = np.random.default_rng(seed)
    folds, patients = who
    again = _in_several(folds, patients)
    total, count = np.zeros(1 + draws), np.zeros(1 + draws)
    for fold in np.unique(folds):
        rows = np.flatnonzero(folds == fold)
        among = np.arange(len(folds)) if again else rows
        rng = np.random.default_rng(seed) if again else rng
        names, first = np.unique(patients[among], return_index=True)
        strata = _strata(truth[among][first]) if by_class else [np.arange(len(first))]
        place = np.argsort(np.concatenate(strata))[np.searchsorted(names, patients[rows])]
        step = max(1, _BLOCK // len(among))
        for start in range(0, 1 + draws, step):
            size = min(step, 1 + draws - start)
            drawn = np.concatenate([_counts(rng, len(members), size) for members in strata], axis=1)
            if start == 0:
                drawn[0] = 1
            figures = np.asarray(metric(truth[rows], prediction[rows], drawn.take(place, axis=1)), dtype=float)
            defined = np.isfinite(figures)
            total[start : start + size] += np.where(defined, figures, 0)
            count[start : start + size] += defined
    with np.errstate(invalid="ignore"):
        return total / np.where(count > 0, count, np.nan)


def _in_several(folds: NDArray[Any], patients: NDArray[Any]) -> bool:
    """Whether a patient is judged in several folds."""
    names, person = np.unique(patients, return_inverse=True)
    _, fold = np.unique(folds, return_inverse=True)
    return len(np.unique(person * len(folds) + fold)) > len(names)


def _counts(rng: np.random.Generator, n: int, draws: int) -> NDArray[np.intp]:
    """Return `[draws, n]`: how often each of n is drawn when n are drawn with replacement."""
    drawn = rng.integers(n, size=(draws, n)) + n * np.arange(draws)[:, None]
    return np.bincount(drawn.ravel(), minlength=draws * n).reshape(draws, n)


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
