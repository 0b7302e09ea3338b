"""Whose hips they are: anatomy, mineral and grain of one patient, drawn from the seed and the patient's number."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np

from trabecula.phantom.anatomy.femur import FemurShape, draw_femur
from trabecula.phantom.anatomy.femur_bone import HipMineral
from trabecula.phantom.anatomy.hip import Hip, draw_hip

if TYPE_CHECKING:
    from numpy.random import Generator

    from trabecula.phantom.people import Person

_ANATOMY, _GRAIN = 200, 201  # streams of random numbers of their own: bone moves neither

Side = Literal["L", "R"]


@dataclass(frozen=True, kw_only=True)
class HipOwner:
    """Whose hips they are; two of the same patient and seed differ in what these fields say and in nothing else."""

    patient: int
    seed: int
    age: float
    male: bool
    height_cm: float
    bmi: float
    mineral: HipMineral
    axial: float = 0.0
    """How far trabeculae run along the load, in SD about the usual."""

    @property
    def hip(self) -> Hip:
        """Return what about the hips does not depend on bone density."""
        return _hip(self.patient, self.seed, self.age, self.male, self.height_cm, self.bmi)

    def grain(self, *which: int) -> Generator:
        """Return the random numbers of the grain of one bone."""
        return np.random.default_rng([self.seed, self.patient, _GRAIN, *which])


def hip_owner(drawn: Person, seed: int, *, mineral: HipMineral | None = None) -> HipOwner:
    """Return the owner of a person's hips; `mineral` replaces what the skeleton holds, as at another visit."""
    table = drawn.table
    return HipOwner(
        patient=drawn.number,
        seed=seed,
        age=float(table["age_years"]),
        male=table["sex"] == "male",
        height_cm=float(table["height_cm"]),
        bmi=float(table["bmi_kg_m2"]),
        mineral=mineral or hip_mineral(drawn),
        axial=drawn.skeleton.axial,
    )


def hip_mineral(drawn: Person, *, change: float = 0.0) -> HipMineral:
    """Return the mineral of a person's hip; `change` is the share by which all of it grew since it was drawn."""
    truth, grown = drawn.skeleton, 1 + change
    return HipMineral(
        neck_g_cm2=round(truth.femoral_neck_g_cm2 * grown, 6),
        total_g_cm2=round(truth.total_hip_g_cm2 * grown, 6),
        trabecular_mg_cm3=round(truth.hip_vbmd_mg_cm3 * grown, 4),
        fat=truth.hip_marrow_fat,
        wall=truth.wall,
    )


def femur_of(patient: int, seed: int, *, male: bool, height_cm: float) -> FemurShape:
    """Return the shape of somebody's femur, which their hips are drawn about."""
    return draw_femur(_anatomy(patient, seed), male=male, height_cm=height_cm)


@lru_cache(maxsize=4)
def _hip(patient: int, seed: int, age: float, male: bool, height_cm: float, bmi: float) -> Hip:
    return draw_hip(_anatomy(patient, seed), male=male, age=age, height_cm=height_cm, bmi=bmi)


def _anatomy(patient: int, seed: int) -> Generator:
    return np.random.default_rng([seed, patient, _ANATOMY])
