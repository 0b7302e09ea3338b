"""What makes this system itself: three nested layers, a screen for each block, and answers as deep as the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import gaussian_filter

from trabecula.case import Case, Images
from trabecula.image import Image
from trabecula.metrics import auc
from trabecula.prediction import Abstain, score
from trabecula.system import from_settings
from trabecula.systems.liu2022_hierarchical.classifiers import FIVE
from trabecula.systems.liu2022_hierarchical.system import BLOCKS, stages

if TYPE_CHECKING:
    from trabecula.system import Model, System

_LEARNED, _ASKED = 80, 60
_AXIAL = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
_LABORATORY = "alkaline_phosphatase_u_l"


def essence(system: System, cases: Sequence[Case]) -> None:
    """Assert nested layers, their screens, the fall to the layer there are data for, the cascade and the six.

    The tables are those of the cases, the truth and small CTs are made: the texture tells it, a little of it stands in
    the weight and one laboratory value. Raises `AssertionError`, and `ValueError` without adults above 40.
    """
    people = made_people(system, cases)
    learned, asked = people[:_LEARNED], people[_LEARNED:]
    model = system.fit(learned)
    _layers(model)
    without_ct = [replace(case, images=Images({}), masks=Images({})) for case in asked]
    alone = [_only_demographic(system, case) for case in without_ct]
    reached = [_auc(model, each) for each in (alone, without_ct, asked)]
    if not reached[2] > max(reached[0] + 0.05, 0.85):
        raise AssertionError(f"the texture carries the signal, so the third layer is best; AUC by layer {reached}")
    for layer, group in ((1, alone), (2, without_ct), (3, asked), (1, [_only_demographic(system, c) for c in asked])):
        used = {evidence.numbers["layer"] for case in group[:3] if (evidence := model.explain(case)) is not None}
        if used != {layer} or any(isinstance(answer, Abstain) for answer in _answers(model, group)):
            raise AssertionError(f"people with data for layer {layer} are answered by it; got {used}")
    other = system.fit(_dealt(learned))
    for layer, group in ((1, alone), (2, without_ct)):
        if _answers(model, group) != _answers(other, group):
            raise AssertionError(f"shuffling the CTs in training changes answers of layer {layer}")
    if _answers(model, asked) == _answers(other, asked):
        raise AssertionError("shuffling the CTs in training does not change the answers of layer 3")
    _cascade(system, learned, asked)
    _six(system, learned, asked)


def _layers(model: Model) -> None:
    facts = model.state.facts
    layers: list[dict[str, Any]] = list(facts.get("layers", ()))
    if tuple(layer["block"] for layer in layers) != BLOCKS:
        raise AssertionError(f"there are three layers, {', '.join(BLOCKS)}; got {[each['block'] for each in layers]}")
    columns = [set(layer["columns"]) for layer in layers]
    if not columns[0] < columns[1] < columns[2]:
        raise AssertionError("each layer looks at all that the one before looks at, and at more")
    limit = model.system.settings()["significance"]
    for layer, before in zip(layers, ([], *(each["columns"] for each in layers)), strict=False):
        report = facts["screening"][layer["block"]]
        own = [name for name in layer["columns"] if name not in before]
        if report["kept"] != len(own) or not all(report["p"][name] < limit for name in own):
            raise AssertionError(f"the screen keeps what differs at p below {limit}, and counts it; got {own}")
    if "stat_median" in columns[2] and "stat_mean" in columns[2]:
        raise AssertionError("of mean and median, which say the same, one is redundant")


def _cascade(system: System, learned: Sequence[Case], asked: Sequence[Case]) -> None:
    model = _with(system, cascade=True).fit(learned)
    rows = stages(model, asked)
    reached = [row["reached"] for row in rows]
    if not reached[0] == len(asked) > reached[1] > reached[2] > 0 or sum(row["answered"] for row in rows) != len(asked):
        raise AssertionError(f"in a cascade fewer people reach each next layer; got {reached}")


def _six(system: System, learned: Sequence[Case], asked: Sequence[Case]) -> None:
    stacking = _with(system, learner="stacking").fit(learned)
    last = {name.partition(".")[2] for name in stacking.state.estimators if name.startswith(BLOCKS[2])}
    if not {*FIVE, "stacking"} <= last:
        raise AssertionError(f"the stacking stands on the five others; it has {sorted(last)}")
    told = {"stacking": _answers(stacking, asked)}
    told |= {name: _answers(_with(system, learner=name).fit(learned), asked) for name in FIVE}
    if len({tuple(each) for each in told.values()}) != 6:
        raise AssertionError("the six classifiers are six")
    weak = {name for name, each in told.items() if not _area(system, asked, each) > 0.75}
    if weak:
        raise AssertionError(f"{', '.join(sorted(weak))} cannot tell what the texture tells")


def made_people(system: System, cases: Sequence[Case]) -> list[Case]:
    """Return people of two classes in turn, learned and asked, whose CT tells the class."""
    rng, inputs = np.random.default_rng(2), system.inputs()
    demographic = [name for name in inputs.table if name not in inputs.optional]
    adults = [case for case in cases if not case.lacks(demographic) and case.number("age_years") > 41]
    if not adults:
        raise ValueError(f"bring cases of adults above 40 years with {', '.join(demographic)}")
    laboratory = [name for name in inputs.table if name in inputs.optional]
    highest, made = len(system.headline.grades) - 1, []
    for number in range(_LEARNED + _ASKED):
        ill, case = number % 2, adults[rng.integers(len(adults))]
        table = {**case.table, **{name: float(rng.normal(50, 5)) for name in laboratory}}
        weight, height = rng.normal(70, 10) - 7 * ill, rng.normal(165, 8)
        table |= {"age_years": rng.uniform(50, 85), "height_cm": height, "weight_kg": weight}
        table["bmi_kg_m2"] = weight / (height / 100) ** 2
        table[_LABORATORY] = rng.normal(70, 10) + 12 * ill
        images, masks = _scan(rng, ill)
        made.append(
            Case(id=str(number), patient=str(number), images=images, masks=masks, table=table,
                 truth={system.headline.id: highest * ill})
        )  # fmt: skip
    return made


def _scan(rng: np.random.Generator, ill: int) -> tuple[Images, Images]:
    """Return a CT of one body and its region; in the ill the same grey values lie in coarser grains."""
    grain = gaussian_filter(rng.normal(size=(3, 16, 16)), (0, 0.5 + 0.25 * ill, 0.5 + 0.25 * ill))
    voxels = 130 + 40 * rng.normal() + 25 * grain / grain.std()
    region = np.zeros(voxels.shape, dtype=np.uint8)
    region[:, 2:-2, 2:-2] = 1
    image = Image(voxels=voxels.astype(np.float32), unit="HU", spacing=(2.0, 0.8, 0.8), direction=_AXIAL)
    mask = replace(image, voxels=region, unit="label", names={1: "L1"})
    return Images({"lumbar_ct": image}), Images({"trabecular_region": mask})


def _with(system: System, **settings: Any) -> System:
    return from_settings(type(system), {**system.settings(), **settings})


def _only_demographic(system: System, case: Case) -> Case:
    return replace(case, table={n: value for n, value in case.table.items() if n not in system.inputs().optional})


def _dealt(cases: Sequence[Case]) -> list[Case]:
    """Return the cases with the CT of the next one."""
    givers = [*cases[1:], cases[0]]
    return [replace(case, images=giver.images, masks=giver.masks) for case, giver in zip(cases, givers, strict=True)]


def _answers(model: Model, cases: Sequence[Case]) -> list[Any]:
    return [answer[model.system.headline.id] for answer in model.predict(cases)]


def _auc(model: Model, cases: Sequence[Case]) -> float:
    return _area(model.system, cases, _answers(model, cases))


def _area(system: System, cases: Sequence[Case], answers: Sequence[Any]) -> float:
    ill = [int(case.truth[system.headline.id] != 0) for case in cases]
    return float(auc(ill, [score(answer) for answer in answers]))
