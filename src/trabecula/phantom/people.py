"""People: one patient with everything that is true of them, drawn from the seed and the patient's number alone.

Drawing is vectorised: the first question about a patient draws the block of 1,024 around them, which costs some
20 ms and changes nothing, because a patient's numbers do not depend on who else is drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np

from trabecula.case import Event
from trabecula.phantom.chance import Chance
from trabecula.phantom.fracture import follow_up
from trabecula.phantom.health import health_columns
from trabecula.phantom.population import FEMALE, SITES, draw
from trabecula.phantom.skeleton import skeleton_columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trabecula.case import TableValue

BLOCK = 1024


@dataclass(frozen=True, kw_only=True)
class Skeleton:
    """What is true of bone and body and stands in no table."""

    femoral_neck_g_cm2: float
    total_hip_g_cm2: float
    lumbar_g_cm2: float
    """Areal BMD of L1-L4; mineral is hydroxyapatite everywhere."""
    lumbar_vbmd_mg_cm3: float
    """Trabecular density of L1-L4."""
    hip_vbmd_mg_cm3: float
    """Trabecular density of femoral head and neck."""
    marrow_fat: float
    """Share of the volume of lumbar marrow that is yellow, 0 to 1."""
    hip_marrow_fat: float
    trabecular: float
    """Peripheral trabecular density (knee, jaw) in young SD; follows areal BMD and microarchitecture."""
    cortical: float
    """Peripheral cortical thickness (knee, jaw) in young SD; follows areal BMD."""
    wall: float
    """Cortical wall beyond what areal BMD needs, in SD about 0."""
    axial: float
    """How far trabeculae run along the axis of load, in SD about the usual."""
    strength: float
    """Latent strength in SD; higher is stronger."""
    fat_mass_share: float
    """Of body mass, 0 to 1."""
    psoas_cm2: float
    """Area of both muscles at L3."""


@dataclass(frozen=True, kw_only=True)
class Deformity:
    """A vertebral body that has lost height."""

    level: str
    """`T4` to `L5`."""
    shape: Literal["wedge", "biconcave", "crush"]
    loss: float
    """Height that is lost, 0 to 1; `reference.genant_grade` gives the grade."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Person:
    """A patient whose bone is known."""

    table: Mapping[str, TableValue]
    """Every variable that is drawn, those that define a target included."""
    who_class: int | None
    """0 normal, 1 osteopenia, 2 osteoporosis; none where the classes are not defined."""
    weight: float
    """How many people of the population one stands for."""
    skeleton: Skeleton
    outcomes: Mapping[str, Event]
    """By target: `time_to_hip_fracture`, `time_to_vertebral_fracture`, `time_to_any_fracture`; 2 is death."""
    deformities: tuple[Deformity, ...]
    """Vertebral deformities at the first visit."""


def person(patient: int, seed: int, *, enriched: bool, bone_shift: float = 0.0) -> Person:
    """Draw one patient; see `population.draw` for the settings.

    Raises `ValueError` for a negative number or seed.
    """
    if patient < 0 or seed < 0:
        raise ValueError(f"patients and seeds count from 0; got patient {patient} and seed {seed}")
    return _block(patient // BLOCK, seed, enriched, float(bone_shift))[patient % BLOCK]


@lru_cache(maxsize=8)
def _block(block: int, seed: int, enriched: bool, bone_shift: float) -> list[Person]:
    chance = Chance(seed, np.arange(block * BLOCK, (block + 1) * BLOCK))
    bodies = draw(chance, enriched=enriched, bone_shift=bone_shift)
    microarchitecture = chance.normal("microarchitecture")
    columns = health_columns(chance, bodies, microarchitecture)
    years, event = follow_up(chance, bodies, columns, microarchitecture)
    t_scores = bodies.t_scores
    for index, site in enumerate(SITES):
        columns[f"bmd_{site}_g_cm2"] = bodies.bmd[:, index]
        columns[f"t_score_{site}"] = t_scores[:, index]
    columns["t_score_lowest"] = t_scores.min(axis=1)
    names, rows = list(columns), zip(*(column.tolist() for column in columns.values()), strict=True)
    skeleton = skeleton_columns(chance, bodies, microarchitecture)
    fields, truths = list(skeleton), zip(*(column.tolist() for column in skeleton.values()), strict=True)
    return [
        Person(
            table=_table(names, row, "female" if sex == FEMALE else "male"),
            who_class=class_ if class_ >= 0 else None,
            weight=weight,
            skeleton=Skeleton(**dict(zip(fields, truth, strict=True))),
            outcomes={f"time_to_{cause}_fracture": Event(when, what) for cause in ("hip", "vertebral", "any")},
            deformities=(),
        )
        for row, truth, sex, class_, when, what, weight in zip(
            rows, truths, bodies.sex.tolist(), bodies.who_class.tolist(), years.tolist(), event.tolist(),
            bodies.weight.tolist(), strict=True,
        )
    ]  # fmt: skip


def _table(names: Sequence[str], row: Sequence[float], sex: str) -> Mapping[str, TableValue]:
    """Return what is known: a man has no menopause."""
    return {name: value for name, value in zip(names, row, strict=True) if not math.isnan(value)} | {"sex": sex}
