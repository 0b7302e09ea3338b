"""Who was judged, as the first table of a paper: each variable over all patients and in each class of the target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula.target import get_target

if TYPE_CHECKING:
    from trabecula.case import Case, TableValue


def described(cases: Sequence[Case], target: str) -> dict[str, dict[str, Any]]:
    """Return for everybody, and for the patients of each grade of a target with classes, how many and what they are.

    A patient counts once, at the first visit, and stands in the highest grade that any of the cases has.
    """
    first: dict[str, Case] = {}
    grade: dict[str, float] = {}
    row = get_target(target)
    for case in cases:
        first.setdefault(case.patient, case)
        if row.classifies and isinstance(known := case.truth.get(target), int | float):
            grade[case.patient] = max(grade.get(case.patient, known), known)
    groups = {"everybody": list(first.values())} | {
        name: [case for patient, case in first.items() if grade.get(patient) == number]
        for number, name in enumerate(row.grades if row.classifies else ())
    }
    variables = list(dict.fromkeys(name for case in first.values() for name in case.table))
    return {
        name: {"patients": len(members), "table": {each: _told(members, each) for each in variables}}
        for name, members in groups.items()
    }


def _told(cases: Sequence[Case], variable: str) -> dict[str, Any]:
    """Return mean, SD, median and quartiles of a number, or how many have each value, and for how many nothing is."""
    values = [case.table[variable] for case in cases if _known(case.table, variable)]
    missing = len(cases) - len(values)
    if any(isinstance(value, str) for value in values):
        return {"missing": missing, "counts": dict(sorted(Counter(map(str, values)).items()))}
    if not values:
        return {"missing": missing}
    numbers = np.array(values, dtype=float)
    low, middle, high = (float(each) for each in np.quantile(numbers, [0.25, 0.5, 0.75]))
    spread = float(numbers.std(ddof=1)) if len(numbers) > 1 else None
    return {"missing": missing, "mean": float(numbers.mean()), "sd": spread, "quartiles": [low, middle, high]}


def _known(table: Mapping[str, TableValue], variable: str) -> bool:
    value = table.get(variable)
    return value is not None and not (isinstance(value, float) and np.isnan(value))
