"""Label maps: how much of two regions is the same, and how far apart their surfaces lie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.metrics.weighted import Floats


class SurfaceDistance(NamedTuple):
    """How far two surfaces lie apart, in mm."""

    mean: float
    """The mean over both surfaces of how far the other is from each of their voxels."""
    hausdorff95: float
    """The larger of the 95th percentiles of one surface from the other and back."""


def dice(truth: NDArray[Any], labels: NDArray[Any]) -> float:
    """Dice overlap of two label maps of one shape, averaged over the labels in the truth (Dice, Ecology 1945;26:297).

    NaN where the truth is empty. Raises `ValueError` when the shapes differ.
    """
    _alike(truth, labels)
    overlaps = [
        2 * np.count_nonzero((truth == label) & (labels == label))
        / (np.count_nonzero(truth == label) + np.count_nonzero(labels == label))
        for label in np.unique(truth[truth > 0])
    ]  # fmt: skip
    return float(np.mean(overlaps)) if overlaps else math.nan


def surface_distance(truth: NDArray[Any], labels: NDArray[Any], spacing: Sequence[float]) -> SurfaceDistance:
    """Return the distances in mm of the surfaces of two label maps, averaged over the labels in the truth.

    `spacing` is in mm along the axes of the maps. A surface is the voxels that have a face to the outside; an axis with
    one voxel (of a radiograph) has no outside. A label that the answer lacks lies as far off as the corners of the
    image (as BraTS counts it), since to answer nothing is no way to be near.
    Heimann et al., IEEE Trans Med Imaging 2009;28:1251; Taha and Hanbury, BMC Med Imaging 2015;15:29.

    NaN where the truth is empty. Raises `ValueError` when the shapes differ or the spacing is not one length an axis.
    """
    _alike(truth, labels)
    mm = np.asarray(spacing, dtype=float)
    if mm.shape != (truth.ndim,) or not (np.isfinite(mm) & (mm > 0)).all():
        raise ValueError(f"spacing is a positive length in mm for each of {truth.ndim} axes; got {spacing}")
    corners = float(np.linalg.norm(mm * np.array(truth.shape)))
    found = [_apart(truth == label, labels == label, mm, corners) for label in np.unique(truth[truth > 0])]
    return SurfaceDistance(*map(float, np.mean(found, axis=0))) if found else SurfaceDistance(math.nan, math.nan)


def _apart(ours: NDArray[np.bool_], theirs: NDArray[np.bool_], mm: Floats, corners: float) -> tuple[float, float]:
    from scipy.ndimage import binary_erosion, distance_transform_edt  # noqa: PLC0415 keeps the import light

    if not theirs.any():
        return corners, corners
    box, cross = _box(ours | theirs), _neighbours(ours.shape)
    surfaces = [mask[box] & ~binary_erosion(mask[box], cross) for mask in (ours, theirs)]
    forth, back = (
        distance_transform_edt(~other, sampling=mm)[own]
        for own, other in (surfaces, surfaces[::-1])
    )  # fmt: skip
    ends = np.quantile(forth, 0.95), np.quantile(back, 0.95)
    return float(np.r_[forth, back].mean()), float(max(ends))


def _neighbours(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return a voxel and those that share a face with it, along the axes that have more than one."""
    cross = np.zeros((3,) * len(shape), dtype=bool)
    for axis, size in enumerate(shape):
        place: list[int | slice] = [1] * len(shape)
        place[axis] = slice(None) if size > 1 else 1
        cross[tuple(place)] = True
    return cross


def _box(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    """Return the smallest box that holds a mask."""
    ends = (np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis))) for axis in range(mask.ndim))
    return tuple(slice(int(held[0]), int(held[-1]) + 1) for held in ends)


def _alike(truth: NDArray[Any], labels: NDArray[Any]) -> None:
    if truth.shape != labels.shape:
        raise ValueError(f"label maps differ in shape: {truth.shape} and {labels.shape}")
