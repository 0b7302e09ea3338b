"""Images: one geometry, whatever the file; nothing that cannot be trusted gets in, and the file is named."""

import itertools
import pickle
import zlib

import nibabel
import numpy as np
import pytest
import SimpleITK
from PIL import Image as Picture

from trabecula.image import FileSource, Image, Source, read_nifti, read_picture


def rotation(rng):
    turned, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return turned


def nifti(path, voxels, affine, **header):
    volume = nibabel.Nifti1Image(voxels, affine)
    volume.header.set_xyzt_units(header.get("xyz", "mm"))
    nibabel.save(volume, path)
    return path


def positions(image):
    """Where each voxel lies, by its value: every value occurs once."""
    index = np.indices(image.shape).reshape(3, -1)
    places = (image.affine @ np.vstack([index, np.ones(index.shape[1])]))[:3].T
    return dict(zip(image.voxels.ravel().tolist(), places, strict=True))


def positions_by_itk(path):
    volume = SimpleITK.ReadImage(str(path))
    voxels = SimpleITK.GetArrayFromImage(volume)
    return {
        int(voxels[k, j, i]): np.array(volume.TransformIndexToPhysicalPoint((i, j, k)))
        for k, j, i in itertools.product(*map(range, voxels.shape))
    }


ORIENTATIONS = [(axes, flips) for axes in itertools.permutations(range(3)) for flips in ((), (0,), (1, 2), (0, 1, 2))]


@pytest.mark.parametrize(("axes", "flips"), ORIENTATIONS)
def test_every_voxel_keeps_its_place_however_the_file_is_stored(tmp_path, axes, flips):
    rng = np.random.default_rng(7)
    voxels = rng.permutation(60).reshape(5, 4, 3).astype(np.int16)
    affine = np.eye(4)
    affine[:3, :3] = rotation(rng) * (0.8, 1.5, 3.0)
    affine[:3, 3] = (12, -80, 33)
    for axis in flips:
        voxels = np.flip(voxels, axis)
        affine[:3, 3] += affine[:3, axis] * (voxels.shape[axis] - 1)
        affine[:3, axis] *= -1
    affine[:, :3] = affine[:, list(axes)]
    path = nifti(tmp_path / "v.nii.gz", voxels.transpose(axes), affine)
    found, oracle = positions(read_nifti(path)), positions_by_itk(path)
    assert found.keys() == oracle.keys()
    assert max(np.abs(found[value] - oracle[value]).max() for value in oracle) < 1e-4
    assert read_nifti(path).shape == voxels.transpose(axes).shape[::-1]


def test_spacing_and_axes_of_an_upright_volume(tmp_path):
    # RAS affine with 1, 2, 3 mm along x, y, z: in LPS the first two axes run backwards.
    image = read_nifti(nifti(tmp_path / "v.nii", np.zeros((4, 5, 6), np.int16), np.diag([1.0, 2, 3, 1])), unit="HU")
    assert image.shape == (6, 5, 4)
    assert image.spacing == (3, 2, 1)
    assert image.direction == ((0, 0, 1), (0, -1, 0), (-1, 0, 0))
    assert image.affine @ (1, 0, 0, 1) == pytest.approx([0, 0, 3, 1])
    assert image.unit == "HU"
    assert image.space == "patient"


@pytest.mark.parametrize("xyz", ["micron", "mm", "meter"])
def test_units_of_length_in_the_header_are_heeded(tmp_path, xyz):
    voxels = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    affine = np.diag([82.0, 82, 82, 1]) + np.array([[0, 0, 0, 5], [0] * 4, [0] * 4, [0] * 4])
    path = nifti(tmp_path / "v.nii", voxels, affine, xyz=xyz)
    image, itk = read_nifti(path), SimpleITK.ReadImage(str(path))
    assert image.spacing == pytest.approx(itk.GetSpacing()[::-1])
    assert image.origin == pytest.approx(itk.GetOrigin())


@pytest.mark.parametrize("stored", ["<i2", ">i2"])
def test_byte_order_is_no_part_of_an_image(tmp_path, stored):
    header = nibabel.Nifti1Header(endianness=stored[0])
    header.set_data_dtype(np.dtype(stored))
    voxels = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4), header), tmp_path / "v.nii")
    image = read_nifti(tmp_path / "v.nii")
    assert image.voxels.dtype.isnative
    assert (
        image.digest
        == Image(
            voxels=voxels.T, unit="stored", spacing=(1, 1, 1), direction=((0, 0, 1), (0, -1, 0), (-1, 0, 0))
        ).digest
    )


