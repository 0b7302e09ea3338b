"""Pictures that stand in for chest films: clear lungs, and lungs with a consolidation. Drawn, of nobody.

Not anatomy but its look: two dark fields beside a bright middle, ribs across them, domes below. They keep the system
runnable where no chest films are given; what it reaches with them says nothing about what it reaches with real ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from trabecula.image import Image

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

CLASSES = ("clear", "consolidated")
_SIDE = 160  # pixels of a film
_SEED = 2024


def chest(number: int, *, consolidated: bool) -> Image:
    """Return one film `[1, j, i]` of 12 bits, the same at every call; bone is bright, air dark."""
    rng = np.random.default_rng([_SEED, number, int(consolidated)])
    down, across = np.mgrid[-1 : 1 : _SIDE * 1j, -1 : 1 : _SIDE * 1j]
    tilt, shift = rng.normal(0, 0.03), rng.normal(0, 0.04)
    x, y = across + tilt * down - shift, down - tilt * across + rng.normal(0, 0.04)
    lungs = [_lung(x, y, side, rng) for side in (-1, 1)]
    air = np.clip(lungs[0] + lungs[1], 0, 1)
    trunk = _soft(0.98 - np.abs(x) - 0.12 * (y < -0.75) * (-0.75 - y), 0.03)
    density = 0.25 + 0.75 * trunk - rng.uniform(0.55, 0.65) * air + _middle(x, y, rng)
    density += _ribs(x, y, rng) * trunk * (0.5 + 0.5 * air)
    density += 0.05 * _cloud(rng, rng.uniform(1.5, 3)) * air  # vessels
    if consolidated:
        density += rng.uniform(0.35, 0.6) * _consolidation(lungs[rng.integers(2)], x, y, rng)
    density = ndimage.gaussian_filter(density, rng.uniform(0.4, 0.9)) + rng.normal(0, 0.015, density.shape)
    low, high = density.min(), density.max()
    grey = ((density - low) / (high - low)) ** rng.uniform(0.8, 1.25)
    return Image(voxels=np.rint(4095 * grey).astype(np.uint16)[None], unit="stored", space="detector")


def noise(number: int) -> Image:
    """Return a picture `[1, j, i]` without any object: grain of a coarseness of its own."""
    rng = np.random.default_rng([_SEED, number, len(CLASSES)])
    grain = _cloud(rng, rng.uniform(0.0, 1.0))
    return Image(
        voxels=np.rint(600 * grain.clip(-3, 3) + 2048).astype(np.uint16)[None], unit="stored", space="detector"
    )


def _lung(x: Floats, y: Floats, side: int, rng: Generator) -> Floats:
    """Return how much of the way is lung, 0 to 1: an ellipse above the dome of the diaphragm."""
    middle, wide, high = side * rng.uniform(0.42, 0.48), rng.uniform(0.30, 0.37), rng.uniform(0.68, 0.8)
    ellipse = 1 - np.hypot((x - middle) / wide, (y + 0.08) / high)
    dome = rng.uniform(0.42, 0.55) + 0.5 * (x - middle) ** 2 / wide
    return _soft(ellipse, 0.05) * _soft(dome - y, 0.02)


def _middle(x: Floats, y: Floats, rng: Generator) -> Floats:
    """Return spine, mediastinum and heart."""
    spine = 0.22 * np.exp(-((x / 0.08) ** 4)) * (1 + 0.15 * np.sign(np.sin(y * rng.uniform(26, 32))))
    size, low = rng.uniform(0.24, 0.34), rng.uniform(0.22, 0.32)
    heart = 0.35 * _soft(1 - np.hypot((x - 0.14) / size, (y - low) / 0.3), 0.08)
    return spine + heart + 0.2 * np.exp(-((x / 0.2) ** 4)) * _soft(low - y, 0.1)


def _ribs(x: Floats, y: Floats, rng: Generator) -> Floats:
    """Return ribs behind, which fall outwards, and in front, which fall inwards, and the clavicles."""
    step, phase, thick = rng.uniform(0.16, 0.2), rng.uniform(0, 0.2), rng.uniform(0.02, 0.028)
    out = np.abs(x)
    behind = _bands(y - 0.55 * (out - 0.3) ** 2 - 0.25 * out + phase, step, thick)
    front = _bands(y + 0.5 * out + phase / 2, 1.15 * step, 1.3 * thick)
    clavicle = np.exp(-(((y + 0.78 + 0.18 * (out - 0.2)) / 0.035) ** 2)) * (out > 0.08)
    inside = _soft(0.85 - out, 0.03) * _soft(0.75 - y, 0.05)
    return inside * (0.16 * behind * (out > 0.1) + 0.09 * front * (out > 0.3)) + 0.18 * clavicle * inside


def _bands(place: Floats, step: float, thick: float) -> Floats:
    """Return bands at every `step`, brighter at both edges as the walls of a tube are."""
    from_middle = np.abs((place + step / 2) % step - step / 2)
    return np.asarray(np.exp(-((from_middle / thick) ** 4)) * (0.6 + 0.4 * np.clip(from_middle / thick, 0, 1)))


def _consolidation(lung: Floats, x: Floats, y: Floats, rng: Generator) -> Floats:
    """Return a patch of one lung in which fluid has taken the place of air: cloudy, without a sharp edge."""
    inside = np.argwhere(lung > 0.8)
    row, column = inside[rng.integers(len(inside))]
    away = np.hypot(x - x[row, column], y - y[row, column]) / rng.uniform(0.25, 0.5)
    return np.asarray(lung * np.exp(-(away**2)) * np.clip(0.8 + 0.3 * _cloud(rng, 5), 0, None))


def _cloud(rng: Generator, width: float) -> Floats:
    """Return smooth noise with mean 0 and SD 1, `width` pixels wide."""
    cloud: Floats = ndimage.gaussian_filter(rng.normal(size=(_SIDE, _SIDE)), width, mode="wrap")
    return np.asarray((cloud - cloud.mean()) / cloud.std())


def _soft(inside: Floats, edge: float) -> Floats:
    """Return 1 where `inside` is positive and 0 where it is negative, with a soft edge."""
    return np.asarray(1 / (1 + np.exp(-np.clip(inside / edge, -30, 30))))
