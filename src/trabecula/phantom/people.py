"""People: one patient with everything that is true of them, drawn from the seed and the patient's number alone.

Drawing is vectorised: the first question about a patient draws the block of 1,024 around them, which costs some
20 ms and changes nothing, because a patient's numbers do not depend on who else is drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from trabecula.case import Event
from trabecula.phantom.chance import Chance
from trabecula.phantom.fracture import follow_up
from trabecula.phantom.health import health_columns
from trabecula.phantom.population import FEMALE, SITES, draw

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trabecula.case import TableValue

BLOCK = 1024

# What the knee has of its own, in young SD, beyond the mean T-score of the three sites; ours, chosen for difficulty.
_OWN_TRABECULAR = 1.00
_OWN_CORTICAL = 1.00


@dataclass(frozen=True, eq=False, kw_only=True)
class Person:
    """A patient whose bone is known."""

    table: Mapping[str, TableValue]
    """Every variable that is drawn, those that define a target included."""
    who_class: int | None
    """0 normal, 1 osteopenia, 2 osteoporosis; none where the classes are not defined."""
    outcome: Event
    """Fragility fracture (1) or death (2) in follow-up."""
    weight: float
    """How many people of the population one stands for."""
    trabecular: float
    """Trabecular density about the knee in young SD; follows areal BMD and microarchitecture."""
    cortical: float
    """Cortical thickness about the knee in young SD; follows areal BMD."""


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
    own = 0.6 * microarchitecture + 0.8 * chance.normal("knee_trabecular")
    trabecular = t_scores.mean(axis=1) + _OWN_TRABECULAR * own
    cortical = t_scores.mean(axis=1) + _OWN_CORTICAL * chance.normal("knee_cortical")
    return [
        Person(
            table=_table(names, row, "female" if sex == FEMALE else "male"),
            who_class=class_ if class_ >= 0 else None,
            outcome=Event(when, what),
            weight=weight,
            trabecular=dense,
            cortical=thick,
        )
        for row, sex, class_, when, what, weight, dense, thick in zip(
            rows, bodies.sex.tolist(), bodies.who_class.tolist(), years.tolist(), event.tolist(),
            bodies.weight.tolist(), trabecular.tolist(), cortical.tolist(), strict=True,
        )
    ]  # fmt: skip


def _table(names: Sequence[str], row: Sequence[float], sex: str) -> Mapping[str, TableValue]:
    """Return what is known: a man has no menopause."""
    return {name: value for name, value in zip(names, row, strict=True) if not math.isnan(value)} | {"sex": sex}
