"""An AUC of few patients, or one near 1, where DeLong and the bootstrap promise too much."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from trabecula.metrics.binary import auc
from trabecula.metrics.resampling import Interval
from trabecula.metrics.weighted import arrays

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_Z = 1.959964


def newcombe_interval(truth: ArrayLike, score: ArrayLike) -> Interval:
    """Return the AUC on a hold-out set with the 95 % interval of Newcombe, Stat Med 2006;25:559, method 5.

    As Wilson's for a share, its limits are the AUCs that would just be 1.96 of their own standard errors from the one
    seen, by the variance of Hanley and McNeil with both classes of the mean size. It has limits where all cases score
    above all others, too. One score a patient; NaN where a class has no patient.
    """
    y, s, _ = arrays(truth, score, 1.0)
    cases, others = int((y == 1).sum()), int((y != 1).sum())
    if not (cases and others):
        return Interval(math.nan, math.nan, math.nan)
    area = float(auc(y, s))
    return Interval(area, _lower(area, cases, others), 1 - _lower(1 - area, cases, others))


def _lower(area: float, cases: int, others: int) -> float:
    """Return the lower limit; the variance is the same for an area and what it lacks to 1, and so the upper one."""
    from scipy.optimize import brentq  # noqa: PLC0415 keeps the import of metrics light

    size = (cases + others) / 2

    def beyond(limit: float) -> float:
        spread = 1 + (size - 1) * ((1 - limit) / (2 - limit) + limit / (1 + limit))
        return area - limit - _Z * math.sqrt(limit * (1 - limit) * spread / (cases * others))

    return float(brentq(beyond, 0.0, area - 1e-9)) if area > 0 else 0.0
