"""Grey levels on their grid, and what is counted on it: pairs, runs, zones, differences and dependences.

Sections 3.6 to 3.11 of the reference manual of the Image Biomarker Standardisation Initiative (arXiv:1612.07003v11),
at a Chebyshev distance of 1 and a dependence coarseness of 0. Everything costs time in proportion to the voxels.

The grid is kept flat, with a border of zeros: a neighbour is a constant offset away, and every line of voxels along a
direction is a column of the flat array written `offset` values to a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.ndimage import distance_transform_cdt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Step = tuple[int, int, int]

HALF_SPACE: tuple[Step, ...] = tuple((k, j, i) for k, j, i in product((0, 1, -1), repeat=3) if (k, j, i) > (0, 0, 0))
"""Steps along k, j, i to 13 of the 26 neighbours; the others are their opposites."""
HALF_PLANE: tuple[Step, ...] = tuple(step for step in HALF_SPACE if step[0] == 0)
"""The four of them that stay in the slice."""


class Items(NamedTuple):
    """What was counted, one entry each: its group (slice), direction, grey level and size, integers all."""

    group: NDArray[np.int64]
    direction: NDArray[np.int64]
    level: NDArray[np.int64]
    size: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Lattice:
    """Voxels of a region that carry a grey level.

    `values` are the levels that occur, ascending; `rank` says for each voxel of the region which it has, from 1;
    `slices` its slice, numbered from 0 over the slices that the region has. `level_count` is N_g: levels from 1 to the
    highest, whether they occur or not. `flat` holds the ranks of the whole grid, `inside` where the voxels are in it.
    """

    values: NDArray[np.int64]
    level_count: int
    flat: NDArray[np.int32]
    inside: NDArray[np.int64]
    rank: NDArray[np.int32]
    slices: NDArray[np.int64]
    slice_count: int
    strides: Step

    @classmethod
    def of(cls, levels: NDArray[np.int64], level_count: int) -> Lattice:
        """Lay out grey levels `[k, j, i]`, from 1 upwards and 0 outside of the region."""
        present = np.bincount(levels.ravel())
        present[0] = 0
        values = np.flatnonzero(present)
        rank_of = np.zeros(len(present), dtype=np.int32)
        rank_of[values] = np.arange(1, len(values) + 1)
        ranks = np.pad(rank_of[levels], 1)
        flat = ranks.ravel()
        inside = np.flatnonzero(flat)
        strides = (ranks.shape[1] * ranks.shape[2], ranks.shape[2], 1)
        own_slices, slices = np.unique(inside // strides[0], return_inverse=True)
        return cls(values, level_count, flat, inside, flat[inside], slices, len(own_slices), strides)

    def offset(self, step: Step) -> int:
        """Return how far a step leads in the flat grid."""
        return sum(along * stride for along, stride in zip(step, self.strides, strict=True))

    def pairs(self, steps: Sequence[Step], *, by_slice: bool) -> NDArray[np.int64]:
        """Count pairs of neighbours by their levels, symmetrically: `[slice, direction, level, level]` (3.6).

        Without `by_slice` there is one slice for all.
        """
        n, slices = len(self.values), self.slice_count if by_slice else 1
        row = (self.rank - 1) * n + (self.slices * n * n if by_slice else 0)
        counts = np.empty((slices, len(steps), n, n), dtype=np.int64)
        for number, step in enumerate(steps):
            other = self.flat[self.inside + self.offset(step)]
            found = other > 0
            seen = np.bincount(row[found] + other[found] - 1, minlength=slices * n * n).reshape(slices, n, n)
            counts[:, number] = seen + seen.transpose(0, 2, 1)
        return counts

    def runs(self, steps: Sequence[Step], *, by_slice: bool) -> Items:
        """Find the runs of one level along each direction and their lengths in voxels (3.7).

        Without `by_slice` all belong to one group.
        """
        found = []
        for number, step in enumerate(steps):
            offset = self.offset(step)
            rows = -(-len(self.flat) // offset)
            grid = np.zeros(rows * offset, dtype=np.int32)
            grid[: len(self.flat)] = self.flat
            lines = grid.reshape(rows, offset).T.ravel()
            start = np.concatenate([[0], np.flatnonzero(lines[1:] != lines[:-1]) + 1])
            length = np.diff(start, append=len(lines))
            of_region = lines[start] > 0
            start, length = start[of_region], length[of_region]
            group = self._slice_at(start % rows * offset + start // rows) if by_slice else np.zeros_like(start)
            found.append((group, np.full(len(start), number), lines[start], length))
        group, direction, rank, length = (np.concatenate(part) for part in zip(*found, strict=True))
        return Items(group, direction, self.values[rank - 1], length)

    def zones(self, steps: Sequence[Step]) -> tuple[Items, NDArray[np.int64]]:
        """Find the connected zones of one level, their sizes in voxels, and the zone of each voxel (3.8)."""
        order = np.zeros(len(self.flat), dtype=np.int64)
        order[self.inside] = np.arange(len(self.inside))
        one, other = [], []
        for step in steps:
            ahead = self.inside + self.offset(step)
            alike = self.flat[ahead] == self.rank
            one.append(np.flatnonzero(alike))
            other.append(order[ahead[alike]])
        rows, columns = np.concatenate(one), np.concatenate(other)
        links = coo_array((np.ones(len(rows), dtype=bool), (rows, columns)), shape=(len(self.inside),) * 2)
        count, zone = connected_components(links, directed=False)
        level, group = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int64)
        level[zone], group[zone] = self.values[self.rank - 1], self.slices
        return Items(group, np.zeros(count, dtype=np.int64), level, np.bincount(zone)), zone.astype(np.int64)

    def differences(self, steps: Sequence[Step]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return how far each voxel's level is from the mean of its neighbours, and how many of these it has (3.10)."""
        level_at = np.concatenate([[0], self.values])
        total, count = np.zeros(len(self.inside)), np.zeros(len(self.inside), dtype=np.int64)
        for offset in self._both_ways(steps):
            other = self.flat[self.inside + offset]
            total += level_at[other]
            count += other > 0
        own = self.values[self.rank - 1]
        return np.abs(own - total / np.maximum(count, 1)), count

    def dependences(self, steps: Sequence[Step]) -> Items:
        """Count for each voxel itself and its neighbours of the same level (3.11)."""
        count = np.ones(len(self.inside), dtype=np.int64)
        for offset in self._both_ways(steps):
            count += self.flat[self.inside + offset] == self.rank
        return Items(self.slices, np.zeros(len(count), dtype=np.int64), self.values[self.rank - 1], count)

    def _both_ways(self, steps: Sequence[Step]) -> list[int]:
        return [sign * self.offset(step) for step in steps for sign in (1, -1)]

    def _slice_at(self, where: NDArray[np.int64]) -> NDArray[np.int64]:
        number = np.zeros(len(self.flat) // self.strides[0], dtype=np.int64)
        number[self.inside // self.strides[0]] = self.slices
        return number[where // self.strides[0]]


def zone_distance(zone: NDArray[np.int64], distance: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each zone the smallest distance from the border of its voxels (3.9)."""
    nearest = np.full(zone.max() + 1, np.iinfo(np.int64).max)
    np.minimum.at(nearest, zone, distance)
    return nearest


def border_distance(mask: NDArray[np.bool_], *, by_slice: bool) -> NDArray[np.int64]:
    """Return how many steps along the axes each voxel `[k, j, i]` of a mask is from outside, 1 at the border (3.9)."""
    padded = np.pad(mask, 1)
    if not by_slice:
        return distance_transform_cdt(padded, metric="taxicab")[1:-1, 1:-1, 1:-1].astype(np.int64)
    planes = [distance_transform_cdt(plane, metric="taxicab")[1:-1, 1:-1] for plane in padded[1:-1]]
    return np.stack(planes).astype(np.int64)
