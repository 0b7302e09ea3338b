"""Times to an event: whether who breaks first was told a higher risk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def concordance(truth: ArrayLike, risk: ArrayLike, weights: ArrayLike = 1.0) -> Any:
    """Harrell's C: among pairs whose order is known, how often the earlier event has the higher risk.

    `truth` is `[n, 2]`: years, and 1 for the event (anything else is censored). Harrell et al., JAMA 1982;247:2543.
    """
    y = np.asarray(truth, dtype=float)
    years, event, r = y[:, 0], y[:, 1] == 1, np.asarray(risk, dtype=float)
    w = np.broadcast_to(np.asarray(weights, dtype=float), (*np.shape(weights)[:-1], len(r)))
    known = event[:, None] & ((years[:, None] < years) | ((years[:, None] == years) & ~event))
    right = known * ((r[:, None] > r) + 0.5 * (r[:, None] == r))
    with np.errstate(invalid="ignore", divide="ignore"):
        return (w @ right * w).sum(axis=-1) / (w @ known.astype(float) * w).sum(axis=-1)
