"""The command line: one verb for one public function.

Every error that a user can mend is one line that says how, and exit code 2; `TRABECULA_DEBUG=1` shows where it rose.
"""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trabecula.asked import (
    answer_rows,
    cohort_named,
    evaluate_all,
    model_and_cases,
    open_named,
    recipe_of,
    require_free,
    settings_of,
    tell,
    variants,
)
from trabecula.terminal import Format, console, progress_bar, show_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trabecula.case import Case

app = typer.Typer(
    name="trabecula",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="markdown",
    help="Every published AI system for osteoporosis imaging: runnable, comparable under one honest protocol.\n\n"
    "Begin with `trabecula systems`, look at your data with `trabecula check FOLDER`, then "
    "`trabecula evaluate SYSTEM... --cohort FOLDER --out REPORT`. Not a medical device.",
)


class Size(StrEnum):
    """The three sizes of a trainable system."""

    paper = "paper"
    small = "small"
    tiny = "tiny"


class StoredAs(StrEnum):
    """Formats of a phantom's images."""

    dicom = "dicom"
    nifti = "nifti"
    png = "png"


class ProtocolName(StrEnum):
    """How patients are split."""

    kfold = "kfold"
    holdout = "holdout"
    as_published = "as_published"
    learning_curve = "learning_curve"
    few_shot = "few_shot"


CohortOption = Annotated[
    str,
    typer.Option(
        help="An id of `trabecula cohorts`, a folder (one folder a class; DICOM), a manifest (.csv, .parquet), or "
        "`auto`: the phantom cohort that suits the system."
    ),
]
DataOption = Annotated[
    Path | None, typer.Option(help="Where the public sets lie; or the environment variable TRABECULA_DATA.")
]
TargetOption = Annotated[
    str | None, typer.Option(help="Predict this row of the target table instead of the card's; of the same kind.")
]
SizeOption = Annotated[Size, typer.Option(help="`paper`: as published; `small`: for a laptop; `tiny`: for tests.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Change a setting; see `trabecula show ID`.")
]
WithOption = Annotated[
    list[str] | None,
    typer.Option("--with", metavar="NAME=VALUE", help="Change a setting of the phantom cohort, such as shortcut=1."),
]
PatientsOption = Annotated[int | None, typer.Option(help="Number of patients of a phantom cohort.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Same seed, same answer.")]
FormatOption = Annotated[Format, typer.Option("--format", help="How to print.")]


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
def evaluate(
    systems: Annotated[
        list[str],
        typer.Argument(metavar="SYSTEM...", help="Ids of `trabecula systems`, or all: every one that is built."),
    ],
    out: Annotated[Path, typer.Option(help="A new folder for the report.")],
    cohort: CohortOption = "auto",
    data: DataOption = None,
    target: TargetOption = None,
    protocol: Annotated[ProtocolName, typer.Option(help="How patients are split.")] = ProtocolName.kfold,
    folds: Annotated[int, typer.Option(help="Number of folds.")] = 5,
    seed: SeedOption = 0,
    size: SizeOption = Size.paper,
    set_: SetOption = None,
    patients: PatientsOption = None,
    baselines: Annotated[bool, typer.Option(help="Stand the baselines beside the systems.")] = True,
    jobs: Annotated[int | None, typer.Option(help="Fits side by side; all cores by default.")] = None,
    with_: WithOption = None,
    vary: Annotated[
        str | None,
        typer.Option(metavar="NAME=VALUE,VALUE", help="Enter the one system named once for each value of a setting."),
    ] = None,
) -> None:
    """Compare systems on one cohort and write the report: report.json, predictions.csv, splits.csv, index.html.

    `trabecula evaluate all --size tiny --out all` judges every built system on the phantom cohort that suits it and
    writes one leaderboard over their reports; called again after an interruption, it goes on.
    """
    from trabecula.evaluation import evaluate as judge
    from trabecula.protocol import Protocol

    if systems == ["all"]:
        if cohort != "auto" or data or target or set_ or with_ or vary or not baselines:
            raise ValueError(
                "`evaluate all` chooses cohorts, targets and baselines itself: leave --cohort auto, and no settings"
            )
        rule = Protocol(name=protocol.value, folds=folds, seed=seed)
        return evaluate_all(out, size=size.value, patients=patients, protocol=rule, jobs=jobs)
    require_free(out)
    if vary is None:
        recipes = [recipe_of(id_, size.value, target, set_) for id_ in systems]
    else:
        recipes = list(variants(systems, size.value, target, set_, vary))
    rule = Protocol(name=protocol.value, folds=folds, seed=seed)
    with progress_bar() as progress:
        named = cohort_named(cohort, recipes[0])
        opened = open_named(named, data, n=patients, target=target, seed=seed, with_=with_, progress=progress)
        report = judge(recipes, opened, protocol=rule, baselines=baselines, jobs=jobs, progress=progress)
        report.save(out)
    return tell(report, out)


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
def selftest(
    system: Annotated[str, typer.Argument(help="An id of `trabecula systems` that is built.")],
    cohort: CohortOption = "auto",
    size: SizeOption = Size.tiny,
    patients: Annotated[int, typer.Option(help="Number of phantom patients.")] = 60,
    only: Annotated[list[str] | None, typer.Option(help="Run these checks only.")] = None,
    seed: SeedOption = 0,
    with_: WithOption = None,
) -> None:
    """Run the checks that every system must pass, each of which names the disaster it prevents."""
    from trabecula.selftest import run_checks

    recipe = recipe_of(system, size.value, None, None)
    with progress_bar() as progress:
        opened = open_named(
            cohort_named(cohort, recipe), None, n=patients, target=None, seed=seed, with_=with_, progress=progress
        )
        outcomes = run_checks(recipe, opened.cases, only=tuple(only or ()), progress=progress)
    rows = [
        {"check": o.check, "status": o.status, "seconds": round(o.seconds, 1), "message": o.message} for o in outcomes
    ]
    show_rows(rows, Format.table, title=f"{system} at {size.value}")
    raise typer.Exit(1 if any(o.status == "failed" for o in outcomes) else 0)


