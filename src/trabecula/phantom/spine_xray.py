"""The spine radiograph: a recipe that makes an AP lumbar or a lateral thoracolumbar film when it is asked for.

Rays are parallel. The AP film is centred on L3, the lateral one on T4 to L5; both show ribs, and the AP film the
pelvis in simple form.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from trabecula.image import Image
from trabecula.phantom.anatomy.pelvis import iliac_wings
from trabecula.phantom.anatomy.scene import Bone, Grid, Scene
from trabecula.phantom.anatomy.thorax import ribs
from trabecula.phantom.anatomy.vertebra import LEVELS
from trabecula.phantom.radiograph import Film, develop
from trabecula.phantom.spine_grain import film_grain

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.phantom.anatomy.scene import View
    from trabecula.phantom.anatomy.trunk import Trunk

RECIPE = 1
"""Version of the recipe: raised with every change of the pictures, so that cached features are made again."""

_NOISE = 11  # stream of random numbers
_DEEP = 2.4  # voxels are as many times longer along the ray than across
_AP_LEVELS = LEVELS[LEVELS.index("T8") :]
_AP_RIBS = ("T9", "T10", "T11", "T12")
_LATERAL_RIBS = ("T4", "T5", "T6", "T7", "T8", "T9", "T10", "T11", "T12")


@dataclass(frozen=True, kw_only=True)
class SpineXray:
    """A radiograph of the spine, bone bright, or its label map of the vertebral bodies."""

    trunk: Trunk
    view: View
    film: Film
    visit: int = 0
    shift_mm: tuple[float, float] = (0.0, 0.0)
    """How far the film is moved across and up."""
    part: Literal["film", "bones"] = "film"

    @property
    def digest(self) -> str:
        """SHA-256 over the recipe, its version and its parameters."""
        return hashlib.sha256(f"spine_xray {RECIPE} {self!r}".encode()).hexdigest()

    def load(self) -> Image:
        """Make the picture: anatomy, grain and noise have their own random numbers, none of which bone can move."""
        if self.part == "bones":
            return self._labels()
        trunk, film = self.trunk, self.film
        columns = self.scene().columns(self.grid(), self.view, texture=film_grain(trunk, self.view))
        noise = np.random.default_rng([trunk.seed, trunk.patient, _NOISE, self.visit, self.view == "ap"])
        return develop(columns, film, noise, side="R")

    def labels(self) -> SpineXray:
        """Return the recipe of the label map of the vertebral bodies on this film."""
        return replace(self, part="bones")

    def grid(self) -> Grid:
        """Return voxels whose columns along the ray are the film's pixels."""
        spine, pixel = self.trunk.spine, self.film.xray.pixel_mm
        axis = spine.axis()
        low, high = spine.reach("T4", "L5")
        if self.view == "ap":
            z, across, along = 12.0, 0.0, (-130.0, 130.0)
        else:
            z, across, along = (low + high) / 2, float(axis[:, 1].mean()) + 4.0, (-170.0, 170.0)
        across, z = across + self.shift_mm[0], z + self.shift_mm[1]
        deep = _DEEP * pixel
        layers = int((along[1] - along[0]) / deep)
        rows, columns = self.film.rows, self.film.columns
        start = z - (rows - 1) / 2 * pixel
        side, near = across - (columns - 1) / 2 * pixel, along[0] + deep / 2
        if self.view == "ap":
            return Grid(shape=(rows, layers, columns), spacing=(pixel, deep, pixel), origin=(side, near, start))
        return Grid(shape=(rows, columns, layers), spacing=(pixel, pixel, deep), origin=(near, side, start))

    def points(self, level: str) -> NDArray[np.float64]:
        """Return the row and column `[6, 2]`, in pixels, of the six points of a level; see `Vertebra.points`."""
        grid, pixel = self.grid(), self.film.xray.pixel_mm
        x, y, z = self.trunk.spine.points(level).T
        across = (x - grid.origin[0]) if self.view == "ap" else (y - grid.origin[1])
        return np.stack([self.film.rows - 1 - (z - grid.origin[2]) / pixel, across / pixel], axis=-1)

    def scene(self) -> Scene:
        """Return the trunk with the bones that the view shows."""
        trunk = self.trunk
        ap = self.view == "ap"
        bones = trunk.bones(_AP_LEVELS if ap else LEVELS)
        bones += ribs(trunk.spine, trunk.torso.form, trunk.bone, _AP_RIBS if ap else _LATERAL_RIBS)
        if ap:
            bones += iliac_wings(trunk.spine, trunk.bone)
        return Scene(tissues=trunk.torso.tissues, bones=tuple(bones))

    def _labels(self) -> Image:
        """Return the outlines of the vertebral bodies, a level a value; where two overlap, the lower one."""
        grid = self.grid()
        axis = 1 if self.view == "ap" else 2
        pixel = self.film.xray.pixel_mm
        found = np.zeros((self.film.rows, self.film.columns), dtype=np.uint8)
        for value, level in enumerate(LEVELS, start=1):
            body = next(bone for bone in self.trunk.bones((level,), sacrum=False) if bone.name == level)
            found[_outline(body, grid, axis)] = value
        kept = {value: level for value, level in enumerate(LEVELS, start=1) if (found == value).any()}
        return Image(voxels=found[None, ::-1], unit="label", spacing=(1.0, pixel, pixel), space="detector", names=kept)


def _outline(bone: Bone, grid: Grid, axis: int) -> NDArray[np.bool_]:
    """Return the pixels, from the lowest row up, whose middle ray meets a bone."""
    plane = tuple(n for a, n in enumerate(grid.shape) if a != axis)
    met = np.zeros(plane, dtype=bool)
    if (window := grid.window(bone.solid.low, bone.solid.high)) is not None:
        where, inner = window
        inside = np.broadcast_to(bone.solid.distance(*inner.axes()) < 0, inner.shape).any(axis=axis)
        met[tuple(part for a, part in enumerate(where) if a != axis)] = inside
    return met
