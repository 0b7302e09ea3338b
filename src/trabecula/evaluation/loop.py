"""Everybody on every fold, and the report of it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from trabecula.evaluation.data import Data, prepared
from trabecula.evaluation.engine import Engine, side_by_side
from trabecula.evaluation.entrants import entered, entrants_of, judgeable
from trabecula.evaluation.judging import Task, judge
from trabecula.evaluation.kept import Kept
from trabecula.evaluation.rows import rows_of, told_of
from trabecula.protocol import Fold, Protocol, left_out, split
from trabecula.report.files import Report
from trabecula.report.summary import summary
from trabecula.system import Progress, System, quiet

if TYPE_CHECKING:
    from trabecula.cohort import Cohort
    from trabecula.evaluation.entrants import Entrant, Judgement

_DEFAULT, _HERE = Protocol(), Engine()


def evaluate(
    systems: Sequence[System],
    cohort: Cohort,
    *,
    external: Cohort | None = None,
    protocol: Protocol = _DEFAULT,
    baselines: bool = True,
    jobs: int | None = None,
    engine: Engine = _HERE,
    progress: Progress = quiet,
) -> Report:
    """Judge systems on a cohort, beside the baselines that the cohort has the inputs for.

    The cohort is checked first: pictures with two labels are dropped, duplicates become one patient. Folds are made
    once, so every system meets the same patients. For the protocol `external` the cohort is learned from and
    `external` judged. `jobs` folds run side by side (all cores by default), here or where `engine` says; the numbers
    depend on neither.
    Raises `ValueError` when a file cannot be read, there are too few patients, or a system cannot be judged here.
    """
    if not systems:
        raise ValueError("name at least one system to evaluate; `trabecula systems` lists them")
    if (external is None) == (protocol.name == "external"):
        raise ValueError(
            "the protocol external and another cohort to judge on go together: name both, --external COHORT, or neither"
        )
    named = entered(systems, protocol)
    for system in systems:
        for each in (cohort, external) if external else (cohort,):
            judgeable(system, each)
    data = prepared(cohort, external, target=systems[0].headline.id, seed=protocol.seed, progress=progress)
    folds = split(protocol, data.honest.cases, systems[0].headline.id, judged=data.judged)
    entrants = entrants_of(named, data, folds, protocol, baselines=baselines)
    judgements = _run(entrants, protocol, engine, jobs, progress)
    rows = [row for judgement in judgements for row in rows_of(entrants[judgement.entrant], judgement)]
    told = told_of(entrants, judgements, data.found)
    report = summary(rows, cohort=data.shown, findings=data.found, protocol=protocol, entrants=told)
    report["protocol"] |= _told_protocol(protocol, folds, data)
    return Report(report, tuple(rows))


def _run(
    entrants: Sequence[Entrant], protocol: Protocol, engine: Engine, jobs: int | None, progress: Progress
) -> list[Judgement]:
    """Judge every fold of every entrant, side by side, and return them in order; those kept are not judged again."""
    tasks = [Task(entrants[n], n, fold, protocol) for n in range(len(entrants)) for fold in entrants[n].folds]
    kept = Kept(engine.kept, tasks)
    done = [judgement for task in tasks if (judgement := kept.found(task))]
    held = {(judgement.entrant, judgement.fold.number) for judgement in done}
    left = [task for task in tasks if (task.number, task.fold.number) not in held]
    again = f", {len(done)} of them done before" if done else ""
    progress(len(done), len(tasks), f"{len(entrants)} systems and baselines, {len(tasks)} fits{again}")
    for judgement in side_by_side([partial(judge, task) for task in left], engine, jobs):
        kept.keep(judgement)
        done.append(judgement)
        progress(len(done), len(tasks), f"{entrants[judgement.entrant].name}, fold {judgement.fold.number + 1}")
    return sorted(done, key=lambda j: (j.entrant, j.fold.number))


def _told_protocol(protocol: Protocol, folds: Sequence[Fold], data: Data) -> dict[str, Any]:
    """Return what the report says of the folds: names and sizes, who is left out, whose split it is."""
    cases = data.honest.cases
    return {
        "fold_list": [
            {
                "fold": fold.number, "name": fold.name or f"fold {fold.number + 1}",
                "learned_from": len({cases[i].patient for i in fold.train}),
                "judged": len({cases[i].patient for i in fold.test}),
            }
            for fold in folds
        ],
        "left_out": left_out(folds, cases),
        "repeats": protocol.repeats if protocol.name == "repeated" else 1,
        "given": {"file": protocol.given.name, "sha256": protocol.given.digest} if protocol.given else None,
        "learned_from": data.learned,
    }  # fmt: skip
