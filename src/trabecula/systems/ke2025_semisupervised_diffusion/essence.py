"""What makes this system this system: a pool that diffusion made, and a threshold a class that falls along a sine."""
# ruff: noqa: S101 an essence is a list of assertions

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from trabecula.case import Images
from trabecula.image import Image
from trabecula.learn.examples import Held
from trabecula.learn.separable import separable
from trabecula.metrics import auc
from trabecula.prediction import score
from trabecula.systems.ke2025_semisupervised_diffusion.system import GeneratedPool
from trabecula.systems.ke2025_semisupervised_diffusion.threshold import Decay, PseudoLabels

if TYPE_CHECKING:
    from trabecula.case import Case
    from trabecula.system import Model, System

_RESNET50 = 23_508_032  # parameters before its classifier: He et al., CVPR 2016
_FEW = 8  # pictures of a pool
_ENOUGH = 50  # epochs that tell a picture from its negative, of two dozen


def essence(system: System, cases: Sequence[Case]) -> None:
    """Assert what the card's `essence` says; on `cases` made separable, looked at as a view of each.

    Raises `AssertionError` where it does not hold.
    """
    assert isinstance(system, GeneratedPool)
    system, role = replace(system, view="whole", unlabelled="generated"), system.inputs().images[0]
    cases = _prepared(system, [case for case in cases if not case.lacks([role])], role)
    model = replace(system, epochs=max(system.epochs, _ENOUGH)).fit(cases)
    answers = _answers(model, cases)
    highest = [case.truth[system.headline.id] == len(system.headline.grades) - 1 for case in cases]
    assert auc(highest, answers) > 0.8, "after fitting it must tell pictures from negatives"
    _lists_what_was_generated(model, cases, role)
    _threshold_fell(model)
    _threshold_falls_along_a_sine(system)
    _threshold_is_of_a_class()
    _late_it_believes_what_it_doubted()
    _sees_no_real_unlabelled_film(system, cases)
    _published_networks(system)


def _lists_what_was_generated(model: Model, cases: Sequence[Case], role: str) -> None:
    """Every unlabelled picture is a generator's, which learned from the pictures that the classifier learned from."""
    pool, held = model.state.facts["pool"], Held(model.state.arrays["generated"])
    assert len(pool["pictures"]) == model.system.settings()["generated"], "the whole pool is listed"
    assert {each["from"] for each in pool["pictures"]} == {"generator"}, "the pool is wholly generated"
    listed = [each["digest"] for each in pool["pictures"][: len(held)]]
    assert listed == [held.digest(number) for number in range(len(held))], "what is listed is what was generated"
    learned, validated = (set(pool["generator"][side]) for side in ("learned_from", "validated_on"))
    films = {f"{case.images.source(role).digest}/0" for case in cases}
    assert set() < learned <= films, "the generator learns from films that it is fitted to, and no other"
    assert not learned & validated, "the generator learns from no film that validates"
    losses = pool["generator"]["history"]["train_loss"]
    assert losses[-1] < losses[0], "the generator learns to tell noise"


def _threshold_fell(model: Model) -> None:
    """Look at what was used, by epoch: from high to low, and for each class as its count of pseudo-labels says."""
    system: Any = model.system
    history, grades = model.state.facts["history"], range(len(system.headline.grades))
    general = np.array(history["threshold"])
    steps = np.array(history["step"])
    part = np.minimum(1, steps / max(1, round(system.decay_share * steps[-1])))
    high, low = system.threshold_high, system.threshold_low
    left = {"sin": 1 - np.sin(np.pi * part / 2), "cos": np.cos(np.pi * part / 2), "linear": 1 - part}[system.curve]
    assert np.allclose(general, low + (high - low) * left), "the threshold must fall along its curve"
    assert (np.diff(general) <= 0).all(), "the threshold must never rise"
    assert math.isclose(general[-1], low), "the threshold must arrive"
    assert general[0] < high
    counts = np.array([history[f"confident_{grade}"] for grade in grades])
    used = np.array([history[f"threshold_{grade}"] for grade in grades])
    if system.class_scaling:
        share = counts / np.maximum(np.maximum(counts.max(axis=0), system.generated - counts.sum(axis=0)), 1)
        expected = np.maximum(system.threshold_floor, general * share / (2 - share))
    else:
        expected = np.broadcast_to(general, used.shape)
    assert np.allclose(used, expected, atol=1e-5), "each class must have its own threshold, by its pseudo-labels"


