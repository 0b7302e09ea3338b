"""Sampled places: values that cost much to work out are worked out on a coarse grid once and taken linearly between.

Signed distances are smooth, so that a step of 1.5 mm leaves a surface where it is to within some hundredths of a mm.
Many solids that lie apart are joined where they are near alone, as only distances about zero count.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import map_coordinates

from trabecula.phantom.anatomy.solid import joined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trabecula.phantom.anatomy.scene import Place
    from trabecula.phantom.anatomy.solid import Point, Solid

    Floats = NDArray[np.float32]

STEP_MM = 1.5
_REACH_MM = np.float32(10.0)


def sampled_solid(solid: Solid, *, step_mm: float = STEP_MM) -> Solid:
    """Return a solid whose distance is taken between those on a grid, which reaches 4 mm beyond its box."""
    return replace(solid, distance=sampled_place(solid.distance, solid.low, solid.high, step_mm=step_mm))


def sampled_place(value: Place, low: Point, high: Point, *, step_mm: float = STEP_MM) -> Place:
    """Return a place whose values inside a box are taken between those on a grid; beyond 4 mm from it they are held."""
    starts = [mm - 4.0 for mm in low]
    counts = [int(np.ceil((b + 4.0 - start) / step_mm)) + 1 for b, start in zip(high, starts, strict=True)]
    x, y, z = ((start + step_mm * np.arange(n)).astype(np.float32) for start, n in zip(starts, counts, strict=True))
    known = value(x[None, None, :], y[None, :, None], z[:, None, None])
    grid = np.ascontiguousarray(np.broadcast_to(known, tuple(counts[::-1])), dtype=np.float32)

    def between(x: Floats, y: Floats, z: Floats) -> Floats:
        places = [(np.asarray(at) - start) / step_mm for at, start in zip((x, y, z), starts, strict=True)]
        if _separable(x, y, z):
            found = grid
            for axis, at in zip((2, 1, 0), places, strict=True):
                found = _taken(found, at.ravel(), axis)
            return found
        return np.asarray(map_coordinates(grid, np.broadcast_arrays(*places[::-1]), order=1, mode="nearest"))

    return between


def joined_nearby(solids: Sequence[Solid], *, blend_mm: float) -> Solid:
    """Return all solids as one, as `solid.joined` does, each looked at within 10 mm of its box alone.

    Distances beyond 10 mm are given as 10. Only on the axes of a grid (see `Grid.axes`) is this faster.
    """
    whole = joined(solids, blend_mm=blend_mm)
    reach = np.float32(blend_mm)

    def distance(x: Floats, y: Floats, z: Floats) -> Floats:
        if not _separable(x, y, z):
            return np.minimum(whole.distance(x, y, z), _REACH_MM)
        found = np.full((z.size, y.size, x.size), _REACH_MM, dtype=np.float32)
        for solid in solids:
            if (part := nearby(solid, x, y, z, float(_REACH_MM))) is None:
                continue
            k, j, i = part
            there, here = found[part], np.minimum(solid.distance(x[:, :, i], y[:, j], z[k]), _REACH_MM)
            near = np.maximum(reach - np.abs(there - here), 0)
            near[(there >= _REACH_MM) | (here >= _REACH_MM)] = 0
            found[part] = np.minimum(there, here) - near * near / (4 * reach)
        return found

    return replace(whole, distance=distance)


def nearby(solid: Solid, x: Floats, y: Floats, z: Floats, mm: float) -> tuple[slice, slice, slice] | None:
    """Return the part [k, j, i] of a grid with these axes that lies within `mm` of a solid's box, if any."""
    slices = []
    for at, low, high in zip((z, y, x), solid.low[::-1], solid.high[::-1], strict=True):
        span = np.flatnonzero((at.ravel() > low - mm) & (at.ravel() < high + mm))
        if not span.size:
            return None
        slices.append(slice(int(span[0]), int(span[-1]) + 1))
    k, j, i = slices
    return k, j, i


def mirrored_place(value: Place) -> Place:
    """Return the values of the other side of the body, mirrored at x = 0."""
    return lambda x, y, z: value(-x, y, z)


def _separable(x: Floats, y: Floats, z: Floats) -> bool:
    """Whether places are the axes of a grid."""
    return x.shape[:-1] == (1, 1) and y.shape[::2] == (1, 1) and z.shape[1:] == (1, 1)


def _taken(values: Floats, places: Floats, axis: int) -> Floats:
    """Return values taken linearly between those at grid points of an axis; places count in grid points."""
    held = np.clip(places.astype(np.float64), 0, values.shape[axis] - 1.000001)
    below = held.astype(int)
    share = (held - below).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
    low, high = (values.take(at, axis) for at in (below, below + 1))
    high -= low
    high *= share
    high += low
    return high
