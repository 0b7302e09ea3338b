"""A yes or no: how well scores tell cases from non-cases, and how good probabilities are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula.metrics.weighted import arrays, mean

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def auc(truth: ArrayLike, score: ArrayLike, weights: ArrayLike = 1.0) -> Any:
    """Area under the ROC curve: the chance that a case scores above a non-case, ties counted half.

    Hanley and McNeil, Radiology 1982;143:29. NaN where a class has no weight.
    """
    y, s, w = arrays(truth, score, weights)
    order = np.argsort(s, kind="stable")
    cases, others = order[y[order] == 1], order[y[order] != 1]
    passed = np.zeros((*w.shape[:-1], len(others) + 1))
    np.cumsum(w.take(others, axis=-1), axis=-1, out=passed[..., 1:])
    first, last = (np.searchsorted(s[others], s[cases], side) for side in ("left", "right"))
    below = passed.take(first, axis=-1)
    below = (below + passed.take(last, axis=-1)) / 2 if (first < last).any() else below
    case = w.take(cases, axis=-1)
    pairs = case.sum(axis=-1) * passed[..., -1]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(pairs > 0, np.einsum("...i,...i->...", case, below) / pairs, np.nan)


def average_precision(truth: ArrayLike, score: ArrayLike, weights: ArrayLike = 1.0) -> Any:
    """Area under the precision-recall curve as a step function: the mean precision over the cases, best first."""
    y, s, w = arrays(truth, score, weights)
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
    y, p, w = arrays(truth, probability, weights)
    return mean((y - p) ** 2, w)


def sensitivity(truth: ArrayLike, probability: ArrayLike, weights: ArrayLike = 1.0) -> Any:
    """Share of cases called at a probability of 0.5 or more."""
    y, p, w = arrays(truth, probability, weights)
    return mean((p >= 0.5).astype(float), w * y)


def specificity(truth: ArrayLike, probability: ArrayLike, weights: ArrayLike = 1.0) -> Any:
    """Share of non-cases not called at a probability of 0.5 or more."""
    y, p, w = arrays(truth, probability, weights)
    return mean((p < 0.5).astype(float), w * (1 - y))


def accuracy(truth: ArrayLike, probability: ArrayLike, weights: ArrayLike = 1.0) -> Any:
    """Share of right calls at 0.5; for grades `[n, grades]` of right most likely grades."""
    p = np.asarray(probability, dtype=float)
    called = p.argmax(axis=-1) if p.ndim == 2 else p >= 0.5
    y, c, w = arrays(truth, called, weights)
    return mean((y == c).astype(float), w)
