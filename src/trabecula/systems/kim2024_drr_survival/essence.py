"""What makes this system this system: three views by parallel beams, hazards in steps, and curves that are averaged."""
# ruff: noqa: S101 an essence is a list of assertions

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from trabecula.case import Event, Images
from trabecula.image import Image
from trabecula.metrics import concordance
from trabecula.prediction import Survival, score
from trabecula.systems.kim2024_drr_survival.drr import UPRIGHT, VIEWS, projections, upright
from trabecula.systems.kim2024_drr_survival.hazard import hazard_loss, without_event
from trabecula.systems.kim2024_drr_survival.system import DrrSurvival

if TYPE_CHECKING:
    from trabecula.case import Case
    from trabecula.system import Model, System

_SOON, _LATE, _COARSE_MM = (0.5, 2.0), (6.0, 9.5), 6.0


def essence(system: System, cases: Sequence[Case]) -> None:
    """Assert what the card's `essence` says; on coarse volumes of `cases`, every second a negative that breaks soon.

    Raises `AssertionError` where it does not hold.
    """
    assert isinstance(system, DrrSurvival)
    system = replace(system, views=VIEWS, fusion="curves", spacing_mm=_COARSE_MM)
    cases = _told_apart(system, cases)
    model = system.fit(cases)
    target = system.headline.id
    known: list[Any] = [case.truth[target] for case in cases]
    truth = np.array([(each.years, float(each.event == 1)) for each in known])
    assert concordance(truth, _risks(model, cases)) > 0.7, "after fitting, negatives must be told to break sooner"
    _a_rod_is_a_dot_from_its_end(system)
    _every_view_counts(model, cases)
    _curves_never_rise(model, cases)
    _the_ensemble_is_the_mean(model, cases)
    _the_censored_add_no_event()
    evidence = model.explain(cases[0])
    assert evidence is not None, "there is a heat map"
    assert evidence.heat[system.inputs().images[0]].shape == cases[0].images[system.inputs().images[0]].shape
    assert all(view in evidence.figure for view in VIEWS), "every view is shown with its heat"


def _told_apart(system: DrrSurvival, cases: Sequence[Case]) -> list[Case]:
    """Return cases with coarse volumes, every second one a negative that breaks soon; the others are lost late."""
    role, target = system.inputs().images[0], system.headline.id
    rng = np.random.default_rng(0)
    made: list[Case] = []
    for case in cases:
        if target not in case.truth or case.lacks([role]):
            continue
        soon = len(made) % 2 == 1
        volume = upright(case.images[role], spacing_mm=_COARSE_MM)
        shown = Image(voxels=-volume if soon else volume, unit="HU", spacing=(_COARSE_MM,) * 3, direction=UPRIGHT)
        truth = Event(float(rng.uniform(*(_SOON if soon else _LATE))), 1 if soon else 0)
        made.append(replace(case, images=Images({role: shown}), truth={target: truth}))
    return made


def _a_rod_is_a_dot_from_its_end(system: DrrSurvival) -> None:
    """Assert which way each view looks: along a rod it sees a dot, across it a line; axes are y, x and z of LPS."""
    for along, dot in ((1, 0), (2, 1), (0, 2)):
        voxels = np.full((20, 24, 28), -1000, dtype=np.int16)
        places: list[Any] = [8, 8, 8]
        places[along] = slice(None)
        voxels[tuple(places)] = 2000
        rod = Image(voxels=voxels, unit="HU", spacing=(1.0, 1.0, 1.0), direction=UPRIGHT)
        films = projections(rod, spacing_mm=1.0, hu=system.hu, water_per_mm=system.water_per_mm)
        lit = [int((film > film.max() / 2).sum()) for film in films]
        length = rod.shape[along]
        assert lit == [1 if number == dot else length for number in range(3)], f"a rod along {'zyx'[along]} lit {lit}"
        assert np.isclose(films[dot].max(), 3 * system.water_per_mm * length), "a beam sums attenuation over mm"


def _every_view_counts(model: Model, cases: Sequence[Case]) -> None:
    """Assert that there is a network a view, and that each moves the answer when it alone sees another patient."""
    system: Any = model.system
    assert set(model.state.networks) == set(VIEWS), "a network a view"
    own, other = (system._drrs(cases[number : number + 1]) for number in (0, 1))
    before = system._curves(model.state.networks, own, 1)
    for number, view in enumerate(VIEWS):
        mixed = system._drrs(cases[:1])
        mixed._kept[0] = own[0].copy()
        mixed._kept[0][number] = other[0][number]
        after = system._curves(model.state.networks, mixed, 1)
        assert np.abs(after - before).max() > 1e-6, f"the {view} view of another patient must change the answer"


def _curves_never_rise(model: Model, cases: Sequence[Case]) -> None:
    system: Any = model.system
    answers: list[Any] = [answer[system.headline.id] for answer in model.predict(cases)]
    assert all(isinstance(each, Survival) for each in answers), "the answer is a curve"
    assert all(np.diff(each.incidence["event"]).min() >= 0 for each in answers), "those free of fracture never rise"
    assert len(answers[0].years) == system.intervals + 1, "a point of the curve a point of the grid"
    wild = without_event(torch.randn(50, 13, generator=torch.Generator().manual_seed(0)) * 5)
    assert (wild.diff(dim=1) <= 0).all(), "whatever the network says"


def _the_ensemble_is_the_mean(model: Model, cases: Sequence[Case]) -> None:
    system: Any = model.system
    networks, drrs = model.state.networks, system._drrs(cases[:3])
    alone = [system._curves({view: networks[view]}, drrs, 3) for view in VIEWS]
    together = system._curves(networks, drrs, 3)
    np.testing.assert_allclose(together, np.mean(alone, axis=0), atol=1e-6, err_msg="the mean of the curves")
    same = system._drrs(cases[:1])
    same._kept[0] = np.repeat(same[0][:1], len(VIEWS), axis=0)
    equal = dict.fromkeys(VIEWS, networks[VIEWS[0]])
    one = system._curves({VIEWS[0]: networks[VIEWS[0]]}, same, 1)
    np.testing.assert_allclose(system._curves(equal, same, 1), one, atol=1e-6, err_msg="of three equals, each")


def _the_censored_add_no_event() -> None:
    """Assert the likelihood: hazards survived until the end, the event's own at it, and nothing after."""
    logits = torch.tensor([[0.3, -1.0, 0.5, 2.0]], requires_grad=True)
    hazard = logits.detach().sigmoid()[0]
    for happened, own in ((0.0, 1 - hazard[2]), (1.0, hazard[2])):
        loss = hazard_loss(logits, torch.tensor([[2.0, happened]]))
        expected = -(torch.log(1 - hazard[:2]).sum() + torch.log(own))
        assert torch.isclose(loss, expected), "event" if happened else "a censored patient adds no event term"
        (slope,) = torch.autograd.grad(loss, logits)
        assert slope[0, 3] == 0, "what comes after the end teaches nothing"


def _risks(model: Model, cases: Sequence[Case]) -> Any:
    return np.array([score(answer[model.system.headline.id]) for answer in model.predict(cases)])
