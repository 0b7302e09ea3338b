"""Two systems on the same patients: a difference with its interval and p, and what many such pairs do to p."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trabecula.metrics.resampling import Interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from trabecula.metrics.weighted import Floats


@dataclass(frozen=True)
class Tested(Interval):
    """A difference with its 95 % interval and the two-sided p of the hypothesis that there is none."""

    p: float


def wald(value: float, error: float, freedom: float = math.inf) -> Tested:
    """Return a difference with interval and p from its standard error, by Student's t of so many degrees of freedom.

    Without any error a difference of nothing has p = 1, and any other has neither interval nor p (NaN): identical
    folds or patients tell no error, they do not prove that there is none.
    """
    from scipy.stats import t as student  # noqa: PLC0415 keeps the import of metrics light

    if not (math.isfinite(value) and math.isfinite(error)):
        return Tested(math.nan, math.nan, math.nan, math.nan)
    if error <= 0:
        return Tested(value, value, value, 1.0) if value == 0 else Tested(value, math.nan, math.nan, math.nan)
    half = float(student.ppf(0.975, freedom)) * error
    return Tested(value, value - half, value + half, float(2 * student.sf(abs(value) / error, freedom)))


def holm(p: ArrayLike) -> Floats:
    """Return p-values `[tests]` adjusted so that one false claim among them all is made in 5 % at most.

    Holm, Scand J Stat 1979;6:65. NaN stays NaN and does not count as a test.
    Raises `ValueError` for a p outside 0..1.
    """
    given = np.asarray(p, dtype=float)
    known = np.flatnonzero(np.isfinite(given))
    if given.ndim != 1 or ((given[known] < 0) | (given[known] > 1)).any():
        raise ValueError("p-values are one row of numbers from 0 to 1")
    order = known[np.argsort(given[known], kind="stable")]
    adjusted = given.copy()
    adjusted[order] = np.minimum(1, np.maximum.accumulate(given[order] * np.arange(len(order), 0, -1)))
    return adjusted
