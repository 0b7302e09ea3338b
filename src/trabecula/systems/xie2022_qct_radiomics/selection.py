"""From many features to a few: minimum redundancy and maximum relevance, then the LASSO; and tests of variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_COPY = 1 - 1e-9  # squared correlation of a feature with its copy
_LEAST_STEP = 1e-5


def mrmr(x: Floats, y: Floats, count: int) -> list[int]:
    """Return the columns of `x` `[n, features]` that tell most of `y` and least of each other, in order of choice.

    Each adds the highest I(f; y) - mean I(f; s) over those chosen, with the mutual information of Gaussian variables,
    -0.5 ln(1 - rho^2) (R's mRMRe). A copy of a chosen feature, and a constant, is never chosen.
    """
    centred = np.column_stack([x, y]) - np.append(x.mean(axis=0), y.mean())
    length = np.linalg.norm(centred, axis=0)
    usable = length[:-1] > 1e-12 * np.maximum(np.abs(x).max(axis=0), 1e-300)
    unit = centred / np.where(length > 0, length, 1.0)
    relevance = np.where(usable, _information(unit[:, :-1], unit[:, -1]), -np.inf)
    chosen: list[int] = []
    redundancy = np.zeros(len(relevance))
    while len(chosen) < min(count, int(usable.sum())):
        gain = relevance - redundancy / max(len(chosen), 1)
        gain[chosen] = -np.inf
        best = int(np.argmax(gain))
        if np.isneginf(gain[best]):
            break
        chosen.append(best)
        redundancy = redundancy + _information(unit[:, :-1], unit[:, best])
    return chosen


def _information(columns: Floats, other: Floats) -> Floats:
    """Return the mutual information in nats of unit columns with another; infinite for a copy."""
    squared = (columns.T @ other) ** 2
    return np.where(squared > _COPY, np.inf, -0.5 * np.log1p(-np.minimum(squared, _COPY)))


def lasso_path(x: Floats, y: Floats, strengths: Floats, *, steps: int = 3000) -> Floats:
    """Return weights `[1 + features, strengths]`, the constant first, of logistic regression with an L1 penalty.

    Minimises the mean log-loss plus strength times the sum of absolute weights, for all strengths at once, by
    proximal gradient steps with momentum (Beck and Teboulle 2009) that starts afresh where it leads uphill.
    """
    ones = np.column_stack([np.ones(len(x)), x])
    step = 4 * len(x) / np.linalg.eigvalsh(ones.T @ ones)[-1]
    weights = ahead = np.zeros((ones.shape[1], len(strengths)))
    speed = np.ones(len(strengths))
    for _ in range(steps):
        slope = ones.T @ (_logistic(ones @ ahead) - y[:, None]) / len(x)
        moved = ahead - step * slope
        moved[1:] = np.sign(moved[1:]) * np.maximum(np.abs(moved[1:]) - step * strengths, 0.0)
        uphill = ((ahead - moved) * (moved - weights)).sum(axis=0) > 0
        faster = np.where(uphill, 1.0, (1 + np.sqrt(1 + 4 * speed**2)) / 2)
        push = np.where(uphill, 0.0, (speed - 1) / faster)
        ahead = moved + push * (moved - weights)
        change, weights, speed = np.abs(moved - weights).max(), moved, faster
        if change < _LEAST_STEP:
            break
    return weights


def strengths(x: Floats, y: Floats, count: int, *, least: float) -> Floats:
    """Return penalties from the one at which every weight is 0 down to `least` of it, evenly in the logarithm."""
    highest = float(np.abs(x.T @ (y - y.mean())).max()) / len(x)
    return np.geomspace(max(highest, 1e-12), least * max(highest, 1e-12), count)


def log_loss(x: Floats, y: Floats, weights: Floats) -> Floats:
    """Return the log-loss of each case under each column of weights, `[n, strengths]`."""
    odds = weights[0] + x @ weights[1:]
    return np.asarray(np.logaddexp(0.0, odds) - y[:, None] * odds)


def wald_p(x: Floats, y: Floats) -> Floats:
    """Return the two-sided p value of each column of `x` in one logistic regression, by Wald's test.

    A touch of ridge (1e-3 on standardised columns) keeps it finite where the classes can be separated.
    """
    from scipy.stats import norm  # noqa: PLC0415 only this needs it

    ones = np.column_stack([np.ones(len(x)), x])
    ridge = np.diag([0.0, *[1e-3 * len(x)] * x.shape[1]])
    weights = np.zeros(ones.shape[1])
    information = ridge
    for _ in range(50):
        p = _logistic(ones @ weights)
        information = (ones * (p * (1 - p))[:, None]).T @ ones + ridge + 1e-9 * np.eye(ones.shape[1])
        step = np.linalg.solve(information, ones.T @ (y - p) - ridge @ weights)
        weights = weights + step
        if np.abs(step).max() < 1e-8:
            break
    error = np.sqrt(np.diag(np.linalg.inv(information)))
    return np.asarray(2 * norm.sf(np.abs(weights / error))[1:])


def _logistic(odds: Floats) -> Floats:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * odds)))
