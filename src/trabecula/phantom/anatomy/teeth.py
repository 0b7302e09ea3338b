"""Teeth: how far a ray runs through enamel, dentine and fillings of each, seen from the cheek.

A tooth is an outline in the plane of the arch, x along it and z to the head, in mm, with a thickness along the beam
that rounds off at the outline: **approximate**. Usual sizes are Wheeler's (Dental Anatomy, tables of averages;
recalled); outlines were drawn after ordinary films.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np

from trabecula.phantom.outline import closed_curve, depth_inside

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Crown = Literal["incisor", "canine", "premolar", "molar"]
Filling = Literal["none", "amalgam", "composite", "crown"]

ENAMEL_G_CM3 = {"hydroxyapatite": 2.78, "collagen": 0.02, "water": 0.10}
"""96 % mineral by mass, 2.9 g/cm³; recalled."""
DENTINE_G_CM3 = {"hydroxyapatite": 1.50, "collagen": 0.42, "water": 0.21}
"""70 % mineral by mass, 2.13 g/cm³; recalled."""
METAL = "copper"
"""Stands for amalgam and for cobalt-chromium: all are opaque to dental beams."""
COMPOSITE_ALUMINIUM, GUTTA_PERCHA_ALUMINIUM = 2.2, 6.0
"""mm of aluminium that attenuate as 1 mm does: at least 1 and 3 by ISO 4049 and ISO 6876; ours, recalled."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The usual size of a tooth in mm."""

    width: float
    """Of the crown along the arch."""
    neck: float
    deep: float
    """From cheek to tongue."""
    crown: float
    root: float
    outline: Crown
    roots: Literal[1, 2, 3] = 1
    enamel: float
    """Where it is thickest."""


_ENAMEL_MM = {"incisor": 0.9, "canine": 1.1, "premolar": 1.4, "molar": 1.7}


def _shape(mm: tuple[float, float, float, float, float], outline: Crown, roots: Literal[1, 2, 3] = 1) -> Shape:
    width, neck, deep, crown, root = mm
    return Shape(
        width=width, neck=neck, deep=deep, crown=crown, root=root, outline=outline, roots=roots,
        enamel=_ENAMEL_MM[outline],
    )  # fmt: skip


LOWER = (
    _shape((5.0, 3.6, 6.0, 8.8, 12.5), "incisor"), _shape((5.5, 4.0, 6.3, 9.2, 14.0), "incisor"),
    _shape((7.0, 5.4, 7.6, 10.8, 16.0), "canine"), _shape((7.0, 5.0, 7.6, 8.5, 14.0), "premolar"),
    _shape((7.1, 5.2, 8.1, 8.0, 14.5), "premolar"), _shape((11.0, 9.0, 10.3, 7.5, 14.0), "molar", 2),
    _shape((10.5, 8.4, 10.0, 7.0, 13.0), "molar", 2), _shape((10.0, 7.8, 9.5, 7.0, 11.0), "molar", 2),
)  # fmt: skip
"""From the midline backwards: central incisor to third molar."""
UPPER = (
    _shape((8.5, 6.6, 7.0, 10.5, 13.0), "incisor"), _shape((6.6, 5.0, 6.0, 9.4, 13.0), "incisor"),
    _shape((7.6, 5.6, 8.0, 10.2, 16.5), "canine"), _shape((7.0, 5.0, 9.0, 8.6, 14.0), "premolar"),
    _shape((6.9, 5.0, 9.0, 8.2, 14.0), "premolar"), _shape((10.2, 8.0, 11.0, 7.4, 12.5), "molar", 3),
    _shape((9.4, 7.3, 11.0, 7.0, 11.8), "molar", 3), _shape((8.6, 6.6, 10.0, 6.6, 11.0), "molar", 3),
)  # fmt: skip

