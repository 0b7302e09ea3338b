"""The trunk of one patient: spine, solved bone and soft tissues, drawn from the seed and the patient's number."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from trabecula.phantom.anatomy.lumbar_bone import SpineBone, solved_bone, spine_bones
from trabecula.phantom.anatomy.spine import Spine, Traits, draw_spine
from trabecula.phantom.anatomy.torso import Torso, draw_torso
from trabecula.phantom.anatomy.vertebra import LEVELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trabecula.phantom.anatomy.scene import Bone
    from trabecula.phantom.people import Deformity, Person, Skeleton

_SPINE, _TORSO = 100, 101  # streams of random numbers of their own: bone moves neither


@dataclass(frozen=True, kw_only=True)
class Trunk:
    """Whose trunk it is; two of the same patient and seed differ in what these fields say and in nothing else."""

    patient: int
    seed: int
    traits: Traits
    skeleton: Skeleton
    deformities: tuple[Deformity, ...] = ()

    @classmethod
    def of(cls, person: Person, patient: int, seed: int) -> Trunk:
        """Return the trunk of a person who was drawn."""
        table = person.table
        traits = Traits(
            age_years=float(table["age_years"]), sex="male" if table["sex"] == "male" else "female",
            height_cm=float(table["height_cm"]), bmi_kg_m2=float(table["bmi_kg_m2"]),
            waist_cm=float(table["waist_cm"]) if "waist_cm" in table else None,
        )  # fmt: skip
        return cls(patient=patient, seed=seed, traits=traits, skeleton=person.skeleton, deformities=person.deformities)

    @property
    def spine(self) -> Spine:
        """Return the vertebrae and where they lie."""
        return _spine(self.patient, self.seed, self.traits, self.deformities)

    @property
    def bone(self) -> SpineBone:
        """Return walls and densities, solved for the areal BMD of L1-L4.

        Raises `ValueError` where no plausible cortex holds it.
        """
        return _bone(self)

    @property
    def torso(self) -> Torso:
        """Return the soft tissues."""
        return _torso(self)

    def bones(self, levels: Sequence[str] = LEVELS, *, sacrum: bool = True) -> list[Bone]:
        """Return the bones of some levels of the spine; see `lumbar_bone.spine_bones`."""
        return spine_bones(self.spine, self.bone, levels, sacrum=sacrum)


@lru_cache(maxsize=4)
def _spine(patient: int, seed: int, traits: Traits, deformities: tuple[Deformity, ...]) -> Spine:
    return draw_spine(traits, np.random.default_rng([seed, patient, _SPINE]), deformities=deformities)


@lru_cache(maxsize=4)
def _bone(trunk: Trunk) -> SpineBone:
    return solved_bone(trunk.spine, trunk.skeleton)


@lru_cache(maxsize=4)
def _torso(trunk: Trunk) -> Torso:
    return draw_torso(
        trunk.traits, trunk.spine, np.random.default_rng([trunk.seed, trunk.patient, _TORSO]),
        fat_share=trunk.skeleton.fat_mass_share, psoas_cm2=trunk.skeleton.psoas_cm2,
    )  # fmt: skip
