"""Grey-level co-occurrence in a picture: the matrices and features of radiomics, at any distance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trabecula.measure.radiomics.aggregation import mean
from trabecula.measure.radiomics.lattice import HALF_PLANE, Lattice
from trabecula.measure.radiomics.texture import co_occurrence

if TYPE_CHECKING:
    from numpy.typing import NDArray

_OTHERS = ("max_correlation",)  # not of the standard


def co_occurrences(
    levels: NDArray[np.int64], level_count: int, *, distance: tuple[int, int] = (1, 1)
) -> dict[str, float]:
    """Return the co-occurrence features of grey levels `[j, i]`, from 1 and 0 outside, as `cm_contrast_2D_avg`.

    Pairs are so many rows and columns apart, in four directions (Chebyshev distance); features are those of each
    direction, averaged (`2D_avg` of arXiv:1612.07003v11, section 3.6). Raises `ValueError` for a distance below 1 and
    a region without such pairs.
    """
    if min(distance) < 1:
        raise ValueError(f"the distance of pairs is at least one pixel; got {distance}")
    margin = max(distance) - 1
    lattice = Lattice.of(np.pad(levels, margin)[None], level_count)
    steps = [(0, distance[0] * j, distance[1] * i) for _, j, i in HALF_PLANE]
    counts = lattice.pairs(steps, by_slice=False)[0]
    if not counts.any():
        raise ValueError(f"no two pixels of the region are {distance[0]} rows or {distance[1]} columns apart")
    features = co_occurrence(counts, lattice.values, level_count)
    return {f"cm_{name}_2D_avg": mean(each) for name, each in features.items() if name not in _OTHERS}
