"""What makes this baseline itself: acquisition facts under whatever name, and nothing about the patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from trabecula.learn.tabular import labelled
from trabecula.metrics import auc
from trabecula.prediction import Abstain, score

if TYPE_CHECKING:
    from trabecula.case import Case
    from trabecula.system import System


def essence(system: System, cases: Sequence[Case]) -> None:
    """Assert that facts that give the label away are found, and identifiers are not used; raises `AssertionError`.

    The cases' groups and truths are replaced by made ones.
    """
    target, rng = system.headline.id, np.random.default_rng(0)
    made = []
    for index in range(300):
        site, width = rng.integers(3), rng.integers(800, 1200)
        groups = {"never heard of": f"site {site}", "width": str(width), "name": f"patient {index}"}
        ill = site == 1 or width > 1100
        made.append(replace(
            cases[0], id=str(index), patient=str(index), table={}, groups=groups, truth={target: int(ill)}
        ))  # fmt: skip
    model, test = system.fit(made[:200]), made[200:]
    grades = labelled(test, system.headline)[1]

    def found(asked: Sequence[Case]) -> float:
        return float(auc(grades, [score(answer[target]) for answer in model.predict(asked)]))

    if not found(test) > 0.95:
        raise AssertionError(f"a text and a number that give the label away are found; AUC {found(test):.2f}")
    mixed = [replace(case, groups=test[d].groups) for case, d in zip(test, rng.permutation(len(test)), strict=True)]
    if not abs(found(mixed) - 0.5) < 0.2:
        raise AssertionError("with the facts dealt anew among cases nothing is left")
    renamed = [replace(case, groups={**case.groups, "name": "patient 7"}) for case in test]
    if model.predict(renamed) != model.predict(test):
        raise AssertionError("a name of its own in every case is not used")
    if not isinstance(model.predict([replace(test[0], groups={})])[0][target], Abstain):
        raise AssertionError("without any fact there is no answer")
