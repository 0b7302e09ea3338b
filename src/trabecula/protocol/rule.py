"""What a protocol is: a name, its numbers, and the split in one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from trabecula.protocol.split_file import GivenSplit

Name = Literal[
    "kfold", "repeated", "nested", "holdout", "temporal", "leave_one_site_out", "external", "as_published",
    "learning_curve", "few_shot",
]  # fmt: skip
NAMES: tuple[Name, ...] = get_args(Name)
SHARES = (0.1, 0.25, 0.5, 1.0)
SHOTS = (1, 2, 5, 10, 20)
_OWN_FOLDS = ("repeated", "holdout", "temporal", "leave_one_site_out")


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A rule for splitting and what it is called.

    `kfold` judges every patient once, `repeated` once in each of `repeats` deals. `nested` is `kfold` where a setting
    is chosen on `inner_folds` of each training part. `holdout` sets one part of `test_share` aside. `temporal` learns
    from what was seen before the date `since` and judges on patients seen from then on (without a date, on the
    `test_share` of the patients seen last); `leave_one_site_out` judges each site by what was learned from the others,
    `external` one cohort by what was learned from another. `as_published` is `kfold` with each paper's own split,
    leaky or not, beside it. `learning_curve` and `few_shot` are `kfold` with fewer labels: those of `shares` of the
    training patients, or of so many `shots` a class. The others are learned from without their labels, fewer labels
    lie among more, and everybody is judged on the same patients. `given` folds take the place of those that would be
    made. `operating_points` asks for thresholds chosen inside each training part, which fits everything twice; by
    default they are chosen for systems without networks.

    Raises `ValueError` for fewer than two folds or repeats, a share that leaves nobody, shares or shots that do not
    rise, a date that is none, and given folds where the protocol's are its point.
    """

    name: Name = "kfold"
    folds: int = 5
    repeats: int = 5
    inner_folds: int = 3
    test_share: float = 0.25
    since: str = ""
    seed: int = 0
    shares: tuple[float, ...] = SHARES
    shots: tuple[int, ...] = SHOTS
    given: GivenSplit | None = None
    operating_points: bool | None = None

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise ValueError(f"no protocol is called {self.name!r}; known: {', '.join(NAMES)}")
        if min(self.folds, self.inner_folds) < 2:
            raise ValueError(f"cross-validation has at least two folds; got {min(self.folds, self.inner_folds)}")
        if self.repeats < 2:
            raise ValueError(f"to repeat is to deal at least twice; got {self.repeats}: ask for kfold")
        if not 0 < self.test_share < 1:
            raise ValueError(f"a hold-out share lies between 0 and 1; got {self.test_share}")
        if not (self.shares[0] > 0 and self.shares[-1] <= 1 and _rises(self.shares)):
            raise ValueError(f"shares of the labels rise from above 0 to 1 at most; got {self.shares}")
        if not (self.shots[0] >= 1 and _rises(self.shots)):
            raise ValueError(f"shots are labelled patients a class, one or more, rising; got {self.shots}")
        if self.since:
            if self.name != "temporal":
                raise ValueError(f"a date to judge from belongs to the protocol temporal, not to {self.name}")
            day(self.since)
        if self.given and self.name in _OWN_FOLDS:
            raise ValueError(f"{self.given.name} says how to split, and so does {self.name}: ask for one of them")

    @property
    def label(self) -> str:
        """What a row of `predictions.csv` says: the name, `given` for a split from a file, `kfold` beside a paper's."""
        if self.name in ("kfold", "as_published"):
            return "given" if self.given else "kfold"
        return self.name

    @property
    def rule(self) -> str:
        """The split in one sentence."""
        if self.name in _ELSEWHERE and not self.given:
            return _ELSEWHERE[self.name].format(
                share=f"{self.test_share:.0%}", seed=self.seed, since=self.since or "a date"
            )
        dealt = f"{self.folds}-fold cross-validation by patient, stratified by class, seed {self.seed}"
        rule = f"{self.given}, seed {self.seed}" if self.given else dealt
        if self.name == "repeated":
            last = self.seed + self.repeats - 1
            return f"{rule} to {last}: dealt {self.repeats} times; figures are means over all folds"
        if self.name == "nested":
            return f"{rule}; settings chosen by {self.inner_folds}-fold cross-validation inside each training part"
        if self.name == "learning_curve":
            shares = ", ".join(f"{share:.0%}" for share in self.shares)
            return f"{rule}; learned from the labels of {shares} of the training patients, from the rest without"
        if self.name == "few_shot":
            shots = ", ".join(map(str, self.shots))
            return f"{rule}; learned from the labels of {shots} training patients a class, from the rest without"
        return rule


_ELSEWHERE = {
    "holdout": "one hold-out of {share} of the patients, stratified by class, seed {seed}",
    "temporal": (
        "learned from patients seen before {since} only, judged on those seen from then on (without a date given, the "
        "{share} seen last); their earlier visits are left out, seed {seed}"
    ),
    "leave_one_site_out": (
        "each site judged by what was learned from the others; a patient of several sites is judged at the one with "
        "most of their cases, and learned from for none of them, seed {seed}"
    ),
    "external": (
        "learned from the whole of one cohort, judged on the whole of another; people in both are not learned from, "
        "seed {seed}"
    ),
}


def day(text: str) -> date:
    """Read a date.

    Raises `ValueError` when it is none.
    """
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no date: write it as 2019-05-31") from error


def _rises(values: Sequence[float]) -> bool:
    return all(a < b for a, b in pairwise(values))
