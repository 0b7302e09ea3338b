"""The inferior cortex of the mandible: how thick it is and how its inner margin is eroded (Klemetti 1994; recalled).

C1: the inner margin is even and sharp. C2: half-moon shaped defects, or one to three layers of cortical residues. C3:
heavy residues, and the cortex is clearly porous.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula.phantom.outline import interpolated
from trabecula.phantom.texture import field

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

CUTS = (0.90, 2.85)
"""Erosion from which a cortex is C2 and C3."""
_OWN = 1.3
_LACUNAE = 70
_STEP_MM = 0.25
_ALONG_MM = 110.0


def erosion(trabecular: float, cortical: float, own: float) -> float:
    """Return how eroded the cortex is: losses in young SD, and a standard normal number of its own.

    The share of chance and the cuts let the classes overlap in bone as published: any erosion finds osteoporosis with a
    sensitivity of about 0.8 and a specificity of about 0.64, C3 alone of about 0.4 and 0.9 (recalled).
    """
    return -0.65 * cortical - 0.35 * trabecular + _OWN * own


def klemetti_class(erosion: float) -> int:
    """Return 0 for C1, 1 for C2, 2 for C3."""
    return int(erosion >= CUTS[0]) + int(erosion >= CUTS[1])


@dataclass(frozen=True, eq=False, kw_only=True)
class Endosteum:
    """Where defects, residues and pores lie in somebody's cortex, should they come."""

    place: Floats
    """Middle of each defect along the arch in mm, `[n]`."""
    wide: Floats
    deep: Floats
    """Over the cortex."""
    comes: Floats
    """Erosion from which a defect is there."""
    fields: Floats
    """Random fields `[5, depth, along]` at 0.25 mm: three of residues, pores, unevenness."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Wall:
    """The cortex on a picture `[z, x]`."""

    inner_mm: Floats
    """Its thickness, defects taken away."""
    residue: Floats
    """Share of the marrow space that residues fill."""
    porosity: Floats
    """Share of the cortex that pores take."""


def draw_endosteum(rng: Generator) -> Endosteum:
    """Draw somebody's inner margin."""
    shape = (48, int(2 * _ALONG_MM / _STEP_MM))
    residues = [field(rng, shape, _STEP_MM, across_mm=5.0, along_mm=0.7) for _ in range(3)]
    pores = field(rng, shape, _STEP_MM, across_mm=0.9, along_mm=0.32)
    uneven = field(rng, shape, _STEP_MM, across_mm=2.2, along_mm=9.0)
    return Endosteum(
        place=rng.uniform(-85, 85, _LACUNAE),
        wide=rng.uniform(1.2, 3.4, _LACUNAE),
        deep=rng.uniform(0.25, 0.70, _LACUNAE),
        comes=rng.uniform(CUTS[0] - 0.1, CUTS[0] + 2.2, _LACUNAE),
        fields=np.stack([*residues, pores, uneven]),
    )


def eroded(endosteum: Endosteum, cortex_mm: Floats, erosion: float, x: Floats, depth: Floats, *, body: Floats) -> Wall:
    """Return the cortex of an uneroded thickness in mm at places `x` `[x]` and depths `[z, x]` above the border.

    `body` `[x]` is 1 along the body of the mandible and falls to 0 in the ramus, which is spared.
    """
    start = body * _rise(erosion, CUTS[0] - 0.25, CUTS[1])
    moth = body * _rise(erosion, CUTS[1] - 0.25, CUTS[1] + 1.2)
    bites = np.zeros_like(x)
    for place, wide, deep, comes in zip(endosteum.place, endosteum.wide, endosteum.deep, endosteum.comes, strict=True):
        if comes < erosion:
            moon = np.sqrt(np.clip(1 - ((x - place) / wide) ** 2, 0, None))
            bites = np.maximum(bites, deep * moon * body * (0.6 + 0.4 * start))
    layers, pores, uneven = _at(endosteum, x, depth)
    cortex = cortex_mm * (1 + 0.05 * uneven)
    inner = cortex * (1 - bites)[None, :] * (1 - 0.22 * start - 0.10 * moth) + 0.35 * (start + moth) * uneven
    inner = np.maximum(inner, 0.45)
    residue = np.zeros_like(depth)
    for n, layer in enumerate(layers):
        middle = cortex * (0.92 + 0.30 * n) + 0.25 * layer
        line = np.clip(1.5 - np.abs(depth - middle) / (0.13 + 0.05 * start), 0, 1)
        residue = np.maximum(residue, line * np.clip(2 * (layer + 2.6 * start + 0.8 * moth - 0.9 * n - 1.6), 0, 1))
    heavy = np.clip(1.6 * (pores + 0.9 * moth - 0.9), 0, 1) * np.clip((2.1 * cortex - depth) / cortex, 0, 1) * moth
    here = _rise(depth / cortex, 0.08, 0.4) * (1 - _rise(depth / cortex, 1.2, 1.8))
    porous = np.clip(2.2 * (pores - 1.35 + 1.25 * moth), 0, 1) * moth * here
    return Wall(inner_mm=inner, residue=np.maximum(0.65 * residue * start, 0.5 * heavy), porosity=0.92 * porous)


def _at(endosteum: Endosteum, x: Floats, depth: Floats) -> tuple[list[Floats], Floats, Floats]:
    """Return the residues, pores and unevenness at places along the arch and depths."""
    row = np.clip(depth / _STEP_MM, 0, endosteum.fields.shape[1] - 1.001)
    column = np.clip((x + _ALONG_MM) / _STEP_MM, 0, endosteum.fields.shape[2] - 1.001)
    level = np.zeros(1)
    uneven = np.broadcast_to(interpolated(endosteum.fields[4], level, column), depth.shape)
    found = [_looked_up(values, row, column) for values in endosteum.fields[:4]]
    return found[:3], found[3], np.asarray(uneven)


def _looked_up(values: Floats, row: Floats, column: Floats) -> Floats:
    j, i = row.astype(int), np.broadcast_to(column.astype(int), row.shape)
    v, u = row - j, column - column.astype(int)
    upper = values[j, i] * (1 - u) + values[j, i + 1] * u
    lower = values[j + 1, i] * (1 - u) + values[j + 1, i + 1] * u
    return np.asarray(upper * (1 - v) + lower * v)


def _rise(value: Floats | float, start: float, end: float) -> Any:
    part = np.clip((value - start) / (end - start), 0, 1)
    return part * part * (3 - 2 * part)
