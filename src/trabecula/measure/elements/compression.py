"""A vertebral body pressed along its own axis between two layers of bone cement: stiffness, failure load, energy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trabecula.measure.elements.block import Block, bone_of, laid, mineral_g_cm3
from trabecula.measure.elements.brick import Elements
from trabecula.measure.elements.density import MineralDensity, modulus_of_mineral
from trabecula.measure.elements.solver import Supports, solved
from trabecula.measure.elements.strain import RULES, load_factor
from trabecula.measure.number import Number
from trabecula.measure.vertebral_frame import body_clouds, body_frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.image import Image
    from trabecula.system import Progress

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

CEMENT_MPA = 2500.0
"""Polymethylmethacrylate: read in PMC3415303 (2500 MPa)."""
YIELD_STRAIN = 0.0069
"""Apparent strain of a whole body at yield: recalled; a script of FAIM presses to 0.68 % (read, ogo)."""
LEAST_MPA = 1.0
"""What marrow still bears; ours, so that a body without bone in its middle hangs together."""
_CEMENT_MM = 2.0  # of cement over the highest place of an endplate
_REACH_MM = 10.0  # how deep below that cement may flow
_PRESSED = 0.01  # strain that is solved for; everything is linear
_TOLERANCE = 1e-6


@dataclass(frozen=True, kw_only=True)
class Pressed:
    """What pressing found; everything but the loads at failure belongs to no particular load."""

    stiffness: float
    """N/mm."""
    height_mm: float
    """Mean height of the bone between the layers of cement, over its volume."""
    failure_n: float
    yield_n: float
    elements: int
    iterations: int
    loose: float

    @property
    def energy(self) -> float:
        """Strain energy in N mm at the failure load."""
        return 0.5 * self.failure_n**2 / self.stiffness


def vertebral_compression(
    image: Image, mask: Image, *, part: str, element_mm: float = 1.0, law: str = "kopperdahl_2002",
    calibration: str = "keyak_1994", rule: str = "pistoia_2002", hu_calibration: tuple[float, float] | None = None,
) -> list[Number]:  # fmt: skip
    """Return what a vertebral body bears along its own axis, each with its uncertainty by the size of elements.

    `image` is CT in mg/cm3, or in HU with `hu_calibration` (slope and intercept in mg/cm3); `mask` names the body
    `part`, without its arch. The body's axis is that of its endplates (`vertebral_frame`). The numbers: `stiffness`,
    `failure_load` by the named strain rule, `yield_load` (stiffness x 0.69 % of the height), `strain_energy` at the
    failure load. Uncertainty is the difference to elements twice as large.
    Raises `ValueError` for a body that is missing, cut off, in pieces or of too few elements, for an image without
    calibrated density, and for an unknown law or rule.
    """
    if rule not in RULES:
        raise ValueError(f"{rule!r} is not known; there are {', '.join(RULES)}")
    slope, intercept = hu_calibration or (None, None)
    label = next((value for value, name in mask.names.items() if name == part), None)
    frame = body_frame(part, body_clouds(mask), mask)
    inside = bone_of(image, mask, label=label)
    density = mineral_g_cm3(image, slope=slope, intercept=intercept)
    if image.spacing is None:
        raise ValueError("this image has no spacing")
    axes = np.stack([frame.up, frame.back, frame.left]) @ np.asarray(image.direction).T
    found = []
    for size in (element_mm, 2 * element_mm):
        block = laid(density, inside, image.spacing, axes=axes, element_mm=size)
        modulus = np.where(block.share > 0, block_modulus(block, law=law, calibration=calibration), 0.0)
        found.append(pressed(block, modulus, rule=rule))
    fine, coarse = found
    region = (
        f"vertebral body between layers of cement, {fine.elements} elements of {element_mm:g} mm, law {law}, "
        f"mean height {fine.height_mm:.1f} mm"
    )
    told = {
        "stiffness": (fine.stiffness, coarse.stiffness, "N/mm", ""),
        "failure_load": (fine.failure_n, coarse.failure_n, "N", f", rule {rule}"),
        "yield_load": (fine.yield_n, coarse.yield_n, "N", f", at {100 * YIELD_STRAIN:g} % of the height"),
        "strain_energy": (fine.energy, coarse.energy, "N mm", f", at the failure load of {rule}"),
    }
    return [
        Number(name=name, value=value, unit=unit, part=part, region=region + more, uncertainty=abs(value - other))
        for name, (value, other, unit, more) in told.items()
    ]


def block_modulus(block: Block, *, law: str, calibration: str) -> Floats:
    """Return the modulus of each element in MPa: that of the bone in it times its share."""
    bone = modulus_of_mineral(MineralDensity(block.density), law=law, calibration=calibration)
    return np.asarray(np.maximum(bone, LEAST_MPA) * block.share)


def pressed(block: Block, modulus: Floats, *, rule: str, progress: Progress | None = None) -> Pressed:
    """Press a block along its first axis between layers of cement that are glued to rigid plates."""
    size, layers = block.element_mm, math.ceil(_CEMENT_MM / block.element_mm)
    wide = ((layers, layers), (0, 0), (0, 0))
    share, bone = np.pad(block.share, wide), np.pad(modulus, wide)
    whole = bone + CEMENT_MPA * _cement(share, layers + max(1, round(_REACH_MM / size)))
    columns = share.sum(axis=0) * size
    height = float((columns**2).sum() / columns.sum())
    elements = Elements(modulus=whole, spacing=(size, size, size))
    supports = Supports.none(elements)
    supports.fixed[:, 0] = supports.fixed[:, -1] = True
    supports.displacement[0, -1] = -_PRESSED * height
    deformed = solved(elements, supports, tolerance=_TOLERANCE, progress=progress)
    force = -float(deformed.forces[0, -1].sum())
    factor = load_factor(RULES[rule], elements, elements.strain(deformed.displacement), share)
    stiffness = force / (_PRESSED * height)
    return Pressed(
        stiffness=stiffness, height_mm=height, failure_n=factor * force, yield_n=stiffness * YIELD_STRAIN * height,
        elements=int((block.share > 0).sum()), iterations=deformed.iterations, loose=block.loose,
    )  # fmt: skip


def _cement(share: Floats, deepest: int) -> Floats:
    """Return the share of each element that is cement: from both plates to the bone, not beside it."""
    filled = np.zeros(share.shape)
    bone = share > 0
    for way in (slice(None), slice(None, None, -1)):
        here, first = bone[way], np.argmax(bone[way], axis=0)
        above = np.arange(len(share))[:, None, None] <= first
        reached = here.any(axis=0) & (first <= deepest)
        filled[way] = np.maximum(filled[way], np.where(above & reached, 1 - share[way], 0.0))
    return filled
