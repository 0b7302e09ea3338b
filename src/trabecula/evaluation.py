"""The one loop: every system on every fold of one cohort, beside the baselines, under one protocol."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from trabecula import metrics
from trabecula.card import system_card, system_ids
from trabecula.case import Event
from trabecula.cohort import Cohort, fitted_to
from trabecula.findings import check, resolved
from trabecula.image import Image
from trabecula.prediction import Abstain, LabelMap, to_json
from trabecula.protocol import Fold, Protocol, fewer_labels, published_split, split
from trabecula.report.files import Report
from trabecula.report.numbers import Row
from trabecula.report.summary import Told, summary
from trabecula.system import Model, Progress, System, get_system, quiet
from trabecula.target import get_target

if TYPE_CHECKING:
    from trabecula.case import Case, Truth
    from trabecula.findings import Findings
    from trabecula.prediction import Answer, Prediction

_DEFAULT = Protocol()


@dataclass(frozen=True, eq=False, kw_only=True)
class Entrant:
    """A recipe, the cases it meets and how they are split."""

    system: System
    name: str
    """The id, and where a system is entered in several variants the settings that tell them apart."""
    role: str
    cases: Sequence[Case]
    folds: Sequence[Fold]
    protocol: str
    labels: str = ""
    """How many labels it learned from, where that is the question: `labels=25%` or `shots=5`."""

    @property
    def labelled(self) -> float | None:
        """Patients whose labels it was told, on average over folds, where that is the question."""
        told = [{self.cases[i].patient for i in fold.labelled} for fold in self.folds if fold.labelled is not None]
        return sum(map(len, told)) / len(told) if told else None


@dataclass(frozen=True, eq=False, kw_only=True)
class Judgement:
    """What one fold of one entrant gave."""

    entrant: int
    fold: Fold
    answers: Sequence[Answer]
    fit_seconds: float
    predict_seconds: float
    notes: dict[str, Any] = field(default_factory=dict)


def evaluate(
    systems: Sequence[System],
    cohort: Cohort,
    *,
    protocol: Protocol = _DEFAULT,
    baselines: bool = True,
    jobs: int | None = None,
    progress: Progress = quiet,
) -> Report:
    """Judge systems on a cohort, beside the baselines that the cohort has the inputs for.

    The cohort is checked first: pictures with two labels are dropped, duplicates become one patient. Folds are made
    once, so every system meets the same patients. `jobs` folds run side by side (all cores by default); the numbers
    do not depend on it.
    Raises `ValueError` when a file cannot be read, there are too few patients, or a system cannot be judged here.
    """
    if not systems:
        raise ValueError("name at least one system to evaluate; `trabecula systems` lists them")
    names = names_of(systems)
    if twice := [name for name, n in Counter(names).items() if n > 1]:
        raise ValueError(f"{twice[0]} is named twice with the same settings: name it once, or vary a setting")
    target = systems[0].headline.id
    for system in systems:
        _judgeable(system, cohort)
    found = check(cohort, target=target, seed=protocol.seed, progress=progress)
    if found.unreadable:
        raise ValueError(
            f"{len(found.unreadable)} of {found.cases} cases cannot be read, first {found.unreadable[0]}: "
            f"replace or remove them; `trabecula check` lists all"
        )
    honest = resolved(cohort, found)
    entrants = _entrants(dict(zip(names, systems, strict=True)), cohort, honest, protocol, baselines=baselines)
    judgements = _run(entrants, jobs or os.cpu_count() or 1, protocol.seed, progress)
    rows = [row for judgement in judgements for row in _rows(entrants[judgement.entrant], judgement)]
    told = summary(rows, cohort=honest, findings=found, protocol=protocol, entrants=_told(entrants, judgements, found))
    return Report(told, tuple(rows))


def names_of(systems: Sequence[System]) -> list[str]:
    """Name systems by their ids, and variants of one by the settings that tell them apart as well."""
    told = [system.settings() for system in systems]
    names = []
    for system, own in zip(systems, told, strict=True):
        variants = [other for each, other in zip(systems, told, strict=True) if each.id() == system.id()]
        apart = [name for name in own if any(other[name] != own[name] for other in variants)]
        names.append(":".join((system.id(), *(f"{name}={_short(own[name])}" for name in apart))))
    return names


def _short(value: Any) -> str:
    return "-".join(map(str, value)) if isinstance(value, list) else str(value)


def _judgeable(system: System, cohort: Cohort) -> None:
    """Refuse a system that asks for a target or an input that no case of the cohort has."""
    offered = sorted({target for case in cohort.cases for target in case.truth})
    wanted = system.headline
    if wanted.id not in offered:
        same = [t for t in offered if get_target(t).same_kind(wanted)]
        hint = (
            f"--target {same[0]} replaces it" if same else f"the cohort has truth for {', '.join(offered) or 'nothing'}"
        )
        raise ValueError(f"{system.id()} predicts {wanted.id}, for which {cohort.id} has no truth; {hint}")
    inputs = system.inputs()
    cases = fitted_to(cohort.cases, inputs)
    if lacking := [name for name in inputs.required if all(case.lacks([name]) for case in cases)]:
        raise ValueError(f"{system.id()} needs {', '.join(lacking)}, which no case of {cohort.id} has")


def _entrants(
    named: Mapping[str, System], cohort: Cohort, honest: Cohort, protocol: Protocol, *, baselines: bool
) -> list[Entrant]:
    systems = list(named.values())
    folds = split(protocol, honest.cases, systems[0].headline.id)
    beside = {system.id(): system for system in (_baselines(systems, honest) if baselines else ())}
    told = fewer_labels(protocol, folds, honest.cases, systems[0].headline.id) or {"": folds}
    entrants = [
        Entrant(
            system=system,
            name=":".join(filter(None, (name, labels))),
            role=system.card().role,
            cases=fitted_to(honest.cases, system.inputs()),
            folds=own,
            protocol=protocol.name if protocol.name != "as_published" else "kfold",
            labels=labels,
        )
        for name, system in {**named, **beside}.items()
        for labels, own in told.items()
    ]
    if protocol.name != "as_published":
        return entrants
    apart = (_as_published(name, system, cohort, protocol.seed) for name, system in named.items())
    return entrants + [entrant for entrant in apart if entrant]


def _as_published(name: str, system: System, cohort: Cohort, seed: int) -> Entrant | None:
    """Enter a system again under its paper's own split: duplicates apart, conflicts kept, as the paper had them."""
    published = system.card().split
    if published is None:
        return None
    cases = fitted_to(cohort.cases, system.inputs())
    folds = published_split(published, cases, system.headline.id, seed=seed)
    if published.unit == "image":
        cases = [replace(case, patient=case.id) for case in cases]
    return Entrant(system=system, name=name, role="as_published", cases=cases, folds=folds, protocol="as_published")


