"""Evidence as a picture: the heat lies where it was put, on the image it belongs to."""

import numpy as np
import pytest
from PIL import Image as Picture

from tests.contract.cases import patients
from tests.contract.value_and_probability.system import ValueAndProbability
from trabecula.explanation import explain, overlay
from trabecula.image import Image


@pytest.fixture
def image():
    return Image(voxels=np.tile(np.linspace(0, 1000, 40), (3, 30, 1)), unit="stored")


def drawn(image, heat, path):
    overlay(image, heat.astype(np.float32), path)
    pixels = np.asarray(Picture.open(path)).astype(int)
    assert pixels.shape == (image.shape[1], 2 * image.shape[2], 3)
    return pixels[:, : image.shape[2]], pixels[:, image.shape[2] :]


def test_the_slice_with_most_heat_is_shown_and_the_heat_is_where_it_was_put(image, tmp_path):
    heat = np.zeros(image.shape)
    heat[2, 5:10, 30:35] = 2.0
    heat[0, :2, :2] = 2.0  # another slice
    plain, hot = drawn(image, heat, tmp_path / "heat.png")
    assert (plain.std(axis=-1) == 0).all()
    assert plain[0, 0, 0] == 0
    assert plain[0, -1, 0] == 255
    changed = np.abs(hot - plain).sum(axis=-1) > 0
    assert changed[5:10, 30:35].all()
    assert changed.sum() == 25


def test_no_heat_and_an_even_image_are_drawn_as_they_are(image, tmp_path):
    plain, hot = drawn(image, np.zeros(image.shape), tmp_path / "a.png")
    assert (plain == hot).all()
    even = image.with_voxels(np.full(image.shape, 7.0))
    plain, hot = drawn(even, np.ones(image.shape), tmp_path / "b.png")
    assert (plain == 0).all()


def test_heat_of_another_grid_is_refused(image, tmp_path):
    with pytest.raises(ValueError, match=r"heat \(1, 30, 40\) does not lie on the grid of the image \(3, 30, 40\)"):
        overlay(image, np.zeros((1, 30, 40), np.float32), tmp_path / "a.png")
    assert not (tmp_path / "a.png").exists()


def test_a_system_that_cannot_explain_says_so():
    cases = patients(20)
    with pytest.raises(ValueError, match="value_and_probability cannot say what its answers rest on"):
        explain(ValueAndProbability().fit(cases), cases[0])
