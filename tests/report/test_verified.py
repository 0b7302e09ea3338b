"""A report is what its predictions say, and one in which a figure was changed is found out."""

import hashlib
import json

import pytest

from trabecula.report.verified import verify


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    from trabecula import evaluate, get_system
    from trabecula.cohort import open_cohort

    cohort = open_cohort("phantom_fracture_table", n=60)
    systems = [get_system("kong2020_catboost", size="tiny", targets=("osteoporosis_dxa",))]
    folder = tmp_path_factory.mktemp("verified") / "out"
    evaluate(systems, cohort, jobs=1).save(folder)
    return folder


@pytest.fixture
def copied(written, tmp_path):
    for path in written.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def changed(folder, change):
    told = json.loads((folder / "report.json").read_text())
    change(told)
    (folder / "report.json").write_text(json.dumps(told))


def test_a_report_follows_from_its_predictions(written):
    found = verify(written)
    assert found.mismatches == ()
    assert found.figures > 100
    assert "index.html is the page of this report.json" in found.notes


def test_a_figure_that_was_changed_is_named_with_what_follows(copied):
    def better(told):
        told["results"][0]["metrics"]["auc"]["value"] = 0.99

    changed(copied, better)
    (mismatch,) = verify(copied).mismatches
    assert mismatch.where.endswith("metrics.auc.value")
    assert mismatch.written == 0.99
    assert 0.3 < mismatch.follows < 0.95
    assert any("not the page" in note for note in verify(copied).notes)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda told: told["results"][0]["metrics"].pop("brier"), "metrics.brier.value"),
        (lambda told: told["results"][0]["differences"].pop(), "differences.baseline"),
        (lambda told: told["results"][0]["curves"]["roc"]["true_positive_rate"].append(1.0), "true_positive_rate[101]"),
        (lambda told: told["results"][0].update(patients=59), "patients"),
        (lambda told: told["results"].pop(), "baseline"),
        (lambda told: told["results"].append({**told["results"][0], "system": "nobody"}), "nobody"),
    ],
)
def test_what_is_missing_or_added_is_found(copied, change, place):
    changed(copied, change)
    assert any(place in str(each) for each in verify(copied).mismatches)


def test_predictions_that_were_altered_are_refused_and_altered_again_with_their_checksum_found_out(copied):
    path = copied / "predictions.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0], *lines[2:]]))
    with pytest.raises(ValueError, match="altered"):
        verify(copied)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    changed(copied, lambda told: told["checksums"].update({"predictions.csv": digest}))
    assert any("patients" in each.where for each in verify(copied).mismatches)


def test_a_split_that_was_altered_is_found(copied):
    with (copied / "splits.csv").open("a") as file:
        file.write("kfold,,x,x,0\n")
    assert [each.where for each in verify(copied).mismatches] == ["splits.csv"]
