"""Label maps: how much of two regions is the same."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def dice(truth: NDArray[Any], labels: NDArray[Any]) -> float:
    """Dice overlap of two label maps of one shape, averaged over the labels in the truth (Dice, Ecology 1945;26:297).

    NaN where the truth is empty. Raises `ValueError` when the shapes differ.
    """
    if truth.shape != labels.shape:
        raise ValueError(f"label maps differ in shape: {truth.shape} and {labels.shape}")
    overlaps = [
        2 * np.count_nonzero((truth == label) & (labels == label))
        / (np.count_nonzero(truth == label) + np.count_nonzero(labels == label))
        for label in np.unique(truth[truth > 0])
    ]  # fmt: skip
    return float(np.mean(overlaps)) if overlaps else math.nan
