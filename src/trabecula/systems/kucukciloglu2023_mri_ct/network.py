"""The small network of two parallel blocks, once for one kind of picture and twice, side by side, for MRI and CT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.nn import functional

_EPS = 1e-3  # of batch normalisation in Keras


class TwoBlocks(nn.Module):
    """A pooling path of 3 x 3 and a strided path of 5 x 5, added, and a dense head; input `[B, 3, rows, columns]`.

    `same` pads every convolution as Keras does, so that strides alone make maps smaller; otherwise only the first of
    the strided path, and the one after the sum, are padded. `forget` is the share of the running statistics that one
    batch replaces.
    """

    def __init__(
        self, *, side: tuple[int, int], same: bool, filters: int, dense: Sequence[int], forget: float, outputs: int
    ) -> None:
        super().__init__()
        self.pooling = nn.Sequential(
            *_layers(3, filters, kernel=3, stride=1, same=same, forget=forget),
            nn.MaxPool2d(2),
            *_layers(filters, filters, kernel=3, stride=1, same=same, forget=forget),
            nn.MaxPool2d(2),
        )
        self.strided = nn.Sequential(
            *_layers(3, filters, kernel=5, stride=2, same=True, forget=forget),
            *_layers(filters, filters, kernel=5, stride=2, same=same, forget=forget),
        )
        self.merge = nn.Sequential(KerasConvolution(filters, 2 * filters, kernel=5, stride=1, same=True), nn.ReLU())
        width = 2 * filters * _places(*side, same=same)
        layers: list[nn.Module] = []
        for after in dense:
            layers += [nn.Linear(width, after), nn.ReLU()]
            width = after
        self.head = nn.Sequential(nn.Flatten(), *layers, nn.Linear(width, outputs))
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(module.weight)  # Keras's own start
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return logits `[B, outputs]` of pictures of 0 to 1; shapes beside at 80 x 60, not padded and padded."""
        pooled = self.pooling(pictures)  # [B, 32, 18, 13] or [B, 32, 20, 15]
        strided = self.strided(pictures)  # the same
        maps = self.merge(pooled + strided)  # [B, 64, 18, 13] or [B, 64, 20, 15]
        logits: torch.Tensor = self.head(maps)  # [B, 14976] or [B, 19200] -> [B, 32] -> [B, 16] -> [B, 1]
        return logits


class Branches(nn.Module):
    """Networks that share nothing, one for each kind of picture; what one sees never reaches another's output."""

    def __init__(self, branches: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.branches = nn.ModuleDict(dict(branches))

    def forward(self, pictures: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return logits `[B, branches, outputs]` of one batch `[B, 3, rows, columns]` for each branch."""
        logits = [branch(each) for branch, each in zip(self.branches.values(), pictures, strict=True)]
        return torch.stack(logits, dim=1)


class KerasConvolution(nn.Conv2d):
    """A convolution with the padding of Keras: `same` gives ceil(n / stride), the odd pixel below and to the right."""

    def __init__(self, before: int, after: int, *, kernel: int, stride: int, same: bool) -> None:
        super().__init__(before, after, kernel, stride=stride)
        self.same = same

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 torch's own name
        """Return maps `[B, after, h, w]` of maps `[B, before, H, W]`."""
        if self.same:
            top, bottom = self._edges(input.shape[2], 0)
            left, right = self._edges(input.shape[3], 1)
            input = functional.pad(input, (left, right, top, bottom))  # noqa: A001
        return super().forward(input)

    def _edges(self, length: int, axis: int) -> tuple[int, int]:
        stride, kernel = self.stride[axis], self.kernel_size[axis]
        lacking = max(0, (-(-length // stride) - 1) * stride + kernel - length)
        return lacking // 2, lacking - lacking // 2


def _layers(before: int, after: int, *, kernel: int, stride: int, same: bool, forget: float) -> list[nn.Module]:
    """Return a convolution, ReLU, then batch normalisation: the order of the published code."""
    convolution = KerasConvolution(before, after, kernel=kernel, stride=stride, same=same)
    return [convolution, nn.ReLU(), nn.BatchNorm2d(after, eps=_EPS, momentum=forget)]


def _places(rows: int, columns: int, *, same: bool) -> int:
    """Return how many places the maps after the two blocks have.

    Raises `ValueError` where the blocks end in maps of different sides, which cannot be added.
    """
    sides = []
    for length in (rows, columns):
        half = -(-length // 2)  # the first strided convolution is always padded
        pooled = length // 4 if same else ((length - 2) // 2 - 2) // 2
        strided = -(-half // 2) if same else (half - 5) // 2 + 1
        if pooled != strided or pooled < 1:
            raise ValueError(f"a side of {length} px gives the two blocks maps of {pooled} and {strided}: use 80 x 60")
        sides.append(pooled)
    return sides[0] * sides[1]
