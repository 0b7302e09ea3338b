"""The knee: distal femur, patella, proximal tibia and fibula as solids in mm, and the leg about them.

The frame is that of a right knee 80 mm wide: x to the medial side, y backwards, z to the head, 0 in the middle of the
tibial plateau. Shapes were made after ordinary radiographs and atlases: **approximate**.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import PchipInterpolator

from trabecula.phantom.anatomy.sampled import sampled_solid
from trabecula.phantom.anatomy.scene import Bone, Scene, Tissue
from trabecula.phantom.anatomy.solid import Solid, ellipsoid, joined, limb, pillar, rod_between, rotation
from trabecula.phantom.material import pure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.random import Generator
    from numpy.typing import NDArray

    from trabecula.phantom.anatomy.scene import Place
    from trabecula.phantom.anatomy.solid import Law

    Floats = NDArray[np.float32]

CORTICAL_MG_CM3 = 1000.0
_FAT = 0.85
"""Share of yellow marrow in an adult's knee; ours."""
_SPUR_MM = 0.2
"""Smaller spurs are not there."""
_LONG_MM = 180.0
"""How far the shafts reach; a film ends before."""
_SAMPLED_MM = 2.0

# Half widths to the side and backwards, and places of the middle, of shafts by height: (z, mm).
# fmt: off
_FEMUR_WIDE = [(14, 32), (22, 38), (32, 39.5), (42, 36.5), (52, 30.5), (66, 23), (85, 17.8), (110, 15.4),
               (_LONG_MM, 14.8)]
_FEMUR_DEEP = [(14, 17), (22, 20.5), (36, 20.5), (52, 17.5), (70, 15.5), (100, 14.5), (_LONG_MM, 14.8)]
_FEMUR_BACK = [(14, -9), (30, -8), (55, -4), (90, 0), (_LONG_MM, -3)]
_TIBIA_WIDE = [(-_LONG_MM, 11.5), (-110, 12.8), (-75, 14.6), (-53, 18), (-38, 24.5), (-25, 33), (-15, 38.8), (-7, 40.5),
               (-2, 39.3), (0, 35.5)]
_TIBIA_DEEP = [(-_LONG_MM, 12), (-110, 13.5), (-60, 16), (-38, 18.5), (-22, 21.5), (-8, 24.5), (-2, 24), (0, 21)]
_TIBIA_MEDIAL = [(-_LONG_MM, 1.5), (-75, 1.2), (-30, 0.6), (0, 0)]
_TIBIA_BACK = [(-_LONG_MM, 2), (-60, 0), (-25, 1.5), (0, 3)]
_FIBULA_BELOW_HEAD = [(-39.5, 14.5, -32), (-37.5, 13, -48), (-35.5, 12, -75), (-33.5, 10, -120), (-32.5, 9, -_LONG_MM)]
_FIBULA_RADII = (3.6, 7.4, 6.9, 5.5, 5.2, 5.2, 5.4)
# fmt: on


@dataclass(frozen=True, kw_only=True)
class Leg:
    """What about a leg does not depend on its bone density."""

    age: float
    male: bool
    height_cm: float
    bmi: float


@dataclass(frozen=True, kw_only=True)
class KneeBone:
    """Trabecular density and cortical thickness in young SD."""

    trabecular: float
    cortical: float

    @property
    def trabecular_mg_cm3(self) -> float:
        """Hydroxyapatite about the joint: 210 in the young, 40 less per SD; ours."""
        return float(np.clip(210 + 40 * self.trabecular, 30, 420))

    @property
    def shaft_mm(self) -> float:
        """Cortex of the shafts: 4.6 mm in the young, 0.7 less per SD; ours."""
        return float(np.clip(4.6 + 0.7 * self.cortical, 1.2, 8.0))

    @property
    def shell_mm(self) -> float:
        """Cortex about the joint: 1.0 mm in the young, 0.1 less per SD; ours."""
        return float(np.clip(1.0 + 0.10 * self.cortical, 0.5, 1.6))


@dataclass(frozen=True, eq=False, kw_only=True)
class Knee:
    """Somebody's right knee, whatever the side it stands for, at its true size."""

    femur: Solid
    tibia: Solid
    fibula: Solid
    patella: Solid
    leg: Solid
    muscle: Solid
    size: float
    wear: float
    """0 young, 1 worn: narrow, with spurs and dense plates."""


