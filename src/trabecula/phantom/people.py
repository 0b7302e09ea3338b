"""People: one patient with everything that is true of them, drawn from the seed and the patient's number alone.

Drawing is vectorised: the first question about a patient draws the block of 1,024 around them, which costs some
20 ms and changes nothing, because a patient's numbers do not depend on who else is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from trabecula.case import Event
from trabecula.phantom.chance import Chance
from trabecula.phantom.deformity import LEVELS, SHAPES, Shape, height_losses
from trabecula.phantom.fracture import StrengthOf, follow_up, hazards, latent_strength
from trabecula.phantom.health import health_columns, trabecular_bone_score
from trabecula.phantom.population import SITES, Bodies, draw
from trabecula.phantom.skeleton import quality, skeleton_columns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from trabecula.case import TableValue

    Floats = NDArray[np.float64]

BLOCK = 1024
OUTCOMES = {f"time_to_{cause}_fracture": cause for cause in ("hip", "vertebral", "any")}


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
    shape: Shape
    loss: float
    """Height that is lost, 0 to 1; `reference.genant_grade` gives the grade."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Person:
    """A patient whose bone is known."""

    number: int
    """Who of all people of a seed; their anatomy is drawn by it."""
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


@dataclass(frozen=True, eq=False, kw_only=True)
class Drawn:
    """Many people as columns `[n]`: the same as their `Person`s, for statistics."""

    bodies: Bodies
    table: Mapping[str, Floats]
    """Variables; NaN where a person has none, and without sex."""
    skeleton: Mapping[str, Floats]
    outcomes: Mapping[str, tuple[Floats, NDArray[np.int64]]]
    """Years and events of `hip`, `vertebral` and `any` fracture."""
    height_loss: Floats
    """`[n, level]`, 0 where a vertebra has its shape."""
    shape: NDArray[np.int64]
    """`[n, level]`, places in `deformity.SHAPES`."""


def person(
    patient: int, seed: int, *, enriched: bool, bone_shift: float = 0.0, strength: StrengthOf = "bone"
) -> Person:
    """Draw one patient; see `population.draw` for `enriched`, `fracture` for what `strength` is made of.

    `bone_shift` adds young-adult SDs of bone density after everything else: the same person, past and deformities
    included, with another bone and what comes of it.

    Raises `ValueError` for a negative number or seed and a strength that is made of anything else.
    """
    if patient < 0 or seed < 0:
        raise ValueError(f"patients and seeds count from 0; got patient {patient} and seed {seed}")
    return _block(patient // BLOCK, seed, enriched, float(bone_shift), strength)[patient % BLOCK]


def draw_columns(chance: Chance, *, enriched: bool, bone_shift: float = 0.0, strength: StrengthOf = "bone") -> Drawn:
    """Draw many patients as columns; see `person`."""
    before = draw(chance, enriched=enriched)
    table = health_columns(chance, before)
    loss, shape = height_losses(chance, before, latent_strength(chance, before, of=strength))
    bodies = before.shifted(bone_shift)
    t_scores = bodies.t_scores
    for index, site in enumerate(SITES):
        table[f"bmd_{site}_g_cm2"] = bodies.bmd[:, index]
        table[f"t_score_{site}"] = t_scores[:, index]
    table["t_score_lowest"] = t_scores.min(axis=1)
    table["trabecular_bone_score"] = trabecular_bone_score(chance, bodies, quality(chance))
    skeleton = skeleton_columns(chance, bodies)
    table["body_fat_percent"] = (100 * skeleton["fat_mass_share"]).round(1)
    skeleton["strength"] = latent_strength(chance, bodies, of=strength)
    hazard = hazards(bodies, table, skeleton["strength"], (loss > 0).sum(axis=1), of=strength)
    return Drawn(
        bodies=bodies, table=table, skeleton=skeleton, outcomes=follow_up(chance, bodies, hazard),
        height_loss=loss, shape=shape,
    )  # fmt: skip


@lru_cache(maxsize=8)
def _block(block: int, seed: int, enriched: bool, bone_shift: float, strength: StrengthOf) -> list[Person]:
    chance = Chance(seed, np.arange(block * BLOCK, (block + 1) * BLOCK))
    drawn = draw_columns(chance, enriched=enriched, bone_shift=bone_shift, strength=strength)
    events = zip(*(_events(*drawn.outcomes[cause]) for cause in OUTCOMES.values()), strict=True)
    return [
        Person(
            number=block * BLOCK + place,
            table=table,
            who_class=class_ if class_ >= 0 else None,
            weight=weight,
            skeleton=Skeleton(**truths),
            outcomes=dict(zip(OUTCOMES, events_, strict=True)),
            deformities=deformities,
        )
        for place, (table, class_, weight, truths, events_, deformities) in enumerate(
            zip(
                _tables(drawn), drawn.bodies.who_class.tolist(), drawn.bodies.weight.tolist(), _rows(drawn.skeleton),
                events, _deformities(drawn.height_loss, drawn.shape), strict=True,
            )
        )
    ]  # fmt: skip


def _events(years: Floats, event: NDArray[np.int64]) -> list[Event]:
    return [Event(when, what) for when, what in zip(years.tolist(), event.tolist(), strict=True)]


def _rows(columns: Mapping[str, Floats]) -> list[dict[str, float]]:
    names = list(columns)
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [dict(zip(names, row, strict=True)) for row in rows]


def _tables(drawn: Drawn) -> list[dict[str, TableValue]]:
    """Return what is known: a man has no menopause."""
    gaps = {name: column for name, column in drawn.table.items() if np.isnan(column).any()}
    rows = _rows({name: column for name, column in drawn.table.items() if name not in gaps})
    tables: list[dict[str, TableValue]] = [{**row} for row in rows]
    for table, sex in zip(tables, drawn.bodies.sex.tolist(), strict=True):
        table["sex"] = "male" if sex else "female"
    for name, column in gaps.items():
        for row in np.flatnonzero(~np.isnan(column)).tolist():
            tables[row][name] = float(column[row])
    return tables


def _deformities(loss: Floats, shape: NDArray[np.int64]) -> list[tuple[Deformity, ...]]:
    found: list[tuple[Deformity, ...]] = [()] * len(loss)
    for row, level in np.argwhere(loss > 0).tolist():
        one = Deformity(level=LEVELS[level], shape=SHAPES[shape[row, level]], loss=float(loss[row, level]))
        found[row] = (*found[row], one)
    return found
