"""What a trained network says about pictures, and grades as predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from trabecula.learn.examples import Shown, stacked, three_channels
from trabecula.prediction import Grades, Prediction, Probability

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from trabecula.target import Target


@torch.inference_mode()
def grade_probabilities(network: nn.Module, pictures: Shown, *, batch: int = 16) -> NDArray[np.float64]:
    """Return probabilities `[n, grades]` of pictures, which do not depend on what else is in a batch.

    Expects logits `[n, grades]` from inputs `[n, 3, h, w]`; the network is put into `eval` mode.
    """
    network.eval()
    device = next(network.parameters()).device
    rows = []
    for start in range(0, len(pictures), batch):
        grey = stacked(pictures, range(start, min(start + batch, len(pictures))))
        logits = network(three_channels(grey.to(device)))
        rows.append(logits.double().softmax(dim=1).cpu().numpy())
    return np.concatenate(rows)


def graded(target: Target, probabilities: NDArray[np.float64]) -> Prediction:
    """Return the answer to a binary or an ordinal target from the probabilities of its grades."""
    if target.kind == "binary":
        return Probability(float(probabilities[1]))
    return Grades(tuple(probabilities.tolist()))
