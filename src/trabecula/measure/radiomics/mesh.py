"""The surface of a mask by marching cubes: its area, volume and vertices, without ever writing down a triangle.

A mask is 0 or 1, so every vertex lies in the middle of an edge of the grid, and each of the 256 kinds of cube adds
always the same: it is enough to count them. Lorensen WE, Cline HE, 1987, doi:10.1145/37402.37422.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CORNERS = np.array([(0, 0, 0), (0, 0, 1), (0, 1, 1), (0, 1, 0), (1, 0, 0), (1, 0, 1), (1, 1, 1), (1, 1, 0)])
_EDGES = np.array([(1, 0), (2, 1), (3, 2), (3, 0), (5, 4), (6, 5), (7, 6), (7, 4), (4, 0), (5, 1), (6, 2), (7, 3)])
_TRIANGLES = """
- 083 190 183198 12a 08312a 92a029 2832a8a98 b23 b2008b 190b23 b2119b98b 3a1ba3 a1008a8ba 9033b9ba9 98aba8 478
043473 190478 194147173 12a478 34730412a 92a902478 2a9297273479 478b23 b47b24204 190478b23 47b94bb29192
3a1ba3478 ba114b10447b 4789033b9ba9 47b4b99ba 954 954083 054015 854835315 12a954 08312a954 2a5542240
2a5325354834 954b23 b2008b954 054015b23 215258b28548 3a1ba3954 549a1008a8ba 54050ba5bb03 548a58ba8 789579
309539357 780017715 157173 78957912a 12a309395357 0288258572a5 2a5253357 579789b23 579972209b27 b23018178157
21b17b157 7895793a1ba3 5705097b0a10ba0 ba003ba50078570 ba557b 65a 08365a 19065a 18319865a 165126 165126083
965906026 598582526832 b2365a b2008b65a 190b2365a b2119b98b65a 63b653513 08b0b50515b6 63b036065059 65969bb98
47865a 04347365a 19047865a 19414717365a 478165126 043473165126 478965906026 739479329596269 b2347865a
b47b2420465a 190b2347865a 47b94bb2919265a 47863b653513 51b5b610b47b04b 47863b036065059 65969b4797b9 a4964a
a4964a083 01aa60640 18316886461a 149124264 149124264083 024426 832824426 b23a4964a b2008ba4964a b2301aa60640
64161a148b2118b 964369139b63 18b081b61149641 63b036640 86468b 67a78a89a 67a0a709a073 67a1a7178018 67a1a7173
126168189678 269129679309739 078706602 273267 b2367a78a89a 207b2709767a9a7 67a1a7178018b23 b2117ba61167
896678169b63136 09167b 07870603bb60 67b
"""
"""For each set of corners inside, as a binary number below 128, the triangles as triples of edges in hexadecimal. A set
with the last corner has the triangles of the others, turned round. The table is Paul Bourke's ("Polygonising a scalar
field", 1994, public domain) in the order of PyRadiomics 3.0.1, so that shapes agree with it to rounding."""


class Surface(NamedTuple):
    """Area in mm2, volume in mm3, vertices `[vertex, 3]` in mm along k, j, i from the first voxel's centre."""

    area: float
    volume: float
    vertices: NDArray[np.float64]


def surface(mask: NDArray[np.bool_], spacing: tuple[float, float, float]) -> Surface:
    """Mesh the border of a mask `[k, j, i]`; what lies outside of the array is outside of the mask."""
    padded = np.pad(mask, 1)
    kind = np.zeros(np.array(padded.shape) - 1, dtype=np.uint8)
    for bit, corner in enumerate(_CORNERS):
        part = tuple(slice(at, at + size) for at, size in zip(corner, kind.shape, strict=True))
        kind |= padded[part].view(np.uint8) << np.uint8(bit)
    where = np.flatnonzero((kind > 0) & (kind < 255))
    cubes = kind.ravel()[where]
    scale = np.array(spacing)
    area, volume, outward = _of_kinds(spacing)
    corner = np.stack(np.unravel_index(where, kind.shape), axis=1) * scale
    enclosed = volume[cubes].sum() + (corner * outward[cubes]).sum() / 3
    return Surface(float(area[cubes].sum()), float(enclosed), (_vertices(padded) - 1) * scale)


def _vertices(padded: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the middles of all edges of the grid that cross the border, in voxels."""
    found = []
    for axis in range(3):
        middle = np.argwhere(np.diff(padded, axis=axis)).astype(np.float64)
        middle[:, axis] += 0.5
        found.append(middle)
    return np.concatenate(found)


@cache
def _of_kinds(
    spacing: tuple[float, float, float],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return area, volume seen from the first corner, and area vector of each of the 256 kinds of cube."""
    area, volume, outward = np.zeros(256), np.zeros(256), np.zeros((256, 3))
    middles = _CORNERS[_EDGES].mean(axis=1) * spacing
    for kind, row in enumerate(_TRIANGLES.split()):
        if row == "-":
            continue
        a, b, c = middles[[int(edge, 16) for edge in row]].reshape(-1, 3, 3).transpose(1, 0, 2)
        normal = np.cross(b - a, c - a) / 2
        area[kind] = np.linalg.norm(normal, axis=1).sum()
        volume[kind] = (np.cross(a, b) * c).sum() / 6
        outward[kind] = normal.sum(axis=0)
        area[255 - kind], volume[255 - kind], outward[255 - kind] = area[kind], -volume[kind], -outward[kind]
    return area, volume, outward
