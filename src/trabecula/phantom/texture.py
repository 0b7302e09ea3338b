"""Texture: trabeculae as they look in projection, from two anisotropic Gaussian random fields.

One field runs along the load, one across it. A soft threshold on each keeps the ridges as struts; the sparser the
bone, the higher the cut, and across the load it rises first, as transverse trabeculae are lost before axial ones.
The mean of the texture is 1 whatever the density, so that grey follows density alone and texture its arrangement.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import irfft2, rfft2

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_ALONG_MM = (0.45, 2.4)  # correlation lengths across and along a strut in projection
_ACROSS_MM = (0.45, 1.4)


def trabeculae(rng: Generator, shape: tuple[int, int], spacing_mm: float, density: float) -> Floats:
    """Return the local density over its mean, `[j, i]`; `density` in young SD, 0 young and -4 sparse."""
    axial = field(rng, shape, spacing_mm, across_mm=_ALONG_MM[0], along_mm=_ALONG_MM[1])
    transverse = field(rng, shape, spacing_mm, across_mm=_ACROSS_MM[1], along_mm=_ACROSS_MM[0])
    cloud = field(rng, shape, spacing_mm, across_mm=6.0, along_mm=9.0)
    sparse = float(np.clip(-density, -1.5, 5.0))
    struts = (0.62 + 0.03 * sparse) * _ridges(axial, 0.10 * sparse) + 0.38 * _ridges(transverse, 0.25 * sparse)
    struts /= struts.mean()
    return np.asarray((1 + (0.11 + 0.018 * sparse) * (struts - 1)) * (1 + 0.06 * cloud))


def field(rng: Generator, shape: tuple[int, int], spacing_mm: float, *, across_mm: float, along_mm: float) -> Floats:
    """Return a Gaussian random field `[j, i]` of mean 0 and variance 1, with correlation lengths along i and j."""
    frequency_j = np.fft.fftfreq(shape[0], spacing_mm)[:, None]
    frequency_i = np.fft.rfftfreq(shape[1], spacing_mm)[None, :]
    passed = np.exp(-2 * np.pi**2 * ((along_mm * frequency_j) ** 2 + (across_mm * frequency_i) ** 2) / 2)
    passed[0, 0] = 0.0
    made = irfft2(rfft2(rng.standard_normal(shape)) * passed, s=shape)
    return np.asarray(made / made.std())


def _ridges(values: Floats, cut: float) -> Floats:
    """Return a soft threshold with mean 1."""
    kept = np.logaddexp(0.0, 2.5 * (values - cut))
    return np.asarray(kept / kept.mean())
