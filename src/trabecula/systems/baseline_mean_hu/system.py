"""Mean attenuation of vertebral trabecular bone against published cuts: the measurement a CT network has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trabecula.learn.tabular import labelled, predictions
from trabecula.prediction import Abstain, Answer, Prediction
from trabecula.reference import REFERENCES
from trabecula.state import State
from trabecula.system import Evidence, Run, System, guess

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.case import Case


@dataclass(frozen=True, kw_only=True)
class MeanHu(System):
    """Logistic regression on one number, where the published cuts hold; an abstention elsewhere."""

    kvp: float = guess(120.0, "the tube voltage of the published cuts")
    tolerance: float = guess(5.0, "kV; HU move by about 1 % for it")

    def _fit(self, cases: Sequence[Case], run: Run) -> State:  # noqa: ARG002 nothing is drawn
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 keeps the catalogue light

        known, grades = labelled([case for case in cases if self._reason(case) is None], self.headline)
        if len(set(grades.tolist())) < 2:
            return State()
        return State(estimators={"recalibration": LogisticRegression().fit(_tens(known), grades)})

    def _predict(self, state: State, cases: Sequence[Case]) -> list[Answer]:
        model = state.estimators.get("recalibration")
        if model is None:
            nobody = Abstain(f"no two classes of training cases at {self.kvp:g} kV without contrast to learn from")
            return [{self.headline.id: nobody} for _ in cases]
        probabilities = model.predict_proba(_tens(cases))
        answers: list[Prediction] = predictions(self.headline, probabilities, [int(g) for g in model.classes_])
        reasons = [self._reason(case) for case in cases]
        return [
            {self.headline.id: answer if reason is None else Abstain(reason)}
            for answer, reason in zip(answers, reasons, strict=True)
        ]

    def _explain(self, state: State, case: Case, target: str) -> Evidence | None:  # noqa: ARG002 one number is all
        if self._reason(case) is not None:
            return None
        low, high = REFERENCES["hu_specific"], REFERENCES["hu_sensitive"]
        hu = case.number("mean_hu")
        band = "at or below both" if hu <= low.value else "between" if hu <= high.value else "above both"
        numbers = {"mean_hu": hu, "specific cut": low.value, "sensitive cut": high.value}
        return Evidence(numbers=numbers, method=f"HU, {band} of the published cuts {low.quoted} and {high.quoted}")

    def _reason(self, case: Case) -> str | None:
        """Say why the cuts do not hold for a case; `None` where they do."""
        if abs(case.number("kvp") - self.kvp) > self.tolerance:
            return f"the cuts hold at {self.kvp:g} kV; this case was taken at {case.number('kvp'):g} kV"
        if case.table.get("contrast", 0) == 1:
            return "contrast of unknown phase raises the attenuation by an unknown amount"
        return None


def _tens(cases: Sequence[Case]) -> NDArray[np.float64]:
    """Return attenuation in tens of HU, `[n, 1]`."""
    return np.array([[case.number("mean_hu") / 10] for case in cases])
