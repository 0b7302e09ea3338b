"""How many had an event by when: Kaplan-Meier, and Aalen-Johansen where people may die of something else before.

Truths are `[n, 2]`: years, and 0 censored, 1 the event, 2 death. Who is censored at the time of an event was still at
risk of it. Weights `[..., n]` count people: of integers (bootstrap draws) both values and variances are meant; of
population weights only the values, whose variance is that of the design (see `design`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from trabecula.metrics.weighted import Floats

_CENSORED, _EVENT, _DEATH = 0, 1, 2
_NOTHING = 1e-12  # of those at risk: less than this share is rounding


@dataclass(frozen=True, eq=False)
class Incidence:
    """The share of people who had an event by each of the `years` `[times]` at which anything was seen.

    `value`, `variance` and `at_risk` (just before) are `[..., times]`, a row for each row of weights.
    """

    years: Floats
    value: Floats
    variance: Floats
    at_risk: Floats

    def at(self, years: float) -> Any:
        """Return the share by a time `[...]`: that of the last time seen, 0 before the first."""
        return self._at(self.value, years)

    def interval(self, years: float, z: float = 1.959964) -> tuple[Any, Any]:
        """Return the 95 % interval by a time, on the scale of log(-log share), where it stays within 0 and 1.

        Pintilie, Competing Risks, 2006, chapter 4, as R's tidycmprsk; rare events are missed as often on either side.
        Where nobody had the event it ends at the exact binomial limit of those at risk at the time, fewer than were
        followed (ours); where everybody had, it is NaN.
        """
        share, spread = self.at(years), np.sqrt(self._at(self.variance, years))
        with np.errstate(invalid="ignore", divide="ignore"):
            scale = np.log(share)
            half = z * spread / np.abs(share * scale)
            low, high = np.exp(scale * np.exp(half)), np.exp(scale * np.exp(-half))
        met = self.at_risk[..., min(int(np.searchsorted(self.years, years)), len(self.years) - 1)]
        nobody = 1 - 0.025 ** (1 / np.maximum(met, 1))
        return np.where(share > 0, low, 0.0)[()], np.where(share > 0, high, nobody)[()]

    def _at(self, values: Floats, years: float) -> Any:
        place = int(np.searchsorted(self.years, years, side="right"))
        return values[..., place - 1] if place else np.zeros(values.shape[:-1])[()]


def aalen_johansen(truth: ArrayLike, weights: ArrayLike = 1.0, *, cause: int = _EVENT) -> Incidence:
    """Return the cumulative incidence of one cause among everybody, those whom the other takes away included.

    Aalen and Johansen, Scand J Stat 1978;5:141; variance by the delta method (Dinse and Larson, Biometrika 1986;73:379;
    Marubini and Valsecchi, 1995, chapter 10): Greenwood's where there is one cause, the binomial without censoring.
    """
    return _incidence(truth, weights, (cause,), tuple({_EVENT, _DEATH} - {cause}))


def kaplan_meier(
    truth: ArrayLike, weights: ArrayLike = 1.0, *, events: Collection[int] = (_EVENT, _DEATH)
) -> Incidence:
    """Return one less Kaplan and Meier's survival without any of these events; every other ends the observation.

    Kaplan and Meier, JASA 1958;53:457, with Greenwood's variance. Of the event alone, deaths end the observation: it is
    the incidence if nobody died of anything else, which is above that of `aalen_johansen`.
    """
    return _incidence(truth, weights, tuple(events), ())


def still_followed(truth: ArrayLike, weights: ArrayLike, when: ArrayLike) -> Floats:
    """Return the chance of not being censored before each of the times `when` `[m]`, as `[..., m]`.

    Reverse Kaplan-Meier: those who have an event at a time leave before those censored at it.
    """
    years, event, w = observations(truth, weights)
    times, at_risk, (lost, happened) = _table(years, event, w, (_CENSORED,), (_EVENT, _DEATH))
    steps = np.concatenate([np.ones((*w.shape[:-1], 1)), _left(at_risk - happened, lost)], axis=-1)
    followed: Floats = np.cumprod(steps, axis=-1)[..., np.searchsorted(times, np.asarray(when), side="left")]
    return followed


def observations(truth: ArrayLike, weights: ArrayLike) -> tuple[Floats, NDArray[Any], Floats]:
    """Return years `[n]`, events `[n]` and weights `[..., n]`.

    Raises `ValueError` for anything else than years that are 0 or later and 0, 1 or 2 for everybody.
    """
    y = np.asarray(truth, dtype=float)
    y = y.reshape(0, 2) if not y.size else y
    if y.ndim != 2 or y.shape[1] != 2:
        raise ValueError(f"truth is years and event of each patient, [n, 2]; got {y.shape}")
    if not (np.isfinite(y).all() and (y[:, 0] >= 0).all() and np.isin(y[:, 1], (_CENSORED, _EVENT, _DEATH)).all()):
        raise ValueError("years are finite and not negative, and events are 0 censored, 1 the event or 2 death")
    w = np.asarray(weights, dtype=float)
    return y[:, 0], y[:, 1].astype(int), np.broadcast_to(w, (*w.shape[:-1], len(y)))


def _incidence(truth: ArrayLike, weights: ArrayLike, causes: Collection[int], competing: Collection[int]) -> Incidence:
    times, n, (mine, others) = _table(*observations(truth, weights), causes, competing)
    if not len(times):
        raise ValueError("nobody was followed: there is no incidence to be told")
    every = mine + others
    free = np.cumprod(_left(n, every), axis=-1)
    before = np.concatenate([np.ones((*free.shape[:-1], 1)), free[..., :-1]], axis=-1)[..., : len(times)]
    with np.errstate(invalid="ignore", divide="ignore"):
        rise = np.where(mine > 0, before * mine / n, 0.0)
        value = np.cumsum(rise, axis=-1)
        # Var F(t) = sum (F(t) - F(s))^2 a(s) - 2 (F(t) - F(s)) b(s) + c(s), over the times s up to t
        a = np.where((every > 0) & (n - every > _NOTHING * n), every / (n * (n - every)), 0.0)
        b = np.where(mine > 0, before * mine / n**2, 0.0)
        c = np.where(mine > 0, before**2 * mine * (n - mine) / n**3, 0.0)
    squares = np.cumsum(value**2 * a + 2 * value * b + c, axis=-1)
    variance = value**2 * np.cumsum(a, axis=-1) - 2 * value * np.cumsum(value * a + b, axis=-1) + squares
    return Incidence(times, value, np.maximum(variance, 0.0), n)


def _table(
    years: Floats, event: NDArray[Any], weights: Floats, *kinds: Collection[int]
) -> tuple[Floats, Floats, list[Floats]]:
    """Return the times seen `[times]`, those at risk just before `[..., times]`, and the counts of kinds of events."""
    order = np.argsort(years, kind="stable")
    times, first = np.unique(years[order], return_index=True)
    if not len(times):
        empty = np.zeros((*weights.shape[:-1], 0))
        return times, empty, [empty for _ in kinds]
    w, e = weights[..., order], event[order]
    leaving = np.add.reduceat(w, first, axis=-1)
    at_risk = np.cumsum(leaving[..., ::-1], axis=-1)[..., ::-1]
    return times, at_risk, [np.add.reduceat(w * np.isin(e, tuple(kind)), first, axis=-1) for kind in kinds]


def _left(at_risk: Floats, gone: Floats) -> Floats:
    """Return the share of those at risk who are left, 1 where nobody goes and exactly 0 where everybody does."""
    stay = at_risk - gone
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(gone > 0, np.where(stay > _NOTHING * at_risk, stay / at_risk, 0.0), 1.0)
