"""Radiographs: from columns of material to what a detector shows.

A ray is the sum over energies of what is left behind its materials. Scatter is a wide blur of what a single
scattering leaves, primary times log attenuation, so that none comes out of air; its level is asked for as a share of
what arrives behind the patient. The detector blurs the signal and then adds the noise of quanta, which stays white.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter, uniform_filter

from trabecula.phantom.material import get_material, mass_attenuation
from trabecula.phantom.spectrum import Detector, Spectrum, tube_spectrum

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.random import Generator
    from numpy.typing import NDArray

    from trabecula.phantom.body import Body

    Floats = NDArray[np.float64]

_NEGLIGIBLE = 1e-5  # energies that hold less of the signal are left out
_NARROW = 8.0  # pixels: below, boxes are a poor Gaussian and a true one is cheap


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
    """Scatter over all that arrives behind the patient and the grid: sums over rays, weighted by log attenuation."""
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
        signal = primary + _scattered(primary, xray)
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


def wide_blur(values: Floats, sigma: float) -> Floats:
    """Return values `[j, i]` blurred by a Gaussian of `sigma` pixels; from 8 on by three boxes of its variance.

    What lies outside is like the border.
    """
    if sigma < _NARROW:
        return gaussian_filter(values, sigma, mode="nearest")
    narrow = 2 * int((math.sqrt(4 * sigma**2 + 1) - 1) / 2) + 1
    wider = round((12 * sigma**2 - 3 * (narrow**2 - 1)) / (4 * narrow + 4))
    for width in (3 - wider) * [narrow] + wider * [narrow + 2]:
        values = uniform_filter(values, width, mode="nearest")
    return np.asarray(values)


def _scattered(primary: Floats, xray: XRay) -> Floats:
    """Return the scatter `[j, i]` that reaches the detector behind the grid."""
    line = log_attenuation(primary)
    wide = wide_blur(primary * line, xray.scatter_mm / xray.pixel_mm)
    if not (reached := float((line * wide).sum())) > 0:
        return np.zeros_like(primary)
    return np.asarray(wide * (xray.scatter / (1 - xray.scatter) * float((line * primary).sum()) / reached))
