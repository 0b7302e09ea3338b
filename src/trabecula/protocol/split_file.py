"""A split that was written, and the same again: `splits.csv` of a report, or anybody's with the same columns.

`case` and `fold` are needed; `patient` is checked where it is there. `role` is `test` unless it says `train` or
`left_out`. In a fold without a line `train` all other patients are learned from.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trabecula.protocol.dealing import Fold, classes, some_truth

if TYPE_CHECKING:
    from trabecula.case import Case

ROLES = ("test", "train", "left_out")


@dataclass(frozen=True)
class Line:
    """Where one case stands in one fold."""

    fold: int
    case: str
    patient: str
    role: str


@dataclass(frozen=True)
class GivenSplit:
    """The lines of a split file that hold for all systems, and what the file is called and holds."""

    name: str
    digest: str
    lines: tuple[Line, ...]

    @property
    def folds(self) -> list[int]:
        """The numbers of the folds, from the lowest on."""
        return sorted({line.fold for line in self.lines})

    def __str__(self) -> str:
        """Name file, content and size in a few words."""
        folds = len(self.folds)
        return f"the split of {self.name} (SHA-256 {self.digest[:8]}), {folds} fold{'s' * (folds != 1)}"


def read_splits(path: Path) -> GivenSplit:
    """Read a split file; lines of a paper's own split (with a `system`) are not for everybody and left out.

    Raises `FileNotFoundError` when it is not there, `ValueError` that names line and column for what cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FileNotFoundError(f"{path} cannot be read ({error.strerror}): name the splits.csv of a report") from error
    try:
        reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: cannot be read as CSV in UTF-8 ({error})") from error
    lacking = [name for name in ("case", "fold") if name not in (reader.fieldnames or ())]
    if lacking:
        raise ValueError(f"{path}: has no column {' and no column '.join(lacking)}; a split has case, patient and fold")
    lines = [_line(path, number, row) for number, row in enumerate(rows, start=2) if not row.get("system")]
    if not any(line.role == "test" for line in lines):
        raise ValueError(f"{path}: judges nobody; every case that is judged has a line with its fold")
    return GivenSplit(path.name, hashlib.sha256(content).hexdigest(), tuple(lines))


def _line(path: Path, number: int, row: Mapping[str, str | None]) -> Line:
    told = {name: (row.get(name) or "").strip() for name in ("case", "patient", "fold", "role")}
    if not told["case"]:
        raise ValueError(f"{path}, line {number}: no case is named")
    if not (told["fold"].isascii() and told["fold"].isdecimal()):
        raise ValueError(f"{path}, line {number}: a fold is a number from 0 on; got {told['fold']!r}")
    if told["role"] and told["role"] not in ROLES:
        raise ValueError(f"{path}, line {number}: a role is one of {', '.join(ROLES)}; got {told['role']!r}")
    return Line(int(told["fold"]), told["case"], told["patient"], told["role"] or "test")


def as_given(given: GivenSplit, cases: Sequence[Case], target: str) -> list[Fold]:
    """Return the folds that a file tells.

    Cases of a judged patient that have no truth and no line go with the patient.
    Raises `ValueError` for a case that is not here, one of another patient, a patient on both sides of a fold, and a
    fold that judges nobody, or learns from nobody or from one class only.
    """
    place = {case.id: i for i, case in enumerate(cases)}
    if missing := [line.case for line in given.lines if line.case not in place]:
        raise ValueError(
            f"{given.name}: {len(missing)} of {len(given.lines)} lines name cases that are not in the cohort or were "
            f"dropped from it, first {missing[0]}: name the cohort it was made from, with the same --patients, --seed "
            f"and --with"
        )
    for line in given.lines:
        if line.patient and line.patient != cases[place[line.case]].patient:
            raise ValueError(
                f"{given.name}: {line.case} is of patient {line.patient} there and of "
                f"{cases[place[line.case]].patient} in the cohort: split the same version of the cohort"
            )
    return [_fold(given, number, place, cases, target) for number in given.folds]


def _fold(given: GivenSplit, number: int, place: Mapping[str, int], cases: Sequence[Case], target: str) -> Fold:
    own = {role: [place[line.case] for line in given.lines if (line.fold, line.role) == (number, role)]
           for role in ROLES}  # fmt: skip
    judged = {cases[i].patient for i in own["test"]}
    told = {i for members in own.values() for i in members}
    if both := sorted(judged & {cases[i].patient for i in own["train"]}):
        raise ValueError(
            f"{given.name}: {len(both)} patients such as {both[0]} are learned from and judged in fold {number}: put "
            f"all cases of a patient on one side; pictures that occur twice are of one patient"
        )
    silent = [
        i for i, case in enumerate(cases) if i not in told and case.patient in judged and target not in case.truth
    ]
    others = [i for i, case in enumerate(cases) if i not in told and case.patient not in judged]
    train, test = tuple(sorted(own["train"] or others)), tuple(sorted({*own["test"], *silent}))
    if not classes([cases[i] for i in test], target):
        raise ValueError(f"{given.name}: nobody judged in fold {number} has truth for {target}: name another --target")
    try:
        some_truth(classes([cases[i] for i in train], target), target)
    except ValueError as error:
        raise ValueError(f"{given.name}: fold {number} cannot be learned from: {error}") from error
    return Fold(number, train, test)


def left_out(folds: Sequence[Fold], cases: Sequence[Case]) -> list[dict[str, str | int]]:
    """Return the cases that a fold neither learns from nor judges, as lines of a split file."""
    lines: list[dict[str, str | int]] = []
    for fold in folds:
        used = {*fold.train, *fold.test}
        lines += [
            {"fold": fold.number, "case": case.id, "patient": case.patient}
            for i, case in enumerate(cases)
            if i not in used
        ]
    return lines
