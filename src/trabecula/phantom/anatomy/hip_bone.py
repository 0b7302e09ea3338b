"""One half of the pelvis: acetabulum, ilium, pubis and ischium about the obturator foramen.

Places are LPS mm about the centre of the left hip: the midline lies at minus half the distance of both hips. Landmarks
are recalled from pelves as they stand (both anterior spines and the symphysis in one coronal plane) and placed by eye.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import CubicSpline

from trabecula.phantom.anatomy.sampled import joined_nearby
from trabecula.phantom.anatomy.solid import Solid, ellipsoid, half_space, joined, limb, rod_between

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from trabecula.phantom.anatomy.solid import Point

    Floats = NDArray[np.float32]
    Vector = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class PelvisShape:
    """What about somebody's pelvis does not depend on its density; lengths in mm.

    Raises `ValueError` for a pelvis that nobody has.
    """

    half_mm: float
    """From the midline to the centre of a hip."""
    size: float
    """Over that of a woman of 163 cm."""
    socket_mm: float
    """Radius of the bony socket: head and both cartilages."""
    cover_deg: float = 33.0
    """Centre-edge angle: how far the roof reaches over the head."""
    male: bool = False

    def __post_init__(self) -> None:
        limits = {"half_mm": (60, 120), "size": (0.7, 1.4), "socket_mm": (16, 40), "cover_deg": (5, 60)}
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"a pelvis's {name} lies between {low} and {high}; got {getattr(self, name)}")


def draw_pelvis(rng: Generator, *, male: bool, height_cm: float, head_mm: float) -> PelvisShape:
    """Draw somebody's pelvis about heads of this radius; the joint space is 4 mm and less in some; recalled."""
    tall = height_cm / (177 if male else 163)
    z = np.clip(rng.standard_normal(4), -2.5, 2.5)
    return PelvisShape(
        half_mm=(89 if male else 87) * tall * (1 + 0.04 * z[0]),
        size=(1.06 if male else 1.0) * tall * (1 + 0.03 * z[1]),
        socket_mm=head_mm + 4.1 + 0.5 * z[2],
        cover_deg=34 + 5 * z[3],
        male=male,
    )


def hip_bone_solid(shape: PelvisShape) -> Solid:
    """Return the left hip bone's outer surface about the midline x = 0, its hip at `half_mm`."""
    place = _Landmarks(shape)
    parts = joined_nearby([*_ilium(place), *_pubis(place), *_ischium(place), _block(place)], blend_mm=6.0)
    symphysis = half_space((-shape.half_mm + 2.2, 0.0, 0.0), (-1.0, 0.0, 0.0))
    placed = ((parts & symphysis) - _socket(shape)).moved(shift=(shape.half_mm, 0.0, 0.0))
    s = shape.size
    return Solid(placed.distance, (0.0, -68.0 * s, -92.0 * s), (shape.half_mm + 62.0 * s, 112.0 * s, 160.0 * s))


class _Landmarks:
    """Landmarks at the pelvis's own size, those towards the midline drawn to its width."""

    def __init__(self, shape: PelvisShape) -> None:
        self.shape = shape
        self.s = shape.size
        self.wide = shape.half_mm / 88.0

    def at(self, x: float, y: float, z: float) -> Point:
        return (self.wide if x < 0 else self.s) * x, self.s * y, self.s * z

    def limb(self, *points: tuple[float, float, float, float]) -> Solid:
        """Return a limb through landmarks with a radius each."""
        places = [self.at(*point[:3]) for point in points]
        return limb(places, [self.s * point[3] for point in points], blend_mm=3.0)


def _block(place: _Landmarks) -> Solid:
    """Return the mass about the socket, flat towards the inner pelvis, cut at the rim."""
    r = place.shape.socket_mm
    mass = ellipsoid((-0.12 * r, 0.05 * r, 0.18 * r), (1.20 * r, 1.22 * r, 1.28 * r))
    inner = half_space((-r - 3.2, 0.0, 0.0), (-0.97, 0.10, 0.22))
    return mass & inner & _behind_rim(place.shape)


def _behind_rim(shape: PelvisShape) -> Solid:
    """Return all that lies behind the rim of the socket, which opens to the side, down and forwards."""
    cover = np.deg2rad(shape.cover_deg)
    edge = shape.socket_mm * np.array([np.sin(cover), 0.0, np.cos(cover)])
    return half_space(edge.tolist(), (0.68, -0.26, -0.68))


