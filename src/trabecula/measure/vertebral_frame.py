"""Where a vertebral body lies: its axes from its own endplates, whatever the grid and the tilt of the patient.

Nothing here looks at the axes of an image: voxels are points in LPS mm, each worth its volume, so that a permuted or
flipped volume with a matching affine gives the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import find_objects
from scipy.ndimage import label as label_pieces

from trabecula.measure.moments import fitted_density

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from trabecula.image import Image

    Floats = NDArray[np.float64]

HEAD, BACK = np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 0.0])
_FEWEST = 60  # voxels of a body below which its endplates cannot be found
_PIECES = 0.1  # share of a body that may lie apart from its largest piece, as crumbs of a segmentation do
_DEEPEST_MM = 60.0  # no body is, tilted or not; every whole vertebra is
_HIGHEST_LABEL = 10_000
_LATTICE_MM = 2.0**-20
_TURNS = 6
_PART_MM = 1.0
_ENDPLATE_CORE = 0.7  # share of depth and width in which endplates are fitted: rims are round
_SURFACE = ((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2))


@dataclass(frozen=True, eq=False, kw_only=True)
class Cloud:
    """The voxels of the largest piece of a label: LPS positions `[n, 3]` in mm, in an order of their own."""

    positions: Floats
    rest: int
    """Number of voxels in other pieces."""
    at_edge: bool
    """Whether it touches the edge of the image."""

    @property
    def middle(self) -> Floats:
        """LPS position in mm of its centre."""
        return np.asarray(self.positions.mean(axis=0))


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
    """Longest side of a voxel."""

    def inside(self, positions: Floats) -> Floats:
        """Return LPS positions `[..., 3]` in mm as (left, back, up) about the middle."""
        return np.asarray((positions - self.middle) @ np.stack([self.left, self.back, self.up]).T)


def body_frames(mask: Image, levels: Mapping[int, str] | None = None) -> dict[str, BodyFrame]:
    """Return the frames of the vertebral bodies of a label map, from the head down; `levels` replaces its names.

    Raises `ValueError` for a mask without spacing or names, an empty one, and a body that `body_frame` refuses.
    """
    clouds = body_clouds(mask, levels)
    return {level: body_frame(level, clouds, mask) for level in clouds}


def body_clouds(mask: Image, levels: Mapping[int, str] | None = None) -> dict[str, Cloud]:
    """Return the voxels of the vertebral bodies of a label map, from the head down; `levels` replaces its names.

    Raises `ValueError` for a mask without spacing or names, and an empty one.
    """
    names = dict(levels or mask.names)
    if mask.spacing is None:
        raise ValueError("this mask has no spacing, so nothing in it has a length in mm")
    if not names:
        raise ValueError("the values of this mask have no names: say which value is which level")
    found = {}
    for (value, level), box in zip(sorted(names.items()), _boxes(mask, sorted(names)), strict=True):
        if box is not None:
            found[level] = _cloud(mask, value, box)
    if not found:
        raise ValueError(f"the mask is empty: none of {', '.join(names.values())} is in it")
    return dict(sorted(found.items(), key=lambda pair: -pair[1].middle[2]))


def body_frame(level: str, clouds: Mapping[str, Cloud], mask: Image) -> BodyFrame:
    """Return the frame of one body among its neighbours.

    Raises `ValueError` for a body that is not there, lies in pieces, has fewer than 60 voxels, is a whole vertebra with
    its arch, or may be cut off by the edge of the image.
    """
    if level not in clouds:
        raise ValueError(f"{level} is not in the mask; there are {', '.join(clouds)}")
    cloud = clouds[level]
    if cloud.rest > _PIECES * len(cloud.positions):
        raise ValueError(f"{level} lies in pieces, {cloud.rest} voxels apart from the largest: mend its mask")
    if len(cloud.positions) < _FEWEST:
        raise ValueError(f"{level} has {len(cloud.positions)} voxels: too few to find its endplates")
    if (deep := float(np.ptp(cloud.positions[:, 1]))) > _DEEPEST_MM:
        raise ValueError(f"{level} is {deep:.0f} mm deep: a whole vertebra, it seems; give a mask of the bodies alone")
    if cloud.at_edge:
        raise ValueError(f"{level} touches the edge of the image: it may be cut off")
    return _frame(level, cloud.positions, _axis(list(clouds), clouds, level), mask)


def _boxes(mask: Image, values: list[int]) -> list[tuple[slice, ...] | None]:
    """Return the box of voxels of each value, nothing for a value that does not occur."""
    labels = mask.voxels.astype(np.int64, copy=False)
    if labels.min() < 0 or labels.max() > _HIGHEST_LABEL:
        raise ValueError(f"labels lie between 0 and {_HIGHEST_LABEL}; these between {labels.min()} and {labels.max()}")
    boxes = find_objects(labels)
    return [boxes[value - 1] if 0 < value <= len(boxes) else None for value in values]


def _cloud(mask: Image, value: int, box: tuple[slice, ...]) -> Cloud:
    """Return the largest piece of a label."""
    here = mask.voxels[box] == value
    pieces, _ = label_pieces(here)
    sizes = np.bincount(pieces.ravel())[1:]
    index = np.argwhere(pieces == 1 + int(sizes.argmax())) + [side.start for side in box]
    at_edge = bool((index == 0).any() or (index == np.array(mask.shape) - 1).any())
    return Cloud(
        positions=in_order(index @ mask.affine[:3, :3].T + mask.affine[:3, 3]), rest=int(sizes.sum() - sizes.max()),
        at_edge=at_edge,
    )  # fmt: skip


def in_order(positions: Floats) -> Floats:
    """Return positions `[n, 3]` on a lattice of 1e-6 mm, sorted: sums over them do not hang on the axes of a grid."""
    lattice = np.round(positions / _LATTICE_MM) * _LATTICE_MM
    return np.asarray(lattice[np.lexsort(lattice.T)])


def _axis(order: list[str], clouds: Mapping[str, Cloud], level: str) -> Floats:
    """Return the direction to the head along the line of the bodies beside this one."""
    at = order.index(level)
    above, below = (clouds[order[n]].middle for n in (max(at - 1, 0), min(at + 1, len(order) - 1)))
    along = above - below
    return np.asarray(along / np.linalg.norm(along)) if np.linalg.norm(along) > 5 else HEAD


def _frame(level: str, cloud: Floats, up: Floats, mask: Image) -> BodyFrame:
    spacing = np.asarray(mask.spacing)
    middle = cloud.mean(axis=0)
    parts, part_mm3 = _divided(cloud, mask) - middle, float(np.prod(spacing / _parts(spacing)))
    for _ in range(_TURNS):
        back, left = _across(cloud - middle, up)
        axes = np.stack([left, back, up])
        up = _normal(parts @ axes.T, part_mm3) @ axes
        up /= np.linalg.norm(up)
    back, left = _across(cloud - middle, up)
    return BodyFrame(
        level=level, middle=middle, up=up, back=back, left=left, points=parts @ np.stack([left, back, up]).T,
        point_mm3=part_mm3, voxel_mm=float(spacing.max()),
    )  # fmt: skip


def _parts(spacing: Floats) -> Floats:
    return np.ceil(spacing / _PART_MM)


def _divided(cloud: Floats, mask: Image) -> Floats:
    """Return voxels as boxes of parts that are small against a body."""
    spacing = np.asarray(mask.spacing)
    steps = [((np.arange(n) + 0.5) / n - 0.5) * mm for n, mm in zip(_parts(spacing), spacing, strict=True)]
    offsets = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 3) @ np.asarray(mask.direction)
    return np.asarray((cloud[:, None, :] + in_order(offsets)).reshape(-1, 3))


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


def _normal(local: Floats, part_mm3: float) -> Floats:
    """Return the mean normal of the endplates in local axes: across it, columns have their middles in a plane."""
    half = np.percentile(np.abs(local[:, :2]), 97, axis=0)
    at = (local[:, :2] / half).T
    area = part_mm3 / float(np.prod(half))
    height, first = (
        fitted_density(at, area * moment, (_ENDPLATE_CORE, _ENDPLATE_CORE), _SURFACE)
        for moment in (np.ones(len(local)), local[:, 2])
    )
    left, back = (first[1:3] * height[0] - height[1:3] * first[0]) / height[0] ** 2 / half
    return np.array([-left, -back, 1.0])