def test_rescaled_integers_become_their_values(tmp_path):
    volume = nibabel.Nifti1Image(np.array([[[0, 100]]], np.int16), np.eye(4))
    volume.header.set_slope_inter(2.0, -1024.0)
    nibabel.save(volume, tmp_path / "v.nii")
    assert read_nifti(tmp_path / "v.nii").voxels.ravel().tolist() == [-1024, -824]


def test_trailing_axes_of_one_go_and_a_series_is_refused(tmp_path):
    path = nifti(tmp_path / "v.nii", np.zeros((2, 3, 4, 1, 1), np.int16), np.eye(4))
    assert read_nifti(path).shape == (4, 3, 2)
    path = nifti(tmp_path / "v.nii", np.zeros((2, 3, 4, 5), np.int16), np.eye(4))
    with pytest.raises(ValueError, match=r"v\.nii.*4 dimensions.*split"):
        read_nifti(path)


def test_affines_that_are_no_grid_are_refused(tmp_path):
    skewed = np.eye(4)
    skewed[0, 1] = 0.4
    with pytest.raises(ValueError, match=r"v\.nii.*skewed.*resample"):
        read_nifti(nifti(tmp_path / "v.nii", np.zeros((2, 2, 2), np.int16), skewed))
    flat = nibabel.Nifti1Image(np.zeros((2, 2, 2), np.int16), np.eye(4))
    flat.header.set_sform(np.diag([1.0, 0, 1, 1]), code=1)
    flat.header.set_qform(np.eye(4), code=0)
    path = tmp_path / "flat.nii"
    path.write_bytes(flat.header.binaryblock + bytes(4) + bytes(16))
    with pytest.raises(ValueError, match=r"flat\.nii.*affine"):
        read_nifti(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_holes_in_a_volume_are_refused_by_name(tmp_path, bad):
    voxels = np.zeros((2, 2, 2), np.float32)
    voxels[1, 1, 1] = bad
    with pytest.raises(ValueError, match=r"v\.nii.*NaN"):
        read_nifti(nifti(tmp_path / "v.nii", voxels, np.eye(4)))


def test_colours_in_a_volume_are_refused_by_name(tmp_path):
    colours = np.zeros((2, 2, 2), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    with pytest.raises(ValueError, match=r"v\.nii.*real numbers"):
        read_nifti(nifti(tmp_path / "v.nii", colours, np.eye(4)))


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_damaged_volume_gives_a_named_error_or_an_image(tmp_path, ending):
    rng = np.random.default_rng(0)
    path = nifti(tmp_path / f"v{ending}", rng.integers(0, 99, (6, 5, 4)).astype(np.int16), np.eye(4))
    whole, refused, unnamed = path.read_bytes(), 0, 0
    for attempt in range(150):
        damaged = bytearray(whole)
        if attempt % 2:
            damaged = damaged[: rng.integers(len(damaged))]
        else:
            for place in rng.integers(0, len(damaged), 4):
                damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            read_nifti(path)
        except ValueError as error:
            refused += str(path) in str(error)
            unnamed += str(path) not in str(error)
    assert refused > 75  # every truncation at least
    assert not unnamed


def test_compressed_rubbish_is_refused(tmp_path):
    path = tmp_path / "v.nii.gz"
    path.write_bytes(zlib.compress(b"no volume"))
    with pytest.raises(ValueError, match=r"v\.nii\.gz.*replace or remove"):
        read_nifti(path)
    with pytest.raises(ValueError, match="absent"):
        read_nifti(tmp_path / "absent.nii")


# Pictures -------------------------------------------------------------------------------------------------------------


def gradient(dtype=np.uint8, top=255):
    return np.linspace(0, top, 12 * 20).reshape(12, 20).astype(dtype)


def saved(path, picture, **how):
    picture.save(path, **how)
    return path


def test_a_picture_is_one_slice_without_length(tmp_path):
    image = read_picture(saved(tmp_path / "a.png", Picture.fromarray(gradient())))
    assert image.shape == (1, 12, 20)
    assert (image.voxels[0] == gradient()).all()
    assert image.spacing is None
    assert image.space == "detector"
    with pytest.raises(ValueError, match="no spacing"):
        _ = image.affine


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_16_bit_keeps_every_level(tmp_path, ending):
    wide = gradient(np.uint16, 65535)
    image = read_picture(saved(tmp_path / f"a.{ending}", Picture.fromarray(wide)))
    assert image.voxels.dtype == np.uint16
    assert (image.voxels[0] == wide).all()


def test_real_numbers_stay_and_holes_are_refused(tmp_path):
    real = gradient(np.float32, 1)
    assert (read_picture(saved(tmp_path / "a.tif", Picture.fromarray(real))).voxels[0] == real).all()
    real[0, 0] = np.nan
    with pytest.raises(ValueError, match=r"b\.tif.*NaN"):
        read_picture(saved(tmp_path / "b.tif", Picture.fromarray(real)))


def test_black_and_white_fills_the_range(tmp_path):
    image = read_picture(saved(tmp_path / "a.png", Picture.fromarray(gradient() > 128)))
    assert set(np.unique(image.voxels)) == {0, 255}
    assert (image.voxels[0] > 0).sum() == (gradient() > 128).sum()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "LA", "CMYK", "YCbCr"])
