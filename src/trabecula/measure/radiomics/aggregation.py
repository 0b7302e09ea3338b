"""Texture features of a region by family and aggregation, under the tags of the standard.

How the matrices of slices and directions are put together (sections 3.6 to 3.11 of arXiv:1612.07003v11): `2D_avg` is
one matrix per slice and direction, `2D_comb` merges directions, `2_5D_avg` slices, `2_5D_comb` both; `3D_avg` is one
matrix per direction in space, `3D_comb` merges these. Families without directions have `2D`, `2_5D` and `3D` only.
Features of several matrices are averaged; empty matrices do not count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trabecula.measure.radiomics.lattice import HALF_PLANE, HALF_SPACE, Items, Lattice, border_distance, zone_distance
from trabecula.measure.radiomics.texture import LEVEL_AND_SIZE, co_occurrence, level_and_size, tone_difference

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from trabecula.measure.radiomics.lattice import Step
    from trabecula.measure.radiomics.texture import Values

_OF_RUNS = (
    "sre", "lre", "lgre", "hgre", "srlge", "srhge", "lrlge", "lrhge",
    "glnu", "glnu_norm", "rlnu", "rlnu_norm", "r_perc", "gl_var", "rl_var", "rl_entr",
)  # fmt: skip
_OF_ZONES = (
    "sze", "lze", "lgze", "hgze", "szlge", "szhge", "lzlge", "lzhge",
    "glnu", "glnu_norm", "zsnu", "zsnu_norm", "z_perc", "gl_var", "zs_var", "zs_entr",
)  # fmt: skip
_OF_DISTANCES = (
    "sde", "lde", "lgze", "hgze", "sdlge", "sdhge", "ldlge", "ldhge",
    "glnu", "glnu_norm", "zdnu", "zdnu_norm", "z_perc", "gl_var", "zd_var", "zd_entr",
)  # fmt: skip
_OF_DEPENDENCES = (
    "lde", "hde", "lgce", "hgce", "ldlge", "ldhge", "hdlge", "hdhge",
    "glnu", "glnu_norm", "dcnu", "dcnu_norm", "dc_perc", "gl_var", "dc_var", "dc_entr", "dc_energy",
)  # fmt: skip

AGGREGATIONS = ("2D_avg", "2D_comb", "2_5D_avg", "2_5D_comb", "3D_avg", "3D_comb")
TEXTURES = ("cm", "rlm", "szm", "dzm", "ngt", "ngl")

_CELLS = 2_000_000
"""Cells of co-occurrence matrices that are worked on at once."""


def textures(
    levels: NDArray[np.int64],
    level_count: int,
    shape_mask: NDArray[np.bool_],
    *,
    families: Collection[str] = TEXTURES,
    aggregations: Collection[str] = AGGREGATIONS,
) -> dict[str, float]:
    """Return the texture features of grey levels `[k, j, i]` (0 outside of the region) under their IBSI tags.

    Slices lie along k; distances of zones are to the border of `shape_mask`. A feature that is defined for none of its
    matrices is NaN here.
    """
    lattice = Lattice.of(levels, level_count)
    features: dict[str, float] = {}
    for by_slice in (True, False):
        wanted = {name for name in aggregations if name.startswith("2") == by_slice}
        if not wanted:
            continue
        job = _Job(lattice, shape_mask, HALF_PLANE if by_slice else HALF_SPACE, by_slice, wanted)
        for family in families:
            for aggregation, values in _MEASURES[family](job).items():
                features |= {f"{family}_{name}_{aggregation}": mean(value) for name, value in values.items()}
    return features


def mean(values: NDArray[np.float64]) -> float:
    """Average over the matrices for which a feature is defined; NaN where there is none."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else np.nan


