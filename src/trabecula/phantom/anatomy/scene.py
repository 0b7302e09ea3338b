"""A scene: bones and soft tissues of a site, as maps of material on any grid, exact label masks, and columns of rays.

A voxel's share of a solid is its signed distance cut at half a voxel on either side, so a wall that is thinner than a
voxel keeps its mass. Where solids meet, an earlier bone keeps its place before a later one, and bones before tissues.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from scipy.ndimage import map_coordinates

from trabecula.image import Image
from trabecula.phantom.body import Body
from trabecula.phantom.material import BONE_MATRIX_CM3_PER_G, MINERAL_SHARE, get_material, pure

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.phantom.anatomy.solid import Point, Solid

    Voxels = NDArray[np.float32]
    Floats = NDArray[np.float64]

Place: TypeAlias = Callable[["Voxels", "Voxels", "Voxels"], "Voxels"]
"""A value that changes from place to place: of x, y, z in mm."""
View = Literal["ap", "lateral"]

_SOFT_MM = 3.0  # soft tissue is smooth: its columns are summed on a grid as coarse as this
_BESIDE_BONE = "muscle"


@dataclass(frozen=True, kw_only=True)
class Grid:
    """An axial grid: `spacing` in mm along k, j, i, and the LPS position in mm of the centre of voxel [0, 0, 0].

    Raises `ValueError` for a shape or spacing that is not positive, and for voxels more than 2.5 times as long as wide:
    thin walls would be missed along them. A scanner averages fine voxels over thick slices.
    """

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    origin: Point

    def __post_init__(self) -> None:
        if min(self.shape) < 1 or not all(math.isfinite(mm) and mm > 0 for mm in self.spacing):
            raise ValueError(f"a grid has voxels and a positive spacing in mm; got {self.shape} and {self.spacing}")
        if max(self.spacing) > 2.5 * min(self.spacing):
            raise ValueError(f"voxels of {self.spacing} mm miss thin walls: choose sides within a factor of 2.5")

    @classmethod
    def around(cls, low: Sequence[float], high: Sequence[float], spacing: tuple[float, float, float]) -> Grid:
        """Return the grid that fills a box between two positions (x, y, z) in mm, about its middle."""
        extent = np.asarray(high, dtype=float)[::-1] - np.asarray(low, dtype=float)[::-1]
        nk, nj, ni = (max(1, int(np.ceil(mm / step - 1e-6))) for mm, step in zip(extent, spacing, strict=True))
        middle = (np.asarray(high, dtype=float) + np.asarray(low, dtype=float)) / 2
        x, y, z = middle - (np.array([ni, nj, nk]) - 1) / 2 * np.array(spacing)[::-1]
        return cls(shape=(nk, nj, ni), spacing=spacing, origin=(float(x), float(y), float(z)))

    def axes(self) -> tuple[Voxels, Voxels, Voxels]:
        """Return x `[1, 1, i]`, y `[1, j, 1]` and z `[k, 1, 1]` in mm."""
        z, y, x = (
            (start + step * np.arange(n)).astype(np.float32)
            for start, step, n in zip(self.origin[::-1], self.spacing, self.shape, strict=True)
        )
        return x[None, None, :], y[None, :, None], z[:, None, None]

    def window(self, low: Point, high: Point) -> tuple[tuple[slice, slice, slice], Grid] | None:
        """Return the part of the grid that a box touches: its slices and itself; nothing where it touches none."""
        slices, origin, shape = [], [], []
        for axis in (2, 1, 0):
            step, n, start = self.spacing[2 - axis], self.shape[2 - axis], self.origin[axis]
            first = max(0, math.floor((low[axis] - start) / step))
            last = min(n, math.ceil((high[axis] - start) / step) + 1)
            if first >= last:
                return None
            slices.append(slice(first, last))
            origin.append(start + first * step)
            shape.append(last - first)
        x, y, z = origin[::-1]
        (k, j, i), (nk, nj, ni) = slices, shape
        return (k, j, i), Grid(shape=(nk, nj, ni), spacing=self.spacing, origin=(x, y, z))


@dataclass(frozen=True, eq=False, kw_only=True)
class Bone:
    """A bone: a wall of cortex around trabecular bone and marrow. Mineral is hydroxyapatite.

    `wall_mm` and `trabecular_mg_cm3` are one number or change from place to place; a canal has trabecular density 0.
    """

    name: str
    solid: Solid
    wall_mm: float | Place
    cortical_mg_cm3: float
    trabecular_mg_cm3: float | Place
    fat: float
    """Share of the marrow's volume that is yellow."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Tissue:
    """A soft tissue, or anything else that holds no bone: partial densities in g/cm3."""

    name: str
    solid: Solid
    densities: Mapping[str, float]


