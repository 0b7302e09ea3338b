"""Two reports side by side: what both judged, what each reached, and by how much they differ where that can be said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula.report import sentences
from trabecula.report.measured import rows_of
from trabecula.report.numbers import by_patient, compared
from trabecula.report.page import environment, inline

if TYPE_CHECKING:
    from trabecula.report.files import Report

Json = Mapping[str, Any]


def beside(one: Report, other: Report) -> dict[str, Any]:
    """Return the results of both by system and target, and what of the two runs is the same.

    Where both judged the same patients in the same folds, results have their paired difference (the first less the
    second) with its interval; elsewhere figures only stand beside each other.
    """
    pairs = []
    for result in one.results:
        twin = next((each for each in other.results if _who(each) == _who(result)), None)
        if twin is not None:
            pairs.append(_pair(result, twin, one, other))
    both = {_who(each) for each in one.results} & {_who(each) for each in other.results}
    return {
        "format": 1,
        "reports": [_told(each) for each in (one, other)],
        "same": _same(one.told, other.told),
        "results": pairs,
        "alone": [
            [" ".join(_who(each)) for each in report.results if _who(each) not in both] for report in (one, other)
        ],
    }


def beside_page(told: Json) -> str:
    """Return two reports side by side as one page that needs nothing else; the same input gives the same bytes."""
    html = environment().get_template("beside.html").render(
        told=told, standing=sentences.standing, css=inline("page.css"), script=inline("sort.js")
    )  # fmt: skip
    return f"{html.strip()}\n"


def _who(result: Json) -> tuple[str, ...]:
    apart = ("as_published",) if result["role"] == "as_published" else ()
    return (result["system"], result["target"], *apart)


def _pair(result: Json, twin: Json, one: Report, other: Report) -> dict[str, Any]:
    ours, theirs = (by_patient(rows_of(report.rows, each)) for report, each in ((one, result), (other, twin)))
    paired = (
        sorted(ours.patients) == sorted(theirs.patients)
        and _ordered(ours.patients, ours.folds) == _ordered(theirs.patients, theirs.folds)
        and _ordered(ours.patients, ours.truth) == _ordered(theirs.patients, theirs.truth)
    )
    return {
        "system": result["system"], "role": result["role"], "target": result["target"],
        "target_title": result["target_title"], "headline_metric": result["headline_metric"],
        "sizes": [result["size"], twin["size"]],
        "patients": [each["patients"] for each in (result, twin)],
        "abstained": [each["abstained"]["patients"] for each in (result, twin)],
        "metrics": {
            name: [result["metrics"].get(name), twin["metrics"].get(name)]
            for name in dict.fromkeys((*result["metrics"], *twin["metrics"]))
        },
        "difference": compared(ours, theirs, seed=int(one.told["protocol"]["seed"])) if paired else None,
        "settings": _changed(result["settings"], twin["settings"]),
    }  # fmt: skip


def _ordered(patients: Sequence[str], values: Any) -> list[Any]:
    return [np.asarray(values)[place].tolist() for place in np.argsort(np.asarray(patients), kind="stable")]


def _changed(ours: Sequence[Json], theirs: Sequence[Json]) -> dict[str, list[Any]]:
    """Return the settings in which two results differ, with both values."""
    first, second = ({each["name"]: each["value"] for each in settings} for settings in (ours, theirs))
    names = dict.fromkeys((*first, *second))
    return {name: [first.get(name), second.get(name)] for name in names if first.get(name) != second.get(name)}


def _told(report: Report) -> dict[str, Any]:
    told, cohort = report.told, report.told["cohort"]
    return {
        "cohort": cohort["title"], "patients": cohort["patients"], "checksum": cohort["checksum"],
        "rule": told["protocol"]["rule"], "written": told["environment"]["written"],
        "trabecula": told["environment"]["packages"].get("trabecula", ""),
    }  # fmt: skip


def _same(one: Json, other: Json) -> dict[str, bool]:
    """Say what of two runs is the same: their data, their way of judging, their software."""
    return {
        "data": one["cohort"]["checksum"] == other["cohort"]["checksum"],
        "protocol": one["protocol"]["rule"] == other["protocol"]["rule"],
        "versions": one["environment"]["packages"] == other["environment"]["packages"],
    }
