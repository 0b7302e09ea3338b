"""Where fits run changes no number, and what is missing is told with what to do."""

import sys
import types
from dataclasses import replace
from functools import partial

import pytest

from tests.evaluation.toys import TWO, Level, judged
from trabecula.evaluation.engine import Engine, side_by_side


def squared(x):
    if x == 3:
        raise ValueError("three is odd")
    return x * x


@pytest.mark.parametrize("jobs", [1, 2])
def test_works_give_what_they_return_and_raise_what_they_raise(jobs):
    works = [partial(squared, x) for x in (4, 5, 6)]
    assert sorted(side_by_side(works, Engine(), jobs)) == [16, 25, 36]
    with pytest.raises(ValueError, match=r"^three is odd$"):
        list(side_by_side([*works, partial(squared, 3)], Engine(), jobs))
    assert list(side_by_side([], Engine(), jobs)) == []


def test_an_engine_is_named_with_its_address():
    with pytest.raises(ValueError, match=r"--engine dask goes with --address.*dask scheduler.*--nthreads 1"):
        Engine(name="dask")
    with pytest.raises(ValueError, match="goes with --address"):
        Engine(address="tcp://localhost:8786")
    with pytest.raises(ValueError, match="an engine is joblib or dask; got 'ray'"):
        Engine(name="ray")


DASK = Engine(name="dask", address="tcp://127.0.0.1:9")


def test_dask_that_is_not_there_is_told_before_anything_is_fitted(monkeypatch):
    monkeypatch.setitem(sys.modules, "dask.distributed", None)
    with pytest.raises(ValueError, match=r"needs dask\.distributed, which is not installed here: `pip install distr"):
        judged(Level(), protocol=TWO, engine=DASK)


def cluster(threads):
    """A Dask that answers how many threads its workers have, and no more."""

    class Client:
        def __init__(self, address, timeout):
            if threads is None:
                raise OSError("timed out")

        def __enter__(self):
            return self

        def __exit__(self, *what):
            return None

        def nthreads(self):
            return threads

    module = types.ModuleType("dask.distributed")
    module.Client = Client
    return module


@pytest.mark.parametrize(
    ("threads", "said"),
    [
        (None, "no Dask scheduler answers at tcp://127.0.0.1:9 .timed out.: start one with `dask scheduler`"),
        ({}, "has no worker: `dask worker tcp://127.0.0.1:9 --nthreads 1`"),
        ({"tcp://w": 4}, "1 workers such as tcp://w run several fits in one process.*--nthreads 1"),
    ],
)
def test_a_cluster_that_cannot_be_used_is_told(monkeypatch, threads, said):
    monkeypatch.setitem(sys.modules, "dask", types.ModuleType("dask"))
    monkeypatch.setitem(sys.modules, "dask.distributed", cluster(threads))
    with pytest.raises(ValueError, match=said):
        judged(Level(), protocol=replace(TWO, folds=3), engine=DASK)
