"""The training loop keeps the best weights, resumes exactly, and freezes what it is told to freeze."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import nn
from torch.nn import functional

from trabecula.learn.train import Group, Plan, portions, train
from trabecula.system import Run, isolated


@dataclass(frozen=True)
class _Numbers:
    """Two clouds of points, told apart by their first coordinate; `noise` blurs them."""

    seed: int
    n: int = 48
    noise: float = 1.0

    def __len__(self):
        return self.n

    def batch(self, chosen, generator):
        rng = np.random.default_rng(self.seed)
        truth = np.arange(self.n) % 2
        points = rng.normal(0, self.noise, (self.n, 4)) + truth[:, None] * [2, 0, 0, 0]
        jitter = torch.rand(len(chosen), 4, generator=generator)
        return torch.tensor(points[list(chosen)], dtype=torch.float32) + 0.1 * jitter, torch.tensor(truth[list(chosen)])

    @property
    def digest(self):
        return repr(self)


def _network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 2))


def _train(network, plan, *, folder=None, progress=lambda *told: None, groups=None, precision="32-true", seed=0):
    with isolated(seed, torch_too=True):
        fabric = Fabric(accelerator="cpu", devices=1, precision=precision)
        run = Run(rng=np.random.default_rng(0), seed=0, progress=progress, fabric=fabric, folder=folder)
        return train(
            network,
            _Numbers(0),
            validation=_Numbers(1),
            loss=functional.cross_entropy,
            groups=groups or [Group([network], 0.02)],
            plan=plan,
            run=run,
        )


def _loss(network, examples):
    inputs, truth = examples.batch(range(len(examples)), torch.Generator().manual_seed(0))
    with torch.inference_mode():
        return float(functional.cross_entropy(network.eval()(inputs), truth))


@pytest.mark.parametrize(("n", "size"), [(1, 4), (5, 4), (9, 4), (16, 4), (3, 2), (250, 16)])
def test_portions_hold_everybody_once_and_nobody_alone(n, size):
    cut = portions(list(range(n)), size)
    assert [each for portion in cut for each in portion] == list(range(n))
    assert n == 1 or min(len(portion) for portion in cut) >= 2
    assert max(len(portion) for portion in cut) <= size + 1


def test_the_best_weights_are_kept():
    network = _network()
    told = []
    history = _train(network, Plan(epochs=12, batch=8), progress=lambda *each: told.append(each))
    assert _loss(network, _Numbers(1)) == pytest.approx(min(history["validation_loss"]), abs=0.02)
    assert history["validation_loss"][-1] < history["validation_loss"][0]
    assert len(history["train_loss"]) == 12
    assert told[-1][:2] == (12, 12)
    assert "validation" in told[-1][2]
    assert "AUC 0.9" in told[-1][2]
    assert not network.training


def test_training_stops_when_nothing_improves():
    network = _network()
    history = _train(network, Plan(epochs=50, batch=8, patience=3), groups=[Group([network], 0.0)])
    assert len(history["train_loss"]) <= 5


@pytest.mark.parametrize("plan", [Plan(epochs=6, batch=8, optimiser="adamw", schedule="cosine", warm_up=2)])
def test_an_interrupted_training_ends_as_an_uninterrupted_one(plan, tmp_path):
    def stop(done, total, message):
        if done == 3:
            raise KeyboardInterrupt

    whole, parted, other = _network(), _network(), _network()
    history = _train(whole, plan)
    with pytest.raises(KeyboardInterrupt):
        _train(parted, plan, folder=tmp_path, progress=stop)
    assert [path.suffix for path in tmp_path.iterdir()] == [".pt"]
    done = []
    again = _train(other, plan, folder=tmp_path, progress=lambda d, *rest: done.append(d), seed=5)
    assert done == [4, 5, 6]
    assert again == history
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), other.state_dict().values(), strict=True))
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_of_another_plan_is_not_resumed(tmp_path):
    def stop(done, total, message):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _train(_network(), Plan(epochs=6, batch=8), folder=tmp_path, progress=stop)
    done = []
    _train(_network(), Plan(epochs=3, batch=8), folder=tmp_path, progress=lambda d, *rest: done.append(d))
    assert done == [1, 2, 3]


def test_frozen_layers_stay_and_thaw_in_time():
    network = _network()
    kept = {name: value.clone() for name, value in network.state_dict().items()}
    groups = [Group([network[4]], 0.02), Group([network[0], network[1]], 0.02, start=3)]
    _train(network, Plan(epochs=3, batch=8), groups=groups)
    moved = {name.split(".")[0] for name, value in network.state_dict().items() if not torch.equal(value, kept[name])}
    assert moved == {"4"}
    assert all(parameter.requires_grad for parameter in network.parameters())
    _train(network, Plan(epochs=6, batch=8), groups=groups)
    moved = {name.split(".")[0] for name, value in network.state_dict().items() if not torch.equal(value, kept[name])}
    assert moved == {"0", "1", "4"}


def test_the_rate_rises_and_falls():
    plan = Plan(epochs=10, batch=8, schedule="cosine", warm_up=2)
    rates = [plan.rate(epoch) for epoch in range(10)]
    assert rates[:3] == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert 0 < rates[-1] < 0.1


def test_half_precision_learns_and_leaves_whole_weights():
    network = _network()
    history = _train(network, Plan(epochs=5, batch=8), precision="bf16-mixed")
    assert history["train_loss"][-1] < history["train_loss"][0]
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


def test_a_loss_that_explodes_is_an_error():
    network = _network()
    with pytest.raises(ValueError, match="lower the learning rate"):
        _train(network, Plan(epochs=3, batch=8), groups=[Group([network], 1e30)])
