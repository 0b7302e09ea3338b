"""A body: where which material is, on a grid in the patient."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from trabecula.phantom.material import get_material, rod

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Voxels = NDArray[np.float32]

_AXES = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))


@dataclass(frozen=True, eq=False, kw_only=True)
class Body:
    """Maps `[k, j, i]` of partial density in g/cm³ by material, and their grid.

    `spacing` in mm along k, j, i; `origin` the LPS position in mm of the centre of voxel [0, 0, 0]; `direction` three
    rows along which k, j and i grow: by default axial, k towards the head, j backwards, i to the patient's left.
    Raises `ValueError` for maps of several shapes, densities below zero or not finite, or a spacing that is not
    positive, and `KeyError` for an unknown material.
    """

    densities: Mapping[str, Voxels]
    spacing: tuple[float, float, float]
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: tuple[tuple[float, ...], ...] = _AXES

    def __post_init__(self) -> None:
        maps = {name: np.asarray(values, dtype=np.float32) for name, values in self.densities.items()}
        shapes = {values.shape for values in maps.values()}
        if len(shapes) != 1 or len(next(iter(shapes))) != 3:
            raise ValueError(f"a body has maps [k, j, i] of one shape; got {sorted(shapes)}")
        if len(self.spacing) != 3 or not all(np.isfinite(mm) and mm > 0 for mm in self.spacing):
            raise ValueError(f"the spacing of a body is positive, in mm along k, j and i; got {self.spacing}")
        for name, values in maps.items():
            get_material(name)
            low, high = float(values.min()), float(values.max())
            if not (low >= 0 and np.isfinite(high)):
                raise ValueError(f"densities of {name} are finite and not negative, in g/cm3; got {low} to {high}")
        object.__setattr__(self, "densities", MappingProxyType(maps))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along k, j, i."""
        k, j, i = next(iter(self.densities.values())).shape
        return k, j, i

    @property
    def centre(self) -> NDArray[np.float64]:
        """LPS position (x, y, z) in mm of the middle of the grid."""
        middle = (np.asarray(self.shape) - 1) / 2 * self.spacing
        return np.asarray(self.origin + middle @ np.asarray(self.direction), dtype=np.float64)


def windows(voxels: int, voxel_mm: float, *, step_mm: float, width_mm: float, count: int | None = None) -> Voxels:
    """Return how much of each voxel a sample of an image averages, `[out, voxels]`, rows summing to 1.

    Samples of `width_mm` lie `step_mm` apart and symmetrically about the middle, `count` of them or all that fit; a
    window that leaves the grid averages what is inside.
    Raises `ValueError` where the samples are larger than the body.
    """
    extent = voxels * voxel_mm
    fit = int(extent / step_mm + 1e-6)
    if fit < max(count or 1, 1) or width_mm > extent * (1 + 1e-6):
        raise ValueError(
            f"{count or 1} samples of {max(step_mm, width_mm)} mm are larger than the body of {extent:.1f} mm"
        )
    count = count or fit
    centres = (np.arange(count) - (count - 1) / 2) * step_mm
    edges = (np.arange(voxels + 1) - voxels / 2) * voxel_mm
    covered = np.clip(edges[None, :], centres[:, None] - width_mm / 2, centres[:, None] + width_mm / 2)
    overlap = np.diff(covered, axis=1)
    return np.asarray(overlap / overlap.sum(axis=1, keepdims=True), dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class Rod:
    """A calibration rod along k: `hydroxyapatite` or `k2hpo4`, its mg/cm³, its axis (j, i) and radius in mm.

    The axis is counted from the corner of the grid.
    """

    material: str
    mg_cm3: float
    centre_mm: tuple[float, float]
    radius_mm: float = 8.0


def with_rods(body: Body, rods: tuple[Rod, ...]) -> Body:
    """Return the body with rods in the place of what was there, edges shared by area.

    Raises `ValueError` for a rod that leaves the grid or an impossible one (see `material.rod`).
    """
    maps = dict(body.densities)
    for bar in rods:
        share = _disc(body, bar)
        maps = {name: values * (1 - share) for name, values in maps.items()}
        for name, g_cm3 in rod(bar.material, bar.mg_cm3).items():
            maps[name] = maps.get(name, np.zeros(body.shape, dtype=np.float32)) + np.float32(g_cm3) * share
    return replace(body, densities=maps)


CONTRAST_MG_CM3 = {  # iodine in blood and in marrow
    "none": (0.0, 0.0),
    "arterial": (11.0, 0.6),
    "portal_venous": (5.5, 1.1),
}
"""Blood: usual aortic enhancement, ours. Marrow: what makes the +14.4 and +25.7 HU published for L1."""


def with_contrast(body: Body, phase: str) -> Body:
    """Return the body with iodine in its blood and marrow, by their share of each voxel.

    Raises `ValueError` for an unknown phase.
    """
    if phase not in CONTRAST_MG_CM3:
        raise ValueError(f"contrast is one of {', '.join(CONTRAST_MG_CM3)}; got {phase!r}")
    blood, marrow = CONTRAST_MG_CM3[phase]
    iodine = np.zeros(body.shape, dtype=np.float32)
    for name, mg_cm3 in (("blood", blood), ("red_marrow", marrow), ("yellow_marrow", marrow)):
        if name in body.densities:
            iodine += body.densities[name] * np.float32(mg_cm3 / 1000 / get_material(name).density)
    if phase == "none":
        return body
    return replace(body, densities={**body.densities, "iodine": iodine + body.densities.get("iodine", 0)})


def _disc(body: Body, bar: Rod) -> Voxels:
    """Return the share of each pixel `[j, i]` that a rod covers, on a four times finer grid."""
    _, rows, columns = body.shape
    fine = 4
    j = (np.arange(rows * fine) + 0.5) / fine * body.spacing[1] - bar.centre_mm[0]
    i = (np.arange(columns * fine) + 0.5) / fine * body.spacing[2] - bar.centre_mm[1]
    if min(-j[0], j[-1], -i[0], i[-1]) < bar.radius_mm - max(body.spacing[1:]):
        raise ValueError(f"a rod at {bar.centre_mm} mm of radius {bar.radius_mm} mm leaves the grid: move it")
    inside = np.hypot(j[:, None], i[None, :]) <= bar.radius_mm
    return np.asarray(inside.reshape(rows, fine, columns, fine).mean(axis=(1, 3)), dtype=np.float32)
