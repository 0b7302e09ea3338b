"""Logistic regression on age, sex and BMI: what an image has to beat before anyone needs the image.

Age and BMI enter with their squares and age with its product with sex, because bone is lost faster at some ages and
in women after the menopause.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula.learn.tabular import encoded, labelled, learned_columns, predictions, present
from trabecula.prediction import Answer
from trabecula.state import State
from trabecula.system import Run, System, guess

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.case import Case


@dataclass(frozen=True, kw_only=True)
class AgeSexBmi(System):
    """Logistic regression with squares and one product."""

    c: float = guess(1.0, "L2 penalty; scikit-learn's default")

    def _fit(self, cases: Sequence[Case], run: Run) -> State:  # noqa: ARG002 nothing is drawn
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 keeps the catalogue light

        known, grades = labelled(cases, self.headline)
        columns = learned_columns(known, present(known, self.inputs().table))
        model = LogisticRegression(C=self.c, max_iter=1000).fit(_terms(known, columns), grades)
        return State(facts={"columns": columns}, estimators={"logistic": model})

    def _predict(self, state: State, cases: Sequence[Case]) -> list[Answer]:
        model = state.estimators["logistic"]
        probabilities = model.predict_proba(_terms(cases, state.facts["columns"]))
        answers = predictions(self.headline, probabilities, [int(grade) for grade in model.classes_])
        return [{self.headline.id: answer} for answer in answers]


def _terms(cases: Sequence[Case], columns: Sequence[Any]) -> NDArray[np.float64]:
    """Return `[n, terms]`: the encoded columns, the squares of age and BMI, and age times sex."""
    plain = encoded(cases, columns)
    of = {column["name"]: encoded(cases, [column]) for column in columns}
    squares = [values[:, :1] ** 2 for name, values in of.items() if name != "sex"]
    products = [of["age_years"] * of["sex"]] if "sex" in of else []
    return np.hstack([plain, *squares, *products])
