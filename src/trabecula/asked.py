"""What the words on the command line mean: recipes, cohorts, models and cases; and how answers are told."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trabecula.terminal import Format, console, progress_bar, show_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trabecula.case import Case
    from trabecula.cohort import Cohort
    from trabecula.evaluation import Engine
    from trabecula.protocol import Protocol
    from trabecula.system import Model, Progress, System


def recipe_of(id_: str, size: str, target: str | None, changes: Sequence[str] | None) -> System:
    """Return the recipe of a system at a size, with settings changed as NAME=VALUE."""
    from trabecula.system import get_system

    return get_system(id_, size=size, targets=(target,) if target else (), settings=settings_of("--set", changes))


def variants(
    ids: Sequence[str], size: str, target: str | None, changes: Sequence[str] | None, vary: str
) -> Iterator[System]:
    """Yield one system once for each value of a setting: the comparison that many papers show."""
    name, _, values = vary.partition("=")
    if len(ids) != 1 or not values:
        raise ValueError(f"--vary wants one system and NAME=VALUE,VALUE; got {len(ids)} systems and {vary!r}")
    for value in values.split(","):
        yield recipe_of(ids[0], size, target, [*(changes or ()), f"{name}={value}"])


def settings_of(option: str, changes: Sequence[str] | None) -> dict[str, Any]:
    """Read NAME=VALUE, where a value is JSON or, failing that, text."""
    import json

    settings: dict[str, Any] = {}
    for change in changes or ():
        name, equals, value = change.partition("=")
        if not equals:
            raise ValueError(f"{option} wants NAME=VALUE; got {change!r}")
        try:
            settings[name] = json.loads(value)
        except json.JSONDecodeError:
            settings[name] = value
    return settings


def cohort_named(cohort: str, system: System) -> str:
    """Return the cohort that was named, or for `auto` the phantom cohort that suits a system."""
    from trabecula.cohort import cohort_for

    if cohort != "auto":
        return cohort
    inputs = system.inputs()
    return cohort_for(inputs.required, [system.headline.id], inputs.optional)


def open_named(
    name: str,
    data: Path | None,
    *,
    n: int | None,
    target: str | None,
    seed: int,
    with_: Sequence[str] | None,
    progress: Progress,
) -> Cohort:
    """Open a cohort with its settings changed as NAME=VALUE."""
    from trabecula.cohort import open_cohort

    settings = settings_of("--with", with_)
    return open_cohort(name, data=data, target=target, n=n, seed=seed, settings=settings, progress=progress)


def open_external(
    name: str,
    data: Path | None,
    *,
    n: int | None,
    target: str | None,
    seed: int,
    with_: Sequence[str] | None,
    progress: Progress,
) -> Cohort:
    """Open the cohort that is judged where another is learned from; a phantom's people are those of the next seed."""
    from trabecula.card import cohort_card, cohort_ids

    made = name in cohort_ids() and cohort_card(name).made
    count = n if made else None
    return open_named(name, data, n=count, target=target, seed=seed + 1, with_=with_, progress=progress)


_READ_BY = {
    "folds": ("kfold", "repeated", "nested", "as_published", "learning_curve", "few_shot"),
    "repeats": ("repeated",),
    "inner_folds": ("nested",),
    "test_share": ("holdout", "temporal"),
    "since": ("temporal",),
}


def protocol_of(
    name: str | None, *, splits: Path | None, external: str | None, seed: int, operating_points: bool | None,
    **numbers: Any,
) -> Protocol:  # fmt: skip
    """Return the protocol that the words on the command line mean; numbers that were not told are nothing.

    Raises `ValueError` for a number that the protocol would leave unread.
    """
    from trabecula.protocol import Protocol, read_splits

    name = name or ("external" if external else "kfold")
    told = {option: value for option, value in numbers.items() if value is not None}
    given = read_splits(splits) if splits else None
    for option in told:
        word = f"--{option.replace('_', '-')}"
        if name not in _READ_BY[option]:
            raise ValueError(f"{word} is for the protocol {' and '.join(_READ_BY[option])}; this one is {name}")
        if given and option != "inner_folds":
            raise ValueError(f"{word} says how to split, and so does {given.name}: leave one of them")
    chosen: dict[str, Any] = {"name": name, "given": given, "seed": seed, "operating_points": operating_points, **told}
    return Protocol(**chosen)


def model_and_cases(
    model: Path,
    inputs: Sequence[str],
    data: Path | None,
    patients: int | None,
    with_: Sequence[str] | None,
    progress: Progress,
) -> tuple[Model, Sequence[Case]]:
    """Return a model and the cases that the words on the command line mean."""
    from trabecula.cohort import cases_from_files, fitted_to, names_cohort
    from trabecula.system import Model

    loaded = Model.load(model)
    declared = loaded.system.inputs()
    if len(inputs) == 1 and names_cohort(inputs[0]):
        opened = open_named(inputs[0], data, n=patients, target=None, seed=0, with_=with_, progress=progress)
        return loaded, fitted_to(opened.cases, declared)
    return loaded, cases_from_files([Path(name) for name in inputs], declared)


def answer_rows(cases: Sequence[Case], answers: Sequence[Any]) -> list[dict[str, Any]]:
    """Return answers as rows for the screen, a row a case and target."""
    from trabecula.prediction import Abstain, to_json
    from trabecula.target import get_target

    rows = []
    for case, answer in zip(cases, answers, strict=True):
        for target, prediction in answer.items():
            row = get_target(target)
            abstained = isinstance(prediction, Abstain)
            rows.append(
                {
                    "case": case.id,
                    "target": target,
                    "prediction": "" if abstained else to_json(prediction),
                    "means": f"probability of {row.grades[1]}" if row.kind == "binary" else row.unit,
                    "abstained": prediction.reason if abstained else "",
                }
            )
    return rows


def tell(report: Any, out: Path) -> None:
    """Show the leaderboard and where the report lies."""
    from trabecula import catalogue

    show_rows(catalogue.leaderboard(report), Format.table, title=str(report).splitlines()[0])
    for note in report.told["cohort"]["notes"]:
        console.print(f"  {note}", highlight=False)
    console.print(f"report: {out / 'index.html'}", highlight=False, soft_wrap=True)


def evaluate_all(
    out: Path, *, size: str, patients: int | None, protocol: Protocol, jobs: int | None, engine: Engine
) -> None:
    """Judge every built system on phantoms, and show the one leaderboard and where it lies."""
    from trabecula.everyone import PATIENTS, judge_all
    from trabecula.report.words import with_interval

    with progress_bar() as progress:
        lines = judge_all(
            out, size=size, patients=patients or PATIENTS, protocol=protocol, jobs=jobs, engine=engine,
            progress=progress,
        )  # fmt: skip
    rows = [
        {
            "system": line["system"], "cohort": line["cohort"], "target": line["target"], "metric": line["metric"],
            "value (95 % interval)": line["problem"] or with_interval(line["figure"]),
            "less the best baseline": with_interval(line["difference"]) if line["difference"] else "",
            "seconds": line["seconds"],
        }
        for line in lines
    ]  # fmt: skip
    show_rows(rows, Format.table, title="Every built system on the phantom cohort that suits it")
    console.print(f"leaderboard: {out / 'index.html'}", highlight=False, soft_wrap=True)


def require_free(out: Path) -> None:
    """Refuse a place that is taken or cannot be written before hours are spent on filling it."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"{out} is there already: name another --out or remove it first")
    nearest = next(folder for folder in out.absolute().parents if folder.exists())
    if not os.access(nearest, os.W_OK):
        raise PermissionError(f"{nearest} cannot be written: name another --out")