def _baselines(systems: Sequence[System], cohort: Cohort) -> Iterator[System]:
    """Give each baseline for the first system's headline that the cohort has the inputs for and nobody named."""
    named = {system.id() for system in systems}
    cards = [system_card(id_) for id_ in system_ids()]
    for card in cards:
        if card.role != "baseline" or not card.built or card.id in named:
            continue
        if not get_target(card.targets[0]).same_kind(systems[0].headline):
            continue
        system = get_system(card.id, targets=(systems[0].headline.id,))
        required = system.inputs().required
        if any(not case.lacks(required) for case in cohort.cases):
            yield system


def _run(entrants: Sequence[Entrant], jobs: int, seed: int, progress: Progress) -> list[Judgement]:
    """Judge every fold of every entrant, side by side, longest work first, and return them in order."""
    tasks = [(number, fold) for number, entrant in enumerate(entrants) for fold in entrant.folds]
    done: list[Judgement] = []
    for judgement in _judged(entrants, tasks, min(jobs, len(tasks)), seed, progress):
        done.append(judgement)
        entrant = entrants[judgement.entrant]
        progress(len(done), len(tasks), f"{entrant.name}, fold {judgement.fold.number + 1}")
    return sorted(done, key=lambda j: (j.entrant, j.fold.number))


