"""Sagittal sections of a lumbar CT as the network sees them, the same sections of its masks, and the way back.

Sections lie evenly about the middle of the field: nothing but the image decides where. Head is up, front is left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import ndimage

from trabecula.measure.masks import plain_name
from trabecula.measure.number import same_place

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.image import Image

    Floats = NDArray[np.float64]


def sections(
    image: Image, *, count: int, step_mm: float, slab_mm: float, pixels: int, pixel_mm: float,
    window_hu: tuple[float, float],
) -> NDArray[np.uint8]:  # fmt: skip
    """Return sections `[count, pixels, pixels]` of the whole field, the window scaled to 0 to 255.

    Each is the mean over a slab. What lies outside the field is black. Raises `ValueError` for a volume that is not in
    HU, or whose spacing is not known.
    """
    if image.unit != "HU":
        raise ValueError(f"a window is one of HU, and this volume is in {image.unit!r}")
    voxels, spacing = _upright(image)
    half = max(0, round((slab_mm / spacing[0] - 1) / 2))
    low, high = window_hu
    shown = np.zeros((count, pixels, pixels))
    for n, place in enumerate(_places(voxels.shape[0], spacing[0], count, step_mm)):
        middle = int(np.clip(round(place), 0, voxels.shape[0] - 1))
        slab = voxels[max(0, middle - half) : middle + half + 1].astype(np.float32).mean(axis=0)
        sigma = [max(0.0, pixel_mm / mm / 2 - 0.5) for mm in spacing[1:]]  # as wide as a pixel, or as it is
        smooth = ndimage.gaussian_filter(slab, sigma)
        shown[n] = _resampled(smooth, spacing[1:], pixels, pixel_mm, order=1, outside=low)
    scaled: NDArray[np.uint8] = np.rint(255 * ((shown - low) / (high - low)).clip(0, 1)).astype(np.uint8)
    return scaled


def drawn(
    mask: Image,
    image: Image,
    *,
    levels: Sequence[str],
    edge_px: float,
    count: int,
    step_mm: float,
    pixels: int,
    pixel_mm: float,
) -> NDArray[np.uint8]:
    """Return `[2, levels, count, pixels, pixels]`: masks of the levels on the sections, and boundary heat maps.

    Both are 0 to 255. The heat map is exp(-d^2 / 2 edge_px^2), d the distance to the edge of the mask in px.
    Raises `ValueError` for a mask that does not lie on the voxels of the image.
    """
    same_place(image, mask)
    voxels, spacing = _upright(mask)
    values = {plain_name(name): value for value, name in mask.names.items()}
    told = np.zeros((2, len(levels), count, pixels, pixels), dtype=np.uint8)
    for n, place in enumerate(_places(voxels.shape[0], spacing[0], count, step_mm)):
        middle = int(np.clip(round(place), 0, voxels.shape[0] - 1))
        labels = _resampled(voxels[middle], spacing[1:], pixels, pixel_mm, order=0, outside=0)
        for v, level in enumerate(levels):
            inside = labels == values.get(level, -1)
            if inside.any():
                told[0, v, n] = 255 * inside
                told[1, v, n] = np.rint(255 * _edge(inside, edge_px))
    return told


def numbering(mask: Image) -> dict[str, int]:
    """Return the value of each level in a label map.

    Raises `ValueError` for a map without names.
    """
    if not mask.names:
        raise ValueError("a map of vertebral bodies names its values, such as 1: L1; this one has no names")
    return {plain_name(name): int(value) for value, name in mask.names.items()}


def on_volume(
    windows: Floats, image: Image, *, middles: Floats, side_mm: float, step_mm: float
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Lay windows `[levels, sections, r, r]` of 0 to 1 back onto the grid `[k, j, i]` of the volume.

    `middles` `[levels, 2]` is where each window lies in the field: down and backwards of its middle in mm, `side_mm`
    wide. Returns the highest value of any level, linear between the sections, and which level has it. Zero outside.
    """
    upright, spacing = _upright(image)
    best = np.zeros(upright.shape, dtype=np.float32)
    whose = np.zeros(upright.shape, dtype=np.uint8)
    across, down, back = (_offsets(n, mm) for n, mm in zip(upright.shape, spacing, strict=True))
    between = _linear(across / step_mm + (windows.shape[1] - 1) / 2, windows.shape[1])
    for v, (window, middle) in enumerate(zip(windows, middles, strict=True)):
        fine = window.shape[1] / side_mm
        rows, columns = (
            _linear((axis - at) * fine + (window.shape[1] - 1) / 2, window.shape[1])
            for axis, at in zip((down, back), middle, strict=True)
        )
        box = tuple(slice(*_ends(weights)) for weights in (between, rows, columns))
        weights = (between[box[0]], rows[box[1]], columns[box[2]])
        laid = np.einsum("xs,zr,yc,src->xzy", *weights, window, optimize=True)
        higher = laid > best[box]
        best[box] = np.where(higher, laid, best[box])
        whose[box] = np.where(higher, v, whose[box])
    return _back(best, image), _back(whose, image)


