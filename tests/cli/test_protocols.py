"""The words that say how patients are split: they are read, or refused with what to do next."""

import json

import pytest

from tests.cli.study import TABLE


def words(cohort, tmp_path, *more, out="out"):
    return ("evaluate", *TABLE, "--cohort", cohort, "--jobs", 1, "--no-baselines", "--out", tmp_path / out, *more)


def test_a_split_is_repeated_from_its_file_and_nothing_is_left_behind(run, table, tmp_path):
    assert run(*words(table, tmp_path, "--folds", 2, out="a"))[0] == 0
    assert run(*words(table, tmp_path, "--splits", tmp_path / "a" / "splits.csv", out="b"))[0] == 0
    a, b = ((tmp_path / each / "predictions.csv").read_text().replace("given", "kfold") for each in "ab")
    assert a == b
    assert json.loads((tmp_path / "b" / "report.json").read_text())["protocol"]["given"]["file"] == "splits.csv"
    assert {path.name for path in tmp_path.iterdir()} == {"study.csv", "a", "b"}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--repeats", 3), "--repeats is for the protocol repeated; this one is kfold"),
        (("--protocol", "holdout", "--folds", 3), "--folds is for the protocol kfold and repeated and"),
        (("--since", "2019-01-01"), "--since is for the protocol temporal; this one is kfold"),
        (("--protocol", "temporal", "--since", "soon"), "'soon' is no date: write it as 2019-05-31"),
        (("--protocol", "temporal"), "40 of 40 cases have no date, first c0: tell it in group.date"),
        (("--protocol", "leave_one_site_out"), "40 of 40 cases have no site, first c0: tell it in group.site"),
        (("--protocol", "external"), "name both, --external COHORT, or neither"),
        (("--protocol", "nested"), "say between which with --vary NAME=VALUE,VALUE"),
        (("--splits", "nowhere.csv"), "nowhere.csv cannot be read"),
        (("--external-with", "shortcut=1"), "--external-with changes a setting of --external: name that cohort"),
        (("--engine", "dask"), "--engine dask goes with --address"),
    ],
)
def test_what_a_protocol_would_not_read_or_lacks_is_told(refused, table, tmp_path, more, said):
    assert said in refused(*words(table, tmp_path, *more))
