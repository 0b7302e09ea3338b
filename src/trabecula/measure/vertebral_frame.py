"""Where a vertebral body lies: its axes from its own endplates, whatever the grid and the tilt of the patient.

Nothing here looks at the axes of an image: voxels are points in LPS mm, each worth its volume, so that a permuted or
flipped volume with a matching affine gives the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from trabecula.image import Image

    Floats = NDArray[np.float64]

HEAD, BACK = np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 0.0])
_FEWEST = 60  # voxels of a body below which its endplates cannot be found
_TURNS = 6
_PART_MM = 0.75
_ENDPLATE_CORE = 0.7  # share of depth and width in which endplates are fitted: rims are round


@dataclass(frozen=True, eq=False, kw_only=True)
class BodyFrame:
    """A vertebral body's middle in LPS mm, and unit vectors to the head, backwards and to the left; extents in mm."""

    level: str
    middle: Floats
    up: Floats
    back: Floats
    left: Floats
    points: Floats
    """Parts of voxels `[n, (left, back, up)]` in mm about the middle: a voxel is a box, not a point."""
    point_mm3: float
    voxel_mm: float
    """Length of a voxel along the axis of the body, as far as its tilt tells."""

    def inside(self, positions: Floats) -> Floats:
        """Return LPS positions `[..., 3]` in mm as (left, back, up) about the middle."""
        return np.asarray((positions - self.middle) @ np.stack([self.left, self.back, self.up]).T)


def body_frames(mask: Image, levels: Mapping[int, str] | None = None) -> dict[str, BodyFrame]:
    """Return the frames of the vertebral bodies of a label map, from the head down; `levels` replaces its names.

    Raises `ValueError` for a mask without spacing or names, an empty one, and a body of fewer than 60 voxels.
    """
    names = dict(levels or mask.names)
    if mask.spacing is None:
        raise ValueError("this mask has no spacing, so nothing in it has a length in mm")
    if not names:
        raise ValueError("the values of this mask have no names: say which value is which level")
    clouds = {}
    for value, level in names.items():
        index = np.argwhere(mask.voxels == value)
        if not len(index):
            continue
        if len(index) < _FEWEST:
            raise ValueError(f"{level} has {len(index)} voxels: too few to find its endplates")
        clouds[level] = index @ mask.affine[:3, :3].T + mask.affine[:3, 3]
    if not clouds:
        raise ValueError(f"the mask is empty: none of {', '.join(names.values())} is in it")
    middles = {level: cloud.mean(axis=0) for level, cloud in clouds.items()}
    order = sorted(clouds, key=lambda level: -middles[level][2])
    return {level: _frame(level, clouds[level], _axis(order, middles, level), mask) for level in order}


def _axis(order: list[str], middles: Mapping[str, Floats], level: str) -> Floats:
    """Return the direction to the head along the line of the bodies beside this one."""
    at = order.index(level)
    above, below = middles[order[max(at - 1, 0)]], middles[order[min(at + 1, len(order) - 1)]]
    along = above - below
    return along / np.linalg.norm(along) if np.linalg.norm(along) > 5 else HEAD


def _frame(level: str, cloud: Floats, up: Floats, mask: Image) -> BodyFrame:
    spacing = np.asarray(mask.spacing)
    middle = cloud.mean(axis=0)
    back = left = BACK
    for _ in range(_TURNS):
        back, left = _across(cloud - middle, up)
        local = (cloud - middle) @ np.stack([left, back, up]).T
        up = _normal(local, float(spacing.max())) @ np.stack([left, back, up])
        up /= np.linalg.norm(up)
    back, left = _across(cloud - middle, up)
    along = np.abs(np.asarray(mask.direction) @ up)
    return BodyFrame(
        level=level, middle=middle, up=up, back=back, left=left,
        points=(_divided(cloud, mask) - middle) @ np.stack([left, back, up]).T,
        point_mm3=float(np.prod(spacing / _parts(spacing))), voxel_mm=float(along @ spacing / along.sum()),
    )  # fmt: skip


def _parts(spacing: Floats) -> Floats:
    return np.ceil(spacing / _PART_MM)


def _divided(cloud: Floats, mask: Image) -> Floats:
    """Return voxels as boxes of parts that are small against a body."""
    spacing = np.asarray(mask.spacing)
    steps = [((np.arange(n) + 0.5) / n - 0.5) * mm for n, mm in zip(_parts(spacing), spacing, strict=True)]
    offsets = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 3) @ np.asarray(mask.direction)
    return np.asarray((cloud[:, None, :] + offsets).reshape(-1, 3))


def _across(points: Floats, up: Floats) -> tuple[Floats, Floats]:
    """Return the directions backwards and to the left: the short and the long axis of the section."""
    back = BACK - (BACK @ up) * up
    back /= np.linalg.norm(back)
    left = np.cross(back, up)
    flat = points @ np.stack([left, back]).T
    covariance = np.cov(flat.T)
    turn = 0.5 * np.arctan2(2 * covariance[0, 1], covariance[0, 0] - covariance[1, 1])
    ratio = covariance[0, 0] / covariance[1, 1]
    if ratio > 1.15 and abs(turn) < np.deg2rad(30):
        back, left = np.cos(turn) * back - np.sin(turn) * left, np.cos(turn) * left + np.sin(turn) * back
    return back, left


def _normal(local: Floats, voxel_mm: float) -> Floats:
    """Return the mean normal of the endplates in local axes: planes through the highest and the lowest of each cell."""
    half = np.percentile(np.abs(local[:, :2]), 97, axis=0) * _ENDPLATE_CORE
    core = local[(np.abs(local[:, :2]) < half).all(axis=1)]
    cell = max(1.2 * voxel_mm, 2.0)
    i, j = (np.floor(core[:, axis] / cell).astype(int) for axis in (0, 1))
    number = (i - i.min()) * (int(np.ptp(j)) + 1) + (j - j.min())
    cells, member = np.unique(number, return_inverse=True)
    slopes = []
    for side in (1.0, -1.0):
        ends = np.full(len(cells), -np.inf)
        np.maximum.at(ends, member, side * core[:, 2])
        where = np.stack([np.bincount(member, core[:, axis]) / np.bincount(member) for axis in (0, 1)], axis=1)
        design = np.column_stack([where, np.ones(len(cells))])
        fitted, *_ = np.linalg.lstsq(design, side * ends, rcond=None)
        slopes.append(fitted[:2])
    left, back = np.mean(slopes, axis=0)
    return np.array([-left, -back, 1.0])
