"""A preconditioner for conjugate gradients: one V-cycle over grids of elements twice as large each time.

Bending is what the diagonal alone is slow at: its correction travels one element a step. On a coarser grid it travels
further. Moduli of coarse elements are means of eight (or four); displacements go up by linear interpolation and forces
come down by its transpose; on each grid one damped Jacobi step before and one after. All of it is linear, symmetric and
positive, as conjugate gradients need. Measured on a femur in a fall, 20,000 bricks: 60 steps in place of 1023, and a
quarter of the time.

Source: Briggs, Henson, McCormick, A Multigrid Tutorial, chapters 2 to 4; on voxels of bone Arbenz et al., Int J Numer
Methods Eng 2008;73:927 (there algebraic).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import eigh

from trabecula.measure.elements.brick import Elements

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

_SMALLEST = 4  # elements along the longest side of the coarsest grid
_LAST_SWEEPS = 8
_DAMPED = 0.6  # over the largest eigenvalue: the upper four fifths of the spectrum are damped best


class Cycle:
    """Approximate the displacement that belongs to forces out of balance, `[axis, *nodes]`, 0 where `free` is not."""

    def __init__(self, elements: Elements, free: Mask) -> None:
        self.elements, self.free = elements, free
        self.scale = np.divide(free, elements.diagonal, out=np.zeros(free.shape), where=free)
        self.scale /= _DAMPED * _largest_eigenvalue(elements)
        self.coarser: Cycle | None = None
        if max(elements.modulus.shape) > _SMALLEST:
            coarse = Elements(
                modulus=_means(elements.modulus), spacing=tuple(2 * mm for mm in elements.spacing),
                poisson=elements.poisson,
            )  # fmt: skip
            self.coarser = Cycle(coarse, coarse.occupied & ~_every_second(elements.occupied & ~free, coarse.nodes))

    def __call__(self, residual: Floats) -> Floats:
        """Return the correction."""
        found = self.scale * residual
        if self.coarser is None:
            for _ in range(_LAST_SWEEPS):
                self._smooth(found, residual)
            return found
        left = self.elements.forces(found)
        np.subtract(residual, left, out=left)
        left *= self.free
        down = restricted(left, self.coarser.elements.nodes)
        down *= self.coarser.free
        up = interpolated(self.coarser(down), self.elements.nodes)
        up *= self.free
        found += up
        self._smooth(found, residual)
        return found

    def _smooth(self, found: Floats, residual: Floats) -> None:
        """Take one damped Jacobi step."""
        step = self.elements.forces(found)
        np.subtract(residual, step, out=step)
        step *= self.scale
        found += step


def _largest_eigenvalue(elements: Elements) -> float:
    """Return a bound on the eigenvalues of stiffness over its diagonal: that of one element, whatever the moduli."""
    own = elements.stiffness
    return float(eigh(own, np.diag(np.diag(own)), eigvals_only=True)[-1])


def _means(modulus: Floats) -> Floats:
    """Return means of two elements along each axis; the last is filled up with nothing."""
    for axis in range(modulus.ndim):
        pairs = np.moveaxis(modulus, axis, 0)
        if len(pairs) % 2:
            pairs = np.concatenate([pairs, np.zeros_like(pairs[:1])])
        modulus = np.moveaxis((pairs[0::2] + pairs[1::2]) / 2, 0, axis)
    return np.ascontiguousarray(modulus)


def _every_second(held: Mask, nodes: tuple[int, ...]) -> Mask:
    """Return what is held at the nodes that a coarse grid keeps."""
    found = np.zeros((len(held), *nodes), dtype=bool)
    kept = held[(slice(None), *(slice(0, None, 2) for _ in nodes))]
    found[(slice(None), *(slice(0, n) for n in kept.shape[1:]))] = kept
    return found


def interpolated(coarse: Floats, nodes: tuple[int, ...]) -> Floats:
    """Return a field `[axis, *coarse nodes]` on nodes twice as dense."""
    for axis, count in enumerate(nodes, 1):
        given = np.moveaxis(coarse, axis, 0)
        fine = np.empty((count, *given.shape[1:]))
        fine[0::2] = given[: (count + 1) // 2]
        fine[1::2] = given[: count // 2]
        fine[1::2] += given[1 : 1 + count // 2]
        fine[1::2] /= 2
        coarse = np.moveaxis(fine, 0, axis)
    return np.ascontiguousarray(coarse)


def restricted(fine: Floats, nodes: tuple[int, ...]) -> Floats:
    """Return forces `[axis, *nodes]` on coarse nodes: the transpose of `interpolated`."""
    for axis, count in enumerate(nodes, 1):
        given = np.moveaxis(fine, axis, 0)
        coarse = np.zeros((count, *given.shape[1:]))
        kept, halved = given[0::2], given[1::2] / 2
        coarse[: len(kept)] = kept
        coarse[: len(halved)] += halved
        coarse[1 : 1 + len(halved)] += halved[: count - 1]
        fine = np.moveaxis(coarse, 0, axis)
    return np.ascontiguousarray(fine)
