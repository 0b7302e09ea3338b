"""Numbers: what was measured, of which part, in which region, in which unit, and how sure it is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from trabecula.prediction import Abstain

if TYPE_CHECKING:
    from trabecula.image import Image


@dataclass(frozen=True, kw_only=True)
class Number:
    """One measured number.

    Raises `ValueError` when the value is not finite, the unit empty, or the uncertainty negative.
    """

    name: str
    """A field term, such as `mean_hu` or an IBSI tag."""
    value: float
    unit: str
    """`1` for a number without a unit."""
    part: str = ""
    """What of the patient, such as `L1`; empty for the whole mask."""
    region: str = ""
    """Where in it, in mm, in words."""
    uncertainty: float | None = None
    """Half the width of a 95 % interval, in the same unit."""
    sentence: str = ""
    """What it means by a published rule, with its source."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", float(self.value))
        if not math.isfinite(self.value):
            raise ValueError(f"{self.name} of {self.part or 'the region'} is {self.value}, which is no number")
        if not self.unit:
            raise ValueError(f"{self.name} needs a unit; `1` for none")
        if self.uncertainty is not None and not self.uncertainty >= 0:
            raise ValueError(f"the uncertainty of {self.name} is not negative; got {self.uncertainty}")

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "part": self.part, "name": self.name, "value": self.value, "unit": self.unit,
            "uncertainty": self.uncertainty, "region": self.region, "sentence": self.sentence,
        }  # fmt: skip

    def __str__(self) -> str:
        """Return the number as a page prints it."""
        sure = "" if self.uncertainty is None else f" +- {self.uncertainty:.2g}"
        unit = "" if self.unit == "1" else f" {self.unit}"
        return f"{self.part}{': ' * bool(self.part)}{self.name} {self.value:.4g}{sure}{unit}"


@dataclass(frozen=True, kw_only=True)
class Missing:
    """A number that could not be measured, and why."""

    name: str
    part: str
    abstain: Abstain

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {"part": self.part, "name": self.name, "value": None, "abstained": self.abstain.reason}


Measured: TypeAlias = Number | Missing


def of_parts(
    measure: Callable[[str], Iterable[Number]], parts: Sequence[str], *, names: Sequence[str]
) -> list[Measured]:
    """Return what `measure` finds in each part; a part that it refuses with `ValueError` abstains with that reason."""
    found: list[Measured] = []
    for part in parts:
        try:
            found.extend(measure(part))
        except ValueError as error:
            found.extend(Missing(name=name, part=part, abstain=Abstain(str(error))) for name in names)
    return found


def same_place(image: Image, mask: Image) -> None:
    """Refuse a mask that does not lie on the voxels of an image.

    Raises `ValueError` that says what differs: shape, spacing, position or direction (tolerance 0.01 mm).
    """
    if image.shape != mask.shape:
        raise ValueError(
            f"the mask has {mask.shape} voxels and the image {image.shape}: resample the mask to the image"
        )
    if (image.spacing is None) != (mask.spacing is None):
        raise ValueError("only one of image and mask has a spacing in mm: bring both with their geometry")
    if image.spacing is None:
        return
    last = [n - 1 for n in image.shape]
    for corner in ([0, 0, 0], last, [last[0], 0, 0], [0, last[1], 0]):
        apart = (image.affine @ [*corner, 1] - mask.affine @ [*corner, 1])[:3]
        if math.hypot(*apart) > 0.01:
            raise ValueError(
                f"the mask lies {math.hypot(*apart):.3g} mm away from the image at voxel {tuple(corner)}: it is of "
                f"another series, or its geometry was lost"
            )