def label_map(found: NDArray[np.float32], whose: NDArray[np.uint8], image: Image, values: Mapping[str, int]) -> Image:
    """Return the map of levels where a voxel is more likely bone than not, with the numbers of `values` in order."""
    numbers = np.array([*values.values()], dtype=np.uint8)
    labels = np.where(found > 0.5, numbers[whose], 0).astype(np.uint8)
    return replace(image, voxels=labels, unit="label", names={n: level for level, n in values.items()})


def _upright(image: Image) -> tuple[NDArray[Any], tuple[float, float, float]]:
    """Return voxels `[x, z, y]`, to the left, from the head down and backwards, and their spacing in mm."""
    if image.spacing is None:
        raise ValueError("a volume without spacing has no sections of known width: give it one")
    order, flips = _axes(image)
    voxels = image.voxels.transpose(order)[flips]
    left, down, back = (image.spacing[axis] for axis in order)
    return voxels, (left, down, back)


def _axes(image: Image) -> tuple[tuple[int, ...], tuple[slice, ...]]:
    direction = np.asarray(image.direction)
    x, y, z = (int(np.argmax(np.abs(direction[:, axis]))) for axis in range(3))
    signs = (direction[x, 0] > 0, direction[z, 2] < 0, direction[y, 1] > 0)
    return (x, z, y), tuple(slice(None) if forward else slice(None, None, -1) for forward in signs)


def _back(upright: NDArray[Any], image: Image) -> NDArray[Any]:
    order, flips = _axes(image)
    return np.ascontiguousarray(upright[flips].transpose(np.argsort(order)))


def _places(voxels: int, spacing: float, count: int, step_mm: float) -> Floats:
    """Return where sections lie about the middle of the field, in voxels."""
    return np.asarray((voxels - 1) / 2 + (np.arange(count) - (count - 1) / 2) * step_mm / spacing)


def _offsets(voxels: int, spacing: float) -> Floats:
    """Return how far voxels lie from the middle of the field, in mm."""
    return np.asarray((np.arange(voxels) - (voxels - 1) / 2) * spacing)


def _resampled(
    plane: Any, spacing: Sequence[float], pixels: int, pixel_mm: float, *, order: Literal[0, 1], outside: float
) -> NDArray[Any]:
    """Return a plane about its middle on square pixels."""
    rows, columns = ((n - 1) / 2 + _offsets(pixels, pixel_mm) / mm for n, mm in zip(plane.shape, spacing, strict=True))
    where = np.stack(np.meshgrid(rows, columns, indexing="ij"))
    return np.asarray(ndimage.map_coordinates(plane, where, order=order, mode="constant", cval=outside))


def _edge(inside: NDArray[np.bool_], width: float) -> Floats:
    """Return how near the edge each pixel is: 1 on it, falling as a Gaussian on both sides."""
    within, without = (ndimage.distance_transform_edt(each) for each in (inside, ~inside))
    distance = np.where(inside, within, without) - 0.5
    edge: Floats = np.exp(-(distance**2) / (2 * width**2))
    return edge


def _linear(places: Floats, count: int) -> Floats:
    """Return weights `[places, count]` of linear interpolation, held for half a step beyond the ends, then zero."""
    weights: Floats = np.clip(1 - np.abs(places.clip(0, count - 1)[:, None] - np.arange(count)), 0, 1)
    weights[(places < -0.5) | (places > count - 0.5)] = 0
    return weights


def _ends(weights: Floats) -> tuple[int, int]:
    some = np.flatnonzero(weights.any(axis=1))
    return (int(some[0]), int(some[-1]) + 1) if len(some) else (0, 0)
