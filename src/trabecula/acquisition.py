"""The acquisition shortcut: how well a label can be told from how a picture was taken, without looking at it."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula import metrics
from trabecula.case import Event
from trabecula.metrics import Interval
from trabecula.target import get_target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from trabecula.case import Case
    from trabecula.duplicates import Looks

STRONG = 0.6
"""A shortcut is flagged when the lower limit of its AUC lies above this."""

_FOLDS = 5
_TREES = 100
_FEWEST = 10  # patients a class; with fewer an AUC says nothing


@dataclass(frozen=True, kw_only=True)
class Shortcut:
    """What acquisition facts alone tell about a label."""

    target: str
    told_apart: str
    """Which class against which others."""
    auc: Interval
    """Of the resolved cohort: out of fold by patient, averaged over folds, value and limits averaged over repeats."""
    n: int
    patients: int
    raw: Interval
    """Of the cohort as it stands, where duplicates may lie in two folds."""
    raw_n: int
    source: str
    """Whether facts are the groups of the cases or what the decoded pictures tell."""
    features: Mapping[str, float] = field(default_factory=dict)
    """By fact: the mean loss of AUC when it is shuffled within the fold; the strongest first."""

    @property
    def strong(self) -> bool:
        """Whether acquisition facts clearly tell the label."""
        return self.auc.low > STRONG

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        auc, raw = self.auc.to_json(), self.raw.to_json()
        return {
            "target": self.target, "told_apart": self.told_apart, "source": self.source, "strong": self.strong,
            "auc": auc["value"], "low": auc["low"], "high": auc["high"], "n": self.n, "patients": self.patients,
            "features": dict(self.features),
            "raw": {"auc": raw["value"], "low": raw["low"], "high": raw["high"], "n": self.raw_n},
        }  # fmt: skip


def facts_of(cases: Sequence[Case], looks: Looks) -> tuple[list[dict[str, str]], str]:
    """Return the acquisition facts of each case, and where they come from: groups or, without any, decoded pictures."""
    given = [dict(case.groups) for case in cases]
    if _columns(given):
        return given, "groups of the cases"
    seen: list[dict[str, str]] = [{} for _ in cases]
    for row, owner, role in zip(looks.rows, looks.cases.tolist(), looks.roles, strict=True):
        _, height, width = row["shape"].tolist()
        kind = np.dtype(row["type"].decode()).name
        seen[owner] |= {f"{role}.height": str(height), f"{role}.width": str(width), f"{role}.type": kind}
    return seen, "size and stored type of the decoded pictures"


def shortcut(
    raw: Sequence[Case], honest: Sequence[Case], facts: Mapping[str, Mapping[str, str]], *, target: str, source: str,
    seed: int = 0,
) -> Shortcut | None:  # fmt: skip
    """Return how well facts, by case id, tell the label of the raw and of the resolved cases.

    A grade is told apart from all others: the event, or the highest. A value is cut at its median, a time to event at
    whether there was one. Nothing is returned where no fact varies or a class has fewer than 10 patients.
    """
    after = _measured(honest, facts, target, seed)
    if after is None:
        return None
    auc, features = after
    same = [(case.id, case.patient) for case in raw] == [(case.id, case.patient) for case in honest]
    before = after if same else _measured(raw, facts, target, seed)
    known = [case for case in honest if target in case.truth]
    return Shortcut(
        target=target, told_apart=_told_apart(target), source=source, auc=auc, features=features, n=len(known),
        patients=len({case.patient for case in known}), raw=before[0] if before else auc,
        raw_n=sum(target in case.truth for case in raw),
    )  # fmt: skip


def _measured(
    cases: Sequence[Case], facts: Mapping[str, Mapping[str, str]], target: str, seed: int
) -> tuple[Interval, dict[str, float]] | None:
    known = [case for case in cases if target in case.truth]
    label = _labels(known, target)
    patients = np.unique([case.patient for case in known], return_inverse=True)[1] if known else np.empty(0, int)
    columns = _columns([facts.get(case.id, {}) for case in known])
    fewest = min(len(np.unique(patients[label == side])) for side in (0, 1)) if label is not None else 0
    if label is None or not columns or fewest < _FEWEST:
        return None
    repeats = max(1, min(3, 2000 // len(known)))
    aucs: list[Interval] = []
    features: dict[str, float] = {}
    for repeat in range(repeats):
        score, folds, lost = _out_of_fold(columns, label, patients, seed=seed + repeat, weigh=repeat == 0)
        aucs.append(metrics.interval(metrics.auc, label, score, folds=folds, patients=patients, seed=seed))
        features = lost or features
    mean = Interval(*(float(np.mean([getattr(auc, name) for auc in aucs])) for name in ("value", "low", "high")))
    return mean, dict(sorted(features.items(), key=lambda pair: -pair[1]))


def _out_of_fold(
    columns: Mapping[str, NDArray[np.float64]], label: NDArray[np.intp], patients: NDArray[np.intp], *, seed: int,
    weigh: bool,
) -> tuple[NDArray[np.float64], NDArray[np.intp], dict[str, float]]:  # fmt: skip
    """Return scores `[n]`, folds `[n]` and, where asked for, what shuffling each fact costs."""
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415 keeps the check light without labels
    from sklearn.model_selection import StratifiedGroupKFold  # noqa: PLC0415

    features = np.concatenate(list(columns.values()), axis=1)
    owner = np.repeat(list(columns), [column.shape[1] for column in columns.values()])
    score, folds = np.zeros(len(label)), np.zeros(len(label), dtype=np.intp)
    lost: dict[str, list[float]] = {name: [] for name in columns}
    rng = np.random.default_rng(seed)
    split = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=seed).split(features, label, patients)
    for number, (train, test) in enumerate(split):
        forest = RandomForestClassifier(_TREES, min_samples_leaf=3, max_features=None, random_state=seed)
        forest.fit(features[train], label[train])
        score[test], folds[test] = forest.predict_proba(features[test])[:, -1], number
        for name in columns if weigh else ():
            for _ in range(3):
                shuffled = features[test]
                shuffled[:, owner == name] = rng.permutation(shuffled[:, owner == name])
                loss = metrics.auc(label[test], score[test]) - metrics.auc(
                    label[test], forest.predict_proba(shuffled)[:, -1]
                )
                lost[name].append(float(loss))
    return score, folds, {name: float(np.nanmean(losses)) for name, losses in lost.items() if losses}


def _columns(facts: Sequence[Mapping[str, str]]) -> dict[str, NDArray[np.float64]]:
    """Return `[n, columns]` by fact: one number where all values are numbers, else one column a frequent value.

    Facts that do not vary are left out, and so are those that name the case: a whole number or text of its own in
    every case.
    """
    columns = {}
    for name in sorted({name for each in facts for name in each}):
        values = [each.get(name) for each in facts]
        counts = Counter(value for value in values if value is not None)
        numbers = [_number(value) for value in counts]
        if len(counts) + (None in values) < 2:
            continue
        if not any(math.isnan(number) for number in numbers):
            names_cases = len(counts) == len(facts) and all(number.is_integer() for number in numbers)
            if not names_cases or _dates(numbers):
                columns[name] = np.array([[math.nan if v is None else _number(v)] for v in values])
            continue
        frequent = [value for value, n in counts.items() if n >= max(2, len(facts) // 100)]
        kept = [*frequent, None] if None in values else frequent
        if len(kept) == 2:
            kept = kept[:1]
        if kept:
            columns[name] = np.array([[float(value == one) for one in kept] for value in values])
    return columns


def _number(value: str) -> float:
    text = value.replace("-", "") if len(value) == 10 and value[4] == value[7] == "-" else value
    try:
        number = float(text)
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan


def _dates(numbers: Sequence[float]) -> bool:
    return all(19000101 <= number <= 21001231 for number in numbers)


def _labels(cases: Sequence[Case], target: str) -> NDArray[np.intp] | None:
    """Return 0 or 1 for each case, or nothing for a target that has no such label."""
    row = get_target(target)
    truths: list[Any] = [case.truth[target] for case in cases]
    if row.kind == "label_map" or not truths:
        return None
    if row.kind == "time_to_event":
        return np.array([isinstance(truth, Event) and truth.event == 1 for truth in truths], dtype=np.intp)
    numbers = np.array(truths, dtype=float)
    cut = len(row.grades) - 1.5 if row.classifies else float(np.median(numbers))
    return np.asarray(numbers > cut, dtype=np.intp)


def _told_apart(target: str) -> str:
    row = get_target(target)
    if row.classifies:
        return f"{row.grades[-1]} against {row.grades[0] if len(row.grades) == 2 else 'the rest'}"
    return "the event against none" if row.kind == "time_to_event" else "above the median against below"
