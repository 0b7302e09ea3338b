"""The lumbar CT: a recipe that makes the volume of L1 to L4, and its exact masks, when they are asked for.

The field is centred on the spine, as in a reconstruction for it, and reaches back to calibration rods in a pad under
the patient. The patient's water-equivalent diameter is that of the whole section, bones counted as muscle, so that a
twin of other bone is seen by the same beam.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Literal

import numpy as np

from trabecula.image import Image
from trabecula.phantom.anatomy.lumbar_bone import REGION
from trabecula.phantom.anatomy.scene import Grid, Scene, Tissue
from trabecula.phantom.anatomy.solid import Solid, pillar
from trabecula.phantom.body import with_contrast
from trabecula.phantom.ct import Scanner, scan, water_equivalent_cm
from trabecula.phantom.material import rod
from trabecula.phantom.spine_grain import volume_grain

if TYPE_CHECKING:
    from trabecula.phantom.anatomy.trunk import Trunk

RECIPE = 1
"""Version of the recipe: raised with every change of the pictures, so that cached features are made again."""

_NOISE = 1  # stream of random numbers
_LEVELS = ("T11", "T12", "L1", "L2", "L3", "L4", "L5")
_MASKED = ("L1", "L2", "L3", "L4", "L5")
_THICKEST = 2.4  # voxels may be as many times longer than wide
_ROD_MM, _PAD_MM, _ROD_STEP_MM = 8.0, 26.0, 34.0

LumbarRole = Literal["lumbar_ct", "vertebral_bodies", "psoas", "trabecular_region", "calibration_rods"]
MASKS: tuple[LumbarRole, ...] = ("vertebral_bodies", "psoas", "trabecular_region", "calibration_rods")


@dataclass(frozen=True, kw_only=True)
class LumbarCT:
    """A CT of L1 to L4 in HU, or one of its masks.

    Raises `ValueError` for a field that is not positive.
    """

    trunk: Trunk
    scanner: Scanner
    contrast: str = "none"
    """Phase; see `body.CONTRAST_MG_CM3`."""
    rods: str = "hydroxyapatite"
    """What the calibration rods are made of."""
    rods_mg_cm3: tuple[float, ...] = (0.0, 50.0, 100.0, 200.0)
    """From the patient's right to the left; none for a CT without rods."""
    field_mm: tuple[float, float] = (180.0, 200.0)
    """Length along the patient and side of the square section."""
    shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """How far the field is moved along x, y and z."""
    role: LumbarRole = "lumbar_ct"

    def __post_init__(self) -> None:
        if min(self.field_mm) <= 0:
            raise ValueError(f"a field is positive, in mm; got {self.field_mm}")

    @property
    def digest(self) -> str:
        """SHA-256 over the recipe, its version and its parameters."""
        return hashlib.sha256(f"lumbar_ct {RECIPE} {self!r}".encode()).hexdigest()

    def load(self) -> Image:
        """Make the volume: anatomy, grain and noise have their own random numbers, none of which bone can move."""
        return self._scanned() if self.role == "lumbar_ct" else self._mask()

    def grid(self, cut: int | None = None) -> Grid:
        """Return the picture's voxels, a slice cut into `cut` of them, or into as many as thin walls need."""
        pixel, interval = self.scanner.pixel_mm, self.scanner.interval_mm
        cut = cut or ceil(interval / pixel / _THICKEST)
        slices, pixels = int(self.field_mm[0] / interval + 1e-6), int(self.field_mm[1] / pixel + 1e-6)
        if min(slices, pixels) < 1:
            raise ValueError(f"a field of {self.field_mm} mm holds no voxel of {interval} x {pixel} mm: enlarge it")
        low, high = self.trunk.spine.reach(REGION[0], REGION[-1])
        behind = self.trunk.torso.back_mm + _PAD_MM + 8
        x, y, z = np.array([0.0, behind - pixels * pixel / 2, (low + high) / 2]) + self.shift_mm
        half = (pixels - 1) / 2 * pixel
        return Grid(
            shape=(slices * cut, pixels, pixels), spacing=(interval / cut, pixel, pixel),
            origin=(float(x) - half, float(y) - half, float(z) - (slices * cut - 1) / 2 * interval / cut),
        )  # fmt: skip

    def scene(self) -> Scene:
        """Return the patient on the pad with the rods."""
        return Scene(tissues=(*self.trunk.torso.tissues, *self._calibration()), bones=tuple(self.trunk.bones(_LEVELS)))

    def _scanned(self) -> Image:
        body = self.scene().body(self.grid(), grain=volume_grain(self.trunk))
        noise = np.random.default_rng([self.trunk.seed, self.trunk.patient, _NOISE])
        return scan(with_contrast(body, self.contrast), self.scanner, noise, water_cm=self.water_cm())

    def water_cm(self) -> float:
        """Return the water-equivalent diameter in cm of the whole section at L3, bones counted as muscle."""
        torso = self.trunk.torso
        wide, back = 0.56 * torso.form.width, torso.back_mm
        grid = Grid.around((-wide, back - 1.05 * torso.form.depth, -20), (wide, back + 8, 20), (10.0, 4.0, 4.0))
        return water_equivalent_cm(Scene(tissues=torso.tissues, bones=()).body(grid), self.scanner)

    def _calibration(self) -> list[Tissue]:
        """Return the pad and the rods in it; a rod's name tells its material and mg/cm3."""
        if not self.rods_mg_cm3:
            return []
        back = self.trunk.torso.back_mm + _PAD_MM / 2 + 2
        high = (float(self.field_mm[0]) + 200) / 2
        count = len(self.rods_mg_cm3)
        half = _ROD_STEP_MM * count / 2 + 6
        pad = Tissue(
            name="pad", densities={"water": 1.03},
            solid=pillar(half, _PAD_MM / 2, low_z=-high, high_z=high, exponent=8.0, centre_y=back),
        )  # fmt: skip
        rods = [
            Tissue(
                name=f"{self.rods} {mg:g} mg/cm3", densities=rod(self.rods, mg),
                solid=pillar(_ROD_MM, _ROD_MM, low_z=-high, high_z=high, centre_y=back,
                             centre_x=_ROD_STEP_MM * (n - (count - 1) / 2)),
            )
            for n, mg in enumerate(self.rods_mg_cm3)
        ]  # fmt: skip
        return [pad, *rods]

    def _mask(self) -> Image:
        middle = ceil((self.scanner.interval_mm / self.scanner.pixel_mm / _THICKEST - 1) / 2)
        cut = 2 * middle + 1  # odd: one of the voxels is the middle of its slice
        grid = self.grid(cut)
        labels = self._labelled(grid)
        x, y, z = grid.origin
        found = labels.voxels[middle::cut]
        kept = {value: name for value, name in labels.names.items() if (found == value).any()}
        return Image(
            voxels=found, unit="label", spacing=(self.scanner.interval_mm, *grid.spacing[1:]),
            origin=(x, y, z + middle * grid.spacing[0]), direction=labels.direction, names=kept,
        )  # fmt: skip

    def _labelled(self, grid: Grid) -> Image:
        trunk = self.trunk
        match self.role:
            case "vertebral_bodies":
                bodies = tuple(bone for bone in trunk.bones(_MASKED) if bone.name in _MASKED)
                return Scene(tissues=(), bones=bodies).labels(grid, {name: n + 1 for n, name in enumerate(_MASKED)})
            case "psoas":
                muscle = tuple(tissue for tissue in trunk.torso.tissues if tissue.name == "psoas")
                return Scene(tissues=muscle, bones=tuple(trunk.bones(_LEVELS))).labels(grid, {"psoas": 1})
            case "trabecular_region":
                regions = tuple(
                    Tissue(name=level, solid=trabecular_region(trunk, level), densities={}) for level in REGION
                )
                return Scene(tissues=regions, bones=()).labels(grid, {name: n + 1 for n, name in enumerate(REGION)})
            case _:
                rods = tuple(self._calibration()[1:])
                return Scene(tissues=rods, bones=()).labels(grid, {each.name: n + 1 for n, each in enumerate(rods)})


def trabecular_region(trunk: Trunk, level: str) -> Solid:
    """Return the elliptic cylinder about the middle of a body, clear of walls, endplates and the basivertebral vein."""
    vertebra, frame = trunk.spine.vertebrae[level], trunk.spine.frames[level]
    _, upper, _, _, lower, _ = vertebra.points[:, 2]
    half = max(0.22 * min(vertebra.heights), 2.0)
    middle = float(upper + lower) / 2
    return frame.placed(
        pillar(
            0.54 * vertebra.width / 2, 0.50 * vertebra.depth / 2, low_z=middle - half, high_z=middle + half,
            centre_y=-0.08 * vertebra.depth,
        )
    )  # fmt: skip
