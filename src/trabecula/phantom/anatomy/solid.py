"""Solids by signed distance: a few shapes in mm, and how they join, cut, grow and move.

A distance is negative inside and exact to first order at the surface, which is what walls and partial volumes need.
Positions are LPS mm: x to the patient's left, y backwards, z to the head.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float32]

Point: TypeAlias = tuple[float, float, float]
Law: TypeAlias = Callable[["Floats"], "Floats"]
"""A length in mm that changes along z."""


@dataclass(frozen=True, eq=False)
class Solid:
    """A solid: `distance(x, y, z)` of broadcastable positions in mm, and the box that holds it.

    `a | b`, `a & b` and `a - b` join, intersect and cut.
    Raises `ValueError` for an empty box.
    """

    distance: Callable[[Floats, Floats, Floats], Floats]
    low: Point
    high: Point

    def __post_init__(self) -> None:
        if not all(a < b for a, b in zip(self.low, self.high, strict=True)):
            raise ValueError(f"a solid fills a box in mm; got {self.low} to {self.high}")

    def __or__(self, other: Solid) -> Solid:
        return joined([self, other])

    def __and__(self, other: Solid) -> Solid:
        low = np.maximum(self.low, other.low)
        high = np.maximum(np.minimum(self.high, other.high), low + 1e-3)
        return Solid(lambda x, y, z: np.maximum(self.distance(x, y, z), other.distance(x, y, z)), *_box(low, high))

    def __sub__(self, other: Solid) -> Solid:
        return Solid(lambda x, y, z: np.maximum(self.distance(x, y, z), -other.distance(x, y, z)), self.low, self.high)

    def grown(self, mm: float) -> Solid:
        """Return the solid with another `mm` on every surface; negative shrinks it."""
        return Solid(
            lambda x, y, z: self.distance(x, y, z) - np.float32(mm), *_box(*_padded(self.low, self.high, max(mm, 0.0)))
        )

    def moved(self, *, shift: Sequence[float] = (0.0, 0.0, 0.0), turn: ArrayLike | None = None) -> Solid:
        """Return the solid turned about the origin by a rotation matrix `[3, 3]`, then shifted by mm."""
        dx, dy, dz = (np.float32(mm) for mm in shift)
        corners = _corners(self.low, self.high)
        if turn is None:
            low, high = corners.min(axis=0) + shift, corners.max(axis=0) + shift
            return Solid(lambda x, y, z: self.distance(x - dx, y - dy, z - dz), *_box(low, high))
        matrix = np.asarray(turn, dtype=np.float64)
        placed = corners @ matrix.T + shift
        m = matrix.astype(np.float32)

        def distance(x: Floats, y: Floats, z: Floats) -> Floats:
            x, y, z = x - dx, y - dy, z - dz
            return self.distance(
                m[0, 0] * x + m[1, 0] * y + m[2, 0] * z,
                m[0, 1] * x + m[1, 1] * y + m[2, 1] * z,
                m[0, 2] * x + m[1, 2] * y + m[2, 2] * z,
            )

        return Solid(distance, *_box(placed.min(axis=0), placed.max(axis=0)))

    def mirrored(self) -> Solid:
        """Return the solid of the other side of the body, mirrored at x = 0."""
        low, high = (-self.high[0], *self.low[1:]), (-self.low[0], *self.high[1:])
        return Solid(lambda x, y, z: self.distance(-x, y, z), *_box(low, high))


def rotation(*, about_x: float = 0.0, about_y: float = 0.0, about_z: float = 0.0) -> NDArray[np.float64]:
    """Return the matrix `[3, 3]` of turns by degrees, first about x, then y, then z; counter-clockwise."""
    matrix = np.eye(3)
    for axis, degrees in ((0, about_x), (1, about_y), (2, about_z)):
        c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
        one, other = ((1, 2), (2, 0), (0, 1))[axis]
        turn = np.eye(3)
        turn[one, one] = turn[other, other] = c
        turn[one, other], turn[other, one] = -s, s
        matrix = turn @ matrix
    return matrix


def joined(solids: Sequence[Solid], *, blend_mm: float = 0.0) -> Solid:
    """Return all solids as one; where two meet within `blend_mm`, the edge between them is filled and rounded."""
    low = np.min([solid.low for solid in solids], axis=0)
    high = np.max([solid.high for solid in solids], axis=0)
    reach = np.float32(blend_mm)

    def both(a: Floats, b: Floats) -> Floats:
        if not blend_mm:
            return np.minimum(a, b)
        near = np.maximum(reach - np.abs(a - b), 0)
        return np.asarray(np.minimum(a, b) - near * near / (4 * reach))

    return Solid(
        lambda x, y, z: reduce(both, (solid.distance(x, y, z) for solid in solids)),
        *_box(*_padded(low, high, blend_mm / 4)),
    )


def ellipsoid(centre: Sequence[float], radii: Sequence[float] | float) -> Solid:
    """Return an ellipsoid with half axes in mm along x, y and z; a sphere with one radius."""
    a = np.broadcast_to(np.asarray(radii, dtype=np.float64), 3)
    (cx, cy, cz), (rx, ry, rz) = (tuple(np.float32(v) for v in row) for row in (centre, a))

    def distance(x: Floats, y: Floats, z: Floats) -> Floats:
        u, v, w = (x - cx) / rx, (y - cy) / ry, (z - cz) / rz
        radius = np.sqrt(u * u + v * v + w * w)
        slope = np.sqrt((u / rx) ** 2 + (v / ry) ** 2 + (w / rz) ** 2) / np.maximum(radius, np.float32(1e-3))
        return np.asarray((radius - 1) / np.maximum(slope, np.float32(1 / a.max())))

    return Solid(distance, *_box(np.asarray(centre) - a, np.asarray(centre) + a))


def rod_between(
    start: Sequence[float],
    end: Sequence[float],
    radii: tuple[float, float],
    *,
    flatten: tuple[Point, float] | None = None,
) -> Solid:
    """Return a rod with round ends whose radius in mm goes from one end to the other.

    `flatten` is a unit direction and a factor: the section is that much wider along it, as a lamina is.
    """
    a, b = (np.asarray(point, dtype=np.float64) for point in (start, end))
    axis = b - a
    length = float(np.linalg.norm(axis))
    if length <= 0 or min(radii) <= 0:
        raise ValueError(f"a rod has two ends and positive radii; got {start}, {end}, {radii}")
    ax, ay, az = (np.float32(v) for v in axis / length)
    sx, sy, sz = (np.float32(v) for v in a)
    wide, factor = (np.asarray(flatten[0]), flatten[1]) if flatten else (np.zeros(3), 1.0)
    wx, wy, wz = (np.float32(v) for v in wide)
    less = np.float32(1 - 1 / factor)

    def distance(x: Floats, y: Floats, z: Floats) -> Floats:
        x, y, z = x - sx, y - sy, z - sz
        if flatten:
            along = (x * wx + y * wy + z * wz) * less
            x, y, z = x - along * wx, y - along * wy, z - along * wz
        place = np.clip(x * ax + y * ay + z * az, 0, np.float32(length))
        radius = np.float32(radii[0]) + place * np.float32((radii[1] - radii[0]) / length)
        x, y, z = x - place * ax, y - place * ay, z - place * az
        away = np.sqrt(x * x + y * y + z * z)
        if not flatten:
            return np.asarray(away - radius)
        towards = (x * wx + y * wy + z * wz) / np.maximum(away, np.float32(1e-3))
        return np.asarray((away - radius) / np.sqrt(1 - towards * towards * np.float32(1 - 1 / factor**2)))

    reach = max(radii) * max(factor, 1.0)
    return Solid(distance, *_box(np.minimum(a, b) - reach, np.maximum(a, b) + reach))


def limb(points: ArrayLike, radii: Sequence[float], *, blend_mm: float = 0.0) -> Solid:
    """Return rods joined along points `[n, 3]` with a radius in mm at each."""
    places = np.asarray(points, dtype=np.float64)
    pairs = zip(places[:-1], places[1:], radii[:-1], radii[1:], strict=True)
    return joined([rod_between(a, b, (ra, rb)) for a, b, ra, rb in pairs], blend_mm=blend_mm)


def pillar(
    half_x: Law | float, half_y: Law | float, *, low_z: float, high_z: float, exponent: float = 2.0,
    centre_x: Law | float = 0.0, centre_y: Law | float = 0.0,
) -> Solid:  # fmt: skip
    """Return a pillar along z whose section is a superellipse with half axes and centre in mm that change along z.

    The exponent is 2 for an ellipse; higher is blunter. Its ends are flat.
    """
    z = np.linspace(low_z, high_z, 64, dtype=np.float32)
    hx, hy, cx, cy = (_law(law) for law in (half_x, half_y, centre_x, centre_y))
    n = np.float32(exponent)

    def distance(x: Floats, y: Floats, z: Floats) -> Floats:
        inside = np.clip(z, np.float32(low_z), np.float32(high_z))
        a, b = hx(inside), hy(inside)
        u, v = np.abs(x - cx(inside)) / a, np.abs(y - cy(inside)) / b
        if exponent == 2:
            radius = np.sqrt(u * u + v * v)
            slope = np.sqrt((u / a) ** 2 + (v / b) ** 2)
        else:
            u, v = np.maximum(u, np.float32(1e-4)), np.maximum(v, np.float32(1e-4))
            un, vn = u ** (n - 1), v ** (n - 1)
            radius = (un * u + vn * v) ** (1 / n)
            slope = np.sqrt((un / a) ** 2 + (vn / b) ** 2) * radius ** (2 - n)
        side = (radius - 1) * radius / np.maximum(slope, np.float32(1e-6))
        side = np.maximum(side, -np.minimum(a, b))
        ends = np.maximum(np.float32(low_z) - z, z - np.float32(high_z))
        return np.asarray(np.maximum(side, ends))

    low = (float((cx(z) - hx(z)).min()), float((cy(z) - hy(z)).min()), low_z)
    high = (float((cx(z) + hx(z)).max()), float((cy(z) + hy(z)).max()), high_z)
    return Solid(distance, low, high)


def half_space(point: Sequence[float], outward: Sequence[float]) -> Solid:
    """Return all that lies behind a plane through a point in mm with this outward direction; it has no end."""
    normal = np.asarray(outward, dtype=np.float64) / np.linalg.norm(outward)
    nx, ny, nz = (np.float32(v) for v in normal)
    off = np.float32(normal @ np.asarray(point, dtype=np.float64))
    endless = (1e6, 1e6, 1e6)
    return Solid(lambda x, y, z: nx * x + ny * y + nz * z - off, (-1e6, -1e6, -1e6), endless)


def _law(value: Law | float) -> Law:
    if callable(value):
        return value
    constant = np.float32(value)
    return lambda z: np.full_like(z, constant)


def _box(low: ArrayLike, high: ArrayLike) -> tuple[Point, Point]:
    (a, b, c), (d, e, f) = (np.asarray(each, dtype=float).tolist() for each in (low, high))
    return (a, b, c), (d, e, f)


def _padded(low: ArrayLike, high: ArrayLike, mm: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.asarray(low, dtype=np.float64) - mm, np.asarray(high, dtype=np.float64) + mm


def _corners(low: Point, high: Point) -> NDArray[np.float64]:
    return np.array([(x, y, z) for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])