# From the neck in front over the crown to the neck behind: half crown widths backwards, crown heights towards the bite.
# fmt: off
_CROWNS = {
    "incisor": [(-0.80, 0.33), (-0.96, 0.72), (-0.97, 0.93), (-0.60, 1.0), (0.0, 1.0), (0.60, 0.99), (0.94, 0.90),
                (0.97, 0.68), (0.80, 0.30)],
    "canine": [(-0.83, 0.33), (-1.0, 0.66), (-0.78, 0.84), (-0.30, 0.98), (0.05, 1.0), (0.40, 0.93), (0.85, 0.73),
               (1.0, 0.56), (0.83, 0.28)],
    "premolar": [(-0.86, 0.33), (-1.0, 0.62), (-0.86, 0.82), (-0.32, 0.98), (0.05, 0.99), (0.42, 0.93), (0.86, 0.78),
                 (1.0, 0.60), (0.86, 0.30)],
    "molar": [(-0.90, 0.30), (-1.0, 0.60), (-0.94, 0.83), (-0.62, 1.0), (-0.25, 0.90), (0.14, 0.98), (0.44, 0.88),
              (0.70, 0.93), (0.94, 0.76), (1.0, 0.54), (0.90, 0.26)],
}
# From the neck behind round the apex to the neck in front: half neck widths backwards, root lengths towards the apex.
_ROOTS = {
    1: [(0.96, 0.2), (0.80, 0.5), (0.56, 0.78), (0.30, 0.95), (0.02, 1.0), (-0.26, 0.95), (-0.55, 0.76), (-0.82, 0.46),
        (-0.98, 0.18)],
    2: [(1.03, 0.22), (1.12, 0.50), (1.08, 0.76), (0.93, 0.93), (0.76, 0.93), (0.58, 0.74), (0.40, 0.50), (0.22, 0.34),
        (0.02, 0.28), (-0.18, 0.34), (-0.34, 0.52), (-0.50, 0.76), (-0.70, 0.97), (-0.90, 1.0), (-1.10, 0.82),
        (-1.18, 0.52), (-1.10, 0.22)],
    3: [(1.0, 0.22), (1.08, 0.50), (1.08, 0.72), (0.96, 0.88), (0.80, 0.88), (0.60, 0.70), (0.40, 0.48), (0.20, 0.36),
        (0.0, 0.33), (-0.20, 0.36), (-0.36, 0.50), (-0.52, 0.70), (-0.68, 0.90), (-0.86, 0.93), (-1.04, 0.78),
        (-1.12, 0.50), (-1.06, 0.22)],
}
_PALATAL = [(0.34, -0.1), (0.40, 0.4), (0.34, 0.75), (0.20, 0.97), (0.02, 1.02), (-0.16, 0.97), (-0.30, 0.75),
            (-0.36, 0.4), (-0.30, -0.1)]
# Canals from the chamber down, in half neck widths and root lengths.
_CANALS = {
    1: [[(0.0, -0.1), (0.0, 0.5), (0.02, 0.97)]],
    2: [[(0.62, 0.02), (0.78, 0.45), (0.84, 0.90)], [(-0.62, 0.02), (-0.80, 0.45), (-0.82, 0.96)]],
    3: [[(0.58, 0.02), (0.76, 0.45), (0.88, 0.85)], [(-0.58, 0.02), (-0.78, 0.45), (-0.78, 0.90)],
        [(0.0, 0.02), (0.02, 0.50), (0.02, 0.98)]],
}
# fmt: on
_STEP_MM, _COARSE_MM = 0.2, 0.25
_MARGIN_MM = 2.0
_CHAMBER_MM, _CANAL_MM = 0.62, 0.34
"""Radius of a pulp chamber's horn and of a canal's mouth at 40 years; ours."""


