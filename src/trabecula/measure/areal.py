"""Areal bone mineral density in g/cm2: from two beams, and of regions in a map of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trabecula.measure.number import Measured, Number, of_parts, same_place

if TYPE_CHECKING:
    from trabecula.image import Image

_TOGETHER = {
    "L1-L4": (("L1", "L2", "L3", "L4"), ()),
    "total hip": (("femoral neck", "trochanter", "intertrochanteric"), ("Ward's triangle",)),
}
"""Regions that are several together: those that must be there, and those that belong to it where they are."""
_FEWEST = 30  # pixels beside the bone, and of a region


@dataclass(frozen=True, kw_only=True)
class Beams:
    """How much a densitometer's two beams are attenuated by bone mineral, in cm2/g, as its maker or a step tells.

    Raises `ValueError` unless the low beam is attenuated more, and both are positive.
    """

    low_cm2_g: float
    high_cm2_g: float

    def __post_init__(self) -> None:
        if not 0 < self.high_cm2_g < self.low_cm2_g:
            raise ValueError(f"mineral attenuates the low beam more, and both are positive, in cm2/g; got {self}")


def solved_bmd(low: Image, high: Image, *, beams: Beams, beside: Image) -> Image:
    """Return the map of areal BMD in g/cm2 that explains two log attenuations.

    Soft tissue is what lies `beside` the bone: there the low beam is a straight line over the high one, and what the
    low beam has beyond that line is mineral. Exact for beams of one energy and soft tissue of one composition. Real
    beams harden, so that `beams` are those of a step from 0 to about 1 g/cm2 behind as much soft tissue: 1 g/cm2 is
    then right within 3 % (by a step from 0.5 to 1.5 it is 17 % too much). Fat over the bone that differs from fat
    beside it biases by far more: made hips read 0.01 +- 0.08 g/cm2 too little, made spines 0.3 +- 0.1.
    Raises `ValueError` for images that are not log attenuation or lie apart, too little beside the bone, and soft
    tissue that takes mineral's place on the line.
    """
    for image in (low, high):
        if image.unit != "log":
            raise ValueError(f"areal BMD is solved from log attenuation; this image is in {image.unit!r}")
    same_place(low, high)
    same_place(low, beside)
    soft = beside.voxels > 0
    if soft.sum() < _FEWEST:
        raise ValueError(f"{soft.sum()} pixels lie beside the bone; {_FEWEST} are needed to know its soft tissue")
    there = high.voxels[soft].astype(np.float64)
    if np.ptp(there) > 0.02 * abs(there.mean()):
        slope, offset = np.polyfit(there, low.voxels[soft].astype(np.float64), 1)
    else:  # the same thickness everywhere tells a ratio alone
        slope, offset = float(low.voxels[soft].mean() / there.mean()), 0.0
    per_g = beams.low_cm2_g - slope * beams.high_cm2_g
    if not per_g > 0.02 * beams.low_cm2_g:
        raise ValueError(
            f"soft tissue has the ratio {slope:.3f} of the beams and mineral {beams.low_cm2_g / beams.high_cm2_g:.3f}: "
            "they cannot be told apart. Is the region beside the bone free of bone?"
        )
    mineral = (low.voxels.astype(np.float64) - offset - slope * high.voxels) / per_g
    return low.with_voxels(mineral, unit="g/cm2")


def measure_areal(bmd: Image, mask: Image) -> list[Measured]:
    """Return areal BMD, area and mineral content of every part of a mask; L1 to L4 and total hip where all is there.

    Areal BMD of several parts is all their mineral over all their area. Raises `ValueError` for a map that is not
    in g/cm2 or has no spacing, and a mask of another place or without names.
    """
    if bmd.unit != "g/cm2":
        raise ValueError(f"areal BMD is measured in a map in g/cm2; this image is in {bmd.unit!r}")
    if bmd.spacing is None:
        raise ValueError("this map has no spacing, so no area in cm2 and no mineral content in g")
    same_place(bmd, mask)
    if not mask.names:
        raise ValueError("the values of this mask have no names: say which value is which region")
    pixel_cm2 = bmd.spacing[1] * bmd.spacing[2] / 100
    parts: dict[str, list[int]] = {}
    for value, name in mask.names.items():
        parts.setdefault(name, []).append(value)
    for name, (needed, more) in _TOGETHER.items():
        if set(needed) <= set(parts) and name not in parts:
            parts[name] = [value for each in (*needed, *more) for value in parts.get(each, [])]

    def of(part: str) -> list[Number]:
        values = bmd.voxels[np.isin(mask.voxels, parts[part])].astype(np.float64)
        if len(values) < _FEWEST:
            raise ValueError(f"{part} has {len(values)} pixels; {_FEWEST} are needed")
        area = len(values) * pixel_cm2
        numbers = (
            ("bmd_g_cm2", values.mean(), "g/cm2"),
            ("area_cm2", area, "cm2"),
            ("bmc_g", values.mean() * area, "g"),
        )
        return [
            Number(name=name, value=value, unit=unit, part=part, region="whole region of the mask")
            for name, value, unit in numbers
        ]

    return of_parts(of, list(parts), names=("bmd_g_cm2",))
