"""`verify` and `compare` as somebody types them."""

import json

import pytest

from trabecula import evaluate, get_system
from trabecula.cohort import open_cohort
from trabecula.protocol import Protocol


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    cohort = open_cohort("phantom_fracture_table", n=60)
    for name, settings in (("one", {}), ("two", {"depth": 2})):
        system = get_system("kong2020_catboost", size="tiny", targets=("osteoporosis_dxa",), settings=settings)
        evaluate([system], cohort, protocol=Protocol(folds=2), jobs=1).save(folder / name)
    return folder / "one", folder / "two"


def test_verify_says_that_all_follows(run, folders):
    code, out, _ = run("verify", folders[0])
    assert code == 0
    assert "follow from predictions.csv" in out


def test_verify_names_what_does_not_follow_and_ends_with_1(run, folders, tmp_path):
    for path in folders[0].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    told = json.loads((tmp_path / "report.json").read_text())
    told["results"][0]["metrics"]["brier"]["value"] = 0.0
    (tmp_path / "report.json").write_text(json.dumps(told))
    code, out, _ = run("verify", tmp_path)
    assert code == 1
    assert "metrics.brier.value" in out
    _, out, _ = run("verify", tmp_path, "--json")
    assert json.loads(out)["mismatches"][0]["written"] == 0.0


def test_compare_prints_pairs_and_writes_a_page_and_figures(run, folders, tmp_path):
    code, out, _ = run("compare", *folders, "--out", tmp_path / "both.html")
    assert code == 0
    assert "kong2020_catboost" in out
    assert "First less second" in (tmp_path / "both.html").read_text()
    assert run("compare", *folders, "--out", tmp_path / "both.json")[0] == 0
    assert json.loads((tmp_path / "both.json").read_text())["same"]["data"]


def test_what_is_no_report_and_no_page_is_refused(refused, folders, tmp_path):
    assert "holds no report" in refused("verify", tmp_path)
    assert "neither a page" in refused("compare", *folders, "--out", tmp_path / "both.pdf")