@dataclass(frozen=True, kw_only=True)
class Tooth:
    """One tooth of somebody."""

    shape: Shape
    upper: bool
    left: bool
    place: int
    """1 central incisor to 8 third molar."""
    x: float
    """Middle of the neck in mm, the patient's left positive."""
    z: float
    lean: float = 0.0
    """Degrees by which the crown leans backwards along the arch."""
    size: float = 1.0
    bend: float = 0.08
    """How far the apex bends backwards, over the root's length."""
    pulp: float = 1.0
    """Width of the pulp over that at 40 years."""
    filling: Filling = "none"
    wide: float = 0.5
    """Width of a filling over the crown's."""
    root_filled: bool = False

    @property
    def number(self) -> int:
        """Its number after the FDI (ISO 3950)."""
        return (
            10 * {(True, False): 1, (True, True): 2, (False, True): 3, (False, False): 4}[self.upper, self.left]
            + self.place
        )

    def own(self, x: Floats, z: Floats) -> tuple[Floats, Floats]:
        """Return how far backwards and how far towards the bite places of the jaw lie from the neck, in mm."""
        back = (x - self.x) * (1 if self.left else -1)
        up = (z - self.z) * (-1 if self.upper else 1)
        c, s = np.cos(np.deg2rad(self.lean)), np.sin(np.deg2rad(self.lean))
        return back * c - up * s, back * s + up * c

    def placed(self, own: Floats) -> Floats:
        """Return the places in the jaw `[n, (x, z)]` of own places `[n, 2]`."""
        c, s = np.cos(np.deg2rad(self.lean)), np.sin(np.deg2rad(self.lean))
        back, up = own[:, 0] * c + own[:, 1] * s, own[:, 1] * c - own[:, 0] * s
        return np.stack([self.x + (1 if self.left else -1) * back, self.z + (-1 if self.upper else 1) * up], axis=1)


@dataclass(frozen=True, eq=False, kw_only=True)
class ToothPaths:
    """What a ray meets in one tooth, in mm, on the part of the picture `[z, x]` about it."""

    where: tuple[slice, slice]
    enamel: Floats
    dentine: Floats
    metal: Floats
    aluminium: Floats
    depth: Floats
    """Signed distance to the outline, positive inside."""
    reach: Floats
    half: Floats

    @property
    def total(self) -> Floats:
        """Path through the whole tooth, its pulp included."""
        return chord(self.depth, self.reach, self.half)

    def grown(self, mm: float) -> Floats:
        """Return the path through the tooth with another `mm` all round."""
        return chord(self.depth + mm, self.reach + mm, self.half + mm)


def chord(depth: Floats, reach: Floats, half: Floats) -> Floats:
    """Return how thick a solid is along the beam: half an ellipse from its outline to `reach` mm inside, then flat."""
    inside = np.clip(depth / np.maximum(reach, 1e-3), 0, 1)
    return np.asarray(2 * np.maximum(half, 0) * np.sqrt(inside * (2 - inside)))


def tooth_paths(tooth: Tooth, x: Floats, z: Floats) -> ToothPaths | None:
    """Return the paths through a tooth about places `x` and `z` in mm, which rise evenly; none when out of sight."""
    outlines = [closed_curve(tooth.placed(points), step_mm=_STEP_MM) for points in _outlines(tooth)]
    where = _window(outlines, x, z)
    if where is None:
        return None
    x, z = x[where[1]], z[where[0]]
    back, up = tooth.own(x[None, :], z[:, None])
    depth = depth_inside(outlines[0], x, z, coarse_mm=_COARSE_MM)
    reach, half = _section(tooth, up)
    enamel_mm = tooth.size * tooth.shape.enamel * _rise(up, -0.2, 0.55 * tooth.shape.crown * tooth.size)
    total = chord(depth, reach, half)
    core = np.minimum(chord(depth - enamel_mm, reach, half - 0.75 * enamel_mm), total)
    enamel, dentine = total - core, core
    if len(outlines) > 1:
        palatal = depth_inside(outlines[1], x, z, coarse_mm=_COARSE_MM)
        extra = 0.6 * chord(palatal, np.full_like(up, 1.3), np.full_like(up, 2.2)) * (up < 0)
        depth, dentine = np.maximum(depth, np.where(up < 0, palatal, depth)), dentine + extra
    pulp, canals = _pulp(tooth, back, up)
    healthy = ToothPaths(
        where=where, enamel=enamel, dentine=np.maximum(dentine - pulp, 0), metal=np.zeros_like(up),
        aluminium=GUTTA_PERCHA_ALUMINIUM * canals if tooth.root_filled else np.zeros_like(up), depth=depth,
        reach=reach, half=half,
    )  # fmt: skip
    return _treated(tooth, healthy, back, up)


