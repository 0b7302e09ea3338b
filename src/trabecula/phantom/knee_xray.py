"""The knee radiograph: a recipe that makes the picture of one knee when it is asked for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trabecula.image import Image
from trabecula.phantom.film import Film, develop
from trabecula.phantom.knee import Bone, Leg, knee_paths
from trabecula.phantom.texture import trabeculae

if TYPE_CHECKING:
    from numpy.typing import NDArray

RECIPE = 2
"""Version of the recipe: raised with every change of the pictures, so that cached features are made again."""

_ANATOMY, _GRAIN, _NOISE = range(3)


@dataclass(frozen=True, kw_only=True)
class KneeXray:
    """An AP knee radiograph of one side, bone bright, stored as 0 to 255."""

    patient: int
    seed: int
    side: str
    """`L` or `R`."""
    leg: Leg
    bone: Bone
    film: Film

    @property
    def digest(self) -> str:
        """SHA-256 over the recipe, its version and its parameters."""
        return hashlib.sha256(f"knee_xray {RECIPE} {self!r}".encode()).hexdigest()

    def load(self) -> Image:
        """Make the picture: anatomy, grain and noise have their own random numbers, none of which bone can move."""
        film = self.film
        anatomy, grain, noise = (
            np.random.default_rng([self.seed, self.patient, stream]) for stream in (_ANATOMY, _GRAIN, _NOISE)
        )
        x, y = _places(film.columns, film.spacing_mm), _places(film.rows, film.spacing_mm)
        local = trabeculae(grain, (film.rows, film.columns), film.spacing_mm, self.bone.trabecular)
        paths = knee_paths(self.leg, self.bone, anatomy, x, y, local)
        picture = develop(paths if self.side == "R" else paths.mirrored(), film, noise, side=self.side)
        return Image(
            voxels=picture[None], unit="stored", spacing=(1.0, film.spacing_mm, film.spacing_mm), space="detector"
        )


def _places(count: int, spacing_mm: float) -> NDArray[np.float64]:
    """Return the places of pixels in mm about the middle."""
    return np.asarray(np.arange(count) - (count - 1) / 2, dtype=np.float64) * spacing_mm
