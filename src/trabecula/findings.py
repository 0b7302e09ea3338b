"""Look before learning: what a careful reviewer would do first with a cohort.

Pictures are compared in `trabecula.duplicates`, values and labels held against each other in `trabecula.plausible`,
and `trabecula.acquisition` measures what the way of taking pictures gives away. Here it becomes sentences.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from trabecula import plausible
from trabecula.acquisition import Shortcut, facts_of, shortcut
from trabecula.cohort import Cohort
from trabecula.duplicates import look_at, same_pictures
from trabecula.image import Source
from trabecula.system import Progress, quiet
from trabecula.target import VARIABLES, get_target

if TYPE_CHECKING:
    from pathlib import Path

    from trabecula.case import Case
    from trabecula.duplicates import Kind, Looks

_FEW = 10  # patients of a class, below which no figure about it means much


class Duplicate(TypedDict):
    """Cases that hold one picture; `kind` is the weakest sameness among them."""

    kind: Kind
    cases: list[str]
    patients: int


class Conflict(TypedDict):
    """Cases that contradict each other about a target: one picture, or one patient, with different labels."""

    kind: Literal["picture", "patient"]
    target: str
    cases: list[str]


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What `check` found.

    `problems` must be resolved before learning: files that cannot be read, empty images and masks, contradicting
    labels, pictures shared by different patients, labels at odds with their definition, values out of range or that
    look like codes, a target without two classes, and a strong shortcut. `remarks` should be known.
    """

    cases: int
    readable: int
    """Cases of which every image and mask can be decoded."""
    unreadable: tuple[str, ...] = ()
    """What cannot be decoded, as `case: what is wrong`."""
    duplicates: tuple[Duplicate, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    shortcut: Shortcut | None = None
    missing: Mapping[str, float] = field(default_factory=dict)
    """By image role, variable or group: the share of cases without it."""
    out_of_range: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By variable: the cases whose value it cannot have."""
    at_odds: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By target: `case: why` for labels that contradict their definition."""
    classes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """By target: the number of patients of each grade."""
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
            "cases": self.cases, "readable": self.readable, "unreadable": list(self.unreadable),
            "duplicates": [dict(group) for group in self.duplicates],
            "conflicts": [dict(each) for each in self.conflicts],
            "shortcut": self.shortcut.to_json() if self.shortcut else None,
            "missing": dict(self.missing),
            "out_of_range": {name: list(ids) for name, ids in self.out_of_range.items()},
            "at_odds": {name: list(whys) for name, whys in self.at_odds.items()},
            "classes": {target: dict(counts) for target, counts in self.classes.items()},
            "problems": list(self.problems), "remarks": list(self.remarks), "must_resolve": self.must_resolve,
        }  # fmt: skip


def check(cohort: Cohort, *, target: str | None = None, seed: int = 0, progress: Progress = quiet) -> Findings:
    """Look at every image, value, label and acquisition fact of a cohort.

    Labels of `target` are looked at, or of all targets without one; the shortcut is then measured on the first of
    the card that has classes. Raises `KeyError` for an unknown target.
    """
    cases = cohort.cases
    targets = [get_target(target).id] if target else _targets(cohort)
    looks = look_at(cases, progress)
    same = same_pictures(looks, cases, seed=seed)
    groups = [[cases[i] for i in members] for _, members in same]
    bare = Findings(
        cases=len(cases),
        readable=len(cases) - len({number for number, _ in looks.unreadable}),
        unreadable=tuple(f"{cases[number].id}: {why}" for number, why in looks.unreadable),
        duplicates=tuple(
            Duplicate(kind=kind, cases=[c.id for c in members], patients=len({c.patient for c in members}))
            for (kind, _), members in zip(same, groups, strict=True)
        ),
        conflicts=tuple(_conflicts(cases, [(kind, own) for (kind, _), own in zip(same, groups, strict=True)], targets)),
        missing=plausible.missing(cases),
        out_of_range=plausible.out_of_range(cases),
        at_odds={t: whys for t in targets if (whys := plausible.at_odds(cases, get_target(t)))},
        classes={t: plausible.classes(cases, get_target(t)) for t in targets if get_target(t).classifies},
    )
    found = replace(bare, shortcut=_shortcut(cohort, bare, looks, targets[0], seed) if targets else None)
    empty = [f"{cases[number].id} ({role})" for number, role in looks.empty]
    return replace(
        found,
        problems=tuple(_problems(found, cohort, targets, empty)),
        remarks=tuple(_remarks(found, cohort, targets)),
    )


def resolved(cohort: Cohort, findings: Findings) -> Cohort:
    """Return the cohort without contradicting cases, and with one patient for all cases that share a picture.

    Raises `ValueError` when nothing is left.
    """
    kept, notes = _resolved(cohort.cases, findings)
    return cohort.with_cases(kept, *notes) if notes else cohort


