"""Arrays of answers and weights, checked; what every metric begins with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = "NDArray[np.float64]"


def arrays(truth: ArrayLike, prediction: ArrayLike, weights: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Return truth and prediction `[n]` and weights `[..., n]`.

    Raises `ValueError` for anything else than one finite number a patient.
    """
    y, s = np.asarray(truth, dtype=float), np.asarray(prediction, dtype=float)
    if y.ndim != 1 or y.shape != s.shape:
        raise ValueError(f"truth and prediction are one number a patient each; got {y.shape} and {s.shape}")
    if not (np.isfinite(y).all() and np.isfinite(s).all()):
        raise ValueError("a truth or prediction is NaN or infinite: leave abstentions out before measuring")
    w = np.asarray(weights, dtype=float)
    return y, s, np.broadcast_to(w, (*w.shape[:-1], len(y)))


def mean(values: Floats, weights: Floats) -> Any:
    """Return the weighted mean over the last axis; NaN where nothing has weight."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return (weights * values).sum(axis=-1) / weights.sum(axis=-1)
