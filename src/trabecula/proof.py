"""Proof that a system reads bone, on phantoms whose bone is known: against permuted images, and on twins.

A system may score well because the table, or the film, tells how old somebody is. Two questions tell that apart from
reading bone. Does it do better than the same system, fitted again, when every patient is shown the images of another
patient of the same class of age, sex and body mass index? And does its answer follow the bone when nothing but the
bone of a patient changes, and less so when nothing but the scanner does?
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula.card import cohort_card, cohort_ids
from trabecula.case import Images
from trabecula.cohort import cohort_settings, fitted_to, open_cohort
from trabecula.evaluation import evaluate
from trabecula.image import Source
from trabecula.metrics import LOWER_IS_BETTER, wilson
from trabecula.prediction import Abstain, score
from trabecula.protocol import Protocol
from trabecula.report.numbers import Row, by_patient, compared, figures, headline_metric
from trabecula.report.summary import environment
from trabecula.system import Model, Progress, System, get_system, quiet
from trabecula.target import ROLES

if TYPE_CHECKING:
    from trabecula.case import Case, Truth
    from trabecula.cohort import Cohort
    from trabecula.report.files import Report
    from trabecula.target import Target

_BESIDE = ("baseline_prevalence", "baseline_acquisition")
_DIAGNOSIS, _ANY_FRACTURE = "osteoporosis_dxa", "time_to_any_fracture"
_RIGHT, _ALMOST_CERTAIN = 0.9, 1e-6
_UNITS = {"binary": "log-odds", "ordinal": "grades", "time_to_event": "incidence"}  # of a move; of a value its own
_TUBE_KV = {"ct": -20.0}  # how far the tube voltage is moved: a step down of a CT scanner; elsewhere 10 kV up
_OTHER_KV, _OTHER_KERNEL = 10.0, "bone"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """How a system is put to the proof.

    Raises `ValueError` for a shift of nothing, or fewer than two pairs.
    """

    cohort: str
    patients: int = 150
    """Patients of the cross-validation; the twins are of others."""
    folds: int = 3
    pairs: int = 40
    bone_shift: float = -1.0
    """Young SDs of bone density by which a twin differs."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.bone_shift == 0 or self.pairs < 2:
            raise ValueError("twins differ in bone, and there are at least two pairs: give bone_shift and pairs")


def on_phantoms(id_: str, *, size: str, target: str | None = None, settings: Mapping[str, Any] | None = None) -> System:
    """Return the recipe that is put to the proof on phantoms.

    A class from the same scan is replaced by the diagnosis by DXA, a time to what no phantom has truth for by the time
    to any fracture.
    """
    system = get_system(id_, size=size, targets=(target,) if target else (), settings=settings)
    headline = system.headline
    if target is None and headline.circular and headline.classifies:
        return get_system(id_, size=size, targets=(_DIAGNOSIS,), settings=settings)
    if target is None and headline.kind == "time_to_event" and not _on_a_phantom(headline.id):
        return get_system(id_, size=size, targets=(_ANY_FRACTURE,), settings=settings)
    return system


def _on_a_phantom(target: str) -> bool:
    cards = map(cohort_card, cohort_ids())
    return any(card.made and target in card.targets for card in cards)


def prove(system: System, trial: Trial, *, jobs: int | None = None, progress: Progress = quiet) -> dict[str, Any]:
    """Judge a system on a phantom cohort, against itself with permuted images, and on twins; return plain JSON.

    Raises `ValueError` for a cohort without the setting `bone_shift`, or a system without images.
    """
    inputs = system.inputs()
    usual = cohort_settings(trial.cohort)
    if "bone_shift" not in usual:
        raise ValueError(f"{trial.cohort} makes no twins; name a phantom cohort with the setting bone_shift")
    if not inputs.images:
        raise ValueError(f"{system.id()} looks at no image: there is nothing to permute")
    cohort = open_cohort(trial.cohort, n=trial.patients, seed=trial.seed, progress=progress)
    protocol = Protocol(folds=trial.folds, seed=trial.seed, operating_points=False)
    own = evaluate([system], cohort, protocol=protocol, jobs=jobs, progress=progress)
    swapped = cohort.with_cases(permuted(cohort.cases, seed=trial.seed), "images permuted within age, sex and BMI")
    blind = evaluate([system], swapped, protocol=protocol, baselines=False, jobs=jobs, progress=progress)
    return {
        "format": 1, "system": system.id(), "size": system.size, "settings": system.settings(),
        "target": system.headline.id, "trial": asdict(trial), "cohort_settings": dict(usual),
        **_scores(own, system),
        "permuted": _against(own, blind, system),
        "twins": _twins(system, cohort, trial, progress),
        "environment": environment(trial.seed),
    }  # fmt: skip


