"""How BMD agrees with DXA, and the two cut-offs of a triage: what the paper reports of its tests."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_SURE = 0.95


def agreement(truth: ArrayLike, told: ArrayLike) -> dict[str, float]:
    """Return calibration slope and calibration-in-the-large, bias and 95 % limits of agreement, and Pearson's R.

    The slope is b of truth = a + b told; in the large is mean(truth) - mean(told); bias and limits are of told less
    truth, after Bland and Altman, Lancet 1986;1:307. Fewer than three pairs, or one answer for all, give no slope.
    """
    y, x = np.asarray(truth, dtype=float), np.asarray(told, dtype=float)
    error = x - y
    spread = 1.96 * float(error.std(ddof=1)) if len(y) > 1 else math.nan
    bias = float(error.mean())
    linear = len(y) > 2 and np.ptp(x) > 0 and np.ptp(y) > 0
    slope, r = (float(np.polyfit(x, y, 1)[0]), float(np.corrcoef(x, y)[0, 1])) if linear else (math.nan, math.nan)
    return {"slope": slope, "in_the_large": -bias, "bias": bias, "low": bias - spread, "high": bias + spread, "r": r}


def cut_offs(osteoporosis: ArrayLike, t_score: ArrayLike, *, sure: float = _SURE) -> tuple[float, float]:
    """Return the T-scores at or below which osteoporosis is ruled in, and at or above which it is ruled out.

    The widest that hold a PPV, and an NPV, of `sure` on those given; without any, minus and plus infinity. Where both
    would reach past each other, everybody is settled, and they meet in the middle.
    """
    y, t = np.asarray(osteoporosis, dtype=bool), np.asarray(t_score, dtype=float)
    below = [cut for cut in t if y[t <= cut].mean() >= sure]
    above = [cut for cut in t if 1 - y[t >= cut].mean() >= sure]
    low, high = max(below, default=-math.inf), min(above, default=math.inf)
    if low >= high:
        low = high = float((low + high) / 2)
    return float(low), float(high)


def triage(t_score: float, low: float, high: float) -> str:
    """Return `rule in`, `rule out` or `refer to DXA`."""
    if t_score <= low:
        return "rule in"
    return "rule out" if t_score >= high else "refer to DXA"
