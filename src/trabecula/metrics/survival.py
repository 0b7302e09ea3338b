"""Times to an event: whether who breaks first was told a higher risk.

Truths are `[n, 2]`: years, and 0 censored, 1 the event, 2 death. Without deaths, Wolbers's C is Harrell's. Pairs are
compared in blocks, so that 20,000 patients need no more memory than 2,000.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula.metrics.incidence import observations, still_followed

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from trabecula.metrics.resampling import Metric
    from trabecula.metrics.weighted import Floats

_BLOCK = 2_000_000  # pairs held at once: 16 MB


def concordance(truth: ArrayLike, risk: ArrayLike, weights: ArrayLike = 1.0) -> Any:
    """Harrell's C: among pairs whose order is known, how often the earlier event has the higher risk.

    Deaths end the observation as censoring does. Harrell et al., JAMA 1982;247:2543.
    """
    years, event, r, w = _arrays(truth, risk, weights)
    return _share(_pairs(event == 1, lambda i: _later(years, event != 1, i), r, (w, w)))


def concordance_wolbers(truth: ArrayLike, risk: ArrayLike, weights: ArrayLike = 1.0) -> Any:
    """Wolbers's C: as Harrell's, and who died without the event is known never to have it, however early.

    Wolbers et al., Epidemiology 2009;20:555. It depends on who is censored when; `concordance_uno` does not.
    """
    years, event, r, w = _arrays(truth, risk, weights)
    return _share(_pairs(event == 1, lambda i: _later(years, event != 1, i) | (event == 2), r, (w, w)))


def concordance_uno(horizon: float) -> Metric:
    """Return the metric of Uno's C up to a horizon in years: pairs weigh by the inverse chance of having been seen.

    So it estimates the same whatever the censoring, if that does not depend on risk. Uno et al., Stat Med 2011;30:1105;
    with deaths Wolbers et al., Biostatistics 2014;15:526.
    """

    def measured(truth: Any, risk: Any, weights: Any = 1.0) -> Any:
        years, event, r, w = _arrays(truth, risk, weights)
        followed = still_followed(truth, weights, years)
        with np.errstate(invalid="ignore", divide="ignore"):
            once = np.where((w > 0) & (followed > 0), w / followed, 0.0)  # who was not drawn may outlast all who were
            twice = np.where(once > 0, once / followed, 0.0)
        cases = (event == 1) & (years <= horizon)
        alive = _pairs(cases, lambda i: _later(years, event == 0, i), r, (twice, w))
        dead = _pairs(cases, lambda i: ~_later(years, event == 0, i) & (event == 2), r, (once, once))
        return _share((alive[0] + dead[0], alive[1] + dead[1]))

    return measured


def _arrays(truth: ArrayLike, risk: ArrayLike, weights: ArrayLike) -> tuple[Floats, NDArray[Any], Floats, Floats]:
    years, event, w = observations(truth, weights)
    r = np.asarray(risk, dtype=float)
    if r.shape != years.shape:
        raise ValueError(f"truth is years and event, and risk one number a patient; got {years.shape} and {r.shape}")
    if not np.isfinite(r).all():
        raise ValueError("a risk is NaN or infinite: leave abstentions out before measuring")
    return years, event, r, w


def _later(years: Floats, lasting: NDArray[np.bool_], cases: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return `[cases, n]`: who was seen without the event beyond the time of each case, or up to it if `lasting`."""
    when = years[cases, None]
    later: NDArray[np.bool_] = (when < years) | ((when == years) & lasting)
    return later


def _pairs(
    cases: NDArray[np.bool_],
    comparable: Callable[[NDArray[np.intp]], NDArray[np.bool_]],
    risk: Floats,
    weights: tuple[Floats, Floats],
) -> tuple[Any, Any]:
    """Return the weight of the comparable pairs told in the right order, ties counted half, and of all `[...]`.

    A pair weighs the first of the `weights` of its case times the second of the other.
    """
    own, other = weights
    agreed, known = np.zeros(own.shape[:-1]), np.zeros(own.shape[:-1])
    rows = np.flatnonzero(cases)
    step = max(1, _BLOCK // max(1, len(risk)))
    for start in range(0, len(rows), step):
        block = rows[start : start + step]
        met = comparable(block)
        won = met * ((risk[block, None] > risk) + 0.5 * (risk[block, None] == risk))
        agreed += (own[..., block] * (other @ won.T)).sum(axis=-1)
        known += (own[..., block] * (other @ met.T.astype(float))).sum(axis=-1)
    return agreed, known


def _share(pairs: tuple[Any, Any]) -> Any:
    with np.errstate(invalid="ignore", divide="ignore"):
        return (pairs[0] / pairs[1])[()]
