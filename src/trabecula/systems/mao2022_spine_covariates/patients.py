"""Patients as batches: their views as channels of one picture, and their covariates as three numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.case import Case
    from trabecula.learn.examples import Change
    from trabecula.learn.prepare import Pictures

COVARIATES = ("age_years", "sex", "bmi_kg_m2")
_SCALED = ("age_years", "bmi_kg_m2")

Scaling = Mapping[str, Sequence[float]]


@dataclass(frozen=True, eq=False)
class Patients:
    """What is known of patients, one at a time: memory does not grow with the cohort."""

    views: Sequence[Pictures]
    """By view, the films of all patients."""
    covariates: NDArray[np.float32] | None
    """`[n, 3]` of all patients, or nothing where they are not looked at."""

    def given(self, indices: Sequence[int], change: Change | None, generator: torch.Generator) -> list[torch.Tensor]:
        """Return films `[n, views, h, w]` of 0 to 1, both views of a patient changed alike, and covariates `[n, 3]`."""
        stacked = np.stack([[view[index] for view in self.views] for index in indices])
        films = torch.from_numpy(stacked) / 255
        if change is not None:
            films = change(films, generator)
        return [films] if self.covariates is None else [films, torch.from_numpy(self.covariates[indices])]


@dataclass(frozen=True, eq=False)
class Part:
    """The patients of one side of a split, as batches for training or validation."""

    patients: Patients
    indices: Sequence[int]
    grades: Sequence[int]
    """Grade of each patient of this part."""
    augment: Change | None = None

    def __len__(self) -> int:
        return len(self.indices)

    def batch(self, chosen: Sequence[int], generator: torch.Generator) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Return what the network is given, and the grades `[n]`."""
        given = self.patients.given([self.indices[each] for each in chosen], self.augment, generator)
        return given, torch.tensor([self.grades[each] for each in chosen])

    @property
    def digest(self) -> str:
        """Name the content: films, covariates, grades and order."""
        sha = hashlib.sha256(repr((list(self.grades), self.augment)).encode())
        if self.patients.covariates is not None:
            sha.update(self.patients.covariates[self.indices].tobytes())
        for view in self.patients.views:
            for index in self.indices:
                sha.update(view.digest(index).encode())
        return sha.hexdigest()


def learned_scaling(cases: Sequence[Case]) -> dict[str, tuple[float, float]]:
    """Return mean and SD of age and BMI."""
    numbers = {name: [case.number(name) for case in cases] for name in _SCALED}
    return {name: (float(np.mean(each)), float(np.std(each)) or 1.0) for name, each in numbers.items()}


def scaled(cases: Sequence[Case], scaling: Scaling) -> NDArray[np.float32]:
    """Return covariates `[n, 3]`: age and BMI less mean over SD, and 1 for a man, 0 for a woman."""
    return np.array([[_one(case, name, scaling) for name in COVARIATES] for case in cases], dtype=np.float32)


def _one(case: Case, name: str, scaling: Scaling) -> Any:
    if name == "sex":
        return case.table[name] == "male"
    mean, deviation = scaling[name]
    return (case.number(name) - mean) / deviation
