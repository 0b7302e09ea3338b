"""Radiographs: from columns of material to what a detector shows.

A ray is the sum over energies of what is left behind its materials. Scatter is a wide blur of the primary beam, as a
share of what arrives; the detector blurs the signal and then adds the noise of quanta, which stays white.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

from trabecula.phantom.material import get_material, mass_attenuation
from trabecula.phantom.spectrum import Detector, Spectrum, tube_spectrum

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.random import Generator
    from numpy.typing import NDArray

    from trabecula.phantom.body import Body

    Floats = NDArray[np.float64]

_NEGLIGIBLE = 1e-5  # energies that hold less of the signal are left out
_WIDE_BLUR_ROWS = 96  # a scatter blur is done on about so many rows


@dataclass(frozen=True, kw_only=True)
class XRay:
    """How a radiograph was taken.

    Raises `ValueError` for what no radiograph has.
    """

    kvp: float = 75.0
    filters_mm: tuple[tuple[str, float], ...] = (("Al", 3.0),)
    detector: Detector = "energy"
    pixel_mm: float = 0.3
    photons: float = 2e4
    """Quanta a pixel in the open beam; infinite for no noise."""
    scatter: float = 0.0
    """Scatter over all that arrives, behind the grid, in the mean of the picture."""
    scatter_mm: float = 25.0
    """SD of the scatter kernel."""
    blur_mm: float = 0.0
    """SD of the detector's blur."""

    def __post_init__(self) -> None:
        limits = {
            "kvp": (self.kvp, 20, 150), "pixel_mm": (self.pixel_mm, 0.01, 10), "photons": (self.photons, 1, math.inf),
            "scatter": (self.scatter, 0, 0.95), "scatter_mm": (self.scatter_mm, 1, 500),
            "blur_mm": (self.blur_mm, 0, 10),
        }  # fmt: skip
        for name, (value, low, high) in limits.items():
            if not low <= value <= high:
                raise ValueError(f"a radiograph's {name} lies between {low} and {high}; got {value}")

    def spectrum(self) -> Spectrum:
        """Return the spectrum out of the tube."""
        return tube_spectrum(self.kvp, filters_mm=self.filters_mm)


def columns(body: Body, *, axis: int = 1) -> dict[str, Floats]:
    """Return columns in g/cm² by material along an axis of a body: 1 is AP, 2 is lateral for an axial body."""
    cm = body.spacing[axis] / 10
    return {name: values.sum(axis=axis, dtype=np.float64) * cm for name, values in body.densities.items()}


def transmission(columns_g_cm2: Mapping[str, Floats], spectrum: Spectrum, *, detector: Detector = "energy") -> Floats:
    """Return the share of the open beam's signal that is left behind columns `[j, i]` in g/cm².

    Raises `ValueError` for a column below zero or not finite, and `KeyError` for an unknown material.
    """
    for name, values in columns_g_cm2.items():
        get_material(name)
        if not (np.isfinite(values).all() and np.min(values) >= 0):
            raise ValueError(f"columns of {name} are finite and not negative, in g/cm2; the lowest is {np.min(values)}")
    weights = spectrum.weights(detector)
    counted = np.flatnonzero(weights > _NEGLIGIBLE * weights.max())
    per_g = {name: mass_attenuation(name) for name in columns_g_cm2}
    total = np.zeros(np.broadcast_shapes(*(np.shape(values) for values in columns_g_cm2.values())), dtype=np.float32)
    maps = {name: np.asarray(values, dtype=np.float32) for name, values in columns_g_cm2.items()}
    for energy in counted:
        line = sum(np.float32(per_g[name][energy]) * values for name, values in maps.items())
        total += np.float32(weights[energy]) * np.exp(-line)
    return np.asarray(total / weights[counted].sum(), dtype=np.float64)


def expose(columns_g_cm2: Mapping[str, Floats], xray: XRay, rng: Generator) -> Floats:
    """Return the signal `[j, i]` over that of the open beam: primary, scatter, blur and noise of quanta.

    Noise of a detector that adds up energy is larger by the spread of energies (Swank), taken in the open beam.
    """
    spectrum = xray.spectrum()
    primary = transmission(columns_g_cm2, spectrum, detector=xray.detector)
    signal = primary
    if xray.scatter:
        wide = _wide(primary, xray.scatter_mm / xray.pixel_mm)
        signal = primary + wide * (xray.scatter / (1 - xray.scatter) * primary.mean() / wide.mean())
    if xray.blur_mm:
        signal = gaussian_filter(signal, xray.blur_mm / xray.pixel_mm, mode="nearest")
    if math.isinf(xray.photons):
        return np.asarray(signal)
    spread = swank(spectrum) if xray.detector == "energy" else 1.0
    return np.asarray(signal + rng.standard_normal(signal.shape) * np.sqrt(signal / (xray.photons * spread)))


def swank(spectrum: Spectrum) -> float:
    """Return the Swank factor of a detector that adds up energy: (mean energy)² over mean squared energy."""
    first, second = (np.average(spectrum.energies_kev**power, weights=spectrum.fluence) for power in (1, 2))
    return float(first**2 / second)


def log_attenuation(signal: Floats) -> Floats:
    """Return minus the natural logarithm of a signal over the open beam's; noise below 1e-6 counts as that."""
    return np.asarray(-np.log(np.maximum(signal, 1e-6)))


def displayed(attenuation: Floats, *, middle: float, latitude: float) -> Floats:
    """Return greys 0 to 1, dense bright, by a sigmoid display curve: 0.5 at `middle`, a slope of 1 per `latitude`.

    Raises `ValueError` for a latitude that is not positive.
    """
    if latitude <= 0:
        raise ValueError(f"the latitude of a display curve is positive; got {latitude}")
    return np.asarray(1 / (1 + np.exp(-4 * (attenuation - middle) / latitude)))


def _wide(primary: Floats, sigma: float) -> Floats:
    """Blur widely on a coarse grid, which such a blur cannot tell from the fine one."""
    step = max(1, min(int(sigma / 4), primary.shape[0] // _WIDE_BLUR_ROWS))
    if step == 1:
        return gaussian_filter(primary, sigma, mode="nearest")
    rows, width = (size // step for size in primary.shape)
    blocks = primary[: rows * step, : width * step].reshape(rows, step, width, step).mean(axis=(1, 3))
    blurred = gaussian_filter(blocks, sigma / step, mode="nearest")
    factors = [full / part for full, part in zip(primary.shape, blurred.shape, strict=True)]
    return np.asarray(zoom(blurred, factors, order=1, mode="nearest", grid_mode=True))
