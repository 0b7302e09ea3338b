"""One fold of one entrant: what is learned, what is answered."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from trabecula.evaluation.entrants import Entrant, Judgement
from trabecula.evaluation.inner import chosen, operating_points
from trabecula.evaluation.rows import plain
from trabecula.protocol import Fold, Protocol

if TYPE_CHECKING:
    from trabecula.case import Case


@dataclass(frozen=True, eq=False)
class Task:
    """One fold of one entrant, under a protocol."""

    entrant: Entrant
    number: int
    """The entrant's place among all."""
    fold: Fold
    protocol: Protocol

    @property
    def points(self) -> bool:
        """Whether operating points are chosen: where it was said, or without a word where no network is fitted."""
        asked = self.protocol.operating_points
        return not self.entrant.system.has_networks if asked is None else asked


def judge(task: Task) -> Judgement:
    """Fit the system of a fold to its training part, ask it about the rest, and return its answers as JSON.

    A system that cannot be fitted abstains where it was given few labels on purpose, and raises `ValueError` elsewhere.
    """
    entrant, fold, seed = task.entrant, task.fold, task.protocol.seed + task.fold.number
    learned, test = _learned_from(entrant, fold), [entrant.cases[i] for i in fold.test]
    notes: dict[str, Any] = {}
    start = time.perf_counter()
    try:
        system, choice = chosen(entrant, learned, count=task.protocol.inner_folds, seed=seed)
        model = system.fit(learned, seed=seed)
    except ValueError as error:
        if fold.labelled is None:
            raise
        return _not_fitted(task, str(error))
    fitted = time.perf_counter()
    answers = [plain(answer, case) for answer, case in zip(model.predict(test), test, strict=True)]
    predicted = time.perf_counter()
    if choice:
        notes["chosen"] = [{"fold": fold.number, **choice}]
    if task.points:
        notes["operating_points"] = [
            {"fold": fold.number, **point} for point in operating_points(entrant, system, learned, seed=seed)
        ]
    if "weights" in model.state.facts:
        notes["weights"] = model.state.facts["weights"]
    return Judgement(
        entrant=task.number,
        fold=fold,
        answers=answers,
        fit_seconds=fitted - start,
        predict_seconds=predicted - fitted,
        notes=notes,
    )


def _learned_from(entrant: Entrant, fold: Fold) -> list[Case]:
    """Return the training cases, those without truth whose labels are not told."""
    told = set(fold.train if fold.labelled is None else fold.labelled)
    return [entrant.cases[i] if i in told else replace(entrant.cases[i], truth={}) for i in fold.train]


def _not_fitted(task: Task, why: str) -> Judgement:
    """Return an abstention for everybody: a system that cannot learn from so few labels has no answer."""
    silent = {target.id: {"abstain": f"not fitted: {why}"} for target in task.entrant.system.predicts}
    answers = [silent] * len(task.fold.test)
    return Judgement(entrant=task.number, fold=task.fold, answers=answers, fit_seconds=0.0, predict_seconds=0.0)
