"""Verbs to begin with: the catalogue, what lies in a cohort, and cohorts of phantoms."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trabecula.asked import open_named
from trabecula.cli.words import (
    DataOption,
    FormatOption,
    PatientsOption,
    SeedOption,
    StoredAs,
    TargetOption,
    WithOption,
    app,
)
from trabecula.terminal import Format, console, progress_bar, show_rows


@app.command()
def systems(
    modality: Annotated[str | None, typer.Option(help="xray, ct, dxa, mri, dental or table.")] = None,
    anatomy: Annotated[str | None, typer.Option(help="Such as knee, hip, lumbar spine.")] = None,
    family: Annotated[str | None, typer.Option(help="Such as cnn, transformer, radiomics, survival.")] = None,
    section: Annotated[str | None, typer.Option(help="classification, fracture_detection, fracture_risk.")] = None,
    target: Annotated[str | None, typer.Option(help="A row of the target table.")] = None,
    status: Annotated[str | None, typer.Option(help="planned, faithful, approximate, reconstruction.")] = None,
    since: Annotated[int | None, typer.Option(help="Published in this year or later.")] = None,
    baselines: Annotated[bool, typer.Option(help="List the baselines as well.")] = False,
    format_: FormatOption = Format.table,
) -> None:
    """List the published systems, by year. For example: `--modality xray --family transformer --since 2022`."""
    from trabecula import catalogue

    wanted = {
        "modality": modality, "anatomy": anatomy, "family": family, "section": section, "target": target,
        "status": status,
    }  # fmt: skip
    cards = catalogue.systems(wanted={k: v for k, v in wanted.items() if v}, since=since, baselines=baselines)
    if format_ is Format.bibtex:
        typer.echo("\n\n".join(card.bibtex() for card in cards))
        return
    show_rows(catalogue.rows(cards), format_, title=f"{len(cards)} systems")


@app.command()
def cohorts(format_: FormatOption = Format.table) -> None:
    """List what `--cohort` accepts by name, and the layouts it accepts by path."""
    from trabecula import catalogue

    show_rows(catalogue.cohorts(), format_, title="cohorts by name")
    if format_ is Format.table:
        console.print(catalogue.LAYOUTS, highlight=False)


@app.command()
def show(
    id_: Annotated[str, typer.Argument(metavar="ID", help="A system or a cohort.")],
    format_: FormatOption = Format.table,
) -> None:
    """Print everything on a card: what is the paper's, what is ours, weaknesses included."""
    from trabecula import catalogue

    card = catalogue.card(id_)
    if format_ is Format.json:
        typer.echo(card.model_dump_json(indent=1))
    elif format_ is Format.bibtex:
        typer.echo(catalogue.bibtex(card))
    elif format_ is Format.csv:
        show_rows(catalogue.facts(card), format_, title=id_)
    else:
        console.print(catalogue.page(card), highlight=False)


@app.command()
def check(
    cohort: Annotated[str, typer.Argument(help="A folder, a manifest, or an id of `trabecula cohorts`.")],
    data: DataOption = None,
    target: TargetOption = None,
    patients: PatientsOption = None,
    picture: Annotated[Path | None, typer.Option(help="Write a contact sheet of duplicates and conflicts.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    seed: SeedOption = 0,
    with_: WithOption = None,
) -> None:
    """Look before learning: unreadable files, duplicates, double labels, missing values, acquisition shortcuts.

    Exit code 1 when something must be resolved before learning.
    """
    from trabecula import findings

    with progress_bar() as progress:
        opened = open_named(cohort, data, n=patients, target=target, seed=seed, with_=with_, progress=progress)
        found = findings.check(opened, target=target, seed=seed, progress=progress)
    if picture is not None:
        findings.picture(opened, found, picture)
    if as_json:
        show_rows(found.to_json(), Format.json)
    else:
        for line in found.lines():
            console.print(line, highlight=False, soft_wrap=True)
    raise typer.Exit(1 if found.must_resolve else 0)


@app.command()
def phantom(
    cohort: Annotated[str, typer.Argument(help="A phantom cohort of `trabecula cohorts`.")],
    out: Annotated[Path, typer.Option(help="A folder for the cohort; one that was interrupted is finished.")],
    n: Annotated[int | None, typer.Option("--n", help="Number of patients; the cohort's own by default.")] = None,
    seed: SeedOption = 0,
    form: Annotated[
        StoredAs | None,
        typer.Option("--as", help="How images are stored; by default png for pictures, nifti for anything else."),
    ] = None,
    with_: Annotated[
        list[str] | None,
        typer.Option("--with", "--set", metavar="NAME=VALUE", help="Change a setting of the cohort."),
    ] = None,
    picture: Annotated[Path | None, typer.Option(help="Write a contact sheet of the first patients.")] = None,
    jobs: Annotated[int | None, typer.Option(help="Patients side by side; all cores by default.")] = None,
) -> None:
    """Make patients whose bone is known, with their images, as a cohort on disk. The same call goes on where it ended.

    For example: `trabecula phantom phantom_knee_xray --n 100 --seed 0 --out knees --as dicom`.
    """
    from trabecula import contact_sheet
    from trabecula.card import cohort_card
    from trabecula.cohort_files import write_cohort

    if not cohort_card(cohort).made:
        raise ValueError(f"{cohort} is a public set: nothing is made. `trabecula cohorts` lists the phantoms")
    with progress_bar() as progress:
        opened = open_named(cohort, None, n=n, target=None, seed=seed, with_=with_, progress=progress)
        written = write_cohort(opened, out, form=form.value if form else None, jobs=jobs, progress=progress)
    if picture is not None:
        contact_sheet.draw_first(opened.cases, picture)
    console.print(str(written), highlight=False, soft_wrap=True)
