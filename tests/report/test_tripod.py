"""TRIPOD+AI: all 52 parts in order, nothing answered that the run cannot know."""

import pytest

from tests.report.told import alone, knee, mixed
from trabecula.report.page import page
from trabecula.report.tripod import checklist


def by_number(told):
    return {item.number: item for item in checklist(told)}


def test_all_parts_of_the_statement_are_there_in_order():
    numbers = [item.number for item in checklist(knee())]
    assert len(numbers) == len(set(numbers)) == 52
    mains = [int("".join(c for c in number if c.isdigit())) for number in numbers]
    assert mains == sorted(mains)
    assert set(mains) == set(range(1, 28))


@pytest.mark.parametrize("told", [knee(), mixed(), alone()])
def test_what_is_open_says_nothing_and_the_rest_says_something(told):
    for item in checklist(told):
        assert (item.status == "open") == (item.answer == ""), item.number


def test_what_only_authors_know_stays_open():
    found = by_number(knee())
    for number in ("2", "3a", "3b", "3c", "18a", "18b", "18c", "18d", "19", "25", "27c"):
        assert found[number].status == "open"


def test_a_made_cohort_needs_no_ethics_and_a_real_one_does():
    told = knee()
    assert by_number(told)["17"].status == "does not apply"
    told["cohort"]["card"]["made"] = False
    found = by_number(told)
    assert {found[number].status for number in ("6c", "8b", "8c", "17")} == {"open"}
    assert found["18e"].status == "in part"


def test_figures_are_those_of_the_report():
    told = knee()
    found = by_number(told)
    best = told["results"][0]
    assert f"{best['metrics']['auc']['value']:.2f}" in found["23a"].answer
    assert told["protocol"]["rule"] in found["12c"].answer
    assert "age_years 7" in found["11"].answer
    assert told["cohort"]["checksum"] in found["18e"].answer
    silent = next(each for each in told["results"] if each["abstained"]["patients"] and each["role"] == "system")
    assert f"{silent['patients'] - silent['abstained']['patients']} of {silent['patients']}" in found["21"].answer


def test_judging_elsewhere_is_not_called_internal():
    told = knee()
    told["protocol"]["name"] = "external"
    assert by_number(told)["16"].status == "open"


def test_the_page_shows_the_checklist_and_who_the_patients_are():
    html = page(knee())
    assert html.count("status-open") >= 12
    assert "65.2 ± 9.4" in html or "65.3 ± 9.4" in html
    assert "missing in 12" in html
