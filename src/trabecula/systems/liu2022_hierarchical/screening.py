"""Which columns of a block are used: those that differ between the classes, and of twins the one that differs more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_MOST = 5000  # values up to which the p of Shapiro and Wilk's test is accurate


@dataclass(frozen=True, kw_only=True)
class Screen:
    """Limits of the screen."""

    significance: float
    redundancy: float
    missing: float


def screened(
    values: Floats, grades: NDArray[np.intp], names: Sequence[str], screen: Screen, *, coded: Sequence[str] = ()
) -> tuple[list[str], dict[str, Any]]:
    """Return the names of the columns of `values` `[n, names]` to use, and what became of every one.

    Columns with too many gaps go first; then those with a p not below `significance`; then, from the smallest p
    upwards, those whose correlation with one that is kept exceeds `redundancy`. `coded` columns hold codes.
    """
    gaps = np.isnan(values).mean(axis=0)
    full = [n for n, name in enumerate(names) if gaps[n] <= screen.missing]
    ps = {n: p_value(values[:, n], grades, coded=names[n] in coded) for n in full}
    kept: list[int] = []
    twins: list[str] = []
    for n in sorted((n for n in full if ps[n] < screen.significance), key=lambda n: ps[n]):
        if any(abs(_correlation(values[:, n], values[:, other])) > screen.redundancy for other in kept):
            twins.append(names[n])
        else:
            kept.append(n)
    told = {
        "offered": len(names),
        "gaps": [name for n, name in enumerate(names) if n not in ps],
        "p": {names[n]: p for n, p in ps.items()},
        "redundant": twins,
        "kept": len(kept),
    }
    return [names[n] for n in sorted(kept)], told


def p_value(values: Floats, grades: NDArray[np.intp], *, coded: bool) -> float:
    """Return the p of no difference between classes; 1 where nothing can be tested.

    Codes by chi-square. Numbers that look normal in every class (Shapiro p above 0.05) by analysis of variance, which
    for two classes is the t-test, others by Kruskal and Wallis's test, or by Mann and Whitney's for two classes.
    """
    from scipy import stats  # noqa: PLC0415 takes half a second

    known = ~np.isnan(values)
    groups = [values[known & (grades == grade)] for grade in np.unique(grades)]
    if min(map(len, groups)) < 3 or np.ptp(values[known]) == 0:
        return 1.0
    if coded:
        counts = [[np.count_nonzero(group == code) for code in np.unique(values[known])] for group in groups]
        return float(stats.chi2_contingency(counts).pvalue)
    if all(np.ptp(group) > 0 and stats.shapiro(group[:_MOST]).pvalue > 0.05 for group in groups):
        return float(stats.f_oneway(*groups).pvalue)
    if len(groups) == 2:
        return float(stats.mannwhitneyu(*groups).pvalue)
    return float(stats.kruskal(*groups).pvalue)


def _correlation(one: Floats, other: Floats) -> float:
    """Return Pearson's r where both are known; 0 where one is constant."""
    known = ~(np.isnan(one) | np.isnan(other))
    a, b = one[known] - one[known].mean(), other[known] - other[known].mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale else 0.0
