"""What every test shares: a cache of its own, and no network."""

import os
import sys
from pathlib import Path

import pytest

# Before anything imports a hub client, which reads it once; and tests import `tests.contract` however pytest is called.
os.environ["HF_HUB_OFFLINE"] = "1"
if (_ROOT := str(Path(__file__).parents[1])) not in sys.path:
    sys.path.insert(0, _ROOT)


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory):
    """Keep what tests compute away from the user's own cache; worker processes inherit it."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRABECULA_CACHE", str(folder))
        patch.delenv("TRABECULA_DATA", raising=False)
        yield folder
