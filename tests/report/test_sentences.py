"""Sentences follow from the numbers: each is asked with numbers on both sides of its line."""

import pytest

from tests.report import told as given
from trabecula.report import sentences, words

KNEE = given.KNEE


@pytest.fixture(scope="module")
def knee():
    return given.knee()


def difference(value, low, high, *, metric="auc", role="baseline"):
    return {"against": "baseline_acquisition", "role": role, "metric": metric, "patients": 9,
            "value": value, "low": low, "high": high}  # fmt: skip


@pytest.mark.parametrize(
    ("interval", "metric", "stands", "word"),
    [
        ((0.05, 0.01, 0.13), "auc", "ahead", "ahead of the acquisition baseline by 0.05 (0.01 to 0.13) in AUC"),
        ((0.05, -0.03, 0.13), "auc", "level", "the interval includes zero, so these data do not show"),
        ((-0.05, -0.13, 0.03), "auc", "level", "behind the acquisition baseline by 0.05 (−0.03 to 0.13)"),
        ((-0.05, -0.13, -0.01), "auc", "behind", "the rival is better"),
        ((-3.0, -5.0, -1.0), "mae", "ahead", "by 3.00 (1.00 to 5.00) in mean absolute error"),
        ((3.0, 1.0, 5.0), "mae", "behind", "behind the acquisition baseline by 3.00 (1.00 to 5.00)"),
        ((0.2, 0.2, 0.2), "auc", "unknown", "too few patients in a fold"),
        ((None, None, None), "auc", "unknown", "no figure on both"),
    ],
)
def test_a_comparison_reads_as_its_interval_says(interval, metric, stands, word):
    pair = difference(*interval, metric=metric)
    said = sentences.comparison("kong2020_catboost", pair, "9 patients")
    assert sentences.standing(pair) == stands
    assert word in said.text
    assert said.text.startswith("Kong 2020 catboost")


def test_only_an_interval_off_zero_is_called_ahead():
    for low in (-0.02, -0.0001, 0.0001, 0.02):
        said = sentences.comparison("kong2020_catboost", difference(0.1, low, 0.2), "9 patients")
        assert (said.level == "good") == (low > 0) == ("excludes zero" in said.text)
        assert words.interval_only({"value": 0.1, "low": low, "high": 0.2}) in said.text


def test_the_verdict_names_the_best_system_and_the_baselines_it_does_not_beat(knee):
    said = sentences.verdict(knee, KNEE)
    assert said.title == (
        "Muhammad 2025 hybrid attention ranks first of 3 systems, but is not shown to be better than the "
        "acquisition baseline"
    )
    assert said.level == "caution"
    assert said.figure in said.text
    assert "It is ahead of Sultana 2025 swin knee" in said.text


def test_the_verdict_praises_only_without_a_strong_shortcut(knee):
    told = given.copied(knee)
    best = told["results"][0]
    for each in best["differences"]:
        each |= {"value": 0.2, "low": 0.1, "high": 0.3}
    said = sentences.verdict(told, KNEE)
    assert said.level == "alarm"
    assert said.title.endswith("is ahead of every baseline, but acquisition facts alone may explain it")
    told["cohort"]["findings"]["shortcut"] = {"auc": 0.52, "low": 0.45, "high": 0.58, "features": []}
    said = sentences.verdict(told, KNEE)
    assert said.level == "good"
    assert said.title.endswith("ranks first of 3 systems and is ahead of every baseline")


def test_a_baseline_that_ranks_above_every_system_is_the_headline(knee):
    told = given.copied(knee)
    baseline = next(each for each in told["results"] if each["system"] == "baseline_acquisition")
    baseline["metrics"]["auc"] = {"value": 0.99, "low": 0.98, "high": 1.0}
    told["results"].remove(baseline)
    told["results"].insert(0, baseline)
    said = sentences.verdict(told, KNEE)
    assert said.title == "No system ranks above the acquisition baseline"
    assert said.level == "alarm"


def test_a_system_without_baselines_is_not_praised():
    said = sentences.verdict(given.alone(n=60), "osteoporosis_dxa")
    assert said.title == "Kong 2020 catboost, with no baseline beside it"
    assert said.level == "caution"
    assert "nothing here says whether a simpler rule would do as well" in said.text


def test_a_report_without_a_figure_has_no_winner():
    told = given.alone()
    told["results"][0]["metrics"] = {}
    assert sentences.verdict(told, "osteoporosis_dxa").level == "alarm"


@pytest.mark.parametrize(
    ("figure", "level", "word"),
    [
        ((0.81, 0.75, 0.87), "alarm", "can learn the scanner instead of the bone"),
        ((0.62, 0.55, 0.69), "caution", "better than chance"),
        ((0.53, 0.45, 0.61), "plain", "up to 0.61 is not excluded"),
        ((None, None, None), "caution", "cannot be excluded"),
    ],
)
def test_a_shortcut_is_as_loud_as_its_lower_bound(knee, figure, level, word):
    told = given.copied(knee)
    told["cohort"]["findings"]["shortcut"] = dict(zip(("auc", "low", "high"), figure, strict=True))
    said = sentences.shortcut(told, KNEE)
    assert said.level == level
    assert word in said.text
    assert figure[0] is None or words.number(figure[0]) in said.figure


