"""Linear elasticity on a regular grid, without a matrix: every element is the same brick, scaled by its modulus.

In three dimensions elements are bricks with eight nodes (MPa), in two squares of a plate in plane stress with four
nodes (MPa times mm of thickness). Shape functions are (bi)linear and integrated in full. The product of stiffness and
displacement is gathered from the corners of all elements, multiplied by one small matrix and scattered back. Memory
grows with the nodes alone.

It is fast because nothing is looked up: elements are numbered as their first node, so that the nodes of one corner of a
row of elements follow each other in memory, at a constant distance from those of every other corner. A piece of such a
row is gathered by copying, fits a processor's cache, and is left out where it holds no element.

Source: Hughes, The Finite Element Method, chapters 2 and 3; van Rietbergen et al., J Biomech 1995;28:69 (element by
element on voxels).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

_PIECE = 8192  # elements that are gathered at once: they fit a processor's cache


@dataclass(frozen=True, eq=False, kw_only=True)
class Elements:
    """Elements on a grid: `modulus` `[k, j, i]` in MPa, or `[j, i]` in N/mm of a plate; 0 where nothing is.

    `spacing` in mm along the axes of `modulus`; one Poisson's ratio for all.
    Raises `ValueError` for a modulus that is negative or not finite, no element at all, another number of axes, or a
    Poisson's ratio outside 0 to 0.49.
    """

    modulus: Floats
    spacing: tuple[float, ...]
    poisson: float = 0.3

    def __post_init__(self) -> None:
        modulus = np.asarray(self.modulus, dtype=np.float64)
        if modulus.ndim not in (2, 3) or len(self.spacing) != modulus.ndim or min(self.spacing) <= 0:
            raise ValueError(f"elements lie on 2 or 3 axes with a spacing in mm; got {modulus.shape}, {self.spacing}")
        if not (np.isfinite(modulus).all() and modulus.min() >= 0 and modulus.max() > 0):
            raise ValueError("a modulus is finite and not negative, and somewhere above 0: is the mask empty?")
        if not 0 <= self.poisson <= 0.49:
            raise ValueError(f"Poisson's ratio lies between 0 and 0.49; got {self.poisson}")
        object.__setattr__(self, "modulus", modulus)

    @property
    def axes(self) -> int:
        """2 or 3."""
        return self.modulus.ndim

    @property
    def nodes(self) -> tuple[int, ...]:
        """Number of nodes along each axis."""
        return tuple(n + 1 for n in self.modulus.shape)

    @cached_property
    def stiffness(self) -> Floats:
        """Stiffness of one element of modulus 1, `[n, n]` in mm (or 1 for a plate); n = axes x corners."""
        total = np.zeros((self.axes * 2**self.axes,) * 2)
        for point in product((-1, 1), repeat=self.axes):
            weight, strain = self._strain(point)
            total += weight * strain.T @ self.elasticity @ strain
        return total

    @cached_property
    def elasticity(self) -> Floats:
        """Matrix from strain to stress at modulus 1: `[6, 6]`, or `[3, 3]` in plane stress; shear strains doubled."""
        v = self.poisson
        if self.axes == 2:
            return np.array([[1, v, 0], [v, 1, 0], [0, 0, (1 - v) / 2]]) / (1 - v * v)
        matrix = np.zeros((6, 6))
        matrix[:3, :3] = v
        matrix[range(3), range(3)] = 1 - v
        matrix[range(3, 6), range(3, 6)] = (1 - 2 * v) / 2
        return matrix / ((1 + v) * (1 - 2 * v))

    @cached_property
    def occupied(self) -> Mask:
        """Nodes that touch an element."""
        found = np.zeros(self.nodes, dtype=bool)
        for corner in self._corners:
            found[corner] |= self.modulus > 0
        return found

    @property
    def diagonal(self) -> Floats:
        """Diagonal of the stiffness matrix, `[axis, *nodes]` in N/mm."""
        total = np.zeros((self.axes, *self.nodes))
        own = np.diag(self.stiffness).reshape(len(self._corners), self.axes)
        for corner, row in zip(self._corners, own, strict=True):
            total[(slice(None), *corner)] += np.multiply.outer(row, self.modulus)
        return total

    def forces(self, displacement: Floats, *, out: Floats | None = None) -> Floats:
        """Return the nodal forces `[axis, *nodes]` in N that hold a displacement `[axis, *nodes]` in mm, in `out`."""
        total = np.empty_like(displacement) if out is None else out
        total[...] = 0
        flat, pushed = total.reshape(self.axes, -1), self._room[1]
        for here, gathered in self._gathered(displacement):
            np.multiply(gathered, self._numbered[here], out=gathered)
            rows = pushed[:, : gathered.shape[1]]
            np.matmul(self.stiffness, gathered, out=rows)
            for number, step in enumerate(self._steps):
                part = slice(here.start + step, here.stop + step)
                flat[:, part] += rows[number * self.axes : (number + 1) * self.axes]
        return total

    def strain(self, displacement: Floats) -> Floats:
        """Return the strain at the middle of each element, `[component, *elements]`; shear strains doubled.

        Components are those of the axes in order, then (in 3-D) the shears of axes 1-2, 0-2, 0-1, or the one shear.
        It is 0 where no element is.
        """
        _, matrix = self._strain((0,) * self.axes)
        total = np.zeros((len(matrix), *self.nodes))
        flat = total.reshape(len(matrix), -1)
        for here, gathered in self._gathered(displacement):
            flat[:, here] = matrix @ gathered
        return total[(slice(None), *self._inner)] * (self.modulus > 0)

    def stress(self, displacement: Floats) -> Floats:
        """Return the stress at the middle of each element in MPa (N/mm for a plate), components as in `strain`."""
        strain = self.strain(displacement)
        return np.asarray(np.tensordot(self.elasticity, strain, axes=1) * self.modulus)

    @property
    def _corners(self) -> list[tuple[slice, ...]]:
        """Slices of the nodes at each corner of all elements; the last axis changes fastest."""
        return [
            tuple(slice(side, side + n) for side, n in zip(corner, self.modulus.shape, strict=True))
            for corner in product((0, 1), repeat=self.axes)
        ]

    @property
    def _inner(self) -> tuple[slice, ...]:
        """Nodes that number an element: all but the last along each axis."""
        return tuple(slice(0, n) for n in self.modulus.shape)

    @cached_property
    def _numbered(self) -> Floats:
        """Modulus of the element that each node numbers, `[nodes]`, 0 at the last nodes of each axis."""
        padded = np.zeros(self.nodes)
        padded[self._inner] = self.modulus
        return padded.ravel()

    @cached_property
    def _steps(self) -> list[int]:
        """Distance in numbers of nodes from the first to each corner of an element."""
        along = [int(np.prod(self.nodes[axis + 1 :])) for axis in range(self.axes)]
        return [int(np.dot(corner, along)) for corner in product((0, 1), repeat=self.axes)]

    @cached_property
    def _pieces(self) -> list[slice]:
        """Runs of nodes that number elements."""
        last = len(self._numbered) - self._steps[-1]
        pieces = [slice(first, min(first + _PIECE, last)) for first in range(0, last, _PIECE)]
        return [here for here in pieces if self._numbered[here].any()]

    @cached_property
    def _room(self) -> Floats:
        """Memory for what is gathered and what is scattered, used again: one thread at a time."""
        return np.empty((2, len(self.stiffness), min(_PIECE, len(self._numbered))))

    def _gathered(self, displacement: Floats) -> Iterator[tuple[slice, Floats]]:
        """Yield each piece and the displacements of its corners `[n, elements]`, in memory that is used again."""
        flat, room = displacement.reshape(self.axes, -1), self._room[0]
        for here in self._pieces:
            gathered = room[:, : here.stop - here.start]
            for number, step in enumerate(self._steps):
                part = slice(here.start + step, here.stop + step)
                gathered[number * self.axes : (number + 1) * self.axes] = flat[:, part]
            yield here, gathered

    def _strain(self, point: tuple[int, ...]) -> tuple[float, Floats]:
        """Return a Gauss point's weight and its matrix from corner displacements to strain; (0, 0, 0) is the middle."""
        at = np.array(point) / np.sqrt(3)
        signs = np.array(list(product((-1, 1), repeat=self.axes)))
        factors = (1 + signs * at) / 2
        slopes = np.empty((len(signs), self.axes))
        for axis in range(self.axes):
            others = np.prod(np.delete(factors, axis, axis=1), axis=1)
            slopes[:, axis] = signs[:, axis] / self.spacing[axis] * others
        shears = [(1, 2), (0, 2), (0, 1)] if self.axes == 3 else [(0, 1)]
        matrix = np.zeros((self.axes + len(shears), len(signs), self.axes))
        for axis in range(self.axes):
            matrix[axis, :, axis] = slopes[:, axis]
        for row, (a, b) in enumerate(shears, self.axes):
            matrix[row, :, a], matrix[row, :, b] = slopes[:, b], slopes[:, a]
        weight = float(np.prod(self.spacing)) / 2**self.axes
        return weight, matrix.reshape(len(matrix), -1)
