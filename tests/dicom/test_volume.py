"""CT and MR series become volumes whose every voxel is where DICOM says, or are refused by name."""

import random
import re

import numpy as np
import pytest
import SimpleITK

from trabecula.dicom import read_series

_TURN = np.radians(20)
ORIENTATIONS = {
    "axial": (1, 0, 0, 0, 1, 0),
    "feet_first": (-1, 0, 0, 0, 1, 0),
    "prone": (-1, 0, 0, 0, -1, 0),
    "coronal": (1, 0, 0, 0, 0, -1),
    "sagittal": (0, 1, 0, 0, 0, -1),
    "oblique": (np.cos(_TURN), np.sin(_TURN), 0, 0, 0, -1),
}


def lps(image, k, j, i):
    return (image.affine @ [k, j, i, 1])[:3]


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_every_voxel_is_where_the_dicom_equation_and_simpleitk_say(tmp_path, dicom, name):
    cosines = [float(f"{x:.8f}") for x in ORIENTATIONS[name]]
    folder = tmp_path / "series"
    files, stored = dicom.write_series(folder, orientation=cosines)
    random.Random(3).shuffle(files)
    image = read_series(files)

    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    oracle = reader.Execute()
    assert image.unit == "HU"
    assert image.space == "patient"
    row, column = np.array(cosines[:3]), np.array(cosines[3:])
    start = np.array([-10.0, 20.0, 30.0])
    for k, j, i in np.ndindex(image.shape):
        told = start + 2.0 * k * np.cross(row, column) + 0.75 * i * row + 0.5 * j * column
        np.testing.assert_allclose(lps(image, k, j, i), told, atol=1e-4)
        assert image.voxels[k, j, i] == int(stored[k, j, i]) - 1024
        index = oracle.TransformPhysicalPointToIndex(lps(image, k, j, i).tolist())
        assert oracle.GetPixel(*index) == image.voxels[k, j, i]


def test_slices_written_from_head_to_feet_are_the_same_volume(tmp_path, dicom):
    files, stored = dicom.write_series(tmp_path / "down", step=-2.0)
    image = read_series(files)
    assert image.origin == (-10.0, 20.0, 20.0)
    np.testing.assert_array_equal(image.voxels, stored[::-1].astype(int) - 1024)


def test_mr_is_stored_and_in_the_patients_space(tmp_path, dicom):
    files, stored = dicom.write_series(tmp_path / "mr", Modality="MR", RescaleSlope=None, RescaleIntercept=None)
    image = read_series(files)
    assert (image.unit, image.space) == ("stored", "patient")
    np.testing.assert_array_equal(image.voxels, stored)


def test_different_rescales_per_slice_are_each_applied(tmp_path, dicom):
    stored = np.full((3, 4), 1000, dtype=np.uint16)
    rescales = [(1.0, -1024.0), (0.5, -1000.0), (2.0, 0.0)]
    files = [
        dicom.write_slice(tmp_path / f"{k}", stored, (0, 0, k), RescaleSlope=slope, RescaleIntercept=intercept)
        for k, (slope, intercept) in enumerate(rescales)
    ]
    image = read_series(files)
    assert image.voxels.dtype == np.float32
    assert image.voxels[:, 0, 0].tolist() == [-24.0, -500.0, 2000.0]


@pytest.mark.parametrize(
    ("attributes", "values", "kind"),
    [
        ({"BitsStored": 12, "HighBit": 11}, np.array([[0, 4095]], np.uint16), np.int16),
        ({}, np.array([[0, 65535]], np.uint16), np.int32),
        ({"RescaleSlope": 40}, np.array([[-32768, 32767]], np.int16), np.int32),
        ({"RescaleSlope": 0.5}, np.array([[-32768, 32767]], np.int16), np.float32),
        ({}, np.array([[-2000, 3000]], np.int16), np.int32),
    ],
)
def test_rescaling_never_overflows(tmp_path, dicom, attributes, values, kind):
    image = read_series([dicom.write_slice(tmp_path / "one", values, (0, 0, 0), **attributes)])
    assert image.voxels.dtype == kind
    assert image.voxels[0].tolist() == (values.astype(float) * attributes.get("RescaleSlope", 1) - 1024).tolist()


def test_bits_that_are_not_stored_do_not_count(tmp_path, dicom):
    overlaid = np.array([[0xF001, 0x3FFF]], np.uint16)
    twelve = {"BitsStored": 12, "HighBit": 11}
    image = read_series([dicom.write_slice(tmp_path / "overlaid", overlaid, (0, 0, 0), **twelve)])
    assert image.voxels[0].tolist() == [[1 - 1024, 4095 - 1024]]
    unextended = np.array([[0x0FFF, 0x0800]], np.int16)
    image = read_series([dicom.write_slice(tmp_path / "signed", unextended, (0, 0, 0), **twelve)])
    assert image.voxels[0].tolist() == [[-1 - 1024, -2048 - 1024]]


def test_multi_frame_is_read_like_single_slices(tmp_path, dicom):
    files, stored = dicom.write_series(tmp_path / "classic")
    image, multi = read_series(files), read_series([dicom.write_enhanced(tmp_path / "e", stored, (3, 0, 5, 1, 4, 2))])
    np.testing.assert_array_equal(multi.voxels, image.voxels)
    np.testing.assert_allclose(multi.affine, image.affine)


