"""Plots: valid SVG, the same bytes each time, text that stays text, and marks where the numbers say."""

import re
from xml.etree import ElementTree

import matplotlib
import pytest

from tests.report import told as given
from trabecula.report import plots

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def results():
    return given.knee()["results"]


@pytest.fixture(scope="module")
def drawn(results):
    honest = [each for each in results if each["role"] != "as_published"]
    return {
        "wide": plots.forest(results), "narrow": plots.forest(results, narrow=True), "roc": plots.roc(honest),
        "calibration": plots.calibration(honest[0], plots.looks(honest)[honest[0]["system"]]),
    }  # fmt: skip


def texts(svg):
    return [element.text for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_every_plot_is_an_image_with_a_title_a_description_and_text(drawn):
    for name, svg in drawn.items():
        root = ElementTree.fromstring(svg)
        assert root.get("role") == "img", name
        assert root.get("aria-label") == root.find(f"{SVG}title").text
        assert root.find(f"{SVG}desc").text
        assert texts(svg)
        assert len(svg) < 40_000


def test_the_same_numbers_give_the_same_bytes_and_leave_the_style_of_others_alone(results, drawn):
    before = dict(matplotlib.rcParams)
    assert plots.forest(results) == drawn["wide"]
    assert dict(matplotlib.rcParams) == before


def test_a_forest_names_every_result_with_its_figure(results, drawn):
    told = texts(drawn["wide"])
    assert "Muhammad 2025 hybrid attention" in told
    assert "age sex BMI" in told
    assert "under the papers’ own splits:" in told
    figures = [text for text in told if re.fullmatch(r"[\d.]+ \([\d.]+ to [\d.]+\)", text or "")]
    assert len(figures) == len(results)


def test_a_better_figure_stands_further_right(results):
    """Read the middle marks back from the drawing."""
    svg = plots.forest([each for each in results if each["role"] == "system"])
    root = ElementTree.fromstring(svg)
    places = [float(use.get("x")) for group in root.iter(f"{SVG}g") if "clip-path" in group.attrib for use in group]
    values = [each["metrics"]["auc"]["value"] for each in results if each["role"] == "system"]
    assert len(places) == len(values) == 3
    assert places == sorted(places, reverse=True)
    ratio = (places[0] - places[1]) / (places[0] - places[2])
    assert ratio == pytest.approx((values[0] - values[1]) / (values[0] - values[2]), abs=0.01)


def test_systems_have_colours_of_their_own_and_baselines_are_grey(results, drawn):
    looks = plots.looks(results)
    assert len(set(looks.values())) >= 6, "three systems, and greys of at least three dashes"
    assert {colour for name, (colour, _) in looks.items() if not name.startswith("baseline")} == set(plots.SERIES[:3])
    assert len({colour for name, (colour, _) in looks.items() if name.startswith("baseline")}) == 1
    assert all(f"var(--s{place}, " in drawn["roc"] for place in (1, 2, 3))
    baselines = plots.forest([each for each in results if each["role"] == "baseline"])
    assert "var(--faint, " in baselines
    assert "var(--s1, " not in baselines


def test_looks_tell_twenty_four_systems_apart(results):
    many = [{**results[0], "system": f"author{2000 + i}_x"} for i in range(30)]
    looks = plots.looks(many)
    assert len(looks) == 30
    assert len(set(list(looks.values())[:24])) == 24
    assert plots.forest(many)


def test_ids_of_two_plots_never_meet(drawn):
    ids = [id_ for svg in drawn.values() for id_ in re.findall(r' id="([^"]+)"', svg)]
    assert ids
    assert len(ids) == len(set(ids))
    for svg in drawn.values():
        used = set(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", svg))
        assert used == set(re.findall(r' id="([^"]+)"', svg))


def test_hostile_names_are_drawn_as_text(results):
    hostile = [{**results[0], "system": given.HOSTILE}, {**results[1], "system": "a$b$c\x00骨"}]
    svg = plots.forest(hostile) + plots.roc(hostile)
    assert "<script" not in svg
    assert "&lt;script&gt;" in svg


def test_a_figure_that_is_null_is_said_and_not_drawn(results):
    lost = {**results[0], "metrics": {"auc": {"value": None, "low": None, "high": None}}}
    assert "not computable" in texts(plots.forest([lost, results[1]]))
    assert "not computable" in texts(plots.forest([{**lost, "metrics": {}}]))


def test_what_has_no_curve_is_not_drawn(results):
    bare = {**results[0], "curves": {}}
    assert plots.roc([bare]) == ""
    assert plots.calibration(bare) == ""
    constant = next(each for each in results if each["system"] == "baseline_prevalence")
    assert plots.calibration(constant) == ""


def test_figures_by_number_of_labels_are_drawn_in_any_metric_that_is_there():
    ordinal = next(each for each in given.mixed()["results"] if each["headline_metric"] == "quadratic_kappa")
    few = [
        {**ordinal, "system": f"a:shots={shots}", "labels": {"asked": f"shots={shots}", "patients": 3 * shots}}
        for shots in (1, 10)
    ]
    kappa, accuracy = plots.learning(few), plots.learning(few, "accuracy")
    assert "quadratic kappa" in texts(kappa)
    assert "accuracy" in texts(accuracy)
    assert f"30 labels: {ordinal['metrics']['accuracy']['value']:.2f}" in accuracy
    assert plots.learning(few, "brier") == plots.learning([]) == ""
