"""A frontal view of hips: columns of material for a film or a densitometer, and exact masks in its plane.

Femora are summed on the grid of the picture, the pelvis and soft tissue on a coarser one, as they lie further from
what is asked. Rays are parallel. Rows run from the head down, columns to the patient's left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.ndimage import gaussian_filter1d, map_coordinates

from trabecula.image import Image
from trabecula.phantom.anatomy.femur import compressive_share, tensile_share
from trabecula.phantom.anatomy.flesh import flesh_tissues, joint
from trabecula.phantom.anatomy.hip import femora, femur_pose, pelvis_of
from trabecula.phantom.anatomy.hip_regions import REGIONS, region_of
from trabecula.phantom.anatomy.scene import Grid, Scene
from trabecula.phantom.grain import projected_field
from trabecula.phantom.material import BONE_MATRIX_CM3_PER_G, get_material
from trabecula.phantom.projection import wide_blur

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from trabecula.phantom.anatomy.femur_bone import Pose
    from trabecula.phantom.anatomy.hip_owner import HipOwner, Side
    from trabecula.phantom.anatomy.scene import Bone

    Floats = NDArray[np.float64]

Part = Literal["picture", "hip_regions", "proximal_femur", "bone"]

_COARSE_MM = 1.4
_FRONT_MM, _BACK_MM = -75.0, 125.0  # along the ray
_FIELD_MM, _SQUARE = 260.0, (256, 256)  # of the grain of femur, in mm, and pelvis, in pixels
_PELVIS = ("left hip bone", "right hip bone", "sacrum")
_THICK_MM = 24.0  # of trabecular bone behind which the grain of a projection is drawn
_EVEN_MM = 2.5  # beyond this SD grain moves no mineral, so that every region keeps its own
_ALIGNED, _CELL_MM, _RUN_MM = 4.0, 2.2, 1.6  # struts run on here: SD beyond vertebrae, cells, SD along; ours
_TURNS_DEG = (14.0, -46.0)  # of the compressive and the tensile group from the axis of the body, in a left femur
_MEDIAL_MM, _BELOW_MM = 14.0, 30.0  # from the centre of the head to that of the view, to the side and down


@dataclass(frozen=True, kw_only=True)
class HipView:
    """How a hip is seen: which side, how far the leg is turned inwards, and the pixels of the picture."""

    owner: HipOwner
    side: Side
    rows: int
    columns: int
    pixel_mm: float
    rotation_deg: float
    straight: bool = False
    """Whether the shaft lies along the picture, as DXA wants it."""
    shift_mm: tuple[float, float] = (0.0, 0.0)
    """How far the picture is moved to the patient's left and up."""
    both: bool = False
    """Whether the picture shows the whole pelvis with both hips."""
    deep: float = 2.4
    """How many times longer along the ray than across voxels are; longer ones are quicker and less even."""

    @property
    def pose(self) -> Pose:
        """How the left femur lies; the right one lies as in a mirror."""
        return femur_pose(self.owner.hip, rotation_deg=self.rotation_deg, straight=self.straight)

    def plane(self) -> tuple[Floats, Floats]:
        """Return the places x `[column]` and z `[row]` in mm of the pixels, z falling, as a left hip has them."""
        hip = self.owner.hip
        across = 0.0 if self.both else hip.pelvis.half_mm + _MEDIAL_MM
        up = 22.0 if self.both else -_BELOW_MM
        sign = -1.0 if self.side == "R" else 1.0
        x = across + sign * self.shift_mm[0] + (np.arange(self.columns) - (self.columns - 1) / 2) * self.pixel_mm
        z = up + self.shift_mm[1] - (np.arange(self.rows) - (self.rows - 1) / 2) * self.pixel_mm
        return x.astype(np.float64), z.astype(np.float64)

    def grid(self) -> Grid:
        """Return voxels whose columns along the ray are the pixels of the picture of a left hip."""
        x, z = self.plane()
        deep = self.deep * self.pixel_mm
        layers = int((_BACK_MM - _FRONT_MM) / deep)
        spacing = (self.pixel_mm, deep, self.pixel_mm)
        return Grid(
            shape=(self.rows, layers, self.columns), spacing=spacing, origin=(float(x[0]), _FRONT_MM, float(z[-1]))
        )

    def material(self) -> dict[str, Floats]:
        """Return columns in g/cm2 by material, `[row, column]`."""
        total, bone = self._about(), self.femur()
        volume = BONE_MATRIX_CM3_PER_G * bone["bone_matrix"]
        for name in ("red_marrow", "yellow_marrow"):
            volume = volume + bone[name] / get_material(name).density
        for name in ("bone_matrix", "red_marrow", "yellow_marrow"):
            total[name] = total[name] + bone[name]
        total["muscle"] = np.maximum(total["muscle"] - get_material("muscle").density * volume, 0)
        return {name: self._as_seen(values) for name, values in total.items()}

    def mask(self, part: Part) -> Image:
        """Return a label map of the picture: the femur's DXA regions, the femur, or all bone.

        Raises `ValueError` for a view of both hips, or a part that has no mask.
        """
        if self.both:
            raise ValueError("masks are of one hip: ask for them in a view of one side")
        grid, femur = self.grid(), self._bones()
        inside = _met(femur, grid)
        if part == "proximal_femur":
            return self._labelled(inside.astype(np.uint8), {1: "femur"})
        if part == "bone":
            inside |= _met(pelvis_of(self.owner.hip, self.owner.mineral), grid)
            return self._labelled(inside.astype(np.uint8), {1: "bone"})
        if part != "hip_regions":
            raise ValueError(f"a mask is hip_regions, proximal_femur or bone; got {part!r}")
        return self._labelled(region_of(self.owner.hip.femur, *self._local()) * inside, REGIONS)

    def _bones(self) -> list[Bone]:
        return femora(self.owner.hip, self.owner.mineral, left=self.pose, right=None)

    def _local(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return where the ray of each pixel `[row, column]` crosses the plane of the neck, in the femur's frame."""
        x, z = self.plane()
        pose, head = self.pose, self.owner.hip.femur.head
        turn = np.asarray(pose.turn, dtype=np.float64)
        dx, dz = x[None, :] - pose.head[0], z[:, None] - pose.head[2]
        dy = -(turn[0, 1] * dx + turn[2, 1] * dz) / turn[1, 1]
        local_x, local_z = (turn[0, n] * dx + turn[1, n] * dy + turn[2, n] * dz + head[n] for n in (0, 2))
        return local_x.astype(np.float32), local_z.astype(np.float32)

    def femur(self) -> dict[str, Floats]:
        """Return the columns of a left femur alone, or of both, `[row, column]`."""
        grid = self.grid()
        local = self._local()

        def texture(_: Bone, window: Grid) -> Floats:
            first = [round((window.origin[axis] - grid.origin[axis]) / self.pixel_mm) for axis in (2, 0)]
            rows, columns = (slice(at, at + n) for at, n in zip(first, window.shape[::2], strict=True))
            x, z = (places[::-1][rows, columns] for places in local)
            return femur_grain(self.owner, x, z, self.pixel_mm)

        scene = Scene(tissues=(), bones=tuple(self._bones()), surroundings={})
        found = scene.columns(grid, "ap", texture=texture)
        return {name: values + values[:, ::-1] for name, values in found.items()} if self.both else found

    def _about(self) -> dict[str, Floats]:
        """Return the columns of pelvis and soft tissue."""
        owner, hip = self.owner, self.owner.hip
        x, z = self.plane()
        low, high = (float(x[0]) - 2, _FRONT_MM, float(z[-1]) - 2), (float(x[-1]) + 2, _BACK_MM, float(z[0]) + 2)
        mm = max(_COARSE_MM, self.pixel_mm)
        grid = Grid.around(low, high, (mm, 2.2 * mm, mm))

        def texture(bone: Bone, window: Grid) -> Floats:
            which = _PELVIS.index(bone.name)
            field = projected_field(
                owner.grain(1 + which), _SQUARE, mm, vbmd=owner.mineral.trabecular_mg_cm3, depth_mm=_THICK_MM
            )
            k, i = (np.arange(n) % side for n, side in zip(window.shape[::2], _SQUARE, strict=True))
            return np.asarray(field[np.ix_(k, i)], dtype=np.float64)

        tissues = (*flesh_tissues(hip.flesh), joint(hip.pelvis.half_mm, hip.pelvis.socket_mm))
        scene = Scene(tissues=tissues, bones=tuple(pelvis_of(hip, owner.mineral)))
        coarse = scene.columns(grid, "ap", texture=texture)
        top = grid.origin[2] + (grid.shape[0] - 1) * mm
        where = np.meshgrid((top - z) / mm, (x - grid.origin[0]) / mm, indexing="ij")
        return {name: map_coordinates(values, where, order=1, mode="nearest") for name, values in coarse.items()}

    def _as_seen(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return a picture of a left hip as one of the side that is asked for."""
        return values[:, ::-1] if self.side == "R" else values

    def _labelled(self, labels: NDArray[np.uint8], names: Mapping[int, str]) -> Image:
        kept = {value: name for value, name in names.items() if (labels == value).any()}
        spacing = (1.0, self.pixel_mm, self.pixel_mm)
        return Image(voxels=self._as_seen(labels)[None], unit="label", spacing=spacing, space="detector", names=kept)


def femur_grain(owner: HipOwner, x: NDArray[np.float32], z: NDArray[np.float32], pixel_mm: float) -> Floats:
    """Return projected trabecular density over its mean at places in the plane of the neck, in a femur's own frame.

    Struts run along the compressive group and along the tensile one where these are, and along the shaft elsewhere.
    """
    shape = owner.hip.femur
    shares = [compressive_share(shape, x, z), 0.8 * tensile_share(shape, x, z)]
    shares.append(np.sqrt(np.maximum(1 - shares[0] ** 2 - shares[1] ** 2, 0.25)))
    whole = np.sqrt(sum(share**2 for share in shares))
    side = int(_FIELD_MM / pixel_mm)
    total = np.ones(x.shape)
    for number, (share, turn) in enumerate(zip(shares, (*_TURNS_DEG, 0.0), strict=True)):
        lines = _lines(owner, number, side, pixel_mm)
        c, s = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
        along, across = (c * z - s * x) / pixel_mm, (c * x + s * z) / pixel_mm
        where = (along + side / 2, across + side / 2)
        total += share / whole * map_coordinates(lines, where, order=1, mode="grid-wrap")
    return total


def _lines(owner: HipOwner, number: int, side: int, pixel_mm: float) -> Floats:
    """Return what differs from the mean along struts that run down the field, `[side, side]`."""
    field = projected_field(
        owner.grain(0, number), (side, side), pixel_mm, vbmd=owner.mineral.trabecular_mg_cm3, depth_mm=_THICK_MM,
        axial=owner.axial + _ALIGNED, cell_mm=_CELL_MM,
    ).astype(np.float64)  # fmt: skip
    even = field - wide_blur(field, _EVEN_MM / pixel_mm)
    lines = np.asarray(gaussian_filter1d(even, _RUN_MM / pixel_mm, axis=0, mode="wrap"), dtype=np.float64)
    return np.asarray(lines * (field.std() / lines.std()), dtype=np.float64)


def _met(bones: Sequence[Bone], grid: Grid) -> NDArray[np.bool_]:
    """Return the pixels `[row, column]`, from the head down, whose middle ray meets a bone."""
    met = np.zeros((grid.shape[0], grid.shape[2]), dtype=bool)
    for bone in bones:
        if (window := grid.window(bone.solid.low, bone.solid.high)) is not None:
            (k, _, i), inner = window
            met[k, i] |= np.broadcast_to(bone.solid.distance(*inner.axes()) < 0, inner.shape).any(axis=1)
    return met[::-1]
