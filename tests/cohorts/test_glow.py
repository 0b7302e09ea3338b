"""GLOW500: read by its code sheet."""

from pathlib import Path

import pytest

from trabecula.cohort import open_cohort
from trabecula.cohorts.glow.cohort import read

DATA = Path(__file__).parents[3] / "shared" / "data"
COLUMNS = (
    "SUB_ID SITE_ID PHY_ID PRIORFRAC AGE WEIGHT HEIGHT BMI PREMENO MOMFRAC ARMASSIST SMOKE RATERISK FRACSCORE FRACTURE"
)
ROW = "7 5 305 1 77 55.2 158 22.1 0 1 1 0 3 9 1"


def written(folder, *rows):
    (folder / "GLOW500.txt").write_text("\n".join("\t".join(row.split()) for row in (COLUMNS, *rows)) + "\n")
    return folder


def test_a_row_by_the_code_sheet(tmp_path):
    (case,), notes = read(written(tmp_path, ROW))
    assert case.table == {
        "age_years": 77, "sex": "female", "weight_kg": 55.2, "height_cm": 158, "bmi_kg_m2": 22.1,
        "previous_fracture": 1, "premature_menopause": 0, "mother_hip_fracture": 1, "needs_arms_to_stand": 1,
        "smoking": 0, "self_rated_risk": "greater",
    }  # fmt: skip
    assert case.truth == {"first_year_fracture": 1}
    assert case.groups == {"site": "5", "physician": "305"}
    assert "FRACSCORE" in notes[0]


def test_errors_name_the_line(tmp_path):
    with pytest.raises(FileNotFoundError, match="GLOW500"):
        read(tmp_path)
    with pytest.raises(ValueError, match=r"line 3.*'4'"):
        read(written(tmp_path, ROW, ROW.replace(" 3 9 1", " 4 9 1")))
    (tmp_path / "GLOW500.txt").write_text("SUB_ID\tAGE\n1\t60\n")
    with pytest.raises(ValueError, match="PRIORFRAC"):
        read(tmp_path)


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the public set is not at {DATA}")
def test_the_real_file():
    glow = open_cohort("glow", data=DATA)
    assert len(glow.cases) == 500
    assert sum(case.truth["first_year_fracture"] for case in glow.cases) == 125
    assert all(set(case.table) == set(glow.card.table) for case in glow.cases)
    # BMI, height and weight are three columns of one woman: mixed-up columns or units would not agree.
    for case in glow.cases:
        metres = case.number("height_cm") / 100
        assert case.number("weight_kg") / metres**2 == pytest.approx(case.number("bmi_kg_m2"), rel=0.01)
