"""What of `report.json` follows from `predictions.csv`, and from nothing else: anybody can compute it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula.report.numbers import (
    abstaining_as_negative,
    by_part,
    by_patient,
    compared,
    curves,
    figures,
    headline_metric,
)

if TYPE_CHECKING:
    from trabecula.report.numbers import Judged, Row


def measured(rows: Sequence[Row], seed: int) -> dict[str, Any]:
    """Return every figure of one system about one target, from its answers."""
    patients, parts = by_patient(rows), by_part(rows)
    return {
        "headline_metric": headline_metric(patients.target),
        "patients": len(set(patients.patients)), "cases": len({row.case for row in rows}),
        "abstained": {
            "patients": len({p for p, known in zip(patients.patients, patients.evaluable, strict=True) if not known}),
            "share": float((~patients.evaluable).mean()),
            "reasons": _counted([row.abstained for row in rows if row.abstained]),
        },
        "metrics": figures(patients, seed=seed),
        "metrics_by_part": figures(parts, seed=seed) if len(parts.patients) > len(patients.patients) else {},
        "metrics_abstaining_as_negative": abstaining_as_negative(patients, seed=seed),
        "curves": curves(patients),
    }  # fmt: skip


def side_by_side(results: Sequence[Mapping[str, Any]], rows: Sequence[Row], seed: int) -> list[dict[str, Any]]:
    """Return for each result how it differs from its rivals, and its figures on the patients whom all answered.

    Nothing for a paper's own split, which judges other patients.
    """
    judged = {_name(result): by_patient(rows_of(rows, result)) for result in results}
    return [
        {}
        if result["role"] == "as_published"
        else {
            "differences": _differences(result, results, judged, seed),
            "common": _common(result, results, judged, seed),
        }
        for result in results
    ]


def _differences(
    result: Mapping[str, Any], results: Sequence[Mapping[str, Any]], judged: Mapping[str, Judged], seed: int
) -> list[dict[str, Any]]:
    """Compare a result with every other of its target, in pairs of the same patients."""
    found = []
    for other in _rivals(result, results):
        pair = compared(judged[_name(result)], judged[_name(other)], seed=seed)
        if pair is not None:
            found.append({"against": other["system"], "role": other["role"], **pair})
    return found


def _common(
    result: Mapping[str, Any], results: Sequence[Mapping[str, Any]], judged: Mapping[str, Judged], seed: int
) -> dict[str, Any]:
    """Return the figures on the patients whom every result of this target could answer, where some abstained."""
    rivals = [judged[_name(other)] for other in (result, *_rivals(result, results))]
    if all(each.evaluable.all() for each in rivals):
        return {}
    everyone = set.intersection(*({p for p, e in zip(j.places, j.evaluable, strict=True) if e} for j in rivals))
    mine = judged[_name(result)]
    kept = mine.only(np.array([p in everyone for p in mine.places], dtype=bool))
    return {"patients": len(set(kept.patients)), "metrics": figures(kept, seed=seed)}


def _rivals(result: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [
        other
        for other in results
        if other is not result and other["role"] != "as_published"
        and (other["target"], other["labels"]["asked"]) == (result["target"], result["labels"]["asked"])
    ]  # fmt: skip


def _name(result: Mapping[str, Any]) -> str:
    return "/".join((result["system"], result["protocol"], result["target"]))


def rows_of(rows: Sequence[Row], result: Mapping[str, Any]) -> list[Row]:
    """Return the answers that a result stands on."""
    return [row for row in rows if "/".join((row.system, row.protocol, row.target)) == _name(result)]


def _counted(reasons: Sequence[str]) -> dict[str, int]:
    return {reason: reasons.count(reason) for reason in dict.fromkeys(reasons)}
