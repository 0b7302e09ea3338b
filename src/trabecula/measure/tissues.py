"""The patient's own tissues found in a CT: air, fat, muscle, and blood where a label map names the aorta.

The rule (ours), on means of blocks of some 3 mm, in a slab of 8 cm about the bones that a mask names:

- **air**: between -1050 and -950 HU, more than 10 mm from anything denser than -300 HU, and not one constant value,
  which is the edge of the field and no air. Where the file cuts values off so that half of the noise in air is lost,
  there is none.
- **fat**: within 20 HU of the most frequent value between -140 and -60 HU, 3 mm deep or more.
- **muscle**: what a label map names so (psoas, iliopsoas, autochthon), of it what lies within 20 HU of its most
  frequent value between 20 and 90 HU. Where none is named, the same window behind vertebrae and at most 70 mm to their
  side, or within 60 mm of another bone.
- **blood**: what a label map names aorta, 3 mm deep or more.

Fat and air calibrate, muscle and blood tell contrast medium: `density.internal_calibration` says why. Blocks that lie
astride an edge are means of two tissues, and the windows keep most of them out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter1d

from trabecula.measure.density import in_hu
from trabecula.measure.masks import is_level, plain_name
from trabecula.measure.number import same_place

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from trabecula.image import Image

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

_BLOCK_MM, _SLAB_MM = 3.0, 40.0
_AIR_HU, _FAT_HU, _MUSCLE_HU = (-1050.0, -950.0), (-140.0, -60.0), (20.0, 90.0)
_BODY_HU, _CLEAR_MM, _DEEP_MM, _WINDOW_HU = -300.0, 10.0, 3.0, 20.0
_BESIDE_MM, _BEHIND_MM, _NEAR_MM = 70.0, 15.0, 60.0
_LEAST_CM3, _CUT_OFF = 3.0, 0.3
_MUSCLES = ("psoas", "iliopsoas", "autochthon")
_NAMES = ("air", "fat", "muscle", "blood")


def found_tissues(image: Image, maps: Sequence[Image]) -> Image:
    """Return a label map of air, fat, muscle and blood, of those that are found; `maps` name bones, muscles, the aorta.

    Raises `ValueError` for an image that is not in HU or has no spacing, maps of another place or without a bone, and
    where no fat is found.
    """
    in_hu(image)
    if image.spacing is None:
        raise ValueError("this image has no spacing, so nothing in it is so many mm from an edge")
    for each in maps:
        same_place(image, each)
    size = [max(1, round(_BLOCK_MM / mm)) for mm in image.spacing]
    mm = [n * step for n, step in zip(size, image.spacing, strict=True)]
    if min(n // block for n, block in zip(image.shape, size, strict=True)) < 1:
        raise ValueError(f"an image of {image.shape} voxels is too small to find tissues in: name them in a label map")
    hu, low, high = (_blocks(image.voxels, size, way) for way in (np.mean, np.min, np.max))
    marked = {name: _blocks(inside, size, np.min) for name, inside in _named(maps).items()}
    bones = {name: inside for name, inside in marked.items() if name not in (*_MUSCLES, "aorta")}
    places = _places(image, size, hu.shape)
    slab = _slab(places, bones)
    body = hu > _BODY_HU
    found = {
        "air": _air(_within(hu, _AIR_HU) & (_depth(~body, mm) > _CLEAR_MM) & (high > low), low),
        "fat": _depth(_frequent(hu, _within(hu, _FAT_HU) & slab, _FAT_HU), mm) > _DEEP_MM,
        "muscle": _frequent(hu, _muscle(marked, bones, places, mm) & _within(hu, _MUSCLE_HU) & slab, _MUSCLE_HU),
        "blood": _depth(marked.get("aorta", np.zeros(hu.shape, dtype=bool)), mm) > _DEEP_MM,
    }
    least = 1000 * _LEAST_CM3 / float(np.prod(mm))
    kept = {name: where & slab for name, where in found.items() if (where & slab).sum() >= least}
    if "fat" not in kept:
        raise ValueError(
            f"no {_LEAST_CM3:g} cm3 of fat could be found near the bones to calibrate by: bring calibration_rods, or "
            "tissues as a label map"
        )
    return _map(image, kept, size)


def _named(maps: Sequence[Image]) -> dict[str, Mask]:
    """Return what label maps name: muscles and the aorta by their word, each vertebra, and other bones together."""
    found: dict[str, Mask] = {}
    for each in maps:
        for value, name in each.names.items():
            plain = plain_name(name)
            word = plain.split()[-1]
            key = word if word in (*_MUSCLES, "aorta") else plain if is_level(plain) else "bone"
            found[key] = found.get(key, False) | (each.voxels == value)
    return found


def _blocks(voxels: NDArray[Any], size: list[int], way: Callable[..., NDArray[Any]]) -> NDArray[Any]:
    """Return the mean, least or most of blocks of so many voxels along k, j, i; what is left at the ends is dropped."""
    count = [n // block for n, block in zip(voxels.shape, size, strict=True)]
    whole = voxels[tuple(slice(0, n * block) for n, block in zip(count, size, strict=True))]
    shape = [n for pair in zip(count, size, strict=True) for n in pair]
    return way(whole.reshape(shape), axis=(1, 3, 5))


def _places(image: Image, size: list[int], shape: tuple[int, ...]) -> Floats:
    """Return the LPS positions in mm of the middles of blocks, `[k, j, i, 3]`."""
    index = [block * np.arange(n) + (block - 1) / 2 for n, block in zip(shape, size, strict=True)]
    grid = np.stack(np.meshgrid(*index, indexing="ij"), axis=-1)
    return np.asarray(grid @ image.affine[:3, :3].T + image.affine[:3, 3])


def _slab(places: Floats, bones: Mapping[str, Mask]) -> Mask:
    inside = _together(bones)
    if not inside.any():
        raise ValueError("no bone is named in the masks, near which tissues could be looked for")
    middle = float(np.median(places[inside][:, 2]))
    return np.asarray(np.abs(places[..., 2] - middle) < _SLAB_MM)


def _muscle(marked: Mapping[str, Mask], bones: Mapping[str, Mask], places: Floats, mm: list[float]) -> Mask:
    """Return where muscle is looked for: what is named so, or else where bones have it."""
    named = {name: inside for name, inside in marked.items() if name in _MUSCLES and inside.any()}
    if named:
        return _together(named)
    spine = {name: inside for name, inside in bones.items() if is_level(name)}
    if not spine:
        return np.asarray(_depth(~_together(bones), mm) < _NEAR_MM)
    middle = places[_together(spine)].mean(axis=0)
    beside, behind = np.abs(places[..., 0] - middle[0]), places[..., 1] - middle[1]
    return np.asarray((beside < _BESIDE_MM) & (behind > _BEHIND_MM))


def _together(parts: Mapping[str, Mask]) -> Mask:
    return np.logical_or.reduce(list(parts.values())) if parts else np.zeros((1, 1, 1), dtype=bool)


def _depth(inside: Mask, mm: list[float]) -> Floats:
    """Return how far in mm each block lies from what is not inside; the image's own end is no edge."""
    if inside.all():
        return np.full(inside.shape, np.inf)
    return np.asarray(distance_transform_edt(inside, sampling=mm))


