"""From answers to numbers: parts become patients, patients become figures with intervals.

Everything here is computed from the rows of `predictions.csv`, so that anyone who has the file can compute it again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula import metrics
from trabecula.target import get_target

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.target import Target


@dataclass(frozen=True)
class Row:
    """One line of `predictions.csv`: one answer of one system to one case about one target."""

    system: str
    role: str
    protocol: str
    target: str
    case: str
    part: str
    patient: str
    fold: int
    truth: Any
    """A number, `{"years", "event"}`, or for a label map its overlap with the answer."""
    prediction: Any
    """A number, a list, an object, or nothing for an abstention."""
    abstained: str
    """The reason, or nothing."""


@dataclass(frozen=True, eq=False)
class Judged:
    """The rows of one system and target, as arrays over patients (or parts).

    Under a protocol that judges everybody several times a patient has a place in several folds, once in each.
    """

    target: Target
    patients: tuple[str, ...]
    folds: NDArray[Any]
    truth: NDArray[Any]
    prediction: NDArray[Any]
    evaluable: NDArray[Any]

    @property
    def places(self) -> list[tuple[str, int]]:
        """Patient and fold of every row, by which the rows of two systems are paired."""
        return list(zip(self.patients, self.folds.tolist(), strict=True))

    def only(self, keep: NDArray[Any]) -> Judged:
        """Keep some of the patients."""
        names = tuple(p for p, k in zip(self.patients, keep, strict=True) if k)
        return Judged(
            self.target, names, self.folds[keep], self.truth[keep], self.prediction[keep], self.evaluable[keep]
        )


def by_patient(rows: Sequence[Row]) -> Judged:
    """Reduce the parts of each patient by the rule of the target's row; an abstention counts where no part answered.

    A patient who is judged in several folds is one patient in each: answers of different models are never mixed.
    """
    target = get_target(rows[0].target)
    parts: dict[tuple[str, int], list[Row]] = {}
    for row in rows:
        parts.setdefault((row.patient, row.fold), []).append(row)
    return _judged(target, [(*place, *_reduced(members, target)) for place, members in parts.items()])


def by_part(rows: Sequence[Row]) -> Judged:
    """Keep every part a row of its own; intervals are still drawn by patient."""
    target = get_target(rows[0].target)
    return _judged(target, [(row.patient, row.fold, *_reduced([row], target)) for row in rows])


def figures(judged: Judged, *, seed: int = 0) -> dict[str, Any]:
    """Return every metric of the target's kind with its interval, on the evaluable patients."""
    answered = judged.only(judged.evaluable)
    if not len(answered.patients):
        return {}
    return {
        name: metrics.interval(
            metric, answered.truth, answered.prediction, folds=answered.folds, patients=answered.patients, seed=seed
        ).to_json()
        for name, metric in metrics.METRICS[judged.target.kind].items()
    }


def headline_metric(target: Target) -> str:
    """Return the metric that a leaderboard of this kind of target is sorted by."""
    return next(iter(metrics.METRICS[target.kind]))


def compared(ours: Judged, theirs: Judged, *, seed: int = 0) -> dict[str, Any] | None:
    """Return `ours` less `theirs` in the headline metric on the patients both answered, or nothing without any."""
    row = {place: i for i, place in enumerate(theirs.places)}
    pairs = [
        (i, row[place])
        for i, place in enumerate(ours.places)
        if place in row and ours.evaluable[i] and theirs.evaluable[row[place]]
    ]
    if not pairs:
        return None
    a, b = (np.array(side) for side in zip(*pairs, strict=True))
    name = headline_metric(ours.target)
    metric = metrics.METRICS[ours.target.kind][name]
    patients = np.array(ours.patients)[a]
    found = metrics.difference(
        metric, ours.truth[a], ours.prediction[a], theirs.prediction[b], folds=ours.folds[a], patients=patients,
        seed=seed,
    )  # fmt: skip
    return {"metric": name, "patients": len(set(patients.tolist())), **found.to_json()}


def abstaining_as_negative(judged: Judged, *, seed: int = 0) -> dict[str, Any]:
    """Return the figures of a binary target when an abstention counts as 'not detected'."""
    if judged.target.kind != "binary" or judged.evaluable.all():
        return {}
    counted = np.where(judged.evaluable, judged.prediction, 0.0)
    return figures(
        Judged(judged.target, judged.patients, judged.folds, judged.truth, counted, np.ones(len(counted), dtype=bool)),
        seed=seed,
    )


def curves(judged: Judged) -> dict[str, Any]:
    """Return what the plots of a binary target are drawn from: the ROC curve and the calibration.

    The calibration counts patients, so of several repeats it shows the first.
    """
    answered = judged.only(judged.evaluable)
    if judged.target.kind != "binary" or len(answered.patients) < 2:
        return {}
    false, hit = metrics.roc(answered.truth, answered.prediction, folds=answered.folds)
    if not np.isfinite(hit).all():
        return {}
    once = np.sort(np.unique(answered.patients, return_index=True)[1])
    return {
        "roc": {"false_positive_rate": false.round(4).tolist(), "true_positive_rate": hit.round(4).tolist()},
        "calibration": metrics.calibration(answered.truth[once], answered.prediction[once]),
    }


def _reduced(members: Sequence[Row], target: Target) -> tuple[tuple[float, ...], Any]:
    """Return truth and prediction of one patient; the prediction is `None` where no part answered."""
    truths = [_truth(row.truth) for row in members]
    answered = [_number(row.prediction, target) for row in members if not row.abstained]
    worst = target.reduce == "max" or target.classifies
    truth = max(truths, key=_severity) if worst else tuple(np.mean(truths, axis=0))
    if not answered:
        return truth, None
    if target.reduce == "max":
        return truth, max(answered, key=_expected)
    mean = np.mean(answered, axis=0)
    return truth, tuple(mean) if mean.ndim else float(mean)


def _truth(truth: Any) -> tuple[float, ...]:
    if isinstance(truth, Mapping):
        return float(truth["years"]), float(truth["event"])
    return (float(truth),)


def _severity(truth: tuple[float, ...]) -> tuple[bool, float]:
    """Order truths: an event before a censored time, then the earlier event; or simply the higher grade."""
    return (truth[-1] == 1, -truth[0]) if len(truth) == 2 else (True, truth[0])


def _expected(prediction: Any) -> float:
    return float(np.dot(prediction, np.arange(len(prediction)))) if isinstance(prediction, tuple) else prediction


def _number(prediction: Any, target: Target) -> Any:
    match target.kind:
        case "ordinal":
            return tuple(float(p) for p in prediction)
        case "time_to_event":
            return float(next(iter(prediction["incidence"].values()))[-1])
        case "value":
            return float(prediction["value"] if isinstance(prediction, Mapping) else prediction)
        case "label_map":
            return float(prediction["dice"])
        case _:
            return float(prediction)


def _judged(target: Target, rows: list[tuple[str, int, tuple[float, ...], Any]]) -> Judged:
    width = len(target.grades) if target.kind == "ordinal" else 0
    empty: Any = (math.nan,) * width if width else math.nan
    truth = np.array([row[2] for row in rows], dtype=float)
    return Judged(
        target=target,
        patients=tuple(row[0] for row in rows),
        folds=np.array([row[1] for row in rows]),
        truth=truth if target.kind == "time_to_event" else truth[:, 0],
        prediction=np.array([empty if row[3] is None else row[3] for row in rows], dtype=float),
        evaluable=np.array([row[3] is not None for row in rows], dtype=bool),
    )