def test_the_acquisition_baseline_stands_in_where_the_check_did_not_measure(knee):
    told = given.copied(knee)
    del told["cohort"]["findings"]["shortcut"]
    measured = next(e for e in told["results"] if e["system"] == "baseline_acquisition")["metrics"]["auc"]
    said = sentences.shortcut(told, KNEE)
    assert said.level == "alarm"
    assert said.figure == f"AUC {words.with_interval(measured)}"
    told["results"] = [each for each in told["results"] if each["role"] == "system"]
    assert sentences.shortcut(told, KNEE).title == "Shortcut not examined"
    told["cohort"]["card"]["images"] = []
    assert sentences.shortcut(told, KNEE) is None


def test_a_shortcut_measured_for_another_target_is_not_told_of_this_one(knee):
    told = given.copied(knee)
    told["cohort"]["findings"]["shortcut"]["target"] = "past_fracture"
    assert sentences.shortcut(told, KNEE).figure != sentences.shortcut(knee, KNEE).figure
    assert "mostly columns and rows" in sentences.shortcut(knee, KNEE).text


def test_flags_stand_worst_first_and_each_for_a_reason(knee):
    flags = sentences.belief(knee, KNEE)
    levels = [each.level for each in flags]
    assert levels == sorted(levels, key=["alarm", "caution", "plain", "good"].index)
    titles = {each.title for each in flags}
    assert {"Strong shortcut", "Not the published size", "Small sample", "Abstentions", "Data resolved"} <= titles
    assert "Target replaced" not in titles
    assert "Circular target" not in titles
    told = given.mixed()
    titles = {each.title for each in sentences.belief(told, sentences.headline_target(told))}
    assert {"Target replaced", "Circular target", "Rebuilt, not original", "Shortcut not examined"} <= titles


def test_a_report_in_order_has_few_flags(knee):
    told = given.copied(knee)
    for each in told["results"]:
        each |= {"size": "paper", "fidelity": "faithful", "abstained": {"patients": 0, "share": 0.0, "reasons": {}}}
    told["cohort"]["findings"] |= {"duplicates": [], "conflicts": [], "shortcut": {"auc": 0.5, "low": 0.4, "high": 0.6}}
    for entry in told["cohort"]["prevalence"][KNEE].values():
        entry["cases"] = 300
    flags = sentences.belief(told, KNEE)
    assert {each.title for each in flags} == {"No shortcut shown", "Sample", "Conditional on the fitted models"}


def test_intervals_without_width_are_said_to_be_none():
    told = given.alone()
    figure = told["results"][0]["metrics"]["auc"]
    assert figure["low"] == figure["high"], "one patient of a class in every fold"
    assert sentences.no_width(told["results"]).level == "alarm"
    assert sentences.no_width(given.alone(n=90)["results"]) is None


def test_unknown_patients_are_counted_as_pictures(knee):
    assert sentences.unit(knee, 1) == "1 patient"
    told = given.copied(knee)
    told["protocol"]["unit"] = "picture, duplicates grouped"
    assert sentences.unit(told, 3) == "3 pictures"
    assert "both sides of a split" in sentences.unknown_patients(told).text
    assert sentences.unknown_patients(knee) is None


@pytest.mark.parametrize(("copies", "level", "word"), [(14, "alarm", "14 have a copy"), (0, "plain", "none has")])
def test_leakage_is_loud_where_a_copy_was_learned_from(knee, copies, level, word):
    published = next(each for each in knee["results"] if each["role"] == "as_published")
    honest = next(e for e in knee["results"] if e["system"] == published["system"] and e["role"] == "system")
    said = sentences.leakage({**published, "leak": {"judged": 72, "copy_in_training": copies}}, honest)
    assert said.level == level
    assert word in said.text
    assert "a hold-out of 19\N{NO-BREAK SPACE}% by image" in said.text
    assert said.figure == f"{copies} of 72"


@pytest.mark.parametrize(
    ("figure", "told"),
    [
        ((0.8125, 0.7, 0.9), "0.81 (0.70 to 0.90)"),
        ((0.12, 0.004, 0.2), "0.120 (0.004 to 0.200)"),
        ((0.8125, 0.806, 0.819), "0.812 (0.806 to 0.819)"),
        ((148.2, 140.1, 155.0), "148 (140 to 155)"),
        ((-0.05, -0.1, 0.0), "−0.05 (−0.10 to 0.00)"),
        ((0.1875, 0.1875, 0.18750001), "0.19 (0.19 to 0.19)"),
        ((None, None, None), "not computable"),
    ],
)
def test_figures_have_decimals_that_keep_them_true(figure, told):
    assert words.with_interval(dict(zip(("value", "low", "high"), figure, strict=True))) == told


def test_names_shares_and_durations_read_as_people_say_them():
    assert words.system_name("kong2020_catboost") == "Kong 2020 catboost"
    assert words.system_name("baseline_age_sex_bmi") == "age sex BMI"
    assert [words.share(x) for x in (0, 0.0004, 0.07, 0.9999, 1)] == [
        "0\N{NO-BREAK SPACE}%", "below 0.1\N{NO-BREAK SPACE}%", "7\N{NO-BREAK SPACE}%",
        "above 99.9\N{NO-BREAK SPACE}%", "100\N{NO-BREAK SPACE}%",
    ]  # fmt: skip
    assert [words.seconds(x) for x in (4.12, 200, 7500)] == ["4.1 s", "3 min 20 s", "2 h 05 min"]
    assert words.counted(1, "group of duplicates", "groups of duplicates") == "1 group of duplicates"
