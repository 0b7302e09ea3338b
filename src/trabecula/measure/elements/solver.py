"""Linear elasticity on a regular grid, without a matrix: every element is the same brick, scaled by its modulus.

In three dimensions elements are bricks with eight nodes (MPa), in two squares of a plate in plane stress with four
nodes (MPa times mm of thickness). Shape functions are (bi)linear and integrated in full. The product of stiffness and
displacement is gathered from the corners of all elements, multiplied by one small matrix and scattered back, slab by
slab; conjugate gradients with the diagonal as preconditioner do the rest. Memory grows with the nodes alone.

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

    from trabecula.system import Progress

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

    @cached_property
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
        flat, pushed = total.reshape(self.axes, -1), np.empty((len(self.stiffness), _PIECE))
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

    def _gathered(self, displacement: Floats) -> Iterator[tuple[slice, Floats]]:
        """Yield each piece and the displacements of its corners `[n, elements]`, in memory that is used again."""
        flat, room = displacement.reshape(self.axes, -1), np.empty((len(self.stiffness), _PIECE))
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


@dataclass(frozen=True, eq=False, kw_only=True)
class Supports:
    """What is known at nodes: where the displacement is given, its value in mm, and forces in N, `[axis, *nodes]`."""

    fixed: Mask
    displacement: Floats
    force: Floats

    @classmethod
    def none(cls, elements: Elements) -> Supports:
        """Return free nodes without forces, to fill in."""
        shape = (elements.axes, *elements.nodes)
        return cls(fixed=np.zeros(shape, dtype=bool), displacement=np.zeros(shape), force=np.zeros(shape))


@dataclass(frozen=True, eq=False, kw_only=True)
class Deformed:
    """A solved body."""

    displacement: Floats
    """`[axis, *nodes]` in mm; 0 at nodes that touch no element."""
    forces: Floats
    """`[axis, *nodes]` in N: what supports and loads put in."""
    iterations: int
    residual: float
    """Norm of the forces out of balance over that of the load."""

    @property
    def energy(self) -> float:
        """Strain energy in N mm."""
        return 0.5 * float(np.sum(self.displacement * self.forces))


def solved(
    elements: Elements, supports: Supports, *, tolerance: float = 1e-8, most: int = 20_000,
    progress: Progress | None = None,
) -> Deformed:  # fmt: skip
    """Return the displacement in balance with supports and forces.

    Raises `ValueError` when no displacement is given (the body would fly away), a force pulls where nothing is, or the
    tolerance is not reached: a part hangs by a hinge or the contrast of moduli is beyond this solver.
    """
    if not supports.fixed.any():
        raise ValueError("nothing holds the body: give the displacement of some nodes")
    if np.any(supports.force * ~elements.occupied):
        raise ValueError("a force pulls at a node that touches no element")
    free = ~supports.fixed & elements.occupied
    u = np.where(supports.fixed & elements.occupied, supports.displacement, 0.0)
    pushed = elements.forces(u)
    residual = np.where(free, supports.force - pushed, 0.0)
    scale = np.divide(free, elements.diagonal, out=np.zeros_like(u), where=free)
    load = float(np.linalg.norm(residual))
    ratio, count = (1.0, 0) if load else (0.0, 0)
    towards = scale * residual
    direction, slope = towards.copy(), float(np.vdot(residual, towards))
    while ratio > tolerance:
        if count == most:
            raise ValueError(
                f"out of balance by {ratio:.1e} of the load after {most} steps: remove parts that hang by single "
                f"nodes, or give a looser tolerance"
            )
        elements.forces(direction, out=pushed)
        pushed *= free
        step = slope / float(np.vdot(direction, pushed))
        u += np.multiply(direction, step, out=towards)
        residual -= np.multiply(pushed, step, out=towards)
        before, slope = slope, float(np.vdot(residual, np.multiply(scale, residual, out=towards)))
        direction *= slope / before
        direction += towards
        ratio, count = float(np.linalg.norm(residual)) / load, count + 1
        if progress is not None and count % 50 == 0:
            done = np.log(max(ratio, tolerance)) / np.log(tolerance)
            progress(int(100 * done), 100, "elements")
    return Deformed(displacement=u, forces=elements.forces(u, out=pushed), iterations=count, residual=ratio)
