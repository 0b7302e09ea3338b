"""Bone on a grid of elements: an image and a mask become bricks (or squares) of one size along axes of their own.

Here everything lies in the frame of the image's own grid: index times spacing, in mm. A voxel is a box of one density.
Points on a fine lattice in each element say which share of it is bone and the mean density of that bone; densities are
then scaled so that the mass of the mask is kept. An element that is bone in part is as stiff as its share of what the
bone in it would be, so that walls thinner than an element keep their stiffness along themselves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import find_objects
from scipy.ndimage import label as label_pieces

from trabecula.measure.number import same_place

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.image import Image

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

_LEAST_SHARE = 0.05  # of an element below which it is left out
_LOOSE = 0.1  # share of the bone that may lie apart from its largest piece
_POINTS = (2, 6)  # least and most points along the side of an element
_FEWEST = 30
_MOST = 4_000_000


@dataclass(frozen=True, eq=False, kw_only=True)
class Block:
    """Bone on elements; `axes` are rows of unit vectors in the frame of the image's grid."""

    density: Floats
    """Mean over the bone in each element, `[*elements]`, in the unit of the image."""
    share: Floats
    """Share of each element that is bone, 0 to 1."""
    axes: Floats
    corner: Floats
    """Where the outer corner of the first element lies along the axes, in mm."""
    element_mm: float
    loose: float
    """Share of the bone that hung apart and was removed."""

    def centres(self, axis: int) -> Floats:
        """Return where the middles of the elements lie along an axis in mm, shaped to broadcast over the block."""
        values = self.corner[axis] + (np.arange(self.share.shape[axis]) + 0.5) * self.element_mm
        others = tuple(a for a in range(self.share.ndim) if a != axis)
        return np.expand_dims(values, others)

    def along(self, direction: Floats) -> Floats:
        """Return how far each element's middle lies in a direction of the image's frame, `[*elements]` in mm."""
        total = np.zeros(self.share.shape)
        for axis, part in enumerate(self.axes @ direction):
            total += part * self.centres(axis)
        return total


def bone_of(image: Image, mask: Image, *, label: int | None = None) -> Mask:
    """Return where the bone is, `[k, j, i]`; every value but 0, or one label.

    Raises `ValueError` for an image without spacing, in another place than its mask, or an empty mask.
    """
    same_place(image, mask)
    if image.spacing is None:
        raise ValueError("this image has no spacing, so its elements would have no size in mm")
    inside = np.asarray(mask.voxels != 0 if label is None else mask.voxels == label)
    if not inside.any():
        raise ValueError("the mask is empty: there is nothing to load")
    return inside


def mineral_g_cm3(image: Image, *, slope: float | None = None, intercept: float | None = None) -> Floats:
    """Return mineral in g/cm3: of an image in mg/cm3, or in HU by its calibration, mg/cm3 = intercept + slope x HU.

    Raises `ValueError` for another unit, and for HU without slope and intercept.
    """
    values = np.asarray(image.voxels, dtype=np.float64)
    match image.unit:
        case "mg/cm3":
            return values / 1000
        case "HU":
            if slope is None or intercept is None:
                raise ValueError(
                    "HU say nothing about stiffness without a calibration: give slope and intercept in mg/cm3"
                )
            return (intercept + slope * values) / 1000
    raise ValueError(f"elements are made of mg/cm3 or calibrated HU, not of {image.unit!r}")


def laid(density: Floats, inside: Mask, spacing: tuple[float, ...], *, axes: Floats, element_mm: float) -> Block:
    """Return the bone on elements of a size along axes.

    Raises `ValueError` for a size that is not positive, more than 4 million elements, fewer than 30, or a bone that
    lies in pieces.
    """
    if not (math.isfinite(element_mm) and element_mm > 0):
        raise ValueError(f"an element has a positive size in mm; got {element_mm}")
    axes, mm = np.asarray(axes, dtype=np.float64), np.asarray(spacing, dtype=np.float64)
    box = find_objects(inside.astype(np.uint8))[0]
    at = (np.argwhere(inside[box]) + [side.start for side in box]) * mm @ axes.T
    reach = np.abs(axes) @ mm / 2
    low, high = at.min(axis=0) - reach, at.max(axis=0) + reach
    shape = np.maximum(np.ceil((high - low) / element_mm - 1e-6), 1).astype(int)
    if np.prod(shape) > _MOST:
        raise ValueError(f"{np.prod(shape)} elements of {element_mm} mm are too many: choose larger ones")
    corner = (low + high - shape * element_mm) / 2
    mass, share = _sampled(density, inside, mm, axes=axes, corner=corner, shape=tuple(shape), element_mm=element_mm)
    mass *= _ratio(density[inside].sum() * np.prod(mm), mass.sum() * element_mm**share.ndim)
    share[share < _LEAST_SHARE] = 0
    kept, loose = _largest(share)
    if kept.sum() < _FEWEST:
        raise ValueError(f"only {int(kept.sum())} elements of {element_mm} mm hold bone: choose smaller ones")
    share = np.where(kept, share, 0.0)
    mean = np.divide(mass, share, out=np.zeros_like(mass), where=kept)
    return Block(density=mean, share=share, axes=axes, corner=corner, element_mm=element_mm, loose=loose)


def _sampled(
    density: Floats, inside: Mask, mm: Floats, *, axes: Floats, corner: Floats, shape: tuple[int, ...],
    element_mm: float,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Return mass per volume of the whole element, and the share that is bone."""
    count = int(np.clip(math.ceil(2 * element_mm / float(mm.min())), *_POINTS))
    inner = (np.arange(count) + 0.5) / count
    mass, share = np.zeros(shape), np.zeros(shape)
    steps = axes / mm * element_mm  # how far one element goes along the voxels
    start = (corner @ axes) / mm
    grid = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij", sparse=True)
    for offset in product(inner, repeat=len(shape)):
        index, within = [], np.ones(shape, dtype=bool)
        for voxel_axis in range(len(shape)):
            place = start[voxel_axis] + sum(
                (grid[a] + offset[a]) * steps[a, voxel_axis] for a in range(len(shape))
            )  # fmt: skip
            nearest = np.floor(place + 0.5 + 1e-9).astype(np.intp)
            within &= (nearest >= 0) & (nearest < inside.shape[voxel_axis])
            index.append(np.clip(nearest, 0, inside.shape[voxel_axis] - 1))
        bone = within & inside[tuple(index)]
        share += bone
        mass += np.where(bone, density[tuple(index)], 0.0)
    return mass / count ** len(shape), share / count ** len(shape)


def _ratio(wanted: float, found: float) -> float:
    """Return by what a mass is scaled; nothing where both are about 0, as in marrow alone."""
    return float(wanted / found) if found > 0 and 0.5 < wanted / found < 2 else 1.0


def _largest(share: Floats) -> tuple[Mask, float]:
    """Return the largest piece that hangs together by faces, and the share of the bone in others."""
    pieces, _ = label_pieces(share > 0)
    sizes = np.bincount(pieces.ravel(), share.ravel())
    sizes[0] = 0
    largest = int(sizes.argmax())
    loose = 1 - float(sizes[largest] / sizes.sum()) if sizes.sum() else 0.0
    if loose > _LOOSE:
        raise ValueError(f"{100 * loose:.0f} % of the bone hangs apart from its largest piece: mend the mask")
    return np.asarray(pieces == largest) & (share > 0), loose
