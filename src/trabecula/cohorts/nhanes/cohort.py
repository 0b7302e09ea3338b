"""NHANES 2007-2008: adults with hip and spine DXA, clinical factors and self-reported past fractures.

Codes are those of the CDC codebooks of the cycle. Which number means refused or unknown differs by variable, because
7 and 9 are answers where something is counted; each table below says how its variables tell it.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import TypeAlias

from trabecula.case import Case, TableValue

_PLACES = ("nhanes_2007_2008/nhanes.csv", "nhanes.csv")
_CM, _KG = 2.54, 0.45359237  # an inch, a pound

_Row: TypeAlias = Mapping[str, float]

_MEASURED = {
    "age_years": "RIDAGEYR",
    "bmi_kg_m2": "BMXBMI",
    "bmd_total_hip_g_cm2": "DXXOFBMD",
    "bmd_femoral_neck_g_cm2": "DXXNKBMD",
    "bmd_trochanter_g_cm2": "DXXTRBMD",
    "bmd_intertrochanter_g_cm2": "DXXINBMD",
    "bmd_wards_g_cm2": "DXXWDBMD",
}
"""Measured numbers: a missing one is an empty cell."""

_COUNTED = {
    "height_cm": ("WHD010", _CM, (7777, 9999)),
    "weight_kg": ("WHD020", _KG, (7777, 9999)),
    "weight_10_years_ago_kg": ("WHD110", _KG, (7777, 9999)),
    "alcohol_drinks_day": ("ALQ130", 1.0, (777, 999)),
    "milk_frequency": ("DBQ197", 1.0, (4, 7, 9)),  # 4: it varied, which is no place on the scale
}
"""Told numbers: the column, what one of its units is in ours, and the codes that are no number."""

_YES_NO = {
    "mother_hip_fracture": "OSQ170",
    "father_hip_fracture": "OSQ200",
    "ever_smoked": "SMQ020",
    "glucocorticoids": "OSQ130",
    "arthritis": "MCQ160A",
    "heart_disease": "MCQ160C",
    "liver_disease": "MCQ160L",
    "alcohol_12_drinks": "ALQ101",
}
"""1 yes, 2 no; 7 refused and 9 unknown are missing."""

_CODED: Mapping[str, tuple[str, Mapping[float, str]]] = {
    "sex": ("RIAGENDR", {1: "male", 2: "female"}),
    "ethnicity": ("RIDRETH1", {1: "mexican_american", 2: "other_hispanic", 3: "white", 4: "black", 5: "other"}),
    "milk_history": ("DBQ229", {1: "regular", 2: "never", 3: "varied"}),
}

_FRACTURES = ("OSQ010A", "OSQ010B", "OSQ010C")  # hip, wrist, spine
_VERTEBRAE = ("DXXL1BMD", "DXXL2BMD", "DXXL3BMD", "DXXL4BMD")
_DESIGN = ("SEQN", "WTMEC2YR", "SDMVSTRA", "SDMVPSU")


def read(folder: Path) -> tuple[list[Case], list[str]]:
    """Read one case a person examined, with the notes on what was left out or derived.

    Raises `FileNotFoundError` when the file is not in the folder, and `ValueError` for a missing column or a cell
    that is no number.
    """
    path = next((folder / place for place in _PLACES if (folder / place).is_file()), None)
    if path is None:
        raise FileNotFoundError(f"{folder}: holds neither {' nor '.join(_PLACES)}; see the layout on the cohort's card")
    rows = _rows(path)
    examined = [row for row in rows if row["WTMEC2YR"] > 0]
    cases = [_case(row) for row in examined]
    untold = sum(not case.truth for case in cases)
    partly = sum(math.isnan(row["DXXOSBMD"]) and not math.isnan(_lumbar(row)) for row in examined)
    return cases, [
        f"{len(rows) - len(examined)} rows of survey weight 0 dropped: interviewed, not examined",
        f"{untold} cases without truth: no fracture told, and at least one answer refused or unknown",
        f"{partly} lumbar BMD are the mean of two or three evaluable vertebrae, where L1-L4 could not all be read",
    ]


def _rows(path: Path) -> list[_Row]:
    needed = {
        *_DESIGN, *_FRACTURES, *_VERTEBRAE, *_MEASURED.values(), *_YES_NO.values(),
        "DXXOSBMD", "SMQ040", "MCQ190", "DIQ010",
        *(column for column, _, _ in _COUNTED.values()), *(column for column, _ in _CODED.values()),
    }  # fmt: skip
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        if missing := sorted(needed - set(reader.fieldnames or ())):
            raise ValueError(f"{path}: has no column {', '.join(missing)}; merge the files named on the cohort's card")
        try:
            return [{name: float(row[name] or "nan") for name in needed} for row in reader]
        except ValueError as error:
            raise ValueError(f"{path}, row {reader.line_num}: {error}; codes and values are numbers") from None


def _case(row: _Row) -> Case:
    id_ = f"{row['SEQN']:.0f}"
    stratum = f"{row['SDMVSTRA']:.0f}"
    fractures = [row[column] for column in _FRACTURES]
    known = 1 in fractures or all(answer == 2 for answer in fractures)
    return Case(
        id=id_,
        patient=id_,
        weight=row["WTMEC2YR"],
        table=_table(row),
        groups={"stratum": stratum, "psu": f"{stratum}-{row['SDMVPSU']:.0f}"},
        truth={"past_fracture": int(1 in fractures)} if known else {},
    )


def _table(row: _Row) -> dict[str, TableValue]:
    table: dict[str, TableValue] = {name: row[column] for name, column in _MEASURED.items()}
    table |= {name: row[column] * unit for name, (column, unit, codes) in _COUNTED.items() if row[column] not in codes}
    table |= {name: _among(row[column], yes=(1,), no=(2,)) for name, column in _YES_NO.items()}
    table |= {name: codes.get(row[column], "") for name, (column, codes) in _CODED.items()}
    table["diabetes"] = _among(row["DIQ010"], yes=(1,), no=(2, 3))  # 3: borderline, not told to have it
    table["smoking"] = 0.0 if row["SMQ020"] == 2 else _among(row["SMQ040"], yes=(1, 2), no=(3,))
    table["rheumatoid_arthritis"] = 0.0 if row["MCQ160A"] == 2 else _among(row["MCQ190"], yes=(1,), no=(2, 3))
    table["bmd_lumbar_g_cm2"] = _lumbar(row)
    return table


def _among(answer: float, *, yes: tuple[int, ...], no: tuple[int, ...]) -> float:
    return 1.0 if answer in yes else 0.0 if answer in no else math.nan


def _lumbar(row: _Row) -> float:
    """Return the BMD of L1-L4, else the mean of the vertebrae that could be read, if at least two (ISCD)."""
    if not math.isnan(row["DXXOSBMD"]):
        return row["DXXOSBMD"]
    readable = [row[column] for column in _VERTEBRAE if not math.isnan(row[column])]
    return fmean(readable) if len(readable) >= 2 else math.nan
