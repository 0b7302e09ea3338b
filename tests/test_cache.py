"""The cache: never a wrong value, never computed twice, and never the reason why something fails."""

import errno
import functools
import importlib
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from trabecula import cache
from trabecula.image import FileSource, Image

calls = []


def grown(image, by=1, how="all"):
    calls.append(image.digest)
    return image.voxels + by


def halved(image, by=1, how="all"):
    return image.voxels / 2


@pytest.fixture(autouse=True)
def room(tmp_path, monkeypatch):
    monkeypatch.setenv("TRABECULA_CACHE", str(tmp_path / "cache"))
    calls.clear()
    return tmp_path / "cache"


def image(seed=0):
    return Image(voxels=np.random.default_rng(seed).integers(0, 99, (2, 3, 4)), unit="stored")


def arrays(room):
    return sorted((room / "arrays").rglob("*.npy"))


class Heavy:
    """A source that must not be loaded twice."""

    def __init__(self):
        self.loads = 0

    @property
    def digest(self):
        return "heavy"

    def load(self):
        self.loads += 1
        return image()


def test_a_second_call_computes_and_loads_nothing():
    source = Heavy()
    first = cache.remember(grown, source, settings={"by": 2})
    second = cache.remember(grown, source, settings={"by": 2})
    assert (first == image().voxels + 2).all()
    assert (first == second).all()
    assert first.dtype == second.dtype
    assert source.loads == len(calls) == 1
    for array in (first, second):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_another_process_computes_nothing_either(tmp_path):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from trabecula import cache; from trabecula.image import Image; import numpy as np, one\n"
        "cache.remember(one.grown, Image(voxels=np.zeros((1, 2, 2)), unit='stored')); print(len(one.calls))"
    )
    (tmp_path / "one.py").write_text(
        "calls = []\ndef grown(image):\n    calls.append(1)\n    return image.voxels + 1\n"
    )
    said = [
        subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert said == ["1\n", "0\n"]


def test_another_content_setting_or_function_is_another_key():
    keys = {
        cache.key(grown, ("a",), {}), cache.key(grown, ("b",), {}), cache.key(grown, ("a", "b"), {}),
        cache.key(grown, ("ab",), {}), cache.key(halved, ("a",), {}), cache.key(grown, ("a",), {"by": 1}),
        cache.key(grown, ("a",), {"by": 2}), cache.key(grown, ("a",), {"by": "1"}),
        cache.key(grown, ("a",), {"by": True}), cache.key(grown, ("a",), {"by": [1, 2]}),
    }  # fmt: skip
    assert len(keys) == 10
    assert cache.key(grown, ("a",), {"by": 1, "how": "x"}) == cache.key(grown, ("a",), {"how": "x", "by": 1})


def test_another_line_of_code_is_another_key(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    source = "def f(image):\n    return image.voxels + {}\n"
    (tmp_path / "changing.py").write_text(source.format(1))
    changing = importlib.import_module("changing")
    before = cache.remember(changing.f, image())
    (tmp_path / "changing.py").write_text(source.format(1000))
    importlib.invalidate_caches()
    importlib.import_module("linecache").clearcache()
    changing = importlib.reload(changing)
    assert (cache.remember(changing.f, image()) == before + 999).all()


def test_an_array_as_a_setting_is_refused_because_its_name_is_shortened():
    one, two = np.zeros(5000), np.zeros(5000)
    two[2500] = 1
    assert repr(one) == repr(two)
    with pytest.raises(TypeError, match="JSON"):
        cache.remember(grown, image(), settings={"by": one})


def test_functions_that_could_answer_for_each_other_are_refused():
    def inner(factor):
        def scaled(image):
            return image.voxels * factor

        return scaled

    class Scaler:
        def scaled(self, image):
            return image.voxels

    for function in (inner(1), lambda image: image.voxels, Scaler().scaled, functools.partial(grown, by=3)):
        with pytest.raises(TypeError, match="function of its module"):
            cache.remember(function, image())


def test_a_changed_file_is_read_again(tmp_path):
    from PIL import Image as Picture

    path = tmp_path / "a.png"
    for level in (10, 20):
        Picture.new("L", (4, 4), level).save(path)
        assert (cache.remember(grown, FileSource(path)) == level + 1).all()


def test_off_means_no_folder(room, monkeypatch):
    monkeypatch.setenv("TRABECULA_CACHE", "off")
    cache.remember(grown, image())
    cache.remember(grown, image())
    assert len(calls) == 2
    assert not room.exists()
    assert cache.sweep() == 0


def test_the_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.delenv("TRABECULA_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.folder() == tmp_path / "xdg" / "trabecula"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.folder() == Path.home() / ".cache" / "trabecula"


def test_a_folder_that_cannot_be_made_is_only_slower(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TRABECULA_CACHE", str(tmp_path / "file" / "cache"))
    for _ in range(2):
        assert (cache.remember(grown, image()) == image().voxels + 1).all()
    assert len(calls) == 2


def test_a_full_disk_is_only_slower_and_leaves_no_part(room, monkeypatch):
    def full(descriptor, mode):
        os.close(descriptor)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache.os, "fdopen", full)
    assert (cache.remember(grown, image()) == image().voxels + 1).all()
    assert not [path for path in room.rglob("*") if path.is_file()]


def test_a_folder_that_may_only_be_read_still_answers(monkeypatch):
    cache.remember(grown, image())

    def refused(path, *times):
        raise PermissionError(errno.EPERM, "not yours")

    monkeypatch.setattr(cache.os, "utime", refused)
    cache.remember(grown, image())
    assert len(calls) == 1


@pytest.mark.parametrize(
    "left", [b"", b"PK\x03\x04 no archive", b"\x93NUMPY", b"rubbish" * 50, b"\x80\x04K\x01.", None]
)
def test_a_damaged_entry_is_computed_again(room, left):
    cache.remember(grown, image())
    (entry,) = arrays(room)
    entry.write_bytes(entry.read_bytes()[:-8] if left is None else left)
    assert (cache.remember(grown, image()) == image().voxels + 1).all()
    assert len(calls) == 2
    cache.remember(grown, image())
    assert len(calls) == 2


def test_many_writers_of_one_key_leave_one_whole_entry(room):
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: cache.remember(grown, image()), range(64)))
    assert all((array == image().voxels + 1).all() for array in found)
    assert [path for path in room.rglob("*") if path.is_file()] == arrays(room)
    assert len(arrays(room)) == 1


def test_the_least_recently_used_go_first(room):
    for seed in range(5):
        cache.remember(grown, image(seed))
    now = time.time()
    for age, path in enumerate(arrays(room)):
        os.utime(path, (now - 1000 * (age + 1),) * 2)
    newest_first = sorted(arrays(room), key=lambda path: -path.stat().st_mtime)
    size = newest_first[0].stat().st_size
    assert cache.sweep(limit_gb=2.5 * size / 1e9) == 3
    assert set(arrays(room)) == set(newest_first[:2])
    assert cache.sweep(limit_gb=1) == 0


def test_use_keeps_an_entry_young(room):
    for seed in range(2):
        cache.remember(grown, image(seed))
    for path in arrays(room):
        os.utime(path, (0, 0))
    cache.remember(grown, image(0))
    cache.sweep(limit_gb=arrays(room)[0].stat().st_size * 1.5 / 1e9)
    calls.clear()
    cache.remember(grown, image(0))
    assert not calls


def test_the_limit_is_kept_while_writing(room, monkeypatch):
    monkeypatch.setenv("TRABECULA_CACHE_GB", "0.000001")
    monkeypatch.setattr(cache, "_written", 0)
    for seed in range(40):
        cache.remember(grown, image(seed))
    assert sum(path.stat().st_size for path in arrays(room)) <= 1000
    monkeypatch.setenv("TRABECULA_CACHE_GB", "lots")
    with pytest.raises(ValueError, match=r"TRABECULA_CACHE_GB.*'lots'"):
        cache.sweep()


def test_a_digest_is_read_once_and_renewed_with_the_file(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    path.write_bytes(b"one")
    first = cache.file_digest(path)
    opened = []
    monkeypatch.setattr(cache.hashlib, "file_digest", lambda file, how: opened.append(1))
    cache._file_digest.cache_clear()  # as in a new process
    assert cache.file_digest(path) == first
    assert not opened
    monkeypatch.undo()
    path.write_bytes(b"other")
    assert cache.file_digest(path) != first
    with pytest.raises(ValueError, match="no such file"):
        cache.file_digest(tmp_path / "gone")
    with pytest.raises(ValueError, match="cannot be read"):
        cache.file_digest(tmp_path)


def wide_row(image):
    calls.append(image.digest)
    return np.zeros(1, dtype=[(f"wavelet-LLH_glrlm_ShortRunLowGrayLevelEmphasis {n}", np.float64) for n in range(851)])


def test_a_row_of_many_named_numbers_is_remembered():
    """Its header has 50 kB, of which numpy reads 10 unless it is told otherwise: it was computed each time."""
    for _ in range(2):
        row = cache.remember(wide_row, image())
    assert len(row.dtype.names) == 851
    assert len(calls) == 1


def test_code_of_the_package_that_is_named_is_part_of_the_key(room, monkeypatch):
    calls.clear()
    for version in ("one", "one", "another"):
        monkeypatch.setattr(cache, "package_digest", lambda package, version=version: f"{version} {package}")
        cache.remember(grown, image(0), package="trabecula.measure")
    assert len(calls) == 2