def test_one_picture_in_every_colour_mode(tmp_path, mode):
    grey = Picture.fromarray(gradient())
    picture = grey.convert("RGB").convert(mode) if mode in ("CMYK", "YCbCr") else grey.convert(mode)
    image = read_picture(saved(tmp_path / ("a.tif" if mode in ("CMYK", "YCbCr") else "a.png"), picture))
    assert image.shape == (1, 12, 20)
    assert np.abs(image.voxels[0].astype(int) - gradient()).max() <= 1


def test_a_photo_in_cmyk_is_not_a_negative(tmp_path):
    path = saved(tmp_path / "a.jpg", Picture.new("CMYK", (8, 8), (0, 0, 0, 0)))
    assert read_picture(path).voxels.min() > 250  # no ink is white
    path = saved(tmp_path / "b.jpg", Picture.new("CMYK", (8, 8), (0, 0, 0, 255)))
    assert read_picture(path).voxels.max() < 5  # black lies in the fourth channel alone


def test_colours_become_luminance_as_pillow_has_it(tmp_path):
    rng = np.random.default_rng(0)
    colours = Picture.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8))
    image = read_picture(saved(tmp_path / "a.png", colours))
    assert np.abs(image.voxels[0].astype(int) - np.asarray(colours.convert("L"), dtype=int)).max() <= 1


def test_a_palette_is_looked_up(tmp_path):
    picture = Picture.fromarray(np.array([[0, 1], [1, 0]], np.uint8), mode=None).convert("P")
    picture.putpalette([200, 200, 200, 10, 10, 10])
    assert read_picture(saved(tmp_path / "a.png", picture)).voxels[0].tolist() == [[200, 10], [10, 200]]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_exif_orientation_is_applied(tmp_path, orientation):
    upright = np.zeros((16, 24), np.uint8)
    upright[:8, :8] = 255  # bright in the top left corner
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.T, 6: np.rot90(upright), 7: upright[::-1, ::-1].T, 8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    exif = Picture.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / "a.png", Picture.fromarray(np.ascontiguousarray(stored)), exif=exif)
    assert (read_picture(path).voxels[0] == upright).all()


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_several_pictures_in_one_file_are_refused(tmp_path, ending):
    pages = [Picture.fromarray(gradient()), Picture.fromarray(gradient()[::-1].copy())]
    path = saved(tmp_path / f"a.{ending}", pages[0], save_all=True, append_images=pages[1:])
    with pytest.raises(ValueError, match=rf"a\.{ending}.*2 pictures"):
        read_picture(path)


@pytest.mark.parametrize(("ending", "how"), [("png", {}), ("jpg", {}), ("tif", {}), ("bmp", {})])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
@pytest.mark.filterwarnings("ignore:(Truncated|Corrupt|Tag data).*:UserWarning")
def test_truncated_pictures_are_refused_by_name(tmp_path, ending, how, kept):
    rng = np.random.default_rng(0)
    path = saved(tmp_path / f"a.{ending}", Picture.fromarray(rng.integers(0, 256, (64, 64), dtype=np.uint8)), **how)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(ValueError, match=rf"a\.{ending}.*replace or remove"):
        read_picture(path)


