"""Judged where or when nothing was learned from: another site, a later time, another cohort.

Unlabelled patients of the side that is judged are left out: the point is that nothing of it was seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from trabecula.protocol.dealing import Fold, classes, some_truth, take
from trabecula.protocol.rule import day
from trabecula.target import get_target

if TYPE_CHECKING:
    from trabecula.case import Case


def across_sites(cases: Sequence[Case], target: str) -> list[Fold]:
    """Return one fold a site, in the order of their names.

    A patient seen at several sites is judged once, with all their cases, at the site with most of them (the first of
    equals), and is not learned from when any of those sites is judged.
    Raises `ValueError` when a case has no site, there is one site only, or the others of a site have one class only.
    """
    at = _all_told("site", cases)
    places: dict[str, Counter[str]] = {}
    for case, site in zip(cases, at, strict=True):
        places.setdefault(case.patient, Counter())[site] += 1
    home = {patient: min(seen, key=lambda site: (-seen[site], site)) for patient, seen in places.items()}
    labelled = classes(cases, target)
    some_truth(labelled, target)
    sites = sorted({home[patient] for patient in labelled})
    if len(sites) < 2:
        raise ValueError(f"labelled patients are of one site only ({sites[0]}): nothing can be left out. Ask for kfold")
    folds = []
    for number, site in enumerate(sites):
        train = [i for i, case in enumerate(cases) if site not in places[case.patient]]
        test = [i for i, case in enumerate(cases) if home[case.patient] == site]
        fold = _fold(number, train, test, cases, target, f"site {site}")
        _both_sides(fold, cases, target, "merge sites in group.site, or ask for kfold", judged_too=False)
        folds.append(fold)
    return folds


def across_time(cases: Sequence[Case], target: str, *, since: str, share: float) -> list[Fold]:
    """Return one fold that learns from what was seen before a date and judges on visits from then on.

    A patient seen on both sides is judged; their earlier visits are left out. Without a date, it is the one from which
    a share of the labelled patients were seen last; patients of one day stay together.
    Raises `ValueError` when a case has no date, or a side holds nobody or one class only.
    """
    seen = [day(text) for text in _all_told("date", cases)]
    last = dict(sorted(zip((case.patient for case in cases), seen, strict=True), key=lambda pair: pair[1]))
    labelled = classes(cases, target)
    some_truth(labelled, target)
    dates = sorted(last[patient] for patient in labelled)
    if len(dates) < 2:
        raise ValueError("one patient cannot be on two sides of a date: bring more")
    cut = day(since) if since else dates[-take(share, len(dates))]
    train = [i for i, case in enumerate(cases) if last[case.patient] < cut]
    test = [i for i, on in enumerate(seen) if on >= cut]
    fold = _fold(0, train, test, cases, target, f"from {cut.isoformat()} on")
    remedy = f"labelled patients were last seen from {dates[0]} to {dates[-1]}: move the date with --since"
    _both_sides(fold, cases, target, remedy)
    return [fold]


def across_cohorts(cases: Sequence[Case], target: str, judged: Collection[str]) -> list[Fold]:
    """Return one fold that judges the cases named and learns from all others.

    Raises `ValueError` when none are named, a patient is on both sides, or a side holds nobody or one class only.
    """
    if not judged:
        raise ValueError("external learns from one cohort and judges on another: name that with --external COHORT")
    train = [i for i, case in enumerate(cases) if case.id not in judged]
    test = [i for i, case in enumerate(cases) if case.id in judged]
    if both := {cases[i].patient for i in train} & {cases[i].patient for i in test}:
        raise ValueError(f"{len(both)} patients such as {min(both)} are of both cohorts: remove them from one")
    fold = _fold(0, train, test, cases, target, "another cohort")
    _both_sides(fold, cases, target, "bring more patients of the other class")
    return [fold]


def _fold(
    number: int, train: Sequence[int], test: Sequence[int], cases: Sequence[Case], target: str, name: str
) -> Fold:  # fmt: skip
    """Return a fold that judges those with truth; who has none on that side is left out."""
    known = {cases[i].patient for i in test if target in cases[i].truth}
    return Fold(number, tuple(train), tuple(i for i in test if cases[i].patient in known), name=name)


def _all_told(group: str, cases: Sequence[Case]) -> list[str]:
    """Return the site or date of every case."""
    lacking = [case.id for case in cases if not case.groups.get(group)]
    if lacking:
        raise ValueError(
            f"{len(lacking)} of {len(cases)} cases have no {group}, first {lacking[0]}: tell it in group.{group} or "
            f"remove them, or ask for kfold"
        )
    return [case.groups[group] for case in cases]


def _both_sides(fold: Fold, cases: Sequence[Case], target: str, remedy: str, *, judged_too: bool = True) -> None:
    """Refuse a fold of which a side has nobody with truth, or one class only."""
    sides = {"learned from": fold.train, "judged": fold.test} if judged_too else {"learned from": fold.train}
    for word, side in sides.items():
        patients = classes([cases[i] for i in side], target)
        if not patients:
            raise ValueError(f"{fold.name}: nobody who would be {word} has truth for {target}; {remedy}")
        if get_target(target).classifies and len(set(patients.values())) < 2:
            raise ValueError(f"{fold.name}: all {len(patients)} patients {word} have the same {target}; {remedy}")
