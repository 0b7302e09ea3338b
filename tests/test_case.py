"""Cases: what is missing is absent, and what is handed over is what was asked for."""

import math

import numpy as np
import pytest

from trabecula.case import ANY_GROUP, Case, Event, Images
from trabecula.image import Image


def picture(level=0):
    return Image(voxels=np.full((1, 2, 2), level), unit="stored")


@pytest.fixture
def case():
    return Case(
        id="a",
        patient="p",
        part="L1",
        images=Images({"knee_xray": picture(1), "hip_xray": picture(2)}),
        masks=Images({"bone": picture(3)}),
        table={"age_years": 70.0, "sex": "female"},
        groups={"site": "x", "scanner": "y"},
        truth={"osteoporosis_dxa": 1, "t_score_lowest": -2.7},
        weight=3.0,
    )


@pytest.mark.parametrize("missing", [None, "", math.nan, np.float32("nan"), np.float64("nan")])
def test_missing_values_are_absent(missing):
    case = Case(id="a", patient="p", table={"age_years": missing, "sex": "male"}, truth={"t_score_lowest": missing})
    assert dict(case.table) == {"sex": "male"}
    assert not case.truth
    assert math.isnan(case.number("age_years"))
    assert case.lacks(["age_years", "sex"]) == ["age_years"]


def test_nought_is_not_missing():
    case = Case(id="a", patient="p", table={"smoking": 0.0, "diabetes": False}, truth={"osteoporosis_dxa": 0})
    assert case.number("smoking") == case.number("diabetes") == 0
    assert case.truth["osteoporosis_dxa"] == 0


def test_numbers_of_numpy_become_pythons():
    given = {"osteoporosis_dxa": np.int64(1), "t_score_lowest": np.float32(-2.5)}
    case = Case(id="a", patient="p", table={"age_years": np.float32(70), "smoking": np.bool_(True)}, truth=given)
    assert [type(value) for value in (*case.truth.values(), *case.table.values())] == [int, float, float, bool]


def test_a_code_is_no_number(case):
    with pytest.raises(ValueError, match="case a: sex is the code 'female'"):
        case.number("sex")


def test_only_what_is_named_is_handed_over(case):
    handed = case.only(images=("knee_xray", "hand_xray"), table=("age_years",), groups=("site",))
    assert list(handed.images) == ["knee_xray"]
    assert not handed.masks
    assert dict(handed.table) == {"age_years": 70.0}
    assert dict(handed.groups) == {"site": "x"}
    assert not handed.truth
    assert handed.weight == 1
    assert case.weight == 3
    assert dict(case.only(targets=("t_score_lowest",)).truth) == {"t_score_lowest": -2.7}
    assert dict(case.only(groups=(ANY_GROUP,)).groups) == {"site": "x", "scanner": "y"}
    assert not case.only().groups


def test_lacking_knows_images_masks_values_and_groups(case):
    assert not case.lacks(["knee_xray", "bone", "sex", "site", ANY_GROUP])
    assert case.lacks(["hand_xray", "psoas", "bmi_kg_m2", "date"]) == ["hand_xray", "psoas", "bmi_kg_m2", "date"]
    assert Case(id="a", patient="p").lacks([ANY_GROUP]) == [ANY_GROUP]


def test_images_are_decoded_when_asked_for_and_not_kept():
    class Counting:
        digest, loads = "x", 0

        def load(self):
            self.loads += 1
            return picture()

    source = Counting()
    images = Images({"knee_xray": source})
    assert "knee_xray" in images
    assert len(images.only(("knee_xray",))) == 1
    assert repr(images) == "Images(knee_xray)"
    assert images.source("knee_xray") is source
    assert source.loads == 0
    _ = images["knee_xray"], images["knee_xray"]
    assert source.loads == 2
    with pytest.raises(KeyError):
        _ = images["hip_xray"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"id": ""}, "id and a patient"),
        ({"patient": ""}, "id and a patient"),
        ({"weight": 0.0}, "case a.*positive"),
        ({"weight": -1.0}, "case a.*positive"),
        ({"weight": math.nan}, "case a.*positive"),
        ({"weight": math.inf}, "case a.*positive"),
    ],
)
def test_no_wrong_case_can_be_made(wrong, said):
    with pytest.raises(ValueError, match=said):
        Case(**{"id": "a", "patient": "p", **wrong})


@pytest.mark.parametrize(("years", "event"), [(-1, 1), (math.nan, 1), (math.inf, 0), (1, 3), (1, -1), (1, 0.5)])
def test_no_wrong_event_can_be_made(years, event):
    with pytest.raises(ValueError, match="years >= 0 and 0, 1 or 2"):
        Event(years, event)


def test_an_event_at_once_is_allowed():
    assert Event(0.0, 1).years == 0