def test_multi_frame_rescales_by_frame_and_misses_frames_by_position(tmp_path, dicom):
    stored = np.full((4, 3, 4), 100, np.uint16)
    path = dicom.write_enhanced(tmp_path / "rescaled", stored, (2, 1, 3, 0), rescales=((1.0, 0.0), (1.0, -50.0)))
    assert read_series([path]).voxels[:, 0, 0].tolist() == [100.0, 50.0, 100.0, 50.0]
    with pytest.raises(ValueError, match=r"missing or unevenly spaced.*gap, frame"):
        read_series([dicom.write_enhanced(tmp_path / "gap", stored, (3, 1, 0))])


def test_localizers_and_identical_duplicates_are_left_out(tmp_path, dicom):
    files, _ = dicom.write_series(tmp_path / "series")
    image = read_series(files)
    copy = tmp_path / "copy"
    copy.write_bytes(files[2].read_bytes())
    scout = dicom.write_slice(
        tmp_path / "scout", np.zeros((9, 9), np.uint16), (0, 0, 0), ORIENTATIONS["coronal"],
        ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"],
    )  # fmt: skip
    assert read_series([copy, *files, scout]).digest == image.digest
    with pytest.raises(ValueError, match="no pictures of a patient"):
        read_series([scout])


def test_different_pictures_of_one_place_are_refused(tmp_path, dicom):
    files, stored = dicom.write_series(tmp_path / "series")
    other = dicom.write_slice(tmp_path / "other", stored[2] + 1, (-10, 20, 34))
    with pytest.raises(ValueError, match="different pictures of one place") as refusal:
        read_series([*files, other])
    assert str(other) in str(refusal.value)
    assert str(files[2]) in str(refusal.value)


def test_a_missing_slice_is_refused_with_its_neighbours_named(tmp_path, dicom):
    files, _ = dicom.write_series(tmp_path / "series")
    with pytest.raises(ValueError, match="1 of 4 steps") as refusal:
        read_series(files[:3] + files[4:])
    assert f"4.00 mm from 34.00 mm ({files[2]}) to 38.00 mm ({files[4]})" in str(refusal.value)


@pytest.mark.parametrize(("share", "read"), [(0.008, True), (0.012, False)])
def test_steps_may_differ_by_one_percent(tmp_path, dicom, share, read):
    heights = [0, 2, 4, 6 + 2 * share, 8 + 2 * share, 10 + 2 * share]
    files = [dicom.write_slice(tmp_path / f"{z}", np.zeros((2, 2), np.uint16), (0, 0, z)) for z in heights]
    if read:
        assert read_series(files).spacing[0] == pytest.approx((10 + 2 * share) / 5)
    else:
        with pytest.raises(ValueError, match="unevenly spaced"):
            read_series(files)


def test_gantry_tilt_is_refused_with_its_angle(tmp_path, dicom):
    tilt = np.radians(15)
    cosines = (1, 0, 0, 0, np.cos(tilt), np.sin(tilt))
    files = [
        dicom.write_slice(tmp_path / f"{k}", np.zeros((2, 2), np.uint16), (0, 0, 2.0 * k), cosines) for k in range(5)
    ]
    with pytest.raises(ValueError, match=r"gantry tilt of 15\.0 degrees"):
        read_series(files)


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}, "ImageOrientationPatient .* differs"),
        ({"PixelSpacing": [0.6, 0.75]}, "PixelSpacing .* differs"),
        ({"ImageOrientationPatient": [1, 0, 0, 0, 1]}, "needs ImageOrientationPatient as 6"),
        ({"ImagePositionPatient": None}, "without a position"),
        ({"PixelSpacing": None}, "needs PixelSpacing as 2"),
        ({"RescaleSlope": None}, "not in Hounsfield units"),
        ({"RescaleType": "ED"}, "not in Hounsfield units"),
        ({"RescaleSlope": 0}, "RescaleSlope is 0"),
        ({"SeriesInstanceUID": "1.2.9"}, "two series"),
    ],
)
def test_one_slice_that_does_not_fit_is_named(tmp_path, dicom, attributes, words):
    files, stored = dicom.write_series(tmp_path / "series", count=3)
    odd = dicom.write_slice(tmp_path / "odd", stored[0], (-10, 20, 36), **attributes)
    with pytest.raises(ValueError, match=words) as refusal:
        read_series([*files, odd])
    assert str(odd) in str(refusal.value)


def test_mixed_sizes_and_skewed_axes_are_refused(tmp_path, dicom):
    files, _ = dicom.write_series(tmp_path / "series", count=3)
    with pytest.raises(ValueError, match=r"the size \[5.0, 8.0\] differs|the size \[5.0, 7.0\] differs"):
        read_series([*files, dicom.write_slice(tmp_path / "wide", np.zeros((5, 8), np.uint16), (-10, 20, 36))])
    skewed = dicom.write_slice(tmp_path / "s", np.zeros((2, 2), np.uint16), (0, 0, 0), (1, 0, 0, 0.5, 1, 0))
    with pytest.raises(ValueError, match="not orthonormal"):
        read_series([skewed])


def test_a_single_slice_is_as_thick_as_it_says(tmp_path, dicom):
    zeros = np.zeros((2, 2), np.uint16)
    told = dicom.write_slice(tmp_path / "told", zeros, (0, 0, 0), SliceThickness=1.25, SpacingBetweenSlices=10.0)
    assert read_series([told]).spacing == (1.25, 0.5, 0.75)
    untold = dicom.write_slice(tmp_path / "untold", zeros, (0, 0, 0), SliceThickness=None)
    with pytest.raises(ValueError, match=re.escape(f"{untold}: a single slice without SliceThickness")):
        read_series([untold])
