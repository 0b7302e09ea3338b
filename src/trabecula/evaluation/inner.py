"""What is chosen inside the training part of a fold, on patients held out of it: a setting, an operating point.

Nothing here sees the patients whom the fold judges.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trabecula import metrics
from trabecula.evaluation.entrants import names_of
from trabecula.evaluation.rows import plain, rows_about
from trabecula.learn.split import inner, inner_folds
from trabecula.metrics.operating import chosen_threshold
from trabecula.report.numbers import Row, by_patient, headline_metric

if TYPE_CHECKING:
    from trabecula.case import Case
    from trabecula.evaluation.entrants import Entrant
    from trabecula.report.numbers import Judged
    from trabecula.system import System
    from trabecula.target import Target

_HELD_OUT = 0.25
_FEWEST = 5
"""Held-out patients of each class below which a threshold is chance."""
RULES: Mapping[str, Callable[[NDArray[Any], NDArray[Any]], float]] = {
    "youden": partial(chosen_threshold, rule="youden"),
    "sensitivity>=0.90": partial(chosen_threshold, rule="sensitivity", at_least=0.9),
}
"""How a threshold is chosen on truth `[n]` and score `[n]`; a patient counts as ill from it on."""


def chosen(entrant: Entrant, cases: Sequence[Case], *, count: int, seed: int) -> tuple[System, dict[str, Any]]:
    """Return the recipe that does best on `count` inner folds of the training cases, and how each did.

    Recipes are compared on the patients whom all of them answer, by the headline metric averaged over inner folds; of
    equals the first is taken. A single recipe is returned as it is.
    Raises `ValueError` when the cases are too few to be dealt again.
    """
    if len(entrant.candidates) == 1:
        return entrant.system, {}
    target = entrant.system.headline
    folds = inner_folds(cases, target, count=count, rng=np.random.default_rng(seed))
    judged = [
        by_patient([
            row
            for number, (_, held) in enumerate(folds)
            for row in _answered(entrant, each, cases, held, fold=number, seed=seed)
            if row.target == target.id
        ])
        for each in entrant.candidates
    ]  # fmt: skip
    names = [name.partition(":")[2] for name in names_of(entrant.candidates)]
    figures = dict(zip(names, _figures(judged, target), strict=True))
    sign = -1 if headline_metric(target) in metrics.LOWER_IS_BETTER else 1
    best = max(names, key=lambda name: -math.inf if math.isnan(figures[name]) else sign * figures[name])
    told = {name: None if math.isnan(figure) else figure for name, figure in figures.items()}
    choice = {"value": best, "metric": headline_metric(target), "inner": told, "inner_folds": len(folds)}
    return entrant.candidates[names.index(best)], choice


def _figures(judged: Sequence[Judged], target: Target) -> list[float]:
    """Return the headline metric of each on the patients whom all who answered anybody answered; NaN for the silent."""
    metric = metrics.METRICS[target.kind][headline_metric(target)]
    answered = [each.evaluable for each in judged if each.evaluable.any()]
    common = np.logical_and.reduce(answered) if answered else np.zeros(len(judged[0].patients), dtype=bool)
    figures = []
    for each in judged:
        kept = each.only(common & each.evaluable)
        own = [
            float(metric(kept.truth[at], kept.prediction[at], np.ones(int(at.sum()))))
            for at in (kept.folds == fold for fold in np.unique(kept.folds))
        ]
        defined = [figure for figure in own if math.isfinite(figure)]
        figures.append(sum(defined) / len(defined) if defined else math.nan)
    return figures


def operating_points(entrant: Entrant, system: System, cases: Sequence[Case], *, seed: int) -> Iterator[dict[str, Any]]:
    """Yield a threshold by each rule for each binary target, chosen on a quarter of the training patients.

    The system is fitted once more, to the other three quarters, and asked about that quarter; patients are its unit.
    Where too few can be held out the threshold is nothing and `why` says so.
    """
    for target in (target for target in system.predicts if target.kind == "binary"):
        try:
            _, held = inner(cases, target, share=_HELD_OUT, rng=np.random.default_rng(seed))
            rows = [r for r in _answered(entrant, system, cases, held, fold=0, seed=seed) if r.target == target.id]
            judged = by_patient(rows)
        except ValueError as error:
            yield {"target": target.id, "rule": "", "threshold": None, "why": str(error)}
            continue
        kept = judged.only(judged.evaluable)
        ill = int((kept.truth == 1).sum())
        told = {"target": target.id, "patients": len(kept.patients), "with_condition": ill}
        if min(ill, len(kept.patients) - ill) < _FEWEST:
            why = f"fewer than {_FEWEST} patients of a class could be held out of training"
            yield {**told, "rule": "", "threshold": None, "why": why}
            continue
        for rule, threshold in RULES.items():
            yield {**told, "rule": rule, "threshold": threshold(kept.truth, kept.prediction)}


def _answered(
    entrant: Entrant, system: System, cases: Sequence[Case], held: NDArray[np.intp], *, fold: int, seed: int
) -> list[Row]:
    """Fit to the cases of other patients and return the answers about the cases held out."""
    out = [cases[i] for i in held]
    people = {case.patient for case in out}
    model = system.fit([case for case in cases if case.patient not in people], seed=seed)
    answers = zip(out, model.predict(out), strict=True)
    return [row for case, answer in answers for row in rows_about(entrant, case, plain(answer, case), fold)]
