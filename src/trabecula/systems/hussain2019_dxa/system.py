"""Hussain and Han 2019: from the two beams of a DXA scan to bone, regions, areal BMD, T-scores and a report.

Denoise both beams; a forest tells bone from soft tissue pixel by pixel; the contour of the bone places the regions;
the dual-energy equation gives the mineral of each; a T-score follows from it and from a reference, and osteoporosis
from the lowest T-score. Only the forest, and the line from what was measured to g/cm2, are learned.

A device is calibrated on a phantom of known steps. Here known patients stand for it: their areal BMD of total hip and
their lowest T-score. The ratio of the beams in soft tissue tells one pair of beams from another, so that one line
serves several devices. Where only a class is known, no line can be found; the class is then learned from what was
measured, uncalibrated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from trabecula.cache import remember
from trabecula.learn.split import inner
from trabecula.prediction import Abstain, Answer, Prediction, Probability, Value
from trabecula.reference import REFERENCES
from trabecula.state import State
from trabecula.system import Evidence, Run, System, guess
from trabecula.systems.hussain2019_dxa.calibration import SITES, Measures, calibrated, fitted_lines, local_z, t_scores
from trabecula.systems.hussain2019_dxa.pixels import (
    FEATURES,
    areal_mineral,
    body,
    cleaned,
    feature_maps,
    sampled,
    shrinking,
    shrunk,
)
from trabecula.systems.hussain2019_dxa.regions import hip_regions, lumbar_regions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.case import Case
    from trabecula.image import Image

    Mask = NDArray[np.bool_]

_UNREAD = "not readable; default of the facts"
_HIP, _SPINE = "hip", "spine"
_MASKS = {_HIP: "bone", _SPINE: "vertebral_bodies"}
_T, _BMD = "dxa_map_t_score", "dxa_region_bmd"
_LEAST_AGE = 50.0


@dataclass(frozen=True, kw_only=True)
class DxaReport(System):
    """Denoising, a forest of pixels, regions by contour, the dual-energy equation, T-scores."""

    pixel_mm: float = guess(0.0, "pixels as they are; larger ones are quicker")
    patch: int = guess(5, _UNREAD)
    reach: int = guess(6, _UNREAD)
    strength: float = guess(0.8, _UNREAD + ": h over the SD of the noise")
    trees: int = guess(100, _UNREAD)
    leaf: int = guess(5, _UNREAD)
    pixels: int = guess(20_000, _UNREAD + "; of each training scan")
    subsets: tuple[int, ...] = guess(tuple(range(1, 10)), _UNREAD + ": numbers of features that are tried")
    tolerance: float = guess(0.005, _UNREAD + ": accuracy that fewer features may cost")
    held_out: float = guess(0.2, "share of patients on whom subsets are compared; the facts say out-of-bag")
    mu_low: float = guess(0.57, _UNREAD + ": cm2/g of mineral at some 40 keV")
    mu_high: float = guess(0.30, _UNREAD + ": cm2/g of mineral at some 70 keV")
    young_mean: tuple[float, float, float] = guess(
        (REFERENCES["femoral_neck"].value, REFERENCES["total_hip"].value, 1.047),
        "NHANES III neck and total hip; Hologic lumbar, recalled in the facts",
    )
    young_sd: tuple[float, float, float] = guess((0.120, 0.122, 0.110), "as the means")

    sizes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {"pixel_mm": 1.2, "reach": 4, "trees": 40, "pixels": 1500, "subsets": (3, 5, 9)},
        "tiny": {"pixel_mm": 2.0, "reach": 3, "trees": 12, "pixels": 300, "subsets": (4, 9)},
    }  # fmt: skip

    def _fit(self, cases: Sequence[Case], run: Run) -> State:
        forests: dict[str, Any] = {}
        chosen: dict[str, list[int]] = {}
        for number, part in enumerate((_HIP, _SPINE)):
            run.progress(number, 3, f"forest of {part} pixels")
            if forest := self._forest(part, cases, run):
                chosen[part], forests[part] = forest
        if _HIP not in forests:
            raise ValueError(f"{self.id()}: no training case has hip beams and a mask of bone to learn pixels from")
        run.progress(2, 3, "regions and mineral")
        state = State(facts={"features": chosen}, estimators=forests)
        known = [(case, found) for case in cases if (found := self._measured(state, case)) is not None]
        lines = fitted_lines(
            [found for _, found in known], self._truths(known, _BMD), self._truths(known, _T), self._young
        )
        facts = {"features": chosen, "names": {p: [FEATURES[n] for n in chosen[p]] for p in chosen}, "lines": lines}
        local = [calibrated(found, lines) for _, found in known]
        facts["local"] = local_z([case for case, _ in known], local)
        risk = self._risk([found for _, found in known], self._truths(known, self.headline.id), lines)
        return State(facts=facts, estimators={**forests, **({"risk": risk} if risk else {})})

    @property
    def _young(self) -> dict[str, tuple[float, float]]:
        return dict(zip(SITES, zip(self.young_mean, self.young_sd, strict=True), strict=True))

    def _truths(self, known: Sequence[tuple[Case, Measures]], target: str) -> list[float]:
        return [float(case.truth[target]) if target in case.truth else math.nan for case, _ in known]  # type: ignore[arg-type]

    def _forest(self, part: str, cases: Sequence[Case], run: Run) -> tuple[list[int], Any] | None:
        """Return the features kept, and the forest of pixels of hips or spines; none without masks to learn from."""
        role = _MASKS[part]
        able = [c for c in cases if role in c.masks and {f"{part}_dxa_low", f"{part}_dxa_high"} <= set(c.images)]
        if not able:
            return None
        drawn = [self._pixels(case, part, run) for case in able]
        x = np.concatenate([each for each, _ in drawn])
        y = np.concatenate([each for _, each in drawn])
        owner = np.repeat(np.arange(len(drawn)), [len(each) for _, each in drawn])
        training, held = self._sides(able, run)
        inside, outside = np.isin(owner, training), np.isin(owner, held)
        order = np.argsort(-self._trees(run.seed).fit(x[inside], y[inside]).feature_importances_, kind="stable")
        reached = {}
        for count in self.subsets:
            kept = order[:count]
            reached[count] = (
                self._trees(run.seed).fit(x[inside][:, kept], y[inside]).score(x[outside][:, kept], y[outside])
            )
        best = max(reached.values())
        count = min(n for n, accuracy in reached.items() if accuracy >= best - self.tolerance)
        kept = order[:count]
        return kept.tolist(), self._trees(run.seed).fit(x[:, kept], y)

    def _sides(self, cases: Sequence[Case], run: Run) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return scans that features are chosen from and on; where patients do not suffice, all of them are both."""
        try:
            return inner(cases, self.headline, share=self.held_out, rng=run.rng)
        except ValueError:
            return np.arange(len(cases)), np.arange(len(cases))

    def _trees(self, seed: int) -> Any:
        from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415 keeps the catalogue light

        return RandomForestClassifier(
            self.trees, min_samples_leaf=self.leaf, class_weight="balanced", random_state=seed
        )

    def _pixels(self, case: Case, part: str, run: Run) -> tuple[NDArray[np.float32], Mask]:
        maps, _, times = self._maps(case, part)
        bone = shrunk((case.masks[_MASKS[part]].voxels[0] > 0).astype(np.float64), times) >= 0.5
        if part == _SPINE:  # bodies above and below are bone too, and not in the mask
            rows = np.flatnonzero(bone.any(axis=1))
            maps, bone = maps[:, rows[0] : rows[-1] + 1], bone[rows[0] : rows[-1] + 1]
        return sampled(maps, bone, self.pixels, run.rng)

    def _maps(self, case: Case, part: str) -> tuple[NDArray[np.float32], float, int]:
        """Return features `[feature, j, i]`, the side of a pixel in mm, and how many of the scan's make one."""
        beams = [case.images.source(f"{part}_dxa_{beam}") for beam in ("low", "high")]
        how = {"pixel_mm": self.pixel_mm, "patch": self.patch, "reach": self.reach, "strength": self.strength}
        maps = remember(feature_maps, *beams, settings=how, package="trabecula.systems.hussain2019_dxa")
        mm, times = remember(pixel, beams[0], settings={"pixel_mm": self.pixel_mm}).tolist()
        return maps, float(mm), int(times)

    def _found(self, state: State, case: Case, part: str) -> tuple[dict[str, Mask], NDArray[np.float64], float, float]:
        """Return regions, mineral in g/cm2, the ratio of soft tissue, and the side of a pixel in mm."""
        maps, mm, _ = self._maps(case, part)
        learned = part if part in state.estimators else _HIP
        x = maps.reshape(len(maps), -1)[state.facts["features"][learned]].T
        bone = cleaned(state.estimators[learned].predict(x).reshape(maps.shape[1:]).astype(bool) & body(maps))
        low, high = (maps[FEATURES.index(name)].astype(np.float64) for name in ("low", "high"))
        mineral, ratio = areal_mineral(low, high, bone, mm=mm, beams=(self.mu_low, self.mu_high))
        regions = hip_regions(bone, mm) if part == _HIP else lumbar_regions(bone, mineral, mm)
        return regions, mineral, ratio, mm

    def _measures(self, state: State, case: Case) -> Measures:
        """Return what is measured in a case; raises `ValueError` where the hip has no regions."""
        told: Measures = {}
        for part in (_HIP, _SPINE):
            if part == _SPINE and not {"spine_dxa_low", "spine_dxa_high"} <= set(case.images):
                continue
            try:
                regions, mineral, ratio, mm = self._found(state, case, part)
            except ValueError:
                if part == _HIP:
                    raise
                continue  # a spine without four vertebrae is left out of the report, and of the lowest T-score
            for name, region in regions.items():
                told[name] = {"raw": float(mineral[region].mean()), "ratio": ratio,
                              "area_cm2": float(region.sum() * mm**2 / 100)}  # fmt: skip
        return told

    def _measured(self, state: State, case: Case) -> Measures | None:
        try:
            return self._measures(state, case)
        except ValueError:
            return None

    def _risk(self, found: Sequence[Measures], truths: Sequence[float], lines: Mapping[str, Any]) -> Any:
        """Return how the headline's chance follows from the lowest T-score, or from what was measured alone."""
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
        from sklearn.pipeline import make_pipeline  # noqa: PLC0415
        from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

        known = np.isfinite(truths)
        if len({truth for truth in truths if math.isfinite(truth)}) < 2:
            return None
        x = np.array([self._seen(each, lines) for each in found])
        return make_pipeline(StandardScaler(), LogisticRegression()).fit(x[known], np.array(truths)[known].astype(int))

    def _seen(self, found: Measures, lines: Mapping[str, Any]) -> list[float]:
        scores = t_scores(calibrated(found, lines), self._young)
        if lines:
            return [min(scores.values())]
        hip = [scores[site] for site in SITES[:2]]
        return [*hip, scores.get(SITES[2], float(np.mean(hip))), found[SITES[0]]["ratio"]]

    def _predict(self, state: State, cases: Sequence[Case]) -> list[Answer]:
        return [self._answer(state, case) for case in cases]

    def _answer(self, state: State, case: Case) -> Answer:
        try:
            found = self._measures(state, case)
        except ValueError as reason:
            return {target.id: Abstain(str(reason)) for target in self.predicts}
        lines = state.facts["lines"]
        answer: dict[str, Prediction] = {}
        for target in self.predicts:
            if target.kind == "value" and not lines:
                answer[target.id] = Abstain("the device was not calibrated: no training case has a known BMD")
            elif target.kind != "value":
                answer[target.id] = self._class(state, case, found)
            else:
                bmd = calibrated(found, lines)
                hip = target.unit == "g/cm2"
                answer[target.id] = Value(bmd[SITES[1]] if hip else min(t_scores(bmd, self._young).values()))
        return answer

    def _class(self, state: State, case: Case, found: Measures) -> Prediction:
        age = case.number("age_years")
        if not age >= _LEAST_AGE:
            told = "without an age" if math.isnan(age) else f"at {age:g} years"
            return Abstain(f"no WHO class {told}: below 50 it depends on the menopause, which is not told")
        risk = state.estimators.get("risk")
        if risk is None:
            return Abstain("no two classes of training cases have regions to learn from")
        x = np.array([self._seen(found, state.facts["lines"])])
        return Probability(float(risk.predict_proba(x)[0, 1]))

    def _explain(self, state: State, case: Case, target: str) -> Evidence | None:  # noqa: ARG002 one report for all
        """Give the report: area, BMC, BMD, T- and Z-score of each region, and the regions on the beams."""
        try:
            found = self._measures(state, case)
        except ValueError:
            return None
        bmd = calibrated(found, state.facts["lines"])
        scores, numbers = t_scores(bmd, self._young), dict[str, float]()
        z = state.facts["local"].get(str(case.table.get("sex")), {})
        for name, value in bmd.items():
            area = found[name]["area_cm2"]
            numbers |= {f"{name}: area_cm2": area, f"{name}: bmc_g": value * area, f"{name}: bmd_g_cm2": value}
            if name in scores:
                numbers[f"{name}: t_score"] = scores[name]
            if name in z and not math.isnan(age := case.number("age_years")):
                slope, offset, sd = z[name]
                numbers[f"{name}: z_score"] = (value - offset - slope * age) / sd
        told = "report by region; T against young adults (NHANES III, Hologic spine), Z against the training patients"
        if not state.facts["lines"]:
            told += "; BMD is not calibrated"
        return Evidence(numbers=numbers, heat=self._heat(state, case), method=told)

    def _heat(self, state: State, case: Case) -> dict[str, NDArray[np.float32]]:
        heat = {}
        for part in (_HIP, _SPINE):
            role = f"{part}_dxa_low"
            if role not in case.images:
                continue
            try:
                regions, mineral, _, _ = self._found(state, case, part)
            except ValueError:
                continue
            seen = np.where(np.logical_or.reduce(list(regions.values())), np.maximum(mineral, 0), 0)
            _, _, times = self._maps(case, part)
            whole = np.repeat(np.repeat(seen, times, axis=0), times, axis=1)
            shape = case.images[role].shape[1:]
            short = [(0, wide - have) for wide, have in zip(shape, whole.shape, strict=True)]
            heat[role] = np.pad(whole, short)[None].astype(np.float32)
        return heat


def pixel(image: Image, *, pixel_mm: float) -> NDArray[np.float64]:
    """Return the side of a pixel in mm after shrinking, and how many of the scan's make one.

    Raises `ValueError` for a scan without spacing.
    """
    times = shrinking(image, pixel_mm)
    return np.array([float((image.spacing or (1, 1, 1))[1]) * times, times])
