"""The bone of a spine, solved: walls and cortex such that L1-L4 hold the mineral that DXA is to find.

The DXA region is the AP outline of the four vertebral bodies L1 to L4, seen along parallel rays; everything in front
of or behind it counts, arches of the neighbours included. Trabecular density is given, so cortex and arches must bear
the rest: one number, the `build`, scales their thickness and density together, and is found by regula falsi.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import brentq

from trabecula.phantom.anatomy.scene import Bone, Grid, Scene, share_inside
from trabecula.phantom.anatomy.solid import Solid
from trabecula.phantom.anatomy.spine import sacrum_solid
from trabecula.phantom.anatomy.vertebra import (
    LEVELS,
    arch_solid,
    body_solid,
    endplate_nearness,
    pedicle_solid,
    place_in_body,
)
from trabecula.phantom.grain import vertebral_trend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trabecula.phantom.anatomy.spine import Frame, Spine
    from trabecula.phantom.anatomy.vertebra import Vertebra
    from trabecula.phantom.people import Skeleton

    Floats = NDArray[np.float64]
    Voxels = NDArray[np.float32]

REGION = ("L1", "L2", "L3", "L4")
"""Levels of the DXA region."""
_AROUND = ("T12", "L1", "L2", "L3", "L4", "L5")
_BUILDS = (0.08, 4.0)
_SOLVING_MM = 1.5

# What is usual at a build of 1; ours, within what is measured by micro-CT.
_SIDE_MM, _PLATE_MM, _ARCH_MM = 0.46, 0.72, 1.05
_CORTEX_MG_CM3, _DENSEST_MG_CM3 = 880.0, 1020.0
_ARCH_TRABECULAR = 1.4
_MIDDLE = 0.93
"""Mean of the trend of density within a body over its trabecular region, where density is what it is said to be."""


@dataclass(frozen=True, kw_only=True)
class SpineBone:
    """Walls in mm, and densities in mg/cm3 of hydroxyapatite, that all levels share.

    Raises `ValueError` for a wall or density below zero or above what bone holds.
    """

    side_mm: float
    """Wall of the bodies at their sides."""
    plate_mm: float
    """Bony endplates."""
    arch_mm: float
    cortical_mg_cm3: float
    trabecular_mg_cm3: float
    """In the middle of the bodies; denser by the endplates, sparser in front (`grain.vertebral_trend`)."""
    arch_trabecular_mg_cm3: float
    marrow_fat: float

    def __post_init__(self) -> None:
        walls = (self.side_mm, self.plate_mm, self.arch_mm)
        densities = (self.cortical_mg_cm3, self.trabecular_mg_cm3, self.arch_trabecular_mg_cm3)
        if not (min(walls) >= 0 and min(densities) >= 0 and max(densities) <= 1034 and 0 <= self.marrow_fat <= 1):
            raise ValueError(f"walls are not negative, densities 0 to 1034 mg/cm3, a share 0 to 1; got {self}")


def built(build: float, skeleton: Skeleton) -> SpineBone:
    """Return the bone of a build; 1 is usual."""
    thick = build**0.7
    wall = 1 + 0.08 * float(np.clip(skeleton.wall, -3, 3))
    vbmd = skeleton.lumbar_vbmd_mg_cm3
    return SpineBone(
        side_mm=_SIDE_MM * thick * wall, plate_mm=_PLATE_MM * thick * wall, arch_mm=_ARCH_MM * thick,
        cortical_mg_cm3=min(_CORTEX_MG_CM3 * build**0.3, _DENSEST_MG_CM3), trabecular_mg_cm3=vbmd,
        arch_trabecular_mg_cm3=min(_ARCH_TRABECULAR * vbmd, 500.0), marrow_fat=skeleton.marrow_fat,
    )  # fmt: skip


def spine_bones(spine: Spine, bone: SpineBone, levels: Sequence[str] = LEVELS, *, sacrum: bool = True) -> list[Bone]:
    """Return the bones of some levels: the body by the name of its level, its arch as `L1_arch`, and the sacrum."""
    bones = []
    for part in (_body, _arch):
        bones += [part(spine.vertebrae[level], spine.frames[level], bone) for level in levels]
    if sacrum:
        bones.append(
            Bone(
                name="sacrum", solid=sacrum_solid(spine), wall_mm=0.8 * bone.arch_mm,
                cortical_mg_cm3=bone.cortical_mg_cm3, trabecular_mg_cm3=0.8 * bone.trabecular_mg_cm3,
                fat=bone.marrow_fat,
            )
        )  # fmt: skip
    return bones


def region_bmd(spine: Spine, bone: SpineBone, *, spacing_mm: float = _SOLVING_MM) -> float:
    """Return the areal BMD in g/cm2 of hydroxyapatite that the DXA region L1-L4 holds."""
    grid = _solving_grid(spine, spacing_mm)
    return _areal(spine_bones(spine, bone, _AROUND, sacrum=False), grid, region(spine, grid))


def region(spine: Spine, grid: Grid) -> Floats:
    """Return the share of each column `[row, column]` that the AP outline of the bodies L1 to L4 covers.

    Rows run from the head down, as in `Scene.columns`.
    """
    covered = np.zeros((grid.shape[0], grid.shape[2]))
    for level in REGION:
        solid = spine.frames[level].placed(body_solid(spine.vertebrae[level]))
        if (window := grid.window(solid.low, solid.high)) is not None:
            (k, _, i), inner = window
            covered[k, i] = np.maximum(covered[k, i], share_inside(solid, inner).max(axis=1))
    return covered[::-1]


def solved_bone(spine: Spine, skeleton: Skeleton) -> SpineBone:
    """Return the bone whose DXA region L1-L4 holds the skeleton's areal BMD at its trabecular density.

    Raises `ValueError` where no plausible cortex does.
    """
    grid = _solving_grid(spine, _SOLVING_MM)
    covered = region(spine, grid)
    solids = [_kept(bone.solid) for bone in spine_bones(spine, built(1.0, skeleton), _AROUND, sacrum=False)]
    wanted = skeleton.lumbar_g_cm2

    def found(build: float) -> float:
        bones = spine_bones(spine, built(build, skeleton), _AROUND, sacrum=False)
        kept = [replace(bone, solid=solid) for bone, solid in zip(bones, solids, strict=True)]
        return _areal(kept, grid, covered)

    least, most = (found(build) for build in _BUILDS)
    if not least < wanted < most:
        raise ValueError(
            f"no plausible cortex makes {wanted:.3f} g/cm2 of L1-L4 with trabecular bone of "
            f"{skeleton.lumbar_vbmd_mg_cm3:.0f} mg/cm3: {least:.3f} to {most:.3f} g/cm2 are possible"
        )
    build, *_ = brentq(lambda build: found(build) - wanted, *_BUILDS, xtol=1e-3, rtol=1e-3, full_output=True)
    return built(float(build), skeleton)


def _solving_grid(spine: Spine, spacing_mm: float) -> Grid:
    low, high = spine.reach("L1", "L4")
    wide = max(spine.vertebrae[level].width for level in REGION) / 2 + 6
    across = [spine.frames[level].shift[0] for level in REGION]
    back = [spine.frames[level].shift[1] for level in REGION]
    return Grid.around(
        (min(across) - wide, min(back) - 25, low - 2), (max(across) + wide, max(back) + 85, high + 2),
        (spacing_mm, spacing_mm, spacing_mm),
    )  # fmt: skip


def _areal(bones: Sequence[Bone], grid: Grid, covered: Floats) -> float:
    """Return g/cm2 over the region: the bodies' own mineral is all inside their outline, of the rest what it covers."""
    bodies = tuple(bone for bone in bones if bone.name in REGION)
    own, total = (Scene(tissues=(), bones=part).mineral(grid) for part in (bodies, tuple(bones)))
    return float((own + (total - own) * covered).sum() / covered.sum())


