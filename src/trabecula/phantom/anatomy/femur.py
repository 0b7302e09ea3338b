"""The proximal femur: head, neck, trochanters and shaft, their cortex, and where trabecular bone is dense.

The bone's own frame is that of a left femur: the origin where the axis of the neck meets that of the shaft, z up the
shaft, the neck in the plane y = 0, x to the side and away from the head. A point in that plane also has a place `u` in
mm along the neck, from the origin to the head, and `v` across it, towards the trochanter. Morphometry is recalled
(means and spreads as in Noble, CORR 1988;235:148 and Reikerås, Acta Orthop Scand 1982;53:775), proportions are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import PchipInterpolator

from trabecula.phantom.anatomy.solid import Solid, ellipsoid, joined, limb, pillar, rod_between, rotation

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from trabecula.phantom.anatomy.solid import Law, Point

    Floats = NDArray[np.float32]

_SHAFT_MM = 190.0  # how far below the origin the bone goes on


@dataclass(frozen=True, kw_only=True)
class FemurShape:
    """What about somebody's proximal femur does not depend on its density; lengths in mm.

    Raises `ValueError` for a bone that nobody has.
    """

    head_mm: float
    """Radius of the head, bone alone."""
    neck_mm: float
    """From the axis of the shaft along that of the neck to the centre of the head."""
    neck_half_mm: float
    """Half the height of the neck where it is narrowest."""
    neck_shaft_deg: float
    anteversion_deg: float
    shaft_mm: float
    """Radius of the shaft below the lesser trochanter."""
    trochanter: float = 1.0
    """Size of the trochanters over the usual."""
    flat: float = 0.80
    """Depth of the neck over its height."""

    def __post_init__(self) -> None:
        limits = {
            "head_mm": (15, 33), "neck_mm": (30, 80), "neck_half_mm": (9, 25), "neck_shaft_deg": (105, 150),
            "anteversion_deg": (-20, 45), "shaft_mm": (9, 21), "trochanter": (0.7, 1.4), "flat": (0.6, 1.0),
        }  # fmt: skip
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"a femur's {name} lies between {low} and {high}; got {getattr(self, name)}")

    @property
    def along(self) -> tuple[float, float]:
        """Unit vector (x, z) along the neck to the head."""
        angle = np.deg2rad(180 - self.neck_shaft_deg)
        return -float(np.sin(angle)), float(np.cos(angle))

    @property
    def head(self) -> Point:
        """Centre of the head."""
        x, z = self.along
        return self.neck_mm * x, 0.0, self.neck_mm * z

    @property
    def size(self) -> float:
        """Size of the trochanters and the metaphysis over that of a femur with a shaft of radius 14 mm."""
        return self.trochanter * (0.4 + 0.6 * self.shaft_mm / 14)

    @property
    def lesser_mm(self) -> float:
        """Height of the lower end of the lesser trochanter, below 0."""
        return -34.0 * self.size

    def neck_places(self, x: Floats, z: Floats) -> tuple[Floats, Floats]:
        """Return the places (u, v) along and across the neck."""
        nx, nz = (np.float32(part) for part in self.along)
        return nx * x + nz * z, nz * x - nx * z


def draw_femur(rng: Generator, *, male: bool, height_cm: float) -> FemurShape:
    """Draw somebody's femur; sizes go with height, and a man's joints are larger at the same height."""
    tall = height_cm / (177 if male else 163)
    head, neck, half, shaft = (24.3, 55.0, 17.2, 15.3) if male else (21.8, 49.5, 15.2, 13.9)
    z = np.clip(rng.standard_normal(8), -2.5, 2.5)
    return FemurShape(
        head_mm=head * tall * (1 + 0.04 * z[0]),
        neck_mm=neck * tall * (1 + 0.06 * z[1]),
        neck_half_mm=half * tall * (1 + 0.03 * z[0] + 0.04 * z[2]),
        neck_shaft_deg=127 + 5 * z[3],
        anteversion_deg=12 + 8 * z[4],
        shaft_mm=shaft * tall**0.8 * (1 + 0.05 * z[5]),
        trochanter=1 + 0.05 * z[6],
        flat=0.80 + 0.03 * z[7],
    )


def femur_solid(shape: FemurShape) -> Solid:
    """Return the bone's outer surface in its own frame."""
    return joined([_neck(shape), _shaft(shape), *_trochanters(shape), _head(shape)], blend_mm=7.0)


