"""Streaks of metal in CT, **approximate**: beam hardening by the metal alone, in parallel rays.

What a polychromatic ray loses in metal is less than its linear share. This error is projected, filtered and projected
back, so it darkens the metal and the lines between two pieces of it. Photon starvation, scatter, edge effects, metal
artefact reduction and what bone adds to a ray are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trabecula.phantom.material import mass_attenuation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.phantom.spectrum import Detector, Spectrum

    Voxels = NDArray[np.float32]
    Floats = NDArray[np.float64]

METALS = ("titanium", "copper")
_VIEWS = 120


def streaks(densities: Voxels, metal: str, spectrum: Spectrum, *, detector: Detector, pixel_mm: float) -> Voxels:
    """Return what a metal adds to HU, `[k, j, i]`, from its map of density in g/cm³; 0 in slices without it."""
    added = np.zeros_like(densities)
    weights, per_g = spectrum.weights(detector), mass_attenuation(metal)
    water = float(weights @ mass_attenuation("water"))
    thickest = float(densities.sum(axis=(1, 2)).max()) * pixel_mm / 10
    columns = np.linspace(0, max(thickest, 1e-6), 400)
    line = np.exp(-np.outer(columns, per_g)) @ weights
    error = -np.log(np.maximum(line, 1e-12)) - columns * float(weights @ per_g)
    for k in np.flatnonzero(densities.max(axis=(1, 2)) > 0.05):
        added[k] = 1000 / water * _back_projected(densities[k], columns, error, pixel_mm)
    return added


def _back_projected(density: Voxels, columns: Floats, error: Floats, pixel_mm: float) -> Floats:
    """Return the reconstruction `[j, i]` in 1/cm of the errors of all rays."""
    rows, width = density.shape
    y, x = np.arange(rows)[:, None] - (rows - 1) / 2, np.arange(width) - (width - 1) / 2
    rays = 2 * int(np.ceil(np.hypot(rows, width) / 2)) + 3
    middle = (rays - 1) / 2
    ramp = np.abs(np.fft.fftfreq(2 * rays, d=pixel_mm / 10))
    metal = density > 0
    image = np.zeros(density.shape)
    for angle in np.arange(_VIEWS) * np.pi / _VIEWS:
        ray = y * np.sin(angle) + x * np.cos(angle) + middle
        below = np.floor(ray[metal]).astype(int)
        upper = ray[metal] - below
        mass = np.bincount(below, density[metal] * (1 - upper), rays) + np.bincount(
            below + 1, density[metal] * upper, rays
        )
        lost = np.interp(mass * pixel_mm / 10, columns, error)
        filtered = np.fft.ifft(np.fft.fft(lost, 2 * rays) * ramp).real[:rays]
        image += np.interp(ray, np.arange(rays), filtered)
    return image * np.pi / _VIEWS