def verdict(proof: Mapping[str, Any]) -> dict[str, bool]:
    """Say which of the claims hold: each follows from the figures of `prove`."""
    sign = -1 if proof["metric"] in LOWER_IS_BETTER else 1
    held = {
        f"better than {name.removeprefix('baseline_')}": _beyond(each["difference"], sign)
        for name, each in proof["beside"].items()
        if name in _BESIDE and each["difference"]
    }
    twins = proof["twins"]
    bone = twins["moved"]["bone"]
    return held | {
        "better than with permuted images": _beyond(proof["permuted"]["difference"], sign),
        "follows the bone of twins": twins["right"] >= _RIGHT,
        "bone moves it more than the scanner": all(bone > other for n, other in twins["moved"].items() if n != "bone"),
    }


def permuted(cases: Sequence[Case], *, seed: int) -> list[Case]:
    """Show every patient the images of another of the same class of age, sex and body mass index; tables stay.

    Masks, acquisition facts and label maps belong to the images and go with them. A patient who is alone in a class
    joins the nearest one.
    Raises `ValueError` for fewer than two patients.
    """
    of: dict[str, list[Case]] = {}
    for case in cases:
        of.setdefault(case.patient, []).append(case)
    if len(of) < 2:
        raise ValueError("images are permuted among patients: there must be at least two")
    rng = np.random.default_rng(seed)
    donor: dict[str, str] = {}
    for members in _classes({patient: own[0] for patient, own in of.items()}):
        order = [members[i] for i in rng.permutation(len(members))]
        donor |= dict(zip(order, [*order[1:], order[0]], strict=True))
    return [_shown(case, of[case.patient], of[donor[case.patient]]) for case in cases]


