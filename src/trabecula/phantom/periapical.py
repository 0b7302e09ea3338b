"""The periapical radiograph: a recipe that makes the picture of lower premolars and molars when it is asked for.

Film behind the teeth, parallel to them: bone, teeth and cheek are straightened along the arch (**approximate**).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import expit

from trabecula.image import Image
from trabecula.phantom.anatomy.alveolar import alveolar_mesh
from trabecula.phantom.anatomy.dentition import bite
from trabecula.phantom.anatomy.mandible import Jaw, JawBone, draw_jaw, mandible_paths
from trabecula.phantom.material import get_material
from trabecula.phantom.radiograph import Film, develop

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.phantom.anatomy.jaw_paths import JawPaths

    Floats = NDArray[np.float64]

RECIPE = 1
"""Version of the recipe: raised with every change of the pictures, so that cached features are made again."""

_ANATOMY, _MESH, _NOISE, _VIEW = range(4)
_MAGNIFICATION = 1.06
_MIDDLE_MM = (37.0, -15.0)
"""Where the middle of the film usually lies along the arch, about the first molar, and below the bite."""
_GUM_MM = 2.2
"""Height of the gum above the crest."""

Mask = Literal["bone", "bones", "trabecular_region"]
NAMES: dict[Mask, dict[int, str]] = {
    "bone": {1: "bone"},
    "bones": {1: "mandible", 2: "teeth"},
    "trabecular_region": {1: "trabecular_region"},
}
"""Values of each mask."""


@dataclass(frozen=True, kw_only=True)
class Periapical:
    """A periapical radiograph of the lower jaw of one side, bone bright; the patient's right is left in the picture."""

    patient: int
    seed: int
    side: Literal["L", "R"]
    age: float
    male: bool
    bmi: float
    bone: JawBone
    film: Film
    shift_mm: float = 0.0
    """How much further back the film lies."""

    @property
    def digest(self) -> str:
        """SHA-256 over the recipe, its version and its parameters."""
        return hashlib.sha256(f"periapical {RECIPE} {self!r}".encode()).hexdigest()

    def load(self) -> Image:
        """Make the picture; anatomy, mesh, view and noise have their own random numbers, which bone cannot move."""
        x, z = self.places()
        paths = mandible_paths(self.jaw(), self.bone, x, z)
        pixel_mm = float(x[1] - x[0])
        mesh = alveolar_mesh(self._rng(_MESH), paths.cortical.shape, pixel_mm, self.bone.trabecular)
        mesh = np.roll(mesh, -round(self._outwards * self.shift_mm / pixel_mm), axis=1)
        columns = paths.columns(mesh) | self._soft(paths)
        return develop({name: values[::-1] for name, values in columns.items()}, self.film, self._rng(_NOISE))

    def jaw(self) -> Jaw:
        """Return the patient's jaw."""
        return _jaw(self.seed, self.patient, self.age, self.male)

    def places(self) -> tuple[Floats, Floats]:
        """Return the places of pixels in mm of the jaw, x along the columns, z up the rows."""
        drawn = self._rng(_VIEW).standard_normal(3).clip(-2.5, 2.5)
        step = self.film.xray.pixel_mm / _MAGNIFICATION
        usual = _MIDDLE_MM[0] + 2.5 * drawn[0]
        across, up = self._outwards * (usual + self.shift_mm), _MIDDLE_MM[1] + float(bite(usual)) + 1.2 * drawn[1]
        steep = 1 + 0.03 * drawn[2]
        return across + step * _about(self.film.columns), up + step * steep * _about(self.film.rows)

    @property
    def _outwards(self) -> int:
        return 1 if self.side == "L" else -1

    def _rng(self, stream: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.patient, stream])

    def _soft(self, paths: JawPaths) -> dict[str, Floats]:
        """Return the columns of gum, cheek and fat in g/cm²: tissue fills the gum's thickness beside the bone."""
        cheek = float(np.clip(9.0 + 1.5 * self._rng(_VIEW).standard_normal(4)[3], 6, 13))
        fat = float(np.clip(3.0 + 0.25 * (self.bmi - 27), 1, 9))
        gum = np.clip(13.5 - paths.solid_mm, 0, 3.0) * expit((paths.crest_mm + _GUM_MM) / 0.35)
        soft = get_material("soft_tissue").density * (cheek + gum) / 10
        return {"soft_tissue": soft, "adipose": np.full_like(soft, get_material("adipose").density * fat / 10)}


@dataclass(frozen=True, kw_only=True)
class PeriapicalMask:
    """A mask of a periapical radiograph, exact from the anatomy.

    `bone`: the mandible without teeth. `bones`: mandible and teeth. `trabecular_region`: trabecular bone as an observer
    would outline it, away from the crest, roots, canal and inferior cortex.
    """

    picture: Periapical
    what: Mask

    @property
    def digest(self) -> str:
        """SHA-256 over the picture's digest and the mask's name."""
        return hashlib.sha256(f"{self.what} {self.picture.digest}".encode()).hexdigest()

    def load(self) -> Image:
        """Make the label map on the picture's grid."""
        x, z = self.picture.places()
        paths = mandible_paths(self.picture.jaw(), self.picture.bone, x, z)
        tooth = paths.tooth_mm > 0
        bone = (np.minimum(paths.crest_mm, paths.border_mm) > 0) & ~tooth
        found = bone.astype(np.uint8)
        if self.what == "bones":
            found[tooth] = 2
        elif self.what == "trabecular_region":
            deep = (paths.crest_mm > 2.0) & (paths.border_mm > self.picture.bone.cortex_mm + 1.5)
            found = (deep & (paths.tooth_mm < -1.0) & (paths.canal_mm > 2.2)).astype(np.uint8)
        pixel_mm = self.picture.film.xray.pixel_mm
        return Image(
            voxels=found[None, ::-1], unit="label", spacing=(1.0, pixel_mm, pixel_mm), space="detector",
            names=NAMES[self.what],
        )  # fmt: skip


@lru_cache(maxsize=4)
def _jaw(seed: int, patient: int, age: float, male: bool) -> Jaw:
    return draw_jaw(np.random.default_rng([seed, patient, _ANATOMY]), age=age, male=male)


def _about(count: int) -> Floats:
    """Return the places of pixels about the middle."""
    return np.asarray(np.arange(count) - (count - 1) / 2, dtype=np.float64)
