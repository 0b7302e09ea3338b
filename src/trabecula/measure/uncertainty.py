"""How sure a mean over voxels is: neighbouring voxels share noise and grain, so that n of them count as fewer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import irfftn, next_fast_len, rfftn

if TYPE_CHECKING:
    from numpy.typing import NDArray

_REACH_MM = 6.0
"""Voxels further apart are taken for independent."""


def mean_error(
    values: NDArray[np.float64], inside: NDArray[np.bool_], spacing: tuple[float, float, float]
) -> float | None:
    """Return the standard error of the mean of `values` `[k, j, i]` where `inside`, correlation counted.

    The variance of the mean is the sum of the autocovariance over all pairs. It is summed up to 6 mm, and what taking
    off the region's own mean hides there is put back: each lag reads too little by the variance of the mean itself.
    `None` where the region is so small that hardly a pair is further apart.
    """
    box = tuple(slice(int(n.min()), int(n.max()) + 1) for n in np.nonzero(inside))
    here = inside[box]
    count = int(here.sum())
    rest = np.where(here, values[box] - values[inside].mean(), 0.0)
    lags = [min(side - 1, int(_REACH_MM / mm)) for side, mm in zip(here.shape, spacing, strict=True)]
    shape = [next_fast_len(side + lag, real=True) for side, lag in zip(here.shape, lags, strict=True)]
    products, pairs = (irfftn(abs(rfftn(each, shape)) ** 2, shape) for each in (rest, here.astype(np.float64)))
    steps = np.meshgrid(
        *(np.r_[0 : lag + 1, -lag:0] * mm for lag, mm in zip(lags, spacing, strict=True)), indexing="ij"
    )
    near = np.sqrt(sum(step**2 for step in steps)) <= _REACH_MM
    at = np.ix_(*(np.r_[0 : lag + 1, -lag:0] for lag in lags))
    share = float(pairs[at][near].sum()) / count**2
    if share > 0.5:
        return None
    variance = float(products[at][near].sum()) / count**2 / (1 - share)
    independent = float((rest**2).sum()) / count**2
    return math.sqrt(max(variance, independent))
