"""Polynomials fitted to volumes: voxels are masses, and their moments are those of the sought polynomial.

A surface is only known to a voxel where a line meets it, but far better where many voxels are summed. Weights fall
smoothly to nothing at the ends, so that no row of voxels enters or leaves as a whole.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Powers: TypeAlias = tuple[tuple[int, int], ...]
NODES = np.linspace(-1, 1, 81)


def fitted_density(at: Floats, mass: Floats, reach: tuple[float, float], powers: Powers) -> Floats:
    """Return the coefficients of the polynomial of two places whose density is nearest to these masses.

    `at` is `[2, n]`; places count between -reach and reach. `powers` are those of the first and the second place.
    Raises `ValueError` where nothing lies within reach.
    """
    near = (np.abs(at) < np.array(reach)[:, None]).all(axis=0)
    if not near.any():
        raise ValueError("nothing lies where a surface is to be fitted: is the mask a vertebral body?")
    one, two = at[:, near]
    weighted = _taper(one / reach[0]) * _taper(two / reach[1]) * mass[near]
    moments = np.array([(weighted * one**n * two**m).sum() for n, m in powers])
    return np.asarray(np.linalg.solve(_gram(reach, powers), moments))


@cache
def _gram(reach: tuple[float, float], powers: Powers) -> Floats:
    first, second = np.meshgrid(NODES * reach[0], NODES * reach[1], indexing="ij")
    terms = np.stack([(first**n * second**m).ravel() for n, m in powers])
    weights = np.outer(_taper(NODES), _taper(NODES)).ravel() * (NODES[1] - NODES[0]) ** 2 * reach[0] * reach[1]
    return np.asarray(terms * weights @ terms.T)


def _taper(at: Floats) -> Floats:
    near = np.clip(4 * (1 - np.abs(at)), 0, 1)
    return np.asarray(near**2 * (3 - 2 * near))
