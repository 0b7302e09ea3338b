"""A report on disk: `report.json`, `predictions.csv`, `splits.csv`, `index.html`, whole or not at all."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, final

from trabecula.report.numbers import Row
from trabecula.state import whole

log = logging.getLogger("trabecula")

_COLUMNS = tuple(each.name for each in fields(Row))
_STRUCTURED = ("truth", "prediction")
_SPLIT = ("protocol", "system", "case", "patient", "fold", "role")


@final
class Report:
    """Answers and the numbers that follow from them, beside the published ones, with provenance."""

    def __init__(self, told: dict[str, Any], rows: tuple[Row, ...]) -> None:
        self.told = told
        self.rows = rows

    @property
    def results(self) -> list[dict[str, Any]]:
        """One entry for each system and target, best first."""
        return list(self.told["results"])

    def result(self, system: str, *, role: str | None = None) -> dict[str, Any]:
        """Return the first result of a system.

        Raises `KeyError` when the report holds none.
        """
        for each in self.results:
            if each["system"] == system and role in (None, each["role"]):
                return each
        raise KeyError(
            f"no result of {system}; there are {', '.join(dict.fromkeys(r['system'] for r in self.results))}"
        )

    def __str__(self) -> str:
        """Show the leaderboard as plain text."""
        cohort, rule = self.told["cohort"], self.told["protocol"]["rule"]
        lines = [f"{cohort['title']}: {cohort['patients']} patients; {rule}"]
        for each in self.results:
            name = each["headline_metric"]
            figure = each["metrics"].get(name)
            told = (
                "no figure"
                if figure is None or figure["value"] is None
                else f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"
            )
            lines.append(f"  {name} {told}  {each['system']} [{each['role']}, {each['size']}] {each['target']}")
        return "\n".join(lines)

    def save(self, folder: str | Path) -> None:
        """Write everything into a new folder.

        Raises `FileExistsError` when the folder is there already and not empty.
        """
        from trabecula.report.page import page  # noqa: PLC0415 loads matplotlib

        with whole(Path(folder)) as temporary:
            _write_csv(temporary / "predictions.csv", _COLUMNS, [_cells(row) for row in self.rows])
            _write_csv(temporary / "splits.csv", _SPLIT, self._splits())
            checksums = {
                name: hashlib.sha256((temporary / name).read_bytes()).hexdigest()
                for name in ("predictions.csv", "splits.csv")
            }
            told = {**self.told, "checksums": checksums}
            (temporary / "report.json").write_text(json.dumps(told, indent=1, allow_nan=False), encoding="utf-8")
            try:
                drawn = page(told)
            except Exception:  # hours of fitting are not thrown away for a page that can be drawn again
                log.exception("index.html could not be drawn; report.json and predictions.csv are whole")
                drawn = "<!doctype html><title>trabecula</title><p>This page could not be drawn; see report.json."
            (temporary / "index.html").write_text(drawn, encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> Report:
        """Read a report back.

        Raises `ValueError` when the folder holds none, or `predictions.csv` is not the one that was written.
        """
        folder = Path(folder)
        try:
            told = json.loads((folder / "report.json").read_text(encoding="utf-8"))
            written = told["checksums"]["predictions.csv"]
            content = (folder / "predictions.csv").read_bytes()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{folder} holds no report: {error}") from error
        if hashlib.sha256(content).hexdigest() != written:
            raise ValueError(f"{folder}: predictions.csv was altered since the report was written")
        lines = csv.DictReader(io.StringIO(content.decode("utf-8"), newline=""))
        return cls(told, tuple(_row(line) for line in lines))

    def _splits(self) -> list[dict[str, Any]]:
        """Return in which fold each case was judged: once for all honest results, once for each published split.

        All others were learned from there, less those that were left out, which have a line each.
        """
        seen: dict[tuple[str, str, str, int], dict[str, Any]] = {}
        for row in self.rows:
            system = row.system if row.role == "as_published" else ""
            line = {
                "protocol": row.protocol,
                "system": system,
                "case": row.case,
                "patient": row.patient,
                "fold": row.fold,
                "role": "test",
            }
            seen.setdefault((row.protocol, system, row.case, row.fold), line)
        told = self.told.get("protocol", {})
        name = next((row.protocol for row in self.rows if row.role != "as_published"), "")
        left = [{"protocol": name, "system": "", **line, "role": "left_out"} for line in told.get("left_out", ())]
        return [*seen.values(), *left]


def _write_csv(path: Path, columns: Sequence[str], lines: Sequence[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(lines)


def _cells(row: Row) -> dict[str, Any]:
    cells = asdict(row)
    return {**cells, **{name: "" if cells[name] is None else json.dumps(cells[name]) for name in _STRUCTURED}}


def _row(line: dict[str, str]) -> Row:
    structured: dict[str, Any] = {name: json.loads(line[name]) if line[name] else None for name in _STRUCTURED}
    cells: dict[str, Any] = {**line, **structured, "fold": int(line["fold"])}
    return Row(**cells)
