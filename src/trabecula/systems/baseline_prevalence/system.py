"""The share of each class in training, for everybody: what a calibrated answer without any input scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trabecula.learn.tabular import labelled
from trabecula.prediction import Answer, graded
from trabecula.state import State
from trabecula.system import Run, System

if TYPE_CHECKING:
    from trabecula.case import Case


@dataclass(frozen=True, kw_only=True)
class Prevalence(System):
    """Class shares of the training cases."""

    def _fit(self, cases: Sequence[Case], run: Run) -> State:  # noqa: ARG002 nothing is drawn
        _, grades = labelled(cases, self.headline)
        counts = np.bincount(grades, minlength=len(self.headline.grades))
        return State(facts={"shares": (counts / counts.sum()).tolist()})

    def _predict(self, state: State, cases: Sequence[Case]) -> list[Answer]:
        return [{self.headline.id: graded(self.headline, np.array(state.facts["shares"]))} for _ in cases]
