"""The 851 features of cancellous bone of one vertebra, in PyRadiomics's definitions and under its names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trabecula.measure.hounsfield import METAL_HU, Eroded, find_place
from trabecula.measure.masks import is_level, named_mask, part_mask, plain_name
from trabecula.measure.number import same_place
from trabecula.measure.radiomics import Settings, extract

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.image import Image


def features(image: Image, mask: Image, *, level: str, depth_mm: float | None, bin_width: float) -> NDArray[np.void]:
    """Return the features of the original image and its wavelet bands, one row of an array with their names.

    Where a feature is not defined for this region it is absent.
    Raises `ValueError` for an image that is not in HU, a mask of another place or without the level, metal, and a
    region without texture.
    """
    if image.unit != "HU":
        raise ValueError(f"this image is in {image.unit!r}, not in HU: the features are those of a CT")
    same_place(image, mask)
    inside = cancellous(mask, level=level, depth_mm=depth_mm)
    if (highest := image.voxels[inside.voxels > 0].max()) >= METAL_HU:
        raise ValueError(f"there is metal or cement in {level}: {highest:.0f} HU")
    settings = Settings(definitions="pyradiomics", filters=("original", "wavelet"), bin_width=bin_width)
    found = extract(image, inside, settings=settings)
    return np.array([tuple(found.values())], dtype=[(name, np.float64) for name in found])


def cancellous(mask: Image, *, level: str, depth_mm: float | None) -> Image:
    """Return where cancellous bone of a level is, as zeros and ones.

    Without a depth the mask is the drawn region itself; in whole bodies it is what lies deeper than that. A mask with
    one value and no levels is taken as the level asked for.
    Raises `ValueError` where the mask is empty, several values have no names, or the level is not there.
    """
    if not any(is_level(plain_name(name)) for name in mask.names.values()):
        values = [int(value) for value in np.unique(mask.voxels) if value]
        if len(values) == 1:
            mask = named_mask(mask, {values[0]: level})
    mask = named_mask(mask)
    if depth_mm is None:
        return part_mask(mask, level)
    return mask.with_voxels(find_place(mask, level, Eroded(depth_mm=depth_mm)).inside.astype(np.uint8))
