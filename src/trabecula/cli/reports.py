"""Verbs on reports that are written: whether one is true, and two side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trabecula.cli.words import app
from trabecula.terminal import Format, console, progress_bar, show_rows

_SHOWN = 20


@app.command()
def verify(
    report: Annotated[Path, typer.Argument(help="The folder that `trabecula evaluate --out` wrote.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compute every figure of a report again from its predictions.csv, and say which does not follow.

    Exit code 1 when one does not. What a system answered is taken from the file: to repeat that, run it again with
    `trabecula evaluate --splits REPORT/splits.csv`.
    """
    from dataclasses import asdict

    from trabecula.report.verified import verify as computed_again

    with progress_bar() as progress:
        found = computed_again(report, progress=progress)
    if as_json:
        show_rows(asdict(found), Format.json)
        raise typer.Exit(1 if found.mismatches else 0)
    for mismatch in found.mismatches[:_SHOWN]:
        console.print(str(mismatch), style="red", highlight=False, soft_wrap=True)
    if len(found.mismatches) > _SHOWN:
        console.print(f"and {len(found.mismatches) - _SHOWN} more; --json prints all", highlight=False)
    if found.mismatches:
        console.print(f"{len(found.mismatches)} of {found.figures} figures do not follow", highlight=False)
    else:
        console.print(f"all {found.figures} figures follow from predictions.csv", style="green", highlight=False)
    for note in found.notes:
        console.print(note, highlight=False, soft_wrap=True)
    raise typer.Exit(1 if found.mismatches else 0)


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(help="A folder that `trabecula evaluate --out` wrote.")],
    second: Annotated[Path, typer.Argument(help="Another one.")],
    out: Annotated[Path | None, typer.Option(help="Write a page (.html) or all figures (.json).")] = None,
    format_: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.table,
) -> None:
    """Lay two reports side by side: what each system reached in both, and by how much the first is ahead.

    A difference with its interval is told where both judged the same patients in the same folds.
    """
    import json

    from trabecula.report.beside import beside, beside_page
    from trabecula.report.files import Report
    from trabecula.report.words import metric_name, with_interval

    if out is not None and out.suffix not in (".html", ".json"):
        raise ValueError(f"{out} is neither a page (.html) nor figures (.json): name one that ends so")
    told = beside(Report.load(first), Report.load(second))
    if out is not None:
        written = beside_page(told) if out.suffix == ".html" else json.dumps(told, indent=1, allow_nan=False)
        out.write_text(written, encoding="utf-8")
    if format_ is Format.json:
        show_rows(told, format_)
        return
    rows = [
        {
            "who": each["system"], "target": each["target"], "figure": metric_name(each["headline_metric"]),
            "first": with_interval(each["metrics"][each["headline_metric"]][0]),
            "second": with_interval(each["metrics"][each["headline_metric"]][1]),
            "first less second": with_interval(each["difference"]) if each["difference"] else "other patients or folds",
        }
        for each in told["results"] if each["headline_metric"] in each["metrics"]
    ]  # fmt: skip
    show_rows(rows, format_, title=f"{first} and {second}")
    if out is not None:
        console.print(f"written: {out}", highlight=False)
