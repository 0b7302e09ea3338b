"""Texture: a Gaussian random field in the plane, for what varies along a bone without being trabecular."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import irfft2, rfft2

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def field(rng: Generator, shape: tuple[int, int], spacing_mm: float, *, across_mm: float, along_mm: float) -> Floats:
    """Return a Gaussian random field `[j, i]` of mean 0 and variance 1, with correlation lengths along i and j."""
    frequency_j = np.fft.fftfreq(shape[0], spacing_mm)[:, None]
    frequency_i = np.fft.rfftfreq(shape[1], spacing_mm)[None, :]
    passed = np.exp(-2 * np.pi**2 * ((along_mm * frequency_j) ** 2 + (across_mm * frequency_i) ** 2) / 2)
    passed[0, 0] = 0.0
    made = irfft2(rfft2(rng.standard_normal(shape)) * passed, s=shape)
    return np.asarray(made / made.std())
