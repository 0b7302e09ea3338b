"""Nam et al. 2019: age, sex and the mean HU of a lumbar vertebra to its T-score and to osteoporosis.

Every vertebra of a patient is a row of its own, in learning and in answering. A patient's answer is the mean over the
vertebrae that could be read, which is the rule of the target's row. Two linear models stand side by side: one gives a
T-score, the other the log-odds of osteoporosis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import numpy as np

from trabecula.cache import remember
from trabecula.prediction import Abstain, Answer, Prediction, Value, graded
from trabecula.state import State
from trabecula.system import Evidence, Run, System, guess, paper
from trabecula.systems.nam2019_lumbar_hu.attenuation import PLACES, attenuation, counted
from trabecula.systems.nam2019_lumbar_hu.descent import Descent, linear_weights, logistic_weights, probabilities

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.case import Case
    from trabecula.target import Target

    Floats = NDArray[np.float64]

INPUTS = ("age_years", "sex", "mean_hu")
_CT, _DRAWN, _BODIES = "lumbar_ct", "trabecular_region", "vertebral_bodies"
_KV = 5.0  # tube voltages this close are the same; HU move by about 1 % for it


class Read(NamedTuple):
    """The vertebrae of one case: rows `[vertebra, INPUTS]` and what each is called."""

    rows: Floats
    names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class LumbarAttenuation(System):
    """Linear and logistic regression on age, sex and HU, vertebra by vertebra, by gradient descent."""

    unit: Literal["vertebra", "patient"] = paper("vertebra", "abstract: the T-score of the same vertebra by QCT")
    slices: Literal[3, 0] = guess(3, "mean of three axial slices; 0 counts the whole region; not told in the abstract")
    learning_rate: float = paper(1e-4, "abstract: the highest test accuracy among those tried")
    steps: int = guess(100_000, "not found; at 1e-4 the T-score is then solved, the log-odds nearly")
    least_change: float = guess(1e-12, "not found; of the loss in a step: 1e-7 would stop at weights 1 % off")

    sizes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {"learning_rate": 0.3, "steps": 5000},
        "tiny": {"learning_rate": 0.3, "steps": 2000},
    }

    def _fit(self, cases: Sequence[Case], run: Run) -> State:  # noqa: ARG002 nothing is drawn
        volts = [case.number("kvp") for case in cases if "kvp" in case.table]
        read = {place: self._read(case) for place, case in enumerate(cases) if self._contrast(case) is None}
        known = {place: each for place, each in read.items() if isinstance(each, Read)}
        if not known:
            raise ValueError(f"{self.id()}: no attenuation in {len(cases)} cases; the first says: {_first(read)}")
        rows = np.concatenate([each.rows for each in known.values()])
        centre, spread = rows.mean(axis=0), rows.std(axis=0)
        arrays = {"centre": centre, "spread": np.where(spread > 0, spread, 1.0)}
        descent = Descent(self.learning_rate, self.steps, self.least_change)
        for target in self.predicts:
            labelled = [place for place in known if target.id in cases[place].truth]
            if not labelled:
                continue
            x = _standardised(np.concatenate([known[place].rows for place in labelled]), arrays)
            y = np.concatenate([[_number(cases[place], target)] * len(known[place].rows) for place in labelled])
            arrays[target.id] = (
                logistic_weights(x, y.astype(np.intp), descent, count=len(target.grades))
                if target.classifies
                else linear_weights(x, y, descent)
            )
        return State(facts={"kvp": [min(volts), max(volts)] if volts else []}, arrays=arrays)

    def _predict(self, state: State, cases: Sequence[Case]) -> list[Answer]:
        return [self._answer(state, case) for case in cases]

    def _answer(self, state: State, case: Case) -> Answer:
        refused = self._contrast(case) or _other_voltage(case, state.facts["kvp"])
        read = self._read(case) if refused is None else refused
        if not isinstance(read, Read):
            return {target.id: read for target in self.predicts}
        return {target.id: _told(target, self._by_vertebra(state, read, target)) for target in self.predicts}

    def _by_vertebra(self, state: State, read: Read, target: Target) -> Floats | None:
        """Return probabilities `[vertebra, grades]`, values `[vertebra, 1]`, or none where none could be learned."""
        weights = state.arrays.get(target.id)
        if weights is None:
            return None
        x = _standardised(read.rows, state.arrays)
        return probabilities(x, weights) if target.classifies else x @ weights.T

    def _explain(self, state: State, case: Case, target: str) -> Evidence | None:
        """Give the share of each input in the mean T-score or log-odds, and in words the answer of each vertebra."""
        read, weights = self._read(case), state.arrays.get(target)
        row = next(each for each in self.predicts if each.id == target)
        if not isinstance(read, Read) or weights is None or isinstance(self._answer(state, case)[target], Abstain):
            return None
        shares = _standardised(read.rows, state.arrays).mean(axis=0) * weights[-1]
        numbers = dict(zip((*INPUTS, "expected"), map(float, shares), strict=True))
        each = self._by_vertebra(state, read, row)
        told = ", ".join(f"{n} {v:.2f}" for n, v in zip(read.names, np.asarray(each)[:, -1], strict=True))
        scale = f"log-odds of {row.grades[-1]}" if row.classifies else row.unit
        method = f"coefficient times standardised value, {scale}: they add up to the mean of its vertebrae ({told})"
        return Evidence(numbers=numbers, method=method, heat=self._looked_at(case))

    def _looked_at(self, case: Case) -> dict[str, NDArray[np.float32]]:
        role = _mask_role(case)
        if role is None:
            return {}
        mask = case.masks[role]
        heat = np.zeros(mask.shape, dtype=np.float32)
        for where in counted(mask, drawn=role == _DRAWN, slices=self.slices).values():
            heat[tuple(where.T)] = 1
        return {_CT: heat}

    def _read(self, case: Case) -> Read | Abstain:
        """Return the vertebrae of a case, from its CT where it has one; else the mean HU of its table."""
        if (sex := case.table.get("sex")) is None:
            return Abstain("required input missing: sex")
        means, role = {"table": case.number("mean_hu")}, _mask_role(case)
        if role is not None:
            settings = {"drawn": role == _DRAWN, "slices": self.slices}
            try:
                contents = case.images.source(_CT), case.masks.source(role)
                found = remember(attenuation, *contents, settings=settings, package="trabecula.measure")
            except ValueError as error:
                return Abstain(str(error))
            means = dict(zip(PLACES, found.tolist(), strict=True))
        means = {name: hu for name, hu in means.items() if np.isfinite(hu)}
        if not means:
            return Abstain(
                f"no attenuation: neither a mean HU nor a lumbar vertebra to read it in ({role or 'no mask'})"
            )
        if self.unit == "patient":
            means = {"mean": float(np.mean(list(means.values())))}
        age, man = case.number("age_years"), float(sex == "male")
        return Read(np.array([[age, man, hu] for hu in means.values()]), tuple(means))

    def _contrast(self, case: Case) -> Abstain | None:
        if case.table.get("contrast") == 1:
            return Abstain("contrast of unknown phase raises the attenuation by an unknown amount")
        return None


def _mask_role(case: Case) -> str | None:
    """Return the mask that tells where to read in the CT, a drawn region first; none without a CT."""
    return next((role for role in (_DRAWN, _BODIES) if role in case.masks), None) if _CT in case.images else None


def _other_voltage(case: Case, learned: Sequence[float]) -> Abstain | None:
    volts = case.number("kvp")
    if learned and (volts < learned[0] - _KV or volts > learned[1] + _KV):
        return Abstain(f"attenuation at {volts:g} kV is not that of training, at {learned[0]:g} to {learned[1]:g} kV")
    return None


def _standardised(rows: Floats, arrays: Mapping[str, Floats]) -> Floats:
    """Return z-scores of the training rows, and a column of ones, `[n, 4]`."""
    scaled = (rows - arrays["centre"]) / arrays["spread"]
    return np.concatenate([scaled, np.ones((len(rows), 1))], axis=1)


def _told(target: Target, vertebrae: Floats | None) -> Prediction:
    if vertebrae is None:
        return Abstain(f"no case that was learned from had truth for {target.id}")
    mean = vertebrae.mean(axis=0)
    return graded(target, mean) if target.classifies else Value(float(mean[0]))


def _number(case: Case, target: Target) -> float:
    truth = case.truth[target.id]
    if not isinstance(truth, int | float):
        raise TypeError(f"{target.id} of {case.id} is no number")
    return float(truth)


def _first(read: Mapping[int, Read | Abstain]) -> str:
    return next((each.reason for each in read.values() if isinstance(each, Abstain)), "contrast was given")
