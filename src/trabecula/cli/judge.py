"""Verbs that judge: the comparison under one protocol, the checks every system passes, the proof on phantoms."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trabecula.asked import (
    cohort_named,
    evaluate_all,
    open_external,
    open_named,
    protocol_of,
    recipe_of,
    require_free,
    settings_of,
    tell,
    variants,
)
from trabecula.cli.words import (
    CohortOption,
    DataOption,
    EngineName,
    PatientsOption,
    ProtocolName,
    SeedOption,
    SetOption,
    Size,
    SizeOption,
    TargetOption,
    WithOption,
    app,
)
from trabecula.terminal import Format, console, progress_bar, show_rows

_SPLIT, _WHO, _WHERE = "How patients are split", "Who is compared on whom", "Where it runs"


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
    size: SizeOption = Size.paper,
    set_: SetOption = None,
    patients: PatientsOption = None,
    with_: WithOption = None,
    seed: SeedOption = 0,
    baselines: Annotated[
        bool, typer.Option(help="Stand the baselines beside the systems.", rich_help_panel=_WHO)
    ] = True,
    vary: Annotated[
        str | None,
        typer.Option(
            metavar="NAME=VALUE,VALUE",
            help="Enter the one system named once for each value of a setting; with `nested`, let each fold choose.",
            rich_help_panel=_WHO,
        ),
    ] = None,
    external: Annotated[
        str | None,
        typer.Option(
            metavar="COHORT",
            help="Learn from the whole of --cohort and judge on this one; a phantom's people are others (seed + 1).",
            rich_help_panel=_WHO,
        ),
    ] = None,
    external_with: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Change a setting of the external phantom.", rich_help_panel=_WHO),
    ] = None,
    protocol: Annotated[ProtocolName | None, typer.Option(help="kfold unless told.", rich_help_panel=_SPLIT)] = None,
    folds: Annotated[int | None, typer.Option(help="Number of folds; 5 unless told.", rich_help_panel=_SPLIT)] = None,
    repeats: Annotated[
        int | None, typer.Option(help="How often `repeated` deals; 5 unless told.", rich_help_panel=_SPLIT)
    ] = None,
    inner_folds: Annotated[
        int | None,
        typer.Option(help="Folds inside a training part on which `nested` chooses; 3.", rich_help_panel=_SPLIT),
    ] = None,
    test_share: Annotated[
        float | None,
        typer.Option(help="Share judged by `holdout`, and by `temporal` without a date; 0.25.", rich_help_panel=_SPLIT),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="The date from which `temporal` judges: 2019-05-31.", rich_help_panel=_SPLIT),
    ] = None,
    splits: Annotated[
        Path | None,
        typer.Option(
            help="Repeat a split: the splits.csv of a report, or case, patient, fold of anyone's.",
            rich_help_panel=_SPLIT,
        ),
    ] = None,
    operating_points: Annotated[
        bool | None,
        typer.Option(
            "--operating-points/--no-operating-points",
            help="Choose thresholds on patients held out of each training part: a second fit each. Unless told, for "
            "systems without networks.",
            rich_help_panel=_SPLIT,
        ),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(help="Fits side by side; all cores by default.", rich_help_panel=_WHERE)
    ] = None,
    engine: Annotated[EngineName, typer.Option(help="What runs the fits.", rich_help_panel=_WHERE)] = EngineName.joblib,
    address: Annotated[
        str, typer.Option(help="Of a Dask scheduler, such as tcp://10.0.0.1:8786.", rich_help_panel=_WHERE)
    ] = "",
) -> None:
    """Compare systems on one cohort and write the report: report.json, predictions.csv, splits.csv, index.html.

    A run that was interrupted goes on with the same words: what is done is kept in OUT.unfinished until OUT is whole.

    `trabecula evaluate kong2020_catboost --cohort study.csv --out report`

    `... --protocol repeated --repeats 10`, `--protocol temporal --since 2019-01-01`, `--protocol leave_one_site_out`

    `... --external other.csv`: learn from study.csv, judge on other.csv

    `... --protocol nested --vary depth=4,6,8`: each fold chooses on patients inside its training part

    `... --splits report/splits.csv`: the same patients on the same sides

    `trabecula evaluate all --size tiny --out all` judges every built system on the phantom cohort that suits it and
    writes one leaderboard over their reports.
    """
    from trabecula.evaluation import Engine
    from trabecula.evaluation import evaluate as judge

    rule = protocol_of(
        protocol.value if protocol else None, splits=splits, external=external, seed=seed, folds=folds, repeats=repeats,
        inner_folds=inner_folds, test_share=test_share, since=since, operating_points=operating_points,
    )  # fmt: skip
    runs = Engine(name=engine.value, address=address, kept=out.with_name(f"{out.name}.unfinished"))
    if external_with and not external:
        raise ValueError("--external-with changes a setting of --external: name that cohort")
    if systems == ["all"]:
        if cohort != "auto" or data or target or set_ or with_ or vary or external or splits or not baselines:
            raise ValueError(
                "`evaluate all` chooses cohorts, targets and baselines itself: leave --cohort auto, and no settings"
            )
        return evaluate_all(out, size=size.value, patients=patients, protocol=rule, jobs=jobs, engine=runs)
    require_free(out)
    if vary is None:
        recipes = [recipe_of(id_, size.value, target, set_) for id_ in systems]
    else:
        recipes = list(variants(systems, size.value, target, set_, vary))
    with progress_bar() as progress:
        named = cohort_named(cohort, recipes[0])
        opened = open_named(named, data, n=patients, target=target, seed=seed, with_=with_, progress=progress)
        other = external and open_external(
            external, data, n=patients, target=target, seed=seed, with_=external_with, progress=progress
        )
        report = judge(
            recipes, opened, external=other or None, protocol=rule, baselines=baselines, jobs=jobs, engine=runs,
            progress=progress,
        )  # fmt: skip
        report.save(out)
        runs.forget()
    return tell(report, out)


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