def _head(shape: FemurShape) -> Solid:
    """Return the head with its fovea."""
    x, y, z = shape.head
    nx, nz = shape.along
    r = shape.head_mm
    pit = np.array([0.93 * nx - 0.30 * nz, 0.18, 0.93 * nz + 0.30 * nx]) * 1.13 * r + [x, y, z]
    return ellipsoid((x, y, z), r) - ellipsoid(pit.tolist(), 0.25 * r)


def _neck(shape: FemurShape) -> Solid:
    """Return the neck: an oval pillar whose waist lies before the head."""
    half, length = shape.neck_half_mm, shape.neck_mm
    low, high = -0.10 * length, 0.86 * length
    at = np.array([-0.10, 0.08, 0.28, 0.48, 0.58, 0.72, 0.86]) * length
    high_law = _law(at, half * np.array([0.95, 1.03, 1.02, 1.0, 1.0, 1.07, 1.17]))
    deep_law = _law(at, half * shape.flat * np.array([1.10, 1.08, 1.02, 1.0, 1.02, 1.16, 1.36]))
    column = pillar(high_law, deep_law, low_z=low, high_z=high, centre_x=_law(at, half * _SAG))
    return column.moved(turn=rotation(about_y=-(180 - shape.neck_shaft_deg)))


_SAG = np.array([-0.14, -0.12, -0.06, 0.0, 0.0, 0.0, 0.0])  # the neck's middle line, below its axis at the base


def _shaft(shape: FemurShape) -> Solid:
    """Return the shaft with the flare of the metaphysis, bowed forwards."""
    r, s = shape.shaft_mm, shape.size
    at = np.array([-_SHAFT_MM, -110, -62 * s, -44 * s, -30 * s, -16 * s, -4 * s, 8 * s, 18 * s])
    side = r * np.array([0.94, 0.96, 1.01, 1.07, 1.15, 1.25, 1.32, 1.16, 0.80])
    deep = r * np.array([0.97, 0.98, 1.00, 1.03, 1.08, 1.15, 1.15, 1.05, 0.80])
    across = r * np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.02, 0.12, 0.32, 0.50])
    bow = np.array([-3.0, -2.0, -0.5, 0, 0, 0, 0, 0, 0])
    return pillar(
        _law(at, side), _law(at, deep), low_z=-_SHAFT_MM, high_z=18 * s, centre_x=_law(at, across),
        centre_y=_law(at, bow),
    )  # fmt: skip


def _trochanters(shape: FemurShape) -> list[Solid]:
    """Return the greater and the lesser trochanter and the crest between them."""
    s = shape.size

    def at(x: float, y: float, z: float) -> Point:
        return s * x, s * y, s * z

    greater = joined(
        [
            ellipsoid(at(12.0, 3.0, 11.0), (10.5 * s, 15.0 * s, 17.0 * s)),
            ellipsoid(at(10.5, 8.0, 23.0), (8.0 * s, 10.0 * s, 9.5 * s)),
            ellipsoid(at(4.0, 13.0, 24.0), (8.0 * s, 6.0 * s, 8.5 * s)),
        ],
        blend_mm=6.0,
    )
    lesser = limb([at(-6, 8, -20), at(-11, 12, -23), at(-15, 15, -25)], [11.5 * s, 9.0 * s, 6.0 * s], blend_mm=3.0)
    crest = limb([at(3, 14, 18), at(-4, 15, 2), at(-11, 13, -14)], [5.0 * s, 4.5 * s, 4.5 * s], blend_mm=3.0)
    linea = rod_between(at(-4, 12.5, -32), (0.0, shape.shaft_mm * 0.95 - 3.0, 4 - _SHAFT_MM), (3.5, 2.8))
    return [greater, lesser, crest, linea]


