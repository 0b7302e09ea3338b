"""From a radiograph to the histogram of its region, and from histograms to the share of pixels in each cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from trabecula.measure.clustering import fuzzy_c_means, k_means

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trabecula.image import Image

    Floats = NDArray[np.float64]

Method = Literal["k_means", "fuzzy_c_means"]
LEVELS = 256

_SEED = 0
_POOLED = 100_000  # pixels that stand for all training regions together, each region with the same number


def inside(image: Image, mask: Image | None, box_px: int) -> NDArray[np.bool_]:
    """Return which pixels `[k, j, i]` are looked at: the mask, or without one a box in the middle of the picture.

    Raises `ValueError` for a mask of another shape, an empty one, and an image of several slices.
    """
    if image.shape[0] != 1:
        raise ValueError(f"a radiograph is one picture; this one has {image.shape[0]} slices")
    if mask is not None:
        if mask.shape != image.shape:
            raise ValueError(f"the mask {mask.shape} does not lie on the picture {image.shape}")
        if not mask.voxels.any():
            raise ValueError("the mask is empty: there is no region to look at")
        return np.asarray(mask.voxels != 0)
    found = np.zeros(image.shape, dtype=bool)
    _, rows, columns = image.shape
    top, left = max(0, (rows - box_px) // 2), max(0, (columns - box_px) // 2)
    found[:, top : top + box_px, left : left + box_px] = True
    return found


def greys(image: Image) -> NDArray[np.uint8]:
    """Return the picture in 8 bits: as it is where it has them, else from its lowest to its highest value.

    Raises `ValueError` for a picture that is the same everywhere.
    """
    if image.voxels.dtype == np.uint8:
        return np.asarray(image.voxels)
    values = image.voxels.astype(np.float64)
    low, high = values.min(), values.max()
    if low == high:
        raise ValueError("the picture is the same everywhere: there is nothing in it to see")
    return np.asarray(np.rint((LEVELS - 1) * (values - low) / (high - low)), dtype=np.uint8)


def grey_histogram(image: Image, *masks: Image, box_px: int) -> NDArray[np.int64]:
    """Return how many pixels of the region have each grey level `[256]`; errors as `inside` and `greys`."""
    region = inside(image, masks[0] if masks else None, box_px)
    return np.bincount(greys(image)[region], minlength=LEVELS)


def clustered(image: Image, *masks: Image, method: Method, clusters: int, box_px: int) -> Floats:
    """Return the centres of the clusters of one region, from dark to bright, `[cluster]`.

    Raises `ValueError` as `grey_histogram`, and for fewer different grey levels than clusters.
    """
    return centres_of(grey_histogram(image, *masks, box_px=box_px), method, clusters)


def centres_of(counts: NDArray[np.int64], method: Method, clusters: int) -> Floats:
    """Return the centres of the clusters of a histogram `[256]`, from dark to bright, `[cluster]`."""
    values = np.repeat(np.arange(LEVELS, dtype=np.float64), counts)[:, None]
    found = (k_means if method == "k_means" else fuzzy_c_means)(values, clusters, seed=_SEED)
    return found.centres[:, 0]


def pooled(histograms: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return one histogram `[256]` of many regions, in which each counts alike."""
    shares = np.mean([counts / counts.sum() for counts in histograms], axis=0)
    return np.asarray(np.rint(_POOLED * shares), dtype=np.int64)


def shares_of(counts: NDArray[np.int64], centres: Floats) -> Floats:
    """Return the share of pixels nearest to each centre `[cluster]`, which add up to 1.

    The nearest centre is also the one with the largest membership in fuzzy clusters.
    """
    held = np.bincount(nearest(np.arange(LEVELS), centres), counts, minlength=len(centres))
    return np.asarray(held / counts.sum())


def nearest(levels: NDArray[np.generic], centres: Floats) -> NDArray[np.intp]:
    """Return the cluster of grey levels of any shape; the darker one halfway between two."""
    return np.asarray(np.abs(np.asarray(levels, dtype=np.float64)[..., None] - centres).argmin(axis=-1))