def picture(cohort: Cohort, findings: Findings, path: Path) -> None:
    """Write a contact sheet (PNG) of pictures that occur twice, those with different labels first.

    Raises `OSError` when the file cannot be written.
    """
    from trabecula.contact_sheet import draw  # noqa: PLC0415

    draw(cohort.cases, findings.duplicates, [each["cases"] for each in findings.conflicts], path)


def _targets(cohort: Cohort) -> list[str]:
    """Return all targets with truth, those that classify first, in the order of the card."""
    known = {target for case in cohort.cases for target in case.truth}
    order = [target for target in cohort.card.targets if target in known]
    order += sorted(known - set(order))
    return sorted(order, key=lambda target: not get_target(target).classifies)


def _conflicts(
    cases: Sequence[Case], groups: Sequence[tuple[str, Sequence[Case]]], targets: Sequence[str]
) -> Iterator[Conflict]:
    """Yield cases of one picture and one part, or of one patient, whose labels differ."""
    for target in targets:
        for kind, members in groups:
            by_part: dict[str, list[Case]] = {}
            for case in members:
                if target in case.truth and not isinstance(case.truth[target], Source):
                    by_part.setdefault(case.part, []).append(case)
            for part in by_part.values():
                if len({repr(case.truth[target]) for case in part}) > 1 and not _follow_up(kind, part):
                    yield Conflict(kind="picture", target=target, cases=[case.id for case in part])
        for ids in plausible.disagreeing(cases, get_target(target)):
            yield Conflict(kind="patient", target=target, cases=ids)


def _follow_up(kind: str, cases: Sequence[Case]) -> bool:
    """Whether pictures that look alike are of one patient at several dates, when labels may have changed."""
    dates = {case.groups.get("date", "") for case in cases}
    return kind != "exact" and len({case.patient for case in cases}) == 1 and len(dates) == len(cases)


def _resolved(cases: Sequence[Case], findings: Findings) -> tuple[list[Case], list[str]]:
    """Return what `resolved` keeps, and notes that say what was done; no notes when nothing was."""
    dropped = {id_ for conflict in findings.conflicts for id_ in conflict["cases"]}
    kept = [case for case in cases if case.id not in dropped]
    same = _one_patient(kept, [group["cases"] for group in findings.duplicates])
    merged = {patient: name for patient, name in same.items() if patient != name}
    notes = []
    if dropped:
        notes.append(f"{len(dropped)} cases dropped: one picture or one patient occurs with different labels")
    if merged:
        involved = {*merged, *merged.values()}
        notes.append(
            f"{len(involved)} patients became {len(set(merged.values()))}, as they share pictures: duplicates lie on "
            f"one side of every split"
        )
    return [replace(case, patient=merged.get(case.patient, case.patient)) for case in kept], notes


def _one_patient(cases: Sequence[Case], groups: Sequence[Sequence[str]]) -> dict[str, str]:
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


def _shortcut(cohort: Cohort, found: Findings, looks: Looks, target: str, seed: int) -> Shortcut | None:
    told, source = facts_of(cohort.cases, looks)
    facts = {case.id: each for case, each in zip(cohort.cases, told, strict=True)}
    honest, _ = _resolved(cohort.cases, found)
    return shortcut(cohort.cases, honest, facts, target=target, source=source, seed=seed)


