"""From counts to texture features: the formulae of sections 3.6 to 3.11 of arXiv:1612.07003v11.

Every function takes several matrices at once and returns one value of each feature per matrix, under names without
aggregation. A value that is not defined for a matrix is NaN here; averages pass over it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.measure.radiomics.lattice import Items

Values = dict[str, "NDArray[np.float64]"]

LEVEL_AND_SIZE = (
    "small", "large", "low", "high", "small_low", "small_high", "large_low", "large_high",
    "level_non_uniformity", "level_non_uniformity_normalised", "size_non_uniformity", "size_non_uniformity_normalised",
    "percentage", "level_variance", "size_variance", "entropy", "energy",
)  # fmt: skip
"""What runs, zones, distances and dependences have in common: each is a matrix of grey level by size."""


def level_and_size(
    items: Items, matrix: NDArray[np.int64], count: int, voxels: NDArray[np.float64] | None = None
) -> Values:
    """Return the features of `LEVEL_AND_SIZE` for each of `count` matrices, `[matrix]` (3.7, 3.8, 3.9, 3.11).

    `matrix` says to which each item belongs. The percentage is of `voxels` per matrix, by default of the voxels that
    the items cover (which counts a voxel once for each direction merged).
    """
    levels, sizes = int(items.level.max()) + 1, int(items.size.max()) + 1
    cell, number = _tally((matrix * levels + items.level) * sizes + items.size, count * levels * sizes)
    of = cell // (levels * sizes)
    i, j = (cell // sizes % levels).astype(float), (cell % sizes).astype(float)

    def summed(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return _sums(of, weights, count)

    def non_uniformity(value: NDArray[np.float64], size: int) -> NDArray[np.float64]:
        marginal = _sums((of * size + value).astype(np.int64), number, count * size).reshape(count, size)
        return np.asarray(np.square(marginal).sum(axis=1))

    with np.errstate(divide="ignore", invalid="ignore"):
        total = summed(number)
        share = number / total[of]
        ii, jj = i * i, j * j
        level_mean, size_mean = summed(share * i), summed(share * j)
        by_level, by_size = non_uniformity(i, levels), non_uniformity(j, sizes)
        values = (
            summed(share / jj), summed(share * jj), summed(share / ii), summed(share * ii),
            summed(share / (ii * jj)), summed(share * ii / jj), summed(share * jj / ii), summed(share * ii * jj),
            by_level / total, by_level / total**2, by_size / total, by_size / total**2,
            total / (summed(number * j) if voxels is None else voxels),
            summed(share * np.square(i - level_mean[of])), summed(share * np.square(j - size_mean[of])),
            -summed(share * np.log2(share)), summed(share * share),
        )  # fmt: skip
    empty = total == 0
    return {name: np.where(empty, np.nan, value) for name, value in zip(LEVEL_AND_SIZE, values, strict=True)}


def co_occurrence(counts: NDArray[np.int64], levels: NDArray[np.int64], level_count: int) -> Values:
    """Return the features of symmetric co-occurrence matrices `[matrix, level, level]` for each of them (3.6).

    `levels` names rows and columns; `level_count` is N_g. `correlation` is 1 where one level fills the matrix, as the
    manual has it. `max_correlation` is not of the manual: PyRadiomics's MCC, 1 where there is one level.
    """
    n, i = len(counts), levels.astype(float)
    number = counts.sum(axis=(1, 2))
    p = counts / np.maximum(number, 1)[:, None, None]
    margin = p.sum(axis=2)
    difference = _diagonals(p, np.abs(levels[:, None] - levels), level_count)
    total = _diagonals(p, levels[:, None] + levels, 2 * level_count + 1)
    k, s = np.arange(level_count, dtype=float), np.arange(2 * level_count + 1, dtype=float)
    mean = margin @ i
    variance = (margin * np.square(i - mean[:, None])).sum(axis=1)
    away = s - 2 * mean[:, None]
    difference_mean, sum_mean = difference @ k, total @ s
    product_mean = (total @ s**2 - difference @ k**2) / 4
    joint, own = _entropy(p.reshape(n, -1)), _entropy(margin)
    one_level = np.count_nonzero(margin, axis=1) < 2
    features = {
        "joint_max": p.max(axis=(1, 2)),
        "joint_avg": mean,
        "joint_var": variance,
        "joint_entr": joint,
        "diff_avg": difference_mean,
        "diff_var": (difference * np.square(k - difference_mean[:, None])).sum(axis=1),
        "diff_entr": _entropy(difference),
        "sum_avg": sum_mean,
        "sum_var": (total * np.square(s - sum_mean[:, None])).sum(axis=1),
        "sum_entr": _entropy(total),
        "energy": np.square(p).sum(axis=(1, 2)),
        "contrast": difference @ k**2,
        "dissimilarity": difference_mean,
        "inv_diff": difference @ (1 / (1 + k)),
        "inv_diff_norm": difference @ (1 / (1 + k / level_count)),
        "inv_diff_mom": difference @ (1 / (1 + k**2)),
        "inv_diff_mom_norm": difference @ (1 / (1 + k**2 / level_count**2)),
        "inv_var": difference[:, 1:] @ (1 / k[1:] ** 2),
        "corr": np.divide(product_mean - mean**2, variance, out=np.ones(n), where=~one_level),
        "auto_corr": product_mean,
        "clust_tend": (total * away**2).sum(axis=1),
        "clust_shade": (total * away**3).sum(axis=1),
        "clust_prom": (total * away**4).sum(axis=1),
        "info_corr1": np.divide(joint - 2 * own, own, out=np.zeros(n), where=~one_level),
        "info_corr2": np.sqrt(np.maximum(1 - np.exp(-2 * (2 * own - joint)), 0.0)),
        "max_correlation": np.where(one_level, 1.0, _max_correlation(p, margin)),
    }
    return {name: np.where(number > 0, value, np.nan) for name, value in features.items()}


def tone_difference(
    distance: NDArray[np.float64], level: NDArray[np.int64], matrix: NDArray[np.int64], count: int
) -> Values:
    """Return coarseness, contrast, busyness, complexity and strength for each of `count` matrices (3.10).

    Voxels come with their distance from the mean of their neighbours, their level, and the matrix that they belong
    to. As the manual and its implementations have it, coarseness is at most a million (where nothing differs), and
    the others are 0 where the region has one level.
    """
    size = int(level.max()) + 1
    number = np.bincount(matrix * size + level, minlength=count * size).reshape(count, size)
    summed = _sums(matrix * size + level, distance, count * size).reshape(count, size)
    features = [_of_one(n, s) for n, s in zip(number, summed, strict=True)]
    names = ("coarseness", "contrast", "busyness", "complexity", "strength")
    return dict(zip(names, np.array(features).T, strict=True))


def _of_one(number: NDArray[np.int64], summed: NDArray[np.float64]) -> tuple[float, ...]:
    present = np.flatnonzero(number)
    voxels = float(number.sum())
    if not voxels:
        return (np.nan,) * 5
    i, p, s = present.astype(float), number[present] / voxels, summed[present]
    weighted, levels = float(p @ s), len(present)
    coarseness = 1 / max(weighted, 1e-6)
    if levels == 1:
        return coarseness, 0.0, 0.0, 0.0, 0.0
    gap = np.abs(i[:, None] - i)
    contrast = float(p @ np.square(gap) @ p) / (levels * (levels - 1)) * s.sum() / voxels
    spread = float(np.abs((i * p)[:, None] - i * p).sum())
    both, mixed = p[:, None] + p, (p * s)[:, None] + p * s
    complexity = float((gap * mixed / both).sum()) / voxels
    strength = float((both * np.square(gap)).sum()) / s.sum() if s.sum() else 0.0
    return coarseness, contrast, weighted / spread if spread else 0.0, complexity, strength


def _sums(key: NDArray[np.int64], weights: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Sum the weights that share a key below `size`."""
    return np.asarray(np.bincount(key, weights, minlength=size), dtype=np.float64)


