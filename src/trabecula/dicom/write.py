"""Our `Image` out to DICOM, as a hospital would have it: CT and MR series, radiographs, densitometry.

- `HU` is a CT series, one file a slice. Values are rounded to whole HU, as scanners store them.
- `stored` volumes are an MR series; values must be whole numbers already.
- `stored` pictures are Digital X-Ray, For Presentation; dental films are Intra-Oral or, panoramic, DX with modality PX.
- `log` and `g/cm2` pictures, which densitometers export as Secondary Capture, are one as well (modality BMD, 16 bits,
  a Modality LUT with the unit as its type, and a Real World Value Mapping in UCUM). A Parametric Map would keep the
  floats, but hardly any workstation shows it, and it wants a place in the patient that a projection has not. The range
  is cut into 65,536 steps, far below the noise of a pixel.
- Masks are DICOM SEG: `trabecula.dicom.segmentation`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import (
    CTImageStorage,
    DigitalIntraOralXRayImageStorageForPresentation,
    DigitalXRayImageStorageForPresentation,
    MRImageStorage,
    SecondaryCaptureImageStorage,
)

from trabecula.dicom.header import About, coded, new_file, number_text, number_texts, put_pixels, save
from trabecula.target import ROLES

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from pydicom.dataset import FileDataset

    from trabecula.image import Image

_SCANNER_HU = (-1024, 3071)  # what 12 bits hold with an intercept of -1024
_MOLAR = Code("39844003", "SCT", "Mandibular permanent first molar tooth")
_BONE_WINDOW = 300, 1500
_UCUM = {"g/cm2": Code("g/cm2", "UCUM", "gram per square centimeter"), "log": Code("1", "UCUM", "no units")}

_REGIONS = {
    "knee": ("KNEE", codes.SCT.Knee),
    "hip": ("HIP", codes.SCT.HipJoint),
    "pelvis": ("PELVIS", codes.SCT.Pelvis),
    "lumbar": ("LSPINE", codes.SCT.LumbarSpine),
    "vertebra": ("LSPINE", codes.SCT.LumbarSpine),
    "spine_xray_ap": ("LSPINE", codes.SCT.LumbarSpine),
    "spine_dxa": ("LSPINE", codes.SCT.LumbarSpine),
    "spine": ("SPINE", codes.SCT.Spine),
    "hand": ("HAND", codes.SCT.Hand),
    "chest": ("CHEST", codes.SCT.Chest),
    "abdomen": ("ABDOMEN", codes.SCT.Abdomen),
    "wrist": ("WRIST", codes.SCT.WristJoint),
    "forearm": ("FOREARM", codes.SCT.Forearm),
    "periapical": ("JAW", codes.SCT.Mandible),
    "panoramic": ("JAW", codes.SCT.JawRegion),
    "": ("WHOLEBODY", codes.SCT.EntireBody),
}
"""By how a role begins, the first that fits: BodyPartExamined (PS3.16 annex L) and the region's code."""
_PAIRED = ("knee", "hip", "hand", "wrist", "forearm")


def write_image(image: Image, place: Path, about: About) -> Path:
    """Write an image at `place` (a name without ending) and return what was written: a folder of slices, or a film.

    Raises `ValueError` for an image that has no form here, with what to use instead.
    """
    modality, flat = ROLES[about.role].modality, len(image.voxels) == 1
    if image.unit == "HU":
        return _ct(image, place, about)
    if image.unit == "stored" and modality == "mri":
        return _mr(image, place, about)
    if image.unit == "stored" and flat and modality in ("xray", "dental"):
        return _film(image, place, about)
    if flat and modality == "dxa" and image.unit in ("stored", *_UCUM):
        return _densitometry(image, place, about)
    raise ValueError(f"{about.role} in {image.unit}, {image.shape}, has no usual form in DICOM: choose nifti")


# Volumes --------------------------------------------------------------------------------------------------------------


