"""People: what one person has agrees with itself, and a shift of bone moves nothing that was drawn before."""

import dataclasses

import numpy as np
import pytest

from trabecula.phantom.chance import Chance
from trabecula.phantom.deformity import LEVELS
from trabecula.phantom.people import Skeleton, draw_columns, person
from trabecula.phantom.population import SITES
from trabecula.reference import genant_grade, who_class
from trabecula.target import VARIABLES


@pytest.mark.parametrize("kind", [False, True])
def test_a_persons_table_is_in_range_and_agrees_with_the_class(kind):
    for patient in range(400):
        drawn = person(patient, 2, enriched=kind)
        table = drawn.table
        for name, value in table.items():
            row = VARIABLES[name]
            assert value in row.codes if row.categorical else row.low <= value <= row.high, (name, value)
        assert table["t_score_lowest"] == min(table[f"t_score_{site}"] for site in SITES)
        assert table["weight_kg"] == pytest.approx(table["bmi_kg_m2"] * (table["height_cm"] / 100) ** 2, rel=0.02)
        facts = {"sex": table["sex"], "age_years": table["age_years"]}
        if table["sex"] == "female":
            facts["postmenopausal"] = bool(table["postmenopausal"])
        else:
            assert "menopause_age_years" not in table
        if drawn.who_class is None:
            with pytest.raises(ValueError, match="no WHO class"):
                who_class(table["t_score_lowest"], **facts)
        else:
            name = who_class(table["t_score_lowest"], **facts)
            assert str(name) == ("normal", "osteopenia", "osteoporosis")[drawn.who_class]


def test_a_shift_of_bone_moves_bone_and_nothing_that_was_drawn():
    usual, shifted = (person(7, 0, enriched=True, bone_shift=shift) for shift in (0.0, -1.0))
    assert shifted.table["bmd_femoral_neck_g_cm2"] == pytest.approx(usual.table["bmd_femoral_neck_g_cm2"] - 0.120)
    assert shifted.skeleton.trabecular == pytest.approx(usual.skeleton.trabecular - 1, abs=0.02)
    assert shifted.skeleton.lumbar_vbmd_mg_cm3 == pytest.approx(usual.skeleton.lumbar_vbmd_mg_cm3 - 29)
    assert shifted.skeleton.strength < usual.skeleton.strength - 0.8
    assert shifted.skeleton.marrow_fat == usual.skeleton.marrow_fat
    assert shifted.deformities == usual.deformities
    assert {name for name in usual.table if usual.table[name] != shifted.table[name]} <= {
        *(f"bmd_{site}_g_cm2" for site in SITES), *(f"t_score_{site}" for site in SITES), "t_score_lowest",
        "trabecular_bone_score",
    }  # fmt: skip
    assert shifted.outcomes["time_to_any_fracture"].years <= usual.outcomes["time_to_any_fracture"].years


def test_what_no_person_is_is_refused():
    with pytest.raises(ValueError, match="count from 0"):
        person(-1, 0, enriched=True)
    with pytest.raises(ValueError, match="of the femur"):
        person(0, 0, enriched=True, strength="bmi")


def test_columns_are_the_people_one_by_one():
    columns = draw_columns(Chance(3, np.arange(300)), enriched=True)
    for patient in (0, 150, 299):
        one = person(patient, 3, enriched=True)
        for name, value in dataclasses.asdict(one.skeleton).items():
            assert columns.skeleton[name][patient] == value
        years, event = columns.outcomes["hip"]
        assert one.outcomes["time_to_hip_fracture"].years == years[patient]
        assert one.outcomes["time_to_hip_fracture"].event == event[patient]
        losses = {
            LEVELS[level]: columns.height_loss[patient, level] for level in columns.height_loss[patient].nonzero()[0]
        }
        assert {each.level: each.loss for each in one.deformities} == losses


def test_the_first_fracture_is_no_later_than_any_kind():
    for patient in range(300):
        outcomes = person(patient, 4, enriched=True).outcomes
        first = outcomes["time_to_any_fracture"]
        for cause in ("hip", "vertebral"):
            one = outcomes[f"time_to_{cause}_fracture"]
            assert first.years <= one.years
            if one.event == 1:
                assert first.event == 1
        assert 0 < first.years <= 10
        assert first.event or first.years >= 2.5


def test_deformities_have_levels_and_grades():
    found = [each for patient in range(1000) for each in person(patient, 5, enriched=True).deformities]
    assert len(found) > 60
    assert {each.shape for each in found} == {"wedge", "biconcave", "crush"}
    assert {genant_grade(each.loss) for each in found} == {1, 2, 3}
    assert sum(each.level in {"T7", "T8", "T9", "T12", "L1"} for each in found) > 0.45 * len(found)


def test_every_truth_of_the_skeleton_is_possible():
    limits = {
        "femoral_neck_g_cm2": (0.15, 2.4), "total_hip_g_cm2": (0.15, 2.4), "lumbar_g_cm2": (0.15, 2.4),
        "lumbar_vbmd_mg_cm3": (5, 400), "hip_vbmd_mg_cm3": (10, 400), "marrow_fat": (0.05, 0.95),
        "hip_marrow_fat": (0.05, 0.97), "fat_mass_share": (0.05, 0.62), "psoas_cm2": (4, 60),
        "trabecular": (-9, 9), "cortical": (-9, 9), "wall": (-6, 6), "axial": (-6, 6), "strength": (-6, 6),
    }  # fmt: skip
    assert set(limits) == {field.name for field in dataclasses.fields(Skeleton)}
    for kind in (False, True):
        drawn = draw_columns(Chance(6, np.arange(20_000)), enriched=kind)
        for name, (low, high) in limits.items():
            assert low <= drawn.skeleton[name].min() <= drawn.skeleton[name].max() <= high, name
