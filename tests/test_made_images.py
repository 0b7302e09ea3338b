"""A made image comes back from the cache bit for bit, and is made again for other code."""

from dataclasses import dataclass

import numpy as np
import pytest

from trabecula import cache
from trabecula.cohort import open_cohort
from trabecula.image import Image
from trabecula.made_images import MadeImage

made = []


@dataclass(frozen=True)
class Recipe:
    digest: str
    image: Image

    def load(self):
        made.append(self.digest)
        return self.image


def image(unit, dtype, **facts):
    voxels = np.random.default_rng(0).integers(0, 9, (2, 3, 5)).astype(dtype)
    return Image(voxels=voxels, unit=unit, **facts)


@pytest.mark.parametrize(
    "kept",
    [
        image("HU", "float32", spacing=(3.0, 0.7, 0.71), origin=(1.5, -2.0, 7.25)),
        image("label", "uint8", spacing=(1.0, 1.0, 1.0), names={1: "L1", 2: "Wirbelkörper"}),
        image("stored", "uint16", space="detector", direction=((0, 0, -1), (0, 1, 0), (1, 0, 0))),
    ],
    ids=lambda kept: kept.unit,
)
def test_it_comes_back_as_it_was_and_is_made_once(tmp_path, monkeypatch, kept):
    monkeypatch.setenv("TRABECULA_CACHE", str(tmp_path))
    made.clear()
    source = MadeImage(Recipe("a", kept), "trabecula.phantom")
    for back in (source.load(), source.load()):
        assert back.digest == kept.digest
        assert back.voxels.dtype == kept.voxels.dtype
        assert dict(back.names) == dict(kept.names)
    assert made == ["a"]
    monkeypatch.setenv("TRABECULA_CACHE", "off")
    assert source.load().digest == kept.digest
    assert made == ["a", "a"]


def test_other_code_makes_another_image(tmp_path, monkeypatch):
    monkeypatch.setenv("TRABECULA_CACHE", str(tmp_path))
    made.clear()
    recipe = Recipe("a", image("HU", "float32"))
    source = MadeImage(recipe, "trabecula.phantom")
    source.load()
    old = source.digest
    monkeypatch.setattr(cache, "package_digest", lambda package: f"other code of {package}")
    assert source.digest != old
    source.load()
    assert made == ["a", "a"]


def test_a_film_of_a_cohort_is_made_once(tmp_path, monkeypatch):
    monkeypatch.setenv("TRABECULA_CACHE", str(tmp_path))
    source = open_cohort("phantom_knee_xray", n=1).cases[0].images.source("knee_xray")
    first = source.load()
    monkeypatch.setattr(type(source.recipe), "load", None)
    assert source.load().digest == first.digest


def test_the_digest_of_a_package_follows_its_files(tmp_path, monkeypatch):
    package = tmp_path / "some_package"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    before = cache.package_digest("some_package")
    (package / "code.py").write_text("x = 1", encoding="utf-8")
    assert cache.package_digest("some_package") == before, "it is looked at once"
    cache.package_digest.cache_clear()
    assert cache.package_digest("some_package") != before
    with pytest.raises(ModuleNotFoundError, match="no package"):
        cache.package_digest("trabecula.nowhere")
