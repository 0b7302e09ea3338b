"""Manifests: every wrong cell is told by file, row and column; what is missing is missing and nothing else is."""

import math

import numpy as np
import pandas as pd
import pytest
from PIL import Image as Picture

from trabecula.case import Event
from trabecula.manifest import image_source, read_manifest

TARGETS = "truth.osteoporosis_dxa"


@pytest.fixture
def write(tmp_path):
    """Write columns as a manifest; pictures are there for whoever names them."""
    Picture.new("L", (4, 4), 7).save(tmp_path / "a.png")

    def written(ending=".csv", **columns):
        path = tmp_path / f"manifest{ending}"
        table = pd.DataFrame({name.replace("__", "."): column for name, column in columns.items()})
        table.to_csv(path, index=False) if ending == ".csv" else table.to_parquet(path, index=False)
        return path

    return written


@pytest.fixture
def text(tmp_path):
    def written(content, encoding="utf-8"):
        path = tmp_path / "manifest.csv"
        path.write_bytes(content.encode(encoding))
        return path

    return written


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_every_kind_of_column(write, ending):
    path = write(
        ending, case=["a1", "a2", "b1"], patient=["a", "a", "b"], part=["left", "right", None], weight=[1.5, 2, 3],
        image__knee_xray=["a.png", "a.png", None], mask__bone=["a.png", None, None],
        table__age_years=[70, 70.5, None], table__sex=["female", "female", "male"], table__smoking=[0, 1, None],
        group__site=["x", "x", "y"], truth__osteoporosis_dxa=["osteoporosis", "1", "0"],
        truth__who_class_dxa=[1, 2, None], truth__t_score_lowest=[-2.5, -3.1, None],
        truth__time_to_hip_fracture__years=[1.5, 2, None], truth__time_to_hip_fracture__event=[1, 0, None],
    )  # fmt: skip
    first, second, third = read_manifest(path)
    assert [(c.id, c.patient, c.part, c.weight) for c in (first, second, third)] == [
        ("a1", "a", "left", 1.5), ("a2", "a", "right", 2.0), ("b1", "b", "", 3.0),
    ]  # fmt: skip
    assert first.images["knee_xray"].voxels.max() == 7
    assert first.masks["bone"].unit == "label"
    assert list(third.images) == list(second.masks) == []
    assert dict(first.table) == {"age_years": 70.0, "sex": "female", "smoking": 0.0}
    assert dict(third.table) == {"sex": "male"}
    assert dict(third.groups) == {"site": "y"}
    assert dict(first.truth) == {
        "osteoporosis_dxa": 1, "who_class_dxa": 1, "t_score_lowest": -2.5, "time_to_hip_fracture": Event(1.5, 1),
    }  # fmt: skip
    assert second.truth["time_to_hip_fracture"] == Event(2.0, 0)
    assert dict(third.truth) == {"osteoporosis_dxa": 0}


@pytest.mark.parametrize("empty", ["", " ", "NaN", "nan", "NA", "null", "None"])
def test_an_empty_cell_is_a_missing_value(text, empty):
    (case,) = read_manifest(text(f"case,table.age_years,table.sex,truth.osteoporosis_dxa\na,{empty},{empty},{empty}\n"))
    assert not case.table
    assert not case.truth
    assert math.isnan(case.number("age_years"))


def test_a_label_map_is_a_path(tmp_path, text):
    Picture.new("L", (4, 4), 1).save(tmp_path / "mask.png")
    (case,) = read_manifest(text("case,truth.bone_mask\na,mask.png\n"))
    assert case.truth["bone_mask"].load().unit == "label"


def test_grades_by_name_or_number(text):
    rows = "case,truth.genant_grade,truth.who_class_dxa\na,3,osteoporosis\nb,0.0,0\nc,1,osteopenia\n"
    assert [tuple(case.truth.values()) for case in read_manifest(text(rows))] == [(3, 2), (0, 0), (1, 1)]


def test_excel_leaves_a_mark_that_is_no_column(text):
    assert read_manifest(text("\ufeffcase,table.age_years\na,70\n"))[0].table["age_years"] == 70


