"""Written DICOM: dciodvfy finds no error, our own reader gives the image back, nobody takes it for a patient."""

import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from pydicom import dcmread

from trabecula.case import Case
from trabecula.dicom import find_series, read_label_map, read_series
from trabecula.dicom.header import About
from trabecula.dicom.segmentation import write_segmentation
from trabecula.dicom.write import write_image
from trabecula.image import Image

AXIAL = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
CASE = Case(
    id="000012-1",
    patient="000012",
    table={"age_years": 67.4, "sex": "female", "height_cm": 161.2, "weight_kg": 60.1},
    groups={
        "site": "north", "scanner": "Aster CT", "kvp": "120", "kernel": "bone", "slice_mm": "2", "date": "2021-03-04",
        "tr_ms": "550", "te_ms": "12", "field_t": "1.5",
    },
)  # fmt: skip


def about(role, exam="one", **more):
    return About(role=role, case=CASE, exam=exam, **more)


def volume(unit="HU", low=-1000, high=1500, direction=AXIAL, dtype=np.float32):
    voxels = np.random.default_rng(0).uniform(low, high, (6, 20, 28)).astype(dtype)
    return Image(
        voxels=voxels, unit=unit, spacing=(1.25, 0.7, 0.8), origin=(-101.234567, 3.5, 1207.75), direction=direction
    )


def film(unit="stored", high=256, dtype=np.uint8):
    voxels = (np.random.default_rng(1).uniform(0, high, (1, 41, 33))).astype(dtype)
    return Image(voxels=voxels, unit=unit, spacing=(1.0, 0.683, 0.683), space="detector")


KINDS = {
    "lumbar_ct": (volume(), {}),
    "hip_ct": (volume(high=9000), {}),
    "lumbar_mri": (volume("stored", 0, 900, dtype=np.uint16), {}),
    "knee_xray": (film(), {"side": "L"}),
    "hip_xray": (film(high=4096, dtype=np.uint16), {"side": "R"}),
    "spine_xray_ap": (film(), {}),
    "spine_xray_lateral": (film(), {}),
    "periapical": (film(), {"side": "L"}),
    "panoramic": (film(), {}),
    "hip_dxa_low": (film("log", 8.0, np.float32), {"side": "L"}),
    "spine_dxa_high": (film("log", 8.0, np.float64), {}),
    "hip_dxa": (film("g/cm2", 1.4, np.float32), {"side": "L"}),
    "spine_dxa": (film(), {}),
}


def written(role, folder):
    image, more = KINDS[role]
    path = write_image(image, folder / role, about(role, **more))
    return image, sorted(path.iterdir()) if path.is_dir() else [path]


def label_map(image, names):
    voxels = np.zeros(image.shape, np.uint8)
    for n, value in enumerate(names or {1: ""}):
        voxels[..., 4 + 3 * n : 6 + 3 * n, 5:11] = value
    return Image(
        voxels=voxels, unit="label", spacing=image.spacing, origin=image.origin, direction=image.direction,
        space=image.space, names=names,
    )  # fmt: skip


def errors(program, *files):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed: apt-get install dicom3tools")
    done = subprocess.run([program, *map(str, files)], capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).splitlines()
    assert program != "dciodvfy" or len(said) > 0  # it names the kind of object
    return [line for line in said if line.startswith("Error") or "Unrecognized SOP Class" in line]


@pytest.mark.parametrize("role", KINDS)
def test_dciodvfy_finds_no_error(role, tmp_path):
    _, files = written(role, tmp_path)
    assert errors("dciodvfy", files[0]) == []


def test_dciodvfy_is_asked_in_earnest(tmp_path):
    _, (file,) = written("knee_xray", tmp_path)
    header = dcmread(file)
    del header.PatientOrientation
    header.save_as(file)
    assert any("PatientOrientation" in line for line in errors("dciodvfy", file))


# Volumes --------------------------------------------------------------------------------------------------------------

