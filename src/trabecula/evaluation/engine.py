"""Where fits run: side by side on this machine, or on a Dask cluster; the numbers are the same."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Engine:
    """What runs the fits, and where those that are done are kept.

    Raises `ValueError` for an unknown name, for Dask without an address, and for an address without Dask.
    """

    name: Literal["joblib", "dask"] = "joblib"
    address: str = ""
    """Of the Dask scheduler, such as `tcp://10.0.0.1:8786`."""
    kept: Path | None = None
    """A folder where each fold that is done is kept until the report is written, so that a killed run goes on."""

    def __post_init__(self) -> None:
        if self.name not in ("joblib", "dask"):
            raise ValueError(f"an engine is joblib or dask; got {self.name!r}")
        if (self.name == "dask") != bool(self.address):
            raise ValueError(
                "--engine dask goes with --address of its scheduler, such as tcp://10.0.0.1:8786: start one with "
                "`dask scheduler`, and workers with `dask worker ADDRESS --nthreads 1`"
            )

    def forget(self) -> None:
        """Remove what was kept, once the report is written."""
        if self.kept is not None:
            shutil.rmtree(self.kept, ignore_errors=True)


def side_by_side(works: Sequence[Callable[[], T]], engine: Engine, jobs: int | None) -> Iterator[T]:
    """Yield what the works return, in the order in which they end; what they raise is raised.

    Works are plain functions that can be pickled. Raises `ValueError` where the engine is not to be had.
    """
    jobs = min(jobs or os.cpu_count() or 1, len(works))
    if engine.name == "dask":
        yield from _on_dask(works, engine.address)
    elif jobs <= 1:
        yield from (work() for work in works)
    else:
        yield from _by_joblib(works, jobs)


def _by_joblib(works: Sequence[Callable[[], T]], jobs: int) -> Iterable[T]:
    from joblib import Parallel, delayed  # noqa: PLC0415

    running: Iterable[T] = Parallel(n_jobs=jobs, return_as="generator_unordered")(delayed(work)() for work in works)
    return running


def _on_dask(works: Sequence[Callable[[], T]], address: str) -> Iterator[T]:
    """Run works on the workers of a Dask scheduler; those of a worker that dies run on another."""
    try:
        from dask.distributed import Client  # type: ignore[import-not-found] # noqa: PLC0415 optional
    except ImportError as error:
        raise ValueError(
            "--engine dask needs dask.distributed, which is not installed here: `pip install distributed`, on every "
            "worker as well, or leave --engine joblib"
        ) from error
    from joblib import parallel_config  # noqa: PLC0415

    try:
        client = Client(address, timeout="10s")
    except (OSError, TimeoutError) as error:
        raise ValueError(
            f"no Dask scheduler answers at {address} ({error}): start one with `dask scheduler`, or mend --address"
        ) from error
    with client:
        threads = client.nthreads()
        if not threads:
            raise ValueError(f"the scheduler at {address} has no worker: `dask worker {address} --nthreads 1`")
        if several := [worker for worker, n in threads.items() if n > 1]:
            raise ValueError(
                f"{len(several)} workers such as {several[0]} run several fits in one process, which share random "
                f"state: start workers with --nthreads 1 and more of them"
            )
        with parallel_config(backend="dask"):
            yield from _by_joblib(works, -1)