def _problems(found: Findings, cohort: Cohort, targets: Sequence[str], empty: Sequence[str]) -> Iterator[str]:
    """Yield what must be resolved, each with what to do."""
    if unreadable := [*found.unreadable, *cohort.problems]:
        yield f"{_n(unreadable, 'file')} cannot be read, first {unreadable[0]}: replace or remove what is broken"
    pictures = [each["cases"] for each in found.conflicts if each["kind"] == "picture"]
    if pictures:
        yield (
            f"{_in_groups(pictures)} hold the same picture with different labels, such as {_such(pictures[0])}: find "
            f"out which label is right; until then evaluation drops them all"
        )
    patients = [each["cases"] for each in found.conflicts if each["kind"] == "patient"]
    if patients:
        yield (
            f"{_in_groups(patients)} of one patient have labels that contradict each other, such as "
            f"{_such(patients[0])}: correct them, or tell visits apart in group.date; until then they are dropped"
        )
    if found.shortcut and found.shortcut.strong:
        seen = any(case.images for case in cohort.cases)
        lesson = "a network can learn the scanner instead of bone" if seen else "a model can learn the site instead"
        yield (
            f"SHORTCUT: acquisition facts alone reach AUC {_auc(found.shortcut)} for {found.shortcut.target}, mostly "
            f"{_strongest(found.shortcut)}: {lesson}. Make acquisition alike in both classes, or judge every system "
            f"beside baseline_acquisition"
        )
    if loose := [group for group in found.duplicates if group["patients"] > 1]:
        count, kinds = sum(len(group["cases"]) for group in loose), {group["kind"] for group in loose}
        again = "" if kinds == {"exact"} else " (saved again, cropped or turned)"
        yield (
            f"{count} cases of different patients hold {_n(loose, 'picture')} more than once{again}, such as "
            f"{_such(loose[0]['cases'])}: give them one patient id; evaluation treats them as one patient"
        )
    for target, whys in found.at_odds.items():
        yield f"{_n(whys, 'label')} of {target} at odds with its definition, first {whys[0]}: correct label or value"
    for name, ids in found.out_of_range.items():
        yield f"{name} of {_n(ids, 'case')} cannot be, such as {_such(ids)}: {_range(name)}; correct or leave it empty"
    for name, code in plausible.codes(cohort.cases).items():
        yield f"{name} is {code:g} again and again, far from all other values: leave it empty if it means missing"
    if empty:
        yield f"{_n(empty, 'image or mask', 'images or masks')} of one value only, first {empty[0]}: replace or remove"
    if not targets:
        yield "no case has truth for any target: there is nothing to learn; see `truth.<target>` in the manifest"
    for target, counts in found.classes.items():
        if sum(n > 0 for n in counts.values()) < 2:
            yield f"{target} has one class only ({_counted(counts)} patients): there is nothing to tell apart"


def _remarks(found: Findings, cohort: Cohort, targets: Sequence[str]) -> Iterator[str]:
    """Yield what should be known, most important first."""
    cases = cohort.cases
    if found.shortcut is None and targets:
        yield (
            f"no shortcut could be measured for {targets[0]}: no acquisition fact varies, or a class has fewer than "
            f"{_FEW} patients"
        )
    elif found.shortcut and not found.shortcut.strong:
        yield f"acquisition facts reach AUC {_auc(found.shortcut)} for {found.shortcut.target}: no strong shortcut"
    if cohort.card.patients == "unknown":
        yield "patients are not known: two pictures of one patient that are not copies may lie on both sides of a split"
    for target, counts in found.classes.items():
        if 0 < min(counts.values()) < _FEW or (0 in counts.values() and len(counts) > 2):
            yield f"{target} has a class of under {_FEW} patients ({_counted(counts)}): figures about it mean little"
    for target in targets:
        unlabelled = sum(target not in case.truth for case in cases)
        if unlabelled:
            yield f"{unlabelled} of {len(cases)} cases have no truth for {target}: they are never judged"
        if young := plausible.outside_population(cases, get_target(target)):
            yield (
                f"{_n(young, 'case')} such as {_such(young)}: {target} is defined for {get_target(target).population}"
            )
    if found.missing:
        worst = sorted(found.missing.items(), key=lambda pair: -pair[1])
        shown = ", ".join(f"{name} {share:.0%}" for name, share in worst[:8])
        yield f"missing: {shown}{f' and {len(worst) - 8} more' * (len(worst) > 8)}"
    if within := [group for group in found.duplicates if group["patients"] == 1]:
        yield f"{_n(within, 'picture')} more than once within a patient, such as {_such(within[0]['cases'])}"
    for name, n in plausible.several(cases).items():
        yield f"{n} {'patient occurs' if n == 1 else 'patients occur'} with several values of {name}"
    if len({case.weight for case in cases}) > 1:
        yield "cases stand for different numbers of people: read prevalence weighted for the population"


def _n(things: Sequence[Any] | Mapping[Any, Any], one: str, many: str = "") -> str:
    return f"{len(things)} {one if len(things) == 1 else many or f'{one}s'}"


def _in_groups(groups: Sequence[Sequence[str]]) -> str:
    return f"{len({id_ for group in groups for id_ in group})} cases in {_n(groups, 'group')}"


def _such(ids: Sequence[str]) -> str:
    return " and ".join(ids[:2])


def _auc(shortcut: Shortcut) -> str:
    auc = shortcut.auc
    return f"{auc.value:.2f} ({auc.low:.2f}-{auc.high:.2f})"


def _strongest(shortcut: Shortcut) -> str:
    return " and ".join([name for name, loss in shortcut.features.items() if loss > 0][:2]) or "together"


def _range(name: str) -> str:
    variable = VARIABLES[name]
    if variable.categorical:
        return f"known codes are {', '.join(variable.codes)}"
    if variable.unit == "0/1":
        return "it is 0 or 1"
    return f"it is a number from {variable.low:g} to {variable.high:g} {variable.unit}"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{grade} {n}" for grade, n in counts.items())
