"""Radiographs and captures become pictures in which bone is bright and lengths are told only where they are known."""

import re
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEGLosslessSV1, RLELossless

from trabecula.dicom import read_series

GREY = np.array([[0, 1, 4000], [4095, 7, 300]], np.uint16)
TWELVE = {"Modality": "DX", "BitsStored": 12, "HighBit": 11}


def test_a_radiograph_is_a_picture_of_the_detector(tmp_path, dicom):
    path = dicom.write(tmp_path / "film", GREY, **TWELVE, WindowCenter=1000, WindowWidth=10)
    image = read_series([path])
    assert (image.shape, image.unit, image.space, image.spacing) == ((1, 2, 3), "stored", "detector", None)
    assert image.voxels.dtype == np.uint16
    np.testing.assert_array_equal(image.voxels[0], GREY)


def test_monochrome1_is_inverted_within_its_stored_bits_as_simpleitk_does(tmp_path, dicom):
    path = dicom.write(tmp_path / "film", GREY, **TWELVE, PhotometricInterpretation="MONOCHROME1")
    image = read_series([path])
    np.testing.assert_array_equal(image.voxels[0], 4095 - GREY)
    oracle = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))
    np.testing.assert_array_equal(image.voxels, oracle)


def test_monochrome1_of_signed_pixels_stays_in_its_range(tmp_path, dicom):
    signed = np.array([[-32768, 0, 32767]], np.int16)
    path = dicom.write(tmp_path / "film", signed, Modality="CR", PhotometricInterpretation="MONOCHROME1")
    assert read_series([path]).voxels.tolist() == [[[32767, -1, -32768]]]


def test_the_modality_lut_is_applied_then_inverted_in_its_own_range(tmp_path, dicom):
    rescaled = {"RescaleSlope": -2, "RescaleIntercept": 10}
    path = dicom.write(tmp_path / "film", GREY, **TWELVE, **rescaled)
    np.testing.assert_array_equal(read_series([path]).voxels[0], 10 - 2 * GREY.astype(int))
    path = dicom.write(tmp_path / "film", GREY, **TWELVE, **rescaled, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(read_series([path]).voxels[0], 10 - 2 * (4095 - GREY.astype(int)))


def test_a_modality_lut_table_is_looked_up(tmp_path, dicom):
    table = dicom.item(LUTDescriptor=[3, 1, 16], LUTData=[100, 200, 60000], ModalityLUTType="US")
    table["LUTDescriptor"].VR = table["LUTData"].VR = "US"
    path = dicom.write(tmp_path / "film", np.array([[0, 1, 2, 3, 9]], np.uint16), ModalityLUTSequence=[table], **TWELVE)
    assert read_series([path]).voxels.tolist() == [[[100, 100, 200, 60000, 60000]]]


def test_a_modality_lut_of_signed_pixels_does_not_wrap(tmp_path, dicom):
    table = dicom.item(LUTDescriptor=[3, -32768, 16], LUTData=[100, 200, 300], ModalityLUTType="US")
    table["LUTDescriptor"].VR, table["LUTData"].VR = "SS", "US"
    signed = np.array([[-32768, -32767, 32767]], np.int16)
    path = dicom.write(tmp_path / "film", signed, Modality="CR", ModalityLUTSequence=[table])
    assert read_series([path]).voxels.tolist() == [[[100, 200, 300]]]


@pytest.mark.parametrize(
    ("attributes", "spacing"),
    [
        ({"ImagerPixelSpacing": [0.2, 0.1]}, (1.0, 0.2, 0.1)),
        ({"ImagerPixelSpacing": [0.2, 0.1], "PixelSpacing": [0.16, 0.08]}, (1.0, 0.16, 0.08)),
        ({"ImagerPixelSpacing": [0.2, 0.1], "PixelSpacing": [0, 0]}, (1.0, 0.2, 0.1)),
        ({"NominalScannedPixelSpacing": [0.3, 0.3]}, (1.0, 0.3, 0.3)),
        ({}, None),
    ],
)
def test_calibrated_spacing_comes_before_the_detectors(tmp_path, dicom, attributes, spacing):
    assert read_series([dicom.write(tmp_path / "film", GREY, **TWELVE, **attributes)]).spacing == spacing


def test_colour_captures_become_luminance(tmp_path, dicom):
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9]]], np.uint8)
    image = read_series([dicom.write(tmp_path / "capture", colours, Modality="OT")])
    assert image.voxels.tolist() == [[[76, 150, 29, 9]]]
    with pytest.raises(ValueError, match="CT in colour"):
        read_series([dicom.write_slice(tmp_path / "rendering", colours, (0, 0, 0))])


