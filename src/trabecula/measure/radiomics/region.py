"""The region that is measured: intensities and two masks on one grid, checked, resampled and re-segmented.

Sections 2.4 to 2.6 of the reference manual of the Image Biomarker Standardisation Initiative (arXiv:1612.07003v11).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.ndimage import find_objects, map_coordinates

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.image import Image

Interpolation = Literal["linear", "cubic"]


Box = tuple[slice, slice, slice]
Spacing = tuple[float | None, float | None, float | None]


@dataclass(frozen=True, eq=False)
class Region:
    """Intensities `[k, j, i]`, a morphological mask (the shape) and an intensity mask (what of it is counted).

    `spacing` is in mm along k, j, i. Intensities are those of the whole image as they are stored, until they are
    cropped: nothing but the region is ever copied.
    """

    intensities: NDArray[Any]
    shape_mask: NDArray[np.bool_]
    mask: NDArray[np.bool_]
    spacing: tuple[float, float, float]

    @cached_property
    def box(self) -> Box:
        """The slices around the shape."""
        return box_of(self.shape_mask)

    @property
    def values(self) -> NDArray[np.float64]:
        """The intensities inside the intensity mask, `[voxel]`."""
        return self.intensities[self.box][self.mask[self.box]].astype(np.float64)

    def cropped(self, margin_mm: float = 0.0) -> Region:
        """Return the box around the shape in double precision, with this margin where the image has it."""
        margins = [int(np.ceil(margin_mm / spacing)) for spacing in self.spacing]
        k, j, i = (
            slice(max(around.start - margin, 0), around.stop + margin)
            for around, margin in zip(self.box, margins, strict=True)
        )
        window = (k, j, i)
        intensities = self.intensities[window].astype(np.float64)
        return Region(intensities, self.shape_mask[window], self.mask[window], self.spacing)

    def resegmented(self, within: tuple[float, float] | None = None, *, outliers_sd: float | None = None) -> Region:
        """Keep in the intensity mask what lies within a range, and no further from the mean than some SDs (2.6).

        Mean and SD are those of the whole shape, also where both rules apply. Raises `ValueError` when fewer than two
        voxels stay.
        """
        if within is None and outliers_sd is None:
            return self
        intensities, shape = self.intensities[self.box].astype(np.float64), self.shape_mask[self.box]
        whole = intensities[shape]
        low, high = within or (-np.inf, np.inf)
        if outliers_sd is not None:
            reach = outliers_sd * whole.std()
            low, high = max(low, whole.mean() - reach), min(high, whole.mean() + reach)
        mask = np.zeros_like(self.mask)
        mask[self.box] = self.mask[self.box] & (intensities >= low) & (intensities <= high)
        kept = np.count_nonzero(mask[self.box])
        if kept < 2:
            raise ValueError(
                f"{kept} voxels of the region lie within {low:g} to {high:g}, its values are "
                f"{whole.min():g} to {whole.max():g}: widen the range, or look at the mask and the unit"
            )
        return replace(self, mask=mask)


def box_of(mask: NDArray[np.bool_]) -> Box:
    """Return the slices around a mask `[k, j, i]` that is not empty."""
    k, j, i = find_objects(mask.view(np.uint8), max_label=1)[0]
    return k, j, i


def region_of(image: Image, mask: Image, *, label: int | None = None) -> Region:
    """Take the voxels of `image` where `mask` is not 0, or where it is `label`.

    Raises `ValueError` when image and mask do not lie in the same place, the spacing is not known, the mask is empty,
    holds several labels of which none was named, or marks one voxel, or one value only: neither has a texture.
    """
    if mask.shape != image.shape:
        raise ValueError(
            f"the mask has {mask.shape} voxels and the image {image.shape}: resample the mask to the image"
        )
    if image.spacing is None or mask.spacing is None:
        raise ValueError("the image or the mask has no spacing: shape and distance are measured in mm, give it one")
    off = np.abs(image.affine - mask.affine).max() if image.space == mask.space else np.inf
    if off > 1e-2 * min(image.spacing):
        raise ValueError(f"the mask does not lie where the image lies ({off:.3g} mm apart): resample it to the image")
    inside = _chosen(mask, label)
    if np.count_nonzero(inside) == 1:
        raise ValueError("the mask marks one voxel: nothing of its shape or texture can be measured")
    return varied(Region(image.voxels, inside, inside, image.spacing))


def varied(region: Region) -> Region:
    """Return the region; raise `ValueError` when all its intensities are the same."""
    values = region.values
    if values.min() == values.max():
        raise ValueError(
            f"all {len(values)} voxels of the region are {values[0]:g}: a constant has no texture; "
            "look whether the mask lies on the body"
        )
    return region


def _chosen(mask: Image, label: int | None) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_]
    if label is not None:
        inside = mask.voxels == label
        if not inside.any():
            raise ValueError(f"label {label} is not in the mask, which holds {_held(mask) or 'nothing'}")
        return inside
    inside = mask.voxels != 0
    if not inside.any():
        raise ValueError("the mask is empty: there is no region to measure")
    marked = mask.voxels[inside]
    if (marked != marked[0]).any():
        raise ValueError(f"the mask holds several labels ({_held(mask)}): name one with label=")
    return inside


def _held(mask: Image) -> str:
    return ", ".join(f"{value:g}" for value in np.unique(mask.voxels)[:20] if value)


def resampled(
    region: Region,
    spacing: Spacing,
    *,
    interpolation: Interpolation = "linear",
    rounded: bool = True,
) -> Region:
    """Interpolate to another spacing in mm along k, j, i; `None` leaves an axis as it is (2.4).

    The new grid has the same centre as the old one. Beyond the outermost voxel centres the image goes on as it ends,
    and the mask ends. The mask is interpolated linearly and kept from one half upwards. `rounded` brings intensities
    back to whole numbers, as the manual wants for HU. Raises `ValueError` for a spacing that is not positive, and when
    no two voxels of the mask stay.
    """
    grid: list[NDArray[np.float64]] = []
    for size, old, new in zip(region.intensities.shape, region.spacing, checked(spacing), strict=True):
        step = (new or old) / old
        count = int(np.ceil(round(size / step, 9)))
        grid.append((size - 1) / 2 + (np.arange(count) - (count - 1) / 2) * step)
    source, places = near(region, grid)
    at = np.stack(np.meshgrid(*places, indexing="ij"))
    order: Literal[1, 3] = 1 if interpolation == "linear" else 3
    intensities = map_coordinates(source.intensities, at, order=order, mode="nearest")
    shape_mask = map_coordinates(source.shape_mask.astype(np.float64), at, order=1, mode="constant") >= _HALF
    return remade(region, spacing, np.round(intensities) if rounded else intensities, shape_mask)


_HALF = 0.5 - 5e-7
"""Halves are frequent, as where 1 mm becomes 2 mm, and must not depend on rounding."""
_SPLINE_VOXELS = 24
"""Beyond it a voxel's weight in a cubic spline is below 1e-13."""


