"""What makes this baseline itself: age, sex and BMI, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from trabecula.learn.tabular import labelled
from trabecula.metrics import auc
from trabecula.prediction import Abstain, score

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.case import Case, TableValue
    from trabecula.prediction import Answer
    from trabecula.system import System


def essence(system: System, cases: Sequence[Case]) -> None:
    """Assert that age, sex and BMI together tell classes made of them apart; raises `AssertionError`.

    The cases' own tables and truths are replaced: women above 60 and thin men are made to have the disease, so that
    each of the three is needed.
    """
    target, rng = system.headline.id, np.random.default_rng(0)
    made = []
    for index in range(600):
        age, sex, bmi = rng.uniform(40, 85), ("female", "male")[index % 2], rng.uniform(18, 40)
        ill = age > 60 if sex == "female" else bmi < 25
        table: dict[str, TableValue] = {"age_years": age, "sex": sex, "bmi_kg_m2": bmi}
        made.append(replace(
            cases[0], id=str(index), patient=str(index), table=table, groups={}, truth={target: int(ill)}
        ))  # fmt: skip
    if set(system.inputs().table) != {"age_years", "sex", "bmi_kg_m2"} or system.inputs().groups:
        raise AssertionError("it asks for age, sex and BMI only")
    model, test = system.fit(made[:400]), made[400:]
    grades = labelled(test, system.headline)[1]
    whole = _auc(model.predict(test), target, grades)
    if not whole > 0.9:
        raise AssertionError(f"age, sex and BMI tell classes made of them apart; AUC {whole:.2f}")
    for name in ("age_years", "sex", "bmi_kg_m2"):
        dealt = rng.permutation(len(test))
        mixed = [replace(c, table={**c.table, name: test[d].table[name]}) for c, d in zip(test, dealt, strict=True)]
        if not _auc(model.predict(mixed), target, grades) < whole - 0.05:
            raise AssertionError(f"{name} is used: dealing it anew among patients lowers the AUC")
    lone = replace(test[0], table={"age_years": 70.0})
    if isinstance(model.predict([lone])[0][target], Abstain):
        raise AssertionError("age alone is enough for an answer")


def _auc(answers: Sequence[Answer], target: str, grades: NDArray[np.intp]) -> float:
    return float(auc(grades, [score(answer[target]) for answer in answers]))
