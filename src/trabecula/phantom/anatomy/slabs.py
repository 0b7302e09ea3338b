"""Slabs: a long or flat solid cut across y into pieces that fill small boxes, each asking only the parts near it."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from trabecula.phantom.anatomy.solid import Solid, joined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

_FAR = np.float32(1e3)


def slabs(parts: Sequence[Solid], *, blend_mm: float = 0.0, thickness_mm: float = 22.0) -> list[Solid]:
    """Return joined parts, cut across y into slabs of about `thickness_mm`: a place belongs to one slab alone.

    So bones of slabs add up to the bone, without a wall between them.
    """
    low, high = (edge([getattr(part, name)[1] for part in parts]) for name, edge in (("low", min), ("high", max)))
    edges = np.linspace(low - blend_mm, high + blend_mm, max(2, round((high - low) / thickness_mm) + 1)).tolist()
    found = []
    for first, last in pairwise(edges):
        here = [part for part in parts if part.low[1] - blend_mm < last and part.high[1] + blend_mm > first]
        if here:
            found.append(_slab(joined(here, blend_mm=blend_mm), first, last))
    return found


def _slab(whole: Solid, first: float, last: float) -> Solid:
    def distance(x: Floats, y: Floats, z: Floats) -> Floats:
        within = (y >= np.float32(first)) & (y < np.float32(last))
        return np.asarray(np.where(within, whole.distance(x, y, z), _FAR))

    (x0, y0, z0), (x1, y1, z1) = whole.low, whole.high
    return Solid(distance, (x0, max(y0, first), z0), (x1, min(y1, last), z1))
