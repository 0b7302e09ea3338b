"""The displacement in balance with supports and forces: conjugate gradients, preconditioned by `multigrid`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trabecula.measure.elements.multigrid import Cycle

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.measure.elements.brick import Elements
    from trabecula.system import Progress

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]


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
    elements: Elements, supports: Supports, *, tolerance: float = 1e-8, most: int = 2_000,
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
    corrected = Cycle(elements, free)
    load = float(np.linalg.norm(residual))
    ratio, count = (1.0, 0) if load else (0.0, 0)
    direction = corrected(residual)
    slope = float(np.vdot(residual, direction))
    while ratio > tolerance:
        if count == most:
            raise ValueError(
                f"out of balance by {ratio:.1e} of the load after {most} steps: remove parts that hang by single "
                f"nodes, or give a looser tolerance"
            )
        elements.forces(direction, out=pushed)
        pushed *= free
        step = slope / float(np.vdot(direction, pushed))
        pushed *= step
        residual -= pushed
        u += np.multiply(direction, step, out=pushed)
        towards = corrected(residual)
        before, slope = slope, float(np.vdot(residual, towards))
        direction *= slope / before
        direction += towards
        del towards  # its memory serves the next product
        ratio, count = float(np.linalg.norm(residual)) / load, count + 1
        if progress is not None and count % 5 == 0:
            done = np.log(max(ratio, tolerance)) / np.log(tolerance)
            progress(int(100 * done), 100, "elements")
    return Deformed(displacement=u, forces=elements.forces(u, out=pushed), iterations=count, residual=ratio)