def wall_law(shape: FemurShape, x: Floats, y: Floats, z: Floats) -> Floats:
    """Return the usual thickness of the cortex in mm, before it is scaled.

    Below the neck 3.8 mm and more towards the calcar, above it 0.95, over the head 0.8, over the trochanter 1.3, in the
    shaft 6.3; recalled orders of magnitude.
    """
    u, v = shape.neck_places(x, z)
    s = shape.size
    t = np.clip(v / np.float32(shape.neck_half_mm), -1.2, 1.2)
    front = np.clip(-y / np.float32(shape.neck_half_mm * shape.flat), -1, 1)
    neck = 1.75 - 1.40 * t + 0.60 * t * t + 0.2 * front
    medial = _table(z / s, [-100, -62, -40, -20, -5, 10], [6.4, 6.2, 5.4, 4.6, 3.8, 3.0])
    lateral = _table(z / s, [-100, -62, -40, -22, -8, 4, 16], [6.2, 5.8, 4.2, 2.6, 1.7, 1.5, 1.4])
    side = np.clip(0.5 + x / np.float32(2 * shape.shaft_mm), 0, 1)
    behind = np.clip(y / np.float32(shape.shaft_mm), -1, 1)
    shaft = medial + side * (lateral - medial)
    shaft = shaft * (1 - 0.55 * (1 - (2 * side - 1) ** 2) * _rise(z / s, -34, -4)) + 0.5 * behind * _rise(
        -z / s, 30, 60
    )
    wall = shaft + _rise(u, 4, 18) * (neck - shaft)
    top = _rise(v - 0.6 * u, 14 * s, 22 * s) * (1 - _rise(u, 14, 22))
    wall = wall + top * (1.3 - wall)
    return np.asarray(wall + _rise(u, shape.neck_mm - 17, shape.neck_mm - 5) * (0.8 - wall), dtype=np.float32)


def neck_share(shape: FemurShape, x: Floats, z: Floats) -> Floats:
    """Return how far the cortex belongs to neck and head, 1, rather than to trochanters and shaft, 0."""
    u, _ = shape.neck_places(x, z)
    begin, _ = neck_span(shape)
    return _rise(u, begin - 4, begin + 2)


def neck_span(shape: FemurShape) -> tuple[float, float]:
    """Return where along the neck the 15 mm begin and end that DXA takes for the femoral neck."""
    begin = 18.0 * shape.size
    return begin, begin + 15.0


def trabecular_law(shape: FemurShape, x: Floats, y: Floats, z: Floats, *, loss: float) -> Floats:
    """Return trabecular density over that of head and neck, not yet scaled: bands that bear load, and gaps.

    The principal compressive group runs from the dome of the head to the calcar, the principal tensile one in an arch
    from below the fovea through the upper neck to the lateral cortex; between them lies Ward's triangle. `loss` in SD
    thins what is thin first, as in Singh's index.
    """
    u, v = shape.neck_places(x, z)
    hx, _, hz = (np.float32(part) for part in shape.head)
    r, s = np.float32(shape.head_mm), shape.size
    compressive = compressive_share(shape, x, z)
    tensile = tensile_share(shape, x, z)
    core = np.exp(-0.5 * (((x - hx) / (0.75 * r)) ** 2 + (y / (0.8 * r)) ** 2 + ((z - hz) / (0.85 * r)) ** 2))
    lateral = 0.45 * np.exp(-0.5 * ((x - 11 * s) / (7 * s)) ** 2) * _rise(z, -34 * s, -8 * s)
    medial = 0.75 * np.exp(-0.5 * ((v + 0.85 * shape.neck_half_mm) / (5.5 * s)) ** 2) * (1 - _rise(u, 30, 44))
    dense = 1.15 * compressive + 0.60 * tensile + 0.55 * core + lateral + 0.5 * medial
    triangle = np.exp(-0.5 * (((u - 0.26 * shape.neck_mm) / (7 * s)) ** 2 + (v / (8 * s)) ** 2))
    sparse = (0.32 + 0.10 * _rise(u, 20, 40)) * (1 - 0.6 * triangle)
    contrast = np.float32(np.clip(1.0 + 0.12 * loss, 0.7, 1.8))
    shared = (sparse + dense) ** contrast
    canal = _rise(z, -58 * s, -14 * s)
    return np.asarray(shared * (0.02 + 0.98 * canal**1.5), dtype=np.float32)


