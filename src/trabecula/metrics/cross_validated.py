"""Two systems under cross-validation: folds share training patients, so their differences say less than they seem to.

The plain t-test over folds, and DeLong's on pooled scores, take folds for independent and find differences where none
are. The corrected test widens the variance by the share of patients that are judged on. It asks about the two ways of
learning, over training sets of this size; `difference` asks about the fitted models and is narrower.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from trabecula.metrics.paired import Tested, wald

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from trabecula.metrics.resampling import Metric
    from trabecula.metrics.weighted import Floats


def corrected_difference(differences: ArrayLike, *, train: ArrayLike, test: ArrayLike, repeats: int = 1) -> Tested:
    """Return the mean of paired differences `[repeats * folds]` with interval and p by the corrected resampled t-test.

    The variance of the mean is (1 / J + test / train) times that of the J differences, with J - 1 degrees of freedom;
    `train` and `test` are numbers of patients, of all folds or of each. Nadeau and Bengio, Machine Learning
    2003;52:239; for repeated k-fold Bouckaert and Frank, PAKDD 2004, who advise 10 repeats of 10 folds.

    That formula lets repeats take 1 / J towards nothing, though they bring no new patient: between systems that read
    different things and tell little it then finds differences in 8 to 14 % of ties (`bench/coverage.py`). Told the
    number of `repeats`, it takes 1 / J of a single run, which promises no more than one run can.
    A fold without the figure (NaN) is left out; with fewer than two left everything but the mean is NaN.
    Raises `ValueError` for numbers of patients or repeats that are not positive.
    """
    given = np.asarray(differences, dtype=float)
    known = np.isfinite(given)
    learned, judged = (np.broadcast_to(np.asarray(n, dtype=float), given.shape) for n in (train, test))
    if given.ndim != 1 or repeats < 1 or not ((learned > 0).all() and (judged > 0).all()):
        raise ValueError("differences are one row, and every fold learns from and judges on patients")
    folds = int(known.sum())
    if folds < 2:
        return Tested(float(given[known][0]) if folds else math.nan, math.nan, math.nan, math.nan)
    mean, variance = float(given[known].mean()), float(given[known].var(ddof=1))
    if np.ptp(given[known]) < 1e-12:
        variance = 0.0
    ratio = judged[known].mean() / learned[known].mean()
    return wald(mean, math.sqrt((repeats / folds + ratio) * variance), folds - 1)


def fold_differences(
    metric: Metric, truth: ArrayLike, ours: ArrayLike, theirs: ArrayLike, *, folds: ArrayLike
) -> tuple[Floats, Floats]:
    """Return `ours` less `theirs` in each fold, in the order of their numbers, and how many rows each judges.

    Repeats are concatenated, with numbers of folds that differ between them.
    """
    y, a, b, fold = np.asarray(truth), np.asarray(ours), np.asarray(theirs), np.asarray(folds)
    members = [np.flatnonzero(fold == number) for number in np.unique(fold)]
    apart = [float(metric(y[rows], a[rows], 1.0)) - float(metric(y[rows], b[rows], 1.0)) for rows in members]
    return np.array(apart), np.array([len(rows) for rows in members], dtype=float)


def repeated_difference(
    metric: Metric, truth: ArrayLike, ours: ArrayLike, theirs: ArrayLike, *, folds: ArrayLike, repeats: int = 1
) -> Tested:
    """Return `ours` less `theirs` over repeated k-fold with interval and p; rows are patients, once for every repeat.

    By `corrected_difference` that is told the repeats.
    Whoever is not judged in a fold is taken to be learned from; where fewer are, as with few labels, call
    `corrected_difference`.
    Raises `ValueError` when the rows are not a multiple of the repeats.
    """
    rows = len(np.asarray(truth))
    if repeats < 1 or rows % repeats:
        raise ValueError(f"{rows} rows are not {repeats} repeats of the same patients")
    apart, judged = fold_differences(metric, truth, ours, theirs, folds=folds)
    if len(apart) < 2:
        raise ValueError("cross-validation has at least two folds; on one hold-out use delong_difference or difference")
    return corrected_difference(apart, train=rows / repeats - judged, test=judged, repeats=repeats)