Grain: TypeAlias = Callable[[Bone, Grid], "Voxels"]
"""Local trabecular density over its mean, `[k, j, i]` on a window of the grid."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Scene:
    """Tissues, painted in this order, and bones, which take the place of tissues."""

    tissues: tuple[Tissue, ...]
    bones: tuple[Bone, ...]
    surroundings: Mapping[str, float] = field(default_factory=lambda: pure("air"))

    def body(self, grid: Grid, *, grain: Grain | None = None) -> Body:
        """Return the maps of partial density in g/cm3 on a grid."""
        maps = _painted(self.tissues, self.surroundings, grid)
        names = ("bone_matrix", "red_marrow", "yellow_marrow")
        for name in names:
            maps.setdefault(name, np.zeros(grid.shape, dtype=np.float32))
        pieces, taken = _pieces(self.bones, grid, grain)
        for name in set(maps) - set(names):
            maps[name] *= 1 - taken
        for piece in pieces:
            maps["bone_matrix"][piece.where] += piece.matrix
            maps["red_marrow"][piece.where] += np.float32(get_material("red_marrow").density) * piece.red
            maps["yellow_marrow"][piece.where] += np.float32(get_material("yellow_marrow").density) * piece.yellow
        return Body(densities=maps, spacing=grid.spacing, origin=grid.origin)

    def labels(self, grid: Grid, values: Mapping[str, int]) -> Image:
        """Return a label map of the bones and tissues that `values` names: a voxel is what its centre lies in.

        Raises `ValueError` for a name that is not in the scene.
        """
        parts: list[Bone | Tissue] = [*self.tissues, *reversed(self.bones)]
        known = {part.name for part in parts}
        if missing := [name for name in values if name not in known]:
            raise ValueError(f"no bone or tissue is called {missing[0]!r}; there are {', '.join(sorted(known))}")
        found = np.zeros(grid.shape, dtype=np.uint8)
        for part in parts:
            if (window := grid.window(part.solid.low, part.solid.high)) is None:
                continue
            where, inner = window
            inside = np.broadcast_to(part.solid.distance(*inner.axes()) < 0, inner.shape)
            found[where][inside] = values.get(part.name, 0)
        return Image(
            voxels=found, unit="label", spacing=grid.spacing, origin=grid.origin,
            direction=((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
            names={value: name for name, value in values.items()},
        )  # fmt: skip

    def columns(
        self, grid: Grid, view: View, *, texture: Callable[[Bone, Grid], Floats] | None = None
    ) -> dict[str, Floats]:
        """Return columns in g/cm2 by material along parallel rays, `[row, column]`: rows from the head down.

        AP: columns grow to the patient's left. Lateral: columns grow backwards. `texture` gives, for a bone and a
        window of the grid, trabecular density over its mean in that projection, `[k, j]` or `[k, i]` of the window.
        Bones are summed on the grid itself; soft tissues on a coarser one, and bones take the place of muscle there.
        """
        axis = 1 if view == "ap" else 2
        cm = grid.spacing[axis] / 10
        total = _soft_columns(self, grid, axis)
        plane = tuple(n for a, n in enumerate(grid.shape) if a != axis)
        for name in ("bone_matrix", "red_marrow", "yellow_marrow", _BESIDE_BONE):
            total.setdefault(name, np.zeros(plane))
        for piece in _pieces(self.bones, grid, None)[0]:
            where = tuple(part for a, part in enumerate(piece.where) if a != axis)
            trabecular = piece.trabecular.sum(axis=axis, dtype=np.float64) * cm
            matrix = piece.matrix.sum(axis=axis, dtype=np.float64) * cm
            if texture is not None:
                matrix += trabecular * (texture(piece.bone, piece.grid) - 1)
            total["bone_matrix"][where] += matrix
            for name, marrow in (("red_marrow", piece.red), ("yellow_marrow", piece.yellow)):
                total[name][where] += get_material(name).density * cm * marrow.sum(axis=axis, dtype=np.float64)
            displaced = piece.share.sum(axis=axis, dtype=np.float64) * cm
            total[_BESIDE_BONE][where] -= get_material(_BESIDE_BONE).density * displaced
        return {name: np.maximum(values, 0)[::-1] for name, values in total.items()}

    def mineral(self, grid: Grid, view: View = "ap") -> Floats:
        """Return the column of hydroxyapatite in g/cm2 along parallel rays, `[row, column]` as in `columns`."""
        axis = 1 if view == "ap" else 2
        total = np.zeros(tuple(n for a, n in enumerate(grid.shape) if a != axis))
        for piece in _pieces(self.bones, grid, None)[0]:
            where = tuple(part for a, part in enumerate(piece.where) if a != axis)
            total[where] += piece.matrix.sum(axis=axis, dtype=np.float64)
        return total[::-1] * MINERAL_SHARE * grid.spacing[axis] / 10


@dataclass(frozen=True, eq=False, kw_only=True)
class _Piece:
    """A bone on its window of a grid: volumes as shares of a voxel, matrix and trabecular matrix in g/cm3."""

    bone: Bone
    where: tuple[slice, slice, slice]
    grid: Grid
    share: Voxels
    matrix: Voxels
    trabecular: Voxels
    red: Voxels
    yellow: Voxels


def share_inside(solid: Solid, grid: Grid) -> Voxels:
    """Return the share `[k, j, i]` of each voxel that lies in a solid."""
    return _share(solid.distance(*grid.axes()), grid)


def _pieces(bones: Sequence[Bone], grid: Grid, grain: Grain | None) -> tuple[list[_Piece], Voxels]:
    """Return each bone on its window, and the share of each voxel of the grid that bones take together."""
    taken = np.zeros(grid.shape, dtype=np.float32)
    pieces = []
    for bone in bones:
        if (window := grid.window(bone.solid.low, bone.solid.high)) is None:
            continue
        where, inner = window
        x, y, z = inner.axes()
        distance = bone.solid.distance(x, y, z)
        wall = bone.wall_mm(x, y, z) if callable(bone.wall_mm) else np.float32(bone.wall_mm)
        free = 1 - taken[where]
        share = np.minimum(_share(distance, inner), free)
        within = np.minimum(_share(distance + wall, inner), share)
        taken[where] += share
        sparse = bone.trabecular_mg_cm3
        density = sparse(x, y, z) if callable(sparse) else np.float32(sparse)
        trabecular = within * density * np.float32(1e-3 / MINERAL_SHARE)
        if grain is not None:
            trabecular = trabecular * grain(bone, inner)
        cortex = np.float32(bone.cortical_mg_cm3 * 1e-3 / MINERAL_SHARE)
        matrix = np.asarray(trabecular + (share - within) * cortex, dtype=np.float32)
        marrow = np.maximum(share - np.float32(BONE_MATRIX_CM3_PER_G) * matrix, 0)
        pieces.append(
            _Piece(
                bone=bone, where=where, grid=inner, share=share, matrix=matrix, trabecular=trabecular,
                red=np.float32(1 - bone.fat) * marrow, yellow=np.float32(bone.fat) * marrow,
            )
        )  # fmt: skip
    return pieces, taken


def _share(distance: Voxels, grid: Grid) -> Voxels:
    """Return the share of each voxel behind a surface at this signed distance in mm; a voxel is as wide as its mean."""
    width = np.float32(np.prod(grid.spacing) ** (1 / 3))
    return np.asarray(np.broadcast_to(np.clip(0.5 - distance / width, 0, 1), grid.shape))


def _painted(tissues: Sequence[Tissue], surroundings: Mapping[str, float], grid: Grid) -> dict[str, Voxels]:
    maps = {name: np.full(grid.shape, g_cm3, dtype=np.float32) for name, g_cm3 in surroundings.items()}
    for tissue in tissues:
        if (window := grid.window(tissue.solid.low, tissue.solid.high)) is None:
            continue
        where, inner = window
        share = share_inside(tissue.solid, inner)
        left = 1 - share
        for values in maps.values():
            values[where] *= left
        for name, g_cm3 in tissue.densities.items():
            maps.setdefault(name, np.zeros(grid.shape, dtype=np.float32))[where] += np.float32(g_cm3) * share
    return maps


def _soft_columns(scene: Scene, grid: Grid, axis: int) -> dict[str, Floats]:
    """Return the columns of the tissues without bones, `[k, other]`, along the whole ray and not on the grid alone."""
    low, high = _reach(scene.tissues, grid)
    along = 2 - axis
    first, last = np.array(grid.origin), np.array(_end(grid))
    first[along], last[along] = low[along], high[along]
    steps = tuple(max(mm, _SOFT_MM) for mm in grid.spacing)
    beyond = np.asarray(steps[::-1])
    coarse = Grid.around((first - beyond).tolist(), (last + beyond).tolist(), (steps[0], steps[1], steps[2]))
    maps = _painted(scene.tissues, scene.surroundings, coarse)
    places = []
    for other in (a for a in range(3) if a != axis):
        fine = grid.origin[2 - other] + np.arange(grid.shape[other]) * grid.spacing[other]
        places.append((fine - coarse.origin[2 - other]) / coarse.spacing[other])
    where = np.meshgrid(*places, indexing="ij")
    return {
        name: map_coordinates(
            values.sum(axis=axis, dtype=np.float64) * coarse.spacing[axis] / 10, where, order=1, mode="nearest"
        )
        for name, values in maps.items()
    }


def _reach(tissues: Sequence[Tissue], grid: Grid) -> tuple[Point, Point]:
    """Return the box that holds the tissues and the grid; an endless tissue ends with the grid."""
    low, high = np.array(grid.origin), np.array(_end(grid))
    for tissue in tissues:
        finite = np.abs(tissue.solid.low) < 1e5, np.abs(tissue.solid.high) < 1e5
        low = np.where(finite[0], np.minimum(low, tissue.solid.low), low)
        high = np.where(finite[1], np.maximum(high, tissue.solid.high), high)
    (a, b, c), (d, e, f) = low.tolist(), high.tolist()
    return (a, b, c), (d, e, f)


def _end(grid: Grid) -> list[float]:
    """Return the LPS position in mm of the centre of the last voxel."""
    return [
        start + (n - 1) * mm for start, n, mm in zip(grid.origin, grid.shape[::-1], grid.spacing[::-1], strict=True)
    ]
