"""Filters that come before the features: undecimated wavelets and the Laplacian of Gaussians.

As PyRadiomics 3.0.1 has them (`imageoperations.getWaveletImage`, `getLoGImage`), which the published systems used. They
look at the whole image and not at the region alone; only what the region needs is computed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.ndimage import correlate1d
from scipy.signal import lfilter, lfilter_zi

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.measure.radiomics.region import Region

_7 = np.sqrt(7.0)
COIF1 = np.array([1 - _7, 5 + _7, 14 + 2 * _7, 14 - 2 * _7, 1 - _7, -3 + _7]) / (16 * np.sqrt(2))
"""Low pass of Daubechies's first coiflet (Ten Lectures on Wavelets, 1992, table 8.1); its mirror is the high pass."""


class _Pass(NamedTuple):
    letter: str
    kernel: NDArray[np.float64]


_PASSES = (_Pass("L", COIF1), _Pass("H", COIF1[::-1] * (-1) ** np.arange(6)))


def wavelets(region: Region) -> dict[str, Region]:
    """Return the eight bands `LLL` to `HHH` of one level of the undecimated coif1 transform, cropped to the shape.

    The letters say what was done along i, j and k, in this order. Images are periodic, after one more slice, row or
    column (the first again) where their number is odd.
    """
    margin = len(COIF1)
    box = []
    for around, size in zip(region.box, region.shape_mask.shape, strict=True):
        places = np.arange(around.start - margin, around.stop + margin) % (size + size % 2)
        box.append(np.where(places == size, 0, places))
    bands = {"": region.intensities[np.ix_(*box)].astype(np.float64)}
    for axis in (2, 1, 0):
        bands = {
            name + letter: correlate1d(band, kernel, axis=axis, origin=-1)
            for name, band in bands.items()
            for letter, kernel in _PASSES
        }
    own = region.cropped()
    inner = (slice(margin, -margin),) * 3
    return {name: replace(own, intensities=np.ascontiguousarray(band[inner])) for name, band in bands.items()}


def laplacian_of_gaussian(region: Region, sigma_mm: float) -> Region:
    """Return the Laplacian of the image smoothed by a Gaussian, times sigma squared, cropped to the shape.

    The factor, which makes scales comparable, and the recursive filter are PyRadiomics's; the second part of the
    standard (arXiv:2006.05470) leaves the factor out and samples the kernel. Where sigma is about a voxel the two
    filters differ by several percent. Raises `ValueError` for a sigma that is not positive.
    """
    if not sigma_mm > 0:
        raise ValueError(f"the sigma of a Laplacian of Gaussian is positive, in mm; got {sigma_mm}")
    wide = region.cropped(_REACH * sigma_mm)
    total = np.zeros_like(wide.intensities)
    for axis, own_spacing in enumerate(region.spacing):
        part = wide.intensities
        for along, spacing in enumerate(region.spacing):
            part = _gaussian(part, sigma_mm / spacing, along, second_derivative=along == axis)
        total += part / own_spacing**2
    return replace(wide, intensities=total * sigma_mm**2).cropped()


_REACH = 12.0
"""In sigmas: beyond it the recursive Gaussian is below a millionth."""


def _gaussian(voxels: NDArray[np.float64], sigma: float, axis: int, *, second_derivative: bool) -> NDArray[np.float64]:
    """Filter along an axis, sigma in voxels; before its first and after its last voxel the image stays as it is."""
    forward, backward, recursion = _deriche(sigma, second_derivative=second_derivative)
    lines = np.moveaxis(voxels, axis, -1)
    both = [
        lfilter(weights, recursion, part, zi=lfilter_zi(weights, recursion) * part[..., :1])[0]
        for weights, part in ((forward, lines), (backward, lines[..., ::-1]))
    ]
    return np.moveaxis(both[0] + both[1][..., ::-1], -1, axis)


def _deriche(sigma: float, *, second_derivative: bool) -> tuple[NDArray[np.float64], ...]:
    """Return the weights of the causal and the anticausal filter, and their common recursion.

    Deriche R, 1993, INRIA RR-1893, fourth order, normalised on the grid as in ITK's `RecursiveGaussianImageFilter`:
    the smoothing leaves a constant as it is, the second derivative makes 2 of the square of the voxel number.
    """
    pole1, pole2 = np.exp((-1.3932 + 0.6681j) / sigma), np.exp((-1.3732 + 2.0787j) / sigma)
    recursion = np.polymul([1, -2 * pole1.real, abs(pole1) ** 2], [1, -2 * pole2.real, abs(pole2) ** 2])

    def causal(a1: float, b1: float, a2: float, b2: float) -> NDArray[np.float64]:
        """Sum two damped waves a cos + b sin, one at each pole, over the common recursion."""
        first = np.polymul([a1, b1 * pole1.imag - a1 * pole1.real], [1, -2 * pole2.real, abs(pole2) ** 2])
        second = np.polymul([a2, b2 * pole2.imag - a2 * pole2.real], [1, -2 * pole1.real, abs(pole1) ** 2])
        return np.asarray(first + second)

    def moments(weights: NDArray[np.float64]) -> tuple[float, float]:
        """Return sum and second moment of the two-sided, symmetric impulse response."""
        n, d = np.arange(len(weights)), np.arange(5)
        sn, dn, en = weights.sum(), n @ weights, n**2 @ weights
        sd, dd, ed = recursion.sum(), d @ recursion, d**2 @ recursion
        second = (en * sd**2 - ed * sn * sd - 2 * dn * dd * sd + 2 * dd**2 * sn) / sd**3
        return float(2 * sn / sd - weights[0]), float(2 * second)

    smooth = causal(1.3530, 1.8151, -0.3531, 0.0902)
    if second_derivative:
        curved = causal(-1.3563, 5.2318, 0.3446, -2.2355)
        curved -= smooth * moments(curved)[0] / moments(smooth)[0]
        forward = curved * 2 / moments(curved)[1]
    else:
        forward = smooth / moments(smooth)[0]
    forward = np.append(forward, 0.0)
    return forward, forward - recursion * forward[0], recursion
