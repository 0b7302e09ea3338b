"""Cards: the facts of a system or a cohort, in YAML beside its code, validated here. The only source of such facts.

`systems/<id>/card.yaml` and `cohorts/<id>/card.yaml` are read by `system_card` and `cohort_card`; the catalogue is
the list of folders. A fact carries where it comes from, and only a fact that was `read` is ever shown as the paper's.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from trabecula.target import ROLES, TARGETS, VARIABLES, unknown

Origin = Literal["read", "recall", "infer", "default"]
"""`read` at the source; `recall`ed from memory and unchecked; `infer`red from what was read; our `default`."""

Section = Literal["classification", "fracture_detection", "fracture_risk", "baseline"]
Modality = Literal["xray", "ct", "dxa", "mri", "dental", "table"]
Family = Literal[
    "classical", "radiomics", "cnn", "transformer", "segmentation", "self_supervised", "semi_supervised",
    "few_shot", "generative", "survival", "finite_element",
]  # fmt: skip

_ROOMS = Path(__file__).parent
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Fact(_Facts):
    """One statement about a published system, and where it comes from."""

    about: Literal[
        "labels", "data", "inputs", "preprocessing", "method", "model", "loss", "training", "evaluation", "explanation"
    ]
    text: str
    origin: Origin


class Published(_Facts):
    """One published figure. `value` is null where the paper computes it and we could not read it."""

    metric: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    set: str
    """Which patients or pictures it was measured on, in the paper's words."""
    n: int | None = None
    unit: Literal["patient", "image", "vertebra", "film", "person", "hip", "roi", "unknown"] = "unknown"
    target: str | None = None
    """Row of the target table, where not the headline target."""
    comparator: bool = False
    """The figure belongs to a rival the paper compares with, not to the system itself."""
    note: str = ""
    origin: Origin

    @model_validator(mode="after")
    def _ordered(self) -> Published:
        if None not in (self.low, self.high, self.value) and not self.low <= self.value <= self.high:  # type: ignore[operator]
            raise ValueError(
                f"interval {self.low}-{self.high} does not hold {self.value}: put a misprint into the note"
            )
        return self


class DataUsed(_Facts):
    """What the paper was developed on."""

    name: str
    patients: int | None = None
    images: int | None = None
    access: Literal["public", "restricted", "private", "unknown"]
    link: str | None = None
    note: str = ""


class PublishedSplit(_Facts):
    """How the paper split its own data, for the protocol `as_published`: often by picture, which leaks."""

    kind: Literal["holdout", "kfold"]
    unit: Literal["image", "patient"]
    test_share: float | None = Field(default=None, gt=0, lt=1)
    folds: int | None = Field(default=None, ge=2)
    note: str
    origin: Origin

    @model_validator(mode="after")
    def _whole(self) -> PublishedSplit:
        if (self.kind == "holdout") != (self.test_share is not None) or (self.kind == "kfold") != (
            self.folds is not None
        ):
            raise ValueError("a hold-out has a test_share, a k-fold has folds, neither has both")
        return self


class Unknown(_Facts):
    """Something that could not be read, and what we use instead."""

    item: str
    ours: str


class Reading(_Facts):
    """A source and how much of it was read."""

    link: str
    read: Literal["full", "abstract", "code", "other"]


class InputsDeclared(_Facts):
    """Names of what a system is handed; `optional` lists those of them whose absence it bears."""

    images: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()
    table: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    """Names of groups; `any group` stands for all that a case has. Only a baseline may ask for them."""
    optional: tuple[str, ...] = ()

    @property
    def required(self) -> list[str]:
        """Those without which a system must abstain."""
        names = (*self.images, *self.masks, *self.table, *self.groups)
        return [name for name in names if name not in self.optional]

    @model_validator(mode="after")
    def _known(self) -> InputsDeclared:
        for names, table, what in (
            (self.images, {r for r in ROLES if not ROLES[r].mask}, "image role"),
            (self.masks, {r for r in ROLES if ROLES[r].mask}, "mask role"),
            (self.table, set(VARIABLES), "variable"),
        ):
            for name in names:
                if name not in table:
                    raise ValueError(unknown(what, name, table))
        for name in self.optional:
            if name not in {*self.images, *self.masks, *self.table, *self.groups}:
                raise ValueError(f"optional input {name!r} is not among the inputs")
        return self


