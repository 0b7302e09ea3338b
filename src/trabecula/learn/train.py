"""The one training loop: read it from top to bottom."""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import torch
from torch import nn

from trabecula.metrics import auc

if TYPE_CHECKING:
    from trabecula.system import Run

Loss = Callable[[Any, torch.Tensor], torch.Tensor]
History = dict[str, list[float]]


class Batches(Protocol):
    """Examples by number, as a network takes them."""

    def __len__(self) -> int: ...

    def batch(self, chosen: Sequence[int], generator: torch.Generator) -> tuple[Any, torch.Tensor]:
        """Return inputs and truths of the chosen examples."""

    @property
    def digest(self) -> str:
        """Name the content, so that a checkpoint of other examples is not resumed."""


@dataclass(frozen=True)
class Group:
    """Layers that learn at a rate of their own, frozen before epoch `start`."""

    layers: Sequence[nn.Module]
    rate: float
    start: int = 0


@dataclass(frozen=True)
class Plan:
    """How long and how fast to learn."""

    epochs: int
    batch: int
    optimiser: Literal["adam", "adamw"] = "adam"
    weight_decay: float = 0.0
    schedule: Literal["constant", "cosine"] = "constant"
    warm_up: int = 0
    """Epochs in which the rate rises from nothing."""
    patience: int | None = None
    """Epochs without a lower validation loss after which training stops; `None` never stops it."""

    def rate(self, epoch: int) -> float:
        """Return the share of the full learning rate in an epoch, counted from 0."""
        if epoch < self.warm_up:
            return (epoch + 1) / (self.warm_up + 1)
        if self.schedule == "constant":
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * (epoch - self.warm_up) / max(1, self.epochs - self.warm_up)))


def train(
    network: nn.Module,
    training: Batches,
    *,
    validation: Batches,
    loss: Loss,
    groups: Sequence[Group],
    plan: Plan,
    run: Run,
    told: Callable[[], Mapping[str, float]] | None = None,
) -> History:
    """Train a network in place, keep the weights with the lowest validation loss, and return the losses by epoch.

    `told` is asked after each epoch for figures that stand beside the losses.
    With `run.folder`, an interrupted training goes on after its last whole epoch and ends as if it had never stopped.
    Frozen layers keep their running statistics. Raises `ValueError` when the loss is no longer finite.
    """
    if run.fabric is None:
        raise ValueError("training needs run.fabric: override _networks, so that fit provides it")
    generator = torch.Generator().manual_seed(run.seed)
    optimiser = _optimiser(groups, plan)
    learner, optimiser = run.fabric.setup(network, optimiser)
    progress = _Progress(history={"train_loss": [], "validation_loss": []}, best=copy.deepcopy(network.state_dict()))
    rates = [(group.rate, group.start) for group in groups]
    checkpoint = _Checkpoint.of(run, (plan, rates, training.digest, validation.digest, str(network)))
    checkpoint.resume(network, optimiser, generator, progress)
    while progress.epoch < plan.epochs and not progress.exhausted(plan.patience):
        _set_rates(optimiser, groups, plan, progress.epoch)
        _training_mode(learner)
        total = 0.0
        for chosen in portions(torch.randperm(len(training), generator=generator).tolist(), plan.batch):
            inputs, truth = run.fabric.to_device(training.batch(chosen, generator))
            optimiser.zero_grad()
            value = loss(learner(inputs), truth)
            run.fabric.backward(value)
            optimiser.step()
            total += value.item() * len(chosen)
        if not math.isfinite(total):
            raise ValueError(f"the loss became {total} in epoch {progress.epoch + 1}: lower the learning rate")
        validated, figure = _validate(learner, validation, loss, plan.batch, run)
        progress.add(total / len(training), validated, network)
        progress.note(told() if told else {})
        checkpoint.save(network, optimiser, generator, progress)
        run.progress(
            progress.epoch, plan.epochs, f"loss {total / len(training):.3f} validation {validated:.3f}{figure}"
        )
    network.load_state_dict(progress.best)
    network.float().requires_grad_(True).eval()
    checkpoint.remove()
    return progress.history


