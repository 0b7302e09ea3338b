"""What every test shares: a cache of its own, and no network."""

import os
import sys
from pathlib import Path

import pytest

# Before anything imports a hub client, which reads it once; and tests import `tests.contract` however pytest is called.
os.environ["HF_HUB_OFFLINE"] = "1"
if "PYTEST_XDIST_WORKER" in os.environ:  # one process a core: threads of linear algebra would only wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")
if (_ROOT := str(Path(__file__).parents[1])) not in sys.path:
    sys.path.insert(0, _ROOT)


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory):
    """Keep what tests compute away from the user's own cache; processes that test side by side share it."""
    beside = "PYTEST_XDIST_WORKER" in os.environ
    folder = tmp_path_factory.getbasetemp().parent / "cache" if beside else tmp_path_factory.mktemp("cache")
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRABECULA_CACHE", str(folder))
        patch.delenv("TRABECULA_DATA", raising=False)
        yield folder


def pytest_xdist_make_scheduler(config, log):
    """Hand a file to one process, so that its fixtures are made once; where it goes through systems, each apart."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file, _, test = nodeid.partition("::")
            return f"{file} {test.partition('[')[2].partition('-')[0]}" if file.endswith("test_systems.py") else file

    return ByFile(config, log)
