"""What makes this baseline itself: the index and the cut, and the published direction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from trabecula.prediction import score

if TYPE_CHECKING:
    from trabecula.case import Case, TableValue
    from trabecula.system import System


def essence(system: System, cases: Sequence[Case]) -> None:
    """Assert that answers follow the index and the cut, by made patients; raises `AssertionError`."""
    target, rng = system.headline.id, np.random.default_rng(0)

    def patient(weight: float, age: float, sex: str, ill: bool = False) -> Case:
        table: dict[str, TableValue] = {"weight_kg": weight, "age_years": age, "sex": sex}
        return replace(cases[0], table=table, groups={}, truth={target: int(ill)})

    made = []
    for index in range(300):
        weight, age, sex = rng.uniform(40, 110), rng.uniform(50, 90), ("female", "male")[index % 2]
        ill = 0.2 * (weight - age) + rng.normal() < (2 if sex == "female" else 4)
        made.append(replace(patient(weight, age, sex, ill), id=str(index), patient=str(index)))
    model = system.fit(made)

    def asked(weight: float, age: float, sex: str) -> float:
        return score(model.predict([patient(weight, age, sex)])[0][target])

    if abs(asked(60, 60, "female") - asked(80, 80, "female")) > 1e-9:
        raise AssertionError("two women with one index have one answer")
    if abs(asked(60, 60, "female") - asked(70, 60, "male")) > 1e-9:
        raise AssertionError("an index of 0 in a woman is as far below the cut as one of 2 in a man")
    if not asked(50, 80, "female") > asked(70, 60, "female") > asked(100, 55, "female"):
        raise AssertionError("light and old is at risk, heavy and young is not")
