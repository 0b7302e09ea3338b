"""Reference tables: marks are never lost, and cuts fall on the published side."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trabecula.reference import BMD_BY_AGE, REFERENCES, genant_grade, ost, t_score, who_class


def test_every_row_names_its_source_and_population():
    assert all(row.source and row.population and row.unit for row in REFERENCES.values())
    assert all(id_ == row.id for id_, row in REFERENCES.items())


def test_a_figure_is_never_quoted_without_its_mark():
    for row in REFERENCES.values():
        assert ("recalled and not checked" in row.quoted) == (row.mark == "recall")
        assert ("second-hand" in row.quoted) == (row.mark == "second-hand")
    assert REFERENCES["femoral_neck"].quoted.startswith("0.858 +- 0.12 g/cm2 (NHANES III")
    assert "recalled" in REFERENCES["total_hip"].quoted


def test_the_cut_itself_is_osteoporosis():
    # 0.858 - 2.5 * 0.120 = 0.558 g/cm2 by hand; in floating point the quotient is -2.4999999999999996.
    assert t_score(0.558, "femoral_neck", sex="female") == -2.5
    assert t_score(0.738, "femoral_neck", sex="male") == -1.0
    assert t_score(0.942, "total_hip", sex="female") == 0
    assert who_class(-2.5, sex="female", age_years=66) == "osteoporosis"
    assert who_class(-2.4999, sex="male", age_years=50) == "osteopenia"
    assert who_class(-1.0, sex="female", age_years=66) == "normal"


def test_no_class_outside_the_population():
    with pytest.raises(ValueError, match="Z-score"):
        who_class(-3, sex="male", age_years=49)
    with pytest.raises(ValueError, match="before the menopause"):
        who_class(-3, sex="female", age_years=51, postmenopausal=False)
    assert who_class(-3, sex="female", age_years=45, postmenopausal=True) == "osteoporosis"
    with pytest.raises(ValueError, match="numbers"):
        who_class(float("nan"), sex="female", age_years=70)


def test_no_t_score_without_site_or_sex():
    with pytest.raises(ValueError, match="device"):
        t_score(0.9, "lumbar", sex="female")
    with pytest.raises(ValueError, match="sex"):
        t_score(0.9, "femoral_neck", sex="")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="g/cm2"):
        t_score(-0.9, "femoral_neck", sex="female")


def test_grades_change_at_their_cuts():
    losses = (0, 0.199, 0.20, 0.249, 0.25, 0.399, 0.40, 1)
    assert [genant_grade(loss) for loss in losses] == [0, 0, 1, 1, 2, 2, 3, 3]
    with pytest.raises(ValueError, match="between 0 and 1"):
        genant_grade(20)


def test_ost_by_hand():
    assert ost(70, 60) == pytest.approx(2.0)  # at the cut for women: not below it
    assert ost(52, 76) == pytest.approx(-4.8)


PUBLISHED = {  # mean by decade from the twenties on, of "NHANES (reference values)" in PMC12995607, table 3
    ("lumbar", "male"): (1.057, 1.042, 1.051, 1.053, 1.070), ("lumbar", "female"): (1.064, 1.065, 1.056, 0.993, 0.952),
    ("total_hip", "male"): (1.067, 1.029, 1.040, 1.015, 0.997, 0.961),
}  # fmt: skip


@pytest.mark.parametrize(("site", "sex"), PUBLISHED)
def test_means_by_age_are_those_published_from_the_same_survey(site, sex):
    """Another two years of it were among those published: within 2 %."""
    assert BMD_BY_AGE[site, sex].means == pytest.approx(PUBLISHED[site, sex], rel=0.02)


def test_means_by_age_are_those_of_the_survey():
    place = Path(__file__).parents[2] / "shared" / "data" / "nhanes_2007_2008"
    if not place.is_dir():
        pytest.skip(f"the public set is not at {place}")
    (table,) = place.glob("*.csv")
    people = pd.read_csv(table)
    columns = {"femoral_neck": "DXXNKBMD", "total_hip": "DXXOFBMD", "lumbar": "DXXOSBMD"}
    for (site, sex), row in BMD_BY_AGE.items():
        mine = people[(people["RIAGENDR"] == (2 if sex == "female" else 1)) & people[columns[site]].notna()]
        for age, mean, sd in zip(row.ages, row.means, row.sds, strict=True):
            decade = mine[(mine["RIDAGEYR"] >= age - 5) & (mine["RIDAGEYR"] < age + 5)]
            values, weights = decade[columns[site]].to_numpy(), decade["WTMEC2YR"].to_numpy()
            centre = np.average(values, weights=weights)
            spread = np.sqrt(np.average((values - centre) ** 2, weights=weights))
            assert (mean, sd) == pytest.approx((centre, spread), abs=6e-4), (site, sex, age)
