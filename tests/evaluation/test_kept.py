"""A run that was killed goes on: nothing is fitted twice, what has changed is not believed, the numbers are equal."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.contract.survival_curve.system import SurvivalCurve
from tests.contract.value_and_probability.system import ValueAndProbability
from tests.evaluation.toys import TWO, Level, Sloped, cohort, judged, patients, timeless
from trabecula.evaluation import Engine, evaluate, kept
from trabecula.protocol import Protocol
from trabecula.state import State

ROOT = Path(__file__).parents[2]
FITS = []


@dataclass(frozen=True, kw_only=True)
class Counted(Sloped):
    """Counts how often it is fitted, and fails when it is told to."""

    def _fit(self, cases, run):
        FITS.append(run.seed)
        if os.environ.get("TORN") == str(run.seed):
            raise RuntimeError("the power is gone")
        return State()


@pytest.fixture(autouse=True)
def from_nothing():
    FITS.clear()


def run(folder, *systems, cases=None, protocol=TWO, **more):
    return judged(*systems, cases=cases, protocol=protocol, engine=Engine(kept=folder), **more)


def test_what_was_done_before_a_failure_is_not_done_again(tmp_path, monkeypatch):
    protocol = replace(TWO, folds=4)
    whole = judged(Counted(), Counted(slope=0.5), protocol=protocol)
    assert len(FITS) == 8
    monkeypatch.setenv("TORN", "2")
    with pytest.raises(RuntimeError, match="the power is gone"):
        run(tmp_path / "kept", Counted(), Counted(slope=0.5), protocol=protocol)
    assert len(list((tmp_path / "kept").glob("*.json"))) == 2
    monkeypatch.delenv("TORN")
    FITS.clear()
    said = []
    again = run(
        tmp_path / "kept", Counted(), Counted(slope=0.5), protocol=protocol, progress=lambda *told: said.append(told)
    )
    assert len(FITS) == 6
    assert again.rows == whole.rows
    assert timeless(again) == timeless(whole)
    assert (2, 8, "2 systems and baselines, 8 fits, 2 of them done before") in said
    assert said[-1][:2] == (8, 8)
    Engine(kept=tmp_path / "kept").forget()
    assert list(tmp_path.iterdir()) == []


def test_answers_of_every_kind_are_the_same_when_they_were_kept(tmp_path):
    systems, cases = (ValueAndProbability(), SurvivalCurve(horizon_years=3)), patients(60, unlabelled=0.2)
    protocol = replace(TWO, operating_points=True)
    first, again = (run(tmp_path / "kept", *systems, cases=cases, protocol=protocol) for _ in range(2))
    assert again.rows == first.rows
    assert again.told["results"] == first.told["results"]  # seconds as well: they are those of the first run
    nested = Protocol(name="nested", folds=2, operating_points=False)
    first, again = (run(tmp_path / "n", Counted(), Counted(slope=0.5), protocol=nested) for _ in range(2))
    assert again.told["results"] == first.told["results"]
    assert len(FITS) == 2 * 7


def changed(what):
    cases = patients(60)
    first = cases[0]
    return {
        "a value": [replace(first, table={**first.table, "age_years": 51.0}), *cases[1:]],
        "a group": [replace(first, groups={"scanner": "z"}), *cases[1:]],
        "a truth": [replace(first, truth={**first.truth, "t_score_lowest": 0.25}), *cases[1:]],
        "a patient": [*cases, replace(first, id="new", patient="new")],
    }[what]


@pytest.mark.parametrize("what", ["a value", "a group", "a truth", "a patient"])
def test_other_data_is_fitted_anew(tmp_path, what):
    run(tmp_path / "kept", Counted())
    run(tmp_path / "kept", Counted(), cases=changed(what))
    assert len(FITS) == 4


@pytest.mark.parametrize(
    "how",
    [
        {"protocol": replace(TWO, seed=1)}, {"protocol": replace(TWO, folds=3)},
        {"protocol": replace(TWO, operating_points=True)}, {"systems": (Counted(slope=0.3),)},
    ],
)  # fmt: skip
def test_other_words_are_fitted_anew(tmp_path, how):
    run(tmp_path / "kept", Counted())
    FITS.clear()
    protocol = how.get("protocol", TWO)
    run(tmp_path / "kept", *how.get("systems", (Counted(),)), protocol=protocol)
    assert len(FITS) == protocol.folds * (2 if protocol.operating_points else 1)


def test_another_program_or_half_a_file_is_not_believed(tmp_path, monkeypatch):
    run(tmp_path / "kept", Counted())
    broken = next((tmp_path / "kept").glob("*.json"))
    broken.write_text(broken.read_text()[:40])
    run(tmp_path / "kept", Counted())
    assert len(FITS) == 3
    monkeypatch.setattr(kept, "_program", lambda: "another")
    run(tmp_path / "kept", Counted())
    assert len(FITS) == 5


SCRIPT = """
import sys, time
from dataclasses import dataclass
from pathlib import Path
from unittest import mock
from tests.evaluation import toys
from trabecula.evaluation import Engine, data, kept
from trabecula.findings import Findings
from trabecula.protocol import Protocol
from trabecula.state import State

@dataclass(frozen=True, kw_only=True)
class Slow(toys.Level):
    def _fit(self, cases, run):
        with Path(sys.argv[2]).open("a") as file:
            file.write(f"{run.seed}\\n")
        time.sleep(float(sys.argv[3]))
        return State()

passed = lambda cohort, **how: Findings(cases=len(cohort.cases), readable=len(cohort.cases))
protocol = Protocol(folds=6, operating_points=False)
with mock.patch.object(data, "check", passed), mock.patch.object(kept, "_program", lambda: "one"):
    report = toys.judged(Slow(), protocol=protocol, engine=Engine(kept=Path(sys.argv[1]) / "kept"))
(Path(sys.argv[1]) / "rows").write_text(repr(report.rows))
"""


def test_a_run_that_is_killed_goes_on_and_gives_the_same_numbers(tmp_path):
    def start(seconds, folder):
        words = [sys.executable, "-c", SCRIPT, str(tmp_path / folder), str(tmp_path / f"{folder}.fits"), seconds]
        return subprocess.Popen(words, cwd=ROOT)

    def fits(folder):
        return (tmp_path / f"{folder}.fits").read_text().split()

    running = start("0.7", "a")
    until = time.monotonic() + 120
    while len(list((tmp_path / "a").glob("kept/*.json"))) < 3:
        assert running.poll() is None, "it ended before it was killed"
        assert time.monotonic() < until
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.wait()
    begun = fits("a")
    assert not (tmp_path / "a" / "rows").exists()
    assert start("0", "a").wait(timeout=120) == 0
    assert sorted(set(fits("a"))) == [str(i) for i in range(6)]
    assert len(fits("a")) == 6 + len(begun) - 3  # three were kept; the one that was being fitted is fitted again
    (tmp_path / "b").mkdir()
    assert start("0", "b").wait(timeout=120) == 0
    assert len(fits("b")) == 6
    one, other = ((tmp_path / each / "rows").read_text() for each in ("a", "b"))
    assert one == other


def test_nothing_is_kept_unless_a_place_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    evaluate([Level()], cohort(patients(60)), protocol=TWO, baselines=False, jobs=1)
    assert list(tmp_path.iterdir()) == []
