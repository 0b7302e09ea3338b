"""Pixels of a dual-energy pair: what is known of each, which are bone, and how much mineral lies in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import (
    binary_dilation,
    binary_erosion,
    binary_fill_holes,
    binary_opening,
    distance_transform_edt,
    gaussian_filter1d,
    gaussian_gradient_magnitude,
    label,
    uniform_filter,
)

from trabecula.measure.number import same_place
from trabecula.systems.hussain2019_dxa.denoise import non_local_means

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from trabecula.image import Image

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

FEATURES = ("high", "low", "ratio", "difference", "sum", "bone", "bone_mean", "bone_sd", "bone_gradient")
_HIGH, _LOW = 0, 1
_AIR = 0.3  # of the median log attenuation: rays below it go beside the body
_CLEAR_MM, _BESIDE_MM, _ALONG_MM = 3.0, 30.0, 6.0  # soft tissue beside bone: from, to, and SD of smoothing along rows
_FEWEST = 3  # pixels of soft tissue in a row that tell its ratio
_EDGE_PX = 5
_EVEN = 0.02  # share by which attenuation has to vary before a line is laid through it


def feature_maps(
    low: Image,
    high: Image,
    *,
    pixel_mm: float,
    patch: int,
    reach: int,
    strength: float,
) -> NDArray[np.float32]:
    """Return `FEATURES` of each pixel, `[feature, j, i]`, on pixels of about `pixel_mm` (0 leaves them as they are).

    Both beams are denoised, each on its own. Raises `ValueError` for beams that are no log attenuation, lie apart, or
    have no spacing.
    """
    same_place(low, high)
    if low.unit != "log" or high.unit != "log":
        raise ValueError(f"a dual-energy pair is two log attenuations; got {low.unit!r} and {high.unit!r}")
    times = shrinking(low, pixel_mm)
    j_low, j_high = (
        non_local_means(shrunk(image.voxels[0].astype(np.float64), times), patch=patch, reach=reach, strength=strength)
        for image in (low, high)
    )
    ratio = j_low / np.maximum(j_high, 1e-3)
    bone = j_low - _soft_ratio(ratio, j_high) * j_high
    mean = uniform_filter(bone, 5)
    sd = np.sqrt(np.maximum(uniform_filter(bone**2, 5) - mean**2, 0))
    maps = (j_high, j_low, ratio, j_low - j_high, j_low + j_high, bone, mean, sd, gaussian_gradient_magnitude(bone, 1))
    return np.stack(maps).astype(np.float32)


def shrinking(image: Image, pixel_mm: float) -> int:
    """Return how many pixels a side become one; raises `ValueError` without a spacing."""
    if image.spacing is None:
        raise ValueError("this scan has no pixel spacing, so no area in cm2 and no place in mm")
    return max(1, round(pixel_mm / image.spacing[1])) if pixel_mm else 1


def shrunk(values: Floats, times: int) -> Floats:
    """Return the means of squares of `times` pixels a side; what is left over at the far edges is cut off."""
    rows, columns = (n // times for n in values.shape)
    squares = values[: rows * times, : columns * times].reshape(rows, times, columns, times)
    return np.asarray(squares.mean(axis=(1, 3)))


def body(maps: NDArray[np.float32]) -> Mask:
    """Return the rays that go through the body."""
    high = maps[_HIGH]
    return np.asarray(high > _AIR * np.median(high))


def _soft_ratio(ratio: Floats, high: Floats) -> float:
    """Return the median ratio of the beams over seeds of soft tissue: the lower half of the ratios in the body."""
    return float(np.percentile(ratio[high > _AIR * np.median(high)], 25))


def sampled(maps: NDArray[np.float32], bone: Mask, count: int, rng: Generator) -> tuple[NDArray[np.float32], Mask]:
    """Return features `[n, feature]` and labels of pixels of the body, half of them bone, half of each at an edge."""
    edge = binary_dilation(bone, iterations=_EDGE_PX) & ~binary_erosion(bone, iterations=_EDGE_PX)
    chosen = []
    for kind in (bone, ~bone):
        for part in (edge, ~edge):
            places = np.flatnonzero(kind & part & body(maps))
            if len(places):
                chosen.append(rng.choice(places, size=min(count // 4, len(places)), replace=False))
    index = np.concatenate(chosen)
    return maps.reshape(len(maps), -1)[:, index].T, bone.ravel()[index]


def cleaned(bone: Mask) -> Mask:
    """Return bone without specks: opened by one pixel, pieces above 1 % of the picture, small holes filled."""
    opened = binary_opening(bone)
    pieces, _ = label(opened)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    kept = (sizes > bone.size / 100)[pieces]
    holes, _ = label(binary_fill_holes(kept) & ~kept)
    small = np.bincount(holes.ravel()) < bone.size / 200
    small[0] = False
    return np.asarray(kept | small[holes])


def areal_mineral(
    low: Floats, high: Floats, bone: Mask, *, mm: float, beams: tuple[float, float]
) -> tuple[Floats, float]:
    """Return areal mineral `[j, i]` in g/cm2 by the dual-energy equation, and the mean ratio of soft tissue over bone.

    (J_low - R J_high) / (mu_low - R mu_high); `beams` are mu of mineral in cm2/g, low and high. R is the ratio of the
    beams over soft tissue beside the bone: its mean in the same rows, both sides, and a straight line in J_high for
    all rows, because beams of many energies harden where the body is thick. Without hardening the line is level, and
    the equation exact.
    Raises `ValueError` when no soft tissue lies beside the bone, or it attenuates the beams as mineral does.
    """
    away = distance_transform_edt(~bone) * mm
    soft = (away > _CLEAR_MM) & (away < _BESIDE_MM) & (high > _AIR * np.median(high))
    told = np.flatnonzero(soft.sum(axis=1) >= _FEWEST)
    if len(told) < 2:
        raise ValueError("no soft tissue lies beside the bone, so that nothing tells how it attenuates the two beams")
    ratio = low / np.maximum(high, 1e-6)
    line = np.array([0.0, ratio[soft].mean()])
    if np.ptp(high[soft]) > _EVEN * high[soft].mean():
        line = np.polyfit(high[soft], ratio[soft], 1)
    off = np.where(soft, ratio - np.polyval(line, high), 0).sum(axis=1)[told] / soft.sum(axis=1)[told]
    rows = gaussian_filter1d(np.interp(np.arange(len(low)), told, off), _ALONG_MM / mm, mode="nearest")
    soft_ratio = np.polyval(line, high) + rows[:, None]
    mu_low, mu_high = beams
    per_g = mu_low - soft_ratio * mu_high
    inside = bone if bone.any() else soft
    if per_g[inside].min() <= 0.02 * mu_low:
        raise ValueError(f"soft tissue has the ratio {soft_ratio[inside].max():.3f} of the beams, as mineral has")
    mineral = (low - soft_ratio * high) / np.maximum(per_g, 0.02 * mu_low)
    return np.asarray(mineral), float(soft_ratio[inside].mean())
