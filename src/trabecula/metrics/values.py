"""Numbers with a unit: errors, bias with its limits of agreement, and correlation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula.metrics.weighted import arrays, mean

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def mean_absolute_error(truth: ArrayLike, value: ArrayLike, weights: ArrayLike = 1.0) -> Any:
    """Mean absolute error, in the unit of the target."""
    y, v, w = arrays(truth, value, weights)
    return mean(np.abs(v - y), w)


def root_mean_square_error(truth: ArrayLike, value: ArrayLike, weights: ArrayLike = 1.0) -> Any:
    """Root of the mean squared error, in the unit of the target."""
    y, v, w = arrays(truth, value, weights)
    return np.sqrt(mean((v - y) ** 2, w))


def bias(truth: ArrayLike, value: ArrayLike, weights: ArrayLike = 1.0) -> Any:
    """Mean of answer less truth, in the unit of the target (Bland and Altman, Lancet 1986;1:307)."""
    y, v, w = arrays(truth, value, weights)
    return mean(v - y, w)


def limits_of_agreement(truth: ArrayLike, value: ArrayLike, weights: ArrayLike = 1.0) -> Any:
    """How far 95 % of answers lie from the truth plus the bias: 1.96 SD of the errors (Bland and Altman, as `bias`)."""
    y, v, w = arrays(truth, value, weights)
    error, n = v - y, w.sum(axis=-1)
    spread = mean((error - mean(error, w)[..., None]) ** 2, w)
    with np.errstate(invalid="ignore", divide="ignore"):
        return 1.96 * np.sqrt(spread * n / (n - 1))


def correlation(truth: ArrayLike, value: ArrayLike, weights: ArrayLike = 1.0) -> Any:
    """Pearson's correlation."""
    y, v, w = arrays(truth, value, weights)
    mean_y, mean_v = mean(y, w)[..., None], mean(v, w)[..., None]
    with np.errstate(invalid="ignore", divide="ignore"):
        covariance = mean((y - mean_y) * (v - mean_v), w)
        return covariance / np.sqrt(mean((y - mean_y) ** 2, w) * mean((v - mean_v) ** 2, w))