def draw_knee(rng: Generator, leg: Leg) -> Knee:
    """Draw a knee."""
    drawn = rng.standard_normal(40).clip(-2.5, 2.5)
    wear = float(np.clip((leg.age - 52) / 45 + 0.35 * drawn[0], 0, 1.1))
    size = leg.height_cm / 170 * (1.03 if leg.male else 0.97) * (1 + 0.035 * drawn[1])
    medial, lateral = 4.8 - 2.4 * wear, 5.2 - 0.8 * wear + 0.4 * drawn[2]
    spur = 1.4 * wear**2 * np.abs(drawn[3:5])
    bow, valgus, turn = 1.0 + 2.0 * drawn[5], -6.0 + 1.5 * drawn[6], 2.0 * drawn[7]
    tilt = float(np.rad2deg(np.arctan((medial - lateral) / 44)))
    femur = _femur(size, drawn[10:20], valgus=valgus, spur=spur[0]).moved(
        shift=(0, 0, (medial + lateral) / 2), turn=rotation(about_y=-tilt)
    )
    slope = rotation(about_x=3.5 + 2.0 * drawn[8], about_y=-bow)
    tibia, fibula = (
        each.moved(turn=slope) for each in (_tibia(size, drawn[20:28], spur=spur[1]), _fibula(size, drawn[28:32]))
    )
    patella = _patella(size, drawn[32:38])
    whole = rotation(about_y=turn)
    bones = [sampled_solid(each.moved(turn=whole), step_mm=_SAMPLED_MM) for each in (femur, tibia, fibula, patella)]
    skin, muscle = _flesh(leg, size, drawn[38:40])
    return Knee(
        femur=bones[0], tibia=bones[1], fibula=bones[2], patella=bones[3], leg=skin, muscle=muscle, size=size, wear=wear
    )


def knee_scene(knee: Knee, bone: KneeBone) -> Scene:
    """Return the knee with its walls and marrow, in a leg of fat and muscle."""
    thin, thick, size = np.float32(bone.shell_mm), np.float32(bone.shaft_mm), np.float32(knee.size)
    density, plate = np.float32(bone.trabecular_mg_cm3), np.float32(0.4 + 0.5 * knee.wear)

    def wall(away: int, start: float, end: float) -> Place:
        """Return a wall that thickens along the shaft, upwards or downwards, and at the plates of the joint."""
        return lambda _x, _y, z: np.asarray(
            (size * thin + size * (thick - thin) * _rise(away * z / size, start, end) ** np.float32(1.5))
            * (1 + plate * np.exp(-((z / (7 * size)) ** 2)))
        )

    def trabecular(away: int, start: float, end: float) -> Place:
        """Return a density that falls along the shaft and rises at the plates."""
        return lambda _x, _y, z: np.asarray(
            density * (1 - np.float32(0.92) * _rise(away * z / size, start, end))
            * (1 + np.float32(0.9) * np.exp(-((z / (7 * size)) ** 2)))
        )  # fmt: skip

    def made(name: str, solid: Solid, wall_mm: float | Place, trabecular_mg_cm3: float | Place) -> Bone:
        return Bone(
            name=name, solid=solid, wall_mm=wall_mm, cortical_mg_cm3=CORTICAL_MG_CM3,
            trabecular_mg_cm3=trabecular_mg_cm3, fat=_FAT,
        )  # fmt: skip

    return Scene(
        tissues=(
            Tissue(name="leg", solid=knee.leg, densities=pure("adipose")),
            Tissue(name="muscle", solid=knee.muscle, densities=pure("muscle")),
        ),
        bones=(
            made("femur", knee.femur, wall(1, 36, 95), trabecular(1, 36, 85)),
            made("tibia", knee.tibia, wall(-1, 22, 90), trabecular(-1, 22, 80)),
            made("fibula", knee.fibula, wall(-1, 28, 90), trabecular(-1, 24, 70)),
            made("patella", knee.patella, 1.2 * bone.shell_mm, 1.1 * bone.trabecular_mg_cm3),
        ),
    )


def _femur(size: float, drawn: NDArray[np.float64], *, valgus: float, spur: float) -> Solid:
    """Return the distal femur, the lowest points of its condyles at height 0."""
    wide, notch = 1 + 0.02 * drawn[0], 1.0 * drawn[1]
    parts = []
    for side in (1, -1):
        own, x = 1 + 0.02 * drawn[2 + (side > 0)], side * (21.5 * wide + 0.5 * notch)
        parts += [
            _roll((x, 15, 19.5 * own), (14.0, 20.0, 19.5 * own)),
            _roll((x + side * 0.6, -4, 22.0 * own), (15.6, 27.0 + (side < 0), 22.0 * own)),
            ellipsoid((side * 36.0 * wide, 5, 30 + drawn[4]), (5.0 + 0.6 * drawn[5], 11, 12)),
        ]
        if spur > _SPUR_MM:
            parts.append(ellipsoid((side * 36.0 * wide, 2, 9), (2.2 + spur, 10, 3.5)))
    lateral = np.tan(np.deg2rad(valgus))
    trunk = pillar(
        _law(_FEMUR_WIDE, wide),
        _law(_FEMUR_DEEP),
        low_z=13.5,
        high_z=_LONG_MM,
        exponent=2.3,
        centre_x=lambda z: np.asarray(lateral * np.maximum(z - 30, 0), dtype=np.float32),
        centre_y=_law(_FEMUR_BACK),
    )
    trochlea = ellipsoid((-2, -24, 30), (24, 9.5, 17))
    return _sized(joined([trunk, trochlea, *parts], blend_mm=6.0), size)


