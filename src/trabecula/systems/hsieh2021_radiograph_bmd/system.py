"""From a radiograph to its region, areal BMD, T-score, class and triage (Hsieh et al., Nature Communications 2021)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import torch

from trabecula.learn.augment import Augment
from trabecula.learn.networks import pretrained
from trabecula.learn.split import inner
from trabecula.learn.train import Group, Plan, train
from trabecula.prediction import Abstain, Prediction, Value, graded
from trabecula.reference import REFERENCES
from trabecula.state import Json, State
from trabecula.system import Evidence, Inputs, Run, System, guess
from trabecula.systems.hsieh2021_radiograph_bmd.agreement import agreement, cut_offs, triage
from trabecula.systems.hsieh2021_radiograph_bmd.examples import Marked, Regions, films, marked, shape
from trabecula.systems.hsieh2021_radiograph_bmd.network import (
    BmdNet,
    LandmarkNet,
    bmd_loss,
    landmark_loss,
    places,
    spread,
)
from trabecula.systems.hsieh2021_radiograph_bmd.regions import (
    CORNERS,
    PARTS,
    Region,
    compression,
    hip_region,
    on_film,
    vertebral_regions,
)
from trabecula.target import get_target

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from trabecula.case import Case
    from trabecula.prediction import Answer
    from trabecula.target import Target

_UNREAD = "only the abstract could be read"
_SIBLING = "recalled from the sibling paper arXiv 2103.13482"
_SITES = {"femoral_neck": "bmd_femoral_neck", "total_hip": "bmd_total_hip", "lumbar": "bmd_lumbar"}
_OF = {"bmd_femoral_neck": "hip", "bmd_total_hip": "hip", "bmd_lumbar": "spine"}
_ROLES = {"hip": ("hip_xray", "hip_regions"), "spine": ("spine_xray_lateral", "bones")}
_CLASSES = {
    "osteoporosis_hip_dxa": ("femoral_neck", "total_hip"),
    "osteoporosis_spine_dxa": ("lumbar",),
    "osteoporosis_dxa": tuple(_SITES),
    "low_bone_mass_dxa": tuple(_SITES),
    "who_class_dxa": tuple(_SITES),
}
"""Classes that follow from T-scores, and the sites whose lowest T-score decides."""
_FRAX = {"frax_major_percent": 20.0, "frax_hip_percent": 3.0}  # from which on a risk is high
_LEAST_AGE = 50.0
_ROUTES = {"rule in": 1.0, "refer to DXA": 0.0, "rule out": -1.0}


class Found(NamedTuple):
    """The regions of a bone that may be measured, or the reason why there are none."""

    regions: list[Region]
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class RadiographBmd(System):
    """Landmarks, a region, areal BMD, and what follows from it; one chain for a hip and one for L1 to L4.

    Chen-I Hsieh et al.: Automated bone mineral density prediction and fracture risk assessment using plain radiographs
    via deep learning, Nature Communications 2021;12:5472. Landmarks are those of masks. FRAX is closed: it comes from
    the table, where it is known, and is never computed. Classes follow from the printed BMD: the chance of one is that
    of a normal error as large as on the validation films, so that it passes 0.5 where the T-score passes the cut.

    Raises `ValueError` for targets that do not follow from BMD of the hip or of L1 to L4.
    """

    canvas: int = guess(512, f"side of the film that landmarks are sought on; {_UNREAD}")
    landmark_widths: tuple[int, ...] = guess((64, 128, 256, 512), f"a U-Net, for Deep Adaptive Graph; {_UNREAD}")
    sigma: float = guess(3 / 512, "3 px of 512; not stated")
    doubt: float = guess(1.5, "heat maps that spread so many times farther than on any training film: no region")
    margin: float = guess(0.15, "around the landmarks of a hip, as a share of their extent; not stated")
    vertebral_margin: float = guess(0.6, "around a vertebra: its grey is judged by the soft tissue beside it")
    compressed: float = guess(0.8, "height ratio below which a vertebra is fractured and not measured: Genant grade 1")
    pixels: int = guess(512, _SIBLING)
    widths: tuple[int, ...] = guess((64, 128, 256, 512, 512), "VGG16 is recalled")
    normalised: bool = guess(False, "VGG16 has no batch normalisation")
    pretrained: bool = guess(True, "ImageNet is recalled")
    landmark_epochs: int = guess(100, _UNREAD)
    landmark_rate: float = guess(1e-3, _UNREAD)
    epochs: int = guess(200, _UNREAD)
    patience: int = guess(200, "the epoch with the lowest validation error is kept; stopping is not stated")
    batch: int = guess(64, _UNREAD)
    rate: float = guess(1e-4, _SIBLING)
    weight_decay: float = guess(4e-4, _SIBLING)
    validation_share: float = guess(0.125, "70/10/20 is ours; the caller holds back the 20 that test")
    rotation: float = guess(10.0, _UNREAD)
    zoom: float = guess(0.1, _UNREAD)
    contrast: float = guess(0.1, _UNREAD)
    young_mean: tuple[float, float, float] = guess(
        (REFERENCES["femoral_neck"].value, REFERENCES["total_hip"].value, 1.047),
        "NHANES III neck and total hip; Hologic lumbar, recalled in the facts",
    )
    young_sd: tuple[float, float, float] = guess((0.120, 0.122, 0.110), "as the means")

    sizes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {
            "canvas": 160, "landmark_widths": (16, 32, 48, 64), "pixels": 128, "widths": (16, 32, 48, 64, 64),
            "normalised": True, "pretrained": False, "landmark_epochs": 40, "epochs": 60, "patience": 60, "batch": 16,
            "rate": 1e-3, "sigma": 0.015, "compressed": 0.7,
        },
        "tiny": {
            "canvas": 64, "landmark_widths": (8, 16, 24), "pixels": 64, "widths": (8, 16, 16, 32, 32),
            "normalised": True, "pretrained": False, "landmark_epochs": 40, "landmark_rate": 1e-2, "sigma": 0.025,
            "epochs": 25, "patience": 25, "batch": 8, "rate": 2e-3, "validation_share": 0.2, "compressed": 0.6,
        },
    }  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.headline.id not in _OF:
            raise ValueError(f"{self.id()} regresses {', '.join(_OF)} first; {self.headline.id} is none of them")
        for target in self.predicts:
            sites = _CLASSES.get(target.id, ())
            if target.id not in _OF and not {_SITES[site] for site in sites} & {each.id for each in self.predicts}:
                raise ValueError(f"{self.id()}: {target.id} does not follow from the BMD that is asked for beside it")

    def inputs(self) -> Inputs:
        """Return the films of the bones asked for, masks to learn landmarks from, and what classes and FRAX need."""
        declared = super().inputs()
        images, masks = zip(*(_ROLES[bone] for bone in self._bones), strict=True)
        optional = (*masks, *declared.table, *(images if len(images) > 1 else ()))
        return declared.model_copy(update={"images": images, "masks": masks, "optional": optional})

    def _fit(self, cases: Sequence[Case], run: Run) -> State:
        facts: dict[str, Any] = {"bones": {}}
        networks: dict[str, nn.Module] = {}
        for bone in self._bones:
            first = get_target(self._targets(bone)[0])
            known = [case for case in cases if _ROLES[bone][0] in case.images and first.id in case.truth]
            if not known:
                raise ValueError(f"{self.id()}: no {_ROLES[bone][0]} with {first.id} to learn from")
            sides = inner(known, first, share=self.validation_share, rng=run.rng)
            networks |= self._fresh(bone)
            landmarks = self._learn_landmarks(networks[f"{bone}_landmarks"], bone, known, sides, run)
            found = [self._found(networks, bone, case, math.inf).regions for case in known]
            told, learned = self._learn_bmd(networks[f"{bone}_bmd"], bone, known, found, sides, run)
            truth = self._truth(bone, [known[index] for index in sides[1]])
            facts["bones"][bone] = {**landmarks, **learned, **self._tuned(bone, truth, told)}
            facts.setdefault("history", learned["history"])
            facts.setdefault("weights", learned["weights"])
        return State(facts=facts, networks=networks)

    def _predict(self, state: State, cases: Sequence[Case]) -> list[Answer]:
        return [self._answer(state, case) for case in cases]

    def _networks(self, facts: Json) -> Mapping[str, nn.Module]:  # noqa: ARG002 the settings say it all
        return {name: network for bone in self._bones for name, network in self._fresh(bone).items()}

    def _explain(self, state: State, case: Case, target: str) -> Evidence | None:  # noqa: ARG002 one chain for all
        """Give BMD, T-score and route of each site, FRAX as it was given, and where landmarks were found."""
        bmd, _ = self._measured(state, case)
        if not bmd:
            return None
        numbers: dict[str, float] = {}
        for site, value in bmd.items():
            numbers[f"{site}: bmd_g_cm2"] = value
            if "sex" in case.table:  # without it a T-score means nothing
                t_score = self._t_score(site, value)
                route = triage(t_score, *self._tuned_of(state, site)["cut_offs"])
                numbers |= {f"{site}: t_score": t_score, f"{site}: route": _ROUTES[route]}
        for name in _FRAX.keys() & case.table.keys():
            numbers |= {name: case.number(name), f"{name}: high": float(case.number(name) >= _FRAX[name])}
        shown = [bone for bone in self._bones if _ROLES[bone][0] in case.images]
        heat = {_ROLES[bone][0]: self._seen(state, bone, case) for bone in shown}
        method = "route 1: ruled in at a PPV of 95 %, -1: ruled out at an NPV of 95 %, 0: refer to DXA; heat: landmarks"
        return Evidence(numbers=numbers, heat=heat, method=method)

    # Learning

    def _learn_landmarks(
        self, network: nn.Module, bone: str, cases: Sequence[Case], sides: Sequence[NDArray[np.intp]], run: Run
    ) -> dict[str, Any]:
        """Train the landmark network of a bone on those with a mask; return its losses and the widest heat map."""
        role, mask = _ROLES[bone]
        parts = []
        for side in sides:
            drawn = [cases[index] for index in side if mask in cases[index].masks]
            if not drawn:
                raise ValueError(f"{self.id()}: landmarks of a {bone} are learned from masks; no {mask} on one side")
            points = np.stack([marked(case, role, mask, names=PARTS[bone]) for case in drawn])
            parts.append(Marked([case.images.source(role) for case in drawn], points, self.canvas))
        history = train(
            network,
            parts[0],
            validation=parts[1],
            loss=partial(landmark_loss, sigma=self.sigma),
            groups=[Group([network], self.landmark_rate)],
            plan=Plan(epochs=self.landmark_epochs, batch=self.batch, schedule="cosine"),
            run=run,
        )
        return {"landmark_loss": history["train_loss"], "widest": self._widest(network, parts[0])}

    @torch.inference_mode()
    def _widest(self, network: nn.Module, training: Marked) -> float:
        """Return how far the heat maps of any training film spread."""
        network.eval()
        return max(float(spread(network(films([source], self.canvas)))) for source in training.sources)

    def _learn_bmd(
        self,
        network: Any,
        bone: str,
        cases: Sequence[Case],
        found: Sequence[Sequence[Region]],
        sides: Sequence[NDArray[np.intp]],
        run: Run,
    ) -> tuple[NDArray[np.float64], dict[str, Any]]:
        """Train the BMD network of a bone on the regions found; return what it tells of those who validate."""
        augment = Augment(degrees=self.rotation, zoom=self.zoom, contrast=self.contrast)
        parts = []
        for side, change in zip(sides, (augment, None), strict=True):
            owners = [index for index in side for _ in found[index]]
            if not owners:
                raise ValueError(f"{self.id()}: no {bone} of one side has a region that may be measured")
            regions = [region for index in side for region in found[index]]
            sources = [cases[index].images.source(_ROLES[bone][0]) for index in owners]
            truth = self._truth(bone, [cases[index] for index in owners])
            parts.append(Regions(sources, regions, truth, self.pixels, change))
        network.scale(torch.from_numpy(parts[0].bmd.astype(np.float32)))
        backbone = "vgg16_bn" if self.normalised else "vgg16"
        origin = pretrained({backbone: network.vgg16}) if self.pretrained else "random: by setting"
        history = train(
            network,
            parts[0],
            validation=parts[1],
            loss=bmd_loss,
            groups=[Group([network], self.rate)],
            plan=Plan(
                epochs=self.epochs,
                batch=self.batch,
                weight_decay=self.weight_decay,
                schedule="cosine",
                patience=self.patience,
            ),
            run=run,
        )
        told = [self._bmd(network, bone, cases[index], found[index]) for index in sides[1]]
        return np.stack(told), {"weights": origin, "history": history}

    def _tuned(self, bone: str, truth: NDArray[np.float64], told: NDArray[np.float64]) -> dict[str, Any]:
        """Return by site how BMD agrees with DXA on the validation films, its error, and the cut-offs of the triage."""
        tuned: dict[str, Any] = {}
        cut = REFERENCES["who_osteoporosis"].value
        for column, site in enumerate(self._sites(bone)):
            known = np.isfinite(truth[:, column]) & np.isfinite(told[:, column])
            y, x = truth[known, column], told[known, column]
            if not len(y):
                raise ValueError(f"{self.id()}: no validation film has both a region and {_SITES[site]}")
            t_true, t_told = ([self._t_score(site, each) for each in values] for values in (y, x))
            cuts = cut_offs([t <= cut for t in t_true], t_told)
            agreed = {name: value for name, value in agreement(y, x).items() if math.isfinite(value)}
            settled = float(np.mean([triage(t, *cuts) != "refer to DXA" for t in t_told]))
            tuned[site] = {
                "films": len(y), "rmse": max(float(np.sqrt(np.mean((x - y) ** 2))), 1e-3), "agreement": agreed,
                "cut_offs": [float(np.clip(each, -99, 99)) for each in cuts], "settled": settled,
            }  # fmt: skip
        return {"sites": tuned}

    # Measuring

    @torch.inference_mode()
    def _found(self, networks: Mapping[str, nn.Module], bone: str, case: Case, widest: float) -> Found:
        """Return the regions of a bone on the film of a case, or why there are none."""
        source = case.images.source(_ROLES[bone][0])
        maps = networks[f"{bone}_landmarks"].eval()(films([source], self.canvas))
        if float(spread(maps)) > self.doubt * widest:
            return Found([], f"no {bone} was found on the film: is this another view, or something in front of it?")
        points = on_film(places(maps)[0].double().numpy(), shape(source))
        if bone == "hip":
            return Found([hip_region(points, margin=self.margin)])
        whole = compression(points) >= self.compressed
        regions = [
            r
            for r, usable in zip(vertebral_regions(points, margin=self.vertebral_margin), whole, strict=True)
            if usable
        ]
        return Found(regions, "" if regions else "every vertebra from L1 to L4 is compressed: none can be measured")

    @torch.inference_mode()
    def _bmd(self, network: nn.Module, bone: str, case: Case, regions: Sequence[Region]) -> NDArray[np.float64]:
        """Return areal BMD `[sites]` in g/cm2, the mean over the regions; NaN without any."""
        unknown = np.full((len(regions), len(self._sites(bone))), np.nan)
        if not regions:
            return np.full(unknown.shape[1], np.nan)
        sources = [case.images.source(_ROLES[bone][0])] * len(regions)
        shown, _ = Regions(sources, regions, unknown, self.pixels).batch(range(len(regions)), torch.Generator())
        told: NDArray[np.float64] = network.eval()(shown).double().numpy().mean(axis=0)
        return told

    def _measured(self, state: State, case: Case) -> tuple[dict[str, float], list[str]]:
        """Return areal BMD by site, and the reasons why a bone has none."""
        told: dict[str, float] = {}
        reasons = []
        for bone in self._bones:
            if _ROLES[bone][0] not in case.images:
                reasons.append(f"no {_ROLES[bone][0]}")
                continue
            found = self._found(state.networks, bone, case, state.facts["bones"][bone]["widest"])
            if found.regions:
                values = self._bmd(state.networks[f"{bone}_bmd"], bone, case, found.regions)
                told |= dict(zip(self._sites(bone), values.tolist(), strict=True))
            else:
                reasons.append(found.reason)
        return told, reasons

    @torch.inference_mode()
    def _seen(self, state: State, bone: str, case: Case) -> NDArray[np.float32]:
        """Return the heat maps of all landmarks on the grid of the film, each highest at 1."""
        from PIL import Image as Picture  # noqa: PLC0415 only for a picture

        source = case.images.source(_ROLES[bone][0])
        maps = state.networks[f"{bone}_landmarks"].eval()(films([source], self.canvas))[0]
        heat = (maps / maps.amax(dim=(1, 2), keepdim=True)).amax(dim=0).numpy()
        rows, columns = shape(source)
        side = max(rows, columns)
        whole = np.asarray(Picture.fromarray(heat).resize((side, side), Picture.Resampling.BILINEAR))
        top, left = (side - rows) // 2, (side - columns) // 2
        return np.array(whole[None, top : top + rows, left : left + columns])

    # Answering

    def _answer(self, state: State, case: Case) -> Answer:
        bmd, reasons = self._measured(state, case)
        return {
            target.id: self._told(state, case, target, bmd) or Abstain("; ".join(reasons)) for target in self.predicts
        }

    def _told(self, state: State, case: Case, target: Target, bmd: Mapping[str, float]) -> Prediction | None:
        """Return the answer for a target, or nothing where no bone that it needs was measured."""
        if target.id in _OF:
            site = next(site for site, of in _SITES.items() if of == target.id)
            if site not in bmd:
                return None
            reach = 1.96 * self._tuned_of(state, site)["rmse"]
            return Value(bmd[site], bmd[site] - reach, bmd[site] + reach)
        sites = [site for site in _CLASSES[target.id] if site in bmd]
        if not sites:
            return None
        age = case.number("age_years")
        if "sex" not in case.table or not age >= _LEAST_AGE:
            return Abstain("a T-score needs the sex, and a class an age of 50 or more: below, the menopause counts")
        low, high = (REFERENCES[name].value for name in ("who_osteoporosis", "who_normal"))
        cuts = (low, high) if target.kind == "ordinal" else (high if target.id == "low_bone_mass_dxa" else low,)
        passed = [max(self._chance(state, site, bmd[site], cut) for site in sites) for cut in cuts]  # rising
        return graded(target, np.diff([0.0, *passed, 1.0])[::-1])

    def _chance(self, state: State, site: str, bmd: float, cut: float) -> float:
        """Return the chance that the T-score of DXA lies at or below a cut: a half where that of the BMD does."""
        error = self._tuned_of(state, site)["rmse"] / self._young[site][1]
        return 0.5 * math.erfc((self._t_score(site, bmd) - cut) / (error * math.sqrt(2)))

    def _t_score(self, site: str, bmd: float) -> float:
        mean, deviation = self._young[site]
        return round((bmd - mean) / deviation, 9)

    def _tuned_of(self, state: State, site: str) -> Mapping[str, Any]:
        tuned: Mapping[str, Any] = state.facts["bones"][_OF[_SITES[site]]]["sites"][site]
        return tuned

    # Which bones, sites and networks

    @property
    def _bones(self) -> tuple[str, ...]:
        """The bones whose BMD is asked for, that of the headline first."""
        return tuple(dict.fromkeys(_OF[target.id] for target in self.predicts if target.id in _OF))

    def _targets(self, bone: str) -> list[str]:
        return [target.id for target in self.predicts if _OF.get(target.id) == bone]

    def _sites(self, bone: str) -> list[str]:
        asked = self._targets(bone)
        return [site for site, target in _SITES.items() if target in asked]

    def _truth(self, bone: str, cases: Sequence[Case]) -> NDArray[np.float64]:
        """Return areal BMD `[n, sites]` in g/cm2; NaN where it is not known."""
        rows = [[case.truth.get(_SITES[site], math.nan) for site in self._sites(bone)] for case in cases]
        return np.array(rows, dtype=np.float64)

    @property
    def _young(self) -> Mapping[str, tuple[float, float]]:
        return dict(zip(_SITES, zip(self.young_mean, self.young_sd, strict=True), strict=True))

    def _fresh(self, bone: str) -> dict[str, nn.Module]:
        return {
            f"{bone}_landmarks": LandmarkNet(self.landmark_widths, landmarks=CORNERS * len(PARTS[bone])),
            f"{bone}_bmd": BmdNet(self.widths, normalised=self.normalised, sites=len(self._sites(bone))),
        }
