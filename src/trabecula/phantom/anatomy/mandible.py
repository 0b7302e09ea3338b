"""The mandible as it is unrolled along the dental arch: outline, cortex, marrow, canal and teeth along the beam.

Places are in mm of the straightened jaw: x along the arch, 0 at the midline, the patient's left positive; z to the
head, 0 at the bite in front. The beam runs through the arch from cheek to tongue. **Approximate**: bone has an outline
and a thickness along the beam, as in a panoramic film, and no curvature of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import make_interp_spline

from trabecula.phantom.anatomy.dentition import Dentition, bite, draw_dentition
from trabecula.phantom.anatomy.jaw_paths import JawPaths, ledge, rise
from trabecula.phantom.anatomy.mandibular_cortex import Endosteum, draw_endosteum, eroded, erosion
from trabecula.phantom.anatomy.teeth import chord
from trabecula.phantom.outline import closed_curve, depth_inside, interpolated

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from trabecula.phantom.chance import Chance

    Floats = NDArray[np.float64]

# The left half from the chin backwards, round the ramus and forwards above the teeth, where the crest cuts it off.
# fmt: off
_HALF = np.array([
    (0, -39.5), (9, -40), (18, -39.5), (28, -38), (40, -36.5), (52, -35), (64, -33.5), (74, -32), (82, -29),
    (88.5, -23), (91.5, -14), (92, -6), (93, 2), (95, 12), (97.5, 21), (100, 28), (103.5, 33), (105.5, 37.5),
    (104.5, 41.5), (100.5, 43.5), (96, 42.5), (93.5, 39), (93, 34.5), (91, 29.5), (86.5, 25.5), (81.5, 25), (77, 28),
    (74, 33.5), (72, 37.5), (69.5, 38), (67.5, 34), (66.5, 27), (66, 18), (65, 10), (63, 4), (59, 3), (50, 4), (30, 4),
    (12, 4), (0, 4),
])
_CANAL = np.array([
    (82, 4), (78, -6), (72, -16), (64, -23), (55, -27), (46, -28), (37, -27.5), (31, -26), (27.5, -23.5),
])
# fmt: on
_CANAL_MM, _CANAL_WALL_MM = 1.45, 0.34
"""Radius of the mandibular canal, and its wall in the young; recalled and ours."""
_OWN = 0.6
"""What the jaw has of its own, in young SD; ours."""
_BEHIND_TEETH_MM = 53.0
"""Where the crest begins to rise to the ramus."""


@dataclass(frozen=True, kw_only=True)
class JawBone:
    """What changes with the patient's bone."""

    trabecular: float
    """In young SD."""
    cortical: float
    """In young SD."""
    erosion: float
    """See `mandibular_cortex.erosion`."""

    @property
    def trabecular_mg_cm3(self) -> float:
        """Hydroxyapatite of the alveolar bone about the teeth: 260 in the young, 34 less per SD; ours."""
        return float(np.clip(260 + 34 * self.trabecular, 60, 480))

    @property
    def cortex_mm(self) -> float:
        """Thickness of the inferior cortex below the mental foramen: 4.0 in the young, 0.40 less per SD.

        The mean of the young and the cut of 3 mm for referral are recalled (Devlin and Horner 2002), the slope is ours.
        """
        return float(np.clip(4.0 + 0.40 * self.cortical, 1.4, 6.0))

    @property
    def plates(self) -> float:
        """Thickness of the outer plates over that of the young: 0.10 less per SD; ours."""
        return float(np.clip(1 + 0.10 * self.cortical, 0.5, 1.3))


def jaw_bone(trabecular: float, cortical: float, chance: Chance) -> JawBone:
    """Return the bone of the jaw of one patient from that of the limbs in young SD, with variation of its own."""
    own = {name: float(chance.normal(f"jaw_{name}")[0]) for name in ("trabecular", "cortical", "erosion")}
    trabecular, cortical = trabecular + _OWN * own["trabecular"], cortical + _OWN * own["cortical"]
    return JawBone(trabecular=trabecular, cortical=cortical, erosion=erosion(trabecular, cortical, own["erosion"]))


