"""The hip radiograph: a recipe that makes the AP picture of one hip, or of the pelvis, when it is asked for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trabecula.phantom.hip_view import HipView, Part
from trabecula.phantom.radiograph import Film, develop

if TYPE_CHECKING:
    from trabecula.image import Image
    from trabecula.phantom.anatomy.hip_owner import HipOwner, Side

RECIPE = 1
"""Version of the recipe: raised with every change of the pictures, so that cached features are made again."""

_NOISE = 202


@dataclass(frozen=True, kw_only=True)
class HipXray:
    """An AP radiograph, bone bright, or one of its masks."""

    owner: HipOwner
    side: Side
    film: Film
    rotation_deg: float = 12.0
    """By which the leg is turned inwards."""
    shift_mm: tuple[float, float] = (0.0, 0.0)
    """How far the film is moved to the patient's left and up."""
    both: bool = False
    """Whether the film shows the whole pelvis."""
    part: Part = "picture"

    @property
    def digest(self) -> str:
        """SHA-256 over the recipe, its version and its parameters."""
        return hashlib.sha256(f"hip_xray {RECIPE} {self!r}".encode()).hexdigest()

    @property
    def view(self) -> HipView:
        """Return how the hip is seen."""
        return HipView(
            owner=self.owner, side=self.side, rows=self.film.rows, columns=self.film.columns,
            pixel_mm=self.film.xray.pixel_mm, rotation_deg=self.rotation_deg, shift_mm=self.shift_mm, both=self.both,
        )  # fmt: skip

    def load(self) -> Image:
        """Make the picture: anatomy, grain and noise have their own random numbers, none of which bone can move."""
        if self.part != "picture":
            return self.view.mask(self.part)
        noise = np.random.default_rng([self.owner.seed, self.owner.patient, _NOISE, self.both])
        return develop(self.view.material(), self.film, noise, side=self.side)