TILTED = tuple(map(tuple, np.linalg.qr(np.array([[0.1, 0.2, 1.0], [0.1, 1.0, -0.2], [1.0, -0.1, -0.1]]).T)[0].T))


@pytest.mark.parametrize("high", [1500, 9000])
@pytest.mark.parametrize("direction", [AXIAL, TILTED])
def test_ct_comes_back_in_whole_hu_at_its_place(tmp_path, high, direction):
    axes = np.array(direction)
    axes[0] = np.cross(axes[2], axes[1])  # slices are stacked along their normal
    image = volume(high=high, direction=tuple(map(tuple, axes)))
    back = read_series(write_image(image, tmp_path / "ct", about("lumbar_ct")).iterdir())
    assert back.unit == "HU"
    assert np.array_equal(back.voxels, np.rint(image.voxels))
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(image.shape) - 1)
    places = [(each.affine @ np.c_[corners, np.ones(8)].T)[:3] for each in (image, back)]
    assert np.abs(places[0] - places[1]).max() < 1e-3


def test_a_ct_tells_how_it_was_taken(tmp_path):
    _, files = written("lumbar_ct", tmp_path)
    header = dcmread(files[2])
    assert (header.Modality, header.SOPClassUID.name) == ("CT", "CT Image Storage")
    assert (header.KVP, header.ConvolutionKernel, header.SliceThickness) == (120, "bone", 2)
    assert (header.InstitutionName, header.StationName, header.ManufacturerModelName) == ("north", "north", "Aster CT")
    assert (header.RescaleType, header.RescaleSlope, header.BodyPartExamined) == ("HU", 1, "LSPINE")
    assert (header.StudyDate, header.InstanceNumber) == ("20210304", 3)
    assert header.pixel_array.dtype == np.uint16


def test_a_case_with_two_machines_tells_each_of_its_own(tmp_path):
    groups = dict(CASE.groups) | {"scanner": "Aster MR", "ct_scanner": "Aster CT", "slice_mm": "4", "ct_slice_mm": "2"}
    case = replace(CASE, groups=groups)
    headers = []
    for role, unit in (("lumbar_mri", "stored"), ("lumbar_ct", "HU")):
        image = volume(unit, 0, 900, dtype=np.uint16)
        folder = write_image(image, tmp_path / role, About(role=role, case=case, exam="one"))
        headers.append(dcmread(folder / "0001.dcm"))
    assert [h.ManufacturerModelName for h in headers] == ["Aster MR", "Aster CT"]
    assert [h.SliceThickness for h in headers] == [4, 2]


def test_mr_keeps_stored_values_and_refuses_what_it_cannot_store(tmp_path):
    image, files = written("lumbar_mri", tmp_path)
    back = read_series(files)
    assert back.unit == "stored"
    assert np.array_equal(back.voxels, image.voxels)
    header = dcmread(files[0])
    assert (header.RepetitionTime, header.EchoTime, header.MagneticFieldStrength) == (550, 12, 1.5)
    assert "KVP" not in header
    with pytest.raises(ValueError, match="no whole numbers within 16 bits: choose nifti"):
        write_image(volume("stored", 0, 1), tmp_path / "again", about("lumbar_mri"))


# Films ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "modality", "part", "view", "side"),
    [
        ("knee_xray", "DX", "KNEE", "AP", "L"),
        ("hip_xray", "DX", "HIP", "AP", "R"),
        ("spine_xray_ap", "DX", "LSPINE", "AP", "U"),
        ("spine_xray_lateral", "DX", "SPINE", "LL", "U"),
        ("periapical", "IO", "JAW", "", "L"),
        ("panoramic", "PX", "JAW", "", "U"),
    ],
)
def test_radiographs_keep_every_value_their_spacing_and_their_view(tmp_path, role, modality, part, view, side):
    image, files = written(role, tmp_path)
    back = read_series(files)
    assert np.array_equal(back.voxels, image.voxels)
    assert back.voxels.dtype == image.voxels.dtype
    assert (back.unit, back.space) == ("stored", "detector")
    assert np.allclose(back.spacing[1:], image.spacing[1:], atol=1e-6)
    header = dcmread(files[0])
    assert (header.Modality, header.BodyPartExamined, header.ImageLaterality) == (modality, part, side)
    assert header.get("ViewPosition", "") == view
    assert header.PresentationIntentType == "FOR PRESENTATION"
    assert (header.PhotometricInterpretation, header.PresentationLUTShape) == ("MONOCHROME2", "IDENTITY")
    assert header.KVP == 120


