"""Fewer labels: the same folds, with the truth of some training patients only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from trabecula.protocol.dealing import Fold, classes, shuffled
from trabecula.target import get_target

if TYPE_CHECKING:
    from trabecula.case import Case
    from trabecula.protocol.rule import Protocol


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
    return shuffled(classes([cases[i] for i in fold.train], target), seed + fold.number)


def _labelled(fold: Fold, cases: Sequence[Case], patients: Sequence[str]) -> Fold:
    kept = set(patients)
    return replace(fold, labelled=tuple(i for i in fold.train if cases[i].patient in kept))


def _at_least_one(share: float, members: Sequence[str]) -> int:
    return max(1, round(share * len(members)))
