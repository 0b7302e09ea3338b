"""How the command line prints: tables, other formats, progress bars, and log lines on standard error."""

from __future__ import annotations

import csv
import json
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from rich.console import Console

if TYPE_CHECKING:
    from trabecula.system import Progress


class Format(StrEnum):
    """Formats of the lists."""

    table = "table"
    json = "json"
    csv = "csv"
    markdown = "markdown"
    bibtex = "bibtex"


# Without markup: `[the paper's]` on a card is text, not a style of Rich.
console = Console(width=None if sys.stdout.isatty() else 170, markup=False, emoji=False)


def show_rows(
    rows: Sequence[Mapping[str, Any]] | Mapping[str, Any], format_: Format = Format.table, title: str = ""
) -> None:
    """Print rows as a table, JSON, CSV or Markdown; one mapping only as JSON.

    Raises `ValueError` for a format that does not fit.
    """
    if format_ is Format.json or isinstance(rows, Mapping):
        sys.stdout.write(json.dumps(rows, indent=1, ensure_ascii=False, default=str) + "\n")
        return
    columns = list(rows[0]) if rows else []
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    match format_:
        case Format.csv:
            csv.writer(sys.stdout).writerows([columns, *cells])
        case Format.markdown:
            lines = [columns, ["---"] * len(columns), *cells]
            sys.stdout.writelines("| " + " | ".join(c.replace("|", "\\|") for c in line) + " |\n" for line in lines)
        case Format.table if not rows:
            console.print(title or "nothing", highlight=False)
        case Format.table:
            from rich.table import Table  # noqa: PLC0415

            table = Table(title=title or None, title_justify="left", header_style="bold", box=None, pad_edge=False)
            for column in columns:
                table.add_column(column, overflow="fold", no_wrap=column == "id")
            for line in cells:
                table.add_row(*line)
            console.print(table, highlight=False)
        case _:
            raise ValueError(f"this list cannot be printed as {format_.value}")


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Give a progress bar on standard error that lives as long as the block; log lines go above it."""
    from rich.logging import RichHandler  # noqa: PLC0415
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415
    from rich.progress import Progress as Bar  # noqa: PLC0415

    errors = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    logger = logging.getLogger("trabecula")
    handler = RichHandler(console=errors, show_path=False, show_time=False)
    logger.addHandler(handler)
    with Bar(*columns, console=errors, transient=True) as bar:
        task = bar.add_task("", total=None)

        def progress(done: int, total: int, message: str = "") -> None:
            bar.update(task, completed=done, total=total or None, description=message)

        try:
            yield progress
        finally:
            logger.removeHandler(handler)


def _cell(value: Any) -> str:
    if isinstance(value, (list, tuple)) and all(isinstance(x, str) for x in value):
        return ", ".join(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)