def _air(candidates: Mask, low: Floats) -> Mask:
    """Return the candidates, or nothing where most of them reach the lowest value of the image: they are cut off."""
    cut_off = candidates.any() and (low[candidates] == low.min()).mean() > _CUT_OFF
    return np.zeros_like(candidates) if cut_off else candidates


def _within(hu: Floats, window: tuple[float, float]) -> Mask:
    return np.asarray((hu > window[0]) & (hu < window[1]))


def _frequent(hu: Floats, candidates: Mask, window: tuple[float, float]) -> Mask:
    """Return the candidates about the most frequent value of theirs."""
    if not candidates.any():
        return candidates
    edges = np.arange(window[0], window[1] + 1)
    counts = gaussian_filter1d(np.histogram(hu[candidates], edges)[0].astype(np.float64), 4.0)
    mode = edges[int(counts.argmax())] + 0.5
    return np.asarray(candidates & (np.abs(hu - mode) < _WINDOW_HU))


def _map(image: Image, found: Mapping[str, Mask], size: list[int]) -> Image:
    labels = np.zeros(image.shape, dtype=np.uint8)
    for name, where in found.items():
        whole = where
        for axis, block in enumerate(size):
            whole = np.repeat(whole, block, axis=axis)
        k, j, i = whole.shape
        labels[:k, :j, :i][whole] = _NAMES.index(name) + 1
    names = {value: name for value, name in enumerate(_NAMES, 1) if name in found}
    return replace(image, voxels=labels, unit="label", names=names)
