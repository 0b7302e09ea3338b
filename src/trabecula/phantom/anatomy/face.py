"""The face about the jaws in a panoramic film: maxilla, sinuses, nose, palate, airway, neck and ghosts.

Places are those of `mandible`. What lies outside the focal layer is smooth here as it is blurred there. All figures are
ours, after ordinary films: **approximate**.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from trabecula.phantom.anatomy.dentition import bite
from trabecula.phantom.anatomy.jaw_paths import JawPaths, ledge, rise
from trabecula.phantom.anatomy.teeth import chord
from trabecula.phantom.outline import closed_curve, depth_inside, interpolated

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from trabecula.phantom.anatomy.mandible import Jaw, JawBone

    Floats = NDArray[np.float64]

# Left halves: the maxillary sinus, and the nasal cavity from its floor up.
# fmt: off
_SINUS = np.array([
    (24, 33), (27, 27), (33, 23), (41, 21), (49, 20.5), (56, 22), (61, 27), (63, 34), (61, 42), (54, 47.5), (44, 49),
    (34, 47), (27, 41),
])
_NOSE = np.array([
    (0, 28.5), (7, 28), (13, 30), (15.5, 36), (13.5, 45), (9.5, 54), (7, 64), (0, 68), (-7, 64), (-9.5, 54),
    (-13.5, 45), (-15.5, 36), (-13, 30), (-7, 28),
])
_CONCHAE = (((9.0, 36.5), (4.6, 4.2)), ((7.4, 48.0), (3.2, 6.5)))
_ZYGOMA = (
    (46, 24), (44, 29), (43.5, 35), (45.5, 41), (50, 45.5), (57, 48), (66, 48.5), (76, 47.5), (86, 47.5), (98, 50),
)
_HYOID = ((56, -52), (66, -51), (76, -47.5), (87, -40))
# fmt: on
_EVERY = 3
"""Smooth parts are worked out on every third pixel."""
_MAXILLA_SHARE = 0.75
"""Trabecular density of the maxilla over that of the mandible; ours."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Face:
    """What about somebody's face does not depend on bone density."""

    sinuses: tuple[Floats, Floats]
    nose: Floats
    flesh_mm: float
    """Soft tissue along the beam."""
    airway_mm: float
    """Air in the pharynx along the beam."""
    mouth_mm: float
    """Air between tongue and palate along the beam."""
    spine_mm: float
    """Cortical bone in the ghost of the spine."""
    palate_mm: float
    """Height of the palate above the bite."""


def draw_face(rng: Generator, *, bmi: float) -> Face:
    """Draw a face of this body mass index."""
    lift = 2.0 * rng.standard_normal()
    deep = 1.5 * rng.standard_normal(2)
    sinuses = []
    for n in range(2):
        landmarks = _SINUS + 1.2 * rng.standard_normal(_SINUS.shape) + [0, lift]
        landmarks[:, 1] -= deep[n] * np.exp(-(((landmarks - (45, 20)) ** 2).sum(axis=1) / 150))
        sinuses.append(landmarks * [1 - 2 * n, 1])
    return Face(
        sinuses=(sinuses[0], sinuses[1]),
        nose=_NOSE + 0.7 * rng.standard_normal(_NOSE.shape) + [0, lift],
        flesh_mm=float(np.clip(78 + 0.8 * (bmi - 27) + 4 * rng.standard_normal(), 60, 115)),
        airway_mm=float(np.clip(20 + 5 * rng.standard_normal(), 8, 32)),
        mouth_mm=float(np.clip(9 + 7 * rng.standard_normal(), 0, 22)),
        spine_mm=float(np.clip(4 + 1.2 * rng.standard_normal(), 1, 7)),
        palate_mm=float(26 + lift),
    )