_BOTH = "its truth is in truth.time_to_hip_fracture.years and truth.time_to_hip_fracture.event"
HEADINGS = {
    "patient,table.age_years": "needs a column `case`",
    "case;patient": "needs a column `case`",
    "case,age": "column age: no kind of column is called 'age'",
    "case,tabel.age_years": "column tabel.age_years: no kind of column .* did you mean table.<name>",
    "case,table.": "no kind of column is called 'table.'",
    "case,table.age": "column table.age: no table role or variable is called 'age'; did you mean age_years",
    "case,image.bone": "column image.bone: no image role",
    "case,mask.knee_xray": "column mask.knee_xray: no mask role",
    "case,image.kne_xray": "did you mean knee_xray",
    "case,truth.osteoporosis": "column truth.osteoporosis: no target .* did you mean .*osteoporosis_dxa",
    "case,truth.time_to_hip_fracture": _BOTH,
    "case,truth.time_to_hip_fracture.age": _BOTH,
    "case,truth.osteoporosis_dxa.years": "its truth is in truth.osteoporosis_dxa$",
    "case,table.age_years,table.age_years": "column table.age_years stands there twice",
}


@pytest.mark.parametrize("heading", HEADINGS)
def test_wrong_columns_are_told_by_file_and_name(text, heading):
    path = text(f"{heading}\n{','.join('1' for _ in heading.split(','))}\n")
    with pytest.raises(ValueError, match=HEADINGS[heading]) as error:
        read_manifest(path)
    assert str(path) in str(error.value)


CELLS = {
    ("table.age_years", "old"): "'old' is not a number; leave the cell empty",
    ("table.age_years", "70 years"): "'70 years' is not a number",
    ("table.age_years", "70,5"): "'70,5' is not a number",
    ("table.age_years", "inf"): "'inf' is not finite",
    ("table.sex", "f"): "'f' is no code of sex; known: female, male",
    ("table.sex", "1"): "'1' is no code of sex",
    ("table.smoking", "yes"): "'yes' is not a number",
    ("image.knee_xray", "gone.png"): r"gone\.png: there is no such file",
    ("image.lumbar_ct", "a.png"): "a picture holds no Hounsfield units, which lumbar_ct needs",
    ("mask.bone", "gone.png"): r"gone\.png: there is no such file",
    ("truth.osteoporosis_dxa", "severe"): "'severe' is not a number",
    ("truth.osteoporosis_dxa", "2"): "'2' is no grade of osteoporosis_dxa; known: no osteoporosis, osteoporosis or",
    ("truth.osteoporosis_dxa", "0.5"): "is no grade",
    ("truth.osteoporosis_dxa", "-1"): "is no grade",
    ("truth.t_score_lowest", "low"): "'low' is not a number",
    ("truth.bone_mask", "gone.png"): r"gone\.png: there is no such file",
    ("weight", "heavy"): "'heavy' is not a number",
    ("weight", "0"): "0 is not positive",
    ("weight", "-2"): "-2 is not positive",
}


@pytest.mark.parametrize(("column", "cell"), CELLS)
def test_wrong_cells_are_told_by_file_row_and_column(tmp_path, text, column, cell):
    Picture.new("L", (4, 4)).save(tmp_path / "a.png")
    path = text(f'case,{column}\na,\nb,"{cell}"\n')
    with pytest.raises(ValueError, match=CELLS[column, cell]) as error:
        read_manifest(path)
    assert str(error.value).startswith(f"{path}, row 2, column {column}: ")


@pytest.mark.parametrize(
    ("years", "event", "said"),
    [("1", "", "needs both"), ("", "1", "needs both"), ("-1", "1", "years >= 0"), ("1", "3", "'3' is no event"),
     ("1", "0.5", "is no event"), ("soon", "1", "'soon' is not a number")],
)  # fmt: skip
def test_half_a_time_to_event_is_told(text, years, event, said):
    path = text(f"case,truth.time_to_hip_fracture.years,truth.time_to_hip_fracture.event\na,{years},{event}\n")
    with pytest.raises(ValueError, match=said) as error:
        read_manifest(path)
    assert f"{path}, row 1" in str(error.value)


