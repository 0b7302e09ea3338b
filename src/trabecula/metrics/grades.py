"""Ordered grades: agreement that counts how far off a call is, and the highest grade against the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula.metrics.binary import auc
from trabecula.metrics.weighted import arrays

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def quadratic_kappa(truth: ArrayLike, probability: ArrayLike, weights: ArrayLike = 1.0) -> Any:
    """Cohen's kappa with quadratic weights of the most likely grade (Cohen, Psychol Bull 1968;70:213)."""
    y, c, w = arrays(truth, np.asarray(probability).argmax(axis=-1), weights)
    total = w.sum(axis=-1)
    observed = (w * (y - c) ** 2).sum(axis=-1) / total
    mean_y, mean_c = (w * y).sum(axis=-1) / total, (w * c).sum(axis=-1) / total
    squares = (w * (y**2 + c**2)).sum(axis=-1) / total
    with np.errstate(invalid="ignore", divide="ignore"):
        return 1 - observed / (squares - 2 * mean_y * mean_c)


def auc_highest(truth: ArrayLike, probability: ArrayLike, weights: ArrayLike = 1.0) -> Any:
    """AUC of the highest grade against the rest."""
    p = np.asarray(probability, dtype=float)
    return auc(np.asarray(truth) == p.shape[1] - 1, p[:, -1], weights)