def _socket(shape: PelvisShape) -> Solid:
    """Return what the socket leaves free: a ball, its fossa and notch below, and the way out."""
    r = shape.socket_mm
    fossa = ellipsoid((-0.42 * r, 0.02 * r, -0.30 * r), (0.64 * r, 0.42 * r, 0.55 * r))
    notch = rod_between((-0.35 * r, -0.05 * r, -0.7 * r), (0.4 * r, -0.3 * r, -1.4 * r), (0.40 * r, 0.5 * r))
    way = rod_between((0, 0, 0), (1.4 * r, -0.5 * r, -1.4 * r), (0.98 * r, 1.15 * r))
    return joined([ellipsoid((0, 0, 0), r), fossa, notch, way])


def _ilium(place: _Landmarks) -> list[Solid]:
    """Return wing, crest, body, front, posterior column and brim of the ilium."""
    s = place.s
    spine, back = np.array(place.at(33, -52, 72)), np.array(place.at(-46, 84, 78))  # upper spines in front and behind
    along = (spine - back) * [1, 1, 0]
    along /= np.linalg.norm(along)
    up = np.array([0.30, -0.02, 0.95])
    up -= along * (along @ up)
    up /= np.linalg.norm(up)
    normal = np.cross(along, up)
    foot = np.array(place.at(-8, 6, 34))
    notch = np.array(place.at(-32, 58, 12))
    sciatic = rod_between((notch - 60 * normal).tolist(), (notch + 60 * normal).tolist(), (20 * s, 20 * s))
    return [
        _plate(foot + 50 * s * up, along, up, radii=(80 * s, 63 * s), half=3.0 * s) - sciatic,
        _crest(foot, (back, spine), (along, up, normal), s),
        place.limb((-7, 2, 26, 21), (-8, 3, 42, 13), (-8, 4, 66, 5)),
        place.limb((33, -52, 72, 6), (21, -41, 48, 6), (12, -33, 30, 8.5), (0, -22, 16, 11)),
        place.limb((-16, 24, 12, 13), (-22, 34, 32, 9), (-32, 50, 48, 8), (-42, 66, 60, 8), (-47, 82, 72, 7)),
        place.limb((-38, 48, 50, 6), (-30, 20, 30, 6.5), (-26, -10, 13, 7), (-40, -34, -2, 7)),
    ]


def _crest(foot: Vector, ends: tuple[Vector, Vector], axes: tuple[Vector, Vector, Vector], s: float) -> Solid:
    """Return the thick rim of the wing from the posterior to the anterior spine."""
    along, up, normal = axes
    rim = CubicSpline(
        np.linspace(0, 1, 7),
        [(-0.53, 0.44), (-0.47, 0.66), (-0.30, 0.86), (-0.06, 0.95), (0.20, 0.90), (0.42, 0.72), (0.53, 0.44)],
    )(np.linspace(0, 1, 15))
    points = [foot + s * 150 * (a * along + 0.80 * b * up) + s * 9 * (b - 0.6) * normal for a, b in rim]
    points[0], points[-1] = ends
    return limb([point.tolist() for point in points], [s * r for r in np.linspace(6.5, 5.5, 15)])


def _plate(centre: Vector, along: Vector, up: Vector, *, radii: tuple[float, float], half: float) -> Solid:
    """Return a curved plate, an ellipse in its own plane, hollow towards the inner pelvis."""
    a, b = (np.float32(radius) for radius in radii)

    def distance(x: Floats, y: Floats, z: Floats) -> Floats:
        square = (x / a) ** 2 + (z / b) ** 2
        rim = (np.sqrt(square) - 1) * min(a, b)
        return np.asarray(np.maximum(np.abs(y + 9 * (square - np.float32(0.5))) - np.float32(half), rim))

    flat = Solid(distance, (-float(a), -half - 12, -float(b)), (float(a), half + 12, float(b)))
    return flat.moved(turn=np.stack([along, np.cross(along, up), up], axis=1), shift=centre.tolist())


def _pubis(place: _Landmarks) -> list[Solid]:
    """Return upper ramus, body and lower ramus of the pubis; a man's symphysis is deeper."""
    deep = -3 if place.shape.male else 0
    return [
        place.limb((-15, -22, -2, 13), (-34, -36, -4, 9.5), (-56, -46, -9, 8), (-74, -50, -17, 9)),
        place.limb((-79, -49, -17, 9), (-80, -47, -28, 9.5), (-79, -42, -41 + deep, 8.5)),
        place.limb((-77, -42, -42 + deep, 8), (-64, -27, -57 + deep, 6), (-50, -6, -67, 6.5), (-36, 12, -72, 8.5)),
    ]


def _ischium(place: _Landmarks) -> list[Solid]:
    """Return body with tuberosity, and spine of the ischium."""
    return [
        place.limb((-10, 22, -6, 15), (-16, 28, -28, 13), (-24, 27, -48, 13.5), (-29, 21, -65, 12.5)),
        place.limb((-18, 28, -6, 8), (-32, 36, -11, 4.5), (-40, 39, -13, 3)),
    ]
