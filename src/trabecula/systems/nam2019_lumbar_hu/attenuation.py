"""Mean attenuation of each lumbar vertebra: where it is read, in mm, and the number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trabecula.measure.hounsfield import FEWEST, METAL_HU, Ellipse, find_place
from trabecula.measure.masks import is_level, named_mask, part_mask, plain_name
from trabecula.measure.number import same_place
from trabecula.measure.vertebral_frame import body_clouds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.image import Image

PLACES = ("L1", "L2", "L3", "L4", "L5", "region")
"""Vertebrae that are read, and one region whose vertebra nobody named."""
_TALL = Ellipse(height_mm=40.0)  # as far up and down as the endplates allow
_HEIGHTS = (5, 50, 95)  # percentiles: below the upper endplate, in the middle, above the lower
_ROUNDING_MM = 1e-6


def attenuation(image: Image, mask: Image, *, drawn: bool, slices: int, sources: str = "") -> NDArray[np.float64]:
    """Return the mean HU of each of `PLACES`, NaN where the mask has none or it cannot be read (metal, too small).

    `drawn` masks are the trabecular regions themselves; in whole bodies an ellipse clear of the walls is placed.
    `slices` is 3 for the mean of three axial slices, 0 for all voxels. `sources` names the code of all measurements.
    Raises `ValueError` for an image that is not in HU and a mask of another place, empty, or of several values
    without names.
    """
    del sources
    if image.unit != "HU":
        raise ValueError(f"this image is in {image.unit!r}, not in HU: attenuation is read in a CT")
    same_place(image, mask)
    means = np.full(len(PLACES), np.nan)
    for place, inside in counted(mask, drawn=drawn, slices=slices).items():
        values = image.voxels[inside].astype(np.float64)
        if values.max() < METAL_HU:
            layers = np.argwhere(inside) @ mask.affine[2, :3] if slices else np.zeros(len(values))
            heights = np.round(layers / _thickness(mask)) if slices else layers
            means[PLACES.index(place)] = np.mean([values[heights == height].mean() for height in np.unique(heights)])
    return means


def counted(mask: Image, *, drawn: bool, slices: int) -> dict[str, NDArray[np.bool_]]:
    """Return the voxels `[k, j, i]` that are counted, by place; a vertebra that has too few of them is left out.

    Raises `ValueError` as `attenuation` for the mask.
    """
    mask = _named(mask)
    clouds = None if drawn else body_clouds(mask)
    found = {}
    for place in filter(PLACES.__contains__, map(plain_name, mask.names.values())):
        try:
            inside = (
                part_mask(mask, place).voxels > 0 if drawn else find_place(mask, place, _TALL, clouds=clouds).inside
            )
        except ValueError:
            continue
        inside = _three_slices(mask, inside) if slices else inside
        if inside.sum() >= FEWEST:
            found[place] = inside
    return found


def _drawn(mask: Image, place: str) -> NDArray[np.bool_]:
    return part_mask(mask, place).voxels > 0


def _named(mask: Image) -> Image:
    """Return a label map with names of levels; the only value of a mask without names is `region`."""
    values = set(np.unique(mask.voxels).tolist()) - {0}
    if len(values) == 1 and not any(is_level(plain_name(name)) for name in mask.names.values()):
        return named_mask(mask, {int(next(iter(values))): PLACES[-1]})
    return named_mask(mask)


def _three_slices(mask: Image, inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return what of a region lies in three axial slices, each as thick as the voxels are."""
    index = np.argwhere(inside)
    z = index @ mask.affine[2, :3]
    near = np.zeros(len(index), dtype=bool)
    for height in np.percentile(z, _HEIGHTS, method="nearest"):
        near |= np.abs(z - height) < _thickness(mask) / 2 + _ROUNDING_MM
    kept = np.zeros_like(inside)
    kept[tuple(index[near].T)] = True
    return kept


def _thickness(mask: Image) -> float:
    """Return the step in mm along the patient from one voxel to the next."""
    return float(np.abs(mask.affine[2, :3]).max())
