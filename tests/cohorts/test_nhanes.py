"""NHANES: codes of each variable, and the published national prevalences from the same people."""

import csv
from pathlib import Path

import numpy as np
import pytest

from trabecula.cohort import open_cohort
from trabecula.cohorts.nhanes.cohort import read
from trabecula.reference import t_score
from trabecula.survey import weighted_mean
from trabecula.target import VARIABLES

DATA = Path(__file__).parents[3] / "shared" / "data"
COLUMNS = (
    "SEQN WTMEC2YR SDMVSTRA SDMVPSU RIAGENDR RIDAGEYR RIDRETH1 OSQ010A OSQ010B OSQ010C OSQ130 OSQ170 OSQ200 SMQ020 "
    "SMQ040 DXXOFBMD DXXNKBMD DXXTRBMD DXXINBMD DXXWDBMD DXXOSBMD DXXL1BMD DXXL2BMD DXXL3BMD DXXL4BMD ALQ101 ALQ130 "
    "DIQ010 MCQ160A MCQ190 MCQ160C MCQ160L BMXBMI DBQ197 DBQ229 WHD010 WHD020 WHD110"
)
PLAIN = {
    "SEQN": "1", "WTMEC2YR": "1000.5", "SDMVSTRA": "59", "SDMVPSU": "2", "RIAGENDR": "2", "RIDAGEYR": "66",
    "OSQ010A": "2", "OSQ010B": "2", "OSQ010C": "2",
}  # fmt: skip