@pytest.mark.parametrize("role", ["hip_dxa_low", "spine_dxa_high", "hip_dxa"])
def test_densitometry_keeps_its_unit_and_its_numbers_within_half_a_step(tmp_path, role):
    image, files = written(role, tmp_path)
    back = read_series(files)
    assert (back.unit, back.space) == (image.unit, "detector")
    step = np.ptp(image.voxels) / 65535
    assert np.abs(back.voxels - image.voxels).max() <= 0.51 * step + 1e-6 * np.abs(image.voxels).max()
    header = dcmread(files[0])
    assert header.Modality == "BMD"
    (mapping,) = header.RealWorldValueMappingSequence
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == {"g/cm2": "g/cm2", "log": "1"}[image.unit]
    stored = header.pixel_array.astype(float)
    real = mapping.RealWorldValueSlope * stored + mapping.RealWorldValueIntercept
    assert np.allclose(real, back.voxels[0], atol=1e-6 * np.abs(real).max())


def test_what_has_no_form_is_refused_with_another(tmp_path):
    for image, role, said in (
        (volume("mg/cm3"), "lumbar_ct", "no usual form in DICOM: choose nifti"),
        (film(), "knee_xray", "needs the side of knee_xray"),
        (Image(voxels=film().voxels, unit="stored"), "panoramic", "no spacing.*choose png"),
        (volume(high=1e6), "lumbar_ct", "beyond what 16 bits hold"),
        (film(), "picture", "no usual form"),
    ):
        with pytest.raises(ValueError, match=said):
            write_image(image, tmp_path / "x", about(role))
    assert list(tmp_path.iterdir()) == []


# Masks ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("under", "role", "names"),
    [
        ("lumbar_ct", "vertebral_bodies", {20: "L1", 21: "L2", 300: "L3"}),
        ("lumbar_ct", "psoas", {}),
        ("hip_xray", "proximal_femur", {}),
        ("spine_dxa", "bones", {1: "L1", 7: "rib"}),
        (
            "panoramic",
            "bones",
            {value: f"tooth {value}" for value in range(1, 10)},
        ),  # no frame but the first ends a byte
    ],
)
def test_a_mask_comes_back_with_values_names_and_grid(tmp_path, under, role, names):
    image, files = written(under, tmp_path)
    mask = label_map(image, {v: n for v, n in names.items() if v < 256})
    mask = Image(
        voxels=mask.voxels, unit="label", spacing=mask.spacing, origin=mask.origin, direction=mask.direction,
        space=mask.space, names=names,
    )  # fmt: skip
    of = files[0].parent if len(files) > 1 else files[0]
    path = write_segmentation(mask, tmp_path / role, about(role), of=of)
    assert errors("dciodvfy", path) == []
    back = read_label_map(path)
    assert np.array_equal(back.voxels, mask.voxels)
    assert dict(back.names) == (names or {1: role.replace("_", " ")})
    assert (back.unit, back.space) == ("label", image.space)
    if image.space == "patient":
        assert np.allclose(back.affine, image.affine, atol=1e-6)
    else:
        assert np.allclose(back.spacing[1:], image.spacing[1:], atol=1e-6)
    assert errors("dcentvfy", path, *files) == []