def test_what_is_no_picture_is_refused_by_name(tmp_path):
    (tmp_path / "text.png").write_text("I am a text file.")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    for name in ("text.png", "empty.png", "folder.png"):
        with pytest.raises(ValueError, match=f"{name}.*replace or remove"):
            read_picture(tmp_path / name)
    with pytest.raises(ValueError, match=r"gone\.png: there is no such file"):
        read_picture(tmp_path / "gone.png")


# Images ---------------------------------------------------------------------------------------------------------------


def test_two_spellings_of_one_image_have_one_digest():
    voxels = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    one = Image(voxels=voxels, unit="HU", spacing=(1, 2, 3), origin=(0, 0, 0))
    two = Image(
        voxels=np.asfortranarray(voxels), unit="HU", spacing=tuple(np.array([1.0, 2, 3])), origin=(-0.0, 0.0, 0.0),
        direction=[[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    )  # fmt: skip
    assert one.digest == two.digest


def test_whatever_differs_changes_the_digest():
    facts = {"voxels": np.arange(24, dtype=np.int16).reshape(2, 3, 4), "unit": "HU", "spacing": (1.0, 1.0, 1.0)}
    changes = (
        {"voxels": facts["voxels"] + 1}, {"voxels": facts["voxels"].astype(np.int32)},
        {"voxels": facts["voxels"].reshape(3, 2, 4)}, {"unit": "stored"}, {"spacing": (1.0, 1.0, 1.1)},
        {"spacing": None}, {"origin": (0, 0, 1)}, {"direction": ((1, 0, 0), (0, 1, 0), (0, 0, -1))},
        {"space": "detector"}, {"names": {1: "L1"}},
    )  # fmt: skip
    digests = {Image(**{**facts, **change}).digest for change in ({}, *changes)}
    assert len(digests) == 1 + len(changes)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"voxels": np.zeros((2, 2))}, "shape"),
        ({"voxels": np.zeros((0, 2, 2))}, "at least one"),
        ({"voxels": np.full((1, 2, 2), np.nan)}, "NaN"),
        ({"voxels": np.zeros((1, 2, 2), complex)}, "real numbers"),
        ({"voxels": np.full((1, 2, 2), "bone")}, "real numbers"),
        ({"unit": "hounsfield"}, "unknown unit"),
        ({"space": "world"}, "detector"),
        ({"spacing": (1, 0, 1)}, "positive"),
        ({"spacing": (1, float("nan"), 1)}, "positive"),
        ({"spacing": (1, 1)}, "k, j and i"),
        ({"origin": (0, 0)}, "position"),
        ({"origin": (0, 0, float("inf"))}, "position"),
        ({"direction": ((1, 0, 0), (1, 0, 0), (0, 0, 1))}, "orthonormal"),
    ],
)
def test_no_wrong_image_can_be_made(wrong, said):
    with pytest.raises(ValueError, match=said):
        Image(**{"voxels": np.zeros((1, 2, 2)), "unit": "HU", **wrong})


def test_an_image_cannot_be_written_to():
    image = Image(voxels=np.zeros((1, 2, 2)), unit="HU", names={1: "L1"})
    with pytest.raises(ValueError, match="read-only"):
        image.voxels[0, 0, 0] = 1
    with pytest.raises(AttributeError):
        image.unit = "stored"
    with pytest.raises(TypeError):
        image.names[2] = "L2"
    with pytest.raises(ValueError, match="do not fit"):
        image.with_voxels(np.zeros((1, 2, 3)))


def test_it_travels_between_processes(tmp_path):
    image = Image(voxels=np.arange(8).reshape(2, 2, 2), unit="label", spacing=(1, 2, 3), names={1: "L1"})
    assert pickle.loads(pickle.dumps(image)).digest == image.digest
    assert image.load() is image
    source = FileSource(saved(tmp_path / "a.png", Picture.fromarray(gradient())), "label")
    assert isinstance(source, Source)
    assert pickle.loads(pickle.dumps(source)) == source
    assert source.load().unit == "label"


def test_a_source_is_known_by_its_content(tmp_path):
    first = FileSource(saved(tmp_path / "a.png", Picture.fromarray(gradient())))
    same = FileSource(saved(tmp_path / "b.png", Picture.fromarray(gradient())))
    assert first.digest == same.digest
    assert FileSource(first.path, "label").digest != first.digest
    before = first.digest
    saved(first.path, Picture.fromarray(gradient()[::-1].copy()))
    assert first.digest != before
    with pytest.raises(ValueError, match="no such file"):
        _ = FileSource(tmp_path / "gone.png").digest
