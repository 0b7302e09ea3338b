"""How we judge: who is learned from and who is judged on, by patient, once per cohort, under a name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np

from trabecula.case import Event
from trabecula.target import get_target

if TYPE_CHECKING:
    from trabecula.card import PublishedSplit
    from trabecula.case import Case

Name = Literal["kfold", "holdout", "as_published", "learning_curve", "few_shot"]
NAMES: tuple[Name, ...] = ("kfold", "holdout", "as_published", "learning_curve", "few_shot")
SHARES = (0.1, 0.25, 0.5, 1.0)
SHOTS = (1, 2, 5, 10, 20)


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A rule for splitting and what it is called.

    `kfold` judges every patient once; `holdout` sets one part of `test_share` aside; `as_published` is `kfold` with
    each paper's own split, leaky or not, beside it. `learning_curve` and `few_shot` are `kfold` with fewer labels:
    those of `shares` of the training patients, or of so many `shots` a class. The others are learned from without
    their labels, fewer labels lie among more, and everybody is judged on the same patients.

    Raises `ValueError` for fewer than two folds, a share that leaves nobody, and shares or shots that do not rise.
    """

    name: Name = "kfold"
    folds: int = 5
    test_share: float = 0.25
    seed: int = 0
    shares: tuple[float, ...] = SHARES
    shots: tuple[int, ...] = SHOTS

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise ValueError(f"no protocol is called {self.name!r}; known: {', '.join(NAMES)}")
        if self.folds < 2:
            raise ValueError(f"cross-validation has at least two folds; got {self.folds}")
        if not 0 < self.test_share < 1:
            raise ValueError(f"a hold-out share lies between 0 and 1; got {self.test_share}")
        if not (self.shares[0] > 0 and self.shares[-1] <= 1 and _rises(self.shares)):
            raise ValueError(f"shares of the labels rise from above 0 to 1 at most; got {self.shares}")
        if not (self.shots[0] >= 1 and _rises(self.shots)):
            raise ValueError(f"shots are labelled patients a class, one or more, rising; got {self.shots}")

    @property
    def rule(self) -> str:
        """The split in one sentence."""
        if self.name == "holdout":
            return f"one hold-out of {self.test_share:.0%} of the patients, stratified by class, seed {self.seed}"
        rule = f"{self.folds}-fold cross-validation by patient, stratified by class, seed {self.seed}"
        if self.name == "learning_curve":
            shares = ", ".join(f"{share:.0%}" for share in self.shares)
            return f"{rule}; learned from the labels of {shares} of the training patients, from the rest without"
        if self.name == "few_shot":
            shots = ", ".join(map(str, self.shots))
            return f"{rule}; learned from the labels of {shots} training patients a class, from the rest without"
        return rule


@dataclass(frozen=True)
class Fold:
    """Indices of the cases that are learned from and judged on."""

    number: int
    train: tuple[int, ...]
    test: tuple[int, ...]
    labelled: tuple[int, ...] | None = None
    """Those learned from whose truth is told; all of them where this is nothing."""


def split(protocol: Protocol, cases: Sequence[Case], target: str) -> list[Fold]:
    """Split cases by patient, stratified by the patient's class of `target`; unlabelled cases are always learned from.

    Raises `ValueError` when there are too few patients of a class for every fold to hold one.
    """
    patients = _classes(cases, target)
    if protocol.name == "holdout":
        tests = _drawn(patients, protocol.test_share, protocol.seed, target)
    else:
        tests = _dealt(patients, protocol.folds, protocol.seed, target)
    return _folds(tests, [case.patient for case in cases])


def fewer_labels(
    protocol: Protocol, folds: Sequence[Fold], cases: Sequence[Case], target: str
) -> dict[str, list[Fold]]:
    """Return the folds with fewer labels, by what is asked: `labels=25%` or `shots=5`; nothing for other protocols.

    Raises `ValueError` for shots of a target without classes, or more of them than a class has in training.
    """
    if protocol.name == "learning_curve":
        return {
            f"labels={share:.0%}": [_share_labelled(fold, cases, target, share, protocol.seed) for fold in folds]
            for share in protocol.shares
        }
    if protocol.name != "few_shot":
        return {}
    if not get_target(target).classifies:
        raise ValueError(f"shots are labelled patients of a class, and {target} has none: ask for a learning_curve")
    return {
        f"shots={shots}": [_shots_labelled(fold, cases, target, shots, protocol.seed) for fold in folds]
        for shots in protocol.shots
    }


def _share_labelled(fold: Fold, cases: Sequence[Case], target: str, share: float, seed: int) -> Fold:
    strata = _strata(fold, cases, target, seed)
    return _labelled(fold, cases, [unit for members in strata for unit in members[: _at_least_one(share, members)]])


