"""Figures of a population from a stratified sample of clusters, such as NHANES: weighted means with honest intervals.

Weights say how many people a respondent stands for; strata and primary sampling units (PSUs) say how they were drawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class Estimate(NamedTuple):
    """A figure of a population with its 95 % interval and standard error."""

    value: float
    low: float
    high: float
    se: float


def weighted_mean(values: ArrayLike, weights: ArrayLike, *, strata: ArrayLike, psu: ArrayLike) -> Estimate:
    """Return the weighted mean with a design-based interval by Taylor linearisation, PSUs drawn with replacement.

    All arrays are `[n]`; PSU names need to be unique within a stratum only. A domain (women from 50 on) is asked for
    by the weight 0 for everybody outside it, never by leaving rows out: PSUs without a member still count in the
    variance. The interval uses the t quantile with PSUs less strata degrees of freedom, of those that hold a member.
    Source: Woodruff, J Am Stat Assoc 1971;66:411; the NHANES analytic guidelines give the same estimator.

    Raises `ValueError` for lengths that differ, negative weights, no weight at all, a value that is not finite where
    the weight is positive, and a stratum with one PSU, of which no variance can be told.
    """
    from scipy.stats import t as student  # noqa: PLC0415 keeps the import of this module light

    v, w = np.asarray(values, dtype=float), np.asarray(weights, dtype=float)
    stratum, unit = np.asarray(strata).astype(str), np.asarray(psu).astype(str)
    if not v.ndim == 1 or not v.shape == w.shape == stratum.shape == unit.shape:
        raise ValueError(f"values, weights, strata and psu differ in length: {[len(a) for a in (v, w, stratum, unit)]}")
    if not np.isfinite(w).all() or w.min(initial=0) < 0 or not w.sum() > 0:
        raise ValueError("weights are finite, not negative, and some are positive")
    if not np.isfinite(v[w > 0]).all():
        raise ValueError("a value with a positive weight is missing: give those rows the weight 0")
    total = w.sum()
    mean = float(np.sum(w * np.where(w > 0, v, 0)) / total)
    score = w * np.where(w > 0, v - mean, 0) / total
    variance, freedom = 0.0, 0
    for name in np.unique(stratum):
        rows = stratum == name
        units, member = np.unique(unit[rows], return_inverse=True)
        if len(units) < 2:
            raise ValueError(f"stratum {name} has one PSU: join it with a similar stratum")
        sums = np.bincount(member, weights=score[rows])
        variance += len(units) / (len(units) - 1) * float(np.sum((sums - sums.mean()) ** 2))
        held = np.bincount(member, weights=w[rows]) > 0
        freedom += max(0, int(held.sum()) - 1)
    if freedom == 0:
        raise ValueError("every stratum has members in one PSU only: there is no variance to be told")
    se = float(np.sqrt(variance))
    half = float(student.ppf(0.975, freedom)) * se
    return Estimate(mean, mean - half, mean + half, se)
