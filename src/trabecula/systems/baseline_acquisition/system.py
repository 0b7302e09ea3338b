"""A random forest on acquisition facts alone: how much of the label the scanner, the site or the file gives away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from trabecula.learn.tabular import labelled, predictions
from trabecula.prediction import Answer
from trabecula.state import State
from trabecula.system import Run, System, guess, threads

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.case import Case


@dataclass(frozen=True, kw_only=True)
class AcquisitionFacts(System):
    """A random forest on the groups of a case: numbers as they are, texts one feature a value."""

    trees: int = guess(300, "enough for stable probabilities")
    leaf: int = guess(3, "smallest number of cases in a leaf, so that single cases are not learned by heart")

    sizes: ClassVar[Mapping[str, Mapping[str, Any]]] = {"small": {}, "tiny": {"trees": 50}}

    def _fit(self, cases: Sequence[Case], run: Run) -> State:
        from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415 keeps the catalogue light

        known, grades = labelled(cases, self.headline)
        facts = _learned(known)
        forest = RandomForestClassifier(
            self.trees, min_samples_leaf=self.leaf, random_state=run.seed, n_jobs=threads()
        ).fit(_features(known, facts), grades)
        return State(facts={"facts": facts}, estimators={"forest": forest})

    def _predict(self, state: State, cases: Sequence[Case]) -> list[Answer]:
        forest = state.estimators["forest"]
        probabilities = forest.predict_proba(_features(cases, state.facts["facts"]))
        answers = predictions(self.headline, probabilities, [int(grade) for grade in forest.classes_])
        return [{self.headline.id: answer} for answer in answers]


def _learned(cases: Sequence[Case]) -> list[dict[str, Any]]:
    """Describe the facts: the median of one whose values are all numbers, else the values that occur twice.

    A text with a value of its own in more than half of the cases names a patient or a file and is left out.
    """
    facts: list[dict[str, Any]] = []
    for name in sorted({name for case in cases for name in case.groups}):
        values = [case.groups[name] for case in cases if name in case.groups]
        numbers = [_number(value) for value in values]
        if not np.isnan(numbers).any():
            facts.append({"name": name, "middle": float(np.median(numbers))})
        elif len(set(values)) <= len(values) / 2:
            facts.append({"name": name, "values": sorted(v for v, n in Counter(values).items() if n > 1)})
    return facts


def _features(cases: Sequence[Case], facts: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
    """Return `[n, features]`; the first is constant, so that a forest can also be grown on no fact at all."""
    features = [np.zeros(len(cases))]
    for fact in facts:
        given = [case.groups.get(fact["name"], "") for case in cases]
        if "middle" in fact:
            numbers = np.array([_number(value) for value in given])
            features += [np.where(np.isnan(numbers), fact["middle"], numbers), np.isnan(numbers).astype(float)]
        else:
            features += [np.array([float(value == known) for value in given]) for known in fact["values"]]
    return np.stack(features, axis=1)


def _number(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        return np.nan
    return number if np.isfinite(number) else np.nan
