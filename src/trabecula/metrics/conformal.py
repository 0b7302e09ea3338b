"""Sets of answers that hold the truth as often as promised, and what leaving the least sure ones unanswered gains.

Split conformal prediction, by class: limits come from patients who were neither learned from nor judged, a limit for
each grade, so that cases are covered as often as others however rare they are.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula.metrics.weighted import Floats, arrays, mean

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def conformal_limits(truth: ArrayLike, probability: ArrayLike, *, miss: float = 0.1) -> Floats:
    """Return for each grade `[grades]` the lowest probability at which a set holds it, from patients set aside.

    Of n patients of a grade it is the k-th lowest probability that they were given of it, k = floor((n + 1) miss), so
    that a new patient of the grade is left out with a chance of `miss` at most, whatever the system is. With too few
    patients for that (9 for a tenth) it is 0: the grade is in every set. Vovk, Gammerman and Shafer, Algorithmic
    Learning in a Random World (2005), section 4.5; Sadinle, Lei and Wasserman, JASA 2019;114:223.
    Raises `ValueError` for a miss that is not between 0 and 1, and a truth that is no grade.
    """
    p = two_columns(probability)
    y = _grades(truth, p)
    if not 0 < miss < 1:
        raise ValueError(f"the share of truths that a set may miss lies between 0 and 1; got {miss}")
    return np.array([_limit(np.sort(p[y == grade, grade]), miss) for grade in range(p.shape[1])])


def conformal_sets(probability: ArrayLike, limits: ArrayLike, *, ordered: bool = False) -> NDArray[np.bool_]:
    """Return which grades `[n, grades]` are in each patient's set; it may be empty, as no grade is likely enough.

    Sets of `ordered` grades have no hole: what lies between two of their grades is added, which keeps the promise.
    """
    held = two_columns(probability) >= np.asarray(limits, dtype=float)
    if ordered:
        upwards = np.logical_or.accumulate(held, axis=1)
        downwards = np.logical_or.accumulate(held[:, ::-1], axis=1)[:, ::-1]
        return np.asarray(upwards & downwards)
    return held


def set_coverage(truth: ArrayLike, sets: ArrayLike, weights: ArrayLike = 1.0) -> Any:
    """Share of patients whose set `[n, grades]` holds their grade."""
    held = np.asarray(sets, dtype=float)
    y = _grades(truth, held)
    _, inside, w = arrays(y, held[np.arange(len(y)), y], weights)
    return mean(inside, w)


def set_coverage_of(truth: ArrayLike, sets: ArrayLike, weights: ArrayLike = 1.0) -> Any:
    """Share covered of the patients of each grade `[..., grades]`, which is what is promised; NaN without patients."""
    held = np.asarray(sets, dtype=float)
    y = _grades(truth, held)
    w = np.broadcast_to(np.asarray(weights, dtype=float), (*np.shape(weights)[:-1], len(y)))
    return np.stack([set_coverage(y, held, w * (y == grade)) for grade in range(held.shape[1])], axis=-1)


def set_size(truth: ArrayLike, sets: ArrayLike, weights: ArrayLike = 1.0) -> Any:
    """Mean number of grades in a set `[n, grades]`: 1 is an answer, fewer and more are ways to say: unsure."""
    held = np.asarray(sets, dtype=float)
    _, size, w = arrays(_grades(truth, held), held.sum(axis=1), weights)
    return mean(size, w)


def selective_risk(truth: ArrayLike, probability: ArrayLike, weights: ArrayLike = 1.0) -> Any:
    """Mean share of wrong calls over all coverages when the surest are answered first: AURC, lower is better.

    A call is the most likely grade, its certainty that grade's probability. Geifman and El-Yaniv, ICLR 2019; patients
    of one certainty are taken in random order, of which this is the mean.
    """
    wrong, certain = called_wrong(truth, probability)
    return _area(wrong, certain, arrays(wrong, certain, weights)[2])


def risk_and_coverage(loss: ArrayLike, certainty: ArrayLike, weights: ArrayLike = 1.0) -> tuple[Floats, Floats]:
    """Return coverages and the mean loss of those answered, one point for each certainty, surest first.

    `loss` is any number a patient, as 1 for a wrong call or an absolute error.
    """
    bad, sure, w = arrays(loss, certainty, weights)
    _, group = np.unique(-sure, return_inverse=True)
    taken = np.cumsum(np.bincount(group, weights=w))
    lost = np.cumsum(np.bincount(group, weights=w * bad))
    with np.errstate(invalid="ignore", divide="ignore"):
        return taken / taken[-1:], lost / taken


def called_wrong(truth: ArrayLike, probability: ArrayLike) -> tuple[Floats, Floats]:
    """Return 1 for a wrong call of the most likely grade, and its probability, the certainty of the call."""
    p, one = two_columns(probability), np.ndim(probability) == 1
    called = p[:, 1] >= 0.5 if one else p.argmax(axis=1)
    return (called != _grades(truth, p)).astype(float), p.max(axis=1, initial=0)


def two_columns(probability: ArrayLike) -> Floats:
    """Return probabilities `[n, grades]`; those of a yes or no `[n]` become two grades."""
    p = np.asarray(probability, dtype=float)
    return np.stack([1 - p, p], axis=1) if p.ndim == 1 else p


def _grades(truth: ArrayLike, columns: Floats) -> NDArray[np.intp]:
    y = np.asarray(truth)
    if columns.ndim != 2 or y.shape != columns.shape[:1] or not np.isin(y, range(columns.shape[1])).all():
        raise ValueError(f"the truth is a grade of 0..{columns.shape[-1] - 1} for each row of {columns.shape}")
    return y.astype(np.intp)


def _limit(given: Floats, miss: float) -> float:
    place = math.floor((len(given) + 1) * miss + 1e-9)
    return float(given[place - 1]) if place else 0.0


def _area(loss: Floats, certainty: Floats, weights: Floats) -> Any:
    """Return the mean over 1, 2, ... patients answered of their mean loss; weights are numbers of patients.

    Where W patients of one certainty and mean loss l follow C who lost L, the sum over j = 1..W of (L + l j) / (C + j)
    is l W + (L - l C) (digamma(C + W + 1) - digamma(C + 1)).
    """
    from scipy.special import digamma  # noqa: PLC0415 keeps the import of metrics light

    if not len(loss):
        return np.full(weights.shape[:-1], np.nan)
    order = np.argsort(-certainty, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(certainty[order]) != 0])
    w = weights.take(order, axis=-1)
    size = np.add.reduceat(w, starts, axis=-1)
    lost = np.add.reduceat(w * loss[order], starts, axis=-1)
    before, lost_before = np.cumsum(size, axis=-1) - size, np.cumsum(lost, axis=-1) - lost
    each = np.divide(lost, size, out=np.zeros_like(lost), where=size > 0)
    sums = lost + (lost_before - each * before) * (digamma(before + size + 1) - digamma(before + 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return sums.sum(axis=-1) / size.sum(axis=-1)
