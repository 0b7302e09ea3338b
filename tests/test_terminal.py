"""Printing: progress and log lines go to standard error, and standard output holds nothing but the answer."""

import json
import logging

import pytest

from trabecula.terminal import Format, progress_bar, show_rows


def test_progress_and_log_lines_leave_standard_output_alone(capsys):
    logger = logging.getLogger("trabecula")
    before = list(logger.handlers)
    with progress_bar() as progress:
        progress(0, 0, "looking")
        progress(1, 2, "system [bold]a[/bold], fold 1")
        logging.getLogger("trabecula.learn").warning("weights are random")
    said = capsys.readouterr()
    assert said.out == ""
    assert "weights are random" in said.err
    assert logger.handlers == before


def test_brackets_in_a_message_are_text(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress_bar() as progress:
        progress(1, 2, "knees [/final] [red]")
        progress(2, 2, "knees [/final] [red]")
    assert "knees [/final] [red]" in capsys.readouterr().err


def test_an_error_inside_takes_the_bar_away():
    logger = logging.getLogger("trabecula")
    before = list(logger.handlers)

    def failing():
        with progress_bar():
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        failing()
    assert logger.handlers == before


def test_cells_of_every_kind(capsys):
    rows = [{"a": None, "b": 0.123456, "c": ["x", "y"], "d": {"e": 1}, "f": "ü | v", "g": 3, "h": True}]
    show_rows(rows, Format.csv)
    assert capsys.readouterr().out.splitlines() == ["a,b,c,d,f,g,h", ',0.1235,"x, y","{""e"": 1}",ü | v,3,true']
    show_rows(rows, Format.markdown)
    assert r"ü \| v" in capsys.readouterr().out
    show_rows(rows, Format.json)
    assert json.loads(capsys.readouterr().out) == rows
    show_rows({"one": "mapping"}, Format.table)
    assert json.loads(capsys.readouterr().out) == {"one": "mapping"}
