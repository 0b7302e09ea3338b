"""Xie et al. 2022: a rad-score of cancellous L3, clinical values, and both in one nomogram.

851 features become 20 by minimum redundancy and maximum relevance, these become a few by the LASSO, whose linear
predictor is the rad-score. A logistic regression then takes the rad-score, clinical values, or both: the three models
that the paper compares. All that is chosen or learned is inside `_fit`.

The rad-score is learned for the highest grade against the others; a target with more than two grades has a logistic
regression with as many answers behind it, and no nomogram.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from trabecula.cache import remember
from trabecula.learn.split import inner_folds
from trabecula.learn.tabular import labelled, predictions, present
from trabecula.prediction import Abstain, Answer
from trabecula.state import Json, State
from trabecula.system import Evidence, Inputs, Run, System, guess, paper
from trabecula.systems.xie2022_qct_radiomics.features import cancellous, features
from trabecula.systems.xie2022_qct_radiomics.nomogram import Nomogram, Scale, svg
from trabecula.systems.xie2022_qct_radiomics.selection import (
    lasso_path,
    log_loss,
    mrmr,
    strengths,
    wald_p,
)
from trabecula.target import VARIABLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.case import Case

    Floats = NDArray[np.float64]

PUBLISHED: Mapping[str, float] = {
    "wavelet-LLL_firstorder_10Percentile": -1.486,
    "wavelet-LLH_firstorder_InterquartileRange": -1.032,
    "original_firstorder_10Percentile": -0.428,
    "wavelet-LLL_firstorder_Median": -0.187,
    "wavelet-LLH_glrlm_ShortRunLowGrayLevelEmphasis": 0.123,
    "wavelet-LLH_firstorder_Skewness": 0.68,
}
"""Weights of the published rad-score on centred and scaled features (linked patent application US 2022/0076826)."""
PUBLISHED_CONSTANT = 2.755
KEPT = ("age_years", "alkaline_phosphatase_u_l", "homocysteine_umol_l")
"""The clinical values of the published models."""
_CT, _DRAWN, _BODIES = "lumbar_ct", "trabecular_region", "vertebral_bodies"
_RAD = "rad_score"
_LEVEL = "L3"
_P = 0.05  # of the tests of clinical values


@dataclass(frozen=True, kw_only=True)
class RadScoreNomogram(System):
    """mRMR, LASSO and logistic regression on radiomics of L3 and clinical values."""

    model: Literal["combined", "radiomics", "clinical"] = paper("combined", "the model that is drawn as a nomogram")
    weights: Literal["refitted", "published"] = paper("refitted", "methods; the published weights are the other choice")
    clinical: Literal["kept", "tested"] = paper(
        "kept", "age, ALP and HCY; tested: chosen anew by a univariate and then a multivariable test"
    )
    preselected: int = paper(20, "methods: mRMR, 20 of 851")
    missing_allowed: int = paper(3, "methods: more missing clinical items exclude a patient")
    folds: int = guess(10, "not told; glmnet's own")
    penalties: int = guess(100, "not told; glmnet's own number of lambdas")
    least_penalty: float = guess(0.01, "share of the highest; not told")
    rule: Literal["1se", "min"] = guess("1se", "which lambda; the highest within one error of the lowest loss")
    bin_width: float = guess(25.0, "PyRadiomics's own; the paper's supplement was not found")
    depth_mm: float = guess(4.0, "what is cancellous where the mask is of whole bodies; the paper draws by hand")
    strength: float = guess(100.0, "inverse ridge of the last regression; R has none, and none where classes separate")

    sizes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {"penalties": 50},
        "tiny": {"penalties": 25, "folds": 5},
    }

    def inputs(self) -> Inputs:
        """Return the card's inputs; of one half only where the model is clinical or radiomics alone."""
        usual = super().inputs()
        drop: dict[str, tuple[str, ...]] = {}
        if self.model == "radiomics":
            drop = {"table": ()}
        elif self.model == "clinical":
            drop = {"images": (), "masks": ()}
        kept = usual.model_copy(update=drop)
        held = {*kept.images, *kept.masks, *kept.table}
        return kept.model_copy(update={"optional": tuple(name for name in kept.optional if name in held)})

    def _fit(self, cases: Sequence[Case], run: Run) -> State:
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 keeps the catalogue light

        known, grades = labelled(cases, self.headline)
        rows = [self._measured(case) for case in known]
        usable = [place for place, each in enumerate(rows) if not isinstance(each, Abstain)]
        if len(set(grades[usable].tolist())) < 2:
            reasons = [each.reason for each in rows if isinstance(each, Abstain)]
            raise ValueError(f"{self.id()}: no two classes can be measured; the first that cannot: {reasons[:1]}")
        known, grades = [known[place] for place in usable], grades[usable]
        told = [each for each in rows if not isinstance(each, Abstain)]
        facts: dict[str, Any] = {"rad": [], "clinical": []}
        columns: list[Floats] = []
        if self.model != "clinical":
            run.progress(0, 2, f"rad-score of {len(known)} cases")
            rad, values = self._rad_score(known, told, grades, run)
            facts["rad"] = [rad]
            columns.append(values)
        if self.model != "radiomics":
            facts["clinical"], table = self._clinical(known, grades)
            columns += list(table.T)
        x = np.column_stack(columns)
        centre, spread = x.mean(axis=0), x.std(axis=0)
        spread = np.where(spread > 0, spread, 1.0)
        last = LogisticRegression(C=self.strength, max_iter=5000).fit((x - centre) / spread, grades)
        facts["range"] = [[float(low), float(high)] for low, high in zip(x.min(axis=0), x.max(axis=0), strict=True)]
        facts["grades"] = [int(grade) for grade in last.classes_]
        weights = {"weights": last.coef_, "constants": last.intercept_}
        return State(facts=facts, arrays={"centre": centre, "spread": spread, **weights})

    def _rad_score(
        self, cases: Sequence[Case], rows: Sequence[Mapping[str, float]], grades: NDArray[np.intp], run: Run
    ) -> tuple[dict[str, Any], Floats]:
        """Return what the rad-score is made of, as plain facts, and the score of each case."""
        every = [name for name in rows[0] if all(name in row for row in rows)]
        x = np.array([[row[name] for name in every] for row in rows])
        y = (grades == grades.max()).astype(np.float64)
        if self.weights == "published":
            if absent := sorted(set(PUBLISHED) - set(every)):
                raise ValueError(f"{self.id()}: the published rad-score needs {absent}, not defined in every case")
            names, weights, constant = list(PUBLISHED), np.array(list(PUBLISHED.values())), PUBLISHED_CONSTANT
        else:
            names = [every[column] for column in mrmr(x, y, self.preselected)]
        x = x[:, [every.index(name) for name in names]]
        centre, spread = x.mean(axis=0), x.std(axis=0)
        spread = np.where(spread > 0, spread, 1.0)
        scaled = (x - centre) / spread
        if self.weights == "refitted":
            constant, weights = self._lasso(scaled, y, cases, run)
        kept = [place for place, weight in enumerate(weights) if weight != 0]
        rad = {
            "preselected": names,
            "names": [names[place] for place in kept],
            "weights": [float(weights[place]) for place in kept],
            "centre": [float(centre[place]) for place in kept],
            "spread": [float(spread[place]) for place in kept],
            "constant": float(constant),
        }
        return rad, constant + scaled @ weights

    def _lasso(self, x: Floats, y: Floats, cases: Sequence[Case], run: Run) -> tuple[float, Floats]:
        """Return constant and weights at the penalty that cross-validation by patient chooses."""
        penalties = strengths(x, y, self.penalties, least=self.least_penalty)
        losses = []
        for train, held in inner_folds(cases, self.headline, count=self.folds, rng=run.rng):
            path = lasso_path(x[train], y[train], penalties)
            losses.append(log_loss(x[held], y[held], path).mean(axis=0))
        mean, error = np.mean(losses, axis=0), np.std(losses, axis=0) / np.sqrt(len(losses))
        best = int(np.argmin(mean))
        if self.rule == "1se":
            best = int(np.argmax(mean <= mean[best] + error[best]))
        weights = lasso_path(x, y, penalties[: best + 1])[:, -1]
        return float(weights[0]), weights[1:]

    def _clinical(self, cases: Sequence[Case], grades: NDArray[np.intp]) -> tuple[list[dict[str, Any]], Floats]:
        """Return the clinical values of the model with their medians, and the filled table `[n, values]`."""
        if self.clinical == "tested":
            names = self._tested(cases, (grades == grades.max()).astype(np.float64))
        else:
            names = present(cases, KEPT)
        told = [{"name": name, "middle": _middle(cases, name)} for name in names]
        return told, _filled(cases, told)

    def _tested(self, cases: Sequence[Case], y: Floats) -> list[str]:
        """Return the clinical values with p below 0.05 alone and then together; the best alone where none is left."""
        names = present(cases, self.inputs().table)
        columns = _filled(cases, [{"name": name, "middle": _middle(cases, name)} for name in names])
        spread = columns.std(axis=0)
        varied = [place for place in range(len(names)) if spread[place] > 0]
        x = (columns - columns.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
        alone = {place: float(wald_p(x[:, [place]], y)[0]) for place in varied}
        kept = [place for place in varied if alone[place] < _P] or [min(alone, key=alone.__getitem__)]
        together = wald_p(x[:, kept], y)
        final = [place for place, p in zip(kept, together, strict=True) if p < _P]
        return [names[place] for place in final or [kept[int(np.argmin(together))]]]

    def _predict(self, state: State, cases: Sequence[Case]) -> list[Answer]:
        rows = [self._values(state.facts, case) for case in cases]
        usable = [place for place, row in enumerate(rows) if not isinstance(row, Abstain)]
        answers: list[Any] = list(rows)
        if usable:
            x = np.array([list(rows[place].values()) for place in usable])  # type: ignore[union-attr]
            told = predictions(self.headline, _probabilities(x, state.arrays), state.facts["grades"])
            for place, answer in zip(usable, told, strict=True):
                answers[place] = answer
        return [{self.headline.id: answer} for answer in answers]

    def _explain(self, state: State, case: Case, target: str) -> Evidence | None:
        """Place the case on the nomogram: points by variable, their total, and the features of the rad-score."""
        values = self._values(state.facts, case)
        nomogram = self.nomogram(state)
        if isinstance(values, Abstain) or nomogram is None:
            return None
        points = nomogram.points(values)
        total = sum(points.values())
        read = "; ".join(f"{name} {value:.4g}" for name, value in values.items())
        method = f"points of the nomogram: {read}; {total:.0f} points, {target} {nomogram.probability(total):.3f}"
        if state.facts["rad"]:
            method += f"; rad-score of {', '.join(state.facts['rad'][0]['names']) or 'no feature'}"
        if self.weights == "published" and self.model != "clinical":
            method += "; published weights, whose scaling is not published: that of the training cases stands in"
        return Evidence(numbers=points, method=method, heat=self._looked_at(case), figure=svg(nomogram, values=values))

    def nomogram(self, state: State) -> Nomogram | None:
        """Return the fitted model as a nomogram; none for a target with more than two grades."""
        if len(self.headline.grades) != 2:
            return None
        names = [*(_RAD for _ in state.facts["rad"]), *(each["name"] for each in state.facts["clinical"])]
        weights = state.arrays["weights"][0] / state.arrays["spread"]
        scales = tuple(
            Scale(name=name, title=_title(name), weight=float(weight), low=low, high=high)
            for name, weight, (low, high) in zip(names, weights, state.facts["range"], strict=True)
        )
        constant = float(state.arrays["constants"][0] - weights @ state.arrays["centre"])
        return Nomogram(event=self.headline.grades[1], constant=constant, scales=scales)

    def rad_score(self, state: State, case: Case) -> float:
        """Return the rad-score of a case; NaN where it cannot be measured or the model has none."""
        values = self._values(state.facts, case)
        return np.nan if isinstance(values, Abstain) else values.get(_RAD, np.nan)

    def _values(self, facts: Json, case: Case) -> dict[str, float] | Abstain:
        """Return the rad-score and the clinical values of a case, as far as the model has them."""
        row = self._measured(case)
        if isinstance(row, Abstain):
            return row
        values: dict[str, float] = {}
        for rad in facts["rad"]:
            if absent := [name for name in rad["names"] if name not in row]:
                return Abstain(f"{absent[0]} is not defined in this region")
            told = np.array([row[name] for name in rad["names"]])
            scaled = (told - np.array(rad["centre"])) / np.array(rad["spread"])
            values[_RAD] = float(rad["constant"] + scaled @ np.array(rad["weights"]))
        table = _filled([case], facts["clinical"])[0] if facts["clinical"] else ()
        return values | {each["name"]: float(v) for each, v in zip(facts["clinical"], table, strict=True)}

    def _measured(self, case: Case) -> dict[str, float] | Abstain:
        """Return the features of a case, none where the model takes none; or why it has no answer."""
        names = self.inputs().table
        missing = [name for name in names if name not in case.table]
        if len(missing) > self.missing_allowed:
            told = ", ".join(missing[: self.missing_allowed + 1])
            return Abstain(f"more than {self.missing_allowed} clinical values are missing: {told}")
        if self.model == "clinical":
            return {}
        role = next((role for role in (_DRAWN, _BODIES) if role in case.masks), None)
        if role is None:
            return Abstain(f"no mask of {_DRAWN} or {_BODIES} tells where cancellous bone of {_LEVEL} is")
        settings = {**self._region(role), "bin_width": self.bin_width}
        try:
            contents = case.images.source(_CT), case.masks.source(role)
            row = remember(features, *contents, settings=settings, package="trabecula.measure")
        except ValueError as error:
            return Abstain(str(error))
        return dict(zip(row.dtype.names or (), map(float, row[0].tolist()), strict=True))

    def _region(self, role: str) -> dict[str, Any]:
        return {"level": _LEVEL, "depth_mm": self.depth_mm if role == _BODIES else None}

    def _looked_at(self, case: Case) -> dict[str, NDArray[np.float32]]:
        role = next((role for role in (_DRAWN, _BODIES) if role in case.masks), None)
        if role is None or self.model == "clinical":
            return {}
        return {_CT: cancellous(case.masks[role], **self._region(role)).voxels.astype(np.float32)}


def _probabilities(x: Floats, arrays: Mapping[str, Floats]) -> Floats:
    """Return the probability of each grade `[n, grades]`: logistic for two, a softmax for more."""
    odds = (x - arrays["centre"]) / arrays["spread"] @ arrays["weights"].T + arrays["constants"]
    if odds.shape[1] == 1:
        odds = np.column_stack([np.zeros(len(odds)), odds])
    shares = np.exp(odds - odds.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def _filled(cases: Sequence[Case], columns: Sequence[Mapping[str, Any]]) -> Floats:
    """Return clinical values `[n, columns]`, with the median of training where one is missing."""
    rows = [[_number(case, each["name"]) for each in columns] for case in cases]
    values = np.array(rows, dtype=np.float64).reshape(len(cases), len(columns))
    return np.where(np.isnan(values), [each["middle"] for each in columns], values)


def _middle(cases: Sequence[Case], name: str) -> float:
    return float(np.nanmedian([_number(case, name) for case in cases]))


def _number(case: Case, name: str) -> float:
    """Return a value; of a code with two values, such as sex, 1 for the second."""
    codes = VARIABLES[name].codes
    if not codes:
        return case.number(name)
    return float(codes.index(str(case.table[name]))) if case.table.get(name) in codes else np.nan


def _title(name: str) -> str:
    if name == _RAD:
        return "Rad-score"
    row = VARIABLES[name]
    unit = ", ".join(f"{n} {code}" for n, code in enumerate(row.codes)) or row.unit
    return f"{row.title},\n{unit}"