def _kept(solid: Solid) -> Solid:
    """Return a solid that keeps its last distances: for one grid, asked again and again."""
    last: dict[tuple[float, ...], Voxels] = {}

    def distance(x: Voxels, y: Voxels, z: Voxels) -> Voxels:
        key = (x.size, y.size, z.size, float(x.flat[0]), float(y.flat[0]), float(z.flat[0]))
        if key not in last:
            last.clear()
            last[key] = solid.distance(x, y, z)
        return last[key]

    return Solid(distance, solid.low, solid.high)


def _body(vertebra: Vertebra, frame: Frame, bone: SpineBone) -> Bone:
    pedicles = pedicle_solid(vertebra)
    side, plate = np.float32(bone.side_mm), np.float32(bone.plate_mm)

    def wall(x: Voxels, y: Voxels, z: Voxels) -> Voxels:
        x, y, z = frame.local(x, y, z)
        near = endplate_nearness(vertebra, x, y, z)
        thick = side + (plate - side) * np.clip(1.5 - near / np.float32(1.5), 0, 1)
        return np.asarray(thick * np.clip(0.5 + pedicles.distance(x, y, z), 0, 1))

    def trabecular(x: Voxels, y: Voxels, z: Voxels) -> Voxels:
        up, front = place_in_body(vertebra, *frame.local(x, y, z))
        return np.asarray(bone.trabecular_mg_cm3 / _MIDDLE * vertebral_trend(up, front), dtype=np.float32)

    return Bone(
        name=vertebra.level, solid=frame.placed(body_solid(vertebra)), wall_mm=wall,
        cortical_mg_cm3=bone.cortical_mg_cm3, trabecular_mg_cm3=trabecular, fat=bone.marrow_fat,
    )  # fmt: skip


def _arch(vertebra: Vertebra, frame: Frame, bone: SpineBone) -> Bone:
    return Bone(
        name=f"{vertebra.level}_arch", solid=frame.placed(arch_solid(vertebra)), wall_mm=bone.arch_mm,
        cortical_mg_cm3=bone.cortical_mg_cm3, trabecular_mg_cm3=bone.arch_trabecular_mg_cm3, fat=bone.marrow_fat,
    )  # fmt: skip
