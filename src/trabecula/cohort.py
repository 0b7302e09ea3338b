"""Cohorts: cases and a card, read from disk by a published or a plain layout, or made by a phantom recipe.

On disk a cohort is a CSV or Parquet manifest with one row a case, a folder with one folder a class, or a folder of
DICOM series. `open_cohort` tells which; `trabecula.manifest` reads manifests.
"""

from __future__ import annotations

import csv
import importlib
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trabecula.card import CohortCard, cohort_card, cohort_ids, read_card
from trabecula.case import ANY_GROUP, Case, Images
from trabecula.image import PICTURE_ENDINGS, FileSource, Source
from trabecula.made_images import MadeImage
from trabecula.manifest import MANIFEST_ENDINGS, image_source, read_manifest
from trabecula.system import Progress, quiet
from trabecula.target import ROLES, TARGETS, get_target, unknown

if TYPE_CHECKING:
    from trabecula.card import InputsDeclared
    from trabecula.target import Target

DATA_VARIABLE = "TRABECULA_DATA"
UNFINISHED = "unfinished.json"
"""A folder with this file is a cohort that is still being written."""
CARD = "cohort.yaml"
_ACQUISITION = "acquisition.csv"


@dataclass(frozen=True, eq=False, kw_only=True)
class Cohort:
    """Cases and what is known about them together.

    Raises `ValueError` without cases, or when two cases have the same id.
    """

    cases: tuple[Case, ...]
    card: CohortCard
    notes: tuple[str, ...] = ()
    """What was done to the cases since they were read: resolved conflicts, dropped rows."""
    problems: tuple[str, ...] = field(default=())
    """What could not be read, as `path: what is wrong`."""

    def __post_init__(self) -> None:
        if not self.cases:
            detail = f"; {len(self.problems)} could not be read, first {self.problems[0]}" if self.problems else ""
            raise ValueError(f"cohort {self.card.id} holds no case{detail}")
        twice = [id_ for id_, n in Counter(case.id for case in self.cases).items() if n > 1]
        if twice:
            raise ValueError(
                f"cohort {self.card.id}: {len(twice)} case ids occur twice, first {twice[0]!r}; make them unique"
            )

    @property
    def id(self) -> str:
        """The id on the card."""
        return self.card.id

    def with_cases(self, cases: Sequence[Case], *notes: str) -> Cohort:
        """Return the cohort with other cases and a note on why."""
        return replace(self, cases=tuple(cases), notes=(*self.notes, *notes))


def open_cohort(
    name: str | Path,
    *,
    data: str | Path | None = None,
    target: str | None = None,
    n: int | None = None,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    progress: Progress = quiet,
) -> Cohort:
    """Open a cohort by its id in the catalogue, or by the path of a folder or manifest.

    `data` is where the public sets lie (or the environment variable `TRABECULA_DATA`); `target` names the row that
    folder names are grades of; `n`, `seed` and `settings` are for phantom cohorts.
    Raises `KeyError` for an unknown id or setting, `FileNotFoundError` for a missing path or public set, and
    `ValueError` that names file, row and column for anything that cannot be read.
    """
    if str(name) in cohort_ids():
        card = cohort_card(str(name))
        if card.made:
            return _made(card, n=n, seed=seed, settings=settings or {}, progress=progress)
    if n is not None or settings:
        raise ValueError(f"{name} is read from disk: a number of patients and settings are for phantom cohorts")
    if str(name) in cohort_ids():
        return _adapted(card, data)
    path = Path(name)
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there, and {unknown('cohort', str(name), cohort_ids())}")
    if path.is_file():
        if not path.name.endswith(MANIFEST_ENDINGS):
            raise ValueError(f"{path}: a cohort is a folder or a manifest ({', '.join(MANIFEST_ENDINGS)})")
        return _from_manifest(path)
    if (path / UNFINISHED).exists():
        raise ValueError(f"{path}: is not whole yet; the same `trabecula phantom` again writes what is missing")
    for ending in MANIFEST_ENDINGS:
        if (path / f"manifest{ending}").exists():
            return _from_manifest(path / f"manifest{ending}")
    return _from_classes(path, target) or _from_dicom(path)


