"""Gabor filters: how much of a picture's variation is waves of one length and direction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import fft2, ifft2, next_fast_len

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.measure.texture.patch import Patch

    Floats = NDArray[np.float64]

_SIGMA = 0.56  # of the wavelength: half amplitude one octave wide


def gabor_energy(patch: Patch, *, wavelength: float, orientation_deg: float) -> float:
    """Return the energy of one Gabor filter over the variance of the region: 1 for a pure wave that it is made for.

    `orientation_deg` is the way across the stripes, from the picture's right counter-clockwise: 0 for upright stripes,
    90 for level ones. Counted are pixels deeper in the region than a wavelength. A constant has no response (the
    filter's mean is taken off), nor has what lies outside.
    Raises `ValueError` for a wavelength below two pixels, and a region without pixels so deep.
    """
    if not wavelength >= 2 * max(patch.pixel):
        raise ValueError(
            f"a wavelength of {wavelength:g} is less than two pixels of {max(patch.pixel):g}: a wave is more"
        )
    counted = patch.deeper(wavelength)
    if not counted.any():
        raise ValueError(
            f"no pixel lies deeper in the region than the wavelength of {wavelength:g}: take a shorter one"
        )
    rest = np.where(patch.inside, patch.values - patch.region.mean(), 0.0)
    reach = [int(4 * _SIGMA * wavelength / size) + 1 for size in patch.pixel]
    shape = [next_fast_len(side + more) for side, more in zip(rest.shape, reach, strict=True)]
    response = ifft2(fft2(rest, shape) * _transfer(shape, patch.pixel, wavelength, orientation_deg))
    power = np.square(np.abs(response[: rest.shape[0], : rest.shape[1]][counted]))
    return float(2 * power.mean() / patch.region.var())


def _transfer(shape: list[int], pixel: tuple[float, float], wavelength: float, orientation_deg: float) -> Floats:
    """Return the filter over frequencies `[j, i]`: a Gaussian about its wave, less what would answer to a constant."""
    down = np.fft.fftfreq(shape[0], pixel[0])[:, None]
    right = np.fft.fftfreq(shape[1], pixel[1])[None, :]
    angle = np.deg2rad(orientation_deg)
    own_right, own_down = np.cos(angle) / wavelength, -np.sin(angle) / wavelength
    width = 2 * (np.pi * _SIGMA * wavelength) ** 2
    wave = np.exp(-width * ((right - own_right) ** 2 + (down - own_down) ** 2))
    constant = np.exp(-width * (right**2 + down**2 + wavelength**-2.0))
    return np.asarray(wave - constant)
