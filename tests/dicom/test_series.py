"""A folder of DICOM becomes a list of series with what their headers say, without reading pixels."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from pydicom import dcmread

from trabecula.dicom import DicomSource, find_series
from trabecula.image import Source

GREY = np.zeros((4, 6), np.uint16)


def one(folder):
    found, problems = find_series(folder)
    assert not problems
    (series,) = found
    return series


def test_a_ct_series_is_found_whatever_its_files_are_called(tmp_path, dicom):
    files, stored = dicom.write_series(
        tmp_path / "deep", KVP="120.0", ConvolutionKernel=["Br40f", "2"], Exposure="85", Manufacturer="ACME",
        StudyDate="20240229", BodyPartExamined="LSPINE",
    )  # fmt: skip
    (tmp_path / "notes.txt").write_text("not DICOM")
    (tmp_path / "empty").write_bytes(b"")
    series = one(tmp_path)
    assert set(series.source.paths) == set(files)
    assert (series.uid, series.patient, series.study) == (dicom.series, "p1", "1.2.3")
    assert (series.modality, series.body_part, series.view, series.date) == ("CT", "LSPINE", "", "2024-02-29")
    assert series.facts == {
        "kvp": "120", "kernel": "Br40f 2", "exposure_mas": "85", "manufacturer": "ACME", "slice_thickness_mm": "2",
        "rows": "5", "columns": "7", "pixel_spacing_mm": "0.5 0.75", "photometric": "MONOCHROME2",
    }  # fmt: skip
    np.testing.assert_array_equal(series.source.load().voxels, stored.astype(int) - 1024)


def test_facts_do_not_depend_on_file_names(tmp_path, dicom):
    for name, number, exposure in (("b", 1, "10"), ("a", 2, "20"), ("c", 3, "30")):
        dicom.write_slice(tmp_path / name, GREY, (0, 0, number), InstanceNumber=number, Exposure=exposure)
    assert one(tmp_path).facts["exposure_mas"] == "10"


def test_facts_of_a_multi_frame_file_come_from_its_groups(tmp_path, dicom):
    dicom.write_enhanced(tmp_path / "e", np.zeros((3, 4, 6), np.uint16), (0, 1, 2))
    series = one(tmp_path)
    assert series.facts["kvp"] == "120"
    assert series.facts["pixel_spacing_mm"] == "0.5 0.75"


@pytest.mark.parametrize(
    ("attributes", "table"),
    [
        ({"PatientAge": "067Y", "PatientSex": "F", "PatientWeight": 61.5, "PatientSize": 1.62},
         {"age_years": 67.0, "sex": "female", "weight_kg": 61.5, "height_cm": 162.0}),
        ({"PatientAge": "018M", "PatientSex": "M"}, {"age_years": 1.5, "sex": "male"}),
        ({"PatientBirthDate": "19500101", "StudyDate": "20200101"}, {"age_years": pytest.approx(70, abs=0.01)}),
        ({"PatientAge": "000Y", "PatientBirthDate": "19500101", "StudyDate": "20200101"},
         {"age_years": pytest.approx(70, abs=0.01)}),
        ({"PatientAge": "999Y", "PatientSex": "O", "PatientWeight": 0, "PatientSize": 162}, {}),
        ({"PatientBirthDate": "20210101", "StudyDate": "20200101"}, {}),
        ({"PatientBirthDate": "19500101"}, {}),
    ],
)  # fmt: skip
def test_the_table_holds_what_is_there_and_plausible(tmp_path, dicom, attributes, table):
    dicom.write(tmp_path / "film", GREY, Modality="DX", **attributes)
    assert one(tmp_path).table == table


@pytest.mark.parametrize(
    ("attributes", "view"),
    [
        ({"ViewPosition": "AP", "ImageLaterality": "R"}, "AP right"),
        ({"ViewPosition": "LL", "ImageLaterality": "L"}, "LL"),
        ({"Laterality": "L"}, "left"),
        ({}, ""),
    ],
)
def test_the_view_tells_position_and_side(tmp_path, dicom, attributes, view):
    dicom.write(tmp_path / "film", GREY, Modality="DX", **attributes)
    assert one(tmp_path).view == view


def test_coded_view_and_region_are_read_where_the_plain_ones_are_missing(tmp_path, dicom):
    dicom.write(
        tmp_path / "film", GREY, Modality="DX", ViewCodeSequence=[dicom.item(CodeMeaning="lateral")],
        AnatomicRegionSequence=[dicom.item(CodeMeaning="Lumbar spine")],
    )  # fmt: skip
    series = one(tmp_path)
    assert (series.view, series.body_part) == ("lateral", "Lumbar spine")


def test_films_of_one_series_are_told_apart(tmp_path, dicom):
    paths = [dicom.write(tmp_path / name, GREY, Modality="CR", ViewPosition=name) for name in ("AP", "LL")]
    found, problems = find_series(tmp_path)
    assert not problems
    assert {(each.uid, each.view) for each in found} == {
        (str(dcmread(path).SOPInstanceUID), path.name) for path in paths
    }
    paths[1].unlink()
    assert one(tmp_path).uid == dicom.series


def test_reports_segmentations_localizers_and_directories_are_left_out(tmp_path, dicom):
    dicom.write(tmp_path / "segmentation", GREY, Modality="SEG")
    dicom.write_slice(tmp_path / "scout", GREY, (0, 0, 0), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    report = dcmread(dicom.write(tmp_path / "report", GREY, Modality="SR", PixelData=None, Rows=None))
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    report.save_as(tmp_path / "report")
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    report.save_as(tmp_path / "DICOMDIR")
    assert find_series(tmp_path) == ([], [])


def test_unreadable_dicom_is_reported_and_the_rest_is_read(tmp_path, dicom):
    good = dicom.write(tmp_path / "good", GREY, Modality="DX")
    (tmp_path / "cut").write_bytes(good.read_bytes()[:420])
    (tmp_path / "named.dcm").write_bytes(b"something else")
    dicom.write_slice(tmp_path / "dose", GREY, (0, 0, 0), ImagePositionPatient=None)
    dicom.write(tmp_path / "orphan", GREY, Modality="DX", SeriesInstanceUID=None)
    found, problems = find_series(tmp_path)
    assert [each.source.paths for each in found] == [(good,)]
    told = dict(problem.split(": ", 1) for problem in problems)
    assert set(told) == {str(tmp_path / name) for name in ("cut", "named.dcm", "dose", "orphan")}
    assert "without a position" in told[str(tmp_path / "dose")]
    with pytest.raises(ValueError, match="no such folder"):
        find_series(tmp_path / "absent")


def test_a_source_is_known_by_its_contents_and_can_be_pickled(tmp_path, dicom):
    files, stored = dicom.write_series(tmp_path / "series", count=3)
    source = DicomSource(tuple(files))
    digest = source.digest
    assert isinstance(source, Source)
    assert DicomSource(tuple(reversed(files))).digest == digest
    again = pickle.loads(pickle.dumps(source))
    assert again == source
    assert again.load().digest == source.load().digest
    moved = files[0].rename(tmp_path / "moved")
    assert DicomSource((moved, *files[1:])).digest == digest
    dicom.write_slice(files[1], stored[1] + 1, (-10, 20, 32))
    assert DicomSource((moved, *files[1:])).digest != digest
    assert pickle.loads(pickle.dumps(one(tmp_path))) == one(tmp_path)


def test_importing_the_package_loads_neither_pydicom_nor_torch():
    code = "import sys, trabecula.dicom; assert not {'pydicom', 'torch', 'SimpleITK'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
