"""Copies of pictures are found, different pictures of the same kind are not."""

import numpy as np
import pytest
from PIL import Image as Picture
from PIL import ImageOps
from scipy.ndimage import gaussian_filter

from trabecula.case import Case, Images
from trabecula.duplicates import look, look_at, same_pictures
from trabecula.image import FileSource, Image, read_picture
from trabecula.system import quiet


def limb(seed, height=240, width=180):
    """A bright shaft of its own course in soft tissue, with marrow texture and noise, on black."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    axis = width * rng.uniform(0.4, 0.6) + rng.uniform(-0.25, 0.25) * (y - height / 2)
    joint = height * rng.uniform(0.3, 0.7)
    bone = 14 + 22 * np.exp(-(((y - joint) / (height * rng.uniform(0.08, 0.16))) ** 2))
    across = np.abs(x - axis)
    picture = 60.0 * (across < rng.uniform(50, 70)) + 80 * (across < bone) + 40 * (np.abs(across - bone) < 3)
    picture -= 60 * (np.abs(y - joint) < 3) * (across < bone)
    texture = gaussian_filter(rng.normal(size=(height, width)), 2)
    picture += 12 * texture / texture.std() * (across < bone) + rng.normal(0, 3, (height, width))
    return Picture.fromarray(np.clip(gaussian_filter(picture, 0.7), 0, 255).astype(np.uint8))


def case_of(path, *, patient=None, part="", role="picture", truth=None):
    return Case(
        id=path.name,
        patient=patient or path.name,
        part=part,
        images=Images({role: FileSource(path)}),
        truth=truth or {},
    )


def saved(picture, path, **settings):
    picture.save(path, **settings)
    return case_of(path)


def groups(cases):
    found = same_pictures(look_at(cases, quiet), cases)
    return {(kind, tuple(sorted(cases[i].id for i in members))) for kind, members in found}


def test_different_pictures_of_the_same_kind_are_not_the_same(tmp_path):
    cases = [saved(limb(seed), tmp_path / f"{seed}.png") for seed in range(100, 120)]
    assert groups(cases) == set()


COPIES = {
    "tiff": (lambda p: p, "exact", {}),
    "jpeg": (lambda p: p, "near", {"quality": 40}),
    "square": (lambda p: p.resize((224, 224)), "near", {}),
    "small": (lambda p: p.resize((120, 160)), "near", {}),
    "dark": (lambda p: p.point([int(0.5 * v) for v in range(256)]), "near", {}),
    "gamma": (lambda p: p.point([int(255 * (v / 255) ** 0.7) for v in range(256)]), "near", {}),
    "inverted": (ImageOps.invert, "near", {}),
    "cropped": (lambda p: p.crop((6, 4, 178, 238)), "near", {}),
    "padded": (lambda p: ImageOps.expand(p, (40, 0)), "near", {}),
    "mirrored": (ImageOps.mirror, "turned", {}),
    "upside_down": (lambda p: p.rotate(180), "turned", {}),
    "quarter": (lambda p: p.rotate(90, expand=True), "turned", {}),
}


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """What is found among ten other pictures, and one picture with one copy for every way of copying."""
    folder = tmp_path_factory.mktemp("copied")
    cases = [saved(limb(seed), folder / f"{seed}.png") for seed in range(100, 110)]
    for seed, (how, (change, _, settings)) in enumerate(COPIES.items()):
        ending = "jpg" if how == "jpeg" else "tif" if how == "tiff" else "png"
        cases.append(saved(limb(seed), folder / f"{how}.png"))
        cases.append(saved(change(limb(seed)), folder / f"{how}_copy.{ending}", **settings))
    return groups(cases)


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_is_found_among_other_pictures(how, copied):
    ending = "jpg" if how == "jpeg" else "tif" if how == "tiff" else "png"
    assert (COPIES[how][1], (f"{how}.png", f"{how}_copy.{ending}")) in copied


def test_nothing_but_copies_is_found(copied):
    assert len(copied) == len(COPIES)


def test_copies_of_copies_are_one_group_with_the_weakest_kind(tmp_path):
    cases = [
        saved(limb(1), tmp_path / "a.png"),
        saved(limb(1), tmp_path / "b.png"),
        saved(ImageOps.mirror(limb(1)), tmp_path / "c.png"),
    ]
    assert groups(cases) == {("turned", ("a.png", "b.png", "c.png"))}


def test_parts_of_one_patient_share_a_picture_without_being_copies(tmp_path):
    saved(limb(1), tmp_path / "film.png")
    parts = [
        Case(id=part, patient="p", part=part, images=Images({"picture": FileSource(tmp_path / "film.png")}))
        for part in ("left", "right")
    ]
    assert groups(parts) == set()
    other_patient = Case(id="other", patient="q", part="left", images=parts[0].images)
    assert groups([*parts, other_patient]) == {("exact", ("left", "other", "right"))}


def test_blank_images_are_told_and_not_taken_for_copies(tmp_path):
    cases = [saved(Picture.new("L", (50, 60), 7), tmp_path / f"{name}.png") for name in "ab"]
    looks = look_at(cases, quiet)
    assert looks.empty == ((0, "picture"), (1, "picture"))
    assert same_pictures(looks, cases) == []


def test_files_that_cannot_be_decoded_are_told_and_do_not_stop_the_rest(tmp_path):
    whole = saved(limb(1), tmp_path / "whole.png")
    content = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(content[: len(content) // 2])
    (tmp_path / "text.png").write_text("this is no picture")
    cases = [case_of(tmp_path / "cut.png"), case_of(tmp_path / "text.png"), whole]
    looks = look_at(cases, quiet)
    assert [number for number, _ in looks.unreadable] == [0, 1]
    assert all("cannot be read as a picture" in why for _, why in looks.unreadable)
    assert looks.cases.tolist() == [2]


def test_an_empty_or_broken_mask_is_told(tmp_path):
    saved(limb(1), tmp_path / "film.png")
    Picture.new("L", (180, 240), 0).save(tmp_path / "empty.png")
    (tmp_path / "broken.png").write_text("no mask")
    sources = {name: Images({"bone": FileSource(tmp_path / f"{name}.png", "label")}) for name in ("empty", "broken")}
    film = Images({"picture": FileSource(tmp_path / "film.png")})
    cases = [Case(id=name, patient=name, images=film, masks=mask) for name, mask in sources.items()]
    looks = look_at(cases, quiet)
    assert looks.empty == ((0, "bone"),)
    assert [number for number, _ in looks.unreadable] == [1]


def test_a_second_look_decodes_nothing(tmp_path, monkeypatch):
    cases = [saved(limb(seed), tmp_path / f"{seed}.png") for seed in range(3)]
    first = look_at(cases, quiet)

    def refuse(self):
        raise AssertionError("decoded again")

    monkeypatch.setattr(FileSource, "load", refuse)
    assert (look_at(cases, quiet).rows == first.rows).all()


def test_of_a_volume_digest_and_shape_are_kept():
    voxels = np.stack([np.asarray(limb(seed)) for seed in (1, 2, 3)]).astype(np.int16)
    seen = look(Image(voxels=voxels, unit="HU", spacing=(3, 1, 1)))
    assert seen["shape"].tolist() == [3, 240, 180]
    assert seen["type"].item().decode() == np.dtype(np.int16).str
    assert not seen["blank"]


def test_pictures_that_are_all_nearly_alike_must_agree_more(tmp_path):
    """One template with little of its own in each picture, as phantoms or patches of texture are."""
    template = np.asarray(limb(1), dtype=float)
    rng = np.random.default_rng(0)
    cases = []
    for number in range(8):
        own = gaussian_filter(rng.normal(size=template.shape), 2)
        picture = np.clip(template + 3 * own / own.std(), 0, 255).astype(np.uint8)
        cases.append(saved(Picture.fromarray(picture), tmp_path / f"{number:02}.png"))
    copy = saved(Picture.open(tmp_path / "00.png"), tmp_path / "copy.jpg", quality=95)
    found = groups([*cases, copy])
    assert found <= {("near", ("00.png", "copy.jpg"))}


def test_the_reader_and_the_look_agree_on_size(tmp_path):
    saved(limb(1), tmp_path / "film.png")
    image = read_picture(tmp_path / "film.png")
    assert look(image)["shape"].tolist() == list(image.shape)


def test_volumes_of_different_people_are_no_copies():
    """Body surface, table and rods lie alike in every made CT: only the digest tells a copy."""
    rng = np.random.default_rng(0)
    outline = np.where(np.hypot(*np.mgrid[-64:64, -64:64]) < 50, 40.0, -1000.0)
    volumes = [
        Image(voxels=(outline + rng.normal(0, 20, (4, 128, 128))).astype(np.float32), unit="HU", spacing=(3, 1, 1))
        for _ in range(6)
    ]
    cases = [
        Case(id=str(n), patient=str(n), images=Images({"lumbar_ct": volume}))
        for n, volume in enumerate([*volumes, volumes[2]])
    ]
    assert same_pictures(look_at(cases, quiet), cases) == [("exact", [2, 6])]