def _ct(image: Image, place: Path, about: About) -> Path:
    hu = np.rint(image.voxels)
    low, high = float(hu.min()), float(hu.max())
    if low < -32768 or high > 32767:
        raise ValueError(f"{about.role} goes from {low:g} to {high:g} HU, beyond what 16 bits hold: choose nifti")
    usual = _SCANNER_HU[0] <= low and high <= _SCANNER_HU[1]
    kind, bits, intercept = (np.uint16, 12, _SCANNER_HU[0]) if usual else (np.int16, 16, 0)
    place.mkdir()
    for number, pixels in enumerate((hu - intercept).astype(kind), 1):
        file = new_file(about, CTImageStorage, "CT", number)
        _put_in_patient(file, image, about, number)
        file.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        file.KVP, file.ConvolutionKernel = about.group("kvp"), about.group("kernel")
        file.RescaleIntercept, file.RescaleSlope, file.RescaleType = intercept, 1, "HU"
        file.WindowCenter, file.WindowWidth = _BONE_WINDOW
        put_pixels(file, pixels, bits)
        save(file, place / f"{number:04d}.dcm")
    return place


def _mr(image: Image, place: Path, about: About) -> Path:
    stored = _whole_numbers(image, about)
    brightest = float(np.percentile(stored, 99.5)) + 1
    place.mkdir()
    for number, pixels in enumerate(stored, 1):
        file = new_file(about, MRImageStorage, "MR", number)
        _put_in_patient(file, image, about, number)
        file.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
        file.ScanningSequence, file.SequenceVariant, file.ScanOptions, file.MRAcquisitionType = "SE", "NONE", "", "2D"
        file.RepetitionTime, file.EchoTime = about.group("tr_ms"), about.group("te_ms")
        file.MagneticFieldStrength, file.EchoTrainLength = about.group("field_t"), 1
        file.WindowCenter, file.WindowWidth = number_text(brightest / 2), number_text(brightest)
        put_pixels(file, pixels, 8 * pixels.dtype.itemsize)
        save(file, place / f"{number:04d}.dcm")
    return place


def _put_in_patient(file: FileDataset, image: Image, about: About, number: int) -> None:
    """Say where slice `number`, from 1, lies (PS3.3 C.7.6.2)."""
    if image.spacing is None:
        raise ValueError(f"{about.role} has no spacing, which a volume in DICOM needs")
    axis, down, across = (np.array(row) for row in image.direction)
    step, rows_mm, columns_mm = image.spacing
    file.FrameOfReferenceUID, file.PositionReferenceIndicator = about.uid("frame of reference"), ""
    file.PatientPosition = "HFS"
    file.ImagePositionPatient = number_texts(image.origin + (number - 1) * step * axis)
    file.ImageOrientationPatient = number_texts([*across, *down])
    file.PixelSpacing = number_texts([rows_mm, columns_mm])
    file.SliceThickness = number_text(float(about.group("slice_mm", "slice_thickness_mm") or step))
    file.SpacingBetweenSlices = number_text(step)
    _put_region(file, about)


def _whole_numbers(image: Image, about: About) -> NDArray[Any]:
    """Return stored values as the smallest unsigned integers, else signed ones, that hold them."""
    values = image.voxels
    whole = np.array_equal(values, np.rint(values))
    for kind in (np.uint8, np.uint16, np.int16):
        if whole and np.iinfo(kind).min <= values.min() and values.max() <= np.iinfo(kind).max:
            return values.astype(kind)
    raise ValueError(f"{about.role} holds values that are no whole numbers within 16 bits: choose nifti")


# Radiographs ----------------------------------------------------------------------------------------------------------


def _film(image: Image, place: Path, about: About) -> Path:
    """Write a radiograph: DX or IO, For Presentation."""
    pixels = _whole_numbers(image, about)
    if pixels.dtype.kind == "i":
        raise ValueError(f"{about.role} holds negative values, which no radiograph has: choose nifti")
    if image.spacing is None:
        raise ValueError(f"{about.role} has no spacing, which a radiograph in DICOM needs: choose png")
    intraoral = about.role == "periapical"
    storage = DigitalIntraOralXRayImageStorageForPresentation if intraoral else DigitalXRayImageStorageForPresentation
    modality = {"periapical": "IO", "panoramic": "PX"}.get(about.role, "DX")
    bits = 8 * pixels.dtype.itemsize
    file = new_file(about, storage, modality, 1)
    _put_region(file, about)
    _put_view(file, about)
    file.ImageType = ["ORIGINAL", "PRIMARY", ""]
    file.PresentationIntentType, file.KVP = "FOR PRESENTATION", about.group("kvp")
    file.ImagerPixelSpacing = number_texts(image.spacing[1:])
    file.DetectorType, file.PositionerType = "DIRECT", "NONE"
    file.PixelIntensityRelationship, file.PixelIntensityRelationshipSign = "LOG", 1
    file.RescaleIntercept, file.RescaleSlope, file.RescaleType = 0, 1, "US"
    file.PresentationLUTShape = "IDENTITY"
    file.WindowCenter, file.WindowWidth = 2 ** (bits - 1), 2**bits
    file.AcquisitionContextSequence = []
    put_pixels(file, pixels[0], bits)
    return _saved(file, place)