def _treated(tooth: Tooth, healthy: ToothPaths, back: Floats, up: Floats) -> ToothPaths:
    """Return the paths with the tooth's filling or crown, which takes the place of what was there."""
    if tooth.filling == "none":
        return healthy
    total = healthy.total
    if tooth.filling == "crown":
        margin = 1.2 - 1.1 * (back / (0.5 * tooth.size * tooth.shape.neck)) ** 2
        cap = np.clip((up - margin) / 0.2 + 0.5, 0, 1)
        core = chord(healthy.depth - 1.0, healthy.reach - 0.5, healthy.half - 0.7)
        return replace(healthy, metal=cap * (healthy.grown(0.15) - core), enamel=healthy.enamel * (1 - cap))
    filled = _cavity(tooth, back, up) * np.minimum(0.6 * total, 5.0)
    left = 1 - filled / np.maximum(total, 1e-6)
    rest = replace(healthy, enamel=healthy.enamel * left, dentine=healthy.dentine * left)
    if tooth.filling == "amalgam":
        return replace(rest, metal=filled)
    return replace(rest, aluminium=healthy.aluminium + COMPOSITE_ALUMINIUM * filled)


def _outlines(tooth: Tooth) -> list[Floats]:
    """Return the landmarks of the outline and, in an upper molar, of its palatal root, about the neck in mm."""
    shape, size = tooth.shape, tooth.size
    crown = np.array(_CROWNS[shape.outline]) * [shape.width / 2, shape.crown]
    root = _bent(np.array(_ROOTS[shape.roots]) * [1, 1], tooth) * [shape.neck / 2, -shape.root]
    necks = np.array([(-shape.neck / 2, 0.0), (shape.neck / 2, 0.0)])
    found = [size * np.concatenate([necks[:1], crown, necks[1:], root])]
    if shape.roots == 3:
        found.append(size * _bent(np.array(_PALATAL), tooth) * [shape.neck / 2, -shape.root])
    return found


def _bent(points: Floats, tooth: Tooth) -> Floats:
    """Bend roots backwards towards the apex; points in half neck widths and root lengths."""
    bent = points.copy()
    bent[:, 0] += tooth.bend * tooth.shape.root / (tooth.shape.neck / 2) * np.maximum(points[:, 1], 0) ** 2
    return bent


def _section(tooth: Tooth, up: Floats) -> tuple[Floats, Floats]:
    """Return, at heights in mm, how far from the outline the thickness is full, and half that thickness."""
    shape, size = tooth.shape, tooth.size
    down, high = np.clip(-up / (size * shape.root), 0, 1), np.clip(up / (size * shape.crown), 0, 1)
    taper = np.sqrt(1 - 0.75 * down**2)
    split = 1.0 if shape.roots == 1 else 1 - 0.56 * _rise(down, 0.12, 0.42)
    reach = size * (
        0.9 * shape.neck / 2 * taper * split * (1 - _rise(high, 0.0, 0.5))
        + 0.42 * shape.width / 2 * _rise(high, 0.0, 0.5)
    )
    half = size * shape.deep / 2 * taper * (0.86 + 0.20 * np.sqrt(high) - 0.46 * high**3)
    if shape.roots > 1:
        half = half * (1 - 0.15 * _rise(down, 0.1, 0.5))
    return np.asarray(reach), np.asarray(half)