def compressive_share(shape: FemurShape, x: Floats, z: Floats) -> Floats:
    """Return how much the principal compressive group is there, 0 to 1, in the plane of the neck."""
    hx, _, hz = shape.head
    r = shape.head_mm
    nx, nz = shape.along
    foot_u, foot_v = 0.30 * shape.neck_mm, -0.95 * shape.neck_half_mm
    foot = np.array([foot_u * nx + foot_v * nz, foot_u * nz - foot_v * nx])
    top = np.array([hx - 0.10 * r, hz + r])
    step = top - foot
    length = float(np.hypot(*step))
    place = ((x - foot[0]) * step[0] + (z - foot[1]) * step[1]) / length
    apart = ((x - foot[0]) * step[1] - (z - foot[1]) * step[0]) / length
    width = _table(place / length, [-0.2, 0.0, 0.5, 1.0], [0.16 * r, 0.20 * r, 0.36 * r, 0.46 * r])
    return np.asarray(np.exp(-0.5 * (apart / width) ** 2) * _rise(place, -8, 6), dtype=np.float32)


def tensile_share(shape: FemurShape, x: Floats, z: Floats) -> Floats:
    """Return how much the principal tensile group is there, 0 to 1, in the plane of the neck."""
    hx, _, hz = shape.head
    s, r = shape.size, shape.head_mm
    nx, nz = shape.along
    through = 0.45 * shape.neck_mm
    high = 0.55 * shape.neck_half_mm
    arch = np.array(
        [
            (hx - 0.65 * r, hz - 0.30 * r),
            (hx + 0.1 * r, hz + 0.25 * r),
            (through * nx + high * nz, through * nz - high * nx),
            (-2.0 * s, 11.0 * s),
            (9.0 * s, -2.0 * s),
            (13.5 * s, -22.0 * s),
        ]
    )
    nearest = np.full(np.broadcast_shapes(x.shape, z.shape), np.inf, dtype=np.float32)
    for a, b in pairwise(arch):
        dx, dz = b - a
        place = np.clip(((x - a[0]) * dx + (z - a[1]) * dz) / (dx * dx + dz * dz), 0, 1)
        nearest = np.minimum(nearest, (x - a[0] - place * dx) ** 2 + (z - a[1] - place * dz) ** 2)
    return np.asarray(np.exp(-0.5 * nearest / (0.22 * r) ** 2), dtype=np.float32)


def _rise(values: Floats, low: float, high: float) -> Floats:
    """Return a smooth step from 0 at `low` to 1 at `high`."""
    t = np.clip((values - np.float32(low)) / np.float32(high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)


def _table(values: Floats, at: list[float], known: list[float]) -> Floats:
    return np.asarray(np.interp(values, at, known), dtype=np.float32)


def _law(at: NDArray[np.float64], values: NDArray[np.float64]) -> Law:
    """Return a smooth law through values at places along z."""
    curve = PchipInterpolator(at, values)
    fine = np.linspace(at[0], at[-1], 257)
    known = curve(fine)
    return lambda z: np.asarray(np.interp(z, fine, known), dtype=np.float32)
