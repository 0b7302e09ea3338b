"""Knee-like pictures made in memory: the sick have fainter, coarser bone."""

from dataclasses import fields

import numpy as np
from scipy import ndimage

from trabecula.case import Case, Images
from trabecula.image import Image
from trabecula.prediction import Grades, Probability
from trabecula.state import State

ROLE = "knee_xray"


def knees(n=60, *, seed=0, target="osteoporosis_knee_label", grades=2):
    """Return one case a patient, of each grade in turn."""
    rng = np.random.default_rng(seed)
    return [
        Case(
            id=f"case {number}",
            patient=f"patient {number}",
            images=Images({ROLE: film(rng, number % grades / (grades - 1))}),
            truth={target: number % grades},
        )
        for number in range(n)
    ]


def film(rng, loss, *, rows=160, columns=120):
    """Return a film of a shaft with a joint in its middle, whose inside fades with the loss of bone, 0 to 1."""
    y, x = np.mgrid[:rows, :columns]
    half = columns * 0.22 * (1 + 0.25 * np.exp(-(((y - rows / 2) / (rows * 0.12)) ** 2))) * rng.uniform(0.95, 1.05)
    across = np.abs(x - columns / 2 - rng.normal(0, 3))
    texture = ndimage.gaussian_filter(rng.normal(size=(rows, columns)), 1.5)
    inside = (0.62 - 0.32 * loss) * (1 + (0.12 + 0.23 * loss) * texture / texture.std())
    joint = 1 - 0.8 * np.exp(-(((y - rows / 2) / 3) ** 2))
    bone = inside / (1 + np.exp((across - half) / 1.5)) + 0.35 * np.exp(-(((across - half) / 4) ** 2))
    grey = (0.15 + bone * joint) * rng.uniform(0.9, 1.1) + rng.normal(0, 0.02, (rows, columns))
    stored = np.clip(2000 * grey, 0, 4095).astype(np.uint16)
    return Image(voxels=stored[None], unit="stored", space="detector")


def stub(system):
    """Return the same recipe with untrained networks and the mean as its only answer."""
    kind = type(system)

    def _fit(self, cases, run):
        real = kind._fit(self, cases, run)
        shares = np.bincount([case.truth[self.headline.id] for case in cases], minlength=len(self.headline.grades))
        facts = {**real.facts, "mean": (shares / shares.sum()).tolist()}
        return State(facts=facts, networks=self._networks(facts))

    def _predict(self, state, cases):
        mean = state.facts["mean"]
        answer = Probability(mean[1]) if self.headline.kind == "binary" else Grades(tuple(mean))
        return [{self.headline.id: answer} for _ in cases]

    made = type("Stub", (kind,), {"_fit": _fit, "_predict": _predict, "__module__": kind.__module__})
    return made(**{each.name: getattr(system, each.name) for each in fields(system)})
