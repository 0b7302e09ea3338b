"""A femur whose mineral is known: cortex solved so that projected mineral equals the areal BMD of neck and total hip.

Trabecular density is given, so two numbers are left: how much cortex the neck has and how much trochanters and shaft
have, over the usual. Most of a change goes into thickness, the rest into density, as cortex thins and becomes porous.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from trabecula.phantom.anatomy.femur import FemurShape, femur_solid, neck_share, neck_span, trabecular_law, wall_law
from trabecula.phantom.anatomy.hip_regions import BELOW_LESSER_MM, NECK, region_of
from trabecula.phantom.anatomy.sampled import mirrored_place, sampled_place, sampled_solid
from trabecula.phantom.anatomy.scene import Bone, Grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.phantom.anatomy.scene import Place
    from trabecula.phantom.anatomy.solid import Point

    Floats = NDArray[np.float32]

SCALES = (0.2, 6.0)
"""Cortex over the usual within which a solution is plausible.

The neck's cortex is then 1 to 5 mm on average in 99 of 100 people, at the outmost 0.6 and 7 at a T-score beyond 4.
"""
_USUAL_MG_CM3 = 960.0
_DENSITY_MG_CM3 = (780.0, 1030.0)
_THICKNESS = 0.80  # exponent of the scale that goes into thickness; the rest is density
_GRID_MM = 1.0
_CLOSE = 2e-4
_LAW_MM = 2.0  # steps in which cortex and trabecular density are sampled
_USUAL_VBMD = 130.0, 30.0  # mg/cm3: trabecular density at which the pattern is the usual one, and its SD


@dataclass(frozen=True, kw_only=True)
class HipMineral:
    """What is true of the mineral of somebody's hip; hydroxyapatite.

    Raises `ValueError` for what no bone holds.
    """

    neck_g_cm2: float
    total_g_cm2: float
    trabecular_mg_cm3: float
    """Mean over the trabecular bone of head and neck."""
    fat: float
    """Share of the marrow's volume that is yellow."""
    wall: float = 0.0
    """Thickness of the cortex beyond what goes with its mineral, in SD; thicker is more porous."""

    def __post_init__(self) -> None:
        limits = {
            "neck_g_cm2": (0.1, 2.5), "total_g_cm2": (0.1, 2.8), "trabecular_mg_cm3": (5, 450), "fat": (0, 1),
            "wall": (-6, 6),
        }  # fmt: skip
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"a hip's {name} lies between {low} and {high}; got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class FemurBone:
    """A femur with its mineral, solved."""

    shape: FemurShape
    mineral: HipMineral
    neck_scale: float
    """Cortex of neck and head over the usual."""
    shaft_scale: float
    """Cortex of trochanters and shaft over the usual."""
    pattern: float
    """Trabecular density in mg/cm3 where the pattern is 1."""

    @property
    def cortical_mg_cm3(self) -> float:
        """Density of the cortex."""
        return _cortical(self.neck_scale, self.shaft_scale, self.mineral.wall)

    def wall_mm(self, x: Floats, y: Floats, z: Floats) -> Floats:
        """Return the thickness of the cortex in mm, in the femur's own frame."""
        share = neck_share(self.shape, x, z)
        thick = np.float32(1 + 0.03 * self.mineral.wall)
        neck, shaft = (np.float32(scale**_THICKNESS) for scale in (self.neck_scale, self.shaft_scale))
        return np.asarray(wall_law(self.shape, x, y, z) * (shaft + share * (neck - shaft)) * thick, dtype=np.float32)

    def trabecular_mg_cm3(self, x: Floats, y: Floats, z: Floats) -> Floats:
        """Return trabecular density, in the femur's own frame."""
        return np.float32(self.pattern) * trabecular_law(self.shape, x, y, z, loss=_loss(self.mineral))


@dataclass(frozen=True, kw_only=True)
class Pose:
    """Where a left femur lies: turned about the centre of its head, which is then moved to a place in LPS mm."""

    head: Point
    turn: tuple[Point, Point, Point]
    """Rows of a rotation matrix."""

    def local(self, shape: FemurShape, x: Floats, y: Floats, z: Floats) -> tuple[Floats, Floats, Floats]:
        """Return places in the femur's own frame."""
        m = np.asarray(self.turn, dtype=np.float32)
        hx, hy, hz = (np.float32(mm) for mm in self.head)
        x, y, z = x - hx, y - hy, z - hz
        ox, oy, oz = (np.float32(mm) for mm in shape.head)
        return (
            m[0, 0] * x + m[1, 0] * y + m[2, 0] * z + ox,
            m[0, 1] * x + m[1, 1] * y + m[2, 1] * z + oy,
            m[0, 2] * x + m[1, 2] * y + m[2, 2] * z + oz,
        )


@lru_cache(maxsize=8)
def posed(bone: FemurBone, pose: Pose, *, name: str = "femur", mirrored: bool = False) -> Bone:
    """Return the bone of a scene; `mirrored` puts it to the other side of x = 0."""
    shape = bone.shape
    back = -np.asarray(pose.turn, dtype=float) @ np.asarray(shape.head)
    solid = femur_solid(shape).moved(turn=pose.turn, shift=(back + pose.head).tolist())

    def placed(value: Place) -> Place:
        law = sampled_place(lambda x, y, z: value(*pose.local(shape, x, y, z)), solid.low, solid.high, step_mm=_LAW_MM)
        return mirrored_place(law) if mirrored else law

    surface = sampled_solid(solid)
    return Bone(
        name=name,
        solid=surface.mirrored() if mirrored else surface,
        wall_mm=placed(bone.wall_mm),
        cortical_mg_cm3=bone.cortical_mg_cm3,
        trabecular_mg_cm3=placed(bone.trabecular_mg_cm3),
        fat=bone.mineral.fat,
    )