@dataclass(frozen=True, eq=False, kw_only=True)
class Jaw:
    """What about somebody's jaw does not depend on its bone density."""

    dentition: Dentition
    outline: Floats
    """Landmarks of the mandible `[n, (x, z)]`."""
    canals: tuple[Floats, Floats]
    """Points along the left and the right mandibular canal, the last the mental foramen."""
    size: float
    """Length over the usual."""
    thick: float
    """Thickness along the beam over the usual."""
    plates: float
    """Thickness of the outer plates over the usual."""
    sparse: float
    """Trabecular density at the lower border over that about the teeth."""
    fossa_mm: float
    """Depth of the submandibular fossa."""
    endosteum: Endosteum


def draw_jaw(rng: Generator, *, age: float, male: bool) -> Jaw:
    """Draw the jaw of somebody of this age and sex."""
    size = (1.03 if male else 0.98) * (1 + 0.03 * rng.standard_normal())
    tall = (1.05 if male else 0.98) * (1 + 0.05 * rng.standard_normal())
    corner_mm = 3.0 * rng.standard_normal(2)
    left, right = (_half(rng, size, tall, corner_mm) for _ in range(2))
    course = _CANAL + 0.7 * rng.standard_normal(_CANAL.shape) + [0, 1.2 * rng.standard_normal()]
    canals = [_course(course + 0.6 * rng.standard_normal(course.shape), size) for _ in range(2)]
    return Jaw(
        dentition=draw_dentition(rng, age, size=0.5 + 0.5 * size),
        outline=np.concatenate([left, (right * [-1, 1])[-2:0:-1]]),
        canals=(canals[0], canals[1] * [-1, 1]),
        size=size,
        thick=float(size * (1 + 0.08 * rng.standard_normal())),
        plates=float(np.exp(0.10 * rng.standard_normal())),
        sparse=float(np.clip(0.62 + 0.10 * rng.standard_normal(), 0.35, 0.9)),
        fossa_mm=float(np.clip(1.6 + 0.7 * rng.standard_normal(), 0, 3.5)),
        endosteum=draw_endosteum(rng),
    )


def _half(rng: Generator, size: float, tall: float, corner_mm: Floats) -> Floats:
    """Return the landmarks of one half, the patient's left; the angle of the jaw is moved by `corner_mm`."""
    half = _HALF + 0.3 * rng.standard_normal(_HALF.shape)
    half = half + np.exp(-(((half - (86, -20)) ** 2).sum(axis=1) / 200))[:, None] * corner_mm
    half[:, 1] = np.where(half[:, 1] < -12, (half[:, 1] + 12) * tall - 12, half[:, 1])
    half[:, 1] += 0.6 * bite(half[:, 0])
    half[:, 0] *= size
    half[[0, -1], 0] = 0
    return np.asarray(half)


def _course(points: Floats, size: float) -> Floats:
    """Return a smooth canal through its landmarks, lifted as the bite is."""
    placed = np.stack([size * points[:, 0], points[:, 1] + bite(points[:, 0])], axis=1)
    return np.asarray(make_interp_spline(np.arange(len(placed)), placed, k=3)(np.linspace(0, len(placed) - 1, 41)))


def mandible_paths(jaw: Jaw, bone: JawBone, x: Floats, z: Floats) -> JawPaths:
    """Return the paths through the mandible and its teeth about places `x` and `z` in mm, which rise evenly."""
    border = depth_inside(closed_curve(jaw.outline), x, z)
    along = np.abs(x) / jaw.size
    behind = 0.16 * np.maximum(along - _BEHIND_TEETH_MM, 0) ** 2
    crest = (jaw.dentition.lower_crest(x) + behind)[None, :] - z[:, None]
    half, plate, share = _laws(jaw, bone, x, z)
    cortex_mm = bone.cortex_mm * (1.06 - 0.16 * rise(along, 20, 62) - 0.40 * rise(along, 62, 82))
    wall = eroded(jaw.endosteum, cortex_mm[None, :], bone.erosion, x, border, body=1 - rise(along, 64, 80))
    outer = chord(border, 0.75 * half, half) * ledge(crest, 2.2)
    space = chord(border - wall.inner_mm, np.full_like(half, 2.6), half - plate) * ledge(crest - 0.5, 2.2)
    space = np.minimum(space, outer) * (1 - wall.residue)
    pores = wall.porosity * (outer - space)
    apart = _canal_distance(jaw, x, z)
    inner = np.full_like(apart, _CANAL_MM)
    wall_mm = float(np.clip(_CANAL_WALL_MM + 0.05 * bone.cortical, 0.08, 0.5))
    canal = np.minimum(chord(inner - apart, inner, inner), space)
    canal_wall = 0.8 * (chord(inner + wall_mm - apart, inner + wall_mm, inner + wall_mm) - canal)
    canal_wall = np.clip(canal_wall, 0, space - canal)
    paths = JawPaths(
        cortical=np.maximum(outer - space - pores - _foramen(jaw, x, z) * plate, 0) + canal_wall,
        trabecular=space - canal - canal_wall + pores,
        mg_cm3=bone.trabecular_mg_cm3 * share,
        crest_mm=crest,
        border_mm=border,
        canal_mm=apart,
        pixel_mm=float(x[1] - x[0]),
    )
    for tooth in jaw.dentition.of(upper=False):
        paths.set_tooth(tooth, x, z)
    return paths


