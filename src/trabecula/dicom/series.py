"""Series: what a folder of DICOM files holds, from their headers alone."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING

from trabecula.cache import file_digest
from trabecula.dicom.frame import VOLUMES, Frame, is_directory
from trabecula.dicom.volume import read_label_map, read_series
from trabecula.target import VARIABLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from trabecula.image import Image

_FACTS = {
    "manufacturer": ("Manufacturer",),
    "model": ("ManufacturerModelName",),
    "station": ("StationName",),
    "kvp": ("KVP",),
    "kernel": ("ConvolutionKernel",),
    "slice_thickness_mm": ("SliceThickness",),
    "rows": ("Rows",),
    "columns": ("Columns",),
    "pixel_spacing_mm": ("PixelSpacing", "ImagerPixelSpacing"),
    "exposure_mas": ("Exposure", "ExposureInmAs"),
    "institution": ("InstitutionName",),
    "photometric": ("PhotometricInterpretation",),
}
"""Acquisition facts, and the attributes that tell them: the first that is there."""

_READ = [
    *(keyword for keywords in _FACTS.values() for keyword in keywords),
    "SeriesInstanceUID", "SOPInstanceUID", "StudyInstanceUID", "PatientID", "Modality", "ImageType", "InstanceNumber",
    "BodyPartExamined", "AnatomicRegionSequence", "ViewPosition", "ViewCodeSequence", "ImageLaterality", "Laterality",
    "PatientAge", "PatientBirthDate", "PatientSex", "PatientWeight", "PatientSize", "StudyDate",
    "ImagePositionPatient", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
]  # fmt: skip
_SIDES = {"L": "left", "R": "right", "B": "both"}
_LATERALS = ("LL", "RL")
_YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}


@dataclass(frozen=True)
class DicomSource:
    """The files of one series, or of one film."""

    paths: tuple[Path, ...]

    @property
    def digest(self) -> str:
        """SHA-256 over the files' contents, whatever their names and order."""
        contents = sorted(file_digest(path) for path in self.paths)
        return hashlib.sha256("".join(contents).encode()).hexdigest()

    def load(self) -> Image:
        """Decode the files; see `read_series` for errors."""
        return read_series(self.paths)


@dataclass(frozen=True)
class SegmentationSource:
    """A SEG file, read as a label map."""

    path: Path

    @property
    def digest(self) -> str:
        """SHA-256 of the file."""
        return file_digest(self.path)

    def load(self) -> Image:
        """Decode the file; see `read_label_map` for errors."""
        return read_label_map(self.path)


@dataclass(frozen=True, kw_only=True)
class Series:
    """One image of a patient, volume or film, and what its files say about it."""

    source: DicomSource
    uid: str
    """SeriesInstanceUID; the SOPInstanceUID of a film that shares its series with others."""
    patient: str
    study: str
    modality: str
    """DICOM's code: CT, MR, DX, CR, MG, PX, IO, OT and others."""
    body_part: str = ""
    view: str = ""
    """View position or its meaning, then the side of the body in words."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """How it was acquired, where the files say so. Where slices differ, that of the lowest InstanceNumber."""
    table: Mapping[str, float | str] = field(default_factory=dict)
    """Age, sex, weight and height, as far as they are there and plausible."""
    date: str = ""
    """Day of the study, as 2024-02-29."""


def find_series(folder: Path) -> tuple[list[Series], list[str]]:
    """Find every series of pictures below a folder, under any file names, without reading pixels.

    Every film is a series of its own, also where several share one SeriesInstanceUID. Files that are not DICOM,
    DICOMDIRs, localizers, reports and segmentations are left out in silence. The second list says `path: what is
    wrong` for damaged DICOM and for slices that have no place in the patient.
    Raises `ValueError` when the folder does not exist.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: there is no such folder")
    members: dict[tuple[str, str], list[Frame]] = {}
    problems: list[str] = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            frame = _header(path)
            if frame is not None:
                members.setdefault(_belongs(frame), []).append(frame)
        except Exception as error:  # a damaged file breaks the parser in any way
            problems.append(str(error) if str(error).startswith(f"{path}: ") else f"{path}: {error}")
    films = [uid for uid, film in members if film]
    series = [
        _series(film if film and films.count(uid) > 1 else uid, frames) for (uid, film), frames in members.items()
    ]
    return sorted(series, key=lambda each: (each.patient, each.date, each.study, each.uid)), problems