def test_one_film_is_read_at_a_time_and_copies_count_once(tmp_path, dicom):
    first = dicom.write(tmp_path / "a", GREY, **TWELVE)
    copy = dicom.write(tmp_path / "b", GREY, **TWELVE)
    assert read_series([first, copy]).digest == read_series([first]).digest
    other = dicom.write(tmp_path / "c", GREY + np.uint16(1), **TWELVE)
    with pytest.raises(ValueError, match="two films of one series"):
        read_series([first, other])
    several = dicom.write(tmp_path / "cine", np.zeros((2, 4, 4), np.uint16), **TWELVE, NumberOfFrames=2)
    with pytest.raises(ValueError, match="a film of 2 frames"):
        read_series([several])
    palette = dicom.write(tmp_path / "palette", GREY, **TWELVE, PhotometricInterpretation="PALETTE COLOR")
    with pytest.raises(ValueError, match="palette"):
        read_series([palette])


def test_compressed_films_decode_to_the_same_values(tmp_path, dicom):
    path = dicom.write(tmp_path / "film", GREY, **TWELVE)
    file = dcmread(path)
    file.compress(RLELossless)
    file.save_as(path)
    np.testing.assert_array_equal(read_series([path]).voxels[0], GREY)


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "693_J2KI.dcm", "MR_small_RLE.dcm", "MR_small_bigendian.dcm", "JPEGLSNearLossless_16.dcm"]
)
def test_files_of_real_scanners_have_the_values_that_simpleitk_reads(name):
    """Files that pydicom is installed with."""
    path = Path(get_testdata_file(name, download=False))
    oracle = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))
    np.testing.assert_array_equal(read_series([path]).voxels, oracle)


def test_a_transfer_syntax_that_nothing_decodes_is_named(tmp_path, dicom, monkeypatch):
    path = dicom.write(tmp_path / "film", GREY, **TWELVE)
    file = dcmread(path)
    file.compress(RLELossless)
    file.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    file.save_as(path)
    monkeypatch.setattr("pydicom.pixels.decoders.base.Decoder.is_available", property(lambda self: False))
    with pytest.raises(ValueError, match=r"no decoder for its transfer syntax JPEG Lossless.*decompress") as refusal:
        read_series([path])
    assert str(path) in str(refusal.value)


def test_a_deflated_file_is_named_as_such(tmp_path, dicom):
    path = dicom.write(tmp_path / "film", GREY, **TWELVE)
    file = dcmread(path)
    file.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    file.save_as(path)
    with pytest.raises(ValueError, match="no decoder for its transfer syntax Deflated"):
        read_series([path])


@pytest.mark.parametrize("cut", [1, 2, 5, 12, 13, 60])
def test_a_truncated_file_is_named_wherever_it_ends(tmp_path, dicom, cut):
    path = dicom.write(tmp_path / "film", GREY, **TWELVE)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(ValueError, match=re.escape(str(path)) + ".*export it again"):
        read_series([path])


def test_less_pixel_data_than_promised_and_none_are_refused(tmp_path, dicom):
    path = dicom.write(tmp_path / "short", GREY, **TWELVE, Rows=4)
    with pytest.raises(ValueError, match="short: its pixels cannot be decoded: the file is truncated"):
        read_series([path])
    path = dicom.write(tmp_path / "none", GREY, **TWELVE, PixelData=None)
    with pytest.raises(ValueError, match="none: holds no pixels"):
        read_series([path])


def test_bits_in_a_retired_place_are_refused_rather_than_read_wrongly(tmp_path, dicom):
    path = dicom.write(tmp_path / "film", GREY << 4, **TWELVE | {"HighBit": 15})
    with pytest.raises(ValueError, match="12 stored bits end at bit 15"):
        read_series([path])


def test_what_is_no_dicom_is_named(tmp_path):
    (tmp_path / "text").write_text("no DICOM")
    with pytest.raises(ValueError, match="text: not DICOM"):
        read_series([tmp_path / "text"])
    with pytest.raises(ValueError, match="absent: there is no such file"):
        read_series([tmp_path / "absent"])
    with pytest.raises(ValueError, match="no pictures of a patient"):
        read_series([])
