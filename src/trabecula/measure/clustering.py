"""Clusters of values: K-means and fuzzy C-means of grey levels or other features, and what share each cluster has.

Equal values are clustered once and counted as often as they occur, so that a picture of 8 bits costs 256 values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_STARTS = 10
_STEPS = 2000
_STILL = 1e-7
"""Fuzzy C-means ends when no membership moves further."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Clusters:
    """Clusters in ascending order of their centres' first column (then the second, and so on)."""

    centres: Floats
    """`[cluster, d]`."""
    labels: NDArray[np.int64]
    """The cluster of each value, `[n]`: the nearest, in fuzzy clusters the one with the largest membership."""
    memberships: Floats
    """How far each value belongs to each cluster, `[n, cluster]`, 1 in all; of K-means 0 or 1."""
    objective: tuple[float, ...]
    """What was minimised, step by step; of K-means its end alone: the sum of squared distances."""


def k_means(values: Floats, clusters: int, *, seed: int) -> Clusters:
    """Return K-means clusters of `values` `[n, d]`: the best of ten starts by k-means++ (scikit-learn's).

    Raises `ValueError` for values that are not finite numbers `[n, d]`, and fewer different ones than clusters.
    """
    from sklearn.cluster import KMeans  # noqa: PLC0415 takes a second

    points, place, counts = _different(values, clusters)
    found = KMeans(clusters, n_init=_STARTS, random_state=seed).fit(points, sample_weight=counts)
    memberships = np.eye(clusters)[found.labels_]
    return _ordered(found.cluster_centers_, memberships, place, (float(found.inertia_),))


def fuzzy_c_means(values: Floats, clusters: int, *, fuzzifier: float = 2.0, seed: int) -> Clusters:
    """Return fuzzy C-means clusters of `values` `[n, d]` by Bezdek's alternating updates, from the K-means centres.

    Memberships are `u = 1 / sum (d / d_other)^(2 / (m - 1))`, centres the means weighted by `u^m`, and what falls is
    the sum of `u^m d^2` (Bezdek, Ehrlich and Full, Computers & Geosciences 1984;10:191; recalled). A value that lies
    on a centre belongs to it alone. Raises `ValueError` for what `k_means` refuses, and a fuzzifier not above 1.
    """
    if not 1 < fuzzifier < np.inf:
        raise ValueError(f"the fuzzifier is above 1 (2 is usual; towards 1 it is K-means); got {fuzzifier}")
    centres = k_means(values, clusters, seed=seed).centres
    points, place, counts = _different(values, clusters)
    memberships = np.zeros((len(points), clusters))
    objective: list[float] = []
    for _ in range(_STEPS):
        before, squared = memberships, _squared(points, centres)
        memberships = _memberships(squared, fuzzifier)
        weights = counts[:, None] * memberships**fuzzifier
        objective.append(float((weights * squared).sum()))
        if np.abs(memberships - before).max() < _STILL:
            return _ordered(centres, memberships, place, tuple(objective))
        centres = weights.T @ points / weights.sum(axis=0)[:, None]
    raise ValueError(
        f"fuzzy C-means did not settle in {_STEPS} steps: take fewer clusters than {clusters}, or a fuzzifier nearer "
        f"to 2 than {fuzzifier:g}"
    )


def cluster_shares(clusters: Clusters) -> Floats:
    """Return the share of the values in each cluster, `[cluster]`, 1 in all; a cluster that is nowhere largest has 0.

    The fuzzy counterpart, by which a value counts for every cluster, is `clusters.memberships.mean(axis=0)`.
    """
    return np.bincount(clusters.labels, minlength=len(clusters.centres)) / len(clusters.labels)


def _different(values: Floats, clusters: int) -> tuple[Floats, NDArray[np.int64], Floats]:
    """Return the different values `[m, d]`, which of them each value is `[n]`, and how often each occurs `[m]`."""
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or not table.size or not np.isfinite(table).all():
        raise ValueError(f"values to cluster are finite numbers [n, d], at least one; these have shape {table.shape}")
    points, place, counts = np.unique(table, axis=0, return_inverse=True, return_counts=True)
    if not 1 <= clusters <= len(points):
        raise ValueError(f"{len(points)} different values make 1 to {len(points)} clusters; got {clusters}")
    return points, place.reshape(-1), counts.astype(np.float64)


def _squared(points: Floats, centres: Floats) -> Floats:
    """Return the squared distance of each point from each centre, `[m, cluster]`."""
    return np.stack([np.square(points - centre).sum(axis=1) for centre in centres], axis=1)


def _memberships(squared: Floats, fuzzifier: float) -> Floats:
    """Return Bezdek's memberships `[m, cluster]`; a point on several centres is shared evenly by them."""
    nearest = squared.min(axis=1, keepdims=True)
    on_centre = squared == 0
    closeness = (np.where(on_centre, 1.0, nearest) / np.where(on_centre, 1.0, squared)) ** (1 / (fuzzifier - 1))
    closeness = np.where(nearest == 0, on_centre, closeness)
    return np.asarray(closeness / closeness.sum(axis=1, keepdims=True))


def _ordered(centres: Floats, memberships: Floats, place: NDArray[np.int64], objective: tuple[float, ...]) -> Clusters:
    order = np.lexsort(centres.T[::-1])
    memberships = memberships[:, order]
    return Clusters(
        centres=centres[order], memberships=memberships[place], labels=memberships.argmax(axis=1)[place],
        objective=objective,
    )  # fmt: skip