@dataclass(frozen=True, eq=False)
class _Job:
    lattice: Lattice
    shape_mask: NDArray[np.bool_]
    steps: Sequence[Step]
    by_slice: bool
    wanted: Collection[str]

    def matrices(self, items: Items, *, directed: bool = False) -> dict[str, tuple[NDArray[np.int64], int]]:
        """Say for each wanted aggregation to which matrix an item belongs, and how many there are."""
        all_in_one = np.zeros_like(items.group), 1
        per_direction = items.direction, len(self.steps)
        per_slice = items.group, self.lattice.slice_count
        per_both = items.group * len(self.steps) + items.direction, self.lattice.slice_count * len(self.steps)
        if self.by_slice:
            names = {"2D_avg": per_both, "2D_comb": per_slice, "2_5D_avg": per_direction, "2_5D_comb": all_in_one}
        else:
            names = {"3D_avg": per_direction, "3D_comb": all_in_one}
        if directed:
            return {name: matrix for name, matrix in names.items() if name in self.wanted}
        merged = {name.removesuffix("_comb"): matrix for name, matrix in names.items() if name.endswith("_comb")}
        return {name: merged[name] for name in merged if {f"{name}_avg", f"{name}_comb"} & {*self.wanted}}


def _pairs(job: _Job) -> dict[str, Values]:
    counts = job.lattice.pairs(job.steps, by_slice=job.by_slice)
    n = counts.shape[-1]
    if job.by_slice:
        every = {
            "2D_avg": counts.reshape(-1, n, n),
            "2D_comb": counts.sum(axis=1),
            "2_5D_avg": counts.sum(axis=0),
            "2_5D_comb": counts.sum(axis=(0, 1))[None],
        }
    else:
        every = {"3D_avg": counts[0], "3D_comb": counts.sum(axis=1)}
    return {name: _of_pairs(job.lattice, matrices) for name, matrices in every.items() if name in job.wanted}


def _of_pairs(lattice: Lattice, counts: NDArray[np.int64]) -> Values:
    parts = np.array_split(counts, -(-counts.size // _CELLS))
    found = [co_occurrence(part, lattice.values, lattice.level_count) for part in parts]
    return {name: np.concatenate([part[name] for part in found]) for name in found[0] if name != "max_correlation"}


def _runs(job: _Job) -> dict[str, Values]:
    return _of_items(job, job.lattice.runs(job.steps, by_slice=job.by_slice), _OF_RUNS, directed=True)


def _zones(job: _Job) -> dict[str, Values]:
    sizes, _ = job.lattice.zones(job.steps)
    return _of_items(job, sizes, _OF_ZONES)


def _distances(job: _Job) -> dict[str, Values]:
    zones, zone = job.lattice.zones(job.steps)
    distance = np.pad(border_distance(job.shape_mask, by_slice=job.by_slice), 1).ravel()[job.lattice.inside]
    return _of_items(job, zones._replace(size=zone_distance(zone, distance)), _OF_DISTANCES, per_voxel=True)


def _dependences(job: _Job) -> dict[str, Values]:
    return _of_items(job, job.lattice.dependences(job.steps), _OF_DEPENDENCES, per_voxel=True)


def _of_items(
    job: _Job, items: Items, names: tuple[str, ...], *, directed: bool = False, per_voxel: bool = False
) -> dict[str, Values]:
    """Return the features of a matrix of level and size; `per_voxel`: the percentage is of the voxels of the region."""
    found = {}
    for aggregation, (matrix, count) in job.matrices(items, directed=directed).items():
        voxels = np.bincount(job.lattice.slices).astype(float) if per_voxel else None
        if voxels is not None and count == 1:
            voxels = voxels.sum(keepdims=True)
        values = level_and_size(items, matrix, count, voxels)
        found[aggregation] = {ours: values[name] for ours, name in zip(names, LEVEL_AND_SIZE, strict=False)}
    return found


def _tones(job: _Job) -> dict[str, Values]:
    distance, neighbours = job.lattice.differences(job.steps)
    counted = neighbours > 0
    level, group = job.lattice.values[job.lattice.rank - 1][counted], job.lattice.slices[counted]
    items = Items(group, np.zeros_like(group), level, level)
    return {
        aggregation: tone_difference(distance[counted], level, matrix, count)
        for aggregation, (matrix, count) in job.matrices(items).items()
    }


_MEASURES: dict[str, Callable[[_Job], dict[str, Values]]] = {
    "cm": _pairs, "rlm": _runs, "szm": _zones, "dzm": _distances, "ngt": _tones, "ngl": _dependences,
}  # fmt: skip
