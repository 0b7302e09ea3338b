"""Columns of bone on voxels that are longer along the ray than across: fewer voxels for the same picture.

A voxel's share of a solid follows how fast the distance changes along the ray, so that surfaces across the ray leave
no steps where voxels are 2 to 3 times as long as wide.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from trabecula.phantom.material import BONE_MATRIX_CM3_PER_G, MINERAL_SHARE, get_material

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from trabecula.phantom.anatomy.scene import Bone, Grid, Scene

    Floats = NDArray[np.float64]
    Voxels = NDArray[np.float32]
    Texture = Callable[[Bone, Grid], Floats]

_BESIDE_BONE = "muscle"


def frontal_columns(scene: Scene, grid: Grid, texture: Texture) -> dict[str, Floats]:
    """Return columns in g/cm2 by material along y, `[row, column]` from the head down, as `Scene.columns` does.

    `texture` gives trabecular density over its mean in that projection, `[k, i]` of a bone's window. Bones may not
    overlap; they take the place of muscle.
    """
    total = {name: values[::-1] for name, values in replace(scene, bones=()).columns(grid, "ap").items()}
    for bone in scene.bones:
        if (window := grid.window(bone.solid.low, bone.solid.high)) is None:
            continue
        (k, _, i), inner = window
        whole, matrix = _bone_columns(bone, inner, texture(bone, inner))
        marrow = np.maximum(whole - BONE_MATRIX_CM3_PER_G * matrix, 0)
        total["bone_matrix"][k, i] += matrix
        for name, share in (("red_marrow", 1 - bone.fat), ("yellow_marrow", bone.fat)):
            total[name][k, i] += share * get_material(name).density * marrow
        beside = total[_BESIDE_BONE][k, i]
        total[_BESIDE_BONE][k, i] = np.maximum(beside - get_material(_BESIDE_BONE).density * whole, 0)
    return {name: values[::-1] for name, values in total.items()}


def frontal_outline(scene: Scene, grid: Grid) -> NDArray[np.bool_]:
    """Return which rays along y meet bone, `[row, column]` from the head down."""
    met = np.zeros((grid.shape[0], grid.shape[2]), dtype=bool)
    for bone in scene.bones:
        if (window := grid.window(bone.solid.low, bone.solid.high)) is not None:
            (k, _, i), inner = window
            met[k, i] |= (bone.solid.distance(*inner.axes()) < 0).any(axis=1)
    return met[::-1]


def _bone_columns(bone: Bone, grid: Grid, texture: Floats) -> tuple[Floats, Floats]:
    """Return the column of a bone's volume in cm and of its matrix in g/cm2, `[k, i]`."""
    x, y, z = grid.axes()
    distance = np.broadcast_to(bone.solid.distance(x, y, z), grid.shape)
    wall = bone.wall_mm(x, y, z) if callable(bone.wall_mm) else np.float32(bone.wall_mm)
    sparse = bone.trabecular_mg_cm3
    density = sparse(x, y, z) if callable(sparse) else np.float32(sparse)
    width = _width(distance, grid)
    share = np.clip(0.5 - distance / width, 0, 1)
    within = np.minimum(np.clip(0.5 - (distance + wall) / width, 0, 1), share)
    cm = grid.spacing[1] / 10
    whole, marrow_space = (part.sum(axis=1, dtype=np.float64) * cm for part in (share, within))
    trabecular = (within * density).sum(axis=1, dtype=np.float64) * cm
    mineral = trabecular * texture + (whole - marrow_space) * bone.cortical_mg_cm3
    return whole, mineral * 1e-3 / MINERAL_SHARE


def _width(distance: Voxels, grid: Grid) -> Voxels:
    """Return how far apart distances in a voxel are: its length along the ray where that is across the surface."""
    across, along = np.float32(grid.spacing[2]), np.float32(grid.spacing[1])
    step = np.empty_like(distance)
    step[:, 1:-1] = np.abs(distance[:, 2:] - distance[:, :-2]) / 2
    step[:, 0], step[:, -1] = step[:, min(1, step.shape[1] - 2)], step[:, -2]
    return np.asarray(np.maximum(step + across * (1 - np.minimum(step / along, 1)), 1e-3))
