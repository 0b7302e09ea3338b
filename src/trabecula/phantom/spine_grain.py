"""Grain of the spine: the trabecular texture of vertebral bodies, anchored to each: the field moves none of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trabecula.phantom.anatomy.vertebra import LEVELS
from trabecula.phantom.grain import density_field, projected_field

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from trabecula.phantom.anatomy.scene import Bone, Grain, Grid
    from trabecula.phantom.anatomy.trunk import Trunk

    Floats = NDArray[np.float64]
    Voxels = NDArray[np.float32]

_VOLUME, _AP, _LATERAL = 110, 111, 112  # streams of random numbers
_LEAST_MG_CM3 = 12.0


def volume_grain(trunk: Trunk) -> Grain:
    """Return local over mean trabecular density of a bone on a window of a grid; 1 on average within a body."""

    def grain(bone: Bone, grid: Grid) -> Voxels:
        if bone.name not in LEVELS:
            return np.ones(grid.shape, dtype=np.float32)
        low = np.asarray(bone.solid.low)[::-1]
        size = np.ceil((np.asarray(bone.solid.high)[::-1] - low) / grid.spacing).astype(int) + 3
        first = np.rint((np.asarray(grid.origin)[::-1] - low) / grid.spacing).astype(int) + 1
        made = density_field(
            _rng(trunk, _VOLUME, bone), (int(size[0]), int(size[1]), int(size[2])), grid.spacing,
            vbmd=_density(trunk), axial=trunk.skeleton.axial,
        )  # fmt: skip
        k, j, i = (
            np.clip(np.arange(n) + at, 0, made.shape[a] - 1)
            for a, (n, at) in enumerate(zip(grid.shape, first, strict=True))
        )
        local = made[np.ix_(k, j, i)]
        inside = np.broadcast_to(bone.solid.distance(*grid.axes()) < 0, grid.shape)
        if inside.any():
            local /= local[inside].mean()
        return np.asarray(local)

    return grain


def film_grain(trunk: Trunk, view: str) -> Callable[[Bone, Grid], Floats]:
    """Return local over mean trabecular density of a bone as a film shows it, `[k, j]` or `[k, i]` of a window."""
    kept = (0, 2) if view == "ap" else (0, 1)
    stream = _AP if view == "ap" else _LATERAL

    def grain(bone: Bone, grid: Grid) -> Floats:
        shape = tuple(grid.shape[axis] for axis in kept)
        if bone.name not in LEVELS:
            return np.ones(shape)
        extent = np.asarray(bone.solid.high) - np.asarray(bone.solid.low)
        low = np.asarray(bone.solid.low)[::-1][list(kept)]
        pixel, origin = grid.spacing[0], np.asarray(grid.origin)[::-1][list(kept)]
        size = np.ceil(extent[::-1][list(kept)] / pixel).astype(int) + 3
        first = np.rint((origin - low) / pixel).astype(int) + 1
        depth = 0.8 * float(extent[1] if view == "ap" else extent[0])
        made = projected_field(
            _rng(trunk, stream, bone), (int(size[0]), int(size[1])), pixel, vbmd=_density(trunk),
            depth_mm=depth, axial=trunk.skeleton.axial,
        )  # fmt: skip
        rows, columns = (
            np.clip(np.arange(n) + at, 0, made.shape[a] - 1) for a, (n, at) in enumerate(zip(shape, first, strict=True))
        )
        return made[np.ix_(rows, columns)].astype(np.float64)

    return grain


def _density(trunk: Trunk) -> float:
    return max(trunk.skeleton.lumbar_vbmd_mg_cm3, _LEAST_MG_CM3)


def _rng(trunk: Trunk, stream: int, bone: Bone) -> np.random.Generator:
    return np.random.default_rng([trunk.seed, trunk.patient, stream, LEVELS.index(bone.name)])
