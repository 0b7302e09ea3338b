"""The check of a system's essence: it holds for the system, and a stub of the system does not have it."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula.prediction import Abstain, Grades, LabelMap, Prediction, Probability, Survival, Value
from trabecula.selftest.subject import Subject, numbers, require
from trabecula.state import State
from trabecula.system import Model, Run, System, from_settings

if TYPE_CHECKING:
    from trabecula.case import Case
    from trabecula.prediction import Answer

_MEANS = "stub"


def check_essence_rejects_a_stub(subject: Subject) -> None:
    """Prevent something simpler from passing under a published name.

    `essence.py` beside the system accepts it, and rejects by `AssertionError`, and nothing else, a stub with the same
    settings, facts, arrays and estimators, whose networks are new and whose answer is the same mean for everybody.
    """
    name = f"{type(subject.system).__module__.rpartition('.')[0]}.essence"
    require(importlib.util.find_spec(name), f"{name} is missing: write essence(system, cases)")
    essence = importlib.import_module(name).essence
    try:
        essence(subject.system, subject.cases)
    except AssertionError as failure:
        raise AssertionError(f"the essence does not hold: {failure}") from failure
    try:
        essence(stub_of(subject.system), subject.cases)
    except AssertionError:
        return
    except Exception as error:
        told = f"the essence met the stub with {type(error).__name__} ({error}): reject it by AssertionError"
        raise AssertionError(told) from error
    raise AssertionError("the essence accepts a stub that answers the mean: assert something about its behaviour")


def stub_of(system: System) -> System:
    """Return the recipe with its learning taken out: it answers the mean of the system's answers in training."""
    own = type(system)

    def fit(self: System, cases: Sequence[Case], run: Run) -> State:
        state = own._fit(self, cases, run)
        for network in state.networks.values():
            network.eval().to("cpu")
        told = Model(from_settings(own, self.settings()), state, {"seed": run.seed}).predict(cases)
        means = {target.id: _mean([answer[target.id] for answer in told]) for target in self.predicts}
        fresh = self._networks(state.facts) if state.networks else {}
        networks = {name: fresh[name] for name in state.networks}
        return replace(state, facts={**state.facts, _MEANS: means}, networks=networks)

    def predict(self: System, state: State, cases: Sequence[Case]) -> list[Answer]:
        means, answers = state.facts[_MEANS], [dict[str, Prediction]()] * len(cases)
        if any(target.kind == "label_map" for target in self.predicts):
            answers = [dict(answer) for answer in own._predict(self, state, cases)]  # only for the grids of its maps
        return [
            {target.id: _answer(target.kind, means[target.id], answer.get(target.id)) for target in self.predicts}
            for answer in answers
        ]

    kind = type(f"{own.__name__}Stub", (own,), {"__module__": own.__module__, "_fit": fit, "_predict": predict})
    return from_settings(dataclass(frozen=True, kw_only=True)(kind), system.settings())


def _mean(predictions: Sequence[Prediction]) -> Any:
    """Return the mean answer as plain JSON; for label maps the label of most voxels."""
    given = [each for each in predictions if not isinstance(each, Abstain)]
    if not given:
        return None
    curves = [each for each in given if isinstance(each, Survival)]
    if curves:
        incidence = {c: np.mean([each.incidence[c] for each in curves], axis=0).tolist() for c in curves[0].incidence}
        return {"years": curves[0].years, "incidence": incidence}
    if isinstance(given[0], LabelMap):
        return int(np.bincount(np.concatenate([numbers(each) for each in given]).astype(int)).argmax())
    return np.mean([numbers(Value(each.value) if isinstance(each, Value) else each) for each in given], axis=0).tolist()


def _answer(kind: str, mean: Any, form: Prediction | None) -> Prediction:
    if mean is None or (kind == "label_map" and not isinstance(form, LabelMap)):
        return Abstain("there is nothing to take the mean of")
    if isinstance(form, LabelMap):
        return LabelMap(form.image.with_voxels(np.full_like(form.image.voxels, mean)))
    if kind == "time_to_event":
        return Survival(**mean)
    return {"binary": Probability, "value": Value}[kind](mean[0]) if kind != "ordinal" else Grades(tuple(mean))
