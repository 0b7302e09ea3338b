"""Two reports side by side: paired where both judged the same patients in the same folds, and nowhere else."""

import pytest

from trabecula import evaluate, get_system
from trabecula.cohort import open_cohort
from trabecula.protocol import Protocol
from trabecula.report.beside import beside, beside_page

TARGET = ("osteoporosis_dxa",)


def report(*, n=60, seed=0, folds=3, **settings):
    cohort = open_cohort("phantom_fracture_table", n=n)
    system = get_system("kong2020_catboost", size="tiny", targets=TARGET, settings=settings)
    return evaluate([system], cohort, protocol=Protocol(folds=folds, seed=seed), jobs=1)


@pytest.fixture(scope="module")
def usual():
    return report()


def by_system(told):
    return {each["system"]: each for each in told["results"]}


def test_a_report_beside_itself_does_not_differ(usual):
    told = beside(usual, usual)
    assert told["same"] == {"data": True, "protocol": True, "versions": True}
    assert told["alone"] == [[], []]
    for each in told["results"]:
        assert (each["difference"]["value"], each["settings"]) == (0, {})
        assert (each["difference"]["low"], each["difference"]["high"]) == (0, 0)


def test_another_setting_is_compared_in_pairs_and_named(usual):
    other = report(depth=2)
    each = by_system(beside(usual, other))["kong2020_catboost"]
    first, second = (figure["value"] for figure in each["metrics"]["auc"])
    assert each["difference"]["value"] == pytest.approx(first - second)
    assert each["difference"]["low"] <= each["difference"]["value"] <= each["difference"]["high"]
    assert each["settings"]["depth"][1] == 2
    assert by_system(beside(other, usual))["kong2020_catboost"]["difference"]["value"] == pytest.approx(second - first)


@pytest.mark.parametrize("change", [{"n": 50}, {"seed": 1}, {"folds": 2}])
def test_other_patients_or_folds_are_not_compared(usual, change):
    told = beside(usual, report(**change))
    assert told["results"]
    assert all(each["difference"] is None for each in told["results"])
    assert told["same"]["data"] == ("n" not in change)


def test_what_only_one_has_is_named(usual):
    cohort = open_cohort("phantom_fracture_table", n=60)
    alone = evaluate([get_system("kong2020_catboost", size="tiny", targets=TARGET)], cohort, baselines=False, jobs=1,
                     protocol=Protocol(folds=3))  # fmt: skip
    told = beside(usual, alone)
    assert [each["system"] for each in told["results"]] == ["kong2020_catboost"]
    assert any("baseline_age_sex_bmi" in name for name in told["alone"][0])
    assert told["alone"][1] == []


def test_the_page_needs_nothing_else_and_says_what_is_compared(usual):
    html = beside_page(beside(usual, report(depth=2)))
    assert "The same patients, judged in the same way" in html
    assert "1 setting differ" in html
    assert "http://" not in html
    assert "https://" not in html
    assert "Different patients" in beside_page(beside(usual, report(n=50)))