def checked(spacing: Spacing) -> Spacing:
    """Return a spacing that is positive along every axis, or `None` there; raise `ValueError` for another."""
    if any(new is not None and not new > 0 for new in spacing):
        raise ValueError(f"the new spacing is positive, in mm along k, j, i; got {spacing}")
    return spacing


def near(region: Region, grid: list[NDArray[np.float64]]) -> tuple[Region, list[NDArray[np.float64]]]:
    """Return what of the image is needed around the shape, and those places of a new grid (in voxels) that are.

    Places go 8 mm beyond the shape, so that spheres of 1 cm3 have what they need.
    """
    window, places = [], []
    for around, axis, size, spacing in zip(region.box, grid, region.shape_mask.shape, region.spacing, strict=True):
        reach = 8.0 / spacing + 1
        close = axis[(axis >= around.start - reach) & (axis <= around.stop - 1 + reach)]
        first = max(int(min(around.start, close[0])) - _SPLINE_VOXELS, 0)
        last = min(int(max(around.stop, close[-1])) + _SPLINE_VOXELS, size)
        window.append(slice(first, last))
        places.append(close - first)
    part = tuple(window)
    intensities = region.intensities[part].astype(np.float64)
    return Region(intensities, region.shape_mask[part], region.mask[part], region.spacing), places


def remade(region: Region, spacing: Spacing, intensities: NDArray[np.float64], shape_mask: NDArray[np.bool_]) -> Region:
    """Return the resampled region; raise `ValueError` when fewer than two voxels are left of it."""
    left = np.count_nonzero(shape_mask)
    if left < 2:
        raise ValueError(f"at a spacing of {spacing} mm the region has {left} voxels: choose a finer one")
    k, j, i = (float(new or old) for old, new in zip(region.spacing, spacing, strict=True))
    return Region(intensities, shape_mask, shape_mask, (k, j, i))
