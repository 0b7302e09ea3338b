"""What makes this system this system: a chain through landmarks, a region, and BMD in g/cm2, from which all follows."""
# ruff: noqa: S101 an essence is a list of assertions

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula.case import Images
from trabecula.image import Image
from trabecula.prediction import Abstain, Value, score
from trabecula.systems.hsieh2021_radiograph_bmd.agreement import agreement, cut_offs, triage
from trabecula.systems.hsieh2021_radiograph_bmd.regions import CORNERS, PARTS, Region, compression
from trabecula.systems.hsieh2021_radiograph_bmd.system import RadiographBmd

if TYPE_CHECKING:
    from trabecula.case import Case
    from trabecula.image import Source
    from trabecula.system import Model, System

_ROWS, _COLUMNS = 96, 80
_CASES, _LEAST_BMD, _MOST_BMD = 32, 0.5, 1.1
_ROLES = {"bmd_lumbar": ("spine", "spine_xray_lateral", "bones")}
_HIP = ("hip", "hip_xray", "hip_regions")


def essence(system: System, cases: Sequence[Case]) -> None:
    """Assert what the card's `essence` says, on toy films in which the brightness of a region is its BMD.

    Raises `AssertionError` where it does not hold.
    """
    assert isinstance(system, RadiographBmd)
    bone, role, mask = _ROLES.get(system.headline.id, _HIP)
    toys = [_toy(case, n, (bone, role, mask), system) for n, case in enumerate(cases[:_CASES])]
    model = replace(system, canvas=48, pixels=32).fit(toys)  # toys show no more on finer pixels
    truth = [case.truth[system.headline.id] for case in toys]
    agreed = agreement(truth, _told(model, toys))  # type: ignore[arg-type]
    assert agreed["r"] > 0.8, f"the brightness of the region is its BMD, and R is {agreed['r']:.2f}"
    assert 0.6 < agreed["slope"] < 1.6, f"the calibration slope is {agreed['slope']:.2f}, not near 1"
    _noise_outside_changes_nothing(model, toys[:4], bone, role)
    _classes_follow_from_bmd(model, toys)
    _masks_do_not_reach_the_answer(model, toys[:4])
    _frax_is_passed_on(model, toys[0])
    _compressed_vertebrae_are_left_out()
    _calibration_is_what_it_says()
    _routes_are_sure()


def _toy(case: Case, number: int, of: tuple[str, str, str], system: RadiographBmd) -> Case:
    """Return a case with four blocks, framed by a step of known grey and as bright as its BMD, somewhere on a film."""
    bone, role, mask = of
    bmd = _LEAST_BMD + (_MOST_BMD - _LEAST_BMD) * (number * 7 % _CASES) / (_CASES - 1)
    rng = np.random.default_rng(number)
    grey = 40 + 4 * rng.normal(size=(_ROWS, _COLUMNS))
    labels = np.zeros((_ROWS, _COLUMNS), dtype=np.uint8)
    down, right = rng.integers(-4, 5, size=2)
    tall, wide = 12, 20
    for part in range(len(PARTS[bone])):
        top, left = 14 + 17 * part + down, 28 + right + (part if bone == "hip" else 0)
        labels[top : top + tall, left : left + wide] = part + 1
        grey[top : top + tall, left : left + wide] = 255
        grey[top + 2 : top + tall - 2, left + 2 : left + wide - 2] = 40 + 215 * (bmd - 0.3)
    film, drawn = Image(voxels=grey[None], unit="stored", space="detector"), labels[None]
    names = dict(enumerate(PARTS[bone], start=1))
    known = {t.id: bmd for t in system.predicts if t.kind == "value"}
    sources: dict[str, Source] = {role: film}
    return replace(
        case,
        images=Images(sources),
        masks=Images({mask: Image(voxels=drawn, unit="label", space="detector", names=names)}),
        table={"age_years": 70.0, "sex": "female"},
        truth=known,
    )


