"""Fractal measures: the box dimension of a pattern, and the variogram of a surface and what Brownian surface has it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trabecula.measure.texture.patch import Patch

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

_FEWEST_SCALES = 3
_FEWEST_PAIRS = 30
_LAGS = 8


@dataclass(frozen=True, kw_only=True)
class Variogram:
    """How the mean squared difference of grey values grows with their distance: as `distance ** slope`."""

    slope: float
    lags: tuple[float, float]
    """The shortest and the longest distance that were fitted."""

    @property
    def dimension(self) -> float:
        """Dimension of the fractional Brownian surface with this slope: 3 - H, and the slope is 2 H."""
        return 3 - self.slope / 2


def box_dimension(pattern: Mask, *, sizes: Sequence[int] | None = None) -> float:
    """Return the box dimension of the marked pixels `[j, i]`: the slope of boxes needed over their size.

    Boxes have sides of 1, 2, 4, ... pixels up to a quarter of the shorter side, or `sizes`; of each size the fewest of
    four grids half a box apart count. Raises `ValueError` for an empty pattern and fewer than three sizes.
    """
    if not pattern.any():
        raise ValueError("nothing is marked: an empty pattern has no dimension")
    longest = min(pattern.shape) / 4
    chosen = sizes or [2**n for n in range(16) if 2**n <= longest]
    if len(chosen) < _FEWEST_SCALES:
        raise ValueError(f"a region of {pattern.shape} pixels has too few sizes of boxes: {_FEWEST_SCALES} are needed")
    counts = [min(_boxes(pattern, size, j, i) for j, i in product((0, size // 2), repeat=2)) for size in chosen]
    return float(-np.polyfit(np.log(chosen), np.log(counts), 1)[0])


def bright_pattern(patch: Patch, *, blur: float) -> Mask:
    """Return the pixels of a region that are brighter than their neighbourhood, a Gaussian of SD `blur`: trabeculae.

    The idea is White and Rudolph's (Oral Surg 1999;88:628, recalled), which thins the pattern as well.
    """
    sigma = [blur / size for size in patch.pixel]
    share = gaussian_filter(patch.inside.astype(np.float64), sigma, mode="constant")
    about = gaussian_filter(np.where(patch.inside, patch.values, 0.0), sigma, mode="constant")
    return np.asarray(patch.inside & (patch.values * share > about))


def variogram(patch: Patch, *, lags: tuple[float, float]) -> Variogram:
    """Return the slope of the variogram of a region on logarithmic axes, over distances from `lags[0]` to `lags[1]`.

    Differences are along rows and columns, between pixels that both lie in the region. Where grey values are a
    fractional Brownian surface (Mandelbrot and Van Ness 1968) the slope is 2 H.
    Raises `ValueError` for fewer than three distances with pairs enough, and equal neighbours everywhere.
    """
    found: list[tuple[float, float]] = []
    for axis, pixel in enumerate(patch.pixel):
        low, high = max(lags[0] / pixel, 1.0), lags[1] / pixel
        steps = np.unique(np.round(np.geomspace(low, high, _LAGS)).astype(int)) if high >= low else ()
        means_of = {float(step) * pixel: _increment(patch, axis, int(step)) for step in steps}
        found += [(distance, mean) for distance, mean in means_of.items() if mean is not None]
    distances, means = np.array(found).T if found else (np.zeros(0), np.zeros(0))
    if len(np.unique(distances)) < _FEWEST_SCALES or not (means > 0).all():
        raise ValueError(
            f"between {lags[0]:g} and {lags[1]:g} the region has differences at {len(np.unique(distances))} distances; "
            f"{_FEWEST_SCALES} are needed, none of them 0: take longer distances or a larger region"
        )
    slope = float(np.polyfit(np.log(distances), np.log(means), 1)[0])
    return Variogram(slope=slope, lags=(float(distances.min()), float(distances.max())))


def _increment(patch: Patch, axis: int, step: int) -> float | None:
    """Return the mean squared difference of pixels so many apart; `None` where too few pairs lie in the region."""
    values, inside = np.moveaxis(patch.values, axis, 0), np.moveaxis(patch.inside, axis, 0)
    both = inside[step:] & inside[: len(inside) - step] if step < len(inside) else np.zeros(0, dtype=bool)
    if np.count_nonzero(both) < _FEWEST_PAIRS:
        return None
    return float(np.square(values[step:][both] - values[:-step][both]).mean())


def _boxes(pattern: Mask, size: int, above: int, left: int) -> int:
    """Count the boxes with something in them, on a grid that begins so many pixels before the picture."""
    below, right = (-(side + first) % size for side, first in zip(pattern.shape, (above, left), strict=True))
    padded = np.pad(pattern, ((above, below), (left, right)))
    rows, columns = padded.shape
    return int(padded.reshape(rows // size, size, columns // size, size).any(axis=(1, 3)).sum())
