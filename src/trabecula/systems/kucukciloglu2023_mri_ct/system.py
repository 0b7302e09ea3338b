"""Two small branches, one on sagittal MRI and one on sagittal CT slices (Kucukciloglu et al., DIR 2024)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
from torch.nn import functional

from trabecula import cache
from trabecula.learn.split import inner
from trabecula.learn.train import Group, Plan, train
from trabecula.prediction import Abstain, graded
from trabecula.state import Json, State
from trabecula.system import Evidence, Inputs, Run, System, guess, paper
from trabecula.systems.kucukciloglu2023_mri_ct.network import Branches, TwoBlocks
from trabecula.systems.kucukciloglu2023_mri_ct.slices import sagittal

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from trabecula.case import Case
    from trabecula.prediction import Answer, Prediction

_CODE = "published code"
_ROLES = {"mri": ("lumbar_mri",), "ct": ("lumbar_ct",)}


@dataclass(frozen=True)
class Paired:
    """Slices of every branch as batches, paired by their number alone: each has a grade of its own."""

    slices: Sequence[NDArray[np.uint8]]
    """By branch: `[n, rows, columns]`."""
    grades: Sequence[NDArray[np.intp]]
    """By branch: `[n]`."""

    def __len__(self) -> int:
        return max(map(len, self.slices))

    def batch(self, chosen: Sequence[int], generator: torch.Generator) -> tuple[list[torch.Tensor], torch.Tensor]:  # noqa: ARG002
        """Return a batch `[n, 3, rows, columns]` for each branch and grades `[n, branches]`; a shorter list repeats."""
        numbers = [np.array(chosen) % len(each) for each in self.slices]
        pictures = [channels(each[chosen]) for each, chosen in zip(self.slices, numbers, strict=True)]
        grades = [each[chosen] for each, chosen in zip(self.grades, numbers, strict=True)]
        return pictures, torch.from_numpy(np.stack(grades, axis=1))

    @property
    def digest(self) -> str:
        """Name the content: slices, grades and order."""
        sha = hashlib.sha256()
        for slices, grades in zip(self.slices, self.grades, strict=True):
            sha.update(f"{slices.shape}".encode() + slices.tobytes() + grades.tobytes())
        return sha.hexdigest()


def channels(slices: NDArray[np.uint8]) -> torch.Tensor:
    """Return slices `[n, rows, columns]` as `[n, 3, rows, columns]` of 0 to 1: divided by 255 and nothing else."""
    grey = torch.from_numpy(slices.astype(np.float32)) / 255
    return grey.unsqueeze(1).repeat(1, 3, 1, 1)


def summed_loss(logits: torch.Tensor, grades: torch.Tensor) -> torch.Tensor:
    """Return the sum over branches, equally weighted, of the mean cross-entropy of each.

    Logits are `[n, branches, 1]` for two grades, where a sigmoid follows, and `[n, branches, grades]` for more.
    """
    branches = grades.shape[1]
    if logits.shape[2] == 1:
        return branches * functional.binary_cross_entropy_with_logits(logits[:, :, 0], grades.to(logits.dtype))
    return branches * functional.cross_entropy(logits.flatten(0, 1), grades.flatten())


@dataclass(frozen=True, kw_only=True)
class MriCt(System):
    """A pooling and a strided path on one picture, added; two such networks side by side for MRI and CT.

    Yasemin Kucukciloglu et al.: Prediction of osteoporosis using MRI and CT scans with unimodal and multimodal
    deep-learning models, Diagnostic and Interventional Radiology 2024;30:9-20. The branches of the multimodal model
    share nothing but the step of the optimiser: it does not fuse.
    """

    experiment: Literal["multimodal", "mri", "ct", "combined"] = paper(
        "multimodal", "beside three experiments with one network: MRI, CT, and both pooled into one set"
    )
    answer: Literal["ct", "mri", "mean"] = guess(
        "ct", "o1 and o2 stay apart, which stands for the patient is not defined: o2, the better alone, where it is"
    )
    rows: int = paper(80, _CODE)
    columns: int = paper(60, _CODE)
    slices: int = guess(3, "number of slices a patient not found")
    spread_mm: float = guess(10.0, "mid-sagittal slices are offered; how far apart was not found")
    window_hu: tuple[float, float] = guess((-150.0, 350.0), "pictures are JPEG; their window was not found")
    percentiles: tuple[float, float] = guess((1.0, 99.0), "pictures are JPEG; how MRI became grey was not found")
    nearest: bool = guess(True, "inferred: the default of Keras's load_img")
    filters: int = paper(32, _CODE)
    dense: tuple[int, ...] = paper((32, 16), _CODE)
    momentum: float = paper(0.99, "batch normalisation has the defaults of Keras")
    epochs: int = guess(50, "5 in the public demo on two pictures; the real number was not found")
    patience: int = guess(10, "not found")
    batch: int = paper(8, "demo code, multimodal; 16 unimodal")
    rate: float = paper(1e-3, "Adam with the defaults of Keras")
    validation_share: float = guess(0.2, "what stops training was not found")

    sizes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {"momentum": 0.9, "epochs": 30},
        "tiny": {"filters": 16, "momentum": 0.9, "epochs": 10},
    }

    def inputs(self) -> Inputs:
        """Return the card's inputs; the experiments with one kind of picture require it."""
        declared = super().inputs()
        if self.experiment not in _ROLES:
            return declared
        return declared.model_copy(update={"images": _ROLES[self.experiment], "optional": ()})

    def _fit(self, cases: Sequence[Case], run: Run) -> State:
        network = self._network()
        parts = inner(cases, self.headline, share=self.validation_share, rng=run.rng)
        training, validation = (self._paired([cases[index] for index in part]) for part in parts)
        history = train(
            network,
            training,
            validation=validation,
            loss=summed_loss,
            groups=[Group([network], self.rate)],
            plan=Plan(epochs=self.epochs, batch=self.batch, patience=self.patience),
            run=run,
        )
        return State(facts={"history": history}, networks={self._name: network})

    def _predict(self, state: State, cases: Sequence[Case]) -> list[Answer]:
        return [{self.headline.id: self._answer(self._outputs(state, case))} for case in cases]

    def _networks(self, facts: Json) -> Mapping[str, nn.Module]:  # noqa: ARG002 the settings say it all
        return {self._name: self._network()}

    def _explain(self, state: State, case: Case, target: str) -> Evidence:  # noqa: ARG002 there is one target
        outputs = {role: float(each[-1]) for role, each in self._outputs(state, case).items()}
        method = f"probability of {self.headline.grades[-1]!r} that each picture alone gives, cut at 0.5"
        return Evidence(numbers=outputs, method=method)

    @torch.inference_mode()
    def _outputs(self, state: State, case: Case) -> dict[str, NDArray[np.float64]]:
        """Return probabilities `[grades]` of every picture that is there, the mean over its slices."""
        outputs = {}
        for role in case.images:
            branch = state.networks[self._name].get_submodule(f"branches.{self._branch_of[role]}")
            logits = branch(channels(self._seen(case, role))).double()
            if logits.shape[1] == 1:
                logits = torch.cat([torch.zeros_like(logits), logits], dim=1)  # softmax is then the sigmoid
            outputs[role] = logits.softmax(dim=1).mean(dim=0).numpy()
        return outputs

    def _answer(self, outputs: Mapping[str, NDArray[np.float64]]) -> Prediction:
        if not outputs:
            return Abstain("neither an MRI nor a CT picture is there: each answers only for its own branch")
        if self.answer == "mean":
            return graded(self.headline, np.mean(list(outputs.values()), axis=0))
        return graded(self.headline, outputs.get(f"lumbar_{self.answer}", next(iter(outputs.values()))))

    def _paired(self, cases: Sequence[Case]) -> Paired:
        """Return the slices of labelled cases by branch; raises `ValueError` where a branch would have none."""
        slices: dict[str, list[NDArray[np.uint8]]] = {branch: [] for branch in self._branch_of.values()}
        grades: dict[str, list[int]] = {branch: [] for branch in slices}
        for case in cases:
            for role in case.images:
                seen = self._seen(case, role)
                slices[self._branch_of[role]] += list(seen)
                grades[self._branch_of[role]] += [int(case.truth[self.headline.id])] * len(seen)  # type: ignore[arg-type]
        if empty := [branch for branch, seen in slices.items() if not seen]:
            raise ValueError(f"{self.id()}: no pictures for {empty[0]} to learn from: set experiment to the other one")
        return Paired([np.stack(each) for each in slices.values()], [np.array(each) for each in grades.values()])

    def _seen(self, case: Case, role: str) -> NDArray[np.uint8]:
        settings = {
            "rows": self.rows, "columns": self.columns, "count": self.slices, "spread_mm": self.spread_mm,
            "window_hu": self.window_hu, "percentiles": self.percentiles, "nearest": self.nearest,
        }  # fmt: skip
        return np.array(cache.remember(sagittal, case.images.source(role), settings=settings))

    @property
    def _branch_of(self) -> Mapping[str, str]:
        """Name the branch that looks at each kind of picture."""
        roles = self.inputs().images
        return {role: role if self._name == "multimodal" else "picture" for role in roles}

    @property
    def _name(self) -> str:
        return "multimodal" if self.experiment == "multimodal" else "unimodal"

    def _network(self) -> Branches:
        return Branches({
            branch: TwoBlocks(
                side=(self.rows, self.columns),
                same=self._name == "multimodal",
                filters=self.filters,
                dense=self.dense,
                forget=1 - self.momentum,
                outputs=1 if self.headline.kind == "binary" else len(self.headline.grades),
            )
            for branch in dict.fromkeys(self._branch_of.values())
        })  # fmt: skip