@app.command()
def prove(
    system: Annotated[str, typer.Argument(help="An id of `trabecula systems` that is built.")],
    out: Annotated[Path | None, typer.Option(help="Write every figure as JSON.")] = None,
    cohort: CohortOption = "auto",
    target: TargetOption = None,
    size: SizeOption = Size.tiny,
    set_: SetOption = None,
    patients: Annotated[int, typer.Option(help="Patients of the cross-validation; twins are of others.")] = 150,
    pairs: Annotated[int, typer.Option(help="Pairs of twins.")] = 40,
    folds: Annotated[int, typer.Option(help="Number of folds.")] = 3,
    seed: SeedOption = 0,
    jobs: Annotated[int | None, typer.Option(help="Fits side by side; all cores by default.")] = None,
) -> None:
    """Put a system to the proof on phantoms: whether it reads bone, or only age and the scanner.

    It has to beat itself with images permuted among patients of the same class of age, sex and BMI, and to follow
    counterfactual twins: the same patient and noise with less bone, or with nothing but another tube voltage or kernel.
    For example: `trabecula prove nam2019_lumbar_hu --patients 90`. A label from the same scan is replaced by DXA's.
    """
    import json

    from trabecula import proof
    from trabecula.report.proofs import told_proof

    recipe = proof.on_phantoms(system, size=size.value, target=target, settings=settings_of("--set", set_))
    named = cohort_named(cohort, recipe)
    with progress_bar() as progress:
        trial = proof.Trial(cohort=named, patients=patients, pairs=pairs, folds=folds, seed=seed)
        found = proof.prove(recipe, trial, jobs=jobs, progress=progress)
    held = proof.verdict(found)
    show_rows(told_proof(found, held), Format.table, title=f"{system} at {size.value} on {named}, {recipe.headline.id}")
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(found | {"verdict": held}, indent=1), encoding="utf-8")
        console.print(f"written: {out}", highlight=False, soft_wrap=True)
    raise typer.Exit(0 if all(held.values()) else 1)


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


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="A new folder for the report.")] = Path("demo"),
    patients: Annotated[int, typer.Option(help="Number of synthetic patients.")] = 150,
    folds: Annotated[int, typer.Option(help="Number of folds.")] = 3,
    seed: SeedOption = 0,
) -> None:
    """Evaluate three published systems and the baselines on synthetic knees: a leaderboard and a report in minutes."""
    names = ["muhammad2025_hybrid_attention", "sultana2025_swin_knee", "siddiqua2024_stacked_knee"]
    evaluate(
        names, out=out, cohort="phantom_knee_xray", target="osteoporosis_dxa", folds=folds, seed=seed,
        size=Size.tiny, patients=patients,
    )  # fmt: skip


def main() -> None:
    """Run the command line; a mendable error is one line on standard error and exit code 2."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os._exit(0)
    except (ValueError, LookupError, OSError, TypeError) as error:
        if os.environ.get("TRABECULA_DEBUG"):
            raise
        message = error.args[0] if isinstance(error, KeyError) and error.args else error
        typer.secho(f"trabecula: {' '.join(str(message).split())}", err=True, fg="red")
        sys.exit(2)
