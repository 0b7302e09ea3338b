"""Sagittal slices as the network sees them: 80 x 60, 0 to 255, head up, front to the left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.image import Image


def sagittal(
    image: Image,
    *,
    rows: int,
    columns: int,
    count: int,
    spread_mm: float,
    window_hu: tuple[float, float],
    percentiles: tuple[float, float],
    nearest: bool,
) -> NDArray[np.uint8]:
    """Return `count` slices `[n, rows, columns]` that lie evenly within `spread_mm` about the middle of a volume.

    A picture of one slice is taken as it is, and gives one. HU are shown in the window; pictures of 8 bits keep their
    values; anything else is scaled so that the two percentiles become 0 and 255. Raises `ValueError` for a volume
    whose spacing is not known.
    """
    from PIL import Image as Picture  # noqa: PLC0415 keeps the import of the system light

    slices = image.voxels if image.shape[0] == 1 else _middle(image, count, spread_mm)
    method = Picture.Resampling.NEAREST if nearest else Picture.Resampling.BICUBIC
    low, high = _range(image, slices, window_hu, percentiles)
    grey = np.clip((slices.astype(np.float32) - low) / max(high - low, 1e-6), 0, 1)
    resized = [np.asarray(Picture.fromarray(each).resize((columns, rows), method)) for each in grey]
    shown: NDArray[np.uint8] = np.rint(255 * np.clip(resized, 0, 1)).astype(np.uint8)
    return shown


def _middle(image: Image, count: int, spread_mm: float) -> NDArray[Any]:
    """Return slices `[n, z, y]` about the sagittal plane in the middle of the field, head up, front to the left."""
    if image.spacing is None:
        raise ValueError("a volume without spacing has no sagittal plane: give it one, or give a sagittal picture")
    direction = np.asarray(image.direction)
    x, y, z = (int(np.argmax(np.abs(direction[:, axis]))) for axis in range(3))
    voxels = image.voxels.transpose(x, z, y)
    if direction[z, 2] > 0:
        voxels = voxels[:, ::-1]
    if direction[y, 1] < 0:
        voxels = voxels[:, :, ::-1]
    half = spread_mm / 2 / image.spacing[x] if count > 1 else 0.0
    places = (len(voxels) - 1) / 2 + np.linspace(-half, half, count)
    taken: NDArray[Any] = voxels[np.rint(places).astype(int).clip(0, len(voxels) - 1)]
    return taken


def _range(
    image: Image, slices: NDArray[Any], window_hu: tuple[float, float], percentiles: tuple[float, float]
) -> tuple[float, float]:
    """Return what becomes black and what becomes white."""
    if image.unit == "HU":
        return window_hu
    if image.voxels.dtype == np.uint8:
        return 0.0, 255.0
    low, high = np.percentile(slices, percentiles)
    return float(low), float(high)
