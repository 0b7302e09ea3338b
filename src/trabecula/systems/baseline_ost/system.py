"""OST: weight and age against a published cut. Nothing simpler is used to decide who needs a DXA scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trabecula.learn.tabular import labelled, predictions
from trabecula.prediction import Answer
from trabecula.reference import REFERENCES, ost
from trabecula.state import State
from trabecula.system import Evidence, Run, System

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.case import Case


@dataclass(frozen=True, kw_only=True)
class OstIndex(System):
    """Logistic regression on one number: how far the index lies below the cut for the sex."""

    def _fit(self, cases: Sequence[Case], run: Run) -> State:  # noqa: ARG002 nothing is drawn
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 keeps the catalogue light

        known, grades = labelled(cases, self.headline)
        return State(estimators={"recalibration": LogisticRegression().fit(_below_cut(known), grades)})

    def _predict(self, state: State, cases: Sequence[Case]) -> list[Answer]:
        model = state.estimators["recalibration"]
        probabilities = model.predict_proba(_below_cut(cases))
        answers = predictions(self.headline, probabilities, [int(grade) for grade in model.classes_])
        return [{self.headline.id: answer} for answer in answers]

    def _explain(self, state: State, case: Case, target: str) -> Evidence:  # noqa: ARG002 the rule is the explanation
        index = ost(case.number("weight_kg"), case.number("age_years"))
        cut = REFERENCES[f"ost_{case.table['sex']}"]
        verdict = "below: examine" if index < cut.value else "not below"
        return Evidence(numbers={"index": index, "cut": cut.value}, method=f"OST index, {verdict} {cut.quoted}")


def _below_cut(cases: Sequence[Case]) -> NDArray[np.float64]:
    """Return how far the index lies below the cut, `[n, 1]`."""
    return np.array([
        [REFERENCES[f"ost_{case.table['sex']}"].value - ost(case.number("weight_kg"), case.number("age_years"))]
        for case in cases
    ])  # fmt: skip
