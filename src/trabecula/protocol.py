"""How we judge: who is learned from and who is judged on, by patient, once per cohort, under a name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from trabecula.target import get_target

if TYPE_CHECKING:
    from trabecula.card import PublishedSplit
    from trabecula.case import Case

Name = Literal["kfold", "holdout", "as_published"]
NAMES: tuple[Name, ...] = ("kfold", "holdout", "as_published")


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A rule for splitting and what it is called.

    `kfold` judges every patient once; `holdout` sets one part of `test_share` aside; `as_published` is `kfold` with
    each paper's own split, leaky or not, beside it.

    Raises `ValueError` for fewer than two folds or a share that leaves nobody.
    """

    name: Name = "kfold"
    folds: int = 5
    test_share: float = 0.25
    seed: int = 0

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise ValueError(f"no protocol is called {self.name!r}; known: {', '.join(NAMES)}")
        if self.folds < 2:
            raise ValueError(f"cross-validation has at least two folds; got {self.folds}")
        if not 0 < self.test_share < 1:
            raise ValueError(f"a hold-out share lies between 0 and 1; got {self.test_share}")

    @property
    def rule(self) -> str:
        """The split in one sentence."""
        if self.name == "holdout":
            return f"one hold-out of {self.test_share:.0%} of the patients, stratified by class, seed {self.seed}"
        return f"{self.folds}-fold cross-validation by patient, stratified by class, seed {self.seed}"


@dataclass(frozen=True)
class Fold:
    """Indices of the cases that are learned from and judged on."""

    number: int
    train: tuple[int, ...]
    test: tuple[int, ...]


def split(protocol: Protocol, cases: Sequence[Case], target: str) -> list[Fold]:
    """Split cases by patient, stratified by the patient's class of `target`; unlabelled cases are always learned from.

    Raises `ValueError` when there are too few patients of a class for every fold to hold one.
    """
    patients = _classes(cases, target)
    parts = protocol.folds if protocol.name != "holdout" else _parts(protocol.test_share)
    _enough(patients, parts, target)
    dealt = _dealt(patients, parts, protocol.seed)
    numbers = range(parts if protocol.name != "holdout" else 1)
    return [_fold(number, cases, {p for p, part in dealt.items() if part == number}) for number in numbers]


def published_split(published: PublishedSplit, cases: Sequence[Case], target: str, *, seed: int) -> list[Fold]:
    """Split as a paper did: by picture where the paper did so, which lets a patient stand on both sides.

    Raises `ValueError` when there are too few pictures or patients.
    """
    by_picture = [replace(case, patient=str(index)) for index, case in enumerate(cases)]
    judged = by_picture if published.unit == "image" else cases
    units, names = _classes(judged, target), [case.patient for case in judged]
    rng = np.random.default_rng(seed)
    if published.kind == "kfold":
        parts = int(published.folds or 5)
        dealt = _dealt(units, parts, seed)
        tests = [{u for u, part in dealt.items() if part == number} for number in range(parts)]
    else:
        tests = [_drawn(units, float(published.test_share or 0.2), rng)]
    return [
        Fold(
            number,
            tuple(i for i, name in enumerate(names) if name not in test),
            tuple(i for i, name in enumerate(names) if name in test),
        )
        for number, test in enumerate(tests)
    ]


def _classes(cases: Sequence[Case], target: str) -> dict[str, float]:
    """Return each labelled patient's stratum: the highest grade, the event, or the fifth of the values."""
    kind = get_target(target).kind
    found: dict[str, list[float]] = {}
    for case in cases:
        if target in case.truth:
            truth = case.truth[target]
            number = truth if isinstance(truth, int | float) else getattr(truth, "event", 0)
            found.setdefault(case.patient, []).append(float(number))
    highest = {patient: max(values) for patient, values in found.items()}
    if kind != "value":
        return highest
    edges = np.quantile(list(highest.values()) or [0.0], [0.2, 0.4, 0.6, 0.8])
    return {patient: float(np.searchsorted(edges, value)) for patient, value in highest.items()}


def _enough(patients: dict[str, float], parts: int, target: str) -> None:
    if not patients:
        raise ValueError(f"no case has truth for {target}: name another with --target, or check the manifest's columns")
    if len(patients) < parts:
        raise ValueError(f"{len(patients)} patients cannot be dealt into {parts} folds: ask for fewer folds")
    if not get_target(target).classifies:
        return
    counts = {label: list(patients.values()).count(label) for label in set(patients.values())}
    if len(counts) < 2:
        raise ValueError(f"every patient has the same {target}: there is nothing to tell apart")
    if min(counts.values()) < parts:
        raise ValueError(
            f"the rarest class of {target} has {min(counts.values())} patients, so {parts} folds cannot each hold one: "
            f"ask for fewer folds"
        )


def _dealt(units: dict[str, float], parts: int, seed: int) -> dict[str, int]:
    """Deal shuffled units to parts like cards, class after class, so that parts differ by one at most."""
    rng = np.random.default_rng(seed)
    names: list[str] = []
    for label in sorted(set(units.values())):
        members = sorted(unit for unit, its in units.items() if its == label)
        names += [members[i] for i in rng.permutation(len(members))]
    return {name: place % parts for place, name in enumerate(names)}


def _drawn(units: dict[str, float], share: float, rng: np.random.Generator) -> set[str]:
    chosen: set[str] = set()
    for label in sorted(set(units.values())):
        members = sorted(unit for unit, its in units.items() if its == label)
        if len(members) < 2:
            raise ValueError(f"a class of {len(members)} cannot be split")
        take = min(len(members) - 1, max(1, round(share * len(members))))
        chosen |= {members[i] for i in rng.permutation(len(members))[:take]}
    return chosen


def _fold(number: int, cases: Sequence[Case], test: set[str]) -> Fold:
    return Fold(
        number,
        tuple(i for i, case in enumerate(cases) if case.patient not in test),
        tuple(i for i, case in enumerate(cases) if case.patient in test),
    )


def _parts(share: float) -> int:
    return max(2, round(1 / share))