def _tally(key: NDArray[np.int64], limit: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the distinct keys and how often each occurs; `limit` is above every key."""
    if limit > 8 * len(key) + 100_000:
        distinct, count = np.unique(key, return_counts=True)
        return distinct, count.astype(float)
    count = np.bincount(key)
    distinct = np.flatnonzero(count)
    return distinct, count[distinct].astype(float)


def _diagonals(p: NDArray[np.float64], where: NDArray[np.int64], size: int) -> NDArray[np.float64]:
    """Sum each matrix over the cells that share an entry of `where`: `[matrix, size]`."""
    n = len(p)
    key = np.arange(n)[:, None] * size + where.ravel()
    return _sums(key.ravel(), p.ravel(), n * size).reshape(n, size)


def _entropy(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the entropy of each row in bits."""
    entropy: NDArray[np.float64] = -(p * np.log2(p, out=np.zeros_like(p), where=p > 0)).sum(axis=-1)
    return entropy


def _max_correlation(p: NDArray[np.float64], margin: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the second largest singular value of p / sqrt(px py): the maximal correlation coefficient."""
    scale = np.divide(1, np.sqrt(margin), out=np.zeros_like(margin), where=margin > 0)
    values: NDArray[np.float64] = np.sort(np.abs(np.linalg.eigvalsh(p * scale[:, :, None] * scale[:, None, :])), axis=1)
    return values[:, max(values.shape[1] - 2, 0)]
