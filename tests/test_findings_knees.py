"""The public knee set: its copies, its double labels and its shortcut, as people found them by eye and by hand."""

from pathlib import Path

import pytest

from trabecula import findings
from trabecula.cohort import open_cohort

KNEES = Path(__file__).parents[2] / "shared" / "data" / "knee_xray"


@pytest.fixture(scope="module")
def knees():
    if not KNEES.is_dir():
        pytest.skip("the public knee set is not here")
    whole = open_cohort(KNEES)
    return whole, findings.check(whole)


def test_knees_duplicates_and_double_labels(knees):
    _, found = knees
    assert found.unreadable == ()
    kinds = [group["kind"] for group in found.duplicates]
    assert len(kinds) == 24
    assert kinds.count("near") == 12
    assert sum(len(group["cases"]) for group in found.duplicates) == 49
    assert len(found.conflicts) == 10
    assert {"normal/45_jpg.png", "osteoporosis/45o_jpg.png"} in [set(each["cases"]) for each in found.conflicts]
    assert {"normal/22_jpeg.png", "osteoporosis/34_jpeg.png"} in [set(each["cases"]) for each in found.conflicts]


def test_knees_two_sides_of_a_pair_of_legs_are_no_copy(knees):
    _, found = knees
    copied = {id_ for group in found.duplicates for id_ in group["cases"]}
    assert not {"normal/166n_png.png", "normal/56n_jpg.png"} & copied


def test_knees_acquisition_alone_tells_the_label(knees):
    _, found = knees
    told = found.to_json()["shortcut"]
    assert told["low"] > 0.6
    assert 0.75 < told["auc"] < 0.84
    assert 0.72 < told["raw"]["auc"] < 0.80
    assert next(iter(told["features"])) == "source_height"
    assert any("a network can learn the scanner instead of bone" in line for line in found.problems)
    assert any(line.startswith("SHORTCUT: acquisition facts alone reach AUC 0.") for line in found.lines())


def test_knees_resolved_hold_no_conflict_and_no_loose_copy(knees):
    whole, found = knees
    kept = findings.resolved(whole, found)
    assert len(kept.cases) == 251
    assert len({each.patient for each in kept.cases}) == 237
    of = {each.id: each.patient for each in kept.cases}
    for group in found.duplicates:
        assert len({of[id_] for id_ in group["cases"] if id_ in of}) <= 1
