"""Kernels and noise of CT: how sharp a reconstruction is, and how its noise is correlated.

Noise of filtered back-projection has the power spectrum |f| MTF(f)² in the plane (ramp times apodisation), and slices
that overlap share it. Its level is asked for at one reference kernel and slice; every other level follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import irfft2, rfft2
from scipy.ndimage import gaussian_filter1d

from trabecula.target import unknown

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Voxels = NDArray[np.float32]

REFERENCE_KERNEL, REFERENCE_SLICE_MM = "standard", 3.0
_ALIASES = range(-2, 3)


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """A modulation transfer function: a Gaussian, and for sharp kernels a wider one taken off, which lifts edges."""

    sigma_mm: float
    edge: float = 0.0
    edge_sigma_mm: float = 1.2

    def mtf(self, per_mm: Floats) -> Floats:
        """Return the modulation transfer function at frequencies in 1/mm."""
        sharp, wide = (np.exp(-2 * (np.pi * sigma * per_mm) ** 2) for sigma in (self.sigma_mm, self.edge_sigma_mm))
        return np.asarray((1 + self.edge) * sharp - self.edge * wide)

    def blur(self, slices: Voxels, pixel_mm: tuple[float, float]) -> Voxels:
        """Return slices `[k, j, i]` as sharp as this kernel makes them; what lies outside is like the border."""

        def gaussian(sigma: float) -> Voxels:
            blurred = gaussian_filter1d(slices, sigma / pixel_mm[0], axis=1, mode="nearest")
            return np.asarray(gaussian_filter1d(blurred, sigma / pixel_mm[1], axis=2, mode="nearest"))

        blurred = gaussian(self.sigma_mm)
        return (1 + self.edge) * blurred - self.edge * gaussian(self.edge_sigma_mm) if self.edge else blurred


KERNELS = {  # half contrast at 0.30, 0.40 and about 0.7 per mm; typical of body kernels, ours
    "soft": Kernel(sigma_mm=0.62),
    "standard": Kernel(sigma_mm=0.47),
    "bone": Kernel(sigma_mm=0.30, edge=0.25, edge_sigma_mm=0.9),
}


def get_kernel(name: str) -> Kernel:
    """Look up a row of `KERNELS`.

    Raises `KeyError` naming the nearest one.
    """
    if name not in KERNELS:
        raise KeyError(unknown("kernel", name, KERNELS))
    return KERNELS[name]


def noise_sd(reference_hu: float, *, kernel: str, slice_mm: float) -> float:
    """Return the SD in HU with this kernel and slice, where `reference_hu` is that of the reference kernel and slice.

    In the plane it is the area under the noise power spectrum; along the patient quanta add up, so the variance goes
    with the inverse of the slice.
    """
    quanta = REFERENCE_SLICE_MM / slice_mm
    return reference_hu * float(np.sqrt(quanta * _power(kernel) / _power(REFERENCE_KERNEL)))


def correlated_noise(
    shape: tuple[int, int, int],
    rng: Generator,
    *,
    kernel: str,
    pixel_mm: float,
    overlap: float = 1.0,
) -> Voxels:
    """Return noise `[k, j, i]` of SD 1 with the power spectrum of a kernel.

    `overlap` is the slice thickness over the distance of slices; above 1, neighbours share noise.
    """
    slices, rows, columns = shape
    extra = int(np.ceil(overlap)) if overlap > 1 else 0
    white = rng.standard_normal((slices + extra, rows, columns), dtype=np.float32)
    along = np.fft.fftfreq(slices + extra)
    shared = np.arange(1, extra + 1)
    weights = np.clip(1 - shared / overlap, 0, None)
    power = 1 + 2 * (weights[:, None] * np.cos(2 * np.pi * np.outer(shared, along))).sum(axis=0)
    if extra:
        spectrum = np.fft.fft(white, axis=0) * np.sqrt(np.clip(power, 0, None))[:, None, None]
        white = np.fft.ifft(spectrum, axis=0).real.astype(np.float32)
    in_plane = np.sqrt(_sampled_power(kernel, rows, columns, pixel_mm))[:, : columns // 2 + 1].astype(np.float32)
    coloured = np.empty(shape, dtype=np.float32)
    for k in range(slices):
        coloured[k] = irfft2(rfft2(white[k]) * in_plane, s=(rows, columns))
    return coloured


def _power(kernel: str) -> float:
    """Return the area under |f| MTF² in the plane."""
    f = np.linspace(0, 6, 6001)
    return float(np.trapezoid(2 * np.pi * f * f * get_kernel(kernel).mtf(f) ** 2, f))


def _sampled_power(kernel: str, rows: int, columns: int, pixel_mm: float) -> Floats:
    """Return the power spectrum `[j, i]` after sampling, aliases folded in, with a mean of 1."""
    mtf = get_kernel(kernel).mtf
    total = np.zeros((rows, columns))
    for j, i in product(_ALIASES, _ALIASES):
        f = np.hypot((np.fft.fftfreq(rows)[:, None] + j) / pixel_mm, (np.fft.fftfreq(columns)[None, :] + i) / pixel_mm)
        total += f * mtf(f) ** 2
    return np.asarray(total / total.mean())