def one(tmp_path, **cells):
    """Read a file of one row with these cells; cells not named are empty."""
    row = dict.fromkeys(COLUMNS.split(), "") | PLAIN | cells
    with (tmp_path / "nhanes.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, row)
        writer.writeheader()
        writer.writerow(row)
    (case,), _ = read(tmp_path)
    return case


def test_units_and_codes(tmp_path):
    case = one(tmp_path, WHD010="64", WHD020="150", RIDRETH1="4", DXXNKBMD="0.7", DBQ229="3")
    assert case.table["height_cm"] == pytest.approx(162.56)
    assert case.table["weight_kg"] == pytest.approx(68.0388555)
    assert case.table["ethnicity"] == "black"
    assert case.table["milk_history"] == "varied"
    assert (case.weight, case.groups) == (1000.5, {"stratum": "59", "psu": "59-2"})


def test_refused_and_unknown_are_missing_by_variable(tmp_path):
    case = one(tmp_path, ALQ130="7", OSQ170="7", OSQ130="9", DBQ197="4", WHD010="7777", WHD020="9999", ALQ101="2")
    assert case.table["alcohol_drinks_day"] == 7  # seven drinks, not "refused"
    assert case.table["alcohol_12_drinks"] == 0
    lacking = ("mother_hip_fracture", "glucocorticoids", "milk_frequency", "height_cm", "weight_kg")
    assert not set(lacking) & set(case.table)
    assert "alcohol_drinks_day" not in one(tmp_path, ALQ130="777").table
    assert one(tmp_path, ALQ130="9").table["alcohol_drinks_day"] == 9


def test_follow_up_questions_are_read_with_the_question_before(tmp_path):
    assert one(tmp_path, SMQ020="2").table["smoking"] == 0
    assert one(tmp_path, SMQ020="1", SMQ040="2").table["smoking"] == 1
    assert one(tmp_path, SMQ020="1", SMQ040="3").table["smoking"] == 0
    assert "smoking" not in one(tmp_path, SMQ020="1", SMQ040="7").table
    assert one(tmp_path, MCQ160A="2").table["rheumatoid_arthritis"] == 0
    assert one(tmp_path, MCQ160A="1", MCQ190="1").table["rheumatoid_arthritis"] == 1
    assert "rheumatoid_arthritis" not in one(tmp_path, MCQ160A="1", MCQ190="9").table
    assert one(tmp_path, DIQ010="3").table["diabetes"] == 0


@pytest.mark.parametrize(
    ("answers", "truth"),
    [("222", 0), ("212", 1), ("912", 1), ("922", None), ("999", None)],
)
def test_truth_needs_a_fracture_or_three_denials(tmp_path, answers, truth):
    case = one(tmp_path, **dict(zip(("OSQ010A", "OSQ010B", "OSQ010C"), answers, strict=True)))
    assert case.truth.get("past_fracture") == truth


def test_lumbar_bmd_wants_two_vertebrae(tmp_path):
    assert one(tmp_path, DXXOSBMD="0.91", DXXL1BMD="0.5").table["bmd_lumbar_g_cm2"] == 0.91
    assert one(tmp_path, DXXL1BMD="0.8", DXXL3BMD="1.0").table["bmd_lumbar_g_cm2"] == pytest.approx(0.9)
    assert "bmd_lumbar_g_cm2" not in one(tmp_path, DXXL1BMD="0.8").table


def test_errors_name_file_and_column(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nhanes\.csv"):
        read(tmp_path)
    with pytest.raises(ValueError, match="row 2"):
        one(tmp_path, RIDAGEYR="old")
    (tmp_path / "nhanes.csv").write_text("SEQN,RIDAGEYR\n1,66\n")
    with pytest.raises(ValueError, match="WTMEC2YR"):
        read(tmp_path)


@pytest.fixture(scope="module")
def nhanes():
    if not DATA.is_dir():
        pytest.skip(f"the public set is not at {DATA}")
    return open_cohort("nhanes", data=DATA)


def test_the_real_file_is_read_whole(nhanes):
    assert len(nhanes.cases) == 5707
    assert any(note.startswith("228 rows of survey weight 0") for note in nhanes.notes)
    truths = [case.truth["past_fracture"] for case in nhanes.cases if case.truth]
    assert (len(truths), sum(truths)) == (5697, 695)
    assert {name for case in nhanes.cases for name in case.table} == set(nhanes.card.table)
    assert max(case.number("age_years") for case in nhanes.cases) == 80


def test_the_real_values_lie_in_the_ranges_of_their_variables(nhanes):
    for name in nhanes.card.table:
        row = VARIABLES[name]
        values = [case.table[name] for case in nhanes.cases if name in case.table]
        if row.codes:
            assert set(values) <= set(row.codes)
        else:
            outside = [value for value in values if not row.low <= value <= row.high]
            assert len(outside) <= 2, (name, outside)  # two people told 66 and 83 drinks a day


def _prevalence(nhanes, sex, *, both_sites, cut):
    """Return n and the weighted share with a femoral-neck BMD at or below a cut in g/cm2, of one sex from 50 on."""
    needed = ("bmd_femoral_neck_g_cm2", "bmd_lumbar_g_cm2")[: 1 + both_sites]
    member = np.array(
        [
            case.table["sex"] == sex and case.number("age_years") >= 50 and not case.lacks(needed)
            for case in nhanes.cases
        ]
    )
    weights = np.where(member, [case.weight for case in nhanes.cases], 0)
    low = [case.number("bmd_femoral_neck_g_cm2") <= cut for case in nhanes.cases]
    strata, psu = ([case.groups[name] for case in nhanes.cases] for name in ("stratum", "psu"))
    return int(member.sum()), weighted_mean(low, weights, strata=strata, psu=psu)


@pytest.mark.parametrize(("sex", "n", "percent", "se"), [("female", 1081, 6.1, 0.8), ("male", 1148, 1.4, 0.4)])
def test_published_prevalence_of_femoral_neck_osteoporosis(nhanes, sex, n, percent, se):
    # Looker et al., Osteoporos Int 2017;28:1979, table 3 (PMC7891684): 2007-08, unadjusted, people with both sites.
    # Their cut in g/cm2 is 0.858 - 2.5 * 0.120 = 0.558, which reproduces their figures when rounded to 0.56.
    found_n, found = _prevalence(nhanes, sex, both_sites=True, cut=0.56)
    assert found_n == n
    assert 100 * found.value == pytest.approx(percent, abs=0.05)
    assert 100 * found.se == pytest.approx(se, abs=0.1)


@pytest.mark.parametrize(("sex", "percent", "se"), [("female", 6.6, 0.8), ("male", 1.2, 0.3)])
def test_prevalence_by_the_reference_table(nhanes, sex, percent, se):
    assert t_score(0.558, "femoral_neck", sex=sex) == -2.5
    _, found = _prevalence(nhanes, sex, both_sites=False, cut=0.558 - 1e-9)
    assert 100 * found.value == pytest.approx(percent, abs=0.05)
    assert 100 * found.se == pytest.approx(se, abs=0.05)
