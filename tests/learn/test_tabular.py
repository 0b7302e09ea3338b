"""Tables as numbers: what was learned in training stays what it was, and gaps are marked."""

import numpy as np
import pytest

from trabecula.case import Case
from trabecula.learn.tabular import encoded, feature_names, labelled, learned_columns, predictions, present
from trabecula.prediction import Grades, Probability
from trabecula.target import get_target


def people(*tables, truths=()):
    truths = [*truths, *[None] * (len(tables) - len(truths))]
    return [
        Case(id=str(n), patient=str(n), table=table, truth={} if truth is None else {"osteoporosis_dxa": truth})
        for n, (table, truth) in enumerate(zip(tables, truths, strict=True))
    ]


TRAIN = people(
    {"age_years": 50.0, "sex": "female"}, {"age_years": 60.0, "sex": "male", "bmi_kg_m2": 20.0},
    {"age_years": 70.0, "bmi_kg_m2": 30.0},
)  # fmt: skip
NAMES = ["age_years", "sex", "bmi_kg_m2"]


def test_numbers_are_scaled_gaps_filled_and_marked_and_codes_spread():
    columns = learned_columns(TRAIN, NAMES)
    assert feature_names(columns) == ["age_years", "sex", "sex", "bmi_kg_m2", "bmi_kg_m2"]
    x = encoded(TRAIN, columns)
    assert x[:, 0] == pytest.approx([-(1.5**0.5), 0, 1.5**0.5])  # SD of 50, 60, 70 is the root of 200/3
    assert x[:, 1:3].tolist() == [[1, 0], [0, 1], [0, 0]]
    assert x[0, 3] == pytest.approx(0)  # the median 25 is the mean of 20, 25 and 30
    assert x[:, 4].tolist() == [1, 0, 0]


def test_new_cases_are_read_by_what_training_was_like():
    columns = learned_columns(TRAIN, NAMES)
    alone = encoded(people({"age_years": 60.0, "sex": "unheard of"}), columns)
    assert alone[0].tolist() == pytest.approx([0, 0, 0, 0, 1])
    beside = encoded([*people({"age_years": 60.0, "sex": "unheard of"}), *TRAIN], columns)
    assert np.array_equal(alone[0], beside[0])


def test_a_constant_column_does_not_divide_by_nothing():
    constant = people({"age_years": 60.0}, {"age_years": 60.0})
    assert encoded(constant, learned_columns(constant, ["age_years"])).tolist() == [[0], [0]]


def test_present_and_labelled():
    cases = people({"age_years": 60.0}, {"sex": "male"}, truths=[1])
    assert present(cases, NAMES) == ["age_years", "sex"]
    known, grades = labelled(cases, get_target("osteoporosis_dxa"))
    assert (known, grades.tolist()) == (cases[:1], [1])


def test_predictions_put_each_class_at_its_grade():
    rows = np.array([[0.25, 0.75]])
    assert predictions(get_target("osteoporosis_dxa"), rows, [0, 1]) == [Probability(0.75)]
    assert predictions(get_target("who_class_dxa"), rows, [0, 2]) == [Grades((0.25, 0.0, 0.75))]
    with pytest.raises(TypeError, match="no grades"):
        predictions(get_target("bmd_lumbar"), np.zeros((1, 0)), [])
