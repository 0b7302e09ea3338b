"""Folds of every protocol, made once per cohort: nobody is learned from and judged on in one fold."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from trabecula.protocol.apart import across_cohorts, across_sites, across_time
from trabecula.protocol.dealing import Fold, classes, dealt, drawn, folded
from trabecula.protocol.split_file import as_given

if TYPE_CHECKING:
    from trabecula.card import PublishedSplit
    from trabecula.case import Case
    from trabecula.protocol.rule import Protocol


def split(
    protocol: Protocol, cases: Sequence[Case], target: str, *, judged: Collection[str] = frozenset()
) -> list[Fold]:
    """Split cases by patient, stratified by the patient's class of `target`; unlabelled cases are always learned from.

    `judged` names the cases of the other cohort where one was learned from, for the protocol `external`.
    Raises `ValueError` when there are too few patients of a class for every fold to hold one, a case lacks the site or
    date that it is split by, or a given split does not fit the cases.
    """
    if protocol.given:
        return as_given(protocol.given, cases, target)
    match protocol.name:
        case "external":
            folds = across_cohorts(cases, target, judged)
        case "temporal":
            folds = across_time(cases, target, since=protocol.since, share=protocol.test_share)
        case "leave_one_site_out":
            folds = across_sites(cases, target)
        case "holdout":
            test = drawn(classes(cases, target), protocol.test_share, protocol.seed, target)
            folds = folded([test], [case.patient for case in cases])
        case "repeated":
            folds = [fold for repeat in range(protocol.repeats) for fold in _repeat(repeat, protocol, cases, target)]
        case _:
            folds = _kfold(protocol, cases, target, protocol.seed)
    return folds


def _kfold(protocol: Protocol, cases: Sequence[Case], target: str, seed: int) -> list[Fold]:
    return folded(dealt(classes(cases, target), protocol.folds, seed, target), [case.patient for case in cases])


def _repeat(repeat: int, protocol: Protocol, cases: Sequence[Case], target: str) -> list[Fold]:
    """Return the folds of one repeat: those of `kfold` with the seed so much further."""
    return [
        replace(fold, number=repeat * protocol.folds + fold.number, name=f"repeat {repeat + 1}, fold {fold.number + 1}")
        for fold in _kfold(protocol, cases, target, protocol.seed + repeat)
    ]


def published_split(published: PublishedSplit, cases: Sequence[Case], target: str, *, seed: int) -> list[Fold]:
    """Split as a paper did: by picture where the paper did so, which lets a patient stand on both sides.

    Raises `ValueError` when there are too few pictures or patients.
    """
    judged = [replace(case, patient=case.id) for case in cases] if published.unit == "image" else cases
    units, names = classes(judged, target), [case.patient for case in judged]
    if published.folds is not None:
        return folded(dealt(units, published.folds, seed, target), names)
    return folded([drawn(units, float(published.test_share or 0.2), seed, target)], names)