def _judged(
    entrants: Sequence[Entrant], tasks: Sequence[tuple[int, Fold]], jobs: int, seed: int, progress: Progress
) -> Iterator[Judgement]:
    progress(0, len(tasks), f"{len(entrants)} systems and baselines, {len(tasks)} fits")
    if jobs == 1:
        yield from (_judge(entrants[number], number, fold, seed) for number, fold in tasks)
        return
    from joblib import Parallel, delayed  # noqa: PLC0415

    work = Parallel(n_jobs=jobs, return_as="generator_unordered")
    yield from work(delayed(_judge)(entrants[number], number, fold, seed) for number, fold in tasks)


def _judge(entrant: Entrant, number: int, fold: Fold, seed: int) -> Judgement:
    test = [entrant.cases[i] for i in fold.test]
    start = time.perf_counter()
    try:
        model: Model = entrant.system.fit(_learned_from(entrant, fold), seed=seed + fold.number)
    except ValueError as error:
        if fold.labelled is None:
            raise
        return _not_fitted(entrant, number, fold, str(error))
    fitted = time.perf_counter()
    answers = model.predict(test)
    return Judgement(
        entrant=number,
        fold=fold,
        answers=[_plain(answer, case) for answer, case in zip(answers, test, strict=True)],
        fit_seconds=fitted - start,
        predict_seconds=time.perf_counter() - fitted,
        notes={name: model.state.facts[name] for name in ("weights",) if name in model.state.facts},
    )


def _learned_from(entrant: Entrant, fold: Fold) -> list[Case]:
    """Return the training cases, those without truth whose labels are not told."""
    told = set(fold.train if fold.labelled is None else fold.labelled)
    return [entrant.cases[i] if i in told else replace(entrant.cases[i], truth={}) for i in fold.train]


def _not_fitted(entrant: Entrant, number: int, fold: Fold, why: str) -> Judgement:
    """Return an abstention for everybody: a system that cannot learn from so few labels has no answer."""
    silent: Any = {target.id: {"abstain": f"not fitted: {why}"} for target in entrant.system.predicts}
    return Judgement(entrant=number, fold=fold, answers=[silent] * len(fold.test), fit_seconds=0.0, predict_seconds=0.0)


def _plain(answer: Answer, case: Case) -> Any:
    """Turn predictions into JSON where they are made, so that no image travels between processes."""
    return {target: _cell(prediction, case.truth.get(target)) for target, prediction in answer.items()}


def _cell(prediction: Prediction, truth: Truth | None) -> Any:
    told = to_json(prediction)
    if isinstance(prediction, LabelMap) and truth is not None and not isinstance(truth, int | float | Event):
        known: Image = truth.load()
        return {**told, "dice": metrics.dice(known.voxels, prediction.image.voxels)}
    return told if not isinstance(prediction, Abstain) else {"abstain": prediction.reason}


def _rows(entrant: Entrant, judgement: Judgement) -> Iterator[Row]:
    for index, answer in zip(judgement.fold.test, judgement.answers, strict=True):
        case = entrant.cases[index]
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
                fold=judgement.fold.number,
                truth=_known(case.truth[target]),
                prediction=None if reason else told,
                abstained=reason,
            )


def _known(truth: Truth) -> Any:
    if isinstance(truth, Event):
        return {"years": truth.years, "event": truth.event}
    return truth if isinstance(truth, int | float) else 1.0


def _told(entrants: Sequence[Entrant], judgements: Sequence[Judgement], found: Findings) -> list[Told]:
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
                notes={name: value for j in mine for name, value in j.notes.items()},
                leak=_leak(entrant, found) if entrant.role == "as_published" else {},
            )
        )
    return told


def _leak(entrant: Entrant, found: Findings) -> dict[str, int]:
    """Count judged pictures of which a copy was learned from."""
    copies = {case: number for number, group in enumerate(found.duplicates) for case in group["cases"]}
    judged = twins = 0
    for fold in entrant.folds:
        learned = {copies[entrant.cases[i].id] for i in fold.train if entrant.cases[i].id in copies}
        judged += len(fold.test)
        twins += sum(copies.get(entrant.cases[i].id) in learned for i in fold.test)
    return {"judged": judged, "copy_in_training": twins}