def test_a_damaged_mask_is_named(tmp_path):
    image, files = written("spine_dxa", tmp_path)
    path = write_segmentation(label_map(image, {1: "L1"}), tmp_path / "bones", about("bones"), of=files[0])
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(ValueError, match=r"bones\.dcm: .*export it again"):
        read_label_map(path)


def test_a_mask_that_fits_nothing_or_says_nothing_is_refused(tmp_path):
    image, files = written("knee_xray", tmp_path)
    empty = Image(voxels=np.zeros(image.shape, np.uint8), unit="label", space="detector")
    with pytest.raises(ValueError, match="empty and has no names"):
        write_segmentation(empty, tmp_path / "bone", about("bone"), of=files[0])
    with pytest.raises(ValueError, match="does not lie on the grid"):
        write_segmentation(label_map(volume(), {}), tmp_path / "bone", about("bone"), of=files[0])
    with pytest.raises(ValueError, match="no binary segmentation"):
        read_label_map(files[0])


# Who is shown ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", KINDS)
def test_every_file_says_that_nobody_is_shown(tmp_path, role):
    _, files = written(role, tmp_path)
    header = dcmread(files[0])
    assert header.PatientName == "PHANTOM^000012"
    assert header.PatientID == "PHANTOM-000012"
    assert (header.QualityControlSubject, header.QualityControlImage, header.BurnedInAnnotation) == ("YES", "YES", "NO")
    assert header.PatientBirthDate == ""
    assert (header.PatientAge, header.PatientSex, header.PatientSize) == ("067Y", "F", pytest.approx(1.612))
    assert header.Manufacturer == "trabecula.phantom"


@pytest.mark.parametrize("role", ["lumbar_ct", "knee_xray", "hip_dxa"])
def test_the_same_is_the_same_to_the_last_byte_and_identifiers_are_nobody_elses(tmp_path, role):
    image, more = KINDS[role]
    contents, uids = [], []
    for n, exam in enumerate(("one", "one", "two")):
        path = write_image(image, tmp_path / f"{role}{n}", about(role, exam, **more))
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        contents.append([file.read_bytes() for file in files])
        headers = [dcmread(file) for file in files]
        uids.append({h.SOPInstanceUID for h in headers} | {h.SeriesInstanceUID for h in headers}
                    | {h.StudyInstanceUID for h in headers})  # fmt: skip
        assert len({h.SOPInstanceUID for h in headers}) == len(files)
    assert contents[0] == contents[1]
    assert uids[0].isdisjoint(uids[2])


def test_masks_are_the_same_to_the_last_byte_too(tmp_path):
    image, files = written("lumbar_ct", tmp_path)
    mask = label_map(image, {1: "L1"})
    one, two = (
        write_segmentation(mask, tmp_path / n, about("vertebral_bodies"), of=files[0].parent).read_bytes() for n in "ab"
    )
    assert one == two


def test_a_folder_of_it_reads_as_a_hospitals(tmp_path):
    for role in ("spine_xray_ap", "spine_xray_lateral", "lumbar_ct"):
        written(role, tmp_path)
    series, problems = find_series(tmp_path)
    assert problems == []
    assert {(s.modality, s.body_part, s.view) for s in series} == {
        ("CT", "LSPINE", ""), ("DX", "LSPINE", "AP"), ("DX", "SPINE", "LL"),
    }  # fmt: skip
    assert len({s.study for s in series}) == 1
    assert {s.patient for s in series} == {"PHANTOM-000012"}
    assert {s.date for s in series} == {"2021-03-04"}
    (ct,) = (s for s in series if s.modality == "CT")
    assert {k: ct.facts[k] for k in ("kvp", "kernel", "institution", "model")} == {
        "kvp": "120", "kernel": "bone", "institution": "north", "model": "Aster CT",
    }  # fmt: skip
    assert dict(ct.table) == {"sex": "female", "age_years": 67.0, "weight_kg": 60.1, "height_cm": pytest.approx(161.2)}
