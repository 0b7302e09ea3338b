"""Vertebrae of a made patient as cases of their own."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from trabecula.case import Case, Images
from trabecula.image import Image, Source
from trabecula.phantom.anatomy.lumbar_bone import REGION

_BY_LEVEL = ("vertebral_bodies", "trabecular_region")
_OF_ALL_LEVELS = ("qct_", "osteoporosis_", "low_bone_mass_", "who_class_", "t_score_lowest", "bmd_lumbar")


@dataclass(frozen=True, kw_only=True)
class OneLevel:
    """One vertebra of a label map with names of levels."""

    whole: Source
    level: str

    @property
    def digest(self) -> str:
        """SHA-256 over the label map and the level."""
        return hashlib.sha256(f"one level {self.level} of {self.whole.digest}".encode()).hexdigest()

    def load(self) -> Image:
        """Return the label map with this vertebra alone."""
        mask = self.whole.load()
        names = {value: name for value, name in mask.names.items() if name == self.level}
        kept = np.where(np.isin(mask.voxels, list(names)), mask.voxels, 0)
        return replace(mask, voxels=kept.astype(mask.voxels.dtype), names=names)


def vertebrae(case: Case) -> tuple[Case, ...]:
    """Return L1 to L4 of a patient as parts, each with masks of its own.

    Truths that are the same at every level, or the patient's, stay; fractures, of which we know the worst, do not.
    """
    truth = {name: known for name, known in case.truth.items() if name.startswith(_OF_ALL_LEVELS)}

    def masks(level: str) -> Images:
        whole = {role: case.masks.source(role) for role in case.masks}
        return Images(whole | {role: OneLevel(whole=whole[role], level=level) for role in _BY_LEVEL})

    return tuple(
        replace(case, id=f"{case.id} {level}", part=level, masks=masks(level), truth=truth) for level in REGION
    )
