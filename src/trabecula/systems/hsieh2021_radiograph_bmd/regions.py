"""From a film to what is measured on it: the canvas that landmarks are sought on, landmarks of masks, and regions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trabecula.image import Image
from trabecula.learn.prepare import picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

CORNERS = 4  # landmarks a part: upper left, upper right, lower left, lower right
PARTS = {
    "hip": ("femoral neck", "trochanter", "intertrochanteric", "Ward's triangle"),
    "spine": ("L1", "L2", "L3", "L4"),
}
_NECK, _TROCHANTER = 0, 1


@dataclass(frozen=True)
class Region:
    """A square of a film, in pixels, and whether it is mirrored before it is looked at."""

    top: int
    left: int
    side: int
    mirrored: bool = False


def canvas(image: Image, *, size: int) -> NDArray[np.uint8]:
    """Return a film padded to a square and resized to `[size, size]` of 0 to 255."""
    pixels = image.voxels[image.shape[0] // 2]
    side, top, left = _padding(*pixels.shape)
    padded = np.full((1, side, side), pixels.min(), dtype=pixels.dtype)
    padded[0, top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return picture(Image(voxels=padded, unit=image.unit, space=image.space), size=size)


def shape_of(image: Image) -> NDArray[np.int64]:
    """Return rows and columns of a film."""
    return np.array(image.shape[1:])


def marks(mask: Image, *, names: Sequence[str]) -> NDArray[np.float64]:
    """Return four corners a part `[4 * parts, 2]` in a mask: row and column in pixels, NaN where it has no such part.

    The corners are its pixels farthest along the diagonals; for a vertebral body they are the four of morphometry.
    """
    labels = mask.voxels[mask.shape[0] // 2]
    values = {name: value for value, name in mask.names.items()}
    found = np.full((len(names), CORNERS, 2), np.nan)
    for number, name in enumerate(names):
        places = np.argwhere(labels == values.get(name, -1))
        if len(places):
            falling, rising = places.sum(axis=1), places[:, 0] - places[:, 1]
            ends = [falling.argmin(), rising.argmin(), rising.argmax(), falling.argmax()]
            found[number] = places[ends] + 0.5
    return found.reshape(-1, 2)


def on_canvas(points: NDArray[np.float64], shape: Sequence[int]) -> NDArray[np.float64]:
    """Return places in pixels of a film of that shape `[rows, columns]` as shares of the side of its canvas."""
    side, top, left = _padding(*shape)
    shares: NDArray[np.float64] = (points + np.array([top, left])) / side
    return shares


def on_film(points: NDArray[np.float64], shape: Sequence[int]) -> NDArray[np.float64]:
    """Return places on a canvas, as shares of its side, in pixels of the film of that shape."""
    side, top, left = _padding(*shape)
    pixels: NDArray[np.float64] = points * side - np.array([top, left])
    return pixels


def hip_region(points: NDArray[np.float64], *, margin: float) -> Region:
    """Return the square around all landmarks of a hip `[16, 2]`, mirrored where the trochanter lies on the left."""
    parts = points.reshape(-1, CORNERS, 2).mean(axis=1)
    return _square(points, margin, mirrored=bool(parts[_TROCHANTER, 1] < parts[_NECK, 1]))


def vertebral_regions(points: NDArray[np.float64], *, margin: float) -> list[Region]:
    """Return a square around each vertebra, L1 to L4, from its corners `[16, 2]`."""
    return [_square(corners, margin) for corners in points.reshape(-1, CORNERS, 2)]


def compression(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return by vertebra the lesser over the greater of the heights of its two walls, from its corners `[16, 2]`.

    Four corners tell nothing of the middle, so a biconcave deformity is not seen.
    """
    corners = points.reshape(-1, CORNERS, 2)
    heights = np.linalg.norm(corners[:, 2:] - corners[:, :2], axis=2)
    ratios: NDArray[np.float64] = heights.min(axis=1) / np.maximum(heights.max(axis=1), 1e-9)
    return ratios


def cropped(image: Image, *, region: Sequence[int], size: int) -> NDArray[np.uint8]:
    """Return a region (top, left, side, mirrored) as `[size, size]`, scaled by nothing but what lies in it."""
    top, left, side, mirrored = region
    pixels = image.voxels[image.shape[0] // 2]
    rows, columns = (
        np.clip(np.arange(start, start + side), 0, n - 1) for start, n in zip((top, left), pixels.shape, strict=True)
    )
    inside = pixels[np.ix_(rows, columns)][:, :: -1 if mirrored else 1]
    return picture(Image(voxels=inside[None], unit=image.unit, space=image.space), size=size)


def _square(points: NDArray[np.float64], margin: float, *, mirrored: bool = False) -> Region:
    low, high = points.min(axis=0), points.max(axis=0)
    side = max(8, round(float((high - low).max()) * (1 + 2 * margin)))
    top, left = ((low + high - side) / 2).round().astype(int).tolist()
    return Region(top, left, side, mirrored)


def _padding(height: int, width: int) -> tuple[int, int, int]:
    """Return the side of the square around a film, and the row and column at which the film begins in it."""
    side = max(height, width)
    return side, (side - height) // 2, (side - width) // 2