def _shots_labelled(fold: Fold, cases: Sequence[Case], target: str, shots: int, seed: int) -> Fold:
    strata = _strata(fold, cases, target, seed)
    if (fewest := min(map(len, strata))) < shots:
        raise ValueError(f"{shots} shots a class were asked for, and the rarest of {target} has {fewest} in training")
    return _labelled(fold, cases, [unit for members in strata for unit in members[:shots]])


def _strata(fold: Fold, cases: Sequence[Case], target: str, seed: int) -> list[list[str]]:
    """Return the training patients of each class in an order of which fewer labels take the first."""
    return _shuffled(_classes([cases[i] for i in fold.train], target), seed + fold.number)


def _labelled(fold: Fold, cases: Sequence[Case], patients: Sequence[str]) -> Fold:
    kept = set(patients)
    return replace(fold, labelled=tuple(i for i in fold.train if cases[i].patient in kept))


def _at_least_one(share: float, members: Sequence[str]) -> int:
    return max(1, round(share * len(members)))


def _rises(values: Sequence[float]) -> bool:
    return all(a < b for a, b in pairwise(values))


def published_split(published: PublishedSplit, cases: Sequence[Case], target: str, *, seed: int) -> list[Fold]:
    """Split as a paper did: by picture where the paper did so, which lets a patient stand on both sides.

    Raises `ValueError` when there are too few pictures or patients.
    """
    judged = [replace(case, patient=case.id) for case in cases] if published.unit == "image" else cases
    units = _classes(judged, target)
    if published.folds is not None:
        tests = _dealt(units, published.folds, seed, target)
    else:
        tests = _drawn(units, float(published.test_share or 0.2), seed, target)
    return _folds(tests, [case.patient for case in judged])


def _classes(cases: Sequence[Case], target: str) -> dict[str, float]:
    """Return each labelled patient's stratum: the highest grade, the event, or the fifth of the values."""
    kind = get_target(target).kind
    found: dict[str, list[float]] = {}
    for case in cases:
        if target in case.truth:
            truth = case.truth[target]
            number = truth.event if isinstance(truth, Event) else truth if isinstance(truth, int | float) else 0
            found.setdefault(case.patient, []).append(float(number))
    highest = {patient: max(values) for patient, values in found.items()}
    if kind != "value":
        return highest
    edges = np.quantile(list(highest.values()) or [0.0], [0.2, 0.4, 0.6, 0.8])
    return {patient: float(np.searchsorted(edges, value)) for patient, value in highest.items()}


def _enough(patients: dict[str, float], parts: int, target: str) -> None:
    if not patients:
        raise ValueError(f"no case has truth for {target}: name another with --target, or check the manifest's columns")
    remedy = "ask for fewer folds" if parts > 2 else "bring more patients"
    if len(patients) < parts:
        raise ValueError(f"{len(patients)} patients cannot be dealt into {parts} parts: {remedy}")
    if not get_target(target).classifies:
        return
    counts = {label: list(patients.values()).count(label) for label in set(patients.values())}
    if len(counts) < 2:
        raise ValueError(f"every patient has the same {target}: there is nothing to tell apart")
    if min(counts.values()) < parts:
        raise ValueError(
            f"the rarest class of {target} has {min(counts.values())} patients, so {parts} parts cannot each hold one: "
            f"{remedy}"
        )


def _dealt(units: dict[str, float], parts: int, seed: int, target: str) -> list[set[str]]:
    """Deal shuffled units to parts like cards, class after class, so that parts differ by one at most."""
    _enough(units, parts, target)
    shuffled = [unit for members in _shuffled(units, seed) for unit in members]
    return [set(shuffled[part::parts]) for part in range(parts)]


def _drawn(units: dict[str, float], share: float, seed: int, target: str) -> list[set[str]]:
    """Draw one share of each class, of which one unit at least is drawn and one is left where it has two."""
    _enough(units, 2, target)
    drawn = {unit for members in _shuffled(units, seed) for unit in members[: _take(share, len(members))]}
    if not drawn:
        raise ValueError(f"{len(units)} patients are too few to set some aside: bring more")
    return [drawn]


def _take(share: float, members: int) -> int:
    return min(members - 1, max(1, round(share * members)))


def _shuffled(units: dict[str, float], seed: int) -> list[list[str]]:
    """Return the units of each class in an order that depends on their names and the seed alone."""
    rng = np.random.default_rng(seed)
    strata = [sorted(unit for unit, its in units.items() if its == label) for label in sorted(set(units.values()))]
    return [[members[i] for i in rng.permutation(len(members))] for members in strata]


def _folds(tests: Sequence[set[str]], names: Sequence[str]) -> list[Fold]:
    return [
        Fold(
            number,
            tuple(i for i, name in enumerate(names) if name not in test),
            tuple(i for i, name in enumerate(names) if name in test),
        )
        for number, test in enumerate(tests)
    ]
