"""DICOM files made for the tests: written with pydicom, with the geometry equation of PS3.3 C.7.6.2.1.1."""

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SERIES = "1.2.826.0.1.3680043.8.498.1"


def _empty(path, storage):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = storage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    file = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    file.SOPClassUID, file.SOPInstanceUID = storage, meta.MediaStorageSOPInstanceUID
    file.PatientID, file.SeriesInstanceUID, file.StudyInstanceUID = "p1", SERIES, "1.2.3"
    return file


def _pixels(file, pixels):
    colours = pixels.shape[-1] == 3 and pixels.ndim > 2
    file.Rows, file.Columns = pixels.shape[-3:-1] if colours else pixels.shape[-2:]
    file.SamplesPerPixel = 3 if colours else 1
    file.PhotometricInterpretation = "RGB" if colours else "MONOCHROME2"
    if colours:
        file.PlanarConfiguration = 0
    bits = 8 * pixels.dtype.itemsize
    file.BitsAllocated, file.BitsStored, file.HighBit = bits, bits, bits - 1
    file.PixelRepresentation = int(np.issubdtype(pixels.dtype, np.signedinteger))
    file.PixelData = pixels.tobytes()


def _told(file, attributes):
    for keyword, value in attributes.items():
        if value is None and keyword in file:
            delattr(file, keyword)
        elif value is not None:
            setattr(file, keyword, value)


def item(**attributes):
    """An item of a sequence."""
    made = Dataset()
    _told(made, attributes)
    return made


def write(path, pixels, **attributes):
    """Write one file; an attribute of `None` is left out."""
    file = _empty(path, CTImageStorage)
    _pixels(file, pixels)
    _told(file, attributes)
    file.save_as(path, enforce_file_format=True)
    return Path(path)


def write_slice(path, pixels, position, orientation=AXIAL, **attributes):
    """Write one classic CT slice, in HU + 1024, pixels of 0.5 (down) x 0.75 mm (across)."""
    told = {
        "Modality": "CT", "ImagePositionPatient": [float(f"{x:.6f}") for x in position],
        "ImageOrientationPatient": list(orientation), "PixelSpacing": [0.5, 0.75], "SliceThickness": 2.0,
        "RescaleSlope": 1, "RescaleIntercept": -1024, "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    }  # fmt: skip
    return write(path, pixels, **(told | attributes))


def write_series(folder, count=6, orientation=AXIAL, step=2.0, seed=0, **attributes):
    """Write slices along the normal under shuffled names and numbers; return files in order and stored `[k, j, i]`."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    stored = rng.integers(0, 4096, (count, 5, 7)).astype(np.uint16)
    normal = np.cross(orientation[:3], orientation[3:])
    names = rng.permutation(count)
    files = [
        write_slice(
            folder / f"IM{names[k]:03}", stored[k], np.array([-10.0, 20.0, 30.0]) + k * step * normal, orientation,
            InstanceNumber=int(names[k]), **attributes,
        )
        for k in range(count)
    ]  # fmt: skip
    return files, stored


def write_enhanced(path, stored, order, rescales=((1.0, -1024.0),)):
    """Write one multi-frame CT whose frames are the slices `stored[k]` in this order, axial, 2 mm apart."""
    file = _empty(path, EnhancedCTImageStorage)
    _pixels(file, stored[list(order)])
    file.Modality, file.NumberOfFrames, file.ImageType = "CT", len(order), ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    file.SharedFunctionalGroupsSequence = [
        item(
            PlaneOrientationSequence=[item(ImageOrientationPatient=list(AXIAL))],
            PixelMeasuresSequence=[item(PixelSpacing=[0.5, 0.75], SliceThickness=2.0)],
            CTXRayDetailsSequence=[item(KVP=120.0)],
        )
    ]
    file.PerFrameFunctionalGroupsSequence = [
        item(
            PlanePositionSequence=[item(ImagePositionPatient=[-10.0, 20.0, 30.0 + 2.0 * k])],
            PixelValueTransformationSequence=[
                item(
                    RescaleSlope=rescales[k % len(rescales)][0],
                    RescaleIntercept=rescales[k % len(rescales)][1],
                    RescaleType="HU",
                )
            ],
        )
        for k in order
    ]
    file.save_as(path, enforce_file_format=True)
    return Path(path)


@pytest.fixture
def dicom():
    """The writers of this file."""
    from types import SimpleNamespace

    return SimpleNamespace(
        write=write, write_slice=write_slice, write_series=write_series, write_enhanced=write_enhanced, item=item,
        axial=AXIAL, series=SERIES,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TRABECULA_CACHE", str(tmp_path / "cache"))
