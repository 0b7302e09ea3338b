"""Whether a report says what its predictions say: every figure is computed again and laid beside the one written."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trabecula.report.files import Report
from trabecula.report.measured import measured, rows_of, side_by_side
from trabecula.report.page import page

if TYPE_CHECKING:
    from trabecula.system import Progress

_SAME = 1e-6  # other processors and libraries sum in another order


@dataclass(frozen=True)
class Mismatch:
    """A figure that does not follow."""

    where: str
    """Its place in the report, such as `mao2022 who_class_dxa: metrics.auc.low`."""
    written: Any
    follows: Any

    def __str__(self) -> str:
        return f"{self.where}: the report says {self.written!r}, predictions.csv gives {self.follows!r}"


@dataclass(frozen=True)
class Verified:
    """How many figures were computed again, and which do not follow."""

    figures: int
    mismatches: tuple[Mismatch, ...]
    notes: tuple[str, ...]
    """What was looked at besides, and what cannot be computed again from the folder."""


def verify(folder: str | Path, *, progress: Progress | None = None) -> Verified:
    """Compute every figure of a report again from `predictions.csv`, and draw its page again.

    Raises `ValueError` when the folder holds no report, or `predictions.csv` is not the one that was written.
    """
    folder = Path(folder)
    report = Report.load(folder)
    seed = int(report.told["protocol"]["seed"])
    results = [result for result in report.results if rows_of(report.rows, result)]
    figures, found = (
        0,
        [
            Mismatch(f"{result['system']} {result['target']}", f"{result['patients']} patients", "no answer")
            for result in report.results
            if result not in results
        ],
    )
    if progress is not None:
        progress(0, len(results) + 1, "differences")
    beside = side_by_side(results, report.rows, seed)
    for number, (result, again) in enumerate(zip(results, beside, strict=True)):
        name = f"{result['system']} {result['target']}"
        if progress is not None:
            progress(number + 1, len(results) + 1, name)
        for key, follows in {**measured(rows_of(report.rows, result), seed), **again}.items():
            for place, written, own in _leaves(_keyed(result.get(key)), _keyed(follows), place=key):
                figures += 1
                if not _same(written, own):
                    found.append(Mismatch(f"{name}: {place}", written, own))
    found += [
        Mismatch(f"{row.system} {row.target}", "no result", "answers")
        for row in {(r.system, r.protocol, r.target): r for r in report.rows}.values()
        if not any(rows_of([row], result) for result in results)
    ]
    splits = folder / "splits.csv"
    known = report.told["checksums"].get("splits.csv")
    if not splits.is_file() or hashlib.sha256(splits.read_bytes()).hexdigest() != known:
        found.append(Mismatch("splits.csv", f"SHA-256 {known}", "another file"))
    return Verified(figures, tuple(found), tuple(_notes(folder, report)))


def _leaves(written: Any, follows: Any, *, place: str) -> Iterator[tuple[str, Any, Any]]:
    """Return what stands at each end of two trees, with its place; `None` where one has nothing there."""
    if isinstance(written, Mapping) or isinstance(follows, Mapping):
        named = [each if isinstance(each, Mapping) else {} for each in (written, follows)]
        for key in dict.fromkeys((*named[0], *named[1])):
            yield from _leaves(*(each.get(key) for each in named), place=f"{place}.{key}")
    elif _list(written) or _list(follows):
        listed = [list(each) if _list(each) else [] for each in (written, follows)]
        for number, (ours, theirs) in enumerate(zip_longest(*listed)):
            yield from _leaves(ours, theirs, place=f"{place}[{number}]")
    else:
        yield place, written, follows


def _keyed(value: Any) -> Any:
    """Return differences by whom they are against: their order is that of the entrants, which a report has not."""
    return {each["against"]: each for each in value} if _list(value) and value and "against" in value[0] else value


def _list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _same(written: Any, follows: Any) -> bool:
    if isinstance(written, int | float) and isinstance(follows, int | float):
        return math.isclose(written, follows, rel_tol=_SAME, abs_tol=_SAME)
    return bool(written == follows)


def _notes(folder: Path, report: Report) -> Iterator[str]:
    """Say whether the page shows this report, and what has to be taken on trust."""
    drawn = folder / "index.html"
    try:
        same = drawn.read_text(encoding="utf-8") == page(report.told)
    except Exception:
        same = False
    yield (
        "index.html is the page of this report.json" if same
        else "index.html is not the page that this version draws of report.json: it may be another version's"
    )  # fmt: skip
    yield "taken on trust: that the systems gave these answers, what is said of the cohort, seconds"
