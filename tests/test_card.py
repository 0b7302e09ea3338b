"""Cards and tables: facts are checked where they are written, and names are told with the nearest."""

import pytest
import yaml
from pydantic import ValidationError

from trabecula.card import (
    CohortCard,
    Published,
    PublishedSplit,
    SystemCard,
    cohort_card,
    cohort_ids,
    read_card,
    system_card,
    system_ids,
)
from trabecula.target import ROLES, TARGETS, VARIABLES, get_target, unknown

FACTS = {
    "id": "toy", "number": 1, "title": "t", "authors": ["a"], "year": 2020, "venue": "v", "link": "https://example.org",
    "section": "classification", "modalities": ["xray"], "anatomies": ["knee"], "families": ["cnn"], "task": "t",
    "targets": ["osteoporosis_dxa"], "inputs": {"images": ["knee_xray"]}, "fidelity": "faithful", "essence": ["e"],
}  # fmt: skip


@pytest.mark.parametrize("id_", system_ids())
def test_every_card_is_valid_and_whole(id_):
    card = system_card(id_)
    assert card.id == id_
    assert card.weaknesses
    if card.role == "system":
        assert card.facts
        assert card.sources


@pytest.mark.parametrize("id_", cohort_ids())
def test_every_cohort_says_where_its_labels_come_from(id_):
    card = cohort_card(id_)
    assert card.id == id_
    assert card.truth
    assert card.licence


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"targets": ["osteoporosis_dx"]}, "did you mean osteoporosis_dxa"),
        ({"targets": []}, "at least 1"),
        ({"inputs": {"images": ["knee"]}}, "did you mean knee_xray"),
        ({"inputs": {"images": ["bone"]}}, "no image role"),
        ({"inputs": {"table": ["age"]}}, "did you mean age_years"),
        ({"inputs": {"images": ["knee_xray"], "optional": ["age_years"]}}, "not among the inputs"),
        ({"inputs": {"groups": ["site"]}}, "only a baseline may ask for groups"),
        ({"inputs": {"table": ["t_score_lowest"]}}, "define a target"),
        ({"number": None}, "has its number in the survey"),
        ({"role": "baseline"}, "a baseline has none"),
        ({"families": ["magic"]}, "families"),
        ({"colour": "blue"}, "Extra inputs"),
        ({"essence": []}, "at least 1"),
    ],
)
def test_wrong_facts_are_refused(wrong, said):
    with pytest.raises(ValidationError, match=said):
        SystemCard.model_validate({**FACTS, **wrong})


def test_a_figure_lies_inside_its_interval():
    Published(metric="auc", value=0.8, low=0.7, high=0.9, set="test", origin="read")
    with pytest.raises(ValidationError, match="misprint"):
        Published(metric="auc", value=0.95, low=0.7, high=0.9, set="test", origin="read")


@pytest.mark.parametrize(
    "facts",
    [
        {"kind": "holdout"},
        {"kind": "kfold"},
        {"kind": "kfold", "folds": 5, "test_share": 0.2},
        {"kind": "holdout", "test_share": 0.2, "folds": 5},
    ],
)
def test_a_published_split_is_one_or_the_other(facts):
    with pytest.raises(ValidationError, match="a hold-out has a test_share, a k-fold has folds"):
        PublishedSplit(unit="image", note="", origin="read", **facts)


def test_a_wrong_file_is_named_with_the_field(tmp_path):
    path = tmp_path / "card.yaml"
    path.write_text(yaml.safe_dump({**FACTS, "year": "soon"}))
    with pytest.raises(ValueError, match=r"card\.yaml: year: Input should be a valid integer"):
        read_card(path, SystemCard)
    path.write_text("id: [unclosed")
    with pytest.raises(ValueError, match=r"card\.yaml: not valid YAML"):
        read_card(path, CohortCard)
    path.write_text("")
    with pytest.raises(ValueError, match=r"card\.yaml"):
        read_card(path, CohortCard)


def test_unknown_ids_come_with_the_nearest():
    with pytest.raises(KeyError, match="did you mean nam2019_lumbar_hu"):
        system_card("nam2019_lumbar")
    with pytest.raises(KeyError, match="did you mean phantom_knee_xray"):
        cohort_card("phantom_knee")
    with pytest.raises(KeyError, match="did you mean past_fracture"):
        get_target("past_fractur")


def test_unknown_says_the_nearest_or_what_there_is():
    assert unknown("fold", "thre", ["three", "four"]) == "no fold is called 'thre'; did you mean three?"
    assert unknown("fold", "xyz", ["b", "a"]) == "no fold is called 'xyz'; known: a, b"
    assert unknown("fold", "xyz", [f"{i:02}" for i in range(20)]).endswith("11 ...")


def test_the_tables_agree_with_themselves():
    for table in (TARGETS, ROLES, VARIABLES):
        assert all(id_ == row.id for id_, row in table.items())
    for row in TARGETS.values():
        assert bool(row.grades) == row.classifies
        assert len(row.grades) == 2 or row.kind != "binary"
        assert len(row.grades) > 2 or row.kind != "ordinal"
        assert set(row.defined_by) <= set(VARIABLES), row.id
    for row in VARIABLES.values():
        assert row.codes or (row.low is not None and row.low < row.high), row.id