def _tibia(size: float, drawn: NDArray[np.float64], *, spur: float) -> Solid:
    """Return the proximal tibia, its plateau at height 0."""
    wide = 1 + 0.02 * drawn[0]
    trunk = pillar(
        _law(_TIBIA_WIDE, wide),
        _law(_TIBIA_DEEP),
        low_z=-_LONG_MM,
        high_z=0.0,
        exponent=2.35,
        centre_x=_law(_TIBIA_MEDIAL),
        centre_y=_law(_TIBIA_BACK),
    )
    parts = [ellipsoid((-3, -17, -40), (9, 7, 14))]
    for side in (1, -1):
        trunk = trunk - ellipsoid((side * 21.0, 2, 60), (58, 66, 61.5 + 0.5 * side))
        tip = (side * 4.8, 1 + side, 6.0 + 0.7 * drawn[1 + (side > 0)] + 0.5 * side)
        parts.append(rod_between((side * 6.5, 1 + side, -6), tip, (6.2, 1.1)))
        if spur > _SPUR_MM:
            parts.append(ellipsoid((side * 37.5 * wide, 3, -3.5), (2.6 + spur, 11, 2.6)))
    return _sized(joined([trunk, *parts], blend_mm=4.0), size)


def _fibula(size: float, drawn: NDArray[np.float64]) -> Solid:
    x, y, z = -40.5 + drawn[0], 15 + drawn[1], -21 + 1.5 * drawn[2]
    return _sized(limb([(x + 1, y + 2, z + 6), (x, y, z), *_FIBULA_BELOW_HEAD], _FIBULA_RADII), size)


def _patella(size: float, drawn: NDArray[np.float64]) -> Solid:
    x, z = -3 + 3 * drawn[0], 40 + 4 * drawn[1]
    wide, tall = 21.5 * (1 + 0.04 * drawn[2]), 19 * (1 + 0.04 * drawn[3])
    body = ellipsoid((x, -43, z), (wide, 10.5, tall))
    apex = ellipsoid((x + 0.8 * drawn[4], -43, z - 15.5), (10, 7, 8))
    return _sized(joined([body, apex], blend_mm=8.0), size)


def _flesh(leg: Leg, size: float, drawn: NDArray[np.float64]) -> tuple[Solid, Solid]:
    """Return the leg within its skin, and what lies within its fat."""
    stout = leg.bmi - 27
    half = 59 + 0.6 * stout + 4 * drawn[0]
    deep = 56 + 0.9 * stout
    fat = float(np.clip((5.0 if leg.male else 8.0) + 0.5 * stout + 1.5 * drawn[1], 2.5, 20))
    thigh = np.array([9 + 0.5 * stout, 8 + 0.6 * stout])
    outline = [(-_LONG_MM, half - 6, deep - 12), (-95, half + 8, deep - 1), (-15, half, deep), (0, half, deep)]
    outline += [(z, half + more * thigh[0], deep + more * thigh[1]) for z, more in ((120.0, 1.0), (_LONG_MM, 1.4))]
    skin, muscle = (
        pillar(
            _law([(z, wide - less) for z, wide, _ in outline]),
            _law([(z, mm - less) for z, _, mm in outline]),
            low_z=-_LONG_MM,
            high_z=_LONG_MM,
            exponent=2.6,
            centre_y=_law([(-_LONG_MM, 10), (-95, 14), (0, 4), (120, 6), (_LONG_MM, 8)]),
        )
        for less in (0.0, fat)
    )
    return _sized(skin, size), _sized(muscle, size)


def _roll(centre: tuple[float, float, float], radii: tuple[float, float, float]) -> Solid:
    """Return an ellipsoid that is blunt along x, as a condyle is: its exponent is 3 there."""
    (cx, cy, cz), (rx, ry, rz) = (tuple(np.float32(mm) for mm in row) for row in (centre, radii))

    def distance(x: Floats, y: Floats, z: Floats) -> Floats:
        u, v, w = (x - cx) / rx, (y - cy) / ry, (z - cz) / rz
        across, about = np.abs(u), np.sqrt(v * v + w * w)
        radius = np.cbrt(across**3 + about**3) + np.float32(1e-3)
        slope = np.sqrt((across**2 / rx) ** 2 + about**2 * ((v / ry) ** 2 + (w / rz) ** 2)) / radius**2
        return np.asarray((radius - 1) / np.maximum(slope, np.float32(1 / max(radii))))

    return replace(ellipsoid(centre, radii), distance=distance)


def _law(points: Sequence[tuple[float, float]], factor: float = 1.0) -> Law:
    """Return a smooth law along z through points (z, value in mm), times a factor."""
    places, values = np.array(points).T
    smooth = PchipInterpolator(places, factor * values)
    return lambda z: np.asarray(smooth(z), dtype=np.float32)


def _sized(solid: Solid, size: float) -> Solid:
    """Return a solid so many times as large."""
    s = np.float32(size)
    low, high = (tuple(float(size * mm) for mm in corner) for corner in (solid.low, solid.high))
    return Solid(lambda x, y, z: s * solid.distance(x / s, y / s, z / s), low, high)  # type: ignore[arg-type]


def _rise(values: Floats, start: float, end: float) -> Floats:
    part = np.clip((values - start) / (end - start), 0, 1)
    return np.asarray(part * part * (3 - 2 * part))