def portions(order: Sequence[int], size: int) -> list[list[int]]:
    """Cut an order into batches of nearly equal length, of which none holds a single example if that can be helped."""
    count = -(-len(order) // size)
    if count > 1 and len(order) // count < 2:
        count -= 1
    edges = [round(each * len(order) / count) for each in range(count + 1)]
    return [list(order[start:end]) for start, end in pairwise(edges)]


@dataclass
class _Progress:
    history: History
    best: dict[str, torch.Tensor]
    lowest: float = math.inf
    waited: int = 0

    @property
    def epoch(self) -> int:
        return len(self.history["train_loss"])

    def exhausted(self, patience: int | None) -> bool:
        return patience is not None and self.waited >= patience

    def add(self, trained: float, validated: float, network: nn.Module) -> None:
        self.history["train_loss"].append(trained)
        self.history["validation_loss"].append(validated)
        self.waited += 1
        if validated < self.lowest:
            self.lowest, self.waited, self.best = validated, 0, copy.deepcopy(network.state_dict())

    def note(self, figures: Mapping[str, float]) -> None:
        for name, figure in figures.items():
            self.history.setdefault(name, []).append(figure)


@dataclass(frozen=True)
class _Checkpoint:
    """Everything that the next epoch depends on, in a file that vanishes when training ends."""

    path: Path | None

    @classmethod
    def of(cls, run: Run, facts: object) -> _Checkpoint:
        name = hashlib.sha256(repr((run.seed, facts)).encode()).hexdigest()[:16]
        return cls(None if run.folder is None else run.folder / f"training-{name}.pt")

    def save(self, network: nn.Module, optimiser: Any, generator: torch.Generator, progress: _Progress) -> None:
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        written = self.path.with_suffix(".part")
        kept = {
            "network": network.state_dict(),
            "optimiser": optimiser.state_dict(),
            "order": generator.get_state(),
            "chance": torch.get_rng_state(),
            "chance_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
            "progress": vars(progress),
        }
        torch.save(kept, written)
        written.replace(self.path)

    def resume(self, network: nn.Module, optimiser: Any, generator: torch.Generator, progress: _Progress) -> None:
        if self.path is None or not self.path.exists():
            return
        kept = torch.load(self.path, map_location="cpu", weights_only=True)
        network.load_state_dict(kept["network"])
        optimiser.load_state_dict(kept["optimiser"])
        generator.set_state(kept["order"])
        torch.set_rng_state(kept["chance"])
        if kept["chance_cuda"]:
            torch.cuda.set_rng_state_all(kept["chance_cuda"])
        vars(progress).update(kept["progress"])

    def remove(self) -> None:
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def _optimiser(groups: Sequence[Group], plan: Plan) -> torch.optim.Optimizer:
    parameters = [{"params": list(_parameters(group.layers)), "lr": group.rate} for group in groups]
    kind = torch.optim.Adam if plan.optimiser == "adam" else torch.optim.AdamW
    return kind(parameters, weight_decay=plan.weight_decay)


def _parameters(layers: Iterable[nn.Module]) -> Iterable[nn.Parameter]:
    return (parameter for layer in layers for parameter in layer.parameters())


def _set_rates(optimiser: Any, groups: Sequence[Group], plan: Plan, epoch: int) -> None:
    for group, learned in zip(groups, optimiser.param_groups, strict=True):
        learned["lr"] = group.rate * plan.rate(epoch)
        for parameter in learned["params"]:
            parameter.requires_grad_(epoch >= group.start)


def _training_mode(network: nn.Module) -> None:
    network.train()
    for module in network.modules():
        own = list(module.parameters(recurse=False))
        if own and not any(parameter.requires_grad for parameter in own):
            module.eval()


@torch.inference_mode()
def _validate(network: nn.Module, examples: Batches, loss: Loss, size: int, run: Run) -> tuple[float, str]:
    """Return the mean loss, and the AUC in words where the outputs are logits of grades."""
    network.eval()
    generator = torch.Generator().manual_seed(run.seed)
    total, scores, truths = 0.0, [], []
    for chosen in portions(range(len(examples)), size):
        inputs, truth = run.fabric.to_device(examples.batch(chosen, generator))  # type: ignore[union-attr]
        outputs = network(inputs)
        total += float(loss(outputs, truth)) * len(chosen)
        if isinstance(outputs, torch.Tensor) and outputs.ndim == 2 and not truth.is_floating_point():
            scores += (
                outputs.float().softmax(dim=1) @ torch.arange(outputs.shape[1], device=outputs.device).float()
            ).tolist()
            truths += (truth > 0).long().tolist()
    measurable = 0 < sum(truths) < len(truths) and math.isfinite(total)
    figure = f" AUC {float(auc(truths, scores)):.3f}" if measurable else ""
    return total / len(examples), figure
