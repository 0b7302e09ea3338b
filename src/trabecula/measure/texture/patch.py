"""The region of a picture whose texture is measured: nothing outside of it is ever looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import distance_transform_edt

from trabecula.measure.number import same_place

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.image import Image

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

FEWEST = 100
"""Pixels below which a region has no texture worth a number; ours."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Patch:
    """Grey values `[j, i]` of the box about a region, and which of its pixels belong to the region.

    Raises `ValueError` for fewer than 100 pixels, and a region that is all one value.
    """

    values: Floats
    inside: Mask
    pixel: tuple[float, float]
    """Height and width of a pixel: in mm, or (1, 1) where lengths are in pixels."""

    def __post_init__(self) -> None:
        count, own = np.count_nonzero(self.inside), self.region
        if count < FEWEST:
            raise ValueError(f"the region has {count} pixels; {FEWEST} are needed for a texture: look at the mask")
        if own.min() == own.max():
            raise ValueError(f"all {count} pixels of the region are {own[0]:g}: a constant has no texture")

    @property
    def region(self) -> Floats:
        """The values of the region, `[n]`."""
        return self.values[self.inside]

    def deeper(self, length: float) -> Mask:
        """Return the pixels of the region further than a length from its edge; the picture's edge is one."""
        depth = distance_transform_edt(np.pad(self.inside, 1), sampling=self.pixel)[1:-1, 1:-1]
        return np.asarray(depth > length)


def patch_of(image: Image, inside: Mask | None = None, *, in_mm: bool) -> Patch:
    """Return a picture `[1, j, i]` where `inside` `[1, j, i]`, or all of it, cropped to the box about that.

    Raises `ValueError` for a volume, an empty region, and lengths in mm without a spacing.
    """
    if image.shape[0] != 1:
        raise ValueError(f"texture is measured in a picture of one slice; this image has {image.shape[0]}: choose one")
    if image.unit == "label":
        raise ValueError("this is a label map, not a picture: bring the image that it belongs to")
    if in_mm and image.spacing is None:
        raise ValueError(
            "this picture has no spacing, so no length in mm: tell lengths in pixels, or bring its spacing"
        )
    marked = np.ones(image.shape[1:], dtype=bool) if inside is None else inside[0]
    if not marked.any():
        raise ValueError("the mask is empty: there is no region to measure")
    j, i = (slice(int(n.min()), int(n.max()) + 1) for n in np.nonzero(marked))
    pixel = (image.spacing[1], image.spacing[2]) if in_mm and image.spacing else (1.0, 1.0)
    return Patch(values=image.voxels[0, j, i].astype(np.float64), inside=marked[j, i], pixel=pixel)


def regions_of(image: Image, mask: Image | None) -> dict[str, Mask | None]:
    """Return the parts of a mask by name, `[k, j, i]`; without a mask all of the picture, without a name.

    Raises `ValueError` for a mask of another place.
    """
    if mask is None:
        return {"": None}
    same_place(image, mask)
    if not mask.names:
        return {"": mask.voxels != 0}
    parts: dict[str, list[int]] = {}
    for value, name in mask.names.items():
        parts.setdefault(name, []).append(value)
    return {name: np.isin(mask.voxels, values) for name, values in parts.items()}
