"""What a system may answer: a closed set of predictions, each of which validates itself.

An answer is one prediction per target. `Abstain` is a prediction: a system that cannot answer says why.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from trabecula.image import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.target import Target


@dataclass(frozen=True)
class Probability:
    """Probability of the second grade of a binary target.

    Raises `ValueError` outside 0 to 1.
    """

    p: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "p", float(self.p))
        if not 0.0 <= self.p <= 1.0:
            raise ValueError(f"a probability lies between 0 and 1; got {self.p}")


@dataclass(frozen=True)
class Grades:
    """Probabilities of the grades of an ordinal target, in the order of the target's row.

    Raises `ValueError` when they are not probabilities that add up to 1.
    """

    p: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "p", tuple(float(x) for x in self.p))
        if len(self.p) < 2 or not all(-1e-9 <= x <= 1 + 1e-9 for x in self.p) or abs(sum(self.p) - 1) > 1e-4:
            raise ValueError(f"probabilities of grades are at least two, not negative and add up to 1; got {self.p}")

    @property
    def most_likely(self) -> int:
        """Index of the grade with the highest probability."""
        return int(np.argmax(self.p))


@dataclass(frozen=True)
class Value:
    """A number in the unit of the target, with an interval where the system gives one.

    Raises `ValueError` when it is not finite or outside its own interval.
    """

    value: float
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", float(self.value))
        if not math.isfinite(self.value):
            raise ValueError(f"a value is finite; got {self.value}")
        if (self.low is None) != (self.high is None):
            raise ValueError("an interval has both ends or none")
        if self.low is not None and self.high is not None and not self.low <= self.value <= self.high:
            raise ValueError(f"{self.value} lies outside its own interval {self.low} to {self.high}")


@dataclass(frozen=True)
class Survival:
    """Cumulative incidence of each cause at the given years.

    Raises `ValueError` when years do not rise, an incidence falls or leaves 0 to 1, or the causes together exceed 1.
    """

    years: tuple[float, ...]
    incidence: Mapping[str, tuple[float, ...]]

    def __post_init__(self) -> None:
        object.__setattr__(self, "years", tuple(float(t) for t in self.years))
        object.__setattr__(
            self, "incidence", {c: tuple(float(p) for p in curve) for c, curve in self.incidence.items()}
        )
        if not self.years or not np.isfinite(self.years).all() or self.years[0] < 0 or np.any(np.diff(self.years) <= 0):
            raise ValueError("years of a survival answer rise from 0 or later")
        if not self.incidence:
            raise ValueError("a survival answer names at least one cause")
        curves = np.array(list(self.incidence.values()))
        if curves.shape[1:] != (len(self.years),):
            raise ValueError("every cause has one incidence a year given")
        if not np.isfinite(curves).all() or curves.min() < 0 or np.any(np.diff(curves, axis=1) < -1e-9):
            raise ValueError("a cumulative incidence is finite, not negative and never falls")
        if curves.sum(axis=0).max() > 1 + 1e-6:
            raise ValueError("the causes together happen to more than everybody")

    def at(self, years: float, cause: str = "event") -> float:
        """Cumulative incidence at a time, linear between the years given.

        Raises `ValueError` before 0 or beyond the last year, where nothing is known, and for a cause without a curve.
        """
        if not 0 <= years <= self.years[-1]:
            raise ValueError(f"asked for {years} years, known from 0 up to {self.years[-1]}")
        if cause not in self.incidence:
            raise ValueError(f"no curve of {cause!r}; there are {', '.join(self.incidence)}")
        return float(np.interp(years, (0.0, *self.years), (0.0, *self.incidence[cause])))


@dataclass(frozen=True, eq=False)
class LabelMap:
    """A label image on the grid of the input.

    Raises `ValueError` when the image is not one of labels.
    """

    image: Image

    def __post_init__(self) -> None:
        if self.image.unit != "label":
            raise ValueError(f"a label map has the unit `label`; got {self.image.unit!r}")


@dataclass(frozen=True)
class Abstain:
    """No answer, and the reason.

    Raises `ValueError` without a reason.
    """

    reason: str

    def __post_init__(self) -> None:
        if not self.reason.strip():
            raise ValueError("an abstention says why")


Prediction: TypeAlias = Probability | Grades | Value | Survival | LabelMap | Abstain
Answer: TypeAlias = Mapping[str, Prediction]

_KINDS: dict[str, type[Any]] = {
    "binary": Probability,
    "ordinal": Grades,
    "value": Value,
    "time_to_event": Survival,
    "label_map": LabelMap,
}


def graded(target: Target, probabilities: NDArray[np.floating]) -> Prediction:
    """Return the answer to a binary or an ordinal target from the probabilities `[grades]` of its grades.

    Raises `ValueError` when they are not probabilities that add up to 1, and `TypeError` for another kind of target.
    """
    if not target.classifies:
        raise TypeError(f"{target.id} is {target.kind}: it has no grades")
    grades = Grades(tuple(probabilities.tolist()))
    return Probability(min(1.0, grades.p[1])) if target.kind == "binary" else grades


def fits(prediction: Prediction, target: Target) -> None:
    """Check that a prediction is of the kind of its target.

    Raises `TypeError` for another kind and `ValueError` for another number of grades.
    """
    if isinstance(prediction, Abstain):
        return
    wanted = _KINDS[target.kind]
    if not isinstance(prediction, wanted):
        raise TypeError(f"{target.id} is {target.kind}: it wants {wanted.__name__}, not {type(prediction).__name__}")
    if isinstance(prediction, Grades) and len(prediction.p) != len(target.grades):
        raise ValueError(f"{target.id} has {len(target.grades)} grades, the answer has {len(prediction.p)}")


def score(prediction: Prediction) -> float:
    """Return the one number that ranks answers: probability, expected grade, value or incidence at the last year.

    NaN for an abstention. Raises `TypeError` for a label map, which has no such number.
    """
    match prediction:
        case Probability(p):
            return p
        case Grades(p):
            return float(np.dot(p, np.arange(len(p))))
        case Value(value):
            return value
        case Survival():
            return prediction.at(prediction.years[-1], next(iter(prediction.incidence)))
        case Abstain():
            return math.nan
        case LabelMap():
            raise TypeError("a label map is not ranked by one number")


def to_json(prediction: Prediction) -> Any:
    """Return plain JSON: a number for a probability or value, a list for grades, an object for the rest."""
    match prediction:
        case Probability(p):
            return p
        case Grades(p):
            return list(p)
        case Value(value, low, high):
            return value if low is None else {"value": value, "low": low, "high": high}
        case Survival(years, incidence):
            return {"years": list(years), "incidence": {cause: list(curve) for cause, curve in incidence.items()}}
        case LabelMap(image):
            labels, counts = np.unique(image.voxels, return_counts=True)
            voxels = {image.names.get(int(label), str(label)): int(n) for label, n in zip(labels, counts, strict=True)}
            return {"digest": image.digest, "voxels": voxels}
        case Abstain(reason):
            return {"abstain": reason}
