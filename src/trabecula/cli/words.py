"""What verbs share: the program itself, its choices, and options that mean the same everywhere."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from trabecula.terminal import Format

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
    repeated = "repeated"
    nested = "nested"
    holdout = "holdout"
    temporal = "temporal"
    leave_one_site_out = "leave_one_site_out"
    external = "external"
    as_published = "as_published"
    learning_curve = "learning_curve"
    few_shot = "few_shot"


class EngineName(StrEnum):
    """What runs fits."""

    joblib = "joblib"
    dask = "dask"


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
