"""Survival in steps: the hazard of each step of a grid of times, its likelihood under censoring, and curves.

Gensheimer and Narasimhan, PeerJ 2019;7:e6257. A network tells one logit a point of the grid, the first of which is time
0; the hazard there is its sigmoid, and the share without the event is the running product of what the hazards leave.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def steps(truth: Floats, grid: Floats) -> Floats:
    """Return the point of the grid at which observation ends, and 1 for the event, `[n, 2]`, of years and events.

    The time of an event is rounded up to the grid, another end of observation down. What happens after the grid
    ends is not known of: observation ends at its last point.
    """
    years, happened = truth[:, 0], (truth[:, 1] == 1) & (truth[:, 0] <= grid[-1])
    up, down = np.searchsorted(grid, years, side="left"), np.searchsorted(grid, years, side="right") - 1
    return np.stack([np.where(happened, up, down), happened], axis=1).astype(float)


def hazard_loss(logits: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    """Return the mean negative log-likelihood a person of logits `[n, points]`, with `ends` from `steps`.

    Everybody is without event at the points before the end; at the end, those without event are, too.
    """
    points = torch.arange(logits.shape[1], device=logits.device)
    last, happened = ends[:, :1], ends[:, 1:]
    events = ((points == last) & (happened == 1)).to(logits)
    each = functional.binary_cross_entropy_with_logits(logits, events, reduction="none")
    return torch.where(points <= last, each, 0.0).sum(dim=1).mean()


def without_event(logits: torch.Tensor) -> torch.Tensor:
    """Return the share without the event at each point of the grid, `[n, points]`: it never rises."""
    return functional.logsigmoid(-logits).cumsum(dim=1).exp()


def usual_logits(ends: Floats, points: int) -> Floats:
    """Return the logit of everybody's hazard at each point `[points]`, as if one more were at risk at the mean hazard.

    That keeps a point at which nobody had the event, or at which nobody was left, from a logit without end. Somebody
    must have had it.
    """
    at_risk = (ends[:, :1] >= np.arange(points)).sum(axis=0)
    events = ((ends[:, :1] == np.arange(points)) & (ends[:, 1:] == 1)).sum(axis=0)
    share = (events + events.sum() / at_risk.sum()) / (at_risk + 1)
    logits: Floats = np.log(share / (1 - share))
    return logits
