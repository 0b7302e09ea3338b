"""From answers to the lines of `predictions.csv`, and what the report is told besides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trabecula import metrics
from trabecula.case import Event
from trabecula.image import Image
from trabecula.prediction import Abstain, LabelMap, to_json
from trabecula.report.numbers import Row
from trabecula.report.summary import Told

if TYPE_CHECKING:
    from trabecula.case import Case, Truth
    from trabecula.evaluation.entrants import Entrant, Judgement
    from trabecula.findings import Findings
    from trabecula.prediction import Answer, Prediction


def plain(answer: Answer, case: Case) -> dict[str, Any]:
    """Turn predictions into JSON where they are made, so that no image travels between processes."""
    return {target: _cell(prediction, case.truth.get(target)) for target, prediction in answer.items()}


def _cell(prediction: Prediction, truth: Truth | None) -> Any:
    told = to_json(prediction)
    if isinstance(prediction, LabelMap) and truth is not None and not isinstance(truth, int | float | Event):
        known: Image = truth.load()
        return {**told, "dice": metrics.dice(known.voxels, prediction.image.voxels)}
    return told if not isinstance(prediction, Abstain) else {"abstain": prediction.reason}


def rows_of(entrant: Entrant, judgement: Judgement) -> Iterator[Row]:
    """Yield a row for each answer about a target that the case has truth for."""
    for index, answer in zip(judgement.fold.test, judgement.answers, strict=True):
        yield from rows_about(entrant, entrant.cases[index], answer, judgement.fold.number)


def rows_about(entrant: Entrant, case: Case, answer: Mapping[str, Any], fold: int) -> Iterator[Row]:
    """Yield the rows of one case, a row for each target that it has truth for."""
    for target, told in answer.items():
        if target not in case.truth:
            continue
        reason = told["abstain"] if isinstance(told, dict) and "abstain" in told else ""
        yield Row(
            system=entrant.name,
            role=entrant.role,
            protocol=entrant.protocol,
            target=target,
            case=case.id,
            part=case.part,
            patient=case.patient,
            fold=fold,
            truth=_known(case.truth[target]),
            prediction=None if reason else told,
            abstained=reason,
        )


def _known(truth: Truth) -> Any:
    if isinstance(truth, Event):
        return {"years": truth.years, "event": truth.event}
    return truth if isinstance(truth, int | float) else 1.0


def told_of(entrants: Sequence[Entrant], judgements: Sequence[Judgement], found: Findings) -> list[Told]:
    """Return what the report needs to know about each entrant besides its answers."""
    told = []
    for number, entrant in enumerate(entrants):
        mine = [j for j in judgements if j.entrant == number]
        told.append(
            Told(
                system=entrant.system,
                name=entrant.name,
                role=entrant.role,
                protocol=entrant.protocol,
                labels=entrant.labels,
                labelled=entrant.labelled,
                fit_seconds=sum(j.fit_seconds for j in mine),
                predict_seconds=sum(j.predict_seconds for j in mine),
                notes=_notes(mine),
                leak=_leak(entrant, found) if entrant.role == "as_published" else {},
            )
        )
    return told


def _notes(judgements: Sequence[Judgement]) -> dict[str, Any]:
    """Return what the folds note: lists one after the other, of anything else the last."""
    notes: dict[str, Any] = {}
    for judgement in judgements:
        for name, value in judgement.notes.items():
            notes[name] = [*notes.get(name, ()), *value] if isinstance(value, list) else value
    return notes


def _leak(entrant: Entrant, found: Findings) -> dict[str, int]:
    """Count judged pictures of which a copy was learned from."""
    copies = {case: number for number, group in enumerate(found.duplicates) for case in group["cases"]}
    judged = twins = 0
    for fold in entrant.folds:
        learned = {copies[entrant.cases[i].id] for i in fold.train if entrant.cases[i].id in copies}
        judged += len(fold.test)
        twins += sum(copies.get(entrant.cases[i].id) in learned for i in fold.test)
    return {"judged": judged, "copy_in_training": twins}