def _laws(jaw: Jaw, bone: JawBone, x: Floats, z: Floats) -> tuple[Floats, Floats, Floats]:
    """Return half the thickness and the outer plate in mm, and trabecular density over that about the teeth."""
    along, up = np.abs(x)[None, :] / jaw.size, z[:, None] - bite(x)[None, :]
    ramus = np.clip(rise(along, 56, 74) * rise(up, -34, -8) + 0.7 * rise(along, 72, 84), 0, 1)
    alveolar, front, head = rise(up, -26, -9), 1 - rise(along, 6, 22), rise(along + up, 122, 136)
    oblique = _ridge(along, up, start=(48, -16), slope=0.62, wide=2.2, ends=(38, 56, 66, 72))
    mylohyoid = _ridge(along, up, start=(48, -24), slope=0.45, wide=1.6, ends=(34, 52, 60, 72))
    fossa = 0.5 * jaw.fossa_mm * np.exp(-(((along - 52) / 13) ** 2) - ((up + 29) / 5.5) ** 2)
    half = 6.2 + 0.6 * front - alveolar * (1.9 + 0.95 * front) - ramus * (2.4 - alveolar) + 2.0 * head - fossa
    half = jaw.thick * (half + 0.8 * oblique + 0.35 * mylohyoid)
    plate = jaw.plates * bone.plates * (1.9 - 0.9 * alveolar + 0.3 * front - 0.5 * ramus - 0.9 * head)
    plate = plate + 0.8 * oblique + 0.35 * mylohyoid
    share = jaw.sparse + (1 - jaw.sparse) * alveolar - 0.30 * ramus + 0.5 * head
    return np.asarray(half), np.asarray(np.clip(plate, 0.35, 0.8 * half)), np.asarray(np.clip(share, 0.2, 1.3))


def _ridge(
    along: Floats, up: Floats, *, start: tuple[float, float], slope: float, wide: float,
    ends: tuple[float, float, float, float],
) -> Floats:  # fmt: skip
    """Return a line of bone that rises backwards, 1 on it: it fades in and out along the arch between its ends."""
    across = (up - start[1] - slope * (along - start[0])) / wide
    return np.asarray(np.exp(-(across**2)) * rise(along, ends[0], ends[1]) * (1 - rise(along, ends[2], ends[3])))


def _canal_distance(jaw: Jaw, x: Floats, z: Floats) -> Floats:
    """Return the distance in mm `[z, x]` to the middle of the nearer mandibular canal, found on every fourth pixel."""
    i, k = np.meshgrid(x[::4], z[::4])
    near = np.full(i.shape, np.inf)
    for course in jaw.canals:
        for a, b in pairwise(course):
            axis = b - a
            t = np.clip(((i - a[0]) * axis[0] + (k - a[1]) * axis[1]) / (axis @ axis), 0, 1)
            near = np.minimum(near, np.hypot(i - a[0] - t * axis[0], k - a[1] - t * axis[1]))
    return interpolated(near, np.arange(len(z)) / 4, np.arange(len(x)) / 4)


def _foramen(jaw: Jaw, x: Floats, z: Floats) -> Floats:
    """Return the share of the outer plate `[z, x]` that the mental foramina take away."""
    i, k = np.stack([course[-1] for course in jaw.canals]).T[:, :, None, None]
    apart = np.hypot((x[None, None, :] - i) / 1.9, (z[None, :, None] - k) / 1.4)
    return np.asarray(np.clip((1.15 - apart) / 0.3, 0, 1).max(axis=0))
