"""The report as one JSON object: every figure on every page comes from here."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from trabecula.report.described import described
from trabecula.report.measured import measured, side_by_side
from trabecula.survey import weighted_mean
from trabecula.system import System, threads
from trabecula.target import get_target

if TYPE_CHECKING:
    from trabecula.cohort import Cohort
    from trabecula.findings import Findings
    from trabecula.protocol import Protocol
    from trabecula.report.numbers import Row

_PACKAGES = ("trabecula", "numpy", "scipy", "scikit-learn", "catboost", "torch", "timm", "monai", "pillow", "pydicom")
_INTERVALS = (
    "95 % percentile bootstrap of patients within folds and classes, 2,000 draws; figures are means over folds; "
    "conditional on the fitted models"
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Told:
    """What is known of one entrant besides its answers."""

    system: System
    name: str
    role: str
    protocol: str
    fit_seconds: float
    predict_seconds: float
    notes: Mapping[str, Any] = field(default_factory=dict)
    leak: Mapping[str, int] = field(default_factory=dict)
    labels: str = ""
    labelled: float | None = None


def summary(
    rows: Sequence[Row], *, cohort: Cohort, findings: Findings, protocol: Protocol, entrants: Sequence[Told]
) -> dict[str, Any]:
    """Return `report.json`: cohort, protocol, results, environment. Results are sorted by their headline metric."""
    results: list[dict[str, Any]] = []
    for told in entrants:
        mine = [row for row in rows if _of(row, told)]
        for target in dict.fromkeys(row.target for row in mine):
            result = _result([row for row in mine if row.target == target], told, protocol.seed)
            results.append(result)
    for result, compared in zip(results, side_by_side(results, rows, protocol.seed), strict=True):
        result.update(compared)
    return {
        "format": 1,
        "cohort": _cohort(cohort, findings, entrants[0].system.headline.id),
        "protocol": {
            "name": protocol.name, "rule": protocol.rule, "folds": protocol.folds, "seed": protocol.seed,
            "unit": "patient" if cohort.card.patients == "known" else "picture, duplicates grouped",
            "intervals": _INTERVALS,
        },
        "results": sorted(results, key=_place),
        "environment": environment(protocol.seed),
    }  # fmt: skip


def environment(seed: int) -> dict[str, Any]:
    """Return what another person needs to repeat the run: versions, machine, threads, seed."""
    packages = {}
    for name in _PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(), "system": platform.system(), "machine": platform.machine(),
        "cores": os.cpu_count(), "threads": threads(), "seed": seed, "packages": packages,
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
    }  # fmt: skip


def _result(rows: Sequence[Row], told: Told, seed: int) -> dict[str, Any]:
    system, card, target = told.system, told.system.card(), get_target(rows[0].target)
    replaced = target.id not in card.targets
    published = [
        entry.model_dump()
        for entry in card.published
        if entry.origin == "read" and (entry.target or card.targets[0]) == target.id
    ]
    return {
        "system": told.name, "title": card.title, "authors": list(card.authors),
        "venue": card.venue, "link": card.link, "year": card.year, "role": told.role, "protocol": told.protocol,
        "target": target.id, "target_title": target.title, "card_targets": list(card.targets),
        "kind": target.kind, "unit": target.unit, "grades": list(target.grades), "population": target.population,
        "target_replaced": replaced, "circular": target.circular,
        "size": system.size, "fidelity": card.fidelity,
        **measured(rows, seed),
        "inputs": system.inputs().model_dump(), "settings": system.origins(),
        "labels": {"asked": told.labels, "patients": told.labelled},
        "published": [] if replaced else published,
        "weaknesses": list(card.weaknesses),
        "seconds": {"fit": round(told.fit_seconds, 2), "predict": round(told.predict_seconds, 2)},
        "notes": dict(told.notes), "leak": dict(told.leak),
        "split": card.split.model_dump() if told.role == "as_published" and card.split else None,
    }  # fmt: skip


def _cohort(cohort: Cohort, findings: Findings, target: str) -> dict[str, Any]:
    return {
        "id": cohort.id, "title": cohort.card.title, "cases": len(cohort.cases),
        "patients": len({case.patient for case in cohort.cases}),
        "card": cohort.card.model_dump(), "notes": list(cohort.notes), "findings": findings.to_json(),
        "checksum": _checksum(cohort), "prevalence": _prevalence(cohort),
        "described": described(cohort.cases, target),
    }  # fmt: skip


def _prevalence(cohort: Cohort) -> dict[str, Any]:
    """Return the number of cases of each grade and, where cases carry weights, its share of the population."""
    told: dict[str, Any] = {}
    for target in dict.fromkeys(t for case in cohort.cases for t in case.truth):
        row = get_target(target)
        if row.classifies:
            told[target] = {
                grade: {
                    "cases": sum(case.truth.get(target) == number for case in cohort.cases),
                    "population": _population(cohort, target, number),
                }
                for number, grade in enumerate(row.grades)
            }
    return told


def _population(cohort: Cohort, target: str, grade: int) -> dict[str, Any] | None:
    """Return a design-based share: strata and PSU where the cohort has them, else each patient drawn on its own.

    Cases without truth stay in the design with the weight 0. Nothing where no case carries a weight, and no interval
    (but the reason) where the design tells none, such as a stratum with one PSU.
    """
    cases = cohort.cases
    if all(case.weight == 1 for case in cases):
        return None
    strata = [case.groups.get("stratum", "") for case in cases]
    psu = [case.groups.get("psu", case.patient) for case in cases]
    values = [float(case.truth.get(target) == grade) for case in cases]
    weights = [case.weight if target in case.truth else 0.0 for case in cases]
    try:
        found = weighted_mean(values, weights, strata=strata, psu=psu)
    except ValueError as error:
        value = sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)
        return {"value": value, "low": None, "high": None, "se": None, "why": str(error)}
    return {"value": found.value, "low": max(0.0, found.low), "high": min(1.0, found.high), "se": found.se}


def _checksum(cohort: Cohort) -> str:
    """Name the content of a cohort, wherever it lies: ids, images, masks, tables, weights and truth."""
    sha = hashlib.sha256()
    for case in sorted(cohort.cases, key=lambda c: c.id):
        sources = {role: held.source(role).digest for held in (case.images, case.masks) for role in held}
        truth = {target: getattr(known, "digest", known) for target, known in case.truth.items()}
        told = (case.id, case.patient, case.part, case.weight, sources, dict(case.table), truth)
        sha.update(json.dumps(told, sort_keys=True, default=str).encode())
    return sha.hexdigest()


def _place(result: dict[str, Any]) -> tuple[str, int, float]:
    """Sort by target, honest results first, best first."""
    from trabecula.metrics import LOWER_IS_BETTER  # noqa: PLC0415

    value = (result["metrics"].get(result["headline_metric"]) or {}).get("value")
    worst = float("inf") if value is None else value if result["headline_metric"] in LOWER_IS_BETTER else -value
    return result["target"], result["role"] == "as_published", worst


def _of(row: Row, told: Told) -> bool:
    return row.system == told.name and row.protocol == told.protocol
