"""Masks out to DICOM SEG: one binary segment for each value of a label map, on the grid of the image it belongs to.

`trabecula.dicom.volume` reads them. The younger LABELMAP type would be smaller, but few workstations know it yet.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
from pydicom.sr.codedict import codes

from trabecula.dicom.header import MAKER, About, save

if TYPE_CHECKING:
    from pathlib import Path

    from highdicom import PixelMeasuresSequence
    from highdicom.seg import SegmentDescription
    from pydicom.dataset import Dataset
    from pydicom.sr.coding import Code

    from trabecula.image import Image


_REPEATED = (
    "QualityControlSubject", "IssuerOfPatientID", "PatientIdentityRemoved", "DeidentificationMethod",
    "PatientOrientation",
)  # fmt: skip


def write_segmentation(mask: Image, place: Path, about: About, *, of: Path) -> Path:
    """Write a label map at `place` (a name without ending), on the grid of the image that was written at `of`.

    Raises `ValueError` for a mask without a label, or of another size than the image.
    """
    from highdicom.seg import Segmentation  # noqa: PLC0415 takes a second to import
    from pydicom import dcmread  # noqa: PLC0415

    files = sorted(of.iterdir()) if of.is_dir() else [of]
    sources = [dcmread(path, stop_before_pixels=True) for path in files]
    if mask.shape != (len(sources), sources[0].Rows, sources[0].Columns):
        raise ValueError(f"{about.role} of {mask.shape} voxels does not lie on the grid of {of.name}: choose nifti")
    values = sorted({*np.unique(mask.voxels).tolist(), *mask.names} - {0})
    if not values:
        raise ValueError(f"{about.role} is empty and has no names: choose nifti")
    segments = np.stack([mask.voxels == value for value in values], axis=-1)
    file = Segmentation(
        source_images=sources,
        pixel_array=segments.astype(np.uint8),
        segmentation_type="BINARY",
        segment_descriptions=[_described(n, int(value), mask, about) for n, value in enumerate(values, 1)],
        series_instance_uid=about.uid("series"),
        series_number=about.series,
        sop_instance_uid=about.uid("instance", 1),
        instance_number=1,
        manufacturer=MAKER,
        manufacturer_model_name="mask",
        software_versions="1",
        device_serial_number="0",
        content_label=re.sub(r"\W", "_", about.role.upper())[:16],
        omit_empty_frames=False,
        pixel_measures=None if mask.space == "patient" else _film_measures(mask),
    )
    _like_its_image(file, sources[0], about)
    path = place.with_name(f"{place.name}.dcm")
    save(file, path)
    return path


def _film_measures(mask: Image) -> PixelMeasuresSequence | None:
    from highdicom import PixelMeasuresSequence  # noqa: PLC0415

    return mask.spacing and PixelMeasuresSequence(pixel_spacing=mask.spacing[1:], slice_thickness=None)


def _described(number: int, value: int, mask: Image, about: About) -> SegmentDescription:
    """Describe a segment; segments are numbered from 1, so the label map's own value stands in the description."""
    from highdicom.seg import SegmentDescription  # noqa: PLC0415

    name = mask.names.get(value, about.role.replace("_", " "))
    segment = SegmentDescription(
        segment_number=number,
        segment_label=name,
        segmented_property_category=codes.SCT.AnatomicalStructure,
        segmented_property_type=_structure(name, about.role),
        algorithm_type="MANUAL",
    )
    segment.SegmentDescription = f"label {value}"
    return segment


def _structure(name: str, role: str) -> Code:
    """Return the code of a vertebra by its level, else of what the role shows."""
    if re.fullmatch(r"[CTL]\d{1,2}", name):
        keyword = f"{name}Vertebra"
    elif "psoas" in role:
        keyword = "MuscleTissue"
    else:
        keyword = "Femur" if "hip" in role or "femur" in role else "Bone"
    code: Code = getattr(codes.SCT, keyword)
    return code


def _like_its_image(file: Dataset, image: Dataset, about: About) -> None:
    """Replace what highdicom draws by chance or takes from the clock, and repeat that nobody is shown."""
    del file.ContributingEquipmentSequence
    for keyword in ("InstanceCreationDate", "InstanceCreationTime", "SeriesDate", "SeriesTime"):
        if keyword in file:
            delattr(file, keyword)
    file.ContentDate, file.ContentTime = image.ContentDate, image.ContentTime
    for item in (*file.DimensionOrganizationSequence, *file.DimensionIndexSequence):
        item.DimensionOrganizationUID = about.uid("dimensions")
    for keyword in _REPEATED:
        if keyword in image:
            setattr(file, keyword, image[keyword].value)
