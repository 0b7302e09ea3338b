"""Alveolar trabeculae as they look in projection: a few layers of cut Gaussian random fields, one behind the other.

In a layer bone is where the field is near zero, which draws the walls and struts of a network; the cut follows the
share of bone, and its scale the spacing of marrow spaces. Local density has the mean 1 whatever the bone, so that the
column of mineral follows density alone and the pattern its arrangement.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import irfft2, rfft2
from scipy.special import expit, ndtri

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_LAYERS_MM = (0.9, 1.15, 1.5, 0.95, 1.25, 1.7)
"""Spacing of struts in each layer in the young; 0.6 to 1.0 mm between struts is usual, recalled."""
_SHARE, _SHARE_SD = 0.27, 0.032
"""Bone over all volume in the young, and its change per SD; ours."""
_WIDER_SD = 0.10
"""How much wider the spaces become per SD lost; ours."""
_LYING = 1.3
"""How much longer spaces are along the arch than high: trabeculae about molars lie across the load."""
_EDGE = 0.17
_BAND = 0.36


def alveolar_mesh(rng: Generator, shape: tuple[int, int], pixel_mm: float, trabecular: float) -> Floats:
    """Return local trabecular density over its mean, `[j, i]`; `trabecular` in young SD.

    The same random numbers draw the same network, sparser or denser.
    """
    share = float(np.clip(_SHARE + _SHARE_SD * trabecular, 0.08, 0.45))
    cut = ndtri(0.5 + share / 2)
    wider = 1 - _WIDER_SD * float(np.clip(trabecular, -6, 2))
    up = _LYING**0.5 * np.fft.fftfreq(shape[0], pixel_mm)[:, None]
    along = _LYING**-0.5 * np.fft.rfftfreq(shape[1], pixel_mm)[None, :]
    frequency = np.hypot(up, along)
    total = np.zeros(shape)
    for spacing in _LAYERS_MM:
        middle = 0.5 / (spacing * wider)
        passed = np.exp(-(((frequency / middle - 1) / _BAND) ** 2) / 2)
        made = irfft2(rfft2(rng.standard_normal(shape)) * passed, s=shape)
        struts = expit((cut - np.abs(made / made.std())) / _EDGE)
        total += struts / struts.mean()
    return np.asarray(total / len(_LAYERS_MM))
