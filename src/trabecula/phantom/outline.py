"""Outlines: closed curves through landmarks in mm, how deep a point lies inside, and how thick the solid is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

_STEP_MM = 0.5
_COARSE_MM = 1.25
_OUTSIDE_MM = 3.0


def closed_curve(landmarks: ArrayLike) -> Floats:
    """Return points `[n, (x, y)]` every half millimetre along the smooth closed curve through landmarks `[m, 2]`."""
    points = np.asarray(landmarks, dtype=float)
    points = np.concatenate([points, points[:1]])
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    count = int(along[-1] / _STEP_MM)
    return np.asarray(CubicSpline(along, points, bc_type="periodic")(np.linspace(0, along[-1], count, endpoint=False)))


def depth_inside(curve: Floats, x: Floats, y: Floats) -> Floats:
    """Return the signed distance to a closed curve in mm, positive inside, `[y, x]`; -3 from 3 mm outside on.

    The distance is exact on a grid of 1.25 mm and linear in between. `x` and `y` rise.
    """
    turn = np.roll(curve, -1, axis=0) - np.roll(curve, 1, axis=0)
    clockwise = np.sign(np.sum(curve[:, 0] * turn[:, 1] - curve[:, 1] * turn[:, 0]))
    inward = np.stack([-turn[:, 1], turn[:, 0]], axis=1) * clockwise
    inward /= np.hypot(inward[:, 0], inward[:, 1])[:, None]
    coarse_x, coarse_y = _coarse(x), _coarse(y)
    coarse = np.full((len(coarse_y), len(coarse_x)), -_OUTSIDE_MM)
    near_x = (coarse_x > curve[:, 0].min() - _OUTSIDE_MM) & (coarse_x < curve[:, 0].max() + _OUTSIDE_MM)
    near_y = (coarse_y > curve[:, 1].min() - _OUTSIDE_MM) & (coarse_y < curve[:, 1].max() + _OUTSIDE_MM)
    where = np.ix_(near_y, near_x)
    points = np.stack(np.meshgrid(coarse_x[near_x], coarse_y[near_y]), axis=-1)
    distance, nearest = cKDTree(curve).query(points)
    side = np.sum((points - curve[nearest]) * inward[nearest], axis=-1)
    coarse[where] = np.maximum(np.where(side > 0, distance, -distance), -_OUTSIDE_MM)
    return linear(coarse_y, y) @ coarse @ linear(coarse_x, x).T


def linear(known: Floats, wanted: Floats) -> Floats:
    """Return the matrix `[wanted, known]` that interpolates linearly between known places, evenly spaced."""
    place = np.clip((wanted - known[0]) / (known[1] - known[0]), 0, len(known) - 1.000001)
    below = place.astype(int)
    matrix = np.zeros((len(wanted), len(known)))
    rows = np.arange(len(wanted))
    matrix[rows, below] = 1 - (place - below)
    matrix[rows, below + 1] = place - below
    return matrix


def thickness(depth: Floats, half: Floats) -> Floats:
    """Return how thick a rounded solid is along the beam: a circle's chord up to the half thickness, then flat.

    `depth` inside the outline and `half` thickness in mm; 0 outside.
    """
    inside = np.clip(depth, 0, half)
    return np.asarray(2 * np.sqrt(inside * (2 * half - inside)))


def _coarse(fine: Floats) -> Floats:
    count = max(2, int(np.ceil((fine[-1] - fine[0]) / _COARSE_MM)) + 1)
    return np.linspace(fine[0], fine[-1], count)
