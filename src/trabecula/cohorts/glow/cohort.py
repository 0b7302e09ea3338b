"""GLOW500: 500 women of the Global Longitudinal Study of Osteoporosis in Women, with fracture in the first year.

Codes are those of the set's code sheet.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from trabecula.case import Case

_PLACES = ("glow/GLOW500.txt", "GLOW500.txt")
_NUMBERS = {
    "previous_fracture": "PRIORFRAC",
    "age_years": "AGE",
    "weight_kg": "WEIGHT",
    "height_cm": "HEIGHT",
    "bmi_kg_m2": "BMI",
    "premature_menopause": "PREMENO",
    "mother_hip_fracture": "MOMFRAC",
    "needs_arms_to_stand": "ARMASSIST",
    "smoking": "SMOKE",
}
_RISK = {"1": "less", "2": "same", "3": "greater"}
_OTHERS = ("SUB_ID", "SITE_ID", "PHY_ID", "RATERISK", "FRACTURE")


def read(folder: Path) -> tuple[list[Case], list[str]]:
    """Read one case a woman; the composite FRACSCORE is left out, because it is computed from the other columns.

    Raises `FileNotFoundError` when the file is not in the folder, and `ValueError` for a missing column or a value
    that the code sheet does not know.
    """
    path = next((folder / place for place in _PLACES if (folder / place).is_file()), None)
    if path is None:
        raise FileNotFoundError(f"{folder}: holds neither {' nor '.join(_PLACES)}; see the layout on the cohort's card")
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, delimiter="\t")
        if missing := sorted({*_NUMBERS.values(), *_OTHERS} - set(reader.fieldnames or ())):
            raise ValueError(f"{path}: has no column {', '.join(missing)}; it is the tab-separated GLOW500 file")
        try:
            cases = [_case(row) for row in reader]
        except (KeyError, ValueError) as error:
            raise ValueError(f"{path}, line {reader.line_num}: {error} is not on the code sheet") from None
    return cases, ["FRACSCORE left out: it is computed from the other columns"]


def _case(row: Mapping[str, str]) -> Case:
    return Case(
        id=row["SUB_ID"],
        patient=row["SUB_ID"],
        table={
            "sex": "female",
            "self_rated_risk": _RISK[row["RATERISK"]],
            **{name: float(row[column]) for name, column in _NUMBERS.items()},
        },
        groups={"site": row["SITE_ID"], "physician": row["PHY_ID"]},
        truth={"first_year_fracture": ("0", "1").index(row["FRACTURE"])},
    )