def maxilla_paths(jaw: Jaw, face: Face, bone: JawBone, x: Floats, z: Floats) -> JawPaths:
    """Return the paths through the maxilla and its teeth about places `x` and `z` in mm, which rise evenly."""
    along, up = np.abs(x)[None, :] / jaw.size, z[:, None] - bite(x)[None, :]
    crest = z[:, None] - jaw.dentition.upper_crest(x)[None, :]
    end = 66.0 - 0.012 * np.maximum(12 - up, 0) ** 2 - along
    border = np.minimum(crest, end)
    hollow = np.maximum.reduce([_depth(landmarks, x, z) for landmarks in (*face.sinuses, face.nose)])
    half = 4.6 + 1.2 * (1 - rise(along, 8, 30))
    faint = (1 - 0.65 * rise(up, 20, 44) * rise(along, 20, 40)) * (1 - rise(along, 50, 66.5) * rise(up, 12, 26))
    plate = jaw.plates * bone.plates * (0.75 + 0.35 * rise(up, 12, 24))
    outer = faint * chord(border, 2.0 + 6.0 * rise(up, 14, 26), half)
    space = np.minimum(faint * chord(border - 0.5, 2.0 + 6.0 * rise(up, 14, 26), half - plate), outer)
    wall = chord(hollow + 0.5, half, half) - chord(hollow, half, half)
    inside = np.clip(hollow / 0.4 + 0.5, 0, 1)
    cortical = (outer - space) * (1 - inside) + np.minimum(0.7 * wall, outer) + 0.7 * inside * ledge(border, 2.0)
    paths = JawPaths(
        cortical=cortical,
        trabecular=space * (1 - inside),
        mg_cm3=np.full_like(space, _MAXILLA_SHARE * bone.trabecular_mg_cm3),
        crest_mm=crest,
        border_mm=border,
        canal_mm=np.full_like(space, np.inf),
        pixel_mm=float(x[1] - x[0]),
    )
    for tooth in jaw.dentition.of(upper=True):
        paths.set_tooth(tooth, x, z)
    return paths


@dataclass(frozen=True, eq=False, kw_only=True)
class Surroundings:
    """Paths in mm `[z, x]` through what is not jaw."""

    soft: Floats
    fat: Floats
    cortical: Floats


def surroundings(jaw: Jaw, face: Face, x: Floats, z: Floats) -> Surroundings:
    """Return soft tissue, air cut out, and bones outside the jaws about places `x` and `z` in mm."""
    parts = _smooth_parts(jaw, face, x[::_EVERY], z[::_EVERY])
    j, i = np.arange(len(z)) / _EVERY, np.arange(len(x)) / _EVERY
    soft, cortical = (interpolated(values, j, i) for values in parts)
    return Surroundings(soft=0.82 * soft, fat=0.18 * soft, cortical=cortical)


def _smooth_parts(jaw: Jaw, face: Face, x: Floats, z: Floats) -> tuple[Floats, Floats]:
    """Return soft tissue and cortical bone in mm."""
    along, up = np.abs(x)[None, :] / jaw.size + 0 * z[:, None], z[:, None] - bite(x)[None, :]
    soft = face.flesh_mm * _silhouette(along, up) + 12 * _oval(along, up, (0, -8), (50, 26), 0.5)
    bone = _skeleton(face, along, up)
    hollow = [_depth(landmarks, x, z) for landmarks in face.sinuses]
    nose = _depth(face.nose, x, z)
    air = 24 * ledge(np.maximum(*hollow), 6) + 26 * ledge(nose, 7)
    for middle, radii in _CONCHAE:
        air = air - 13 * ledge(nose, 7) * _oval(along, up, middle, radii, 1.2)
    septum = np.exp(-(((x[None, :] - 0.6) / 0.9) ** 2)) * rise(nose, 0, 1.5)
    bone = bone + 1.6 * septum
    air = air * (1 - 0.6 * septum)
    throat = (
        np.exp(-(((along - 84 - 0.12 * up) / (7.5 - 0.05 * up)) ** 4)) * (1 - rise(up, 18, 30)) * rise(up, -60, -40)
    )
    mouth = (
        np.exp(-(((up - face.palate_mm + 5) / 3.4) ** 4)) * (1 - rise(along, 62, 78)) * (0.6 + 0.4 * rise(along, 8, 25))
    )
    air = np.maximum.reduce([air, face.airway_mm * throat, face.mouth_mm * mouth])
    return np.maximum(soft - air, 2), bone


