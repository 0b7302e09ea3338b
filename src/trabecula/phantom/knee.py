"""The knee: individual anatomy from landmarks, and its path lengths along an AP beam.

Landmarks in mm describe a right knee 80 mm wide as the film shows it: x grows towards the medial side, y downwards,
0 is the joint. They were placed by eye after ordinary radiographs and are **approximate**.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trabecula.phantom.film import Paths
from trabecula.phantom.outline import closed_curve, depth_inside, thickness

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# fmt: off
_FEMUR = np.array([
    (-17, -240), (-16.5, -150), (-17, -110), (-18, -88), (-21.5, -70), (-29, -54), (-37, -44), (-41, -34),
    (-41.5, -20), (-39, -8), (-30, -0.5), (-18, -0.5), (-10.5, -4), (-5, -9.5), (0, -11.5), (5, -9.5),
    (10.5, -4), (18, -0.5), (30, 0), (39, -7), (42.5, -20), (42, -34), (38, -46), (32, -54), (23, -66),
    (17.5, -82), (15, -102), (13.5, -150), (13, -240),
])
_TIBIA = np.array([
    (-39, 2), (-28, 0.3), (-15, 0.5), (-9, -1), (-5.5, -5), (-2.5, -2), (1.5, -2), (5, -6.5), (9, -1.5),
    (16, 0.5), (28, 0), (38, 1), (41.5, 6), (40, 14), (34, 24), (25, 37), (18.5, 53), (15.5, 75), (14, 110),
    (13.5, 160), (13, 260), (-11, 260), (-11, 160), (-11, 110), (-12, 75), (-15, 53), (-22.5, 37), (-32, 25),
    (-39, 15), (-41.5, 7),
])
_FIBULA = np.array([
    (-39, 12), (-45, 17), (-48.5, 26), (-47, 36), (-43.5, 48), (-41, 64), (-39.5, 100), (-38.5, 160),
    (-37, 260), (-27, 260), (-28, 160), (-29, 100), (-30.5, 64), (-32, 48), (-33, 36), (-33.5, 26), (-35, 17),
])
_PATELLA = np.array([
    (-4, -60), (-18, -57), (-26, -46), (-24, -32), (-15, -21), (-4, -16), (8, -21), (17, -32), (19, -46),
    (10, -57),
])
# fmt: on


@dataclass(frozen=True, kw_only=True)
class Leg:
    """What about a leg does not depend on its bone density."""

    age: float
    male: bool
    height_cm: float
    bmi: float


@dataclass(frozen=True, kw_only=True)
class Bone:
    """Trabecular density and cortical thickness in young SD."""

    trabecular: float
    cortical: float


def knee_paths(leg: Leg, bone: Bone, rng: Generator, x: Floats, y: Floats, grain: Floats) -> Paths:
    """Return the path lengths behind every pixel.

    `x` and `y` are positions in mm about the middle of the picture, medial and downwards; `grain` `[y, x]` is local
    trabecular density over its mean. `rng` draws the anatomy, which is the same for every `bone`.
    """
    wear = float(np.clip((leg.age - 52) / 45 + 0.35 * rng.standard_normal(), 0, 1.1))
    scale = leg.height_cm / 170 * (1.03 if leg.male else 0.97) * (1 + 0.035 * rng.standard_normal())
    x, y = x - 4 * rng.standard_normal(), y - 6 - 9 * rng.standard_normal()
    total, muscle = _flesh(leg, scale, rng, x, y)
    fat = total - muscle
    usual = float(muscle.max())
    cortical = np.zeros_like(total)
    for name, curve in _outlines(rng, wear, scale).items():
        depth = depth_inside(curve, x, y)
        half, wall, share = (values[:, None] for values in _along(name, y / scale, bone, scale))
        outer, inner = thickness(depth, half), thickness(depth - wall, half - wall)
        plate = 1 + (0.9 + 0.5 * wear) * np.exp(-depth / 2.2) * (np.abs(y[:, None] / scale) < 9)
        mineral = np.minimum(_share_of_cortex(bone.trabecular) * share * grain * plate, 1.0)
        cortical += outer - inner * (1 - mineral)
        fat += inner * (1 - mineral)
        muscle = muscle - outer
    return Paths(muscle=np.maximum(muscle, 0), fat=fat, cortical=cortical, usual_muscle=usual)


def _share_of_cortex(trabecular: float) -> float:
    """Return trabecular density over cortical: 210 of 1,150 mg/cm3 in the young, 32 mg/cm3 less per SD; ours."""
    return float(np.clip(210 + 32 * trabecular, 40, 400)) / 1150


def _outlines(rng: Generator, wear: float, scale: float) -> dict[str, Floats]:
    """Return the outlines in mm about the joint: aligned, worn and individual."""
    narrow_medial, narrow_lateral = 4.6 - 2.4 * wear, 5.2 - 0.8 * wear + 0.4 * rng.standard_normal()
    spurs = 2.2 * wear**2 * np.abs(rng.standard_normal(2))
    bow, valgus, turn = np.deg2rad([2.0, 1.5, 2.0] * rng.standard_normal(3) + [1.0, -6.0, 0.0])
    kneecap = rng.standard_normal(2) * [3.0, 4.0]
    outlines = {}
    for name, usual in (("femur", _FEMUR), ("tibia", _TIBIA), ("fibula", _FIBULA), ("patella", _PATELLA)):
        landmarks = usual + 0.45 * rng.standard_normal(usual.shape)
        if name in ("femur", "tibia"):
            margin = np.exp(-((landmarks[:, 1] / 7) ** 2)) * (np.abs(landmarks[:, 0]) > 30)
            landmarks[:, 0] += np.sign(landmarks[:, 0]) * margin * spurs[int(name == "tibia")]
        if name == "femur":
            shaft = np.minimum(landmarks[:, 1] + 30, 0)
            landmarks[:, 0] += np.tan(-valgus) * shaft
        elif name == "patella":
            landmarks += kneecap
        else:
            landmarks = _turned(landmarks, bow)
            medial = np.clip((landmarks[:, 0] + 30) / 60, 0, 1)
            landmarks[:, 1] += narrow_lateral + (narrow_medial - narrow_lateral) * medial
        outlines[name] = closed_curve(scale * _turned(landmarks, turn))
    return outlines


def _turned(points: Floats, angle: float) -> Floats:
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.asarray(points @ np.array([[cosine, sine], [-sine, cosine]]))


def _along(name: str, y: Floats, bone: Bone, scale: float) -> tuple[Floats, Floats, Floats]:
    """Return, along a bone, half its thickness and its cortex in mm, and its trabecular density over that at the joint.

    `y` in mm of a knee 80 mm wide. Cortices are ours: 4.6 mm in the shafts of the young and 0.7 mm less per SD.
    """
    shaft_wall = float(np.clip(4.6 + 0.7 * bone.cortical, 1.2, 8.0))
    thin_wall = float(np.clip(1.0 + 0.10 * bone.cortical, 0.5, 1.6))
    if name == "patella":
        half, wall, share = np.full_like(y, 5.5), np.full_like(y, 0.5 * thin_wall), np.full_like(y, 0.9)
    elif name == "fibula":
        rise = _rise(y, 25, 60)
        half, wall, share = 9.5 - 2.5 * rise, 1.4 * thin_wall + (0.75 * shaft_wall - 1.4 * thin_wall) * rise, 1.1 - rise
    else:
        rise = _rise(-y, 36, 95) if name == "femur" else _rise(y, 22, 90)
        joint = 27.0 if name == "femur" else 23.0
        half = joint + (14.0 - joint) * rise
        wall = thin_wall + (shaft_wall - thin_wall) * rise**1.5
        share = (1 - 0.9 * rise) * (1 + 0.12 * np.exp(-(((np.abs(y) - 19) / 1.4) ** 2)))
    return scale * half, scale * np.minimum(wall, 0.8 * half), share


def _rise(y: Floats, start: float, end: float) -> Floats:
    """Return 0 before the start, 1 after the end, smooth in between."""
    part = np.clip((y - start) / (end - start), 0, 1)
    return part * part * (3 - 2 * part)


def _flesh(leg: Leg, scale: float, rng: Generator, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Return the thickness of the leg and of what lies within its fat, in mm, as ellipses along the beam."""
    stout = leg.bmi - 27
    v = y / scale
    thigh, calf = _rise(-v, 0, 120), _rise(v, 15, 90) - 0.6 * _rise(v, 95, 190)
    half = scale * (59 + 0.6 * stout + (9 + 0.5 * stout) * thigh) + 4 * rng.standard_normal()
    medial, lateral = half + (6 + 0.2 * stout) * calf, half + 9 * calf
    deep = scale * (54 + 0.9 * stout + (8 + 0.6 * stout) * thigh - 2 * calf)
    fat = np.clip((5.0 if leg.male else 8.0) + 0.5 * stout + 1.5 * rng.standard_normal(), 2.5, 20)
    reach = np.where(x[None, :] > 0, medial[:, None], lateral[:, None])
    across, within = x[None, :] / reach, x[None, :] / (reach - fat)
    total = 2 * deep[:, None] * _bulge(across)
    muscle = 2 * (deep[:, None] - fat) * _bulge(within)
    return total, np.minimum(muscle, total)


def _bulge(across: Floats) -> Floats:
    """Return the height of a superellipse of exponent 3 and unit axes: a leg is blunter than an ellipse."""
    return np.asarray(np.clip(1 - np.abs(across) ** 3, 0, None) ** (1 / 3))
