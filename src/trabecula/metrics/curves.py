"""What plots of a binary target are drawn from, and the interval of a share."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from trabecula.metrics.resampling import per_fold

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from trabecula.metrics.weighted import Floats


def roc(
    truth: ArrayLike, score: ArrayLike, *, folds: ArrayLike | None = None, points: int = 101
) -> tuple[Floats, Floats]:
    """Return false-positive rates `[points]` and the true-positive rates there, averaged over folds."""
    y, s, members = np.asarray(truth) == 1, np.asarray(score, dtype=float), per_fold(truth, folds)
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
