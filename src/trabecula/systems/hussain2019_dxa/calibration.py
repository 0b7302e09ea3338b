"""From what was measured to g/cm2, T-scores, and Z-scores against the training patients."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from scipy.optimize import least_squares

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.case import Case

Measures: TypeAlias = dict[str, dict[str, float]]
"""By region: `raw` mineral in g/cm2, `ratio` of the beams in soft tissue, `area_cm2`."""
SITES = ("femoral neck", "total hip", "L1-L4")
_FEWEST = 12  # patients of known BMD that a line is laid through
_ALIKE = 20  # people of a sex that a Z-score rests on
_SITE_OF = {"trochanter": "total hip", "L1": "L1-L4", "L2": "L1-L4", "L3": "L1-L4", "L4": "L1-L4"}
_USUAL_RATIO = 1.27  # about the middle of what pairs of beams have in soft tissue
_FIRM = 10.0  # T-scores that a factor off by 1 costs


def fitted_lines(
    found: Sequence[Measures], bmd: Sequence[float], lowest: Sequence[float], young: Mapping[str, tuple[float, float]]
) -> dict[str, list[float]]:
    """Return a line for each site, from `raw`, `ratio` and their product to g/cm2; none where too little is known.

    Total hip's follows from its known BMD. Neck and spine have no truth of their own: theirs are those with which the
    lowest of three T-scores is the known one: total hip's by a factor, held near 1, and an offset.
    """
    known = [n for n, (each, truth) in enumerate(zip(found, bmd, strict=True)) if math.isfinite(truth) and each]
    if len(known) < _FEWEST:
        return {}
    x = np.array([_terms(found[n]["total hip"]) for n in known])
    hip = np.linalg.lstsq(x, np.array([bmd[n] for n in known]), rcond=None)[0]
    lines = {site: hip.tolist() for site in SITES}
    told = [n for n in known if math.isfinite(lowest[n])]
    if len(told) < _FEWEST:
        return lines
    terms = {s: np.array([_terms(found[n][s]) if s in found[n] else [math.nan] * 4 for n in told]) for s in SITES}
    wanted = np.array([lowest[n] for n in told])
    spine = np.isfinite(terms["L1-L4"][:, 0])

    def line(offset: float, factor: float) -> NDArray[np.float64]:
        return np.asarray(factor * hip + np.array([offset, 0, 0, 0]))

    def score(site: str, of: NDArray[np.float64]) -> NDArray[np.float64]:
        mean, sd = young[site]
        return np.asarray((terms[site] @ of - mean) / sd)

    def off(free: NDArray[np.float64]) -> NDArray[np.float64]:
        lumbar = np.where(spine, np.nan_to_num(score("L1-L4", line(*free[2:]))), np.inf)
        lowest_found = np.min([score("femoral neck", line(*free[:2])), score("total hip", hip), lumbar], axis=0)
        return np.concatenate([lowest_found - wanted, _FIRM * (free[1::2] - 1)])

    first = np.array([0.0, 1.0, 0.0, 1.0])
    if spine.any():  # begin where spines are as dense as young adults' are beside their hips
        first[2] = young["L1-L4"][0] - young["total hip"][0]
        first[2] += float(np.median(terms["total hip"] @ hip) - np.median(terms["L1-L4"][spine] @ hip))
    solved = least_squares(off, first, loss="soft_l1").x
    return {**lines, "femoral neck": line(*solved[:2]).tolist(), "L1-L4": line(*solved[2:]).tolist()}


def calibrated(found: Measures, lines: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Return areal BMD in g/cm2 by region, or what was measured where no line is known."""
    return {
        name: float(np.dot(_terms(each), lines[_SITE_OF.get(name, name)])) if lines else each["raw"]
        for name, each in found.items()
    }


def t_scores(bmd: Mapping[str, float], young: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """Return T-scores of the sites that a diagnosis rests on, as far as they were measured."""
    return {site: (bmd[site] - mean) / sd for site, (mean, sd) in young.items() if site in bmd}


def local_z(cases: Sequence[Case], bmd: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Return by sex and region slope over age, offset and SD among the training patients, where they suffice."""
    told: dict[str, Any] = {}
    for sex in ("female", "male"):
        alike = [
            (case.number("age_years"), each) for case, each in zip(cases, bmd, strict=True)
            if case.table.get("sex") == sex and math.isfinite(case.number("age_years"))
        ]  # fmt: skip
        for site in SITES:
            pairs = np.array([(age, each[site]) for age, each in alike if site in each])
            if len(pairs) < _ALIKE:
                continue
            slope, offset = np.polyfit(pairs[:, 0], pairs[:, 1], 1)
            sd = float((pairs[:, 1] - offset - slope * pairs[:, 0]).std())
            told.setdefault(sex, {})[site] = [float(slope), float(offset), sd or 1.0]
    return told


def _terms(each: Mapping[str, float]) -> list[float]:
    """Return what a line is made of: 1, the mineral, how the beams differ from the usual, and the product."""
    ratio = 10 * (each["ratio"] - _USUAL_RATIO)
    return [1.0, each["raw"], ratio, ratio * each["raw"]]