def test_ids_stand_there_once_and_everywhere(text):
    path = text("case,table.age_years\na,70\nb,71\na,72\n")
    with pytest.raises(ValueError, match=r"manifest\.csv, row 3, column case: 'a' is the id of row 1; make it unique"):
        read_manifest(path)
    with pytest.raises(ValueError, match=r"manifest\.csv, row 2: has no case id"):
        read_manifest(text("case,table.age_years\na,70\n,71\n"))


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("table.height_cm", (1.62, 1.7, 1.8), "such as 1.62 lie outside 100 to 230 cm: convert the column to cm"),
        ("table.age_years", (780, 900, 65), "2 of 3 values such as 780"),
        ("table.bmd_total_hip_g_cm2", (850, 910, 1020), "convert the column to g/cm2"),
        ("table.kvp", (120000, 120000, 80000), "convert the column to kV"),
        ("table.smoking", (2, 2, 1), "outside 0 to 1 0/1"),
    ],
)
def test_a_wrong_unit_is_told_by_file_and_column(text, column, values, said):
    path = text(f"case,{column}\n" + "".join(f"c{i},{value}\n" for i, value in enumerate(values)))
    with pytest.raises(ValueError, match=said) as error:
        read_manifest(path)
    assert f"{path}, column {column}: " in str(error.value)


def test_one_odd_patient_is_no_wrong_unit(text):
    cases = read_manifest(text("case,table.height_cm\na,162\nb,170\nc,1.62\n"))
    assert cases[2].number("height_cm") == 1.62  # `trabecula check` tells it, with the other values out of range


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "holds no row"),
        ("case,patient\n", "holds no row"),
        ("case,patient\na\n", "row 1: has another number of cells"),
        ("case,patient\na,b\nc,d,e\n", "row 2: has another number of cells"),
        ('case,patient\na,"b\n', "cannot be read as CSV"),
    ],
)
def test_broken_files_are_told(text, content, said):
    with pytest.raises(ValueError, match=said) as error:
        read_manifest(text(content))
    assert "manifest.csv" in str(error.value)


def test_other_encodings_and_rubbish_are_told(text, tmp_path):
    with pytest.raises(ValueError, match=r"manifest\.csv: cannot be read as CSV in UTF-8"):
        read_manifest(text("case,group.site\na,Zürich\n", encoding="latin-1"))
    (tmp_path / "m.parquet").write_bytes(b"PAR1 rubbish")
    with pytest.raises(ValueError, match=r"m\.parquet: cannot be read as Parquet"):
        read_manifest(tmp_path / "m.parquet")


def test_numbers_of_parquet_may_be_ids(write):
    cases = read_manifest(
        write(".parquet", case=np.array([1, 2]), patient=np.array([7, 7]), table__age_years=[1.0, np.nan])
    )
    assert [(case.id, case.patient) for case in cases] == [("1", "7"), ("2", "7")]
    assert not cases[1].table


def test_where_an_image_comes_from(tmp_path):
    Picture.new("L", (4, 4)).save(tmp_path / "a.png")
    (tmp_path / "v.nii").write_bytes(b"")
    (tmp_path / "series").mkdir()
    assert image_source(tmp_path / "a.png", "knee_xray").unit == "stored"
    assert image_source(tmp_path / "a.png", "bone").unit == "label"
    assert image_source(tmp_path / "v.nii", "lumbar_ct").unit == "HU"
    for gone in ("gone.png", "gone.dcm", "series"):
        with pytest.raises(ValueError, match=f"{gone}: there is no such file"):
            image_source(tmp_path / gone, "lumbar_ct")


def test_a_row_without_its_patient_is_refused(tmp_path):
    path = tmp_path / "manifest.csv"
    path.write_text("case,patient,truth.osteoporosis_dxa\na,p1,0\nb,,1\n")
    with pytest.raises(ValueError, match=r"row 2, column patient: is empty"):
        read_manifest(path)
