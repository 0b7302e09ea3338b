"""Inner splits: by patient, stratified by class, for stopping, thresholds, calibration, choices."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula.case import Event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.random import Generator
    from numpy.typing import NDArray

    from trabecula.case import Case
    from trabecula.target import Target

_LAYERS = 4  # a value is stratified by its quarters


def inner(
    cases: Sequence[Case], target: Target, *, share: float, rng: Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Split labelled cases for training and validation; return their indices, which leave out cases without truth.

    All cases of a patient are on one side. About `share` of the patients of every class validate, at least one. A
    patient with several classes counts for the highest; a value is stratified by quarters, time to event by the event.

    Raises `ValueError` when `share` is not between 0 and 1, a class has one patient only, or there are fewer than two.
    """
    if not 0 < share < 1:
        raise ValueError(f"the share that validates lies between 0 and 1; got {share}")
    labelled = [index for index, case in enumerate(cases) if target.id in case.truth]
    strata = _strata([cases[index].truth[target.id] for index in labelled], target)
    highest: dict[str, int] = {}
    for index, stratum in zip(labelled, strata, strict=True):
        patient = cases[index].patient
        highest[patient] = max(stratum, highest.get(patient, stratum))
    validating: set[str] = set()
    for stratum in sorted(set(highest.values())):
        patients = [patient for patient, own in highest.items() if own == stratum]
        if len(patients) < 2 and target.classifies:
            raise ValueError(
                f"{target.id}: only one patient has the class {target.grades[stratum]!r}, which cannot be on both "
                "sides of an inner split; add patients or ask for a target with fewer classes"
            )
        count = min(max(1, round(share * len(patients))), len(patients) - 1)
        validating.update(patients[each] for each in rng.permutation(len(patients))[:count])
    if not validating:
        raise ValueError(f"{target.id}: {len(highest)} labelled patients cannot be split; add patients with truth")
    held = np.array([cases[index].patient in validating for index in labelled], dtype=bool)
    indices = np.array(labelled, dtype=np.intp)
    return indices[~held], indices[held]


def inner_folds(
    cases: Sequence[Case], target: Target, *, count: int, rng: Generator
) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Split labelled cases into `count` folds; return indices for training and validation of each.

    Every labelled case validates once; the rules are those of `inner`. A classifying target has as many folds as the
    rarest class has patients, where these are fewer.

    Raises `ValueError` as `inner`, and for fewer than two folds.
    """
    if count < 2:
        raise ValueError(f"there are at least two folds; got {count}")
    labelled = [index for index, case in enumerate(cases) if target.id in case.truth]
    count = min(count, _fewest([cases[index] for index in labelled], target))
    left, validating = labelled, []
    for parts in range(max(count, 2), 1, -1):
        kept, held = inner([cases[index] for index in left], target, share=1 / parts, rng=rng)
        validating.append([left[index] for index in held])
        left = [left[index] for index in kept]
    validating.append(left)
    return [
        (np.array(sorted({*labelled} - {*held}), dtype=np.intp), np.array(held, dtype=np.intp)) for held in validating
    ]


def _fewest(cases: Sequence[Case], target: Target) -> int:
    """Return how many patients the rarest class has, each counted for its highest; all of them without classes."""
    if not target.classifies:
        return len({case.patient for case in cases})
    highest: dict[str, int] = {}
    for case in cases:
        highest[case.patient] = max(int(case.truth[target.id]), highest.get(case.patient, 0))  # type: ignore[arg-type]
    return min(Counter(highest.values()).values(), default=0)


def _strata(truths: Sequence[Any], target: Target) -> list[int]:
    if target.classifies:
        return [int(truth) for truth in truths]
    if target.kind == "time_to_event":
        return [truth.event if isinstance(truth, Event) else 0 for truth in truths]
    if target.kind == "value" and len(truths) >= 4 * _LAYERS:
        values = np.array(truths, dtype=float)
        edges = np.quantile(values, np.linspace(0, 1, _LAYERS + 1)[1:-1])
        return [int(layer) for layer in np.searchsorted(edges, values, side="right")]
    return [0] * len(truths)
