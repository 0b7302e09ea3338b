"""Tables as numbers, for classical systems: what a column is like is learned in training and kept as plain facts.

Nothing here loads torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula.prediction import graded
from trabecula.target import VARIABLES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from trabecula.case import Case
    from trabecula.prediction import Prediction
    from trabecula.target import Target

Columns = list[dict[str, Any]]


def labelled(cases: Sequence[Case], target: Target) -> tuple[list[Case], NDArray[np.intp]]:
    """Return the cases that have truth for a graded target, and their grades `[n]`."""
    known = [case for case in cases if target.id in case.truth]
    return known, np.array([case.truth[target.id] for case in known], dtype=np.intp)


def present(cases: Sequence[Case], names: Sequence[str]) -> list[str]:
    """Return those of the names that at least one case has a value for, in their order."""
    return [name for name in names if any(name in case.table for case in cases)]


def learned_columns(cases: Sequence[Case], names: Sequence[str]) -> Columns:
    """Describe columns by the cases: median, mean and SD of a number and whether it may be missing, codes of a code."""
    columns: Columns = []
    for name in names:
        if VARIABLES[name].categorical:
            columns.append({"name": name, "codes": sorted({str(c.table[name]) for c in cases if name in c.table})})
            continue
        values = np.array([case.number(name) for case in cases])
        missing = np.isnan(values)
        middle = float(np.median(values[~missing]))
        filled = np.where(missing, middle, values)
        columns.append({
            "name": name, "middle": middle, "mean": float(filled.mean()), "sd": float(filled.std()) or 1.0,
            "missing": bool(missing.any()),
        })  # fmt: skip
    return columns


def encoded(cases: Sequence[Case], columns: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
    """Return cases as `[n, features]`, in the order of `feature_names`.

    A number is scaled by the training data, its gaps filled with the median and, where training had gaps, marked in a
    feature of their own. A code is one feature a value; a missing or unknown one sets none.
    """
    features: list[NDArray[np.float64]] = []
    for column in columns:
        if "codes" in column:
            values = [case.table.get(column["name"]) for case in cases]
            features += [np.array([float(value == code) for value in values]) for code in column["codes"]]
            continue
        numbers = np.array([case.number(column["name"]) for case in cases])
        missing = np.isnan(numbers)
        features.append((np.where(missing, column["middle"], numbers) - column["mean"]) / column["sd"])
        if column["missing"]:
            features.append(missing.astype(float))
    return np.stack(features, axis=1)


def feature_names(columns: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name the input variable behind each feature of `encoded`."""
    return [
        column["name"]
        for column in columns
        for _ in (column["codes"] if "codes" in column else range(1 + column["missing"]))
    ]


def predictions(target: Target, probabilities: NDArray[np.float64], classes: Sequence[int]) -> list[Prediction]:
    """Return answers from probabilities `[n, classes]`; a grade that training did not hold gets 0."""
    shares = np.zeros((len(probabilities), len(target.grades)))
    shares[:, list(classes)] = probabilities
    return [graded(target, row) for row in shares]
