"""DXA: a pair of radiographs at two energies, and the areal BMD they are solved for.

As densitometers do, a pixel is taken for so much bone in so much soft tissue, and the two logarithms are solved for
both. They are calibrated on bone: on mineral with the collagen and water that belong to it, without which it would
read some 1 % too much. Soft tissue is muscle and adipose in the mixture found beside the bone, so that fat over the
bone that differs from fat beside it, and marrow, which no region beside the bone shows, bias the result. Nothing
corrects it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trabecula.phantom.material import MINERAL_SHARE, mass_attenuation
from trabecula.phantom.projection import XRay, expose, log_attenuation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.random import Generator
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

_STEPS, _CLOSE_G_CM2 = 12, 1e-7
_LOW = XRay(kvp=100, filters_mm=(("Al", 3.0),), pixel_mm=1.0, photons=4e6)
_HIGH = XRay(kvp=140, filters_mm=(("Al", 3.0), ("Cu", 2.0)), pixel_mm=1.0, photons=4e6)
_FAT_SHARES = np.linspace(-0.2, 1.2, 15)


@dataclass(frozen=True, kw_only=True)
class Densitometer:
    """The two beams of a densitometer that switches its tube: 100 and 140 kVp, the second behind copper; ours.

    Raises `ValueError` when the second beam is not the harder one.
    """

    low: XRay = _LOW
    high: XRay = _HIGH

    def __post_init__(self) -> None:
        soft, hard = self.low.spectrum().mean_kev, self.high.spectrum().mean_kev
        if hard <= soft + 5:
            raise ValueError(f"the second beam must be harder: mean energies are {soft:.0f} and {hard:.0f} keV")


def dual_energy(columns_g_cm2: Mapping[str, Floats], device: Densitometer, rng: Generator) -> tuple[Floats, Floats]:
    """Return the log attenuation `[j, i]` in the low and the high beam."""
    low, high = (log_attenuation(expose(columns_g_cm2, beam, rng)) for beam in (device.low, device.high))
    return low, high


def areal_bmd(low: Floats, high: Floats, device: Densitometer, *, beside: Mask) -> Floats:
    """Return areal BMD `[j, i]` in g/cm² of hydroxyapatite.

    `beside` marks soft tissue without bone: the mixture of muscle and adipose is chosen so that its mean BMD is 0, and
    what is left there is taken off everywhere.
    Raises `ValueError` when nothing lies beside the bone.
    """
    if not beside.any():
        raise ValueError("no pixel lies beside the bone: mark soft tissue without bone as the reference")
    low_there, high_there = (np.array([values[beside].mean()]) for values in (low, high))
    found = np.array([_solved(low_there, high_there, device, fat=float(fat))[0].item() for fat in _FAT_SHARES])
    order = np.argsort(found)
    fat = float(np.interp(0.0, found[order], _FAT_SHARES[order]))
    mineral, _ = _solved(low, high, device, fat=fat)
    return np.asarray(mineral - mineral[beside].mean())


def _solved(low: Floats, high: Floats, device: Densitometer, *, fat: float) -> tuple[Floats, Floats]:
    """Return the columns of mineral and soft tissue in g/cm² by Newton's method, exact for both spectra."""
    soft = (1 - fat) * mass_attenuation("muscle") + fat * mass_attenuation("adipose")
    per_g = np.stack([mass_attenuation("bone_matrix") / MINERAL_SHARE, soft])
    logs = np.stack([low.ravel(), high.ravel()])
    columns = np.stack([np.zeros(low.size), np.maximum(logs[1], 0) / 0.18])
    beams = [beam.spectrum().weights(beam.detector) for beam in (device.low, device.high)]
    for _ in range(_STEPS):
        (f1, a, b), (f2, c, d) = (_ray(columns, weights, per_g) for weights in beams)
        off_low, off_high = logs[0] - f1, logs[1] - f2
        step = np.stack([d * off_low - b * off_high, a * off_high - c * off_low]) / (a * d - b * c)
        columns += step
        if np.abs(step).max() < _CLOSE_G_CM2:
            break
    mineral, tissue = columns.reshape(2, *low.shape)
    return mineral, tissue


def _ray(columns: Floats, weights: Floats, per_g: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the log attenuation of two columns `[2, n]` and its derivatives by both."""
    counted = np.flatnonzero(weights > 1e-5 * weights.max())
    weights, per_g = weights[counted] / weights[counted].sum(), per_g[:, counted]
    left = np.exp(-per_g.T @ columns)
    total, by_mineral, by_tissue = np.stack([weights, weights * per_g[0], weights * per_g[1]]) @ left
    return -np.log(total), by_mineral / total, by_tissue / total
