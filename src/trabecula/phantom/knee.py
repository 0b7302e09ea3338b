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
    (-17, -240), (-16.5, -150), (-17, -110), (-18, -88), (-21.5, -69), (-29, -52), (-37, -40), (-41, -28), (-40, -15),
    (-36, -5), (-27, 0), (-16, -1), (-10, -6), (-5.5, -13), (0, -16), (5.5, -13), (10, -6), (16, -1), (27, 0), (36, -4),
    (41, -13), (43, -25), (41, -36), (34, -48), (24, -62), (17.5, -80), (15, -102), (13.5, -150), (13, -240),
])
_TIBIA = np.array([
    (-39, 1.5), (-28, 0), (-15, 0.5), (-9, -1.5), (-5.5, -7), (-2.5, -3), (1.5, -3), (5, -8.5), (9, -2), (16, 0.5),
    (28, 0), (39, 1), (41.5, 6), (40, 15), (35, 26), (27, 40), (20, 58), (16, 80), (14.5, 110), (14, 160), (14, 260),
    (-11, 260), (-11, 160), (-11.5, 110), (-13, 80), (-17, 58), (-25, 40), (-33, 27), (-39, 15), (-41, 6),
])
_FIBULA = np.array([
    (-37, 14), (-43, 18), (-46, 26), (-44.5, 36), (-40.5, 48), (-37.5, 64), (-36, 100), (-35.5, 160), (-35, 260),
    (-26, 260), (-26, 160), (-26.5, 100), (-27.5, 64), (-29, 48), (-31, 36), (-32, 26), (-33, 18),
])
_PATELLA = np.array([
    (-3, -58), (-16, -55), (-24, -44), (-23, -31), (-14, -20), (-3, -15), (8, -20), (17, -31), (18, -44), (10, -55),
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
        half, wall, share = np.full_like(y, 6.5), np.full_like(y, 0.6 * thin_wall), np.full_like(y, 0.9)
    elif name == "fibula":
        rise = _rise(y, 25, 60)
        half, wall, share = 8.0 - 2 * rise, thin_wall + (0.55 * shaft_wall - thin_wall) * rise, 1 - 0.9 * rise
    else:
        rise = _rise(-y, 36, 95) if name == "femur" else _rise(y, 22, 90)
        joint = 27.0 if name == "femur" else 23.0
        half = joint + (14.0 - joint) * rise
        wall = thin_wall + (shaft_wall - thin_wall) * rise**1.5
        share = (1 - 0.9 * rise) * (1 + 0.25 * np.exp(-(((np.abs(y) - 19) / 1.3) ** 2)))
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
    half = scale * (59 + 1.0 * stout + (9 + 0.7 * stout) * thigh) + 2 * rng.standard_normal()
    medial, lateral = half + (4 + 0.2 * stout) * calf, half + 2 * calf - 1.5
    deep = scale * (54 + 0.9 * stout + (8 + 0.6 * stout) * thigh - 2 * calf)
    fat = np.clip((5.0 if leg.male else 8.0) + 0.5 * stout + 1.5 * rng.standard_normal(), 2.5, 20)
    reach = np.where(x[None, :] > 0, medial[:, None], lateral[:, None])
    across, within = x[None, :] / reach, x[None, :] / (reach - fat)
    total = 2 * deep[:, None] * _bulge(across)
    muscle = 2 * (deep[:, None] - fat) * _bulge(within)
    return total, np.minimum(muscle, total)


def _bulge(across: Floats) -> Floats:
    """Return the height of a superellipse of exponent 2.6 and unit axes: a leg is blunter than an ellipse."""
    return np.asarray(np.clip(1 - np.abs(across) ** 2.6, 0, None) ** (1 / 2.6))