class SystemCard(_Facts):
    """Everything that is known about a published system, or about a baseline."""

    id: str
    number: int | None = None
    """Its place in the survey; none for a baseline."""
    role: Literal["system", "baseline"] = "system"
    title: str
    authors: tuple[str, ...]
    year: int
    venue: str
    link: str
    code: str | None = None
    section: Section
    modalities: tuple[Modality, ...] = Field(min_length=1)
    anatomies: tuple[str, ...]
    families: tuple[Family, ...] = Field(min_length=1)
    task: str
    targets: tuple[str, ...] = Field(min_length=1)
    """Rows of the target table; the first is the headline."""
    inputs: InputsDeclared
    fidelity: Literal["faithful", "approximate", "reconstruction"]
    """`faithful`: sizes and procedure read; `approximate`: outline read, sizes ours; `reconstruction`: title only."""
    trainable_parameters: dict[str, int] = {}
    """Published or read parameter counts by part, which the built network must have."""
    data: tuple[DataUsed, ...] = ()
    split: PublishedSplit | None = None
    published: tuple[Published, ...] = ()
    facts: tuple[Fact, ...] = ()
    essence: tuple[str, ...] = Field(min_length=1)
    weaknesses: tuple[str, ...] = ()
    unknowns: tuple[Unknown, ...] = ()
    sources: tuple[Reading, ...] = ()
    abstains_on: tuple[str, ...] = ()
    """Facts beyond required inputs whose absence makes the answer an abstention, in words."""

    @field_validator("targets")
    @classmethod
    def _targets_known(cls, targets: tuple[str, ...]) -> tuple[str, ...]:
        for target in targets:
            if target not in TARGETS:
                raise ValueError(unknown("target", target, TARGETS))
        return targets

    @model_validator(mode="after")
    def _whole(self) -> SystemCard:
        if (self.role == "system") == (self.number is None):
            raise ValueError("a published system has its number in the survey, a baseline has none")
        if self.inputs.groups and self.role != "baseline":
            raise ValueError("only a baseline may ask for groups")
        defining = {name for target in self.targets for name in TARGETS[target].defined_by}
        if circular := defining & {*self.inputs.table, *self.inputs.masks}:
            raise ValueError(f"inputs {sorted(circular)} define a target of this system")
        return self

    @property
    def built(self) -> bool:
        """Whether there is code beside the card."""
        return (_ROOMS / "systems" / self.id / "system.py").exists()

    @property
    def status(self) -> str:
        """`planned` without code, else how near to the paper the code can be."""
        return self.fidelity if self.built else "planned"

    def bibtex(self) -> str:
        """Return a BibTeX entry with what the card knows."""
        fields = {
            "title": self.title, "author": " and ".join(self.authors), "year": str(self.year),
            "howpublished": self.venue, "url": self.link,
        }  # fmt: skip
        body = ",\n".join(f"  {key} = {{{value}}}" for key, value in fields.items())
        return f"@misc{{{self.id},\n{body}\n}}"


class CohortCard(_Facts):
    """Everything that is known about a cohort."""

    id: str
    title: str
    source: str
    licence: str
    population: str
    truth: str
    """How the labels were made, or that nobody says."""
    modalities: tuple[Modality, ...]
    targets: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()
    table: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    patients: Literal["known", "unknown"] = "unknown"
    made: bool = False
    """Made by a phantom recipe rather than read from disk."""
    layout: str = ""
    """The published layout on disk, for an adapter."""
    link: str | None = None
    checksum: str | None = None
    """SHA-256 over the sorted file names and contents, where the set is published in one version."""
    warnings: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _known(self) -> CohortCard:
        for names, table, what in (
            (self.targets, set(TARGETS), "target"),
            (self.images, set(ROLES), "image role"),
            (self.masks, set(ROLES), "mask role"),
            (self.table, set(VARIABLES), "variable"),
        ):
            for name in names:
                if name not in table:
                    raise ValueError(unknown(what, name, table))
        return self


Card = TypeVar("Card", SystemCard, CohortCard)


def system_ids() -> tuple[str, ...]:
    """Return the ids of all systems and baselines that have a card, in alphabetical order."""
    return _folders("systems")


def cohort_ids() -> tuple[str, ...]:
    """Return the ids of all cohorts that have a card, in alphabetical order."""
    return _folders("cohorts")


@cache
def system_card(id_: str) -> SystemCard:
    """Read the card of a system.

    Raises `KeyError` for an unknown id, with the nearest name, and `ValueError` for a card that is not valid.
    """
    if id_ not in system_ids():
        raise KeyError(unknown("system", id_, system_ids()))
    return read_card(_ROOMS / "systems" / id_ / "card.yaml", SystemCard)


@cache
def cohort_card(id_: str) -> CohortCard:
    """Read the card of a cohort, with the same errors as `system_card`."""
    if id_ not in cohort_ids():
        raise KeyError(unknown("cohort", id_, cohort_ids()))
    return read_card(_ROOMS / "cohorts" / id_ / "card.yaml", CohortCard)


def read_card(path: Path, kind: type[Card]) -> Card:
    """Read and validate one card.

    Raises `ValueError` that names the file, the field and what is wrong with it.
    """
    try:
        loaded = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 a safe loader
        card = kind.model_validate(loaded)
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not valid YAML: {error}") from error
    except ValidationError as error:
        lines = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ValueError(f"{path}: {lines}") from error
    if path.parent.parent.parent == _ROOMS and card.id != path.parent.name:
        raise ValueError(f"{path}: the card says id {card.id!r} but its folder is {path.parent.name!r}")
    return card


@cache
def _folders(room: str) -> tuple[str, ...]:
    return tuple(sorted(path.parent.name for path in (_ROOMS / room).glob("*/card.yaml")))
