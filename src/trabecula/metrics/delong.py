"""DeLong's covariance of AUCs: for hold-out and external sets with one score a patient, and for nothing else.

Scores of several folds come from several models; pooled, they break what the method assumes, and its test finds
differences where none are in two to three times the 5 % of tries that it promises (`bench/coverage.py`). Under
cross-validation use `repeated_difference`; where a patient has several scores, `interval` by patients.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from trabecula.metrics.paired import Tested, wald
from trabecula.metrics.resampling import Interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from trabecula.metrics.weighted import Floats


_ROUNDING = 1e-15  # a variance below this is the rounding of zero


def auc_covariance(truth: ArrayLike, scores: ArrayLike) -> tuple[Floats, Floats]:
    """Return AUCs `[systems]` and their covariance `[systems, systems]` from scores `[systems, n]`, or `[n]` of one.

    DeLong, DeLong and Clarke-Pearson, Biometrics 1988;44:837. The placement values come from sorted scores, ties
    counted half, in n log n time as the midranks of Sun and Xu, IEEE Signal Process Lett 2014;21:1389, which they
    equal. NaN where a class has no patient; the covariance also where it has only one.
    Raises `ValueError` for shapes that do not fit, a truth other than 0 and 1, and scores that are not finite.
    """
    y, s = np.asarray(truth, dtype=float), np.atleast_2d(np.asarray(scores, dtype=float))
    if y.ndim != 1 or s.ndim != 2 or s.shape[1] != len(y):
        raise ValueError(f"scores are [systems, n] for a truth [n]; got {s.shape} and {y.shape}")
    if not np.isin(y, (0, 1)).all():
        raise ValueError("the truth is 0 or 1")
    if not np.isfinite(s).all():
        raise ValueError("a score is NaN or infinite: leave abstentions out before measuring")
    cases, others = s[:, y == 1], s[:, y == 0]
    if not (cases.shape[1] and others.shape[1]):
        return np.full(len(s), np.nan), np.full((len(s), len(s)), np.nan)
    passed = np.stack([_placed(mine, among) for mine, among in zip(cases, others, strict=True)])
    beaten = 1 - np.stack([_placed(mine, among) for mine, among in zip(others, cases, strict=True)])
    return passed.mean(axis=1), _covariance(passed) + _covariance(beaten)


def delong_interval(truth: ArrayLike, score: ArrayLike) -> Interval:
    """Return the AUC of one system with DeLong's 95 % interval on the logit scale, so that it stays between 0 and 1.

    Logit scale: Pepe, The Statistical Evaluation of Medical Tests (2003), section 5.2.5. An AUC of exactly 0 or 1
    has the variance 0 by this method, which is no certainty: its limits are NaN. Below some 30 cases, or near 1, it
    holds the truth too seldom: `newcombe_interval`.
    """
    areas, covariance = auc_covariance(truth, score)
    area, error = float(areas[0]), math.sqrt(covariance[0, 0])
    if not (0 < area < 1 and math.isfinite(error)):
        return Interval(area, math.nan, math.nan)
    middle, half = math.log(area / (1 - area)), 1.959964 * error / (area * (1 - area))
    low, high = (1 / (1 + math.exp(-limit)) for limit in (middle - half, middle + half))
    return Interval(area, low, high)


def delong_difference(truth: ArrayLike, ours: ArrayLike, theirs: ArrayLike) -> Tested:
    """Return the AUC of `ours` less that of `theirs` on the same patients with interval and p by the normal law."""
    areas, covariance = auc_covariance(truth, np.stack([np.asarray(ours), np.asarray(theirs)]))
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    return wald(float(areas[0] - areas[1]), 0.0 if variance < _ROUNDING else math.sqrt(variance))


def delong_equal(truth: ArrayLike, scores: ArrayLike) -> tuple[float, int, float]:
    """Return chi-squared, its degrees of freedom and the p of the hypothesis that all systems have the same AUC.

    Source: equation 5 of DeLong et al. 1988. Systems that always rank alike take no degree of freedom.
    """
    from scipy.stats import chi2  # noqa: PLC0415 keeps the import of metrics light

    areas, covariance = auc_covariance(truth, scores)
    contrast = np.eye(len(areas))[1:] - np.eye(len(areas))[0]
    apart, spread = contrast @ areas, contrast @ covariance @ contrast.T
    if not np.isfinite(spread).all():
        return math.nan, 0, math.nan
    freedom = int(np.linalg.matrix_rank(spread, tol=_ROUNDING, hermitian=True))
    statistic = float(apart @ np.linalg.pinv(spread, rcond=1e-9, hermitian=True) @ apart)
    return statistic, freedom, float(chi2.sf(statistic, freedom)) if freedom else 1.0


def _placed(mine: Floats, among: Floats) -> Floats:
    """Return the share of `among` below each of `mine`, ties counted half."""
    ranked = np.sort(among)
    below = np.searchsorted(ranked, mine, "left") + np.searchsorted(ranked, mine, "right")
    return below / (2 * len(ranked))


def _covariance(values: Floats) -> Floats:
    """Return the covariance of the means of values `[systems, members]`; NaN of a single member."""
    members = values.shape[1]
    if members < 2:
        return np.full((len(values), len(values)), np.nan)
    apart: Floats = values - values.mean(axis=1, keepdims=True)
    covariance: Floats = apart @ apart.T / (members * (members - 1))
    return covariance
