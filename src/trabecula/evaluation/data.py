"""Which cases are judged and which are learned from: a cohort that was checked, or two of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from trabecula.findings import check, resolved

if TYPE_CHECKING:
    from trabecula.case import Case
    from trabecula.cohort import Cohort
    from trabecula.findings import Findings
    from trabecula.system import Progress

_LEARNED = "learned from"


@dataclass(frozen=True, eq=False, kw_only=True)
class Data:
    """The cases of an evaluation."""

    raw: Cohort
    """As they were read, for the split of a paper that took them so."""
    honest: Cohort
    """Without contradicting cases, and with one patient for all cases that share a picture."""
    shown: Cohort
    """Those that the report is about: all, or those of the cohort that is judged."""
    found: Findings
    judged: frozenset[str] = frozenset()
    """The cases of the other cohort, where one is learned from and another judged."""
    learned: dict[str, Any] | None = None
    """What the report says of the cohort that was learned from, where it is another."""


def prepared(cohort: Cohort, external: Cohort | None, *, target: str, seed: int, progress: Progress) -> Data:
    """Check and resolve a cohort, or two together: one to learn from and an external one to judge.

    Raises `ValueError` when a file cannot be read, or the two cohorts hold the same people only.
    """
    raw = cohort if external is None else _together(cohort, external)
    found = check(raw, target=target, seed=seed, progress=progress)
    if found.unreadable:
        raise ValueError(
            f"{len(found.unreadable)} of {found.cases} cases cannot be read, first {found.unreadable[0]}: "
            f"replace or remove them; `trabecula check` lists all"
        )
    honest = resolved(raw, found)
    if external is None:
        return Data(raw=raw, honest=honest, shown=honest, found=found)
    return _apart(cohort, raw, honest, found, frozenset(case.id for case in external.cases))


def _together(learned: Cohort, judged: Cohort) -> Cohort:
    """Return both cohorts as one, without the people to learn from who are to be judged as well."""
    marked = [
        replace(case, id=f"{_LEARNED} {learned.id}/{case.id}", patient=f"{_LEARNED} {learned.id}/{case.patient}")
        for case, same in zip(learned.cases, _same_people(learned, judged), strict=True)
        if not same
    ]
    if not marked:
        raise ValueError(
            f"every patient of {learned.id} is one of {judged.id} as well: to judge on another cohort is to judge on "
            f"other people. Name another --external; a phantom cohort has others with another --seed"
        )
    missed = len({case.patient for case in learned.cases}) - len({case.patient for case in marked})
    notes = [f"learned from {learned.id}: {note}" for note in learned.notes]
    if missed:
        notes.append(f"{missed} patients of {learned.id} are not learned from: they are judged in {judged.id}")
    return judged.with_cases((*marked, *judged.cases), *notes)


def _same_people(learned: Cohort, judged: Cohort) -> list[bool]:
    """Say of each case to learn from whether its patient is judged: by name, for phantoms by name, sex and age.

    Where patients are not known, names are those of files and say nothing: then pictures alone tell.
    """
    if "unknown" in (learned.card.patients, judged.card.patients):
        return [False] * len(learned.cases)
    made = learned.card.made or judged.card.made

    def who(case: Case) -> tuple[object, ...]:
        return (case.patient, case.table.get("sex"), case.table.get("age_years")) if made else (case.patient,)

    people = {who(case) for case in judged.cases}
    same = {case.patient for case in learned.cases if who(case) in people}
    return [case.patient in same for case in learned.cases]


def _apart(learned: Cohort, raw: Cohort, honest: Cohort, found: Findings, judged: Collection[str]) -> Data:
    """Take away those to learn from who share a picture with somebody judged, and say what the report is about."""
    people = {case.patient for case in honest.cases if case.id in judged}
    twins = {case.patient for case in honest.cases if case.id not in judged and case.patient in people}
    kept = [case for case in honest.cases if case.id in judged or case.patient not in twins]
    left = [case for case in kept if case.id not in judged]
    if not left or len(left) == len(kept):
        raise ValueError("after the check a cohort holds nobody: `trabecula check` of each says why")
    shared = f"{len(twins)} patients are in both cohorts by their pictures: they are judged and not learned from"
    both = honest.with_cases(kept, *([shared] if twins else []))
    return Data(
        raw=raw, honest=both, found=found, judged=frozenset(judged) & {case.id for case in kept},
        shown=both.with_cases([case for case in kept if case.id in judged]),
        learned={
            "id": learned.id, "title": learned.card.title, "cases": len(left), "patients": _patients(left),
            "of_patients": _patients(learned.cases), "card": learned.card.model_dump(),
        },
    )  # fmt: skip


def _patients(cases: Sequence[Case]) -> int:
    return len({case.patient for case in cases})