def _noise_outside_changes_nothing(model: Model, cases: Sequence[Case], bone: str, role: str) -> None:
    """Overwrite everything outside the regions, after they were found: what is measured in them must stay."""
    system: Any = model.system
    for case in cases:
        found = system._found(model.state.networks, bone, case, math.inf)
        assert found.regions, found.reason
        film = case.images[role]
        outside = np.ones(film.shape[1:], dtype=bool)
        for region in found.regions:
            outside[_inside(region)] = False
        noise = np.random.default_rng(0).uniform(0, 255, film.shape[1:])
        noisy = film.with_voxels(np.where(outside, noise, film.voxels[0])[None])
        changed = replace(case, images=Images({role: noisy}))
        network = model.state.networks[f"{bone}_bmd"]
        before, after = (system._bmd(network, bone, each, found.regions) for each in (case, changed))
        assert np.array_equal(before, after), "BMD must come from the region and from nothing outside it"
        hidden = film.with_voxels(np.where(outside, film.voxels[0], noise)[None])
        other = system._bmd(network, bone, replace(case, images=Images({role: hidden})), found.regions)
        assert not np.allclose(before, other), "BMD must change with the region"


def _inside(region: Region) -> tuple[slice, slice]:
    top, left = max(region.top, 0), max(region.left, 0)
    return slice(top, max(top, region.top + region.side)), slice(left, max(left, region.left + region.side))


def _classes_follow_from_bmd(model: Model, cases: Sequence[Case]) -> None:
    """Assert that the class is the thresholded T-score of the printed BMD, the lowest of the sites that are printed."""
    system: Any = model.system
    for case, answer in zip(cases, model.predict(cases), strict=True):
        evidence = model.explain(case)
        assert evidence is not None, "BMD, T-scores and route stand beside the answer"
        scores = {name.removesuffix(": t_score"): t for name, t in evidence.numbers.items() if "t_score" in name}
        for site, t in scores.items():
            mean, deviation = system._young[site]
            assert math.isclose(t, (evidence.numbers[f"{site}: bmd_g_cm2"] - mean) / deviation, abs_tol=1e-6)
        told = answer.get("osteoporosis_hip_dxa", answer.get("osteoporosis_spine_dxa"))
        if told is not None:
            assert (score(told) >= 0.5) == (min(scores.values()) <= -2.5), "the class is not that of the printed BMD"
    unknown = model.predict([replace(cases[0], table={})])[0]
    for name, prediction in unknown.items():
        assert isinstance(prediction, Value if "bmd" in name else Abstain), "without sex and age: BMD, and no class"


def _masks_do_not_reach_the_answer(model: Model, cases: Sequence[Case]) -> None:
    without = [replace(case, masks=Images({})) for case in cases]
    assert np.array_equal(_told(model, cases), _told(model, without)), "masks teach landmarks, and answer nothing"


def _frax_is_passed_on(model: Model, case: Case) -> None:
    given = model.explain(replace(case, table={**case.table, "frax_hip_percent": 3.5}))
    usual = model.explain(case)
    assert given is not None
    assert usual is not None
    assert (given.numbers["frax_hip_percent"], given.numbers["frax_hip_percent: high"]) == (3.5, 1.0)
    assert not any("frax" in name for name in usual.numbers), "FRAX is closed: it is never computed"


def _compressed_vertebrae_are_left_out() -> None:
    whole = np.array([[0, 0], [0, 30], [25, 0], [25, 30]], dtype=float)
    wedged = np.array([[10, 0], [0, 30], [25, 0], [25, 30]], dtype=float)
    ratios = compression(np.concatenate([whole, wedged]))
    assert np.allclose(ratios, [1.0, 15 / 25])
    assert whole.shape == (CORNERS, 2)


def _calibration_is_what_it_says() -> None:
    truth = np.linspace(0.5, 1.1, 20)
    exact, higher = agreement(truth, truth), agreement(truth, truth + 0.05)
    assert math.isclose(exact["slope"], 1, abs_tol=1e-9)
    assert math.isclose(exact["in_the_large"], 0, abs_tol=1e-9)
    assert math.isclose(higher["in_the_large"], -0.05, abs_tol=1e-9)
    assert math.isclose(higher["low"], 0.05, abs_tol=1e-9)


def _routes_are_sure() -> None:
    t = np.arange(-4.0, 2.0, 0.1)
    sick = np.where((t > -2.8) & (t < -2.2), np.arange(len(t)) % 2 == 0, t <= -2.5)
    low, high = cut_offs(sick, t)
    assert low < high
    assert sick[t <= low].mean() >= 0.95
    assert 1 - sick[t >= high].mean() >= 0.95
    routes = [triage(each, low, high) for each in (-3.9, (low + high) / 2, 1.0)]
    assert routes == ["rule in", "refer to DXA", "rule out"]
    assert all(a <= b for a, b in pairwise((-math.inf, low, high, math.inf)))


def _told(model: Model, cases: Sequence[Case]) -> Any:
    return np.array([score(answer[model.system.headline.id]) for answer in model.predict(cases)])