def _threshold_falls_along_a_sine(system: GeneratedPool) -> None:
    usual = GeneratedPool(targets=system.targets)
    decay = usual._labels(pool=10, labelled=usual.batch).decay
    assert decay.general(0) == usual.threshold_high, "the threshold begins high"
    assert decay.steps == round(usual.decay_share * usual.epochs), "it falls within its share of the training"
    for step in range(0, usual.epochs, 100):
        fallen = math.sin(math.pi * min(1.0, step / decay.steps) / 2)
        expected = usual.threshold_high - (usual.threshold_high - usual.threshold_low) * fallen
        assert math.isclose(decay.general(step), expected), "the threshold falls along a sine"
    halves = [Decay(curve=curve, steps=2).general(1) for curve in ("sin", "linear", "cos")]
    assert halves == sorted(halves), "half way a sine has fallen most, a cosine least"
    assert halves[0] < halves[1] < halves[2]


def _threshold_is_of_a_class() -> None:
    counts = torch.tensor([30, 27, 10])
    own = Decay(steps=10).each(0, counts, 67).tolist()
    assert own[0] > own[1] > own[2] >= Decay().floor, "a class with fewer pseudo-labels has a lower threshold"
    alike = Decay(steps=10, by_class=False).each(0, counts, 67).tolist()
    assert len(set(alike)) == 1, "without scaling by class there is one threshold"


def _late_it_believes_what_it_doubted() -> None:
    """Show it a pseudo-label of 0.75: it teaches nothing at first, and teaches once the threshold has fallen."""
    labels = PseudoLabels(Decay(steps=10, by_class=False), pool=1, classes=3)
    weak = torch.tensor([[0.75, 0.15, 0.10]]).log()
    losses = [float(labels.loss(weak, torch.zeros(1, 3), torch.tensor([0]))) for _ in range(11)]
    assert losses[0] == 0, "what falls short of the threshold must teach nothing"
    assert math.isclose(losses[-1], math.log(3), rel_tol=1e-5), "what exceeds it is learned from the strong view"


def _sees_no_real_unlabelled_film(system: GeneratedPool, cases: Sequence[Case]) -> None:
    """Real films without truth change nothing, and without the pool it is plain supervised training."""
    third = 1 / len(system.headline.grades)  # what is believed of anything
    believing = {"threshold_high": third, "threshold_low": third, "threshold_floor": 0.0, "class_scaling": False}
    few = replace(system, epochs=2, generator_epochs=1, generated=_FEW, **believing)  # type: ignore[arg-type]
    unknown = [
        replace(case, id=f"{case.id}, unlabelled", patient=f"unlabelled {case.patient}", truth={}) for case in cases
    ]
    own, among = few.fit(cases), few.fit([*cases, *unknown])
    assert own.state.facts == among.state.facts, "real unlabelled films reach the training"
    assert np.array_equal(_answers(own, cases), _answers(among, cases)), "it learned from real unlabelled films"
    deleted, plain = (each.fit(cases) for each in (replace(few, generated=0), replace(few, unlabelled="none")))
    assert deleted.state.facts == plain.state.facts, "without a pool it is plain supervised"
    assert np.array_equal(_answers(deleted, cases), _answers(plain, cases)), "without a pool it is plain supervised"
    losses, without = own.state.facts["history"], deleted.state.facts["history"]
    assert losses["believed"] == [1.0, 1.0], "everything exceeds the chance of a guess"
    assert losses["train_loss"][0] > without["train_loss"][0], "the pool must add its loss"
    assert "threshold" not in without, "there is nothing to believe then"
    real = replace(few, unlabelled="real").fit([*cases, *unknown])
    assert {each["from"] for each in real.state.facts["pool"]["pictures"]} == {"film"}, "the comparison is with films"
    assert "generated" not in real.state.arrays, "a model holds no picture of a patient"


def _published_networks(system: GeneratedPool) -> None:
    """ResNet-50 ends in 2048 features and a logit a class; the U-Net is told no label."""
    usual = GeneratedPool(targets=system.targets)
    with torch.device("meta"):
        classifier: Any = usual._networks({})["classifier"]
        unet: Any = usual._denoiser().unet
    assert classifier.fc.weight.shape == (len(system.headline.grades), 2048), "there is one logit a class"
    trunk = sum(each.numel() for name, each in classifier.named_parameters() if not name.startswith("fc."))
    assert trunk == _RESNET50, "the classifier is ResNet-50"
    assert tuple(unet.block_out_channels) == (64, 128, 256, 512), "the generator is four levels wide"
    assert unet.num_class_embeds is None, "labels must not reach the generator"


def _prepared(system: GeneratedPool, cases: Sequence[Case], role: str) -> list[Case]:
    """Return labelled cases whose film is one view of the mandible, which is remembered and small; made separable."""
    sides = replace(system, view="sides")._views(cases)
    shown = [
        replace(case, images=Images({role: Image(voxels=sides[2 * n][None], unit="stored", space="detector")}))
        for n, case in enumerate(cases)
    ]
    return separable(shown, role, system.headline)


def _answers(model: Model, cases: Sequence[Case]) -> Any:
    return np.array([score(answer[model.system.headline.id]) for answer in model.predict(cases)])
