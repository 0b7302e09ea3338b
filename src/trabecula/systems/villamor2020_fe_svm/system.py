"""Villamor et al. 2020: hip fracture from a fall to the side that is simulated on a DXA map, and a learner on a table.

Two stages. Physics: the map becomes a plate of finite elements that falls on its trochanter with the force that
weight and stature give; its strains, stresses, densities and geometry join age, body and neck BMD to 19 attributes. A
learner: SVM with an RBF kernel, its rivals, and BMD alone.

The recipe in the facts takes areal BMD over thickness, which is mineral, for the apparent density that the law of
stiffness asks for, and the femur comes out a third as strong. `density="converted"` goes from mineral to ash to
apparent instead; `"as_facts"` is the recipe to the letter. Soft tissue over the trochanter, which takes force off, is
not among the inputs and is left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from trabecula.learn.split import inner_folds
from trabecula.learn.tabular import labelled, predictions
from trabecula.measure.elements import dxa_fall_strain, impact_force
from trabecula.prediction import Abstain, Answer, Grades, Prediction, score
from trabecula.state import State
from trabecula.system import Evidence, Inputs, Run, System, guess, paper
from trabecula.systems.villamor2020_fe_svm import learners
from trabecula.systems.villamor2020_fe_svm.attributes import ATTRIBUTES, BMD, CLINICAL, MAP_BMD, attributes, clinical
from trabecula.systems.villamor2020_fe_svm.learners import LEARNERS, Learner, Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.case import Case

    Floats = NDArray[np.float64]

_UNREAD = "the paper's settings were not found; default of the facts"
_FEWEST = 10  # patients with neck BMD in table and map from whom the one is told by the other


@dataclass(frozen=True, kw_only=True)
class FallAndSvm(System):
    """Finite elements of a fall on the DXA map of a hip, then a classifier on 19 attributes."""

    attributes: Literal["all", "clinical", "bmd"] = paper("all", "19 attributes; clinical alone and BMD are its rivals")
    learner: Literal["svm", "logistic", "neural", "forest"] = paper("svm", "best in both set-ups; the rest are rivals")
    density: Literal["converted", "as_facts"] = guess("converted", "the law takes apparent density, `as_facts` mineral")
    element_mm: float = guess(1.0, _UNREAD)
    folds: int = guess(5, _UNREAD)
    c_exponents: tuple[int, ...] = guess(tuple(range(-5, 16, 2)), _UNREAD + ": 2^-5 to 2^15")
    gamma_exponents: tuple[int, ...] = guess(tuple(range(-15, 4, 2)), _UNREAD + ": 2^-15 to 2^3")
    penalty: float = guess(1.0, "C of the logistic regression; scikit-learn's default")
    hidden: int = guess(10, _UNREAD + ": tanh units in one layer")
    decay: float = guess(0.1, "L2 of the neural network; the paper does not say")
    trees: int = guess(500, _UNREAD)
    compare: bool = paper(True, "all four learners are trained and compared with BMD alone")

    sizes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {
            "element_mm": 1.5, "c_exponents": (-3, 0, 3, 6), "gamma_exponents": (-11, -9, -7, -5, -3), "trees": 200,
        },
        "tiny": {
            "element_mm": 2.0, "folds": 3, "c_exponents": (-1, 3), "gamma_exponents": (-7, -4), "trees": 30,
        },
    }  # fmt: skip

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the attributes, as far as none of them defines the target."""
        if self.attributes == "all":
            return ATTRIBUTES
        defining = {name for target in self.predicts for name in target.defined_by}
        return tuple(n for n in ({"clinical": CLINICAL, "bmd": (BMD,)}[self.attributes]) if n not in defining)

    def inputs(self) -> Inputs:
        """Return the card's inputs, less the map where only the table is asked for."""
        usual = super().inputs()
        if self.attributes == "all":
            return usual
        if not self.names:
            raise ValueError(f"{BMD} defines {self.headline.id}: there is nothing left of the set-up `bmd`")
        required = {"clinical": tuple(n for n in usual.table if n != "bmi_kg_m2"), "bmd": (BMD,)}[self.attributes]
        table = usual.table if self.attributes == "clinical" else (BMD,)
        return Inputs(table=table, optional=tuple(name for name in table if name not in required))

    def _fit(self, cases: Sequence[Case], run: Run) -> State:
        known, rows = [], []
        for number, case in enumerate(cases):
            run.progress(number, len(cases), "falling")
            try:
                row = self._row(case) if self.headline.id in case.truth else None
            except ValueError:  # a femur that cannot be loaded teaches nothing; asked about, it abstains and says why
                continue
            if row is not None:
                known.append(case)
                rows.append(row)
        if not known:
            raise ValueError(f"{self.id()}: no labelled case has a femur that can be loaded, or the table it needs")
        line = _calibrated(rows)
        folds = inner_folds(known, self.headline, count=self.folds, rng=run.rng)
        table = Table(x=self._matrix(rows, line), grades=labelled(known, self.headline)[1], folds=folds)
        c, gamma = self._searched(table, run) if self.learner == "svm" or self.compare else (1.0, 1.0)

        def build(learner: Learner = self.learner) -> Any:
            return self._built(learner, c, gamma, run.seed)

        risk = build().fit(table.x, table.grades)
        facts: dict[str, Any] = {
            "map_to_table": line, "c": c, "gamma": gamma, "middle": table.x.mean(axis=0).tolist(),
            "importance": dict(zip(self.names, learners.importance(risk, table.x, run.rng), strict=True)),
        }  # fmt: skip
        if self.compare:
            facts["comparison"] = {each: table.reached(partial(build, each)) for each in LEARNERS}
            if BMD in self.names:
                alone = Table(x=table.x[:, [self.names.index(BMD)]], grades=table.grades, folds=folds)
                facts["comparison"]["bmd"] = alone.reached(partial(build, "logistic"))
        return State(facts=facts, estimators={"risk": risk, "probability": table.probability(build)})

    def _predict(self, state: State, cases: Sequence[Case]) -> list[Answer]:
        answers: list[Answer] = []
        for case in cases:
            try:
                x = self._matrix([self._row(case)], state.facts["map_to_table"])
            except ValueError as reason:
                answers.append({self.headline.id: Abstain(str(reason))})
                continue
            answers.append({self.headline.id: self._answers(state, x)[0]})
        return answers

    def _explain(self, state: State, case: Case, target: str) -> Evidence | None:
        """Give each attribute's share in the log-odds, and where bone is strained in the fall."""
        try:
            x = self._matrix([self._row(case)], state.facts["map_to_table"])
        except ValueError:
            return None
        usual = np.repeat(x, len(self.names), axis=0)
        np.fill_diagonal(usual, state.facts["middle"])
        odds = [_log_odds(answer) for answer in self._answers(state, np.concatenate([x, usual]))]
        shares = {name: odds[0] - other for name, other in zip(self.names, odds[1:], strict=True)}
        told = f"log-odds of {target} lost when an attribute becomes the mean of training"
        if self.attributes != "all":
            return Evidence(numbers=shares, method=told)
        force = impact_force(case.number("weight_kg"), case.number("height_cm"))
        strain = dxa_fall_strain(
            case.images["hip_dxa"], case.masks["proximal_femur"], force_n=force, element_mm=self.element_mm,
            density=self.density,
        )  # fmt: skip
        told += f"; heat: principal strain over what bone bears, in a fall with {force:.0f} N"
        return Evidence(numbers=shares, heat={"hip_dxa": strain}, method=told)

    def _answers(self, state: State, x: Floats) -> list[Prediction]:
        probability = state.estimators["probability"]
        shares = probability.predict_proba(learners.scores(state.estimators["risk"], x))
        return predictions(self.headline, shares, [int(grade) for grade in probability.classes_])

    def _row(self, case: Case) -> dict[str, float]:
        """Return the attributes of a case; raises `ValueError` where one is missing that nothing stands for."""
        if self.attributes == "all":
            return attributes(case, element_mm=self.element_mm, density=self.density)
        told = clinical(case)
        if lacking := [name for name in self.names if math.isnan(told[name])]:
            raise ValueError(f"{', '.join(lacking)} is not told, and without the map nothing stands for it")
        return told

    def _matrix(self, rows: Sequence[Mapping[str, float]], line: Sequence[float]) -> Floats:
        """Return attributes `[n, names]`; where the table has no neck BMD, the map's on the scale of the table's."""
        slope, offset = line
        told = [
            {**row, BMD: offset + slope * row[MAP_BMD]} if math.isnan(row[BMD]) and MAP_BMD in row else row
            for row in rows
        ]
        return np.array([[row[name] for name in self.names] for row in told])

    def _built(self, learner: Learner, c: float, gamma: float, seed: int) -> Any:
        match learner:
            case "svm":
                return learners.svm(c, gamma)
            case "logistic":
                return learners.logistic(self.penalty)
            case "neural":
                return learners.neural(self.hidden, self.decay, seed)
            case "forest":
                return learners.forest(self.trees, seed)

    def _searched(self, table: Table, run: Run) -> tuple[float, float]:
        """Return C and gamma with the best AUC on held-out patients; of equals the smaller ones."""
        pairs = [(2.0**c, 2.0**gamma) for c in self.c_exponents for gamma in self.gamma_exponents]
        reached = []
        for number, (c, gamma) in enumerate(pairs):
            run.progress(number, len(pairs), "C and gamma")
            reached.append(table.reached(partial(learners.svm, c, gamma)))
        return pairs[int(np.argmax(np.round(reached, 9)))]


def _calibrated(rows: Sequence[Mapping[str, float]]) -> list[float]:
    """Return slope and offset from the map's neck BMD to the table's; 1 and 0 where too few were told both."""
    both = np.array([(row[MAP_BMD], row[BMD]) for row in rows if MAP_BMD in row and not math.isnan(row[BMD])])
    if len(both) < _FEWEST:
        return [1.0, 0.0]
    return [float(each) for each in np.polyfit(both[:, 0], both[:, 1], 1)]


def _log_odds(answer: Prediction) -> float:
    """Return the log-odds of the second grade, or of the highest of several."""
    p = answer.p[-1] if isinstance(answer, Grades) else score(answer)
    p = min(max(p, 1e-6), 1 - 1e-6)
    return math.log(p / (1 - p))
