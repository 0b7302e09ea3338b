"""Made cohorts on disk: what `open_cohort` then reads as if a hospital had sent it.

    manifest.csv   cohort.yaml   made.json
    patients/000012/000012.knee_xray.png   patients/000012/patient.json

Patients are written side by side, each into a folder that gets its name when it is whole; `patient.json` keeps their
rows of the manifest and the digest of their recipe. Until the manifest is there, `made.json` is `unfinished.json`, and
`open_cohort` refuses the folder; the same call again writes what is missing.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from trabecula.case_files import Form, digest_of, file_name, pictures_of, row_of, usual_form, write_patient
from trabecula.cohort import CARD, UNFINISHED
from trabecula.manifest import read_manifest
from trabecula.system import Progress, quiet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from trabecula.case import Case
    from trabecula.case_files import Row
    from trabecula.cohort import Cohort

_MADE, _MANIFEST, _PATIENTS, _PATIENT = "made.json", "manifest.csv", "patients", "patient.json"
_KEYS = {"cohort": "the cohort", "made": "seed or settings", "form": "the form of images"}
_PLAIN = ("case", "patient", "part", "weight")
_PREFIXES = ("image", "mask", "table", "group", "truth")
_LOST: dict[Form | None, str] = {
    "png": "PNG tells no spacing, so no length in mm can be measured on these files; DICOM and NIfTI keep it.",
    "dicom": "DICOM holds whole HU, and numbers of DXA in 65,536 steps from their lowest to their highest.",
}
"""What a form cannot keep, for the card."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """What `write_cohort` did."""

    folder: Path
    form: Form | None
    """Of the images; none where there are none."""
    patients: int
    found: int
    """Patients that an earlier call had finished."""

    def __str__(self) -> str:
        images = f"images as {self.form}" if self.form else "a table"
        there = f", {self.found} of them were there already" if self.found else ""
        return (
            f"{self.patients} patients in {self.folder}, {images}{there}: `trabecula check {self.folder}` looks at them"
        )


def write_cohort(
    cohort: Cohort,
    folder: Path,
    *,
    form: Form | None = None,
    jobs: int | None = None,
    progress: Progress = quiet,
) -> Written:
    """Write a made cohort as a folder that opens as the same cases.

    Without `form` it is PNG where every image of the first patient is a picture of grey values, else NIfTI. Patients
    that an earlier call finished are kept; more patients of the same seed and settings may be added.
    Raises `ValueError` for a cohort that is not made, images that the form cannot hold, and a folder with something
    else in it; `OSError` when it cannot be written, with what is kept.
    """
    if not cohort.card.made:
        raise ValueError(f"{cohort.id} is read from disk, not made: there is nothing to write")
    patients = _by_patient(cohort.cases)
    cases = [case for of_one in patients.values() for case in of_one]
    pictorial = next((case for case in cohort.cases if any(True for _ in pictures_of(case))), None)
    if form is not None and pictorial is None:
        raise ValueError(f"{cohort.id} has no images that could be stored as {form}: leave the form out")
    if form is None and pictorial is not None:
        form = usual_form(pictorial)
    told = {"cohort": cohort.id, "made": list(cohort.notes), "form": form}
    with _claimed(folder, told, len(patients)):
        rows = [row_of(case) for case in cases]
        _write_manifest(rows, cases, folder).unlink()  # what it cannot say is refused before the work
        found = _found(patients, folder, form) if form else {}
        if form is not None:
            done = found | _write_missing(patients, found, folder, form=form, jobs=jobs, progress=progress)
            rows = [row for name in patients for row in done[name]]
        _finish(cohort, rows, cases, folder, form)
    return Written(folder=folder, form=form, patients=len(patients), found=len(found))


def _by_patient(cases: Iterable[Case]) -> dict[str, list[Case]]:
    patients: dict[str, list[Case]] = {}
    for case in cases:
        patients.setdefault(case.patient, []).append(case)
    return patients


@contextmanager
def _claimed(folder: Path, told: Mapping[str, Any], patients: int) -> Iterator[None]:
    """Mark the folder as unfinished before the work and as made after it; leave no trace of a failure before it began.

    Raises `ValueError` or `FileExistsError` for a folder that holds something else.
    """
    marks = [folder / UNFINISHED, folder / _MADE]
    mine = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    if not mine:
        _require_same(folder, next((json.loads(m.read_text()) for m in marks if m.exists()), None), told, patients)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _put(marks[0], json.dumps({**told, "patients": patients}, indent=1))
        yield
        marks[0].replace(marks[1])
    except BaseException as error:
        kept = len(list((folder / _PATIENTS).glob(f"*/{_PATIENT}")))
        if mine and not kept:
            shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise OSError(
                f"{folder} could not be written ({error}): free space there and run the same again; "
                f"{kept} of {patients} patients are finished and kept"
            ) from error
        raise


def _require_same(folder: Path, there: Mapping[str, Any] | None, told: Mapping[str, Any], patients: int) -> None:
    if there is None:
        raise FileExistsError(f"{folder} is there already and is no made cohort: name another place or remove it first")
    for key, asked in told.items():
        if there.get(key) != asked:
            raise ValueError(
                f"{folder} holds {there['cohort']} as {there['form']}, {'; '.join(there['made'])}, which differs in "
                f"{_KEYS[key]}: name another place or remove it first"
            )
    if there["patients"] > patients:
        raise ValueError(f"{folder} holds {there['patients']} patients already: ask for as many, or name another place")


# Patients -------------------------------------------------------------------------------------------------------------


def _found(patients: Mapping[str, Sequence[Case]], folder: Path, form: Form) -> dict[str, list[Row]]:
    """Return the rows of the patients that are there already.

    Raises `ValueError` when one was made by another recipe than that of today.
    """
    for left in (folder / _PATIENTS).glob(".*.part"):
        shutil.rmtree(left)
    rows = {}
    for name, cases in patients.items():
        note = folder / _PATIENTS / file_name(name) / _PATIENT
        if note.exists():
            kept = json.loads(note.read_text(encoding="utf-8"))
            if kept["digest"] != digest_of(cases, form):
                raise ValueError(
                    f"{note.parent} was made by another recipe, of another version perhaps: name another place or "
                    f"remove {folder}"
                )
            rows[name] = kept["rows"]
    return rows


def _write_missing(
    patients: Mapping[str, Sequence[Case]],
    found: Mapping[str, Any],
    folder: Path,
    *,
    form: Form,
    jobs: int | None,
    progress: Progress,
) -> dict[str, list[Row]]:
    """Write the patients that are not there, side by side, and return their rows."""
    missing = [name for name in patients if name not in found]
    (folder / _PATIENTS).mkdir(exist_ok=True)
    rows: dict[str, list[Row]] = {}
    progress(len(found), len(patients), f"{form} files")
    for name, told in _written(patients, missing, folder / _PATIENTS, form, jobs or os.cpu_count() or 1):
        rows[name] = told
        progress(len(found) + len(rows), len(patients), f"{form} files")
    return rows


def _written(
    patients: Mapping[str, Sequence[Case]], missing: Sequence[str], room: Path, form: Form, jobs: int
) -> Iterator[tuple[str, list[Row]]]:
    if min(jobs, len(missing)) <= 1:
        yield from (_write_one(patients[name], room, form) for name in missing)
        return
    from joblib import Parallel, delayed  # noqa: PLC0415

    yield _write_one(patients[missing[0]], room, form)  # what fails for everyone fails here, before processes start
    work = Parallel(n_jobs=min(jobs, len(missing)), return_as="generator_unordered")
    yield from work(delayed(_write_one)(patients[name], room, form) for name in missing[1:])


def _write_one(cases: Sequence[Case], room: Path, form: Form) -> tuple[str, list[Row]]:
    """Write one patient into a folder that gets its name when it is whole; return the patient and the rows."""
    name = cases[0].patient
    place = room / file_name(name)
    part = room / f".{place.name}.part"
    digest = digest_of(cases, form)
    try:
        part.mkdir()
        rows = write_patient(cases, part, form, exam=digest)
        for row, case in zip(rows, cases, strict=True):
            row |= {column: f"{_PATIENTS}/{place.name}/{row[column]}" for column, _ in pictures_of(case)}
        (part / _PATIENT).write_text(json.dumps({"digest": digest, "rows": rows}), encoding="utf-8")
        part.rename(place)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return name, rows


# Manifest and card ----------------------------------------------------------------------------------------------------


def _finish(cohort: Cohort, rows: Sequence[Row], cases: Sequence[Case], folder: Path, form: Form | None) -> None:
    """Write the card and, last, the manifest, which is read back before it gets its name."""
    lost = (*cohort.card.warnings, *([_LOST[form]] if form in _LOST else ()))
    source = f"{cohort.card.source}; {'; '.join(cohort.notes)}"
    card = cohort.card.model_copy(update={"source": source, "warnings": lost})
    facts = card.model_dump(mode="json", exclude_defaults=True)
    _put(folder / CARD, yaml.safe_dump(facts, sort_keys=False, allow_unicode=True, width=100))
    _write_manifest(rows, cases, folder).replace(folder / _MANIFEST)


def _write_manifest(rows: Sequence[Row], cases: Sequence[Case], folder: Path) -> Path:
    """Write a manifest under a temporary name, which it returns, and read it back.

    Raises `ValueError` where it does not say what was meant, such as a group called `null`, which reads as missing.
    """
    manifest = folder / f"{_MANIFEST}.part"
    columns = dict.fromkeys(column for row in rows for column in row)
    order = sorted(columns, key=lambda column: (*_PLAIN, *_PREFIXES).index(column.partition(".")[0]))
    with manifest.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, order, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    for read, meant in zip(read_manifest(manifest), cases, strict=True):
        found = row_of(read)
        for column, wanted in row_of(meant).items():
            if found.get(column) != wanted:
                raise ValueError(f"case {meant.id}: a manifest cannot say {column} {wanted!r}: it reads as missing")
    return manifest


def _put(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
