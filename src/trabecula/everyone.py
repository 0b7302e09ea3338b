"""Every built system on the phantom cohort that suits it: a report for each, and one leaderboard over all."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from trabecula.card import system_card, system_ids
from trabecula.cohort import cohort_for, open_cohort
from trabecula.evaluation import Engine, evaluate
from trabecula.proof import on_phantoms
from trabecula.report.files import Report
from trabecula.report.overview import overview
from trabecula.system import quiet

if TYPE_CHECKING:
    from pathlib import Path

    from trabecula.protocol import Protocol
    from trabecula.system import Progress, System

PATIENTS = 60
"""Of each cohort, unless told: enough to compare under one rule, too few to rank."""
_ASKED, _HERE = "asked.json", Engine()

Line = dict[str, Any]


@dataclass(frozen=True, eq=False, kw_only=True)
class Group:
    """The systems that are judged together: on one cohort, for one target."""

    cohort: str
    target: str
    systems: tuple[System, ...]

    @property
    def name(self) -> str:
        """The folder of its report."""
        return f"{self.cohort.removeprefix('phantom_')}.{self.target}"


def groups(size: str) -> list[Group]:
    """Return all built systems at a size by the phantom cohort that suits them and what they predict there.

    A label that the same scan defines, or that no phantom has truth for, is replaced as `trabecula prove` does.
    """
    found: dict[tuple[str, str], list[System]] = {}
    for id_ in system_ids():
        card = system_card(id_)
        if card.built and card.role == "system":
            system = on_phantoms(id_, size=size)
            found.setdefault((_suits(system), system.headline.id), []).append(system)
    return [Group(cohort=cohort, target=target, systems=tuple(own)) for (cohort, target), own in sorted(found.items())]


def judge_all(
    out: Path,
    *,
    size: str,
    patients: int,
    protocol: Protocol,
    jobs: int | None = None,
    engine: Engine = _HERE,
    progress: Progress = quiet,
) -> list[Line]:
    """Judge every built system, write a report a group into `out`, and return the lines of the one leaderboard.

    Called again after an interruption with the same words, it goes on where it was: reports that are whole stay, and
    so do folds that are done of the one that is not. Raises `ValueError` where `out` holds the reports of other words,
    and for a protocol that needs more than one cohort or a setting to choose.
    """
    if protocol.name in ("external", "nested"):
        raise ValueError(f"{protocol.name} needs words about each system: evaluate them one by one")
    _same_words(out, {"size": size, "patients": patients, "protocol": asdict(protocol)})
    lines: list[Line] = []
    for group in groups(size):
        try:
            place = out / group.name
            report = _report(group, place, patients, protocol, jobs=jobs, engine=engine, progress=progress)
        except ValueError as error:
            lines += [_silent(group, system, str(error)) for system in group.systems]
        else:
            lines += _lines(group, report)
    _write(out, lines, protocol.rule)
    return lines


def _suits(system: System) -> str:
    inputs = system.inputs()
    return cohort_for(inputs.required, [system.headline.id], inputs.optional)


def _same_words(out: Path, asked: Mapping[str, Any]) -> None:
    told = json.dumps(asked, indent=1)
    if (out / _ASKED).exists():
        if (out / _ASKED).read_text(encoding="utf-8") != told:
            raise ValueError(f"{out} was begun with another size, protocol or number of patients: name another --out")
        return
    out.mkdir(parents=True, exist_ok=True)
    (out / _ASKED).write_text(told, encoding="utf-8")


def _report(
    group: Group,
    place: Path,
    patients: int,
    protocol: Protocol,
    *,
    jobs: int | None,
    engine: Engine,
    progress: Progress,
) -> Report:
    if (place / "report.json").exists():
        return Report.load(place)
    cohort = open_cohort(group.cohort, n=patients, seed=protocol.seed, progress=progress)
    runs = replace(engine, kept=place.with_name(f"{place.name}.unfinished"))
    report = evaluate(group.systems, cohort, protocol=protocol, jobs=jobs, engine=runs, progress=progress)
    report.save(place)
    runs.forget()
    return report


def _lines(group: Group, report: Report) -> Iterator[Line]:
    """Yield a line a system, the best of a group first, with its difference to the best baseline."""
    best = next((each["system"] for each in report.results if each["role"] == "baseline"), None)
    for each in report.results:
        if each["role"] != "system" or each["target"] != group.target:
            continue
        yield {
            "system": each["system"], "cohort": group.cohort, "target": group.target, "report": group.name,
            "metric": each["headline_metric"], "figure": each["metrics"].get(each["headline_metric"]),
            "best_baseline": best, "difference": next((d for d in each["differences"] if d["against"] == best), None),
            "patients": each["patients"], "abstained": each["abstained"]["patients"], "size": each["size"],
            "seconds": each["seconds"]["fit"] + each["seconds"]["predict"], "problem": "",
        }  # fmt: skip


def _silent(group: Group, system: System, why: str) -> Line:
    """Return the line of a system that could not be judged, with the reason."""
    return {
        "system": system.id(), "cohort": group.cohort, "target": group.target, "report": "", "metric": "",
        "figure": None, "best_baseline": None, "difference": None, "patients": 0, "abstained": 0,
        "size": system.size, "seconds": 0.0, "problem": why,
    }  # fmt: skip


def _write(out: Path, lines: list[Line], rule: str) -> None:
    """Write the leaderboard as a page and as a table; a reader never meets half of one."""
    table = io.StringIO()
    writer = csv.DictWriter(table, list(_flat(lines[0])), lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(_flat, lines))
    for name, text in (("leaderboard.csv", table.getvalue()), ("index.html", overview(lines, rule))):
        beside = out / f".{name}"
        beside.write_text(text, encoding="utf-8")
        beside.replace(out / name)


def _flat(line: Line) -> dict[str, Any]:
    """Return a line whose figures are columns of their own."""
    flat = {name: value for name, value in line.items() if name not in ("figure", "difference")}
    for name in ("figure", "difference"):
        found = line[name] or {}
        flat |= {f"{name}_{part}": found.get(part) for part in ("value", "low", "high")}
    return flat
