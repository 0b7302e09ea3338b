"""Headers of the DICOM that we write: who is shown, in which examination, by which machine, under which identifiers.

Every identifier follows from content, so the same phantom written twice is the same file to the last byte. Every file
says that nobody is shown: Quality Control Subject and Image (a phantom), the patient's name, the manufacturer. The
younger Synthetic Data (0008,001C) says it best, but dciodvfy of 2022 takes it for an error.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian
from pydicom.valuerep import format_number_as_ds

from trabecula.target import ROLES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray
    from pydicom.sr.coding import Code

    from trabecula.case import Case

MAKER = "trabecula.phantom"
_UNDATED = "20000101"  # the day of examinations whose case tells none: DICOM wants one
_MACHINE = {
    "InstitutionName": (("site",), 64),
    "StationName": (("station", "site"), 16),
    "ManufacturerModelName": (("scanner", "model"), 64),
}
"""By attribute: the groups of a case that tell it, and its greatest length."""


@dataclass(frozen=True, kw_only=True)
class About:
    """What a file says beside its pixels."""

    role: str
    case: Case
    exam: str
    """Tells one examination from all others; images that share it lie in one study."""
    side: str = ""
    """Of the body: `L`, `R`, or empty where nobody says."""
    series: int = 1
    """Number of the series in its study."""

    def uid(self, *names: object) -> UID:
        """Name something of this examination, always alike (PS3.5 B.2: a UUID under 2.25)."""
        told = "/".join(map(str, (self.exam, self.case.id, self.role, *names)))
        return UID(f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, told).int}")

    def group(self, *names: str) -> str:
        """Return the first of these groups that the case has; empty where it has none.

        Where a case has images of several modalities, `ct_scanner` is the CT's and comes before `scanner`.
        """
        modality = ROLES[self.role].modality if self.role in ROLES else ""
        told = (key for name in names for key in (f"{modality}_{name}", name) if key in self.case.groups)
        return next((self.case.groups[key] for key in told), "")


def new_file(about: About, storage: UID, modality: str, number: int) -> FileDataset:
    """Return a file without pixels: patient, study, series, equipment and identifiers."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = storage
    meta.MediaStorageSOPInstanceUID = about.uid("instance", number)
    file = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    file.SOPClassUID, file.SOPInstanceUID = storage, meta.MediaStorageSOPInstanceUID
    file.SpecificCharacterSet = "ISO_IR 192"
    _patient(file, about.case)
    date = about.group("date").replace("-", "") or _UNDATED
    file.StudyInstanceUID = UID(f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, about.exam).int}")
    file.StudyDate = file.SeriesDate = file.AcquisitionDate = file.ContentDate = date
    file.StudyTime = file.ContentTime = "000000"
    file.AccessionNumber = file.ReferringPhysicianName = ""
    file.StudyID, file.StudyDescription = "1", "Made: no person is shown"
    file.SeriesInstanceUID = about.uid("series")
    file.SeriesNumber, file.InstanceNumber, file.AcquisitionNumber = about.series, number, 1
    file.Modality, file.SeriesDescription = modality, ROLES[about.role].title
    file.Manufacturer, file.SoftwareVersions, file.DeviceSerialNumber = MAKER, "1", "0"
    for keyword, (names, length) in _MACHINE.items():
        if told := about.group(*names):
            setattr(file, keyword, told[:length])
    return file


def _patient(file: Dataset, case: Case) -> None:
    file.PatientName, file.PatientID = f"PHANTOM^{case.patient}"[:64], f"PHANTOM-{case.patient}"[:64]
    file.IssuerOfPatientID = MAKER
    file.PatientBirthDate = ""
    file.PatientSex = {"female": "F", "male": "M"}.get(str(case.table.get("sex", "")), "")
    if "age_years" in case.table:
        file.PatientAge = f"{int(case.number('age_years')):03d}Y"
    if "height_cm" in case.table:
        file.PatientSize = number_text(case.number("height_cm") / 100)
    if "weight_kg" in case.table:
        file.PatientWeight = number_text(case.number("weight_kg"))
    file.QualityControlSubject = "YES"
    file.PatientIdentityRemoved, file.DeidentificationMethod = "YES", "Made by a recipe: there is no such person"


def put_pixels(file: Dataset, pixels: NDArray[Any], bits: int) -> None:
    """Store one grey picture `[j, i]`, bright where its values are high."""
    file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
    file.Rows, file.Columns = pixels.shape
    file.BitsAllocated, file.BitsStored, file.HighBit = 8 * pixels.dtype.itemsize, bits, bits - 1
    file.PixelRepresentation = int(pixels.dtype.kind == "i")
    file.LossyImageCompression, file.BurnedInAnnotation, file.QualityControlImage = "00", "NO", "YES"
    data = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    file.add_new("PixelData", "OB" if pixels.dtype.itemsize == 1 else "OW", data + b"\0" * (len(data) % 2))


def save(file: Dataset, path: Path) -> None:
    """Write a file; `OSError` when there is no room."""
    file.save_as(path, enforce_file_format=True)


def coded(code: Code) -> Dataset:
    """Return a code as the item of a sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return item


def number_text(value: float) -> str:
    """Write a number within the 16 characters of DICOM's decimal strings."""
    return str(format_number_as_ds(float(value)))


def number_texts(values: Iterable[float]) -> list[str]:
    """Write several numbers."""
    return [number_text(value) for value in values]
