"""Digitally reconstructed radiographs: a CT seen by parallel beams from the front, from the side and from below."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.image import Image

View = Literal["frontal", "lateral", "axial"]
VIEWS: tuple[View, ...] = ("frontal", "lateral", "axial")

UPRIGHT = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
"""Direction of an image whose k, j, i grow along z, y, x of the patient."""

_AIR_HU = -1000.0
_ALMOST = 1e-6  # of a voxel: what rounding may take from an extent


def pictures(
    image: Image, *, size: int, spacing_mm: float, hu: tuple[float, float], water_per_mm: float,
    percentiles: tuple[float, float],
) -> NDArray[np.uint8]:  # fmt: skip
    """Return the three views `[3, size, size]` of 0 to 255, in the order of `VIEWS`, all at one scale.

    Each is scaled so that its two percentiles become 0 and 255, and lies in the middle of a square with the side of
    the longest extent, black around. Raises `ValueError` for a volume without spacing.
    """
    from PIL import Image as Picture  # noqa: PLC0415 keeps `import trabecula` light

    films = projections(image, spacing_mm=spacing_mm, hu=hu, water_per_mm=water_per_mm)
    side = max(max(film.shape) for film in films)
    seen = []
    for film in films:
        low, high = np.percentile(film, percentiles)
        square = np.zeros((side, side), dtype=np.float32)
        square[_middle(side, film.shape)] = ((film - low) / (high - low)).clip(0, 1) if high > low else 0.0
        resized = np.asarray(Picture.fromarray(square).resize((size, size), Picture.Resampling.BILINEAR))
        seen.append(np.rint(255 * resized.clip(0, 1)).astype(np.uint8))
    return np.stack(seen)


def projections(
    image: Image, *, spacing_mm: float, hu: tuple[float, float], water_per_mm: float
) -> tuple[NDArray[np.float32], ...]:
    """Return line integrals of attenuation along the patient's own axes: frontal, lateral and axial.

    Pixels have `spacing_mm`. Frontal `[z, x]` and lateral `[z, y]` have the head on top, axial `[y, x]` the front; the
    patient's right and front are on the left. Attenuation is `water_per_mm` in water, nothing in air, and between and
    beyond them as HU go. Raises `ValueError` for a volume without spacing.
    """
    volume = upright(image, spacing_mm=spacing_mm).clip(*hu)
    attenuation = np.maximum(water_per_mm * (1 + volume / 1000), 0)
    front, side, below = (attenuation.sum(axis=axis) * spacing_mm for axis in (1, 2, 0))
    return front[::-1], side[::-1], below


def upright(image: Image, *, spacing_mm: float) -> NDArray[np.float32]:
    """Return HU `[z, y, x]` on voxels of `spacing_mm` along the axes of the patient; outside the volume is air."""
    matrix, offset, shape = _to_native(image, spacing_mm)
    wider = np.pad(image.voxels.astype(np.float32), 1, mode="edge")  # so that rounding leaves no edge outside
    found: NDArray[np.float32] = ndimage.affine_transform(
        wider, matrix, offset + 1, shape, order=1, mode="constant", cval=_AIR_HU
    )
    return found


def laid_back(films: NDArray[np.float32], image: Image, *, spacing_mm: float) -> NDArray[np.float32]:
    """Lay maps `[3, size, size]` of what `pictures` showed along their beams onto the grid `[k, j, i]` of the image.

    A voxel has the mean of what the views tell of it.
    """
    from PIL import Image as Picture  # noqa: PLC0415

    matrix, offset, shape = _to_native(image, spacing_mm)
    z, y, x = shape
    side = max(shape)
    front, lateral, below = (
        np.asarray(Picture.fromarray(film).resize((side, side), Picture.Resampling.BILINEAR))[_middle(side, extent)]
        for film, extent in zip(films, ((z, x), (z, y), (y, x)), strict=True)
    )
    heat = (front[::-1, None, :] + lateral[::-1, :, None] + below[None]) / 3
    back = np.linalg.inv(matrix)
    laid: NDArray[np.float32] = ndimage.affine_transform(
        heat.astype(np.float32), back, -back @ offset, image.shape, order=1, mode="nearest"
    )
    return laid


def _to_native(image: Image, spacing_mm: float) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[int, ...]]:
    """Return how indices `[z, y, x]` of the upright volume become indices `[k, j, i]`, and its shape.

    It holds the centres of all voxels. Raises `ValueError` for a volume without spacing.
    """
    corners = np.array([(*corner, 1) for corner in product(*((0, n - 1) for n in image.shape))])
    places = (corners @ image.affine.T)[:, :3]  # x, y, z
    low, high = places.min(axis=0), places.max(axis=0)
    counts = np.maximum(1, np.floor((high - low) / spacing_mm + _ALMOST) + 1)
    first = (low + high) / 2 - (counts - 1) / 2 * spacing_mm
    inverse = np.linalg.inv(image.affine)
    matrix = inverse[:3, :3] @ (spacing_mm * np.array(UPRIGHT).T)
    x, y, z = (int(count) for count in counts)
    return matrix, inverse[:3, :3] @ first + inverse[:3, 3], (z, y, x)


def _middle(side: int, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Return where a film lies in the square around it."""
    top, left = ((side - extent) // 2 for extent in shape)
    return slice(top, top + shape[0]), slice(left, left + shape[1])
