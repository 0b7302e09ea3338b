"""Outlines: closed curves through landmarks in mm, how deep a point lies inside, and how thick the solid is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.ndimage import distance_transform_edt

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

_STEP_MM = 0.5
_COARSE_MM = 1.25
_OUTSIDE_MM = 3.0


def closed_curve(landmarks: ArrayLike, *, step_mm: float = _STEP_MM) -> Floats:
    """Return points `[n, (x, y)]` at even steps along the smooth closed curve through landmarks `[m, 2]`."""
    points = np.asarray(landmarks, dtype=float)
    points = np.concatenate([points, points[:1]])
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    count = int(along[-1] / step_mm)
    return np.asarray(CubicSpline(along, points, bc_type="periodic")(np.linspace(0, along[-1], count, endpoint=False)))


def depth_inside(curve: Floats, x: Floats, y: Floats, *, coarse_mm: float = _COARSE_MM) -> Floats:
    """Return the signed distance to a closed curve in mm, positive inside, `[y, x]`; -3 from 3 mm outside on.

    `curve` is one of `closed_curve`, of steps no longer than `coarse_mm`; `x` and `y` rise evenly. The distance is that
    to points of the curve, found on a grid of `coarse_mm`, and linear in between.
    """
    coarse_x, coarse_y = (_coarse(fine, points, coarse_mm) for fine, points in ((x, curve[:, 0]), (y, curve[:, 1])))
    nearest = _nearest(curve, coarse_x, coarse_y, coarse_mm)
    inward = _inward(curve)
    apart_x, apart_y = coarse_x[None, :] - curve[nearest, 0], coarse_y[:, None] - curve[nearest, 1]
    side = apart_x * inward[nearest, 0] + apart_y * inward[nearest, 1]
    depth = np.maximum(np.copysign(np.hypot(apart_x, apart_y), side), -_OUTSIDE_MM)
    return interpolated(depth, (y - coarse_y[0]) / coarse_mm, (x - coarse_x[0]) / coarse_mm)


def _nearest(curve: Floats, x: Floats, y: Floats, coarse_mm: float) -> NDArray[np.int64]:
    """Return the index of the nearest point of the curve, `[y, x]`: of those beside the nearest cell it crosses."""
    i = np.rint((curve[:, 0] - x[0]) / coarse_mm).astype(int)
    j = np.rint((curve[:, 1] - y[0]) / coarse_mm).astype(int)
    seen = (i >= 0) & (i < len(x)) & (j >= 0) & (j < len(y))
    crossed = np.full((len(y), len(x)), -1)
    crossed[j[seen], i[seen]] = np.flatnonzero(seen)
    cell_j, cell_i = distance_transform_edt(crossed < 0, return_distances=False, return_indices=True)
    beside = (crossed[cell_j, cell_i][..., None] + np.arange(-6, 7)) % len(curve)
    apart = (x[None, :, None] - curve[beside, 0]) ** 2 + (y[:, None, None] - curve[beside, 1]) ** 2
    chosen = apart.argmin(axis=-1)[..., None]
    return np.asarray(np.take_along_axis(beside, chosen, axis=-1)[..., 0])


def _inward(curve: Floats) -> Floats:
    """Return the unit vectors `[n, (x, y)]` that point into the curve."""
    turn = np.roll(curve, -1, axis=0) - np.roll(curve, 1, axis=0)
    sense = np.sign(np.sum(curve[:, 0] * turn[:, 1] - curve[:, 1] * turn[:, 0]))
    inward = sense * np.stack([-turn[:, 1], turn[:, 0]], axis=1)
    return np.asarray(inward / np.hypot(inward[:, 0], inward[:, 1])[:, None])


def interpolated(values: Floats, j: Floats, i: Floats) -> Floats:
    """Return values `[j, i]` between those on a grid, linearly; places count in grid points, those outside are held."""
    return _between(_between(values, j).T, i).T


def _between(values: Floats, place: Floats) -> Floats:
    place = np.clip(place, 0, len(values) - 1.000001)
    below = place.astype(int)
    share = (place - below)[:, None]
    return np.asarray(values[below] * (1 - share) + values[below + 1] * share)


def thickness(depth: Floats, half: Floats) -> Floats:
    """Return how thick a rounded solid is along the beam: a circle's chord up to the half thickness, then flat.

    `depth` inside the outline and `half` thickness in mm; 0 outside.
    """
    inside = np.clip(depth, 0, half)
    return np.asarray(2 * np.sqrt(inside * (2 * half - inside)))


def _coarse(fine: Floats, curve: Floats, step: float) -> Floats:
    """Return the places of a coarse grid about the part of the curve that is in sight, and a little beyond."""
    low = max(fine[0] - 10, curve.min() - _OUTSIDE_MM - step)
    high = min(fine[-1] + 10, curve.max() + _OUTSIDE_MM + step)
    return np.asarray(low + step * np.arange(max(2, int(np.ceil((high - low) / step)) + 1)))
