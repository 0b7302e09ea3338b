"""What makes this system this system: Cox's likelihood, on a film and clinical values, and a curve from them."""
# ruff: noqa: S101 an essence is a list of assertions

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from trabecula.case import Event, Images
from trabecula.image import Image
from trabecula.learn.survival import breslow, cox_loss
from trabecula.metrics import concordance
from trabecula.prediction import Survival, score
from trabecula.systems.kong2022_spine_deepsurv.film import Films
from trabecula.systems.kong2022_spine_deepsurv.system import SpineDeepSurv

if TYPE_CHECKING:
    from trabecula.case import Case
    from trabecula.system import Model, System

_SOON, _LATE = (0.5, 2.0), (5.0, 8.0)


def essence(system: System, cases: Sequence[Case]) -> None:
    """Assert what the card's `essence` says; on films of `cases`, every second one a negative that fractures soon.

    Raises `AssertionError` where it does not hold.
    """
    assert isinstance(system, SpineDeepSurv)
    system = replace(system, form="image", model=3)
    cases = _told_apart(system, cases)
    model = system.fit(cases)
    risks = _risks(model, cases)
    known = _observed(cases, system)
    assert concordance(known, risks) > 0.7, "after fitting, negatives must be told to fracture sooner"
    assert np.abs(_risks(model, _other_film(cases)) - risks).max() > 1e-3, "another film must change the answer"
    older = [replace(case, table={**case.table, "age_years": case.number("age_years") + 20}) for case in cases]
    assert np.abs(_risks(model, older) - risks).max() > 1e-6, "another age must change the answer"
    _times_decide(system, cases)
    _a_constant_means_nothing(model, cases, known)
    _without_a_film(system, cases)
    _nested(type(system)(targets=system.targets))


def _told_apart(system: SpineDeepSurv, cases: Sequence[Case]) -> list[Case]:
    """Return cases whose films are small, every second one a negative whose fracture comes soon; others have none."""
    role, target = system.inputs().images[0], system.headline.id
    labelled = [case for case in cases if target in case.truth and not case.lacks((*system._values, role))]
    films = Films(labelled, role, size=system.pixels, equalise=system.equalise)
    rng = np.random.default_rng(0)
    made = []
    for number, case in enumerate(labelled):
        soon = number % 2 == 1
        grey = films.grey([number]).numpy()[0]
        voxels = np.rint(255 * (1 - grey if soon else grey)).astype(np.uint8)
        shown = Images({role: Image(voxels=voxels, unit="stored", space="detector")})
        years = float(rng.uniform(*(_SOON if soon else _LATE)))
        made.append(replace(case, images=shown, truth={target: Event(years, 1 if soon else 0)}))
    return made


def _times_decide(system: SpineDeepSurv, cases: Sequence[Case]) -> None:
    """With times dealt so that both kinds of film fracture alike, nothing about the kinds can be learned."""
    target = system.headline.id
    known = [case.truth[target] for case in cases]
    dealt = [
        replace(case, truth={target: known[number - number % 2 + (number // 2) % 2]})
        for number, case in enumerate(cases)
    ]
    reached = float(concordance(_observed(cases, system), _risks(system.fit(dealt), cases)))
    assert abs(reached - 0.5) < 0.2, f"concordance {reached:.2f} after learning from shuffled times"


def _a_constant_means_nothing(model: Model, cases: Sequence[Case], known: Any) -> None:
    system: Any = model.system
    hazards = system._hazards(model.state, cases, system._clinical(cases, model.state.facts["scaling"]))
    truth, years = torch.from_numpy(known), model.state.arrays["years"]
    np.testing.assert_allclose(model.state.arrays["baseline"], breslow(hazards, known, years), rtol=1e-6)
    for moved in (hazards - 3, hazards + 3):
        losses = [float(cox_loss(torch.from_numpy(each), truth)) for each in (hazards, moved)]
        assert abs(losses[0] - losses[1]) < 1e-6, "a constant changes the loss"
        raised = breslow(moved, known, years) * np.exp(moved.mean() - hazards.mean())
        np.testing.assert_allclose(raised, model.state.arrays["baseline"], rtol=1e-6)
    nobody = torch.zeros(4, requires_grad=True)
    cox_loss(nobody, torch.tensor([[1.0, 0.0]] * 4)).backward()  # type: ignore[no-untyped-call]
    assert nobody.grad is not None, "a batch without events has a gradient"
    assert (nobody.grad == 0).all(), "a batch without events teaches nothing, and is not NaN"


def _without_a_film(system: SpineDeepSurv, cases: Sequence[Case]) -> None:
    blind = replace(system, form="clinical")
    assert not blind.inputs().images, "DeepSurv without image asks for none"
    model = replace(blind, epochs=1).fit(cases)
    assert "film" not in dict(model.state.networks["network"].named_children()), "without image it is an MLP"
    assert all(isinstance(answer[system.headline.id], Survival) for answer in model.predict(cases[:4]))


def _nested(recipe: SpineDeepSurv) -> None:
    """Assert that models hold two, three and five values, and that the published network gives one log hazard."""
    values = [replace(recipe, model=each).inputs().table for each in (1, 2, 3)]
    assert [len(each) for each in values] == [2, 3, 5]
    assert all(set(fewer) < set(more) for fewer, more in pairwise(values))
    with torch.device("meta"):
        network: Any = recipe._networks({})["network"]
        side = recipe.pixels
        told = network({"film": torch.zeros(2, 3, side, side), "clinical": torch.zeros(2, 5)})
    assert told.shape == (2,), "one log hazard a person"


def _other_film(cases: Sequence[Case]) -> list[Case]:
    return [replace(case, images=other.images) for case, other in zip(cases, [*cases[1:], cases[0]], strict=True)]


def _observed(cases: Sequence[Case], system: System) -> Any:
    known: list[Any] = [case.truth[system.headline.id] for case in cases]
    return np.array([(each.years, float(each.event == 1)) for each in known])


def _risks(model: Model, cases: Sequence[Case]) -> Any:
    return np.array([score(answer[model.system.headline.id]) for answer in model.predict(cases)])
