"""Cumulative incidence of fracture, with death as a competing risk, from one table: a discrete-time hazard model."""

from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression

from trabecula.prediction import Survival
from trabecula.state import State
from trabecula.system import System, guess

_CAUSES = {"event": 1, "death": 2}


@dataclass(frozen=True, kw_only=True)
class SurvivalCurve(System):
    """Each year of each patient is a row whose outcome is nothing, fracture or death (Allison 1982)."""

    horizon_years: int = guess(8, "a toy")
    strength: float = guess(1.0, "a toy")

    def _fit(self, cases, run):
        rows, outcomes = [], []
        for case in cases:
            if self.headline.id not in case.truth:
                continue
            known = case.truth[self.headline.id]
            last = min(int(known.years), self.horizon_years - 1)
            for year in range(last + 1):
                rows.append(self._row(case, year))
                outcomes.append(known.event if year == int(known.years) else 0)
        hazard = LogisticRegression(C=self.strength, max_iter=1000).fit(np.array(rows), outcomes)
        return State(estimators={"hazard": hazard})

    def _predict(self, state, cases):
        return [{self.headline.id: self._curve(state.estimators["hazard"], case)} for case in cases]

    def _curve(self, model, case):
        """Fracture in a year, of those whom neither fracture nor death took before."""
        years = range(self.horizon_years)
        hazards = model.predict_proba(np.array([self._row(case, year) for year in years]))
        alive = np.cumprod([1.0, *hazards[:-1, list(model.classes_).index(0)]])
        incidence = {
            cause: np.cumsum(alive * hazards[:, list(model.classes_).index(code)])
            for cause, code in _CAUSES.items()
            if code in model.classes_
        }
        return Survival([year + 1 for year in years], incidence)

    @staticmethod
    def _row(case, year):
        return [(case.number("mean_hu") - 110) / 50, (case.number("age_years") - 70) / 10, year / 5]
