"""Verbs at work: fit a system, ask it, see what an answer rests on, measure bone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trabecula.asked import answer_rows, cohort_named, model_and_cases, open_named, recipe_of, require_free
from trabecula.cli.words import (
    CohortOption,
    DataOption,
    FormatOption,
    PatientsOption,
    SeedOption,
    SetOption,
    Size,
    SizeOption,
    TargetOption,
    WithOption,
    app,
)
from trabecula.terminal import Format, console, progress_bar, show_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trabecula.case import Case


@app.command()
def fit(
    system: Annotated[str, typer.Argument(help="An id of `trabecula systems`.")],
    out: Annotated[Path, typer.Option(help="A new folder for the model.")],
    cohort: CohortOption = "auto",
    data: DataOption = None,
    target: TargetOption = None,
    size: SizeOption = Size.paper,
    set_: SetOption = None,
    patients: PatientsOption = None,
    seed: SeedOption = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, auto.")] = "cpu",
    precision: Annotated[str, typer.Option(help="32-true, bf16-mixed, ...")] = "32-true",
    with_: WithOption = None,
) -> None:
    """Fit one system to a whole cohort and save the model."""
    from trabecula.cohort import fitted_to

    require_free(out)
    recipe = recipe_of(system, size.value, target, set_)
    with progress_bar() as progress:
        named = cohort_named(cohort, recipe)
        opened = open_named(named, data, n=patients, target=target, seed=seed, with_=with_, progress=progress)
        cases = fitted_to(opened.cases, recipe.inputs())
        model = recipe.fit(cases, seed=seed, progress=progress, device=device, precision=precision)
        model.save(out)
    console.print(f"{model} saved in {out}", highlight=False, soft_wrap=True)


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="A folder written by `trabecula fit`.")],
    inputs: Annotated[list[str], typer.Argument(metavar="FILE...|COHORT", help="Images, or one cohort.")],
    data: DataOption = None,
    patients: PatientsOption = None,
    with_: WithOption = None,
    format_: FormatOption = Format.table,
) -> None:
    """Answer files with one image each, or every case of a cohort (several views, a table)."""
    with progress_bar() as progress:
        loaded, cases = model_and_cases(model, inputs, data, patients, with_, progress)
        answers = loaded.predict(cases, progress=progress)
    show_rows(
        answer_rows(cases, answers), format_, title=f"{loaded.system.id()} (a finding prompts DXA; not a diagnosis)"
    )


@app.command()
def explain(
    model: Annotated[Path, typer.Argument(help="A folder written by `trabecula fit`.")],
    file: Annotated[str, typer.Argument(help="An image, or a cohort together with --case.")],
    out: Annotated[Path, typer.Option(help="Where the picture or, without an image, the numbers (JSON) go.")],
    case: Annotated[str | None, typer.Option(help="Id of the case, when FILE is a cohort.")] = None,
    data: DataOption = None,
    patients: PatientsOption = None,
    with_: WithOption = None,
) -> None:
    """Show what an answer rests on: a heat map over the image, and numbers."""
    import json

    from trabecula import explanation

    with progress_bar() as progress:
        loaded, cases = model_and_cases(model, [file], data, patients, with_, progress)
    chosen = next((each for each in cases if each.id == case), None) if case else cases[0]
    if chosen is None:
        raise ValueError(f"{file} has no case {case!r}; its first is {cases[0].id!r}")
    evidence = explanation.explain(loaded, chosen)
    answer = answer_rows([chosen], loaded.predict([chosen]))
    places = {role: out if len(evidence.heat) == 1 else out.with_stem(f"{out.stem}.{role}") for role in evidence.heat}
    for role, heat in evidence.heat.items():
        explanation.overlay(chosen.images[role], heat, places[role])
    if evidence.figure:
        places["figure"] = out.with_suffix(".svg")
        places["figure"].write_text(evidence.figure, encoding="utf-8")
    if not places:
        out.write_text(json.dumps({"answer": answer, "numbers": dict(evidence.numbers)}, indent=1), encoding="utf-8")
    show_rows(answer, Format.table, title=evidence.method)
    ranked = sorted(evidence.numbers.items(), key=lambda pair: -abs(pair[1]))
    if ranked:
        show_rows([{"input": name, "share": round(value, 4)} for name, value in ranked], Format.table)
    console.print(f"written: {', '.join(map(str, places.values())) or out}", highlight=False, soft_wrap=True)


@app.command()
def measure(
    input_: Annotated[
        str,
        typer.Argument(metavar="FILE|COHORT", help="An image, as FILE or ROLE=FILE (hip_dxa=map.nii), or a cohort."),
    ],
    what: Annotated[
        str,
        typer.Option(
            help="What to measure, with commas between: hounsfield, density, areal, interpretation, vertebra, muscle, "
            "radiomics, texture, elements."
        ),
    ] = "hounsfield",
    mask: Annotated[
        list[str] | None,
        typer.Option(help="A label map for FILE, as MASK or ROLE=MASK; several times for several masks."),
    ] = None,
    layout: Annotated[
        str | None, typer.Option(help="Whose numbers a mask without names follows, such as totalsegmentator or verse.")
    ] = None,
    fact: Annotated[
        list[str] | None,
        typer.Option(help="What is known of FILE, as NAME=VALUE: sex, age_years, kvp, contrast, weight_kg, ..."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    picture: Annotated[Path | None, typer.Option(help="Write a PNG of the regions on the (first) image.")] = None,
    data: DataOption = None,
    patients: PatientsOption = None,
    seed: SeedOption = 0,
    with_: WithOption = None,
) -> None:
    """Measure bone in images: numbers with unit, region in mm and uncertainty, or why there is none.

    For example: `trabecula measure ct.nii.gz --mask vertebrae.nii.gz --what hounsfield,vertebra --picture regions.png`.
    """
    from trabecula import measured_regions, measurement
    from trabecula.cohort import names_cohort

    words = [word.strip() for word in what.split(",") if word.strip()]
    wanted = [measurement.quantity(word) for word in words]
    if as_json and as_csv:
        raise ValueError("--json and --csv are two ways to print one table: choose one")
    with progress_bar() as progress:
        cases: Sequence[Case]
        if mask or not names_cohort(input_):
            cases = [measurement.case_of_file(input_, mask or (), layout, facts=fact or ())]
        else:
            cases = open_named(input_, data, n=patients, target=None, seed=seed, with_=with_, progress=progress).cases
        rows = measurement.measure_cases(cases, words, progress=progress)
        if all(row["abstained"] for row in rows):
            raise ValueError(rows[0]["abstained"])
        if picture is not None:
            image, regions = measurement.pictured(cases[0], wanted)
            shown = [name for each in wanted for name in each.regions]
            measured_regions.draw_regions(image, regions, picture, shown)
    if as_json or as_csv:
        show_rows(rows, Format.json if as_json else Format.csv)
        return
    show_rows(measurement.short_rows(rows), title=f"{len(cases)} case{'s' * (len(cases) != 1)}")
    for row in rows:
        if row["sentence"]:
            console.print(f"{row['case']}: {row['sentence']}", highlight=False)
    console.print("uncertainty: half a 95 % interval; --json and --csv tell each region in mm, --picture shows it")
