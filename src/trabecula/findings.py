"""Look before learning: what a careful reviewer would do first with a cohort."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypedDict

from trabecula.cohort import Cohort
from trabecula.duplicates import look_at, same_pictures
from trabecula.image import Source
from trabecula.system import Progress, quiet
from trabecula.target import get_target

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trabecula.case import Case
    from trabecula.duplicates import Kind


class Duplicate(TypedDict):
    """Cases that hold the same picture; `kind` is the weakest sameness among them."""

    kind: Kind
    cases: list[str]
    patients: int


class Conflict(TypedDict):
    """Cases that contradict each other about a target."""

    target: str
    cases: list[str]


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What `check` found.

    `problems` must be resolved before learning; `remarks` should be known.
    """

    cases: int
    unreadable: tuple[str, ...] = ()
    """What cannot be decoded, as `case: what is wrong`."""
    duplicates: tuple[Duplicate, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    problems: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def must_resolve(self) -> bool:
        """Whether something must be resolved before learning."""
        return bool(self.problems)

    def lines(self) -> list[str]:
        """Return plain sentences, worst first."""
        return [*self.problems, *self.remarks]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "cases": self.cases, "readable": self.cases - len({line.split(": ")[0] for line in self.unreadable}),
            "unreadable": list(self.unreadable), "duplicates": [dict(group) for group in self.duplicates],
            "conflicts": [dict(each) for each in self.conflicts], "problems": list(self.problems),
            "remarks": list(self.remarks), "must_resolve": self.must_resolve,
        }  # fmt: skip


def check(cohort: Cohort, *, target: str | None = None, seed: int = 0, progress: Progress = quiet) -> Findings:
    """Look at every image, label and acquisition fact of a cohort.

    Raises `KeyError` for an unknown target.
    """
    targets = [get_target(target).id] if target else sorted({t for case in cohort.cases for t in case.truth})
    looks = look_at(cohort.cases, progress)
    unreadable = [f"{cohort.cases[number].id}: {why}" for number, why in looks.unreadable]
    groups = [(kind, [cohort.cases[i] for i in members]) for kind, members in same_pictures(looks, cohort.cases)]
    conflicts = [found for _, members in groups for found in _contradictions(members, targets)]
    duplicates = [
        Duplicate(kind=kind, cases=[c.id for c in members], patients=len({c.patient for c in members}))
        for kind, members in groups
    ]
    problems = []
    if unreadable or cohort.problems:
        problems.append(
            f"{len(unreadable) + len(cohort.problems)} files cannot be read, first "
            f"{[*unreadable, *cohort.problems][0]}: replace or remove them"
        )
    if conflicts:
        held = {id_ for conflict in conflicts for id_ in conflict["cases"]}
        problems.append(
            f"{len(held)} cases hold {len(conflicts)} pictures that occur with different labels, such as "
            f"{' and '.join(conflicts[0]['cases'])}: find out which label is right; learning drops all of them"
        )
    if loose := [group for group in duplicates if group["patients"] > 1]:
        problems.append(
            f"{sum(len(group['cases']) for group in loose)} cases of different patients are {len(loose)} pictures, "
            f"such as {' and '.join(loose[0]['cases'])}: give them one patient id; learning treats them as one patient"
        )
    return Findings(
        cases=len(cohort.cases), unreadable=tuple(unreadable), duplicates=tuple(duplicates),
        conflicts=tuple(conflicts), problems=tuple(problems),
    )  # fmt: skip


def resolved(cohort: Cohort, findings: Findings) -> Cohort:
    """Return the cohort without conflicting cases, and with one patient for all cases that share a picture.

    Raises `ValueError` when nothing is left.
    """
    dropped = {id_ for conflict in findings.conflicts for id_ in conflict["cases"]}
    kept = [case for case in cohort.cases if case.id not in dropped]
    same = _one_patient(kept, [group["cases"] for group in findings.duplicates])
    notes = []
    if dropped:
        notes.append(f"{len(dropped)} cases dropped: the same picture or patient occurs with different labels")
    if len(set(same.values())) < len(same):
        notes.append(
            f"{len(same)} patients became {len(set(same.values()))}, as they share pictures: duplicates are on one "
            f"side of every split"
        )
    else:
        same = {}
    if not notes:
        return cohort
    return cohort.with_cases([replace(case, patient=same.get(case.patient, case.patient)) for case in kept], *notes)


def _one_patient(cases: Sequence[Case], groups: Iterable[Sequence[str]]) -> dict[str, str]:
    """Return the name that each patient who shares a picture with another takes: the first of all who do."""
    of = {case.id: case.patient for case in cases}
    name: dict[str, str] = {}

    def root(patient: str) -> str:
        while name.setdefault(patient, patient) != patient:
            patient = name[patient]
        return patient

    for group in groups:
        roots = sorted({root(of[id_]) for id_ in group if id_ in of})
        for patient in roots[1:]:
            name[patient] = roots[0]
    return {patient: root(patient) for patient in list(name)}


def _contradictions(members: Sequence[Case], targets: Sequence[str]) -> Iterable[Conflict]:
    """Yield the cases of one picture and one part whose labels differ."""
    for target in targets:
        by_part: dict[str, list[Case]] = {}
        for case in members:
            if target in case.truth and not isinstance(case.truth[target], Source):
                by_part.setdefault(case.part, []).append(case)
        for cases in by_part.values():
            if len({repr(case.truth[target]) for case in cases}) > 1:
                yield Conflict(target=target, cases=[case.id for case in cases])
