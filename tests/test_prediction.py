"""Predictions: a closed set, none of which can hold nonsense."""

import json
import math

import numpy as np
import pytest

from trabecula.image import Image
from trabecula.prediction import Abstain, Grades, LabelMap, Probability, Survival, Value, fits, graded, score, to_json
from trabecula.target import TARGETS, get_target

NAN, INF = math.nan, math.inf
LABELS = LabelMap(Image(voxels=np.array([[[0, 1, 1, 4]]]), unit="label", names={1: "L1"}))
ONE_OF_EACH = {
    "binary": Probability(0.3),
    "ordinal": Grades((0.2, 0.3, 0.5)),
    "value": Value(-2.5),
    "time_to_event": Survival((1, 5), {"event": (0.1, 0.3)}),
    "label_map": LABELS,
}
ROWS = {
    kind: next(row for row in TARGETS.values() if row.kind == kind and len(row.grades) in (0, 2, 3))
    for kind in ONE_OF_EACH
}


@pytest.mark.parametrize("p", [NAN, INF, -0.001, 1.001])
def test_a_probability_lies_between_0_and_1(p):
    with pytest.raises(ValueError, match="between 0 and 1"):
        Probability(p)
    assert (Probability(np.float32(0)).p, Probability(1).p) == (0.0, 1.0)


@pytest.mark.parametrize("p", [(), (1.0,), (0.5, 0.6), (0.5, 0.4), (-0.1, 1.1), (NAN, 1.0), (0.5, NAN), (INF, 0.0)])
def test_grades_are_probabilities_that_add_up(p):
    with pytest.raises(ValueError, match="add up to 1"):
        Grades(p)


def test_the_most_likely_grade():
    assert Grades((0.2, 0.5, 0.3)).most_likely == 1


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ((NAN,), "finite"), ((INF,), "finite"), ((1.0, 0.0), "both ends"), ((1.0, None, 2.0), "both ends"),
        ((1.0, 2.0, 3.0), "outside"), ((1.0, NAN, 3.0), "outside"), ((1.0, 0.0, 0.5), "outside"),
    ],
)  # fmt: skip
def test_a_value_is_finite_and_inside_its_interval(fields, said):
    with pytest.raises(ValueError, match=said):
        Value(*fields)


@pytest.mark.parametrize(
    ("years", "incidence", "said"),
    [
        ((), {"event": ()}, "rise"),
        ((2, 1), {"event": (0, 0)}, "rise"),
        ((1, 1), {"event": (0, 0)}, "rise"),
        ((-1, 1), {"event": (0, 0)}, "rise"),
        ((NAN,), {"event": (0,)}, "rise"),
        ((1, NAN), {"event": (0, 0)}, "rise"),
        ((1, INF), {"event": (0, 0)}, "rise"),
        ((1, 2), {}, "at least one cause"),
        ((1, 2), {"event": (0.1,)}, "one incidence a year"),
        ((1, 2), {"event": (0.2, 0.1)}, "never falls"),
        ((1, 2), {"event": (-0.1, 0.1)}, "never falls"),
        ((1, 2), {"event": (0.1, NAN)}, "never falls"),
        ((1, 2), {"event": (0.1, 0.6), "death": (0.1, 0.6)}, "more than everybody"),
    ],
)
def test_incidence_rises_within_everybody(years, incidence, said):
    with pytest.raises(ValueError, match=said):
        Survival(years, incidence)


def test_incidence_is_read_off_between_years():
    curve = Survival((2, 4), {"event": (0.1, 0.3), "death": (0.2, 0.2)})
    assert curve.at(0) == 0
    assert curve.at(1) == pytest.approx(0.05)
    assert curve.at(3) == pytest.approx(0.2)
    assert curve.at(4, "death") == 0.2
    for years in (4.1, -1, NAN):
        with pytest.raises(ValueError, match="known from 0 up to 4"):
            curve.at(years)
    with pytest.raises(ValueError, match="no curve of 'fall'; there are event, death"):
        curve.at(1, "fall")


def test_a_label_map_holds_labels_and_an_abstention_a_reason():
    with pytest.raises(ValueError, match="label"):
        LabelMap(Image(voxels=np.zeros((1, 2, 2)), unit="HU"))
    with pytest.raises(ValueError, match="why"):
        Abstain("  ")


@pytest.mark.parametrize("kind", ONE_OF_EACH)
@pytest.mark.parametrize("answer", [*ONE_OF_EACH.values(), Abstain("no film")], ids=lambda a: type(a).__name__)
def test_only_the_kind_of_the_target_fits(kind, answer):
    if answer is ONE_OF_EACH[kind] or isinstance(answer, Abstain):
        fits(answer, ROWS[kind])
    else:
        with pytest.raises(TypeError, match=f"{ROWS[kind].id} is {kind}.*not {type(answer).__name__}"):
            fits(answer, ROWS[kind])


def test_the_number_of_grades_must_fit():
    with pytest.raises(ValueError, match="4 grades, the answer has 3"):
        fits(Grades((0.2, 0.3, 0.5)), get_target("genant_grade"))


def test_graded_follows_the_kind_of_the_target():
    assert graded(get_target("osteoporosis_dxa"), np.array([0.25, 0.75])) == Probability(0.75)
    assert graded(get_target("who_class_dxa"), np.array([0.2, 0.3, 0.5])) == Grades((0.2, 0.3, 0.5))
    with pytest.raises(TypeError, match="no grades"):
        graded(get_target("t_score_lowest"), np.array([0.5, 0.5]))
    with pytest.raises(ValueError, match="add up"):
        graded(get_target("osteoporosis_dxa"), np.array([0.5, 0.75]))


def test_the_score_ranks_answers():
    assert score(Probability(0.3)) == 0.3
    assert score(Grades((0.2, 0.3, 0.5))) == pytest.approx(0.3 + 2 * 0.5)
    assert score(Value(-2.5)) == -2.5
    assert score(Survival((1, 5), {"event": (0.1, 0.3)})) == 0.3
    assert math.isnan(score(Abstain("no film")))
    with pytest.raises(TypeError, match="not ranked"):
        score(LABELS)


def test_json_is_plain_and_strict():
    told = {kind: to_json(answer) for kind, answer in ONE_OF_EACH.items()}
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["binary"] == 0.3
    assert told["label_map"]["voxels"] == {"0": 1, "L1": 2, "4": 1}
    assert to_json(Value(1, 0, 2)) == {"value": 1, "low": 0, "high": 2}
    assert to_json(Abstain("no film")) == {"abstain": "no film"}
