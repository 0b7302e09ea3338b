"""Time to event: Cox's partial likelihood, its linear fit, Breslow's baseline, and curves as predictions.

Truths are `[n, 2]`: years, and 1 for the event; anything else, death too, ends the observation. So a curve tells the
incidence in people who do not die of something else before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from trabecula.case import Event
from trabecula.prediction import Survival

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.case import Case
    from trabecula.target import Target

    Floats = NDArray[np.float64]

_STEPS, _FLAT, _SMALLEST = 50, 1e-9, 1e-10


def observed(cases: Sequence[Case], target: Target) -> Floats:
    """Return years and 1 for the event `[n, 2]` of cases that all have truth.

    Raises `ValueError` when nobody had the event: then no order can be learned.
    """
    known = [case.truth[target.id] for case in cases]
    truth = np.array([(each.years, each.event == 1) for each in known if isinstance(each, Event)], dtype=float)
    if not truth.size or not truth[:, 1].any():
        raise ValueError(f"{target.id}: none of {len(known)} cases had the event; add cases who did")
    return truth


def cox_loss(log_hazard: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return the negative log partial likelihood an event; 0, with a gradient of 0, where there is none.

    `log_hazard` is `[n]`, `truth` `[n, 2]`; those at risk are those in the batch. Cox, J R Stat Soc B 1972;34:187;
    tied events by Efron, JASA 1977;72:557: of `d` events at one time, the `k`th meets the risk of all less `k / d` of
    the risk of the tied, `k` from 0 on.
    """
    years, happened = truth[:, 0], truth[:, 1] == 1
    if not happened.any():
        return log_hazard.sum() * 0.0
    when = years[happened]
    at_risk = years >= when[:, None]  # [events, n]
    tied = happened & (years == when[:, None])  # [events, n]
    together = when == when[:, None]  # [events, events]
    gone = together.tril(-1).sum(dim=1) / together.sum(dim=1)  # k / d of each event
    share = at_risk.to(log_hazard) - gone[:, None].to(log_hazard) * tied
    risk = torch.logsumexp(log_hazard + share.log(), dim=1)
    loss: torch.Tensor = (risk - log_hazard[happened]).mean()
    return loss


def cox_regression(features: Floats, truth: Floats, *, ridge: float = 0.0) -> tuple[Floats, list[float]]:
    """Return the coefficients `[p]` of Cox's regression on features `[n, p]`, and the loss before each step to them.

    Newton's method on `cox_loss` plus `ridge / 2` times the sum of squared coefficients, which keeps a feature that is
    the same for everybody, or that only those with the event have, from going astray.
    Raises `ValueError` where the solution is not unique: then a ridge is needed.
    """
    x, observed_ = torch.from_numpy(features), torch.from_numpy(truth)

    def penalised(at: torch.Tensor) -> torch.Tensor:
        return cox_loss(x @ at, observed_) + 0.5 * ridge * (at @ at)

    coefficients, losses = torch.zeros(x.shape[1], dtype=x.dtype), []
    for _ in range(_STEPS):
        at = coefficients.requires_grad_()
        value = penalised(at)
        (slope,) = torch.autograd.grad(value, at)
        losses.append(float(value.detach()))
        if slope.abs().max() < _FLAT:
            break
        try:
            curvature = torch.autograd.functional.hessian(penalised, at.detach())  # type: ignore[no-untyped-call]
            step = torch.linalg.solve(curvature, slope)
        except RuntimeError as error:
            raise ValueError(f"Cox regression has no unique solution ({error}): give a ridge") from error
        coefficients, share = at.detach() - step, 1.0
        while share > _SMALLEST and not float(penalised(coefficients)) <= losses[-1]:
            share /= 2
            coefficients = at.detach() - share * step
    found: Floats = coefficients.detach().numpy()
    return found, losses


def breslow(log_hazard: Floats, truth: Floats, years: Floats) -> Floats:
    """Return the cumulative baseline hazard at the given years: that of a log hazard of 0.

    At each time of an event it rises by the events over the summed hazard of those at risk. Breslow, J R Stat Soc B
    1972;34:216.
    """
    highest = log_hazard.max()
    hazard = np.exp(log_hazard - highest)
    when = truth[truth[:, 1] == 1, 0]
    rises = 1 / (hazard * (truth[:, 0] >= when[:, None])).sum(axis=1)
    met = when <= years[:, None]  # [years, events]
    cumulative: Floats = (met @ rises) * float(np.exp(-highest))
    return cumulative


def known_years(truth: Floats, *, horizon: float, step: float = 0.5) -> Floats:
    """Return the years `step`, `2 * step` ... at which a curve is told: up to the horizon, or the last observation."""
    last = min(horizon, float(truth[:, 0].max()))
    return np.array([step * each for each in range(1, int(last / step) + 1)] or [last])


def curve(log_hazard: float, years: Floats, baseline: Floats) -> Survival:
    """Return the cumulative incidence of the event: `1 - exp(-baseline) ** exp(log_hazard)`."""
    incidence = -np.expm1(-baseline * np.exp(log_hazard))
    return Survival(tuple(years.tolist()), {"event": tuple(incidence.tolist())})
