"""The lumbar MRI: a recipe that makes sagittal T1 slices of L1 to S1, and their exact mask, when they are asked for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from trabecula.image import Image
from trabecula.phantom.anatomy.scene import Grid, Scene
from trabecula.phantom.body import Body
from trabecula.phantom.mri import SpinEcho, scan_mri
from trabecula.phantom.spine_grain import volume_grain

if TYPE_CHECKING:
    from trabecula.phantom.anatomy.trunk import Trunk

RECIPE = 1
"""Version of the recipe: raised with every change of the pictures, so that cached features are made again."""

_NOISE = 2  # stream of random numbers
_LEVELS = ("T11", "T12", "L1", "L2", "L3", "L4", "L5")
_MASKED = ("L1", "L2", "L3", "L4", "L5")
_WIDE_MM, _LONG_MM, _FRONT_MM = 62.0, 240.0, 95.0
"""The slab from side to side, the length along the spine, and how far the field reaches in front of L3."""
_BODY_MM = 1.0


@dataclass(frozen=True, kw_only=True)
class LumbarMRI:
    """Sagittal T1 spin echo slices in stored values, or the mask of the vertebral bodies on their voxels."""

    trunk: Trunk
    echo: SpinEcho
    shift_mm: float = 0.0
    """How far the field is moved to the left and up."""
    role: Literal["lumbar_mri", "vertebral_bodies"] = "lumbar_mri"

    @property
    def digest(self) -> str:
        """SHA-256 over the recipe, its version and its parameters."""
        return hashlib.sha256(f"lumbar_mri {RECIPE} {self!r}".encode()).hexdigest()

    def load(self) -> Image:
        """Make the slices: anatomy, grain and noise have their own random numbers, none of which bone can move."""
        noise = np.random.default_rng([self.trunk.seed, self.trunk.patient, _NOISE])
        if self.role == "vertebral_bodies":
            grid = self.grid()
            nothing = Body(
                densities={"air": np.zeros(grid.shape, dtype=np.float32)}, spacing=grid.spacing, origin=grid.origin
            )
            return self._mask(scan_mri(nothing, self.echo, noise))
        return scan_mri(self.scene().body(self.grid(), grain=volume_grain(self.trunk)), self.echo, noise)

    def scene(self) -> Scene:
        """Return the patient."""
        return Scene(tissues=self.trunk.torso.tissues, bones=tuple(self.trunk.bones(_LEVELS)))

    def grid(self) -> Grid:
        """Return the voxels of the body that is scanned: a slab about the spine, from in front of it to the back."""
        low, high = self.trunk.spine.reach("L1", "L5")
        back = self.trunk.torso.back_mm + 8
        x, y, z = self.shift_mm, (back - _FRONT_MM) / 2, (low + high) / 2 - 12 + self.shift_mm
        half = (_WIDE_MM / 2, (back + _FRONT_MM) / 2, _LONG_MM / 2)
        middle = np.array([x, y, z])
        return Grid.around((middle - half).tolist(), (middle + half).tolist(), (_BODY_MM,) * 3)

    def _mask(self, image: Image) -> Image:
        """Return, on the voxels of a picture, the level of the body in which the middle of each lies."""
        k, j, i = np.indices(image.shape)
        x, y, z = np.moveaxis(np.stack([k, j, i], axis=-1) @ image.affine[:3, :3].T + image.affine[:3, 3], -1, 0)
        found = np.zeros(image.shape, dtype=np.uint8)
        places = tuple(each.astype(np.float32) for each in (x, y, z))
        for value, level in enumerate(_MASKED, 1):
            solid = next(bone.solid for bone in self.trunk.bones(_MASKED) if bone.name == level)
            found[solid.distance(*places) < 0] = value
        return replace(image, voxels=found, unit="label", names=dict(enumerate(_MASKED, 1)))
