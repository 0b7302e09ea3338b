"""Chance by name: random numbers that depend on the seed, the patient and a name, and on nothing else.

A patient can so be drawn alone or among thousands, in any order, with the same result, and a variable that is added
later leaves the others as they are. The numbers are those of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014, 453),
a counter-based generator, which numpy can evaluate for all patients at once.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtri

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, eq=False)
class Chance:
    """The random numbers of some patients `[n]`."""

    seed: int
    patients: NDArray[np.int64]

    def uniform(self, name: str, repeat: ArrayLike = 0) -> Floats:
        """Return numbers in (0, 1), one a patient; `repeat` `[n]` or `[n, m]` asks for further draws of the name."""
        turn = np.atleast_1d(np.asarray(repeat, dtype=np.uint64))
        patients = self.patients.astype(np.uint64)
        state = _mixed(_key(self.seed, name) + _GOLDEN * (patients + np.uint64(1)))
        if turn.ndim == 2:
            state = state[:, None]
        bits = _mixed(state + _GOLDEN * (turn + np.uint64(1)))
        return ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53

    def normal(self, name: str, repeat: ArrayLike = 0) -> Floats:
        """Return standard normal numbers; see `uniform`."""
        return np.asarray(ndtri(self.uniform(name, repeat)), dtype=np.float64)

    def of(self, rows: NDArray[Any]) -> Chance:
        """Return the chance of some of the patients."""
        return Chance(self.seed, self.patients[rows])


@lru_cache(maxsize=1024)
def _key(seed: int, name: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.sha256(f"{seed}\0{name}".encode()).digest()[:8], "little"))


def _mixed(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
