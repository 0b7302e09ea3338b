"""The knee radiograph: a recipe that makes the picture of one knee when it is asked for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from trabecula.image import Image
from trabecula.phantom.anatomy.knee import Knee, KneeBone, Leg, draw_knee, knee_scene
from trabecula.phantom.anatomy.rays import frontal_columns, frontal_outline
from trabecula.phantom.anatomy.scene import Grid
from trabecula.phantom.grain import projected_field
from trabecula.phantom.radiograph import Film, develop

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.phantom.anatomy.rays import Texture
    from trabecula.phantom.anatomy.scene import Bone

    Floats = NDArray[np.float64]

RECIPE = 3
"""Version of the recipe: raised with every change of the pictures, so that cached features are made again."""

_ANATOMY, _GRAIN, _NOISE, _VIEW = range(4)
_DEEP = 2.4  # voxels are as many times longer along the ray than across
_FRONT_MM, _BACK_MM = -60.0, 48.0  # of the bones along the ray, in a knee of usual size
_GRAIN_PIXELS = (384, 320)
"""Rows and columns of the grain, of which the film shows a part."""
_GRAIN_MG_CM3 = 10
"""Densities in whose steps the grain is drawn, so that few spectra are worked out."""
_GRAIN_DEPTH_MM, _CELL_MM, _AXIAL = 30.0, 1.8, 3.0  # struts about the knee run along the leg; ours
_OFF_MM = ((0.0, 4.0), (6.0, 9.0))  # middle of the film from that of the joint, medially and up: mean and SD


@dataclass(frozen=True, kw_only=True)
class KneeXray:
    """An AP knee radiograph of one side, bone bright."""

    patient: int
    seed: int
    side: Literal["L", "R"]
    leg: Leg
    bone: KneeBone
    film: Film
    shift_mm: float = 0.0
    """How much higher on the leg the film lies."""

    @property
    def digest(self) -> str:
        """SHA-256 over the recipe, its version and its parameters."""
        return hashlib.sha256(f"knee_xray {RECIPE} {self!r}".encode()).hexdigest()

    def load(self) -> Image:
        """Make the picture; anatomy, grain, view and noise have their own random numbers, which bone cannot move."""
        knee = self.knee()
        grid = self.grid(knee)
        columns = frontal_columns(knee_scene(knee, self.bone), grid, self._texture(grid))
        seen = {name: values if self.side == "R" else values[:, ::-1] for name, values in columns.items()}
        return develop(seen, self.film, self._rng(_NOISE), side=self.side)

    def knee(self) -> Knee:
        """Return the patient's knee, as a right one."""
        return draw_knee(self._rng(_ANATOMY), self.leg)

    def grid(self, knee: Knee) -> Grid:
        """Return voxels whose columns along the ray are the pixels of the picture of a right knee."""
        film, pixel_mm = self.film, self.film.xray.pixel_mm
        drawn = self._rng(_VIEW).standard_normal(2).clip(-2.5, 2.5)
        x, z = (mean + sd * number for (mean, sd), number in zip(_OFF_MM, drawn, strict=True))
        deep = _DEEP * pixel_mm
        front, back = _FRONT_MM * knee.size, _BACK_MM * knee.size
        low = (x - (film.columns - 1) / 2 * pixel_mm, front, z + self.shift_mm - (film.rows - 1) / 2 * pixel_mm)
        layers = int(np.ceil((back - front) / deep))
        return Grid(shape=(film.rows, layers, film.columns), spacing=(pixel_mm, deep, pixel_mm), origin=low)

    def _texture(self, grid: Grid) -> Texture:
        """Return the grain of trabeculae in projection; it lies still in the leg where the film is moved."""
        pixel_mm = grid.spacing[0]
        shape = (max(_GRAIN_PIXELS[0], self.film.rows), max(_GRAIN_PIXELS[1], self.film.columns))
        made = projected_field(
            self._rng(_GRAIN), shape, pixel_mm, vbmd=_GRAIN_MG_CM3 * round(self.bone.trabecular_mg_cm3 / _GRAIN_MG_CM3),
            depth_mm=_GRAIN_DEPTH_MM, axial=_AXIAL, cell_mm=_CELL_MM,
        )  # fmt: skip
        made = np.roll(made, -round(self.shift_mm / pixel_mm), axis=0)

        def texture(bone: Bone, window: Grid) -> Floats:  # noqa: ARG001
            k, i = (round((window.origin[n] - grid.origin[n]) / pixel_mm) for n in (2, 0))
            return np.asarray(made[k : k + window.shape[0], i : i + window.shape[2]], dtype=np.float64)

        return texture

    def _rng(self, stream: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.patient, stream])


@dataclass(frozen=True, kw_only=True)
class KneeMask:
    """Which pixels of a knee radiograph show bone, exact from the anatomy."""

    picture: KneeXray

    @property
    def digest(self) -> str:
        """SHA-256 over the picture's digest."""
        return hashlib.sha256(f"bone {self.picture.digest}".encode()).hexdigest()

    def load(self) -> Image:
        """Make the label map on the picture's grid."""
        knee = self.picture.knee()
        met = frontal_outline(knee_scene(knee, self.picture.bone), self.picture.grid(knee))
        seen = met if self.picture.side == "R" else met[:, ::-1]
        pixel_mm = self.picture.film.xray.pixel_mm
        return Image(
            voxels=seen[None].astype(np.uint8), unit="label", spacing=(1.0, pixel_mm, pixel_mm), space="detector",
            names={1: "bone"},
        )  # fmt: skip
