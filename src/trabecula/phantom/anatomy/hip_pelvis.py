"""The bones of the pelvis about the midline: both hip bones with their mineral, the sacrum and the last vertebra."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trabecula.phantom.anatomy.hip_bone import PelvisShape, hip_bone_solid
from trabecula.phantom.anatomy.sampled import mirrored_place, sampled_place, sampled_solid
from trabecula.phantom.anatomy.scene import Bone
from trabecula.phantom.anatomy.solid import Solid, ellipsoid, half_space, joined, limb, pillar, rotation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.phantom.anatomy.solid import Law

    Floats = NDArray[np.float32]

_STEP_MM = 2.0
_WALL_MM, _ROOF_MM = 1.15, 1.5
"""Cortex of the hip bone, and what the roof of the socket has beyond it; ours."""


def pelvis_bones(
    shape: PelvisShape, *, trabecular_mg_cm3: float, cortical_mg_cm3: float, cortex: float, fat: float
) -> list[Bone]:
    """Return both hip bones and the sacrum; `cortex` is their thickness over the usual."""
    solid = hip_bone_solid(shape)
    surface = sampled_solid(solid, step_mm=_STEP_MM)

    def wall(x: Floats, y: Floats, z: Floats) -> Floats:
        return np.float32(cortex) * (np.float32(_WALL_MM) + np.float32(_ROOF_MM) * _roof(shape, x, y, z))

    def sparse(x: Floats, y: Floats, z: Floats) -> Floats:
        return np.float32(trabecular_mg_cm3) * (np.float32(0.75) + np.float32(1.1) * _roof(shape, x, y, z))

    thick, density = (sampled_place(law, solid.low, solid.high, step_mm=_STEP_MM) for law in (wall, sparse))
    left, right = (
        Bone(
            name=f"{side} hip bone", solid=outside, wall_mm=walls, cortical_mg_cm3=cortical_mg_cm3,
            trabecular_mg_cm3=inside, fat=fat,
        )
        for side, outside, walls, inside in (
            ("left", surface, thick, density),
            ("right", surface.mirrored(), mirrored_place(thick), mirrored_place(density)),
        )
    )  # fmt: skip
    sacrum = Bone(
        name="sacrum", solid=sampled_solid(_sacrum(shape.size), step_mm=_STEP_MM), wall_mm=0.8 * cortex,
        cortical_mg_cm3=cortical_mg_cm3, trabecular_mg_cm3=0.6 * trabecular_mg_cm3, fat=fat,
    )  # fmt: skip
    return [left, right, sacrum]


def _roof(shape: PelvisShape, x: Floats, y: Floats, z: Floats) -> Floats:
    """Return how near the loaded roof of the socket is, 0 to 1."""
    x = x - np.float32(shape.half_mm)
    away = np.sqrt(x * x + y * y + z * z)
    above = np.clip(1.6 * (z - np.float32(0.15) * x) / np.maximum(away, 1) - np.float32(0.6), 0, 1)
    return np.asarray(above * np.exp(-(((away - np.float32(shape.socket_mm)) / 7) ** 2)), dtype=np.float32)


def _sacrum(s: float) -> Solid:
    """Return the sacrum with dents for its foramina and the fifth lumbar vertebra above it."""
    z = np.array([-34.0, -20, 0, 20, 42, 62, 80, 108]) * s

    def law(*values: float) -> Law:
        return lambda at: np.asarray(np.interp(at, z, np.array(values) * s), dtype=np.float32)

    wedge = pillar(
        law(4, 7, 15, 26, 38, 49, 54, 50), law(4, 5, 7, 10, 13, 17, 20, 20), low_z=float(z[0]), high_z=float(z[-1]),
        exponent=2.5, centre_y=law(52, 64, 78, 84, 80, 68, 52, 44),
    )  # fmt: skip
    top = half_space((0.0, 44 * s, 90 * s), (0.0, -0.6, 0.8))
    dents = [
        ellipsoid((side * a * s, front * s, up * s), (r * s, 9 * s, 0.75 * r * s))
        for side in (-1, 1)
        for a, front, up, r in ((25, 50, 68, 7.5), (22, 63, 46, 7.0), (18, 74, 26, 6.0), (14, 74, 8, 5.0))
    ]
    wings = [
        limb([(0, 8 * s, 4 * s), (side * 28 * s, 10 * s, 4 * s), (side * 46 * s, 12 * s, 8 * s)], [8 * s, 7 * s, 4 * s])
        for side in (-1, 1)
    ]
    body = pillar(24.0 * s, 16.0 * s, low_z=-14 * s, high_z=14 * s, exponent=2.6)
    fifth = joined([body, *wings], blend_mm=6.0).moved(turn=rotation(about_x=22), shift=(0.0, 30 * s, 116 * s))
    return joined([(wedge & top) - joined(dents), fifth])