def _header(path: Path) -> Frame | None:
    """Read a picture's header; `None` for what is silently left out."""
    from pydicom import dcmread  # noqa: PLC0415 keeps `import trabecula.dicom` light

    with path.open("rb") as file:
        if file.read(132)[128:] != b"DICM":
            if path.suffix.lower() == ".dcm":
                raise ValueError("named .dcm but not DICOM (no DICM prefix); remove it or export it again")
            return None
    header = dcmread(path, stop_before_pixels=True, specific_tags=list(_READ))
    frame = Frame(path, header)
    return frame if not is_directory(header) and frame.pictorial else None


def _belongs(frame: Frame) -> tuple[str, str]:
    """Return the series of a picture and, of a film, the film."""
    uid = frame.text("SeriesInstanceUID")
    if not uid:
        raise ValueError("has no SeriesInstanceUID, so nobody knows what it belongs to; export it again")
    if frame.modality not in VOLUMES:
        return uid, frame.text("SOPInstanceUID") or str(frame.path)
    if frame.value("ImagePositionPatient") is None:
        raise ValueError(f"{frame.modality} without a position in the patient (screen capture, dose report?); left out")
    return uid, ""


def _series(uid: str, frames: list[Frame]) -> Series:
    first = min(frames, key=lambda frame: (_number(frame, "InstanceNumber", 0.0), frame.text("SOPInstanceUID")))
    studied = _day(first.text("StudyDate"))
    return Series(
        source=DicomSource(tuple(frame.path for frame in frames)),
        uid=uid,
        patient=first.text("PatientID"),
        study=first.text("StudyInstanceUID"),
        modality=first.modality,
        body_part=first.text("BodyPartExamined") or _meaning(first, "AnatomicRegionSequence"),
        view=_view(first),
        facts=dict(_facts(first)),
        table=dict(_table(first, studied)),
        date=studied.isoformat() if studied else "",
    )


def _facts(frame: Frame) -> Iterator[tuple[str, str]]:
    for name, keywords in _FACTS.items():
        told = next(filter(None, map(frame.text, keywords)), "")
        if told:
            yield name, told


def _view(frame: Frame) -> str:
    position = frame.text("ViewPosition") or _meaning(frame, "ViewCodeSequence")
    side = _SIDES.get(frame.text("ImageLaterality") or frame.text("Laterality"), "")
    if position.upper() in _LATERALS:  # the code tells the side that faces the detector
        side = ""
    return f"{position} {side}".strip()


def _meaning(frame: Frame, keyword: str) -> str:
    codes = frame.value(keyword)
    return str(codes[0].get("CodeMeaning", "")).strip() if codes else ""


def _table(frame: Frame, studied: date | None) -> Iterator[tuple[str, float | str]]:
    sex = {"F": "female", "M": "male"}.get(frame.text("PatientSex").upper())
    if sex:
        yield "sex", sex
    for name, value in (
        ("age_years", _age(frame, studied)),
        ("weight_kg", _number(frame, "PatientWeight")),
        ("height_cm", _number(frame, "PatientSize", scale=100)),
    ):
        low, high = VARIABLES[name].low, VARIABLES[name].high
        if value is not None and low is not None and high is not None and low <= value <= high:
            yield name, value


def _age(frame: Frame, studied: date | None) -> float | None:
    """Return the age in years as stated, else from birth to study. A stated age of 000 is a blank."""
    stated = re.fullmatch(r"(\d{1,3})([DWMY])", frame.text("PatientAge").upper())
    if stated and int(stated[1]):
        return int(stated[1]) * _YEARS[stated[2]]
    born = _day(frame.text("PatientBirthDate"))
    return (studied - born).days / 365.25 if born and studied else None


def _day(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%Y%m%d").date()
    except ValueError:
        return None


def _number(frame: Frame, keyword: str, missing: float | None = None, *, scale: float = 1.0) -> float | None:
    try:
        return float(frame.numbers(keyword, 1)[0]) * scale
    except ValueError:
        return missing
