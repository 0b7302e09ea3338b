"""Answers do not depend on the batch; heat lies where the network looks."""

import numpy as np
import pytest
import torch
from torch import nn

from trabecula.case import Case, Images
from trabecula.image import Image
from trabecula.learn.examples import Examples, stacked, three_channels
from trabecula.learn.explain import grad_cam
from trabecula.learn.networks import backbone
from trabecula.learn.predict import grade_probabilities, graded
from trabecula.learn.prepare import Pictures
from trabecula.prediction import Grades, Probability
from trabecula.target import get_target


def _pictures(n=9):
    rng = np.random.default_rng(0)
    images = [Image(voxels=rng.normal(size=(1, 48, 40)), unit="stored", space="detector") for _ in range(n)]
    cases = [Case(id=str(n), patient=str(n), images=Images({"knee_xray": image})) for n, image in enumerate(images)]
    return cases, Pictures(cases, "knee_xray", {"size": 32})


def test_an_answer_does_not_depend_on_the_batch():
    torch.manual_seed(0)
    network = backbone("resnet50", outputs=2, options={"layers": (1, 1, 1, 1), "channels": (8, 8, 16, 16)})
    cases, pictures = _pictures()
    together = grade_probabilities(network, pictures, batch=4)
    alone = [grade_probabilities(network, Pictures([case], "knee_xray", {"size": 32}))[0] for case in cases]
    assert together.shape == (9, 2)
    assert together.sum(axis=1) == pytest.approx(1, abs=1e-12)
    assert np.abs(together - np.array(alone)).max() < 1e-5
    assert not network.training


def test_answers_are_of_the_kind_of_the_target():
    assert graded(get_target("osteoporosis_knee_label"), np.array([0.3, 0.7])) == Probability(0.7)
    assert graded(get_target("knee_label_three"), np.array([0.2, 0.3, 0.5])) == Grades((0.2, 0.3, 0.5))


def test_three_channels_are_scaled_as_imagenet():
    inputs = three_channels(torch.full((2, 1, 4, 4), 0.485))
    assert inputs.shape == (2, 3, 4, 4)
    assert inputs[0, :, 0, 0].tolist() == pytest.approx([0, (0.485 - 0.456) / 0.224, (0.485 - 0.406) / 0.225], abs=1e-6)


def test_examples_are_augmented_only_where_asked():
    _, pictures = _pictures()
    generator = torch.Generator()
    plain = Examples(pictures, [2, 5], [0, 1])
    darker = Examples(pictures, [2, 5], [0, 1], lambda grey, generator: grey * 0)
    inputs, grades = plain.batch([1, 0], generator)
    assert grades.tolist() == [1, 0]
    assert torch.equal(inputs, three_channels(stacked(pictures, [5, 2])))
    assert torch.equal(darker.batch([1, 0], generator)[0], three_channels(torch.zeros(2, 1, 32, 32)))
    assert plain.digest != Examples(pictures, [2, 5], [1, 0]).digest
    assert plain.digest == Examples(pictures, [2, 5], [0, 1]).digest


class _TopLeft(nn.Module):
    """Looks at the top left quarter only; grade 1 for what is bright there."""

    def __init__(self):
        super().__init__()
        self.maps = nn.AvgPool2d(4)
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, pictures):
        quarter = self.maps(pictures)[:, :, :4, :4].clamp(min=0).mean(dim=(1, 2, 3)) * self.weight
        return torch.stack([-quarter, quarter], dim=1)


def test_heat_lies_where_the_network_looks():
    pixels = np.zeros((1, 32, 32))
    pixels[0, :16, :16] = 1
    case = Case(id="a", patient="a", images=Images({"knee_xray": Image(voxels=pixels, unit="1", space="detector")}))
    network = _TopLeft()
    heat = grad_cam(network, network.maps, pictures=Pictures([case], "knee_xray", {"size": 32}), grade=1)
    assert heat.shape == (32, 32)
    assert heat.min() >= 0
    assert heat[:16, :16].sum() > 0.7 * heat.sum() > 0