def cohort_settings(id_: str) -> Mapping[str, Any]:
    """Return the settings of a phantom cohort and their usual values.

    Raises `KeyError` for an unknown id and `ValueError` for a public set.
    """
    if not cohort_card(id_).made:
        raise ValueError(f"{id_} is a public set: nothing about it can be set. `trabecula cohorts` lists the phantoms")
    settings: Mapping[str, Any] = importlib.import_module(f"trabecula.cohorts.{id_}.cohort").SETTINGS
    return settings


def cohort_for(required: Sequence[str], targets: Sequence[str], optional: Sequence[str] = ()) -> str:
    """Return the phantom cohort with every required input and target (`--cohort auto`), and most of the optional.

    Of those with as many, one that has no image beside those asked for: its masks are drawn on them.
    Raises `LookupError` that lists the candidates when there are several or none.
    """
    wanted = {*required, *optional}
    made = [cohort_card(id_) for id_ in cohort_ids() if cohort_card(id_).made]
    able = [card for card in made if set(required) <= _offered(card) and set(targets) <= set(card.targets)]
    suits = {card.id: (len(wanted & _offered(card)), -len(set(card.images) - wanted)) for card in able}
    fitting = [id_ for id_, how_well in suits.items() if how_well == max(suits.values())]
    if len(fitting) != 1:
        which = f"several do: {', '.join(fitting)}" if fitting else f"none of {', '.join(c.id for c in made)} does"
        raise LookupError(f"auto looks for the phantom cohort with {list(required)} and {list(targets)}; {which}")
    return fitting[0]


def _offered(card: CohortCard) -> set[str]:
    return {*card.images, *card.masks, *card.table, *card.groups, *((ANY_GROUP,) if card.groups else ())}


def fitted_to(cases: Sequence[Case], inputs: InputsDeclared) -> list[Case]:
    """Give plain pictures the role of a system that takes one image, and leave other cases as they are.

    Raises `ValueError` when the system takes several images, or one with a physical unit that a picture lacks.
    """
    if not any("picture" in case.images for case in cases) or "picture" in inputs.images or not inputs.images:
        return list(cases)
    if len(inputs.images) != 1:
        raise ValueError(f"plain pictures fit a system with one image; this one takes {', '.join(inputs.images)}")
    role = inputs.images[0]
    if ROLES[role].modality == "ct":
        raise ValueError(f"plain pictures hold no Hounsfield units, which {role} needs: bring DICOM or NIfTI")
    return [
        replace(case, images=Images({role: case.images.source("picture")})) if "picture" in case.images else case
        for case in cases
    ]


def _made(card: CohortCard, *, n: int | None, seed: int, settings: Mapping[str, Any], progress: Progress) -> Cohort:
    module = importlib.import_module(f"trabecula.cohorts.{card.id}.cohort")
    usual = cohort_settings(card.id)
    for name in settings:
        if name not in usual:
            raise KeyError(unknown(f"setting of {card.id}", name, usual))
    chosen = {**usual, **{name: _like(usual[name], value, f"{name} of {card.id}") for name, value in settings.items()}}
    count = n if n is not None else int(module.PATIENTS)
    if count < 1:
        raise ValueError(f"a cohort has at least one patient; got {count}")
    cases: list[Case] = []
    for patient in range(count):
        made: Case | tuple[Case, ...] = module.make(patient, seed, chosen)
        cases.extend(map(_kept, made if isinstance(made, tuple) else (made,)))
        progress(patient + 1, count, card.id)
    return Cohort(cases=tuple(cases), card=card, notes=(f"made with seed {seed}, settings {chosen}",))


def _kept(case: Case) -> Case:
    """Return a made case whose images are made once and then come from the cache."""
    if not (case.images or case.masks):
        return case

    def kept(source: Source) -> Source:
        return MadeImage(source, "trabecula.phantom")

    images, masks = (Images({role: kept(of.source(role)) for role in of}) for of in (case.images, case.masks))
    truth = {name: kept(known) if isinstance(known, Source) else known for name, known in case.truth.items()}
    return replace(case, images=images, masks=masks, truth=truth)


