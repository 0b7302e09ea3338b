"""The spine DXA scan: two log attenuations, the areal BMD solved from them as a device would, and vertebral bodies."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np

from trabecula.image import Image
from trabecula.phantom.anatomy.lumbar_bone import REGION
from trabecula.phantom.anatomy.pelvis import iliac_wings
from trabecula.phantom.anatomy.scene import Grid, Scene
from trabecula.phantom.anatomy.thorax import ribs
from trabecula.phantom.dxa_map import as_image, device_map

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.phantom.anatomy.trunk import Trunk
    from trabecula.phantom.dxa import Densitometer

    Floats = NDArray[np.float64]

RECIPE = 1
"""Version of the recipe: raised with every change of the pictures, so that cached features are made again."""

SpineScanPart = Literal["spine_dxa", "spine_dxa_low", "spine_dxa_high", "vertebral_bodies"]

_NOISE = 12
_FIELD_MM = (190.0, 140.0)  # height and width
_FRONT_MM, _BACK_MM = -110.0, 90.0  # along the ray
_LEVELS = ("T11", "T12", "L1", "L2", "L3", "L4", "L5")
_RIBS = ("T11", "T12")
_BONE_G_CM2 = 0.02  # of matrix: rays with more in them go through bone


@dataclass(frozen=True, kw_only=True)
class SpineScan:
    """A DXA scan of L1 to L4: the map of areal BMD, one of the two beams, or the mask of the bodies."""

    trunk: Trunk
    device: Densitometer
    visit: int = 0
    shift_mm: tuple[float, float] = (0.0, 0.0)
    """How far the field is moved to the patient's left and up."""
    part: SpineScanPart = "spine_dxa"

    @property
    def digest(self) -> str:
        """SHA-256 over the recipe, its version and its parameters."""
        return hashlib.sha256(f"spine_dxa {RECIPE} {self!r}".encode()).hexdigest()

    def load(self) -> Image:
        """Make the picture: anatomy and noise have their own random numbers, none of which bone can move."""
        if self.part == "vertebral_bodies":
            return self._mask()
        low, high, mineral = _scanned(replace(self, part="spine_dxa"))
        pixel = self.device.low.pixel_mm
        match self.part:
            case "spine_dxa_low":
                return as_image(low, "log", pixel)
            case "spine_dxa_high":
                return as_image(high, "log", pixel)
            case _:
                return as_image(mineral, "g/cm2", pixel)

    def grid(self) -> Grid:
        """Return voxels whose columns along the ray are the pixels of the picture."""
        pixel = self.device.low.pixel_mm
        rows, columns = (round(mm / pixel) for mm in _FIELD_MM)
        layers = int((_BACK_MM - _FRONT_MM) / pixel)
        low, high = self.trunk.spine.reach(REGION[0], REGION[-1])
        x, z = self.shift_mm[0], (low + high) / 2 + self.shift_mm[1]
        return Grid(
            shape=(rows, layers, columns), spacing=(pixel, pixel, pixel),
            origin=(x - (columns - 1) / 2 * pixel, _FRONT_MM, float(z) - (rows - 1) / 2 * pixel),
        )  # fmt: skip

    def material(self) -> dict[str, Floats]:
        """Return columns in g/cm2 by material, `[row, column]`."""
        trunk = self.trunk
        bones = trunk.bones(_LEVELS)
        bones += ribs(trunk.spine, trunk.torso.form, trunk.bone, _RIBS)
        bones += iliac_wings(trunk.spine, trunk.bone)
        return Scene(tissues=trunk.torso.tissues, bones=tuple(bones)).columns(self.grid(), "ap")

    def true_areal(self) -> Floats:
        """Return the column of hydroxyapatite in g/cm2 that the vertebrae really have, `[row, column]`."""
        bones = tuple(self.trunk.bones(_LEVELS, sacrum=False))
        return Scene(tissues=(), bones=bones).mineral(self.grid())

    def _mask(self) -> Image:
        """Return the AP outlines of the bodies L1 to L4, a level a value."""
        grid, pixel = self.grid(), self.device.low.pixel_mm
        found = np.zeros((grid.shape[0], grid.shape[2]), dtype=np.uint8)
        names = dict(enumerate(REGION, start=1))
        for value, level in names.items():
            body = next(bone for bone in self.trunk.bones((level,), sacrum=False) if bone.name == level)
            if (window := grid.window(body.solid.low, body.solid.high)) is not None:
                (k, _, i), inner = window
                inside = np.broadcast_to(body.solid.distance(*inner.axes()) < 0, inner.shape).any(axis=1)
                found[k, i][inside] = value
        return Image(
            voxels=found[None, ::-1], unit="label", spacing=(1.0, pixel, pixel), space="detector",
            names={value: name for value, name in names.items() if (found == value).any()},
        )  # fmt: skip


@lru_cache(maxsize=2)
def _scanned(scan: SpineScan) -> tuple[Floats, Floats, Floats]:
    material = scan.material()
    rng = np.random.default_rng([scan.trunk.seed, scan.trunk.patient, _NOISE, scan.visit])
    return device_map(material, scan.device, rng, bone=material["bone_matrix"] > _BONE_G_CM2)