@lru_cache(maxsize=16)
def solve(shape: FemurShape, mineral: HipMineral) -> FemurBone:
    """Return the femur whose mineral, projected with its neck in the plane, gives both areal BMDs.

    Both are mineral over area of the region's mask, solved on a grid of 1 mm; on masks of 0.6 to 1.2 mm they are met
    within 1 %, as masks cut pixels at their rims.
    Raises `ValueError` where no plausible cortex does.
    """
    laid = _Laid(shape, mineral)
    wanted = np.log([mineral.neck_g_cm2, mineral.total_g_cm2])
    scales = np.zeros(2)
    limits = np.log(SCALES)
    for _ in range(25):
        off = wanted - np.log(laid.areal(scales))
        if np.abs(off).max() < _CLOSE:
            break
        columns = [(np.log(laid.areal(scales + step)) - wanted + off) / 0.02 for step in 0.02 * np.eye(2)]
        change = np.linalg.solve(np.stack(columns, axis=1), off)
        scales = np.clip(scales + np.clip(change, -0.5, 0.5), *limits)
    else:
        raise ValueError(
            f"no plausible cortex gives {mineral.neck_g_cm2} and {mineral.total_g_cm2} g/cm2 with "
            f"{mineral.trabecular_mg_cm3:.0f} mg/cm3 of trabecular bone: cortex would be {np.exp(scales).round(2)} "
            f"of the usual in neck and shaft"
        )
    neck, shaft = np.exp(scales).tolist()
    return FemurBone(shape=shape, mineral=mineral, neck_scale=neck, shaft_scale=shaft, pattern=laid.pattern)


class _Laid:
    """A femur laid on a grid with its neck in the plane, as far down as total hip reaches."""

    def __init__(self, shape: FemurShape, mineral: HipMineral) -> None:
        solid = femur_solid(shape)
        low = (solid.low[0], solid.low[1], shape.lesser_mm - BELOW_LESSER_MM)
        grid = Grid.around(low, solid.high, (_GRID_MM, _GRID_MM, _GRID_MM))
        x, y, z = grid.axes()
        distance = solid.distance(x, y, z)
        nearest = distance.min(axis=1)
        lines = _covered(shape, x[:, 0], z[:, 0])
        self.areas = [float((share * np.clip(0.5 - nearest / _GRID_MM, 0, 1)).sum()) for share in lines]
        self.neck, self.total = (share * (nearest < 0) for share in lines)
        voxels = distance < _GRID_MM
        u = np.broadcast_to(shape.neck_places(x, z)[0], grid.shape)[voxels]
        wall = np.broadcast_to(wall_law(shape, x, y, z), grid.shape)[voxels]
        share = np.broadcast_to(neck_share(shape, x, z), grid.shape)[voxels]
        law = np.broadcast_to(trabecular_law(shape, x, y, z, loss=_loss(mineral)), grid.shape)[voxels]
        self.wall, self.share, self.distance = wall * (1 + 0.03 * mineral.wall), share, distance[voxels]
        rays = np.broadcast_to(np.arange(nearest.size).reshape(nearest.shape)[:, None, :], grid.shape)
        self.rays, self.size, self.sd = rays[voxels], nearest.size, mineral.wall
        measured = (self.distance < -wall) & (u > neck_span(shape)[0])
        self.pattern = float(mineral.trabecular_mg_cm3 / law[measured].mean())
        self.trabecular = self.pattern * law

    def areal(self, log_scales: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return areal BMD of neck and total hip in g/cm2 for the logarithms of both scales."""
        neck, shaft = (float(np.exp(value)) for value in log_scales)
        wall = self.wall * (shaft**_THICKNESS + self.share * (neck**_THICKNESS - shaft**_THICKNESS))
        whole, within = (np.clip(0.5 - d / _GRID_MM, 0, 1) for d in (self.distance, self.distance + wall))
        mg_cm3 = _cortical(neck, shaft, self.sd) * (whole - within) + self.trabecular * within
        column = np.bincount(self.rays, mg_cm3, self.size) * _GRID_MM * 1e-4
        masses = [float(share.ravel() @ column) for share in (self.neck, self.total)]
        return np.array(masses) / self.areas


def _covered(shape: FemurShape, x: Floats, z: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the share of each pixel `[row, column]` that lies within the lines of the neck box and of total hip."""
    steps = [np.float32(_GRID_MM * (n - 1.5) / 4) for n in range(4)]
    labels = np.stack([region_of(shape, x + dx, z + dz) for dx in steps for dz in steps])
    return (labels == NECK).mean(axis=0), (labels > 0).mean(axis=0)


def _cortical(neck: float, shaft: float, wall: float) -> float:
    dense = _USUAL_MG_CM3 * (neck * shaft) ** (0.5 * (1 - _THICKNESS)) * (1 - 0.02 * wall)
    return float(np.clip(dense, *_DENSITY_MG_CM3))


def _loss(mineral: HipMineral) -> float:
    """Return how far trabecular bone is lost, in SD."""
    usual, sd = _USUAL_VBMD
    return (usual - mineral.trabecular_mg_cm3) / sd
