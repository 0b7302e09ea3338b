"""Local binary patterns: which neighbours on a circle are at least as bright as the pixel in its middle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import map_coordinates

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.measure.texture.patch import Patch

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

_ROUNDING = 1e-9
_SLACK = 1e-12  # of a value: interpolation must not tell equal ones apart


def binary_patterns(values: Floats, *, points: int = 8, radius: tuple[float, float] = (1.0, 1.0)) -> NDArray[np.int64]:
    """Return the uniform, rotation-invariant pattern of each pixel `[j, i]`; -1 where its circle leaves the picture.

    A pattern with at most two changes around the circle is the number of its bright neighbours, 0 to `points`; any
    other is `points + 1` (Ojala et al., IEEE TPAMI 2002;24:971: LBP riu2; recalled). `radius` is in rows and columns;
    values between pixels are bilinear, and as bright counts as bright.
    Raises `ValueError` for fewer than 4 points or a radius below a pixel.
    """
    _circle(points, radius)
    signs = np.stack(_signs(values, points, radius))
    changes = (signs != np.roll(signs, 1, axis=0)).sum(axis=0)
    codes = np.where(changes <= 2, signs.sum(axis=0), points + 1).astype(np.int64)
    return np.where(_whole(np.ones(values.shape, dtype=bool), points, radius), codes, -1)


def pattern_shares(patch: Patch, *, radius: float = 1.0, points: int = 8) -> Floats:
    """Return the share of each uniform pattern, `[points + 2]`, among pixels whose circle lies in the region.

    Raises `ValueError` where there is none, and as `binary_patterns`.
    """
    across = (radius / patch.pixel[0], radius / patch.pixel[1])
    codes = binary_patterns(patch.values, points=points, radius=across)
    counted = codes[_whole(patch.inside, points, across)]
    if not len(counted):
        raise ValueError(f"no circle of radius {radius:g} lies in the region: choose a smaller one")
    return np.bincount(counted, minlength=points + 2) / len(counted)


def _circle(points: int, radius: tuple[float, float]) -> list[tuple[float, float]]:
    if points < 4 or min(radius) < 1:
        across = " x ".join(f"{each:.2g}" for each in radius)
        raise ValueError(
            f"a circle has 4 or more points and a radius of a pixel or more; got {points} and {across} pixels"
        )
    angles = 2 * np.pi * np.arange(points) / points
    return [(round(-radius[0] * np.sin(a), 9), round(radius[1] * np.cos(a), 9)) for a in angles]


def _signs(values: Floats, points: int, radius: tuple[float, float]) -> list[Mask]:
    least = values - _SLACK * np.abs(values)
    return [_moved(values, step) >= least for step in _circle(points, radius)]


def _whole(inside: Mask, points: int, radius: tuple[float, float]) -> Mask:
    """Return the pixels that are inside with all of their circle, and what its values are interpolated from."""
    kept = inside.copy()
    for step in _circle(points, radius):
        kept &= _moved(inside.astype(np.float64), step) > 1 - _ROUNDING
    return kept


def _moved(values: Floats, step: tuple[float, float]) -> Floats:
    """Return at each pixel the value a step away, 0 beyond the edge."""
    at = np.indices(values.shape, dtype=np.float64) + np.array(step)[:, None, None]
    return np.asarray(map_coordinates(values, at, order=1, mode="constant", cval=0.0))
