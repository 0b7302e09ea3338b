"""Pictures are cropped, resized with antialiasing and decoded once; the frame leads back to the original grid."""

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from trabecula.case import Case, Images
from trabecula.image import FileSource, Image
from trabecula.learn import prepare
from trabecula.learn.prepare import Pictures, frame, on_grid, picture

_KNEES = Path(__file__).parents[2].parent / "shared" / "data" / "knee_xray"


def _image(pixels):
    return Image(voxels=np.asarray(pixels)[None], unit="stored", space="detector")


def _film(rows=200, columns=120):
    """Return soft noise brighter in the middle."""
    y, x = np.mgrid[:rows, :columns]
    noise = np.random.default_rng(0).normal(0, 20, (rows, columns))
    return 400 + 300 * np.exp(-((x - columns / 2) ** 2) / 800) + y + noise


def test_a_picture_spans_0_to_255_whatever_its_range():
    dark = picture(_image(_film()), size=48)
    bright = picture(_image(3 * _film() + 1000), size=48)
    assert dark.shape == (48, 48)
    assert dark.dtype == np.uint8
    assert (dark.min(), dark.max()) == (0, 255)
    assert np.abs(dark.astype(int) - bright).max() <= 1


def test_a_constant_picture_is_black():
    assert not picture(_image(np.full((30, 20), 7)), size=16).any()


def test_fine_stripes_become_grey_and_no_pattern():
    pixels = np.zeros((240, 240))
    pixels[:, 80:160:2] = 200
    pixels[:, 160:] = 200
    small = picture(_image(pixels), size=48)
    assert small[:, 18:30].mean() == pytest.approx(127, abs=10)
    assert np.ptp(small[:, 18:30].astype(int)) < 20


def test_trimming_leaves_out_bands_and_scanner_lines():
    pixels = np.zeros((260, 180))
    pixels[20:220, 10:130] = _film()
    pixels[:, 150:153] = 4000
    pixels[240:] = 4000
    top, bottom, left, right = frame(_image(pixels), trim=True)
    assert (top, left) == (20, 10)
    assert (bottom, right) == (220, 130)


def test_trimming_removes_a_burnt_in_mark():
    marked = _film()
    marked[20:34, 8:16] = 4000
    with_mark, without = picture(_image(marked), size=64, trim=True), picture(_image(_film()), size=64, trim=True)
    assert np.abs(with_mark.astype(int) - without)[15:].max() < 12
    assert with_mark[8, 6] < 200


def test_the_central_square():
    assert frame(_image(_film(200, 120)), centre=1.0) == (40, 160, 0, 120)
    assert frame(_image(_film(200, 120)), centre=0.5) == (70, 130, 30, 90)


def test_the_square_moves_along_the_height():
    assert frame(_image(_film(200, 120)), centre=1.0, along=0.0) == (0, 120, 0, 120)
    assert frame(_image(_film(200, 120)), centre=1.0, along=1.0) == (80, 200, 0, 120)


@pytest.mark.parametrize("crop", [{}, {"trim": True, "centre": 1.0}, {"trim": True, "centre": 1.0, "along": 0.6}])
def test_heat_comes_back_to_where_the_picture_showed_it(crop):
    pixels = np.zeros((260, 180))
    pixels[20:220, 10:130] = _film()
    pixels[120:128, 60:68] = 3000
    image = _image(pixels)
    heat = picture(image, size=64, percentiles=(0, 100), **crop).astype(float)
    laid = on_grid(np.where(heat > 150, heat, 0), image, **crop)
    k, j, i = np.unravel_index(laid.argmax(), laid.shape)
    assert laid.shape == image.shape
    assert (k, abs(j - 123.5) < 5, abs(i - 63.5) < 5) == (0, True, True)
    if crop:
        assert not laid[0, :20].any()


@dataclass(frozen=True)
class _Counted:
    """A source that counts how often it is decoded."""

    seed: int
    decoded: list = field(default_factory=list, compare=False)

    @property
    def digest(self):
        return f"counted picture {self.seed}"

    def load(self):
        self.decoded.append(self.seed)
        return _image(_film() + self.seed)


def _cases(sources):
    return [Case(id=str(n), patient=str(n), images=Images({"knee_xray": s})) for n, s in enumerate(sources)]


def test_a_second_evaluation_decodes_nothing():
    sources = [_Counted(seed) for seed in range(3)]
    first = list(Pictures(_cases(sources), "knee_xray", {"size": 24}))
    again = Pictures(_cases(sources), "knee_xray", {"size": 24})
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert [len(source.decoded) for source in sources] == [1, 1, 1]
    assert again.digest(1) == "counted picture 1"


def test_memory_does_not_grow_with_the_cohort(monkeypatch):
    monkeypatch.setattr(prepare, "_KEPT_BYTES", 2 * 24 * 24)
    pictures = Pictures(_cases([_Counted(seed) for seed in range(5)]), "knee_xray", {"size": 24})
    assert len([pictures[index] for index in range(5)]) == 5
    assert len(pictures._kept) == 2


def test_classical_systems_need_no_torch():
    told = "import sys, trabecula.learn.prepare, trabecula.learn.split; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.skipif(not _KNEES.exists(), reason="the knee radiographs are not on this machine")
def test_real_films_keep_their_knee():
    for path in sorted(_KNEES.glob("*/*.png"))[::30]:
        image = FileSource(path).load()
        top, bottom, left, right = frame(image, trim=True)
        height, width = image.shape[1:]
        assert (bottom - top) * (right - left) > 0.3 * height * width, path
        assert picture(image, size=64, trim=True, centre=1.0).std() > 20, path