def _classes(patients: Mapping[str, Case]) -> list[list[str]]:
    """Return patients by sex, decade of age and band of BMI (under 25, under 30, above), never one alone."""
    found: dict[tuple[float, ...], list[str]] = {}
    for patient, case in patients.items():
        age, bmi = (_known(case.number(name)) for name in ("age_years", "bmi_kg_m2"))
        sex = {"female": 0.0, "male": 1.0}.get(str(case.table.get("sex")), 0.5)
        key = (100 * sex, age // 10, 0.5 * float(np.searchsorted((25.0, 30.0), bmi, side="right")))
        found.setdefault(key, []).append(patient)
    while alone := [key for key, members in found.items() if len(members) == 1 and len(found) > 1]:
        others = [key for key in found if key != alone[0]]
        nearest = min(others, key=lambda key: math.dist(key, alone[0]))
        found[nearest] += found.pop(alone[0])
    return list(found.values())


def _shown(case: Case, own: Sequence[Case], theirs: Sequence[Case]) -> Case:
    """Return a case with the images of the case at its place among those of another patient with the same part."""
    place = [each.id for each in own if each.part == case.part].index(case.id)
    fitting = [each for each in theirs if each.part == case.part] or theirs
    other = fitting[place % len(fitting)]
    maps: dict[str, Truth] = {name: known for name, known in other.truth.items() if isinstance(known, Source)}
    kept: dict[str, Truth] = {name: known for name, known in case.truth.items() if not isinstance(known, Source)}
    images = Images({role: other.images.source(role) for role in other.images})
    masks = Images({role: other.masks.source(role) for role in other.masks})
    return replace(case, images=images, masks=masks, groups=other.groups, truth=kept | maps)


def _known(value: float) -> float:
    return 0.0 if math.isnan(value) else value


def _scores(report: Report, system: System) -> dict[str, Any]:
    """Return what the system and the baselines beside it reach, and the paired differences."""
    metric = headline_metric(system.headline)
    ours = by_patient(_rows(report.rows, system.id(), system.headline))
    beside = {}
    for name in dict.fromkeys(row.system for row in report.rows if row.role == "baseline"):
        theirs = by_patient(_rows(report.rows, name, system.headline))
        beside[name] = {"value": figures(theirs).get(metric), "difference": compared(ours, theirs)}
    return {"metric": metric, "figures": figures(ours), "patients": len(ours.patients),
            "abstained": int((~ours.evaluable).sum()), "beside": beside}  # fmt: skip


def _against(own: Report, blind: Report, system: System) -> dict[str, Any]:
    ours, theirs = (by_patient(_rows(report.rows, system.id(), system.headline)) for report in (own, blind))
    metric = headline_metric(system.headline)
    return {"value": figures(theirs).get(metric), "difference": compared(ours, theirs)}


def _rows(rows: Sequence[Row], system: str, target: Target) -> list[Row]:
    return [row for row in rows if row.system == system and row.target == target.id]


def _twins(system: System, cohort: Cohort, trial: Trial, progress: Progress) -> dict[str, Any]:
    """Fit to the whole cohort; ask about other patients, then about their twins."""
    model = system.fit(fitted_to(cohort.cases, system.inputs()), seed=trial.seed, progress=progress)
    before = {case.patient for case in cohort.cases}
    changes = {"bone": {"bone_shift": trial.bone_shift}, **_scanner_changes(system, trial.cohort)}
    usual = _risks(model, _unseen(trial, before, {}))
    moved: dict[str, dict[str, float]] = {}
    for done, (name, change) in enumerate(changes.items()):
        progress(done, len(changes), f"twins: {name}")
        asked = _risks(model, _unseen(trial, before, change))
        moved[name] = {who: asked[who] - risk for who, risk in usual.items() if who in asked}
    bone = moved["bone"]
    if not bone:
        raise ValueError(f"{system.id()} answers no pair of twins of {trial.cohort}")
    right = sum(step * -trial.bone_shift > 0 for step in bone.values())
    low, high = wilson(right, len(bone))
    return {
        "pairs": len(bone), "abstained": trial.pairs - len(bone), "right": right / len(bone), "right_low": low,
        "right_high": high, "unit": _UNITS.get(system.headline.kind, system.headline.unit),
        "changes": changes,
        "moved": {name: float(np.median(np.abs([*steps.values()]))) for name, steps in moved.items() if steps},
        "drifted": {name: float(np.median([*steps.values()])) for name, steps in moved.items() if steps},
    }  # fmt: skip


def _scanner_changes(system: System, cohort: str) -> dict[str, dict[str, Any]]:
    """Return the changes of scanner and position that a cohort can make, and how far each goes."""
    usual = cohort_settings(cohort)
    modality = ROLES[system.inputs().images[0]].modality
    changes: dict[str, dict[str, Any]] = {}
    if "kvp_shift" in usual:
        changes["tube voltage"] = {"kvp_shift": _TUBE_KV.get(modality, _OTHER_KV)}
    if "kernel" in usual:
        changes["kernel"] = {"kernel": _OTHER_KERNEL}
    if "noise_scale" in usual:
        changes["noise"] = {"noise_scale": 1.5}
    if "shift_mm" in usual:
        changes["position"] = {"shift_mm": 5.0}
    return changes


def _unseen(trial: Trial, before: set[str], change: Mapping[str, Any]) -> list[Case]:
    """Return the cases of the patients that follow those who were learned from."""
    everybody = open_cohort(trial.cohort, n=trial.patients + trial.pairs, seed=trial.seed, settings=change)
    return [case for case in everybody.cases if case.patient not in before]


def _risks(model: Model, cases: Sequence[Case]) -> dict[str, float]:
    """Return by patient how much bone loss the answer tells: log-odds, an expected grade, an incidence, or less BMD."""
    target = model.system.headline
    answers = model.predict(fitted_to(cases, model.system.inputs()))
    found: dict[str, list[float]] = {}
    for case, answer in zip(cases, answers, strict=True):
        told = answer[target.id]
        if not isinstance(told, Abstain):
            found.setdefault(case.patient, []).append(_risk(score(told), target))
    together = max if target.reduce == "max" else np.mean
    return {patient: float(together(risks)) for patient, risks in found.items()}


def _risk(number: float, target: Target) -> float:
    if target.kind == "value":
        return -number
    if target.kind == "binary":
        p = min(max(number, _ALMOST_CERTAIN), 1 - _ALMOST_CERTAIN)
        return math.log(p / (1 - p))
    return number


def _beyond(difference: Mapping[str, Any] | None, sign: int) -> bool:
    if not difference or difference["low"] is None:
        return False
    return float(difference["low"]) > 0 if sign > 0 else float(difference["high"]) < 0
