"""What makes this system itself: boosted trees on a wide table that read categories, gaps and bone density."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from catboost import CatBoostClassifier

from trabecula.learn.tabular import labelled
from trabecula.metrics import auc
from trabecula.prediction import score

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.case import Case
    from trabecula.system import Model, System

_BMD, _GROUP = "bmd_total_hip_g_cm2", "ethnicity"
_GROUPS = ("asian", "black", "mexican_american", "other", "white")  # every second is at risk: no order of them helps


def essence(system: System, cases: Sequence[Case]) -> None:
    """Assert native categories, the ranking of predictors, and that bone density and a code carry the answer.

    Truths are made: the event is below the median of total-hip BMD, in every second ethnic group only far below it.
    Raises `AssertionError`, and `ValueError` where no case has a total-hip BMD.
    """
    made = _with_signal(cases, system.headline.id)
    middle = 2 * len(made) // 3
    model, test = system.fit(made[:middle]), made[middle:]
    _native(model, names={name for case in made for name in case.table} & set(system.inputs().table))
    grades, rng = labelled(test, system.headline)[1], np.random.default_rng(1)
    whole = _auc(model, test, grades)
    if not whole > 0.8:
        raise AssertionError(f"BMD and group tell events apart; AUC {whole:.2f}")
    for name in (_BMD, _GROUP):
        dealt = [test[place].table[name] for place in rng.permutation(len(test))]
        mixed = [replace(c, table={**c.table, name: value}) for c, value in zip(test, dealt, strict=True)]
        if not _auc(model, mixed, grades) < whole - 0.05:
            raise AssertionError(f"{name} is used: dealing it anew among patients lowers the AUC")
    ranked = [name for name, _ in model.state.facts.get("importance", [])]
    if set(ranked[:2]) != {_BMD, _GROUP}:
        raise AssertionError(f"the ranking is led by the two predictors that carry the signal; got {ranked[:4]}")


def _native(model: Model, names: set[str]) -> None:
    trees = model.state.estimators.get("risk")
    if not isinstance(trees, CatBoostClassifier):
        raise AssertionError(f"the model is CatBoost's, not {type(trees).__name__}")
    if not trees.get_cat_feature_indices() or not trees.tree_count_:
        raise AssertionError("codes go to CatBoost as categories, and there are trees")
    if {name for name, _ in model.state.facts.get("importance", [])} != names:
        raise AssertionError("every column is ranked by its importance")


def _with_signal(cases: Sequence[Case], target: str) -> list[Case]:
    """Draw 600 of the cases, with a BMD of somebody else and a group by chance, so that these two alone tell."""
    rng = np.random.default_rng(0)
    usable = [case for case in cases if {_BMD, "age_years"} <= set(case.table)]
    if not usable:
        raise ValueError(f"bring cases with {_BMD} and age_years")
    densities = np.array([case.number(_BMD) for case in usable])
    median, made = float(np.median(densities)), []
    for number in range(600):
        density, group = float(rng.choice(densities)), str(rng.choice(_GROUPS))
        case = usable[rng.integers(len(usable))]
        table = {**case.table, _BMD: density, _GROUP: group}
        ill = density < median if group in _GROUPS[::2] else density < 0.8 * median
        made.append(replace(case, id=str(number), patient=str(number), table=table, truth={target: int(ill)}))
    return made


def _auc(model: Model, cases: Sequence[Case], grades: NDArray[np.intp]) -> float:
    target = model.system.headline.id
    return float(auc(grades, [score(answer[target]) for answer in model.predict(cases)]))
