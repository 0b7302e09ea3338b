"""Discretisation: from intensities to grey levels 1, 2, ... (section 2.7 of arXiv:1612.07003v11)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST = 100_000


def fixed_count(values: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Divide the range of the values into `count` bins of one width: level 1 at the minimum, `count` at the maximum.

    Raises `ValueError` for fewer than one bin and for values that are all the same.
    """
    low, high = values.min(), values.max()
    if count < 1:
        raise ValueError(f"the number of bins is at least 1; got {count}")
    if low == high:
        raise ValueError(f"all values are {low:g}: a fixed number of bins needs a range")
    levels: NDArray[np.int64] = np.floor(count * (values - low) / (high - low)).astype(np.int64) + 1
    return np.minimum(levels, count)


def fixed_width(values: NDArray[np.float64], width: float, *, start: float | None = None) -> NDArray[np.int64]:
    """Give each value the number of its bin of this width, counted from `start`, by default from the minimum.

    The manual wants the lower end of the re-segmentation range as the start, so that levels mean the same in all
    patients. A value below the start has level 1. Raises `ValueError` for a width that is not positive, and for one
    that would make more than 100,000 levels.
    """
    start = float(values.min()) if start is None else start
    _check_width(values, width, start)
    return np.maximum(np.floor((values - start) / width).astype(np.int64) + 1, 1)


def fixed_width_aligned(values: NDArray[np.float64], width: float) -> NDArray[np.int64]:
    """Give each value the number of its bin of this width, where edges are multiples of the width.

    Level 1 holds the minimum: the origin depends on the patient, the edges do not. PyRadiomics's definition
    (`imageoperations.getBinEdges` of 3.0.1). Raises `ValueError` as `fixed_width`.
    """
    start = values.min() - values.min() % width if width > 0 else np.nan
    _check_width(values, width, start)
    return np.digitize(values, np.arange(start, values.max() + 2 * width, width)).astype(np.int64)


def whole(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Take whole numbers from 1 upwards as levels, as they are.

    Raises `ValueError` for anything else.
    """
    levels = values.astype(np.int64)
    if (levels != values).any() or levels.min() < 1 or levels.max() > _MOST:
        raise ValueError(
            "without bins, values are taken as grey levels and must be whole numbers from 1 to 100,000; these are "
            f"{values.min():g} to {values.max():g}: give bin_width or bin_count"
        )
    return levels


def _check_width(values: NDArray[np.float64], width: float, start: float) -> None:
    if not width > 0:
        raise ValueError(f"the bin width is positive; got {width}")
    if (values.max() - start) / width > _MOST:
        raise ValueError(
            f"bins of {width:g} from {start:g} to {values.max():g} are more than 100,000: widen the bins, "
            "or look at the unit"
        )
