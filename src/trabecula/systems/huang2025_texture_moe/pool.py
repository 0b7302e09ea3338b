"""The texture feature pool: what is measured of the texture of many vertebrae, and which of them are alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class TexturePool:
    """Radiomic features of vertebrae, each scaled to mean 0 and SD 1 over the pool."""

    names: tuple[str, ...]
    centre: Floats
    spread: Floats
    rows: Floats
    """`[vertebra, feature]`."""

    @classmethod
    def of(cls, textures: Sequence[Mapping[str, float]], *, redundant: float) -> TexturePool:
        """Put textures into a pool: features that all have and that vary; of two with a higher |r|, the first.

        Raises `ValueError` when no feature is left.
        """
        names = [name for name in textures[0] if all(name in texture for texture in textures)]
        values = np.array([[texture[name] for name in names] for texture in textures])
        centre, spread = values.mean(axis=0), values.std(axis=0)
        kept: list[int] = []
        scaled = (values - centre) / np.where(spread > 0, spread, 1.0)
        for place in np.flatnonzero(spread > 0):
            shared = np.abs(scaled[:, kept].T @ scaled[:, place]) / len(scaled)
            if not (shared > redundant).any():
                kept.append(int(place))
        if not kept:
            raise ValueError(f"no radiomic feature varies among {len(textures)} vertebrae: bring more patients")
        return cls(
            names=tuple(names[place] for place in kept),
            centre=centre[kept],
            spread=spread[kept],
            rows=scaled[:, kept],
        )

    def scaled(self, texture: Mapping[str, float]) -> Floats:
        """Return a texture as a row of this pool; raises `KeyError` for one without a feature of the pool."""
        return (np.array([texture[name] for name in self.names]) - self.centre) / self.spread


def alike(rows: Floats, count: int, *, among: Sequence[int]) -> NDArray[np.intp]:
    """Return for each row those at the smallest angle to it `[n, count]`, among some and not itself.

    There are fewer than `count` where fewer than that are among whom is searched. Raises `ValueError` for one alone.
    """
    if len(among) < 2:
        raise ValueError("one vertebra has no neighbour: bring more patients")
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    cosine = unit @ unit[among].T
    cosine[np.arange(len(rows))[:, None] == np.asarray(among)] = -np.inf
    nearest = np.argsort(-cosine, axis=1, kind="stable")[:, : min(count, len(among) - 1)]
    return np.asarray(among, dtype=np.intp)[nearest]
