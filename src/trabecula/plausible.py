"""Values and labels that cannot be right: out of range, missing or coded, and at odds with their own definition."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from trabecula.reference import REFERENCES, who_class
from trabecula.target import TARGETS, VARIABLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from trabecula.case import Case
    from trabecula.reference import Sex
    from trabecula.target import Target, Variable

_SITES = ("t_score_lumbar", "t_score_total_hip", "t_score_femoral_neck")
_HIP = ("t_score_total_hip", "t_score_femoral_neck")
_WHOLE = TARGETS["osteoporosis_dxa"].site
_MEASURED = {
    "bmd_femoral_neck": "bmd_femoral_neck_g_cm2",
    "bmd_total_hip": "bmd_total_hip_g_cm2",
    "bmd_lumbar": "bmd_lumbar_g_cm2",
    "qct_t_score": "qct_t_score",
    "genant_grade": "genant_grade",
}
"""Targets that are a variable of the table."""
_CODES = (-99, -9, 77, 88, 99, 777, 888, 999, 7777, 8888, 9999)
"""Numbers that questionnaires write for refused, unknown and missing."""
_ROUNDING = 0.05  # of a T-score, which is told with one decimal


def out_of_range(cases: Sequence[Case]) -> dict[str, list[str]]:
    """Return by variable the cases whose value lies outside its range, is no code of it or is text for a number."""
    found: dict[str, list[str]] = {}
    for case in cases:
        for name, value in case.table.items():
            if name in VARIABLES and not _fits(VARIABLES[name], value):
                found.setdefault(name, []).append(case.id)
    return found


def missing(cases: Sequence[Case]) -> dict[str, float]:
    """Return by image role, variable and group the share of cases without it, where some but not all have it."""
    counts = Counter(name for case in cases for name in (*case.images, *case.table, *case.groups))
    return {name: 1 - n / len(cases) for name, n in sorted(counts.items()) if n < len(cases)}


def codes(cases: Sequence[Case]) -> dict[str, float]:
    """Return by variable a number that looks like a code for missing: repeated, and far from all other values.

    A code outside the variable's range is found by `out_of_range` already.
    """
    found = {}
    for name in sorted({name for case in cases for name in case.table}):
        values = np.array([v for case in cases if isinstance(v := case.table.get(name), int | float)], dtype=float)
        for code in set(_CODES) & set(values.tolist()):
            rest = values[values != code]
            if len(values) - len(rest) < 2 or len(np.unique(rest)) < 5:
                continue
            distance = max(code - rest.max(), rest.min() - code)
            if distance > rest.max() - rest.min():
                found[name] = float(code)
    return found


def at_odds(cases: Sequence[Case], target: Target) -> list[str]:
    """Return the cases whose label of a target contradicts the values that define it, with the value.

    Labels from T-scores are held against the WHO cuts on the lowest of lumbar spine, total hip and femoral neck; a
    label lower than its sites tell is always wrong, a higher one only when all sites (or the lowest) are told.
    T-scores within 0.05 of a cut may be rounded and contradict nothing. A vertebral fracture is held against Genant
    grades 0 (none) and 2 or more; grade 1 is read either way.
    """
    told = ((case, _contradiction(case, target)) for case in cases if target.id in case.truth)
    return [f"{case.id}: {why}" for case, why in told if why]


def disagreeing(cases: Sequence[Case], target: Target) -> list[list[str]]:
    """Return the cases of each patient whose labels of a target cannot all be right.

    Labels may differ between dates, and between parts unless the target is one of the whole person (DXA over all
    sites). Where a maximum makes the patient's label (fractures), cases without a part may differ as well.
    """
    if not target.classifies:
        return []
    same: dict[tuple[str, str, str], list[Case]] = {}
    for case in cases:
        if target.id in case.truth and (case.part or target.reduce != "max"):
            part = "" if target.site == _WHOLE else case.part
            same.setdefault((case.patient, case.groups.get("date", ""), part), []).append(case)
    return [[c.id for c in group] for group in same.values() if len({c.truth[target.id] for c in group}) > 1]


def outside_population(cases: Sequence[Case], target: Target) -> list[str]:
    """Return the labelled cases for whom the WHO classes are not defined, where age and sex tell."""
    if target.population != TARGETS["osteoporosis_dxa"].population:
        return []
    return [case.id for case in cases if target.id in case.truth and _too_young(case)]


def several(cases: Sequence[Case]) -> dict[str, int]:
    """Return by group how many patients occur with several of its values: sites, scanners, dates."""
    values: dict[tuple[str, str], set[str]] = {}
    for case in cases:
        for name, value in case.groups.items():
            values.setdefault((name, case.patient), set()).add(value)
    return dict(sorted(Counter(name for (name, _), seen in values.items() if len(seen) > 1).items()))


def classes(cases: Sequence[Case], target: Target) -> dict[str, int]:
    """Return the number of patients of each grade, by their highest, of a target that classifies."""
    highest: dict[str, int] = {}
    for case in cases:
        grade = case.truth.get(target.id)
        if isinstance(grade, int | float):
            highest[case.patient] = max(int(grade), highest.get(case.patient, 0))
    return {grade: list(highest.values()).count(number) for number, grade in enumerate(target.grades)}


def _fits(variable: Variable, value: float | str) -> bool:
    if variable.categorical:
        return value in variable.codes
    if isinstance(value, str) or not math.isfinite(value):
        return False
    low, high = variable.low, variable.high
    inside = (low is None or value >= low) and (high is None or value <= high)
    return inside and (variable.unit != "0/1" or value in (0, 1))


def _number(table: Mapping[str, float | str], name: str) -> float | None:
    value = table.get(name)
    return float(value) if isinstance(value, int | float) else None


def _contradiction(case: Case, target: Target) -> str:
    truth = case.truth[target.id]
    if not isinstance(truth, int | float):
        return ""
    if target.id in _MEASURED:
        value = _number(case.table, _MEASURED[target.id])
        wrong = value is not None and abs(value - truth) > 0.005 * max(1.0, abs(value))
        return f"labelled {truth:g}, but {_MEASURED[target.id]} is {value:g}" if wrong else ""
    label = target.grades[int(truth)] if target.classifies else f"{truth:g}"
    why = next(_reasons(case.table, target, truth), "")
    return f"labelled {label}, but {why}" if why else ""


def _reasons(table: Mapping[str, float | str], target: Target, truth: float) -> Iterator[str]:
    grade = _number(table, "genant_grade")
    if (
        target.id == "vertebral_fracture"
        and grade is not None
        and ((grade == 0 and truth) or (grade >= 2 and not truth))
    ):
        yield f"genant_grade is {grade:g}"
    hu, cut = _number(table, "mean_hu_l1_follow_up"), REFERENCES["hu_specific"].value
    if target.id == "l1_attenuation_loss" and hu is not None and abs(hu - cut) > 0.5 and (hu < cut) != bool(truth):
        yield f"mean_hu_l1_follow_up is {hu:g} HU"
    t, complete = _lowest(table, target)
    if t is None:
        return
    if target.id == "t_score_lowest" and (truth > t + _ROUNDING or (complete and truth < t - _ROUNDING)):
        yield f"the lowest T-score is {t:g}"
    expected = _expected(t, target)
    if expected is not None and (expected > truth or (expected < truth and complete)):
        yield f"the lowest T-score is {t:g}"


def _lowest(table: Mapping[str, float | str], target: Target) -> tuple[float | None, bool]:
    """Return the lowest T-score of the target's sites, and whether no other site could be lower."""
    if target.id == "osteoporosis_hip_dxa":
        sites: tuple[str, ...] = _HIP
    elif target.id == "osteoporosis_spine_dxa":
        sites = ("t_score_lumbar",)
    elif target.site == _WHOLE:
        sites = _SITES
    else:
        return None, False
    scores = [t for name in sites if (t := _number(table, name)) is not None]
    complete = len(scores) == len(sites)
    lowest = _number(table, "t_score_lowest") if sites == _SITES else None
    if lowest is not None:
        scores, complete = [*scores, lowest], True
    return (min(scores), complete) if scores else (None, False)


def _expected(t: float, target: Target) -> int | None:
    """Return the grade by the WHO cuts, or nothing where rounding decides."""
    osteoporosis, normal = REFERENCES["who_osteoporosis"].value, REFERENCES["who_normal"].value
    if not target.classifies:
        return None
    cuts = (normal, osteoporosis) if len(target.grades) == 3 else (osteoporosis,)
    if target.id == "low_bone_mass_dxa":
        cuts = (normal,)
    return None if any(abs(t - cut) <= _ROUNDING + 1e-9 for cut in cuts) else sum(t < cut for cut in cuts)


def _too_young(case: Case) -> bool:
    sex, age, after = case.table.get("sex"), _number(case.table, "age_years"), _number(case.table, "postmenopausal")
    told: Sex | None = "female" if sex == "female" else "male" if sex == "male" else None
    if age is None or told is None:
        return False
    try:
        who_class(0.0, sex=told, age_years=age, postmenopausal=None if after is None else bool(after))
    except ValueError:
        return True
    return False
