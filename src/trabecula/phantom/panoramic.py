"""The panoramic radiograph: a recipe that makes the picture of both jaws when it is asked for.

A panoramic machine turns about the head and sharpens a curved layer about the dental arch: here the arch is
straightened, and what lies outside the layer is smooth (**approximate**).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from trabecula.image import Image
from trabecula.phantom.anatomy.alveolar import alveolar_mesh
from trabecula.phantom.anatomy.face import Face, draw_face, maxilla_paths, surroundings
from trabecula.phantom.anatomy.jaw_paths import CORTICAL_MG_CM3
from trabecula.phantom.anatomy.mandible import Jaw, JawBone, draw_jaw, mandible_paths
from trabecula.phantom.material import MINERAL_SHARE, get_material
from trabecula.phantom.radiograph import Film, develop

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

RECIPE = 1
"""Version of the recipe: raised with every change of the pictures, so that cached features are made again."""

_ANATOMY, _MESH, _NOISE, _VIEW, _FACE = range(5)
_MAGNIFICATION = 1.2
_MIDDLE_MM = 3.0
"""Height above the bite in front of the middle of the film."""


@dataclass(frozen=True, kw_only=True)
class Panoramic:
    """A panoramic radiograph, bone bright; the patient's right is left in the picture."""

    patient: int
    seed: int
    age: float
    male: bool
    bmi: float
    bone: JawBone
    film: Film
    shift_mm: float = 0.0
    """How much higher the head stands."""

    @property
    def digest(self) -> str:
        """SHA-256 over the recipe, its version and its parameters."""
        return hashlib.sha256(f"panoramic {RECIPE} {self!r}".encode()).hexdigest()

    def load(self) -> Image:
        """Make the picture; anatomy, mesh, view and noise have their own random numbers, which bone cannot move."""
        x, z = self.places()
        jaw, face = self.anatomy()
        lower, upper = mandible_paths(jaw, self.bone, x, z), maxilla_paths(jaw, face, self.bone, x, z)
        pixel_mm = float(z[1] - z[0])
        mesh = alveolar_mesh(self._rng(_MESH), lower.cortical.shape, pixel_mm, self.bone.trabecular)
        mesh = np.roll(mesh, round(self.shift_mm / pixel_mm), axis=0)
        columns = lower.columns(mesh)
        for name, values in upper.columns(mesh).items():
            columns[name] += values
        around = surroundings(jaw, face, x, z)
        columns["bone_matrix"] += CORTICAL_MG_CM3 * 1e-4 / MINERAL_SHARE * around.cortical
        muscle = np.maximum(around.soft - 0.6 * (lower.solid_mm + upper.solid_mm), 0)
        columns["muscle"] = get_material("muscle").density * muscle / 10
        columns["adipose"] = get_material("adipose").density * around.fat / 10
        return develop({name: values[::-1] for name, values in columns.items()}, self.film, self._rng(_NOISE), side="R")

    def anatomy(self) -> tuple[Jaw, Face]:
        """Return the patient's jaw and face."""
        return _anatomy(self.seed, self.patient, self.age, self.male, self.bmi)

    def places(self) -> tuple[Floats, Floats]:
        """Return the places of pixels in mm of the jaw, x along the columns, z up the rows."""
        drawn = self._rng(_VIEW).standard_normal(3).clip(-2.5, 2.5)
        step = self.film.xray.pixel_mm / _MAGNIFICATION
        middle = _MIDDLE_MM + 2.0 * drawn[1] - self.shift_mm
        return 1.5 * drawn[0] + step * _about(self.film.columns) * (1 + 0.02 * drawn[2]), middle + step * _about(
            self.film.rows
        )

    def _rng(self, stream: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.patient, stream])


@dataclass(frozen=True, kw_only=True)
class PanoramicMask:
    """The mandible without its teeth in a panoramic radiograph, exact from the anatomy."""

    picture: Panoramic

    @property
    def digest(self) -> str:
        """SHA-256 over the picture's digest."""
        return hashlib.sha256(f"bone {self.picture.digest}".encode()).hexdigest()

    def load(self) -> Image:
        """Make the label map on the picture's grid."""
        x, z = self.picture.places()
        paths = mandible_paths(self.picture.anatomy()[0], self.picture.bone, x, z)
        bone = (np.minimum(paths.crest_mm, paths.border_mm) > 0) & (paths.tooth_mm <= 0)
        pixel_mm = self.picture.film.xray.pixel_mm
        return Image(
            voxels=bone[None, ::-1].astype(np.uint8), unit="label", spacing=(1.0, pixel_mm, pixel_mm),
            space="detector", names={1: "bone"},
        )  # fmt: skip


@lru_cache(maxsize=4)
def _anatomy(seed: int, patient: int, age: float, male: bool, bmi: float) -> tuple[Jaw, Face]:
    jaw = draw_jaw(np.random.default_rng([seed, patient, _ANATOMY]), age=age, male=male)
    return jaw, draw_face(np.random.default_rng([seed, patient, _FACE]), bmi=bmi)


def _about(count: int) -> Floats:
    """Return the places of pixels about the middle."""
    return np.asarray(np.arange(count) - (count - 1) / 2, dtype=np.float64)