def _like(usual: Any, value: Any, name: str) -> Any:
    """Return a setting as the kind it replaces, so that 1 and 1.0 name one recipe.

    Raises `ValueError` for another kind: a text for a number, an infinite number.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if isinstance(usual, float) and number:
        return float(value)
    if isinstance(usual, tuple) and isinstance(value, list | tuple) and len(value) == len(usual):
        return tuple(_like(kind, each, name) for kind, each in zip(usual, value, strict=True))
    if type(value) is not type(usual):
        raise ValueError(f"{name} is of the kind of {usual!r}; got {value!r}")
    return value


def _adapted(card: CohortCard, data: str | Path | None) -> Cohort:
    given = data or os.environ.get(DATA_VARIABLE)
    if not given:
        raise FileNotFoundError(
            f"{card.id} is a public set: get it from {card.link or card.source}, then say where it lies "
            f"with --data DIR or {DATA_VARIABLE}. Expected layout: {card.layout}"
        )
    if not Path(given).is_dir():
        raise FileNotFoundError(f"{given}: there is no such folder; {card.id} is looked for in it")
    module = importlib.import_module(f"trabecula.cohorts.{card.id}.cohort")
    cases, notes = module.read(Path(given))
    return Cohort(cases=tuple(cases), card=card, notes=tuple(notes))


def _from_manifest(path: Path) -> Cohort:
    cases = read_manifest(path)
    return Cohort(cases=tuple(cases), card=_card_of(path.parent, path.stem, cases))


def _from_classes(folder: Path, target: str | None) -> Cohort | None:
    """Read a folder with one folder a class, or nothing when folder names are not grades of a target."""
    classes = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    pictures = {c: sorted(p for p in c.rglob("*") if p.is_file() and not p.name.startswith(".")) for c in classes}
    pictures = {c: [p for p in files if p.suffix.lower() in PICTURE_ENDINGS] for c, files in pictures.items()}
    if not any(pictures.values()):
        return None
    row = _target_of([c.name for c in classes if pictures[c]], target, folder)
    grades = [_plain(grade) for grade in row.grades]
    facts = _acquisition(folder / _ACQUISITION)
    ids = {path.relative_to(folder).as_posix() for files in pictures.values() for path in files}
    if facts and ids.isdisjoint(facts):
        raise ValueError(
            f"{folder / _ACQUISITION}: its `file` column names none of the pictures; write them as {min(ids)}"
        )
    cases = []
    for folder_, files in pictures.items():
        for path in files:
            id_ = path.relative_to(folder).as_posix()
            cases.append(
                Case(
                    id=id_,
                    patient=id_,
                    images=Images({"picture": FileSource(path)}),
                    groups=facts.get(id_, {}),
                    truth={row.id: grades.index(_plain(folder_.name))},
                )
            )
    return Cohort(cases=tuple(cases), card=_card_of(folder, folder.resolve().name, cases))


def _from_dicom(folder: Path) -> Cohort:
    from trabecula.dicom import find_series  # noqa: PLC0415 only where there may be DICOM

    series, problems = find_series(folder)
    if not series and not problems:
        raise ValueError(
            f"{folder} holds no cohort: no manifest.csv or .parquet, no folders named after grades of a target with "
            f"pictures in them, no DICOM. `trabecula cohorts --help` shows the layouts"
        )
    cases = [
        Case(
            id=each.uid,
            patient=each.patient or each.uid,
            part=each.view,
            images=Images({_role_of(each.modality, each.body_part, each.view): each.source}),
            table=each.table,
            groups=dict(each.facts) | ({"date": each.date} if each.date else {}),
        )
        for each in series
    ]
    known = all(each.patient for each in series)
    card = _card_of(folder, folder.resolve().name, cases, patients_known=known)
    return Cohort(cases=tuple(cases), card=card, problems=tuple(problems))


def _role_of(modality: str, body_part: str, view: str) -> str:
    """Return the image role that DICOM's modality, body part and view tell, or the plain picture."""
    part, lateral = body_part.upper(), "LAT" in view.upper() or view.upper() in ("LL", "RL")
    if modality in ("CR", "DX"):
        for word, role in (("KNEE", "knee_xray"), ("HIP", "hip_xray"), ("PELVIS", "pelvis_xray"),
                           ("HAND", "hand_xray"), ("CHEST", "chest_xray")):  # fmt: skip
            if word in part:
                return role
        if "SPINE" in part:
            return "spine_xray_lateral" if lateral else "spine_xray_ap"
    if modality == "CT":
        for word, role in (("LSPINE", "lumbar_ct"), ("SPINE", "spine_ct"), ("HIP", "hip_ct"), ("WRIST", "wrist_ct"),
                           ("CHEST", "chest_ct")):  # fmt: skip
            if word in part:
                return role
        return "abdomen_ct"
    return {"PX": "panoramic", "IO": "periapical", "MR": "lumbar_mri"}.get(modality, "picture")


