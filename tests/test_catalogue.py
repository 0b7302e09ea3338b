"""The catalogue: all forty, filtered by anything, in any format, and no fact that is not on a card or in its source."""

import csv
import io
import json
import math
import re
from pathlib import Path

import pytest
import yaml

from trabecula import catalogue
from trabecula.card import SystemCard, system_card, system_ids
from trabecula.target import TARGETS
from trabecula.terminal import Format, show_rows

SOURCES = Path(__file__).parents[2] / "shared" / "systems"
PUBLISHED = [id_ for id_ in system_ids() if system_card(id_).role == "system"]


def test_all_forty_are_there_by_number():
    cards = catalogue.systems()
    assert sorted(card.number for card in cards) == list(range(1, 41))
    assert [card.year for card in cards] == sorted(card.year for card in cards)
    assert {card.role for card in catalogue.systems(baselines=True)} == {"system", "baseline"}
    assert len({card.link for card in cards}) >= 39


def test_a_planned_system_has_a_card_and_no_code():
    for card in catalogue.systems():
        folder = Path(catalogue.__file__).parent / "systems" / card.id
        assert (folder / "__init__.py").exists()
        assert (card.status == "planned") == (not (folder / "system.py").exists())


@pytest.mark.parametrize(
    ("wanted", "holds"),
    [
        ({"modality": "dental"}, lambda c: "dental" in c.modalities),
        ({"family": "transformer"}, lambda c: "transformer" in c.families),
        ({"anatomy": "knee"}, lambda c: "knee" in c.anatomies),
        ({"section": "fracture_risk"}, lambda c: c.section == "fracture_risk"),
        ({"target": "osteoporosis_knee_label"}, lambda c: "osteoporosis_knee_label" in c.targets),
        ({"status": "planned"}, lambda c: c.status == "planned"),
        (
            {"modality": "xray", "family": "transformer"},
            lambda c: "xray" in c.modalities and "transformer" in c.families,
        ),
    ],
)
def test_filters_keep_exactly_what_holds(wanted, holds):
    found = catalogue.systems(wanted=wanted)
    assert found == [card for card in catalogue.systems() if holds(card)]
    assert found


def test_since_keeps_that_year():
    assert {card.year for card in catalogue.systems(since=2025)} == {2025}
    assert catalogue.systems(since=2100) == []


def test_filters_that_exclude_each_other_give_nothing_and_no_error():
    assert catalogue.systems(wanted={"modality": "dental", "family": "transformer"}) == []
    assert catalogue.systems(wanted={"family": "transformer", "modality": "dental"}) == []
    for status in ("planned", "faithful", "approximate", "reconstruction"):
        assert all(card.status == status for card in catalogue.systems(wanted={"status": status}))
    for target in TARGETS:
        assert all(target in card.targets for card in catalogue.systems(wanted={"target": target}))


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"modality": "xrai"}, "no modality is called 'xrai'; did you mean xray"),
        ({"family": "transformers"}, "did you mean transformer"),
        ({"anatomy": "kne"}, "did you mean knee"),
        ({"section": "fracture-risk"}, "did you mean fracture_risk"),
        ({"target": "past_fractur"}, "did you mean past_fracture"),
        ({"status": "plan"}, "planned"),
    ],
)
def test_unknown_words_come_with_the_nearest(wanted, said):
    with pytest.raises(KeyError, match=said):
        catalogue.systems(wanted=wanted)


def numbers(text):
    """Every number in a text; `1,200` and `48.2%` as such."""
    return {float(found.replace(",", "")) for found in re.findall(r"\d+(?:,\d{3})+(?:\.\d+)?|\d+\.\d+|\d+|\.\d+", text)}


@pytest.mark.skipif(not SOURCES.is_dir(), reason="the notes that the cards were made from are not beside the project")
@pytest.mark.parametrize("id_", PUBLISHED)
def test_every_published_figure_stands_in_the_notes(id_):
    card = system_card(id_)
    noted = numbers((SOURCES / f"{card.number:02}-{id_}.yaml").read_text(encoding="utf-8"))
    known = noted | {n / 100 for n in noted}
    for entry in card.published:
        for value in (entry.value, entry.low, entry.high):
            assert value is None or any(math.isclose(abs(value), n, abs_tol=1e-9) for n in known), (entry.metric, value)


@pytest.mark.skipif(not SOURCES.is_dir(), reason="the notes that the cards were made from are not beside the project")
@pytest.mark.parametrize("id_", PUBLISHED)
def test_year_and_link_are_those_of_the_notes(id_):
    card = system_card(id_)
    noted = yaml.safe_load((SOURCES / f"{card.number:02}-{id_}.yaml").read_text(encoding="utf-8"))
    assert (card.number, card.year, card.section) == (noted["number"], noted["year"], noted["section"])


@pytest.mark.parametrize("id_", PUBLISHED)
def test_a_page_tells_everything_on_the_card(id_):
    card, page = system_card(id_), catalogue.page(system_card(id_))
    for fact in card.facts:
        mark = {"read": "the paper's", "recall": "recalled, unchecked", "infer": "inferred", "default": "ours"}
        assert f"{fact.text} [{mark[fact.origin]}]" in page
    for told in (*card.weaknesses, *card.essence, *card.authors, card.title, card.link, card.status):
        assert told in page
    for entry in card.published:
        assert entry.metric in page
    for unknown in card.unknowns:
        assert unknown.item in page
        assert unknown.ours in page


def test_a_page_of_a_cohort():
    page = catalogue.page(catalogue.card("phantom_knee_xray"))
    assert "knee_xray" in page
    assert "Truth" in page
    with pytest.raises(ValueError, match="is a cohort: cite its source"):
        catalogue.bibtex(catalogue.card("phantom_knee_xray"))
    with pytest.raises(KeyError, match=r"no system or cohort .* did you mean phantom_knee_xray"):
        catalogue.card("phantom_knee")


def test_a_citation_has_balanced_braces_and_its_key():
    for id_ in PUBLISHED:
        entry = catalogue.bibtex(system_card(id_))
        assert entry.startswith(f"@misc{{{id_},")
        assert entry.count("{") == entry.count("}")


def test_every_row_reads_the_same_in_every_format(capsys):
    rows = catalogue.rows(catalogue.systems())
    show_rows(rows, Format.json)
    assert json.loads(capsys.readouterr().out) == rows
    show_rows(rows, Format.csv)
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [line["id"] for line in lines] == [row["id"] for row in rows]
    assert lines[0]["family"] == ", ".join(rows[0]["family"])
    show_rows(rows, Format.markdown)
    markdown = capsys.readouterr().out.splitlines()
    assert len(markdown) == 42
    assert len({line.count(" | ") for line in markdown}) == 1
    show_rows(rows, Format.table, title="40 systems")
    table = capsys.readouterr().out
    assert all(row["id"] in table for row in rows)
    show_rows([], Format.table, title="0 systems")
    assert capsys.readouterr().out == "0 systems\n"
    with pytest.raises(ValueError, match="cannot be printed as bibtex"):
        show_rows(rows, Format.bibtex)


def test_brackets_are_text_and_no_style(capsys):
    from trabecula.terminal import console

    console.print("pelvis [the paper's] [/oops] :bone:", highlight=False)
    show_rows([{"id": "[red]a[/red]"}], Format.table)
    out = capsys.readouterr().out
    assert "pelvis [the paper's] [/oops] :bone:" in out
    assert "[red]a[/red]" in out


def test_a_card_is_json_and_back():
    for id_ in system_ids():
        card = system_card(id_)
        assert SystemCard.model_validate_json(card.model_dump_json()) == card
