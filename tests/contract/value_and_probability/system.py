"""A number and a probability from one table."""

from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge

from trabecula.prediction import Probability, Value
from trabecula.state import State
from trabecula.system import System, guess


@dataclass(frozen=True, kw_only=True)
class ValueAndProbability(System):
    """Ridge regression for the T-score, logistic regression for the class."""

    strength: float = guess(1.0, "a toy")

    def _fit(self, cases, run):
        cases = [case for case in cases if all(target.id in case.truth for target in self.predicts)]
        x = self._table(cases)
        middle = np.nanmean(x, axis=0)
        x = np.where(np.isnan(x), middle, x) - middle
        disease, score = (np.array([case.truth[t.id] for case in cases]) for t in self.predicts)
        estimators = {
            "class": LogisticRegression(C=self.strength, max_iter=500).fit(x / 50, disease),
            "score": Ridge(alpha=self.strength).fit(x / 50, score),
        }
        return State(arrays={"middle": middle}, estimators=estimators)

    def _predict(self, state, cases):
        x = self._table(cases)
        x = (np.where(np.isnan(x), state.arrays["middle"], x) - state.arrays["middle"]) / 50
        p = state.estimators["class"].predict_proba(x)[:, 1]
        t = state.estimators["score"].predict(x)
        disease, score = (target.id for target in self.predicts)
        return [{disease: Probability(a), score: Value(b)} for a, b in zip(p, t, strict=True)]

    def _table(self, cases):
        return np.array([[case.number(name) for name in self.card().inputs.table] for case in cases])
