"""`evaluate all`: every built system stands in one group, reports are kept, and who cannot be judged is said so."""

import csv

import pytest

from trabecula import everyone
from trabecula.card import cohort_card, system_card, system_ids
from trabecula.everyone import Group, groups, judge_all
from trabecula.protocol import Protocol
from trabecula.system import get_system

TWO = Protocol(folds=2)
TABLE = Group(
    cohort="phantom_fracture_table",
    target="fragility_fracture",
    systems=(get_system("kong2020_catboost", size="tiny"),),
)
IMPOSSIBLE = Group(
    cohort="phantom_fracture_table", target="osteoporosis_dxa",
    systems=(get_system("nam2019_lumbar_hu", size="tiny", targets=("osteoporosis_dxa",)),),
)  # fmt: skip


def test_every_built_system_is_judged_once_on_a_cohort_that_has_its_truth():
    found = groups("tiny")
    named = [system.id() for group in found for system in group.systems]
    assert sorted(named) == [
        id_ for id_ in system_ids() if system_card(id_).built and system_card(id_).role == "system"
    ]
    for group in found:
        assert group.target in cohort_card(group.cohort).targets
        assert {system.headline.id for system in group.systems} == {group.target}
        assert not any(system.headline.circular for system in group.systems if system.headline.classifies)


@pytest.fixture
def two_groups(monkeypatch):
    monkeypatch.setattr(everyone, "groups", lambda size: [TABLE, IMPOSSIBLE])


def test_the_leaderboard_names_who_was_judged_and_why_somebody_was_not(two_groups, tmp_path):
    lines = judge_all(tmp_path / "all", size="tiny", patients=120, protocol=TWO, jobs=1)
    judged, silent = lines
    assert judged["system"] == "kong2020_catboost"
    assert 0 < judged["figure"]["low"] < judged["figure"]["value"] < judged["figure"]["high"] < 1
    assert judged["best_baseline"].startswith("baseline_")
    assert judged["difference"]["against"] == judged["best_baseline"]
    assert silent["figure"] is None
    assert "nam2019_lumbar_hu" in silent["problem"]
    with (tmp_path / "all" / "leaderboard.csv").open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert [row["system"] for row in table] == ["kong2020_catboost", "nam2019_lumbar_hu"]
    assert float(table[0]["figure_value"]) == judged["figure"]["value"]
    page = (tmp_path / "all" / "index.html").read_text(encoding="utf-8")
    assert 'href="fracture_table.fragility_fracture/index.html"' in page
    assert "Kong 2020 catboost" in page
    assert "Not judged" in page
    assert (tmp_path / "all" / "fracture_table.fragility_fracture" / "index.html").exists()


def test_an_interrupted_run_goes_on_and_other_words_are_refused(two_groups, tmp_path, monkeypatch):
    words = {"size": "tiny", "patients": 120, "protocol": TWO, "jobs": 1}
    first = judge_all(tmp_path / "all", **words)
    (tmp_path / "all" / "index.html").unlink()
    asked = []
    monkeypatch.setattr(everyone, "evaluate", lambda systems, *_, **__: asked.append(systems) or {}["never"])
    monkeypatch.setattr(everyone, "groups", lambda size: [TABLE])
    assert judge_all(tmp_path / "all", **words)[0] == first[0]
    assert asked == []
    assert (tmp_path / "all" / "index.html").exists()
    with pytest.raises(ValueError, match="another size, protocol or number of patients"):
        judge_all(tmp_path / "all", **{**words, "patients": 121})
