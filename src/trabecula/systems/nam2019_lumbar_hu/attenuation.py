"""Mean attenuation of each lumbar vertebra: where it is read, in mm, and the number."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from trabecula.measure.hounsfield import FEWEST, METAL_HU, Ellipse, find_place
from trabecula.measure.masks import is_level, named_mask, plain_name
from trabecula.measure.number import same_place
from trabecula.measure.vertebral_frame import body_clouds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.image import Image

PLACES = ("L1", "L2", "L3", "L4", "L5", "region")
"""Vertebrae that are read, and one region whose vertebra nobody named."""
_TALL = Ellipse(height_mm=40.0)  # as far up and down as the endplates allow


def attenuation(image: Image, mask: Image, *, drawn: bool, slices: int) -> NDArray[np.float64]:
    """Return the mean HU of each of `PLACES`, NaN where the mask has none or it cannot be read (metal, too small).

    `drawn` masks are the trabecular regions themselves; in whole bodies an ellipse clear of the walls is placed.
    `slices` is 3 for the mean of three axial slices, 0 for all voxels.
    Raises `ValueError` for an image that is not in HU and a mask of another place, empty, or of several values
    without names.
    """
    if image.unit != "HU":
        raise ValueError(f"this image is in {image.unit!r}, not in HU: attenuation is read in a CT")
    same_place(image, mask)
    means = np.full(len(PLACES), np.nan)
    for place, where in counted(mask, drawn=drawn, slices=slices).items():
        values = image.voxels[tuple(where.T)].astype(np.float64)
        if values.max() < METAL_HU:
            layer = _layers(mask, where) if slices else np.zeros(len(where), dtype=np.intp)
            means[PLACES.index(place)] = np.mean([values[layer == each].mean() for each in np.unique(layer)])
    return means


def counted(mask: Image, *, drawn: bool, slices: int) -> dict[str, NDArray[np.intp]]:
    """Return the voxels `[n, (k, j, i)]` that are counted, by place; a vertebra with too few of them is left out.

    Raises `ValueError` as `attenuation` for the mask.
    """
    mask = _named(mask)
    regions = _as_drawn(mask) if drawn else _ellipses(mask)
    kept = {place: _three_slices(mask, where) if slices else where for place, where in regions.items()}
    return {place: where for place, where in kept.items() if len(where) >= FEWEST}


def _named(mask: Image) -> Image:
    """Return a label map with names of levels; the only value of a mask without names is `region`."""
    if not any(is_level(plain_name(name)) for name in mask.names.values()):
        values = set(np.unique(mask.voxels).tolist()) - {0}
        if len(values) == 1:
            return named_mask(mask, {int(next(iter(values))): PLACES[-1]})
    return named_mask(mask)


def _as_drawn(mask: Image) -> dict[str, NDArray[np.intp]]:
    where = np.argwhere(mask.voxels)
    values = mask.voxels[tuple(where.T)]
    return {name: where[values == value] for value, name in mask.names.items() if name in PLACES}


def _ellipses(mask: Image) -> dict[str, NDArray[np.intp]]:
    """Return an ellipse in each body that has room for one."""
    clouds, found = body_clouds(mask), {}
    for level in filter(PLACES.__contains__, mask.names.values()):
        with suppress(ValueError):
            found[level] = np.argwhere(find_place(mask, level, _TALL, clouds=clouds).inside)
    return found


def _three_slices(mask: Image, where: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return what of a region lies in its lowest, middle and highest axial slice.

    Of a tilted vertebra the outermost slices cut a corner: only those count that hold half of what the fullest holds.
    """
    if not len(where):
        return where
    layer = _layers(mask, where)
    filled = np.bincount(layer)
    whole = np.flatnonzero(filled >= filled.max() / 2)
    return where[np.isin(layer, (whole[0], whole[len(whole) // 2], whole[-1]))]


def _layers(mask: Image, where: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the axial slice of each voxel, from 0 at the feet."""
    z = where @ mask.affine[2, :3]
    return np.asarray(np.rint((z - z.min()) / np.abs(mask.affine[2, :3]).max()), dtype=np.intp)
