"""The profile of a vertebral body in its midline: its height from front to back, from volumes and not from edges.

A voxel is a box, so that a surface is only known to a voxel where a line meets it, but far better where many columns
are summed. Heights and ends are therefore fitted to volumes (see `trabecula.measure.moments`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trabecula.measure.moments import NODES, Powers, fitted_density

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.measure.vertebral_frame import BodyFrame

    Floats = NDArray[np.float64]

_WALL_SLAB = 0.36  # half the width of the slab over that of the body in which front and back are found
_PLATE_SLAB = 0.6  # and heights, which change across it: read at its middle
_BETWEEN_RIMS = 0.84  # share of the depth in which heights are fitted: rims are round, walls hollow
_BETWEEN_PLATES = 0.86  # share of the height in which the walls are fitted
_ROUNDS = 4
_PLATE: Powers = ((0, 0), (1, 0), (2, 0), (0, 2), (1, 2), (2, 2))  # of the depth and the width
_WALL: Powers = ((0, 0), (2, 0))  # of the height and the width
_COARSE_MM = 1.2  # voxels from here on cannot tell how the dish of an endplate changes across it


@dataclass(frozen=True, eq=False, kw_only=True)
class Profile:
    """Front and back rim in mm backwards of the middle, and polynomials (as `np.polyval` takes them) between them.

    `height` and `centre` are in mm over -1 at the front rim to 1 at the back rim.
    """

    front: float
    behind: float
    height: Floats
    centre: Floats

    @property
    def depth(self) -> float:
        """Distance of the rims in mm."""
        return self.behind - self.front


def midline_profile(body: BodyFrame) -> Profile:
    """Return the profile of a body in its midline.

    Raises `ValueError` for a body that has none.
    """
    left, back, up = body.points.T
    half = float(np.percentile(np.abs(left), 98))
    across = left / half
    front, behind = (float(mm) for mm in np.percentile(back[np.abs(across) < _WALL_SLAB], (1, 99)))
    powers = _PLATE if body.voxel_mm < _COARSE_MM else _PLATE[:4]
    for _ in range(_ROUNDS):
        profile = _columns(across, back, up, (front, behind), body.point_mm3 / half, powers)
        front, behind = _rims(across, back, up, profile, body.point_mm3 / half)
        if not behind - front > 0 or not np.polyval(profile.height, NODES).min() > 0:
            raise ValueError(f"{body.level} has no profile in its midline: is the mask a vertebral body?")
    return _columns(across, back, up, (front, behind), body.point_mm3 / half, powers)


def _columns(
    across: Floats, back: Floats, up: Floats, ends: tuple[float, float], area: float, powers: Powers
) -> Profile:
    """Return the parabolas nearest to the height of the columns and to the middle of their height."""
    half = (ends[1] - ends[0]) / 2
    at = np.stack([(back - ends[0]) / half - 1, across])
    reach = (_BETWEEN_RIMS, _PLATE_SLAB)
    height, first = (fitted_density(at, mass, reach, powers)[:3] for mass in (area / half + 0 * up, area / half * up))
    nodes = NODES * _BETWEEN_RIMS
    middle = np.polyval(first[::-1], nodes) / np.maximum(np.polyval(height[::-1], nodes), 1e-3)
    return Profile(front=ends[0], behind=ends[1], height=height[::-1], centre=np.polyfit(nodes, middle, 2))


def _rims(across: Floats, back: Floats, up: Floats, profile: Profile, area: float) -> tuple[float, float]:
    """Return front and back at the endplates: walls are fitted as hollow parabolas between them."""
    place = 2 * (back - profile.front) / profile.depth - 1
    usual = float(np.polyval(profile.height, 0.0))
    tall = np.maximum(np.polyval(profile.height, place), 0.2 * usual)
    level = 2 * (up - np.polyval(profile.centre, np.clip(place, -1, 1))) / tall
    at, mass = np.stack([level, across]), 2 * area / tall
    chord, first = (
        float(fitted_density(at, each, (_BETWEEN_PLATES, _WALL_SLAB), _WALL).sum()) for each in (mass, back * mass)
    )
    return first / chord - chord / 2, first / chord + chord / 2


_PLATE = ((0, 0), (1, 0), (2, 0), (0, 2), (1, 2), (2, 2))
_WALL = ((0, 0), (2, 0))
