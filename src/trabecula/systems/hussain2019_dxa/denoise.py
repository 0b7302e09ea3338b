"""Non-local means: a pixel becomes the mean of those whose neighbourhoods look like its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import uniform_filter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_MAD_OF_NORMAL = 0.6745


def non_local_means(values: Floats, *, patch: int, reach: int, strength: float) -> Floats:
    """Return a picture `[j, i]` denoised; patches of `patch` pixels a side, looked for `reach` pixels around.

    Weights are exp(-d / h^2), h being `strength` times the SD of the noise and d the mean squared difference of two
    patches less what noise alone makes of it, 2 SD^2 (Buades, Coll and Morel 2005; Darbon 2008 for box filters).
    Without taking that off, an h below the noise denoises nothing.
    """
    sd = noise_sd(values)
    if sd == 0:
        return values.copy()
    rows, columns = values.shape
    edge = reach + patch // 2
    padded = np.pad(values, edge, mode="reflect")
    around = slice(patch // 2, patch // 2 + rows), slice(patch // 2, patch // 2 + columns)
    total, weights = np.zeros(values.shape), np.zeros(values.shape)
    whole = tuple(slice(reach, reach + n + 2 * (patch // 2)) for n in values.shape)
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            moved = padded[whole[0].start + down : whole[0].stop + down, whole[1].start + right : whole[1].stop + right]
            apart = uniform_filter((padded[whole] - moved) ** 2, patch)[around]
            weight = np.exp(-np.maximum(apart - 2 * sd**2, 0) / (strength * sd) ** 2)
            total += weight * moved[around]
            weights += weight
    return np.asarray(total / weights)


def noise_sd(values: Floats) -> float:
    """Return the SD of the noise by the median absolute diagonal detail of Haar's wavelet (Donoho 1994)."""
    a, b, c, d = (values[down : values.shape[0] - 1 + down : 2, right : values.shape[1] - 1 + right : 2]
                  for down in (0, 1) for right in (0, 1))  # fmt: skip
    return float(np.median(np.abs(a - b - c + d) / 2) / _MAD_OF_NORMAL)