def _target_of(names: Sequence[str], target: str | None, folder: Path) -> Target:
    wanted = {_plain(name) for name in names}
    if target is not None and get_target(target).classifies:
        row = get_target(target)
        if wanted <= {_plain(grade) for grade in row.grades}:
            return row
        raise ValueError(f"{folder}: folders {sorted(names)} are not grades of {target}, which are {list(row.grades)}")
    fitting = [row for row in TARGETS.values() if row.grades and wanted <= {_plain(g) for g in row.grades}]
    undocumented = [row for row in fitting if row.population == "undocumented"]
    exact = [row for row in undocumented or fitting if len(row.grades) == len(wanted)]
    if not fitting:
        known = sorted({" / ".join(row.grades) for row in TARGETS.values() if row.grades})
        raise ValueError(
            f"{folder}: folders {sorted(names)} are grades of no target. Name them as one of: {'; '.join(known)}"
        )
    candidates = exact or undocumented[:1] or fitting
    if len(candidates) > 1:
        several = ", ".join(row.id for row in candidates)
        raise ValueError(f"{folder}: folders {sorted(names)} are grades of {several}. Say which with --target")
    return candidates[0]


def _acquisition(path: Path) -> dict[str, dict[str, str]]:
    if not path.exists():
        return {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file, strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: cannot be read as CSV in UTF-8 ({error})") from error
    if rows and "file" not in rows[0]:
        raise ValueError(f"{path}: needs a column `file` that names each picture, such as normal/12.png")
    return {row["file"]: {k: v for k, v in row.items() if k and k != "file" and v} for row in rows}


def _card_of(folder: Path, name: str, cases: Sequence[Case], *, patients_known: bool | None = None) -> CohortCard:
    """Return the card beside the data, or one that says what can be seen and that the rest is not known."""
    if (folder / CARD).exists():
        return read_card(folder / CARD, CohortCard)
    images = {role for case in cases for role in case.images}
    known = patients_known if patients_known is not None else any(case.patient != case.id for case in cases)
    modalities: set[Any] = {ROLES[role].modality for role in images} - {"any"}
    return CohortCard(
        id=name, title=name, source=f"the folder {folder.resolve().name}", licence="not stated",
        population="not stated", truth="not stated",
        modalities=tuple(sorted(modalities)) if images else ("table",),
        targets=tuple(sorted({target for case in cases for target in case.truth})),
        images=tuple(sorted(images)), masks=tuple(sorted({role for case in cases for role in case.masks})),
        table=tuple(sorted({name for case in cases for name in case.table})),
        groups=tuple(sorted({name for case in cases for name in case.groups})),
        patients="known" if known else "unknown",
    )  # fmt: skip


def _plain(name: str) -> str:
    return name.lower().replace("_", " ").replace("-", " ").strip()


def names_cohort(word: str) -> bool:
    """Whether a word on the command line means a cohort rather than one image."""
    path = Path(word)
    return word in cohort_ids() or path.is_dir() or path.name.endswith(MANIFEST_ENDINGS)


def cases_from_files(paths: Sequence[Path], inputs: InputsDeclared) -> list[Case]:
    """Make one case a file for a system that takes one image.

    Raises `ValueError` when the system takes several images or needs a table: then a manifest is wanted.
    """
    needed = [name for name in (*inputs.masks, *inputs.table, *inputs.groups) if name not in inputs.optional]
    if len(inputs.images) != 1 or needed:
        wanted = ", ".join((*inputs.images, *needed))
        raise ValueError(f"this model needs {wanted} for each case, which single files do not tell: give a manifest")
    return [
        Case(id=str(path), patient=str(path), images=Images({inputs.images[0]: image_source(path, inputs.images[0])}))
        for path in paths
    ]
