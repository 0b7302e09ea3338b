"""Vertebrae as batches: views for self-supervision, and cubes with what is known of them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.systems.huang2025_texture_moe.crops import Vertebra


@dataclass(frozen=True)
class Moves:
    """How a cube may be changed without harm to its texture: voxels change places and are never mixed.

    A voxel of the changed cube is the nearest one of the old. Between voxels a mean would blur what is to be learned:
    turned by 5 degrees about each axis with linear interpolation, white noise loses two fifths of its SD.
    """

    degrees: float = 0.0
    """Largest turn about each axis."""
    shift: float = 0.0
    """Largest move along each axis, as a share of the side; what comes in repeats the edge."""
    flip: bool = False
    """Whether left and right are exchanged in half of the cubes."""

    def __call__(self, cubes: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return changed cubes `[n, 1, k, j, i]`, each by its own draw."""
        n = len(cubes)
        turns, steps = (2 * torch.rand(2, n, 3, generator=generator) - 1).unbind()
        mirrored = (torch.rand(n, generator=generator) < 0.5) if self.flip else torch.zeros(n, dtype=torch.bool)
        matrix = _turned(math.radians(self.degrees) * turns)
        matrix[:, :, 0] *= torch.where(mirrored, -1.0, 1.0)[:, None]  # x of the grid is the last axis: left and right
        theta = torch.cat([matrix, 2 * self.shift * steps[:, :, None]], dim=2)
        grid = functional.affine_grid(theta, list(cubes.shape), align_corners=False)
        moved: torch.Tensor = functional.grid_sample(
            cubes, grid.to(cubes), mode="nearest", padding_mode="border", align_corners=False
        )
        return moved


@dataclass(frozen=True, eq=False)
class Cubes:
    """The cubes of vertebrae as tensors, one batch at a time: memory does not grow with the cohort."""

    vertebrae: Sequence[Vertebra]
    window_hu: tuple[float, float]

    def __len__(self) -> int:
        return len(self.vertebrae)

    def stacked(self, indices: Sequence[int]) -> torch.Tensor:
        """Return cubes `[n, 1, k, j, i]`, HU clipped to the window and scaled to 0 to 1."""
        low, high = self.window_hu
        hu = np.stack([self.vertebrae[index].hu for index in indices]).astype(np.float32)
        return torch.from_numpy(((hu - low) / (high - low)).clip(0, 1)).unsqueeze(1)

    @property
    def digest(self) -> str:
        """Name the content."""
        sha = hashlib.sha256(repr((self.window_hu, len(self))).encode())
        for vertebra in self.vertebrae:
            sha.update(np.ascontiguousarray(vertebra.hu).tobytes())
        return sha.hexdigest()


@dataclass(frozen=True, eq=False, kw_only=True)
class Views:
    """Two views of each vertebra chosen and one of a neighbour in the pool, drawn anew, with their textures."""

    cubes: Cubes
    """The whole pool."""
    textures: NDArray[np.float64]
    """`[vertebra, feature]`, rows of the pool."""
    neighbours: NDArray[np.intp]
    """`[vertebra, K]`, places in the pool."""
    anchors: Sequence[int]
    """Places of those of this part, which are chosen from."""
    moves: Moves

    def __len__(self) -> int:
        return len(self.anchors)

    def batch(self, chosen: Sequence[int], generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Return views `[3 n, 1, k, j, i]` and `[3 n, features + 3 n]`: textures, then 1 where two views are alike."""
        twice = torch.tensor([self.anchors[each] for each in chosen])
        near = torch.from_numpy(self.neighbours)[twice]
        drawn = torch.randint(near.shape[1], (len(chosen), 1), generator=generator)
        shown = torch.cat([twice, twice, near.gather(1, drawn)[:, 0]])
        views = self.moves(self.cubes.stacked(shown.tolist()), generator)
        textures = torch.from_numpy(self.textures)[shown].float()
        return views, torch.cat([textures, self._alike(shown).float()], dim=1)

    def _alike(self, shown: torch.Tensor) -> torch.Tensor:
        """Return whether two views show one vertebra, or one a neighbour of the other; none is like itself."""
        same = shown[:, None] == shown[None, :]
        near = (torch.from_numpy(self.neighbours)[shown][:, None, :] == shown[None, :, None]).any(dim=2)
        return (same | near | near.T) & ~torch.eye(len(shown), dtype=torch.bool)

    @property
    def digest(self) -> str:
        """Name the content: cubes, textures, neighbours and whose they are."""
        told = self.cubes.digest.encode() + self.textures.tobytes() + self.neighbours.tobytes()
        return hashlib.sha256(told + repr((self.moves, list(self.anchors))).encode()).hexdigest()


@dataclass(frozen=True, eq=False, kw_only=True)
class Labelled:
    """Cubes with what is known of each vertebra: grade, scaled value and number of the level, NaN where unknown."""

    cubes: Cubes
    known: NDArray[np.float32]
    """`[vertebra, 3]`."""
    moves: Moves | None = None

    def __len__(self) -> int:
        return len(self.cubes)

    def batch(self, chosen: Sequence[int], generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Return cubes `[n, 1, k, j, i]` and what is known of them `[n, 3]`."""
        cubes = self.cubes.stacked(chosen)
        if self.moves is not None:
            cubes = self.moves(cubes, generator)
        return cubes, torch.from_numpy(self.known[list(chosen)])

    @property
    def digest(self) -> str:
        """Name the content: cubes and what is known."""
        return hashlib.sha256(self.cubes.digest.encode() + self.known.tobytes() + repr(self.moves).encode()).hexdigest()


def _turned(angles: torch.Tensor) -> torch.Tensor:
    """Return rotations `[n, 3, 3]` by angles `[n, 3]` about three axes, one after the other."""
    rotation = torch.eye(3).repeat(len(angles), 1, 1)
    for axis in range(3):
        first, second = (each for each in range(3) if each != axis)
        cosine, sine = torch.cos(angles[:, axis]), torch.sin(angles[:, axis])
        about = torch.eye(3).repeat(len(angles), 1, 1)
        about[:, first, first], about[:, second, second] = cosine, cosine
        about[:, first, second], about[:, second, first] = -sine, sine
        rotation = rotation @ about
    return rotation
