"""The hip DXA scan: two log attenuations, the areal BMD solved from them as a device would, and exact masks.

The leg is turned inwards until the neck lies in the plane, but for a few degrees from one visit to the next, and the
shaft lies straight.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np

from trabecula.phantom.dxa_map import as_image, device_map
from trabecula.phantom.hip_view import HipView
from trabecula.phantom.material import MINERAL_SHARE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.image import Image
    from trabecula.phantom.anatomy.hip_owner import HipOwner, Side
    from trabecula.phantom.dxa import Densitometer

    Floats = NDArray[np.float64]

RECIPE = 1
"""Version of the recipe: raised with every change of the pictures, so that cached features are made again."""

HipScanPart = Literal["hip_dxa", "hip_dxa_low", "hip_dxa_high", "hip_regions", "proximal_femur", "bone"]

_NOISE = 203
_FIELD_MM = (150.0, 124.0)  # height and width


@dataclass(frozen=True, kw_only=True)
class HipScan:
    """A DXA scan of one hip: the map of areal BMD, one of the two beams, or a mask."""

    owner: HipOwner
    side: Side
    device: Densitometer
    visit: int = 0
    off_deg: float = 0.0
    """How far the leg is turned beyond the position in which the neck lies in the plane."""
    shift_mm: tuple[float, float] = (0.0, 0.0)
    """How far the field is moved to the patient's left and up."""
    part: HipScanPart = "hip_dxa"

    @property
    def digest(self) -> str:
        """SHA-256 over the recipe, its version and its parameters."""
        return hashlib.sha256(f"hip_dxa {RECIPE} {self!r}".encode()).hexdigest()

    @property
    def view(self) -> HipView:
        """Return how the hip is seen."""
        pixel = self.device.low.pixel_mm
        rows, columns = (round(mm / pixel) for mm in _FIELD_MM)
        return HipView(
            owner=self.owner, side=self.side, rows=rows, columns=columns, pixel_mm=pixel, straight=True, deep=1.0,
            rotation_deg=self.owner.hip.femur.anteversion_deg + self.off_deg, shift_mm=self.shift_mm,
        )  # fmt: skip

    def load(self) -> Image:
        """Make the picture: anatomy, grain and noise have their own random numbers, none of which bone can move."""
        if self.part in ("hip_regions", "proximal_femur", "bone"):
            return self.view.mask(self.part)
        low, high, mineral = _scanned(replace(self, part="hip_dxa"))
        pixel = self.device.low.pixel_mm
        match self.part:
            case "hip_dxa_low":
                return as_image(low, "log", pixel)
            case "hip_dxa_high":
                return as_image(high, "log", pixel)
            case _:
                return as_image(mineral, "g/cm2", pixel)

    def true_areal(self) -> Floats:
        """Return the column of hydroxyapatite in g/cm2 that the femur really has, `[row, column]`."""
        found = self.view.femur()["bone_matrix"] * MINERAL_SHARE
        return found[:, ::-1] if self.side == "R" else found


@lru_cache(maxsize=2)
def _scanned(scan: HipScan) -> tuple[Floats, Floats, Floats]:
    rng = np.random.default_rng([scan.owner.seed, scan.owner.patient, _NOISE, scan.visit])
    bone = scan.view.mask("bone").voxels[0] > 0
    return device_map(scan.view.material(), scan.device, rng, bone=bone)
