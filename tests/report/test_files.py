"""A report on disk: everything in it can be computed again from its rows, and it is whole or not there."""

import csv
import errno
import hashlib
import json
from pathlib import Path

import pytest

from tests.report.told import knee
from trabecula.report import page
from trabecula.report.files import Report
from trabecula.report.numbers import Row

ROWS = (
    Row("a", "system", "kfold", "osteoporosis_dxa", 'odd, "case"\nid', "L1", "p, 1", 0, 1, 0.1 + 0.2, ""),
    Row("a", "system", "kfold", "osteoporosis_dxa", "two", "", "é", 1, 0, None, "too, dark"),
    Row("a", "system", "kfold", "who_class_dxa", "two", "", "é", 1, 2, [0.2, 0.3, 0.5], ""),
    Row("b", "system", "kfold", "t_score_lowest", "two", "", "é", 1, -2.5, {"value": -2.0, "low": -3.0, "high": 1}, ""),
    Row("b", "system", "kfold", "time_to_hip_fracture", "two", "", "é", 1, {"years": 3.0, "event": 1},
        {"years": [1.0, 2.0], "incidence": {"event": [0.1, 0.2]}}, ""),
    Row("a", "as_published", "as_published", "osteoporosis_dxa", "two", "", "two", 0, 0, 0.5, ""),
)  # fmt: skip


@pytest.fixture
def report():
    return Report(knee(), ROWS)


def everything(folder):
    return sorted(path.name for path in folder.rglob("*"))


def test_what_is_written_comes_back(tmp_path, report):
    report.save(tmp_path / "out")
    assert everything(tmp_path / "out") == ["index.html", "predictions.csv", "report.json", "splits.csv"]
    back = Report.load(tmp_path / "out")
    assert back.rows == ROWS
    told = json.loads(json.dumps(report.told))
    assert {**back.told, "checksums": None} == {**told, "checksums": None}
    content = (tmp_path / "out" / "splits.csv").read_bytes()
    assert back.told["checksums"]["splits.csv"] == hashlib.sha256(content).hexdigest()


def test_the_columns_are_those_that_were_promised(tmp_path, report):
    report.save(tmp_path / "out")
    with (tmp_path / "out" / "predictions.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    promised = {"system", "protocol", "target", "case", "part", "patient", "fold", "truth", "prediction", "abstained"}
    assert promised <= lines[0].keys()
    assert len(lines) == len(ROWS)
    assert lines[0]["case"] == 'odd, "case"\nid'
    assert json.loads(lines[2]["prediction"]) == [0.2, 0.3, 0.5]
    assert (lines[1]["prediction"], lines[1]["abstained"]) == ("", "too, dark")


def test_the_split_can_be_repeated(tmp_path, report):
    report.save(tmp_path / "out")
    with (tmp_path / "out" / "splits.csv").open(newline="", encoding="utf-8") as file:
        lines = [tuple(line.values()) for line in csv.DictReader(file)]
    assert lines == [
        ("kfold", "", 'odd, "case"\nid', "p, 1", "0", "test"),
        ("kfold", "", "two", "é", "1", "test"),
        ("as_published", "a", "two", "two", "0", "test"),
    ]


def test_altered_and_missing_reports_are_refused(tmp_path, report):
    report.save(tmp_path / "out")
    told = (tmp_path / "out" / "report.json").read_text()
    for wrong in ("", "{}", "[]", '{"checksums": 3}'):
        (tmp_path / "out" / "report.json").write_text(wrong)
        with pytest.raises(ValueError, match="out holds no report"):
            Report.load(tmp_path / "out")
    (tmp_path / "out" / "report.json").write_text(told)
    path = tmp_path / "out" / "predictions.csv"
    path.write_text(path.read_text().replace("-2.0", "-2.4"))
    with pytest.raises(ValueError, match=r"predictions\.csv was altered"):
        Report.load(tmp_path / "out")
    with pytest.raises(ValueError, match="nowhere holds no report"):
        Report.load(tmp_path / "nowhere")


def test_a_place_that_is_taken_is_kept(tmp_path, report):
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(FileExistsError, match="name another place"):
        report.save(tmp_path)
    with pytest.raises(FileExistsError, match="name another place"):
        report.save(tmp_path / "mine")
    assert everything(tmp_path) == ["mine"]


def test_an_interruption_leaves_nothing(tmp_path, report, monkeypatch):
    def failing(told):
        raise KeyboardInterrupt

    monkeypatch.setattr(page, "page", failing)
    with pytest.raises(KeyboardInterrupt):
        report.save(tmp_path / "out")
    assert everything(tmp_path) == []


def test_a_page_that_cannot_be_drawn_costs_no_figure(tmp_path, report, monkeypatch, caplog):
    def failing(told):
        raise RuntimeError("a defect of the page")

    monkeypatch.setattr(page, "page", failing)
    report.save(tmp_path / "out")
    assert Report.load(tmp_path / "out").results == report.results
    assert "could not be drawn" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "a defect of the page" in caplog.text


def test_a_full_disk_leaves_nothing_and_says_so(tmp_path, report, monkeypatch):
    write_text = Path.write_text

    def full(path, content, **how):
        if path.name == "report.json":
            write_text(path, content[:100], **how)
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_text(path, content, **how)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match=r"out could not be written .*No space left.*free space"):
        report.save(tmp_path / "out")
    assert everything(tmp_path) == []


def test_a_figure_that_is_no_number_never_reaches_the_file(tmp_path, report):
    report.told["cohort"]["patients"] = float("nan")
    with pytest.raises(ValueError, match="JSON"):
        report.save(tmp_path / "out")
    assert everything(tmp_path) == []
