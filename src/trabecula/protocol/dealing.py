"""Dealing patients to parts, class by class, in an order that depends on their names and the seed alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trabecula.case import Event
from trabecula.target import get_target

if TYPE_CHECKING:
    from trabecula.case import Case


@dataclass(frozen=True)
class Fold:
    """Indices of the cases that are learned from and judged on. Those in neither are left out."""

    number: int
    train: tuple[int, ...]
    test: tuple[int, ...]
    labelled: tuple[int, ...] | None = None
    """Those learned from whose truth is told; all of them where this is nothing."""
    name: str = ""
    """What the fold is of, where its number does not say it: a site, a date, a repeat."""


def classes(cases: Sequence[Case], target: str) -> dict[str, float]:
    """Return each labelled patient's stratum: the highest grade, the event, or the fifth of the values."""
    found: dict[str, list[float]] = {}
    for case in cases:
        if target in case.truth:
            truth = case.truth[target]
            number = truth.event if isinstance(truth, Event) else truth if isinstance(truth, int | float) else 0
            found.setdefault(case.patient, []).append(float(number))
    highest = {patient: max(values) for patient, values in found.items()}
    if get_target(target).kind != "value":
        return highest
    edges = np.quantile(list(highest.values()) or [0.0], [0.2, 0.4, 0.6, 0.8])
    return {patient: float(np.searchsorted(edges, value)) for patient, value in highest.items()}


def dealt(units: Mapping[str, float], parts: int, seed: int, target: str) -> list[set[str]]:
    """Deal shuffled units to parts like cards, class after class, so that parts differ by one at most.

    Raises `ValueError` when a part would hold nobody of a class.
    """
    _enough(units, parts, target)
    ordered = [unit for members in shuffled(units, seed) for unit in members]
    return [set(ordered[part::parts]) for part in range(parts)]


def drawn(units: Mapping[str, float], share: float, seed: int, target: str) -> set[str]:
    """Draw one share of each class, of which one unit at least is drawn and one is left where it has two.

    Raises `ValueError` when a class has one unit only, or there are too few to draw any.
    """
    _enough(units, 2, target)
    found = {unit for members in shuffled(units, seed) for unit in members[: take(share, len(members))]}
    if not found:
        raise ValueError(f"{len(units)} patients are too few to set some aside: bring more")
    return found


def take(share: float, members: int) -> int:
    """Return how many of so many are a share of them: one at least, and not all."""
    return min(members - 1, max(1, round(share * members)))


def shuffled(units: Mapping[str, float], seed: int) -> list[list[str]]:
    """Return the units of each class in an order that depends on their names and the seed alone."""
    rng = np.random.default_rng(seed)
    strata = [sorted(unit for unit, its in units.items() if its == label) for label in sorted(set(units.values()))]
    return [[members[i] for i in rng.permutation(len(members))] for members in strata]


def folded(tests: Sequence[Collection[str]], names: Sequence[str]) -> list[Fold]:
    """Return the folds that judge these units each: all others are learned from."""
    return [
        Fold(
            number,
            tuple(i for i, name in enumerate(names) if name not in test),
            tuple(i for i, name in enumerate(names) if name in test),
        )
        for number, test in enumerate(tests)
    ]


def some_truth(units: Mapping[str, float], target: str) -> None:
    """Raise `ValueError` where nobody has truth for the target, or everybody the same."""
    if not units:
        raise ValueError(f"no case has truth for {target}: name another with --target, or check the manifest's columns")
    if get_target(target).classifies and len(set(units.values())) < 2:
        raise ValueError(f"every patient has the same {target}: there is nothing to tell apart")


def _enough(units: Mapping[str, float], parts: int, target: str) -> None:
    remedy = "ask for fewer folds" if parts > 2 else "bring more patients"
    if units and len(units) < parts:
        raise ValueError(f"{len(units)} patients cannot be dealt into {parts} parts: {remedy}")
    some_truth(units, target)
    if not get_target(target).classifies:
        return
    rarest = min(list(units.values()).count(label) for label in set(units.values()))
    if rarest < parts:
        raise ValueError(
            f"the rarest class of {target} has {rarest} patients, so {parts} parts cannot each hold one: {remedy}"
        )