def _silhouette(along: Floats, up: Floats) -> Floats:
    """Return soft tissue over that of the middle of the face: less below the chin and at the sides."""
    chin = -50 - 9 * (along / 60) ** 2
    below = 1 - 0.90 * rise(chin - up, 0, 9) * (1 - rise(along, 62, 84))
    return np.asarray(below * (1 - 0.22 * rise(along, 70, 108)) * (1 - 0.12 * rise(up, 20, 60)))


def _skeleton(face: Face, along: Floats, up: Floats) -> Floats:
    """Return the cortical bone of palate, zygoma, skull base, hyoid, spine and ghosts in mm."""
    roof = face.palate_mm + 1.2 * np.cos(along / 14) - 2.0 * rise(along, 40, 70)
    bone = 4.5 * np.exp(-(((up - roof) / 0.9) ** 2)) * (1 - rise(along, 56, 70)) * (0.5 + 0.5 * rise(along, 6, 26))
    bone = bone + 1.6 * np.exp(-(((up - roof - 7) / 1.6) ** 2)) * (1 - rise(along, 44, 60)) * rise(along, 16, 26)
    zygoma = np.maximum.reduce([_rod(along, up, *ends, 2.6) for ends in pairwise(_ZYGOMA)])
    hyoid = np.maximum.reduce([_rod(along, up, *ends, 2.8) for ends in pairwise(_HYOID)])
    orbit = np.exp(-(((np.hypot(along - 42, up - 67) - 16.5) / 0.9) ** 2)) * (1 - rise(up, 54, 62))
    bone = bone + 2.4 * zygoma + 2.0 * hyoid + 2.0 * orbit
    base = 49 + 3.0 * np.cos((along - 101) / 4.2) * (np.abs(along - 101) < 13.2) - 1.5
    bone = bone + 5.0 * rise(up - base, -1.0, 2.5) * rise(along, 84, 92)
    vertebrae = 0.75 + 0.25 * np.cos(2 * np.pi * (up + 0.1 * along) / 17)
    bone = bone + 6.0 * rise(along, 104, 116) * vertebrae * (1 - rise(up, 20, 46))
    bone = bone + face.spine_mm * np.exp(-((along / 17) ** 2)) * (1 - 0.5 * rise(up, 10, 50))
    ghost = 2.6 * np.exp(-(((along - 70) / 22) ** 2) - ((up - 12) / 15) ** 2)
    return np.asarray(bone + ghost)


def _depth(landmarks: Floats, x: Floats, z: Floats) -> Floats:
    return depth_inside(closed_curve(landmarks), x, z)


def _oval(along: Floats, up: Floats, middle: tuple[float, float], radii: tuple[float, float], soft: float) -> Floats:
    """Return 1 inside an ellipse, 0 outside, over a share `soft` of its radius."""
    apart = np.hypot((along - middle[0]) / radii[0], (up - middle[1]) / radii[1])
    return np.asarray(1 - rise(apart, 1 - soft / 2, 1 + soft / 2))


def _rod(along: Floats, up: Floats, start: tuple[float, float], end: tuple[float, float], radius: float) -> Floats:
    """Return 1 in the middle of a rod, falling to 0 over its radius."""
    a, axis = np.array(start), np.array(end) - start
    t = np.clip(((along - a[0]) * axis[0] + (up - a[1]) * axis[1]) / (axis @ axis), 0, 1)
    apart = np.hypot(along - a[0] - t * axis[0], up - a[1] - t * axis[1]) / radius
    return np.asarray(np.exp(-(apart**2)))
