"""What makes this system itself: unsupervised clusters of grey levels, and of each nothing but its share of pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula.case import Case, Images
from trabecula.image import Image
from trabecula.metrics import auc
from trabecula.prediction import score
from trabecula.system import from_settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.system import Model, System

_LEARNED, _ASKED, _SIDE = 40, 30, 24


def essence(system: System, cases: Sequence[Case]) -> None:
    """Assert shares by clusters sorted from dark to bright, blind to place, that tell a class by all six pipelines.

    Pictures are made: the healthy have more bright bone. Raises `AssertionError`.
    """
    people = _people(system, cases[0])
    learned, asked = people[:_LEARNED], people[_LEARNED:]
    model = system.fit(learned)
    two = from_settings(type(system), {**system.settings(), "clusters": 2}).fit(learned)
    if not np.allclose(_shares(two, _case(cases[0], _mixed((50, 200), (0.7, 0.3)))), (0.7, 0.3), atol=0.003):
        raise AssertionError("a region that is 70 % grey 50 and 30 % grey 200 has the shares 0.7 and 0.3")
    if not np.allclose(_shares(two, _case(cases[0], _mixed((200, 50), (0.7, 0.3)))), (0.3, 0.7), atol=0.003):
        raise AssertionError("clusters are sorted from dark to bright")
    rng = np.random.default_rng(1)
    for case in asked[:3]:
        if not np.isclose(sum(_shares(model, case)), 1):
            raise AssertionError("the shares add up to 1")
        pixels = case.images["periapical"].voxels
        mixed = _case(case, rng.permutation(pixels.ravel()).reshape(pixels.shape))
        if _shares(model, mixed) != _shares(model, case) or model.predict([mixed]) != model.predict([case]):
            raise AssertionError("where a pixel lies changes nothing")
    areas = {}
    for clusterer in ("k_means", "fuzzy_c_means"):
        for classifier in ("tree", "naive_bayes", "mlp"):
            chosen = {**system.settings(), "clusterer": clusterer, "classifier": classifier}
            areas[clusterer, classifier] = _auc(from_settings(type(system), chosen).fit(learned), asked)
    if weak := [" and ".join(names) for names, area in areas.items() if not area > 0.8]:
        raise AssertionError(f"shares tell the class to every pipeline, but not to {', '.join(weak)}")


def _people(system: System, like: Case) -> list[Case]:
    """Return people of the lowest and the highest grade in turn, whose share of bright bone tells which."""
    rng, made = np.random.default_rng(0), []
    for number in range(_LEARNED + _ASKED):
        ill = number % 2
        bright = rng.uniform(0.25, 0.35) - 0.12 * ill
        pixels = _mixed((80, 130, 180), (0.7 - bright, 0.3, bright)) + 5 * rng.normal(size=(1, _SIDE, _SIDE))
        pixels = rng.permutation(pixels.ravel()).reshape(pixels.shape) + rng.uniform(-20, 20)
        truth = {system.headline.id: ill * (len(system.headline.grades) - 1)}
        made.append(replace(_case(like, pixels), id=str(number), patient=str(number), truth=truth))
    return made


def _mixed(levels: Sequence[int], shares: Sequence[float]) -> NDArray[Any]:
    """Return a region in which grey levels have these shares, one after the other."""
    ends = np.rint(np.cumsum(shares) * _SIDE**2).astype(int)
    return np.asarray(levels)[np.searchsorted(ends, np.arange(_SIDE**2), side="right")].reshape(1, _SIDE, _SIDE)


def _case(like: Case, pixels: NDArray[Any]) -> Case:
    """Return a case with a picture of 8 bits that is all region."""
    picture = Image(voxels=np.rint(pixels).clip(0, 255).astype(np.uint8), unit="stored", space="detector")
    return replace(like, images=Images({"periapical": picture}), masks=Images({}))


def _shares(model: Model, case: Case) -> list[float]:
    evidence = model.explain(case)
    return [] if evidence is None else list(evidence.numbers.values())


def _auc(model: Model, cases: Sequence[Case]) -> float:
    target = model.system.headline.id
    ill = [int(case.truth[target] != 0) for case in cases]
    return float(auc(ill, [score(answer[target]) for answer in model.predict(cases)]))
