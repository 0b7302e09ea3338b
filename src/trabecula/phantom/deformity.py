"""Vertebral deformities at the first visit: how many, at which levels, of which shape, with how much loss of height.

Prevalence at 50 to 80 follows what is recalled of EVOS (O'Neill, JBMR 1996;11:1010): 5 to 25 % of women, 7 to 17 % of
men. Levels, shapes and losses are recalled orders of magnitude: most at T7-T9 and T12-L1, wedges in the thorax, more
biconcave bodies in the lumbar spine, half of grade 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import log_ndtr

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.phantom.chance import Chance
    from trabecula.phantom.population import Bodies

    Floats = NDArray[np.float64]

LEVELS = (*(f"T{number}" for number in range(4, 13)), *(f"L{number}" for number in range(1, 6)))
Shape = Literal["wedge", "biconcave", "crush"]
SHAPES: tuple[Shape, ...] = ("wedge", "biconcave", "crush")

_SHARE = np.array([0.02, 0.03, 0.06, 0.10, 0.12, 0.09, 0.05, 0.08, 0.15, 0.13, 0.07, 0.05, 0.04, 0.01])
_WEDGE = np.array([0.70] * 7 + [0.65] * 3 + [0.35] * 4)
_BICONCAVE = np.array([0.22] * 7 + [0.22] * 3 + [0.52] * 4)

_NUMBER_AT_65 = (0.072, 0.070)  # mean number at usual strength, women and men
_PER_DECADE = (1.85, 1.35)
_PER_SD = 2.0  # of strength
_FRAILTY = 0.9  # SD of the logarithm that the levels of a person share: deformities come together
_LOSS = (0.20, 0.08)  # the least, and the mean beyond it at usual strength
_LOSS_BY_STRENGTH = 0.3  # SD a SD of strength


def height_losses(chance: Chance, bodies: Bodies, strength: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Return the height that is lost `[n, level]`, 0 where a level has its shape, and the shapes by their place."""
    decades = (bodies.age - 65) / 10
    ln_number = np.log(np.take(_NUMBER_AT_65, bodies.sex)) + np.log(np.take(_PER_DECADE, bodies.sex)) * decades
    ln_number = ln_number - np.log(_PER_SD) * strength + _FRAILTY * chance.normal("deformities")
    turns = np.arange(len(LEVELS))[None, :]
    rate = np.exp(np.minimum(ln_number, 2.0))[:, None] * _SHARE
    deformed = chance.uniform("deformity", turns) < -np.expm1(-rate)
    depth = -log_ndtr(_LOSS_BY_STRENGTH * strength[:, None] - chance.normal("height_loss", turns))
    loss = np.where(deformed, np.minimum(_LOSS[0] + _LOSS[1] * depth, 0.75), 0.0).round(3)
    kind = chance.uniform("deformity_shape", turns)
    return loss, (kind > _WEDGE).astype(np.int64) + (kind > _WEDGE + _BICONCAVE)
