"""What a check looks at: a system, cases on two sides of a split by patient, and models that several checks share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula.prediction import Answer, Grades, LabelMap, Prediction, Probability, Survival, Value
from trabecula.protocol import Protocol, split
from trabecula.target import get_target

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.case import Case
    from trabecula.system import Model, System


class NoMeaningError(Exception):
    """A check has no meaning for a system; says why."""


def require(condition: object, message: str) -> None:
    """Raise `AssertionError` with the message unless the condition holds."""
    if not condition:
        raise AssertionError(message)


@dataclass(frozen=True, eq=False, kw_only=True)
class Subject:
    """A system under test. Two thirds of the patients are learned from, the others are asked about."""

    system: System
    train: tuple[Case, ...]
    test: tuple[Case, ...]
    """Those with truth for the headline and every required input."""
    elsewhere: tuple[Case, ...]
    """Another two thirds less one patient, so that not even the shares of the classes are alike."""
    seed: int
    settings: dict[str, Any]
    """The settings before anything was fitted."""

    @classmethod
    def of(cls, system: System, cases: Sequence[Case], *, seed: int = 0) -> Subject:
        """Split cases by patient; raises `ValueError` when there are too few."""
        folds = split(Protocol(folds=3, seed=seed), cases, system.headline.id)
        needed = system.inputs().required
        test = tuple(cases[i] for i in folds[0].test if not cases[i].lacks(needed))
        if len(test) < 4:
            raise ValueError(f"only {len(test)} cases with truth and {needed} are left to ask about: bring more cases")
        second = [cases[i] for i in folds[1].train]
        left_out = next(case.patient for case in second if system.headline.id in case.truth)
        return cls(
            system=system,
            train=tuple(cases[i] for i in folds[0].train),
            test=test,
            elsewhere=tuple(case for case in second if case.patient != left_out),
            seed=seed,
            settings=system.settings(),
        )

    @property
    def cases(self) -> tuple[Case, ...]:
        """Both sides."""
        return self.train + self.test

    @property
    def model(self) -> Model:
        """The model that checks share; fitted once, and where that fails every check fails with the same words."""
        return self._fitted(self._once)

    @property
    def other(self) -> Model:
        """A model with the same seed from other cases."""
        return self._fitted(self._twice)

    @cached_property
    def answers(self) -> list[Answer]:
        """The shared model's answers to the test cases."""
        return self.model.predict(self.test)

    @cached_property
    def _once(self) -> Model | Exception:
        return self._attempt(self.train)

    @cached_property
    def _twice(self) -> Model | Exception:
        return self._attempt(self.elsewhere)

    def _attempt(self, cases: Sequence[Case]) -> Model | Exception:
        try:
            return self.system.fit(cases, seed=self.seed)
        except Exception as error:
            return error

    @staticmethod
    def _fitted(attempt: Model | Exception) -> Model:
        if isinstance(attempt, Exception):
            raise AssertionError(f"cannot be fitted: {type(attempt).__name__}: {attempt}") from attempt
        return attempt


def numbers(prediction: Prediction) -> NDArray[np.float64]:
    """Return the numbers of a prediction; none for an abstention."""
    match prediction:
        case Probability(p):
            return np.array([p])
        case Grades(p):
            return np.array(p)
        case Value(value, low, high):
            return np.array([value] if low is None else [value, low, high], dtype=float)
        case Survival(years, incidence):
            return np.concatenate([np.array(years), *(np.array(curve) for _, curve in sorted(incidence.items()))])
        case LabelMap(image):
            return image.voxels.astype(float).ravel()
        case _:
            return np.zeros(0)


def gap(ours: Answer, theirs: Answer) -> float:
    """Return how far two answers are apart: the largest relative difference, or the share of voxels that differ.

    Infinite where they differ in kind. Below 0.001 differences are absolute: the relative error of nearly nothing
    means nothing.
    """
    return max(_apart(ours[target], theirs[target]) for target in ours)


def _apart(ours: Prediction, theirs: Prediction) -> float:
    a, b = numbers(ours), numbers(theirs)
    if type(ours) is not type(theirs) or a.shape != b.shape:
        return float("inf")
    if not len(a):
        return 0.0
    if isinstance(ours, LabelMap):
        return float(np.mean(a != b))
    return float(np.max(np.abs(a - b) / np.maximum(np.maximum(np.abs(a), np.abs(b)), 1e-3)))


def relabelled(cases: Sequence[Case], *, seed: int) -> list[Case]:
    """Return cases among which the truths were dealt anew; label maps stay with the image whose grid they share."""
    known = [index for index, case in enumerate(cases) if case.truth]
    dealt = dict(zip(known, np.random.default_rng(seed).permutation(known).tolist(), strict=True))
    made = []
    for index, case in enumerate(cases):
        giver = cases[dealt.get(index, index)]
        truth = {name: value for name, value in giver.truth.items() if get_target(name).kind != "label_map"}
        own = {name: value for name, value in case.truth.items() if get_target(name).kind == "label_map"}
        made.append(replace(case, truth={**truth, **own}))
    return made
