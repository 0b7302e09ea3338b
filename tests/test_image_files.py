"""PNG and NIfTI: every value as it was, places in mm, and what the formats cannot say themselves."""

import numpy as np
import pytest
import SimpleITK
from PIL import Image as Picture

from trabecula.image import FileSource, Image, read_nifti, read_picture
from trabecula.image_files import write_nifti, write_picture


def picture(dtype=np.uint8, high=256, **more):
    voxels = np.random.default_rng(0).integers(0, high, (1, 31, 22)).astype(dtype)
    return Image(voxels=voxels, **({"unit": "stored", "spacing": (1.0, 0.68, 0.7), "space": "detector"} | more))


def volume(dtype=np.int16, unit="HU", **more):
    voxels = np.random.default_rng(0).integers(-1000, 2000, (5, 6, 7)).astype(dtype)
    axes = np.linalg.qr(np.array([[0.1, 0.2, 1.0], [0.1, 1.0, -0.2], [1.0, -0.1, -0.1]]).T)[0].T
    return Image(
        voxels=voxels, unit=unit, spacing=(2.0, 0.5, 0.75), origin=(-100.5, 20.25, 1300.125),
        direction=tuple(map(tuple, axes)), **more,
    )  # fmt: skip


@pytest.mark.parametrize(("dtype", "high", "depth"), [
    (np.uint8, 256, np.uint8), (np.uint16, 65536, np.uint16), (np.int64, 256, np.uint8), (np.float32, 4096, np.uint16),
])  # fmt: skip
def test_a_png_keeps_every_value(tmp_path, dtype, high, depth):
    image = picture(dtype, high)
    write_picture(image, tmp_path / "p.png")
    back = read_picture(tmp_path / "p.png")
    assert np.array_equal(back.voxels, image.voxels)
    assert back.voxels.dtype == depth
    assert (back.spacing, back.space) == (None, "detector")
    with Picture.open(tmp_path / "p.png") as other:
        assert np.array_equal(np.asarray(other), image.voxels[0])


@pytest.mark.parametrize(("image", "said"), [
    (volume(unit="stored"), "5 slices is no picture: choose nifti or dicom"),
    (picture(unit="log"), "no log: choose nifti"),
    (picture(np.int16).with_voxels(picture().voxels - np.int16(300)), "choose nifti"),
    (picture(np.float32).with_voxels(picture().voxels + np.float32(0.5)), "choose nifti"),
])  # fmt: skip
def test_what_a_png_cannot_hold_is_refused(tmp_path, image, said):
    with pytest.raises(ValueError, match=said):
        write_picture(image, tmp_path / "p.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64, np.int64, np.int32])
def test_nifti_keeps_values_and_places_and_another_reader_agrees(tmp_path, dtype):
    image = volume(dtype)
    write_nifti(image, tmp_path / "v.nii.gz")
    back = read_nifti(tmp_path / "v.nii.gz")
    assert np.array_equal(back.voxels, image.voxels)
    assert np.allclose(back.affine, image.affine, atol=1e-4)
    other = SimpleITK.ReadImage(str(tmp_path / "v.nii.gz"))
    assert np.array_equal(SimpleITK.GetArrayFromImage(other), image.voxels)
    for index in ((0, 0, 0), (4, 5, 6), (2, 1, 3)):
        here = image.affine @ [*index, 1.0]
        assert np.allclose(other.TransformIndexToPhysicalPoint(tuple(reversed(index))), here[:3], atol=1e-3)


@pytest.mark.parametrize("image", [
    picture(), picture(np.float32, unit="log"), picture(np.float32, unit="g/cm2"), volume(), volume(unit="mg/cm3"),
    picture(unit="label", high=3, names={1: "L1", 2: "L2"}), volume(bool, unit="label", names={1: "psoas"}),
])  # fmt: skip
def test_nifti_tells_unit_space_and_names(tmp_path, image):
    write_nifti(image, tmp_path / "v.nii.gz")
    back = FileSource(tmp_path / "v.nii.gz").load()
    assert (back.unit, back.space, dict(back.names)) == (image.unit, image.space, dict(image.names))
    assert np.array_equal(back.voxels, image.voxels)
    assert np.allclose(back.spacing, image.spacing)


def test_names_of_labels_stand_in_a_png_too(tmp_path):
    write_picture(picture(unit="label", high=3, names={1: "L1", 2: "L2"}), tmp_path / "m.png")
    back = FileSource(tmp_path / "m.png", "label").load()
    assert (back.unit, dict(back.names)) == ("label", {1: "L1", 2: "L2"})


def test_the_same_image_is_the_same_file(tmp_path):
    for write, image, ending in ((write_picture, picture(), "png"), (write_nifti, volume(), "nii.gz")):
        for n in "ab":
            write(image, tmp_path / f"{n}.{ending}")
        assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()


def test_a_note_that_is_not_ours_is_passed_over_and_a_wrong_one_named(tmp_path):
    from PIL.PngImagePlugin import PngInfo

    for note in ("hello", '{"trabecula": 3}', "[1]"):
        info = PngInfo()
        info.add_text("trabecula", note)
        Picture.fromarray(picture().voxels[0]).save(tmp_path / "p.png", pnginfo=info)
        assert dict(read_picture(tmp_path / "p.png").names) == {}


def test_nifti_wants_a_spacing(tmp_path):
    with pytest.raises(ValueError, match=r"without spacing.*choose png"):
        write_nifti(Image(voxels=picture().voxels, unit="stored"), tmp_path / "p.nii.gz")