def _put_region(file: FileDataset, about: About) -> None:
    """Say what part of the body is shown, and of which side."""
    begin = next(begin for begin in _REGIONS if about.role.startswith(begin))
    file.BodyPartExamined, region = _REGIONS[begin]
    file.AnatomicRegionSequence = [coded(region)]
    if file.Modality == "IO":
        file.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = [coded(codes.SCT.FirstMolarRegion)]
    if file.Modality in ("CT", "MR"):
        if begin in _PAIRED:
            file.Laterality = about.side
        return
    if begin in _PAIRED and not about.side:
        raise ValueError(
            f"DICOM needs the side of {about.role}, which the case's part (left, right) would tell: choose png or nifti"
        )
    file.ImageLaterality = about.side or "U"


def _put_view(file: FileDataset, about: About) -> None:
    """Say from where the beam came: AP, or lateral with the left side at the detector; a dental film has neither."""
    lateral = about.role.endswith("lateral")
    file.PatientOrientation = ["P", "F"] if lateral else ["L", "F"]
    if file.Modality == "DX":
        file.ViewPosition = "LL" if lateral else "AP"
        file.ViewCodeSequence = [coded(codes.SCT.LeftLateral if lateral else codes.SCT.AnteroPosterior)]


# Densitometry ---------------------------------------------------------------------------------------------------------


def _densitometry(image: Image, place: Path, about: About) -> Path:
    """Write a DXA picture; numbers with a unit as 16 bits with slope and intercept."""
    low, high = float(image.voxels.min()), float(image.voxels.max())
    slope, intercept = 1.0, 0.0
    if image.unit != "stored":
        slope, intercept = float(number_text((high - low) / 65535 or 1.0)), float(number_text(low))
        steps = np.rint((image.voxels.astype(float) - intercept) / slope)
        pixels = np.clip(steps, 0, 65535).astype(np.uint16)
    else:
        pixels = _whole_numbers(image, about)
    file = new_file(about, SecondaryCaptureImageStorage, "BMD", 1)
    _put_region(file, about)
    file.ImageType, file.ConversionType = ["ORIGINAL", "PRIMARY"], "WSD"
    file.PatientOrientation = ["L", "F"]
    if image.spacing is not None:
        file.PixelSpacing = number_texts(image.spacing[1:])
    if image.unit != "stored":
        file.RescaleIntercept, file.RescaleSlope = number_text(intercept), number_text(slope)
        file.RescaleType = image.unit
        file.RealWorldValueMappingSequence = [_real_values(image.unit, slope, intercept)]
    file.WindowCenter, file.WindowWidth = number_text((low + high) / 2), number_text(high - low or 1.0)
    file.VOILUTFunction = "LINEAR_EXACT"
    put_pixels(file, pixels[0], 8 * pixels.dtype.itemsize)
    return _saved(file, place)


def _real_values(unit: str, slope: float, intercept: float) -> Dataset:
    """Map stored values to real ones in a unit of UCUM (PS3.3 C.7.6.16.2.11)."""
    item = Dataset()
    item.RealWorldValueFirstValueMapped, item.RealWorldValueLastValueMapped = 0, 65535
    item.RealWorldValueIntercept, item.RealWorldValueSlope = intercept, slope
    item.LUTExplanation, item.LUTLabel = "areal BMD" if unit == "g/cm2" else "log attenuation", unit
    item.MeasurementUnitsCodeSequence = [coded(_UCUM[unit])]
    return item


def _saved(file: FileDataset, place: Path) -> Path:
    path = place.with_name(f"{place.name}.dcm")
    save(file, path)
    return path
