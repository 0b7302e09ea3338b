"""Linear and logistic regression by plain gradient descent on all rows, as one layer of a network learns."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class Descent(NamedTuple):
    """How far and how long to go down."""

    rate: float
    steps: int
    """At most."""
    least_change: float
    """Of the loss in a step, below which the descent ends."""


def linear_weights(x: Floats, y: Floats, descent: Descent) -> Floats:
    """Return weights `[1, inputs]` that bring the mean of `(x w - y)^2` down; `x` is `[n, inputs]`, `y` is `[n]`.

    Raises `ValueError` when the loss grows beyond all bounds.
    """

    def slope(w: Floats) -> tuple[float, Floats]:
        apart = x @ w[0] - y
        return float((apart**2).mean()), 2 * (apart @ x)[None] / len(x)

    return _descend(slope, (1, x.shape[1]), descent)


def logistic_weights(x: Floats, grades: NDArray[np.intp], descent: Descent, *, count: int) -> Floats:
    """Return weights `[count - 1, inputs]` of the log-odds of each grade against the lowest, by cross-entropy.

    For two grades this is logistic regression. Raises `ValueError` when the loss grows beyond all bounds.
    """
    known = np.eye(count)[grades]

    def slope(w: Floats) -> tuple[float, Floats]:
        p = probabilities(x, w)
        loss = -np.log(np.maximum((p * known).sum(axis=1), 1e-300)).mean()
        return float(loss), (p - known)[:, 1:].T @ x / len(x)

    return _descend(slope, (count - 1, x.shape[1]), descent)


def probabilities(x: Floats, weights: Floats) -> Floats:
    """Return the probability of each grade, `[n, grades]`."""
    odds = np.concatenate([np.zeros((len(x), 1)), x @ weights.T], axis=1)
    shares = np.exp(odds - odds.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def _descend(slope: Callable[[Floats], tuple[float, Floats]], shape: tuple[int, int], descent: Descent) -> Floats:
    weights = np.zeros(shape)
    loss, gradient = slope(weights)
    bound = 1e6 * (1 + loss)
    for _ in range(descent.steps):
        weights = weights - descent.rate * gradient
        before, (loss, gradient) = loss, slope(weights)
        if not loss <= bound:
            raise ValueError(f"at a learning rate of {descent.rate:g} the loss grows without end: choose a lower one")
        if abs(before - loss) < descent.least_change:
            break
    return weights