def _pulp(tooth: Tooth, back: Floats, up: Floats) -> tuple[Floats, Floats]:
    """Return the paths in mm through the whole pulp, and through the canals as a root filling has them."""
    shape, size = tooth.shape, tooth.size
    wide = size * np.sqrt(shape.neck / 5.0) * tooth.pulp
    unit = size * np.array([shape.neck / 2, shape.root])
    pulp, canals = np.zeros_like(up), np.zeros_like(up)
    for line in _CANALS[shape.roots]:
        points = _bent(np.array(line), tooth) * unit * [1, -1]
        for (a, b), (ra, rb) in zip(pairwise(points), pairwise((1.0, 0.75, 0.35)), strict=True):
            pulp = np.maximum(pulp, _rod(back, up, a, b, (ra * _CANAL_MM * wide, rb * _CANAL_MM * wide)))
            canals = np.maximum(canals, _rod(back, up, a, b, (0.5 * ra + 0.1, 0.5 * rb + 0.1)))
    radius, horn = _CHAMBER_MM * wide, size * shape.crown
    rods = [((0.0, -0.12 * unit[1]), (0.0, 0.42 * horn), 0.87, 0.22)] if shape.roots == 1 else []
    for side in () if shape.roots == 1 else (-unit[0], unit[0]):
        corner = (0.46 * side, 0.2)
        rods += [
            (corner, (0.62 * side, 0.36 * horn), 0.85, 0.2),
            (corner, (0.58 * side, -1.6 * size), 0.9, 0.4),
            (corner, (0.0, 0.0), 0.95, 0.8),
        ]
    for start, end, wide_start, wide_end in rods:
        radii = (wide_start * radius, wide_end * radius)
        pulp = np.maximum(pulp, 1.15 * _rod(back, up, np.array(start), np.array(end), radii))
    return np.asarray(pulp), np.asarray(canals)


def _rod(back: Floats, up: Floats, start: Floats, end: Floats, radii: tuple[float, float]) -> Floats:
    """Return the path in mm through a rod from one point to another, half as deep again as it is wide."""
    axis = end - start
    place = np.clip(((back - start[0]) * axis[0] + (up - start[1]) * axis[1]) / (axis @ axis), 0, 1)
    radius = radii[0] + place * (radii[1] - radii[0])
    apart = np.hypot(back - start[0] - place * axis[0], up - start[1] - place * axis[1]) / radius
    return np.asarray(3.0 * radius * np.sqrt(np.clip(1 - apart**2, 0, None)))


def _cavity(tooth: Tooth, back: Floats, up: Floats) -> Floats:
    """Return how much of each ray's filled depth a filling takes, 0 to 1: a box with round corners from above."""
    crown, width = tooth.size * tooth.shape.crown, tooth.size * tooth.shape.width
    u = (np.abs(back) - tooth.wide * width / 2) / 0.35
    floor = np.full_like(back, 0.60 * crown)
    if tooth.wide > 0.85:
        floor = floor - 0.26 * crown * _rise(np.abs(back), 0.26 * width, 0.34 * width)
    if tooth.root_filled:
        floor = np.where(np.abs(back) < 0.16 * width, 0.12 * crown, floor)
    return np.asarray(np.clip(0.5 - np.maximum(u, (floor - up) / 0.35), 0, 1))


def _window(outlines: list[Floats], x: Floats, z: Floats) -> tuple[slice, slice] | None:
    """Return the part of a picture `[z, x]` about outlines."""
    points = np.concatenate(outlines)
    slices = []
    for places, low, high in zip((z, x), points.min(axis=0)[::-1], points.max(axis=0)[::-1], strict=True):
        first, last = np.searchsorted(places, (low - _MARGIN_MM, high + _MARGIN_MM))
        if last - first < 2:
            return None
        slices.append(slice(int(first), int(last)))
    return slices[0], slices[1]


def _rise(values: Floats, start: float, end: float) -> Floats:
    """Return 0 before the start, 1 after the end, smooth in between."""
    part = np.clip((values - start) / (end - start), 0, 1)
    return np.asarray(part * part * (3 - 2 * part))
