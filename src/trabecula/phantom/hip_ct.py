"""The hip CT: a recipe that makes the volume about one hip, and its exact masks, when they are asked for.

The field lies about one hip, as in a reconstruction for it, and reaches back to calibration rods in a pad under the
patient. The patient's water-equivalent diameter is that of the whole section, bones counted as muscle, so that a twin
of other bone is seen by the same beam.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import TYPE_CHECKING, Literal

import numpy as np

from trabecula.image import Image
from trabecula.phantom.anatomy.flesh import flesh_tissues, joint
from trabecula.phantom.anatomy.hip import femora, femur_pose, pelvis_of
from trabecula.phantom.anatomy.scene import Grid, Scene, Tissue
from trabecula.phantom.anatomy.solid import pillar
from trabecula.phantom.ct import Scanner, scan, water_equivalent_cm
from trabecula.phantom.grain import density_field
from trabecula.phantom.material import rod

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.phantom.anatomy.hip_owner import HipOwner, Side
    from trabecula.phantom.anatomy.scene import Bone

RECIPE = 1
"""Version of the recipe: raised with every change of the pictures, so that cached features are made again."""

_NOISE = 204
_THICKEST = 2.4  # voxels may be as many times longer than wide
_ROD_MM, _PAD_MM, _ROD_STEP_MM = 8.0, 26.0, 30.0
_LATERAL_MM, _BELOW_MM = 6.0, 26.0  # from the centre of the head to that of the field, outwards and down
_TILE = (96, 96, 96)  # voxels of grain before it repeats itself

HipCTRole = Literal["hip_ct", "proximal_femur", "bones", "calibration_rods"]
MASKS: tuple[HipCTRole, ...] = ("proximal_femur", "bones", "calibration_rods")


@dataclass(frozen=True, kw_only=True)
class HipCT:
    """A CT of one hip in HU, or one of its masks.

    Raises `ValueError` for a field that is not positive.
    """

    owner: HipOwner
    side: Side
    scanner: Scanner
    rotation_deg: float = 0.0
    """By which the leg is turned inwards."""
    rods: str = "hydroxyapatite"
    """What the calibration rods are made of."""
    rods_mg_cm3: tuple[float, ...] = (0.0, 50.0, 100.0, 200.0)
    """From the patient's right to the left; none for a CT without rods."""
    field_mm: tuple[float, float] = (130.0, 210.0)
    """Length along the patient and side of the square section."""
    shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """How far the field is moved along x, y and z."""
    role: HipCTRole = "hip_ct"

    def __post_init__(self) -> None:
        if min(self.field_mm) <= 0:
            raise ValueError(f"a field is positive, in mm; got {self.field_mm}")

    @property
    def digest(self) -> str:
        """SHA-256 over the recipe, its version and its parameters."""
        return hashlib.sha256(f"hip_ct {RECIPE} {self!r}".encode()).hexdigest()

    def load(self) -> Image:
        """Make the volume: anatomy, grain and noise have their own random numbers, none of which bone can move."""
        if self.role != "hip_ct":
            return self._mask()
        body = self.scene().body(self.grid(), grain=self._grain)
        noise = np.random.default_rng([self.owner.seed, self.owner.patient, _NOISE])
        return scan(body, self.scanner, noise, water_cm=self.water_cm())

    def grid(self) -> Grid:
        """Return the voxels of the picture, a slice cut into as many as thin walls need."""
        pixel, interval = self.scanner.pixel_mm, self.scanner.interval_mm
        slices, pixels = int(self.field_mm[0] / interval + 1e-6), int(self.field_mm[1] / pixel + 1e-6)
        if min(slices, pixels) < 1:
            raise ValueError(f"a field of {self.field_mm} mm holds no voxel of {interval} x {pixel} mm: enlarge it")
        cut, side = self._cut(), -1.0 if self.side == "R" else 1.0
        behind = self._back_mm() + _PAD_MM + 6
        x = side * (self.owner.hip.pelvis.half_mm + _LATERAL_MM)
        x, y, z = np.array([x, behind - pixels * pixel / 2, -_BELOW_MM]) + self.shift_mm
        half, high = (pixels - 1) / 2 * pixel, (slices * cut - 1) / 2 * interval / cut
        return Grid(
            shape=(slices * cut, pixels, pixels), spacing=(interval / cut, pixel, pixel),
            origin=(float(x) - half, float(y) - half, float(z) - high),
        )  # fmt: skip

    def scene(self) -> Scene:
        """Return the patient on the pad with the rods."""
        owner, pose = self.owner, femur_pose(self.owner.hip, rotation_deg=self.rotation_deg)
        left, right = (pose, None) if self.side == "L" else (None, pose)
        bones = (*femora(owner.hip, owner.mineral, left=left, right=right), *pelvis_of(owner.hip, owner.mineral))
        return Scene(tissues=(*self._soft(), *self._calibration()), bones=bones)

    def water_cm(self) -> float:
        """Return the water-equivalent diameter in cm of the whole section at the hips, bones counted as muscle."""
        grid = Grid.around((-260, -180, -30), (260, self._back_mm() + 4, 20), (10.0, 5.0, 5.0))
        return water_equivalent_cm(Scene(tissues=self._soft(), bones=()).body(grid), self.scanner)

    def _soft(self) -> tuple[Tissue, ...]:
        hip = self.owner.hip
        return (*flesh_tissues(hip.flesh), joint(hip.pelvis.half_mm, hip.pelvis.socket_mm))

    def _back_mm(self) -> float:
        return flesh_tissues(self.owner.hip.flesh)[0].solid.high[1]

    def _cut(self) -> int:
        """Return into how many voxels a slice is cut, an odd number, so that one of them is its middle."""
        return 2 * ceil((self.scanner.interval_mm / self.scanner.pixel_mm / _THICKEST - 1) / 2) + 1

    def _calibration(self) -> list[Tissue]:
        """Return the pad and the rods in it; a rod's name tells its material and mg/cm3."""
        if not self.rods_mg_cm3:
            return []
        back = self._back_mm() + _PAD_MM / 2
        high, count = self.field_mm[0] + 100, len(self.rods_mg_cm3)
        middle = (-1.0 if self.side == "R" else 1.0) * (self.owner.hip.pelvis.half_mm + _LATERAL_MM)
        pad = Tissue(
            name="pad", densities={"water": 1.03},
            solid=pillar(_ROD_STEP_MM * count / 2 + 6, _PAD_MM / 2, low_z=-high, high_z=high, exponent=8.0,
                         centre_x=middle, centre_y=back),
        )  # fmt: skip
        rods = [
            Tissue(
                name=f"{self.rods} {mg:g} mg/cm3", densities=rod(self.rods, mg),
                solid=pillar(_ROD_MM, _ROD_MM, low_z=-high, high_z=high, centre_y=back,
                             centre_x=middle + _ROD_STEP_MM * (n - (count - 1) / 2)),
            )
            for n, mg in enumerate(self.rods_mg_cm3)
        ]  # fmt: skip
        return [pad, *rods]

    def _grain(self, bone: Bone, window: Grid) -> NDArray[np.float32]:
        """Return local density over its mean, which stays where the bone is when the field moves."""
        first = [round((window.origin[axis] - bone.solid.low[axis]) / window.spacing[2 - axis]) for axis in (2, 1, 0)]
        field = _tile(self.owner, window.spacing)
        places = [(start + np.arange(n)) % side for start, n, side in zip(first, window.shape, _TILE, strict=True)]
        found = field[np.ix_(*places)]
        inside = np.broadcast_to(bone.solid.distance(*window.axes()) < 0, window.shape)
        return np.asarray(found / found[inside].mean()) if inside.any() else found

    def _mask(self) -> Image:
        grid, cut = self.grid(), self._cut()
        labels = self._labelled(grid)
        middle = cut // 2
        x, y, z = grid.origin
        found = labels.voxels[middle::cut]
        kept = {value: name for value, name in labels.names.items() if (found == value).any()}
        return Image(
            voxels=found, unit="label", spacing=(self.scanner.interval_mm, *grid.spacing[1:]),
            origin=(x, y, z + middle * grid.spacing[0]), direction=labels.direction, names=kept,
        )  # fmt: skip

    def _labelled(self, grid: Grid) -> Image:
        if self.role == "calibration_rods":
            rods = tuple(self._calibration()[1:])
            return Scene(tissues=rods, bones=()).labels(grid, {each.name: n + 1 for n, each in enumerate(rods)})
        scene = Scene(tissues=(), bones=self.scene().bones)
        femur = ("left" if self.side == "L" else "right") + " femur"
        names = [femur] if self.role == "proximal_femur" else [bone.name for bone in scene.bones]
        return scene.labels(grid, {name: n + 1 for n, name in enumerate(names)})


@lru_cache(maxsize=2)
def _tile(owner: HipOwner, spacing: tuple[float, float, float]) -> NDArray[np.float32]:
    """Return grain that repeats itself."""
    vbmd = owner.mineral.trabecular_mg_cm3
    return density_field(owner.grain(10), _TILE, spacing, vbmd=vbmd, axial=owner.axial)
