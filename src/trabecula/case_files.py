"""The cases of one patient as files: images, masks and label maps in one form, and their rows of a manifest."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from trabecula.case import Event
from trabecula.image import Source
from trabecula.image_files import write_nifti, write_picture
from trabecula.target import ROLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from trabecula.case import Case
    from trabecula.image import Image

    Row = dict[str, Any]
    Grid = tuple[Any, ...]


Form = Literal["dicom", "nifti", "png"]
"""How images are stored."""


def usual_form(case: Case) -> Form:
    """Return PNG where every image is a picture of grey values, else NIfTI."""
    if any(ROLES[role].modality in ("ct", "mri") for role in case.images):
        return "nifti"
    images = [case.images[role] for role in case.images]
    grey = all(len(image.voxels) == 1 and image.unit == "stored" for image in images)
    return "png" if grey else "nifti"


def pictures_of(case: Case) -> Iterator[tuple[str, Source]]:
    """Yield the column and source of every image, mask and label map of a case."""
    yield from ((f"image.{role}", case.images.source(role)) for role in case.images)
    yield from ((f"mask.{role}", case.masks.source(role)) for role in case.masks)
    yield from ((f"truth.{target}", truth) for target, truth in case.truth.items() if isinstance(truth, Source))


def digest_of(cases: Sequence[Case], form: Form) -> str:
    """Name what is written for these cases: everything that is known about them, and the recipes of their pictures."""
    told = [
        (
            case.id, case.patient, case.part, case.weight, sorted(case.table.items()), sorted(case.groups.items()),
            sorted((name, repr(truth)) for name, truth in case.truth.items() if not isinstance(truth, Source)),
            sorted((column, source.digest) for column, source in pictures_of(case)),
        )
        for case in cases
    ]  # fmt: skip
    return hashlib.sha256(repr((form, told)).encode()).hexdigest()


def file_name(name: str) -> str:
    """Return an id as a name that every file system takes."""
    if re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}", name):
        return name
    return f"{re.sub(r'[^A-Za-z0-9_-]+', '_', name)[:80]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def write_patient(cases: Sequence[Case], folder: Path, form: Form, exam: str) -> list[Row]:
    """Write the pictures of a patient's cases into an existing folder, each once, and return the cases' rows.

    Paths in the rows are relative to `folder`. `exam` tells the patient from any other.
    Raises `ValueError` that names the case for an image that the form cannot hold.
    """
    pen = _Pen(folder=folder, form=form, exam=exam)
    return [row_of(case) | {column: pen.put(case, column, source) for column, source in pictures_of(case)}
            for case in cases]  # fmt: skip


def side_of(case: Case, source: Source) -> str:
    """Return `L` or `R` as the case's part or its group `side` tells, else the recipe's own `side`; else nothing."""
    told = (*case.part.replace("_", " ").split(), case.groups.get("side", ""), str(getattr(source, "side", "")))
    return next((word[0].upper() for word in told if word.lower() in ("left", "right", "l", "r")), "")


def row_of(case: Case) -> Row:
    """Return what is no picture of a case, as cells."""
    row: Row = {"case": case.id, "patient": case.patient, "part": case.part, "weight": case.weight}
    row |= {f"table.{name}": value for name, value in case.table.items()}
    row |= {f"group.{name}": value for name, value in case.groups.items()}
    for target, truth in case.truth.items():
        if isinstance(truth, Event):
            row |= {f"truth.{target}.years": truth.years, f"truth.{target}.event": truth.event}
        elif not isinstance(truth, Source):
            row[f"truth.{target}"] = truth
    return row


@dataclass(frozen=True, kw_only=True)
class _Pen:
    """Writes pictures of one patient, and knows which it has written."""

    folder: Path
    form: Form
    exam: str
    names: dict[str, str] = field(default_factory=dict)
    """By kind and digest of a source: the file that holds it, so that parts of one scan share it."""
    grids: dict[str, Grid] = field(default_factory=dict)
    """By file: where its voxels lie."""

    def put(self, case: Case, column: str, source: Source) -> str:
        """Return the name of the file that holds a picture, after writing it unless it is there."""
        kind, _, role = column.partition(".")
        key = f"{kind == 'image'} {source.digest}"
        if key not in self.names:
            image = source.load()
            place = self.folder / file_name(f"{case.id}.{role if kind in ('image', 'mask') else column}")
            try:
                path = self._write(image, place, case, column, side_of(case, source))
            except ValueError as error:
                raise ValueError(f"case {case.id}, {role}: {error}") from error
            self.names[key], self.grids[path.name] = path.name, _grid(image)
        return self.names[key]

    def _write(self, image: Image, place: Path, case: Case, column: str, side: str) -> Path:
        if self.form == "dicom":
            return self._write_dicom(image, place, case, column, side)
        ending, write = (".png", write_picture) if self.form == "png" else (".nii.gz", write_nifti)
        path = place.with_name(place.name + ending)
        write(image, path)
        return path

    def _write_dicom(self, image: Image, place: Path, case: Case, column: str, side: str) -> Path:
        from trabecula.dicom.header import About  # noqa: PLC0415 pydicom only where there is DICOM
        from trabecula.dicom.segmentation import write_segmentation  # noqa: PLC0415
        from trabecula.dicom.write import write_image  # noqa: PLC0415

        kind, _, role = column.partition(".")
        study = f"{self.exam}/{case.groups.get('date', '')}"
        about = About(role=role, case=case, exam=study, side=side, series=len(self.names) + 1)
        if kind == "image":
            return write_image(image, place, about)
        images = (self.names[f"True {case.images.source(role).digest}"] for role in case.images)
        under = next((name for name in images if self.grids[name] == _grid(image)), None)
        if under is None:
            raise ValueError("lies on the grid of no image of its case, which DICOM SEG needs: choose nifti")
        return write_segmentation(image, place, about, of=self.folder / under)


def _grid(image: Image) -> Grid:
    return image.shape, image.spacing, image.origin, image.direction
