"""Widyaningrum et al. 2023: grey levels of jaw bone in clusters, and how many pixels each cluster has.

The grey levels of a region of a periapical radiograph are clustered without any label; the clusters are sorted from
dark (marrow) to bright (trabeculae), and the share of pixels in each is all that a classifier is told.

The paper's comparison of six pipelines is `--vary classifier=tree,naive_bayes,mlp` with `--set clusterer=k_means` and
again with `fuzzy_c_means`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from trabecula import cache
from trabecula.learn.tabular import labelled, predictions
from trabecula.prediction import Abstain, Answer
from trabecula.state import State
from trabecula.system import Evidence, Run, System, guess, paper
from trabecula.systems.widyaningrum2023_periapical.clusters import (
    centres_of,
    clustered,
    grey_histogram,
    greys,
    inside,
    nearest,
    pooled,
    shares_of,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.case import Case

    Floats = NDArray[np.float64]

_FILM, _REGION = "periapical", "trabecular_region"
_WEKA = "not found; Weka's default"


@dataclass(frozen=True, kw_only=True)
class ClusterShares(System):
    """Shares of pixels in clusters of grey levels, told to a tree, naive Bayes or a small network."""

    clusterer: Literal["k_means", "fuzzy_c_means"] = paper("k_means", "abstract: the better of the two with the MLP")
    classifier: Literal["mlp", "naive_bayes", "tree"] = paper("mlp", "abstract: the best of the three")
    clusters: int = guess(3, "K was not found")
    centres: Literal["image", "training"] = guess(
        "image", "whether each picture is clustered alone, or the training pictures together, was not found"
    )
    box_px: int = guess(100, "side of the middle box that is looked at where no mask is given; not found")
    least_in_leaf: int = guess(2, "not found; C4.5's default")
    learning_rate: float = guess(0.3, _WEKA)
    momentum: float = guess(0.2, _WEKA)
    epochs: int = guess(500, _WEKA)
    batch: int = guess(1, _WEKA + ": weights are moved after every case")

    sizes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {"batch": 4},
        "tiny": {"batch": 8, "epochs": 150},
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 2 <= self.clusters <= 5:
            raise ValueError(f"there are 2 to 5 clusters; got {self.clusters}")

    def _fit(self, cases: Sequence[Case], run: Run) -> State:
        known, grades = labelled(cases, self.headline)
        facts: dict[str, Any] = {}
        if self.centres == "training":
            histograms = [found for case in known if isinstance(found := self._histogram(case), np.ndarray)]
            if histograms:
                facts["centres"] = centres_of(pooled(histograms), self.clusterer, self.clusters).tolist()
        shares, reasons = self._shares(facts, known, run)
        usable = np.array([reason == "" for reason in reasons])
        classes, y = np.unique(grades[usable], return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"{self.id()}: no two classes of regions to learn from; the first: {reasons[0]}")
        x = shares[usable]
        low, high = x.min(axis=0), x.max(axis=0)
        facts |= {
            "classes": classes.tolist(), "low": low.tolist(), "high": high.tolist(),
            "mean_shares": {str(grade): x[y == n].mean(axis=0).tolist() for n, grade in enumerate(classes.tolist())},
        }  # fmt: skip
        return State(facts=facts, estimators={"classifier": self._fitted(_scaled(x, facts), y, run)})

    def _fitted(self, x: Floats, y: NDArray[np.intp], run: Run) -> Any:
        if self.classifier == "tree":
            from sklearn.tree import DecisionTreeClassifier  # noqa: PLC0415 keeps the catalogue light

            tree = DecisionTreeClassifier(
                criterion="entropy", min_samples_leaf=self.least_in_leaf, random_state=run.seed
            )  # fmt: skip
            return tree.fit(x, y)
        if self.classifier == "naive_bayes":
            from sklearn.naive_bayes import GaussianNB  # noqa: PLC0415

            return GaussianNB().fit(x, y)
        from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415
        from sklearn.neural_network import MLPClassifier  # noqa: PLC0415

        network = MLPClassifier(
            (max(2, round((self.clusters + len(self.headline.grades)) / 2)),), activation="logistic", solver="sgd",
            alpha=0.0, learning_rate_init=self.learning_rate, momentum=self.momentum, nesterovs_momentum=False,
            batch_size=min(self.batch, len(x)), max_iter=self.epochs, n_iter_no_change=self.epochs,
            random_state=run.seed,
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # it takes all its epochs, as in Weka
            return network.fit(x, y)

    def _predict(self, state: State, cases: Sequence[Case]) -> list[Answer]:
        shares, reasons = self._shares(state.facts, cases)
        usable = [number for number, reason in enumerate(reasons) if not reason]
        answers: list[Answer] = [{self.headline.id: Abstain(reason or "not measured")} for reason in reasons]
        if usable:
            told = state.estimators["classifier"].predict_proba(_scaled(shares[usable], state.facts))
            found = predictions(self.headline, np.asarray(told), state.facts["classes"])
            for number, answer in zip(usable, found, strict=True):
                answers[number] = {self.headline.id: answer}
        return answers

    def _explain(self, state: State, case: Case, target: str) -> Evidence | None:  # noqa: ARG002 one answer
        """Paint each pixel of the region by its cluster, dark to bright, and tell each cluster's share and centre."""
        centres, shares = self._clustered(state.facts, case)
        if shares is None:
            return None
        image = case.images[_FILM]
        mask = case.masks.get(_REGION)
        region = inside(image, mask, self.box_px)
        heat = np.where(region, (1 + nearest(greys(image), centres)) / self.clusters, 0).astype(np.float32)
        numbers = {
            f"share of cluster {number} (grey {centre:.0f})": float(share)
            for number, (centre, share) in enumerate(zip(centres, shares, strict=True), 1)
        }
        where = "the region given" if mask is not None else f"the middle {self.box_px} x {self.box_px} px"
        return Evidence(
            heat={_FILM: heat}, numbers=numbers,
            method=f"share of the pixels of {where} in each cluster of grey levels, from dark to bright; "
            "the picture shows the clusters",
        )  # fmt: skip

    def _shares(
        self, facts: Mapping[str, Any], cases: Sequence[Case], run: Run | None = None
    ) -> tuple[Floats, list[str]]:
        """Return the shares of each case `[case, cluster]`, and why there are none where there are none."""
        rows, reasons = [], []
        for number, case in enumerate(cases, 1):
            told, shares = self._clustered(facts, case)
            rows.append(np.full(self.clusters, np.nan) if shares is None else shares)
            reasons.append(told if isinstance(told, str) else "")
            if run is not None:
                run.progress(number, len(cases), "clusters of grey levels")
        return np.array(rows).reshape(len(cases), self.clusters), reasons

    def _clustered(self, facts: Mapping[str, Any], case: Case) -> tuple[Any, Floats | None]:
        """Return centres and shares of the clusters of one case; the reason and nothing where it has none."""
        counts = self._histogram(case)
        if isinstance(counts, str):
            return counts, None
        if "centres" in facts:
            centres = np.array(facts["centres"])
            return centres, shares_of(counts, centres)
        try:
            centres = cache.remember(
                clustered, *self._sources(case),
                settings={"box_px": self.box_px, "method": self.clusterer, "clusters": self.clusters},
                package="trabecula.measure",
            )  # fmt: skip
        except ValueError as error:
            return f"the grey levels of the region make no {self.clusters} clusters: {error}", None
        return np.asarray(centres), shares_of(counts, centres)

    def _histogram(self, case: Case) -> NDArray[np.int64] | str:
        """Return how many pixels have each grey level, or why nothing can be counted."""
        try:
            return np.asarray(cache.remember(grey_histogram, *self._sources(case), settings={"box_px": self.box_px}))
        except ValueError as error:
            return str(error)

    def _sources(self, case: Case) -> list[Any]:
        masks = [case.masks.source(_REGION)] if _REGION in case.masks else []
        return [case.images.source(_FILM), *masks]


def _scaled(shares: Floats, facts: Mapping[str, Any]) -> Floats:
    """Bring each share to -1 to 1 between the lowest and the highest in training, as Weka's network does."""
    low, high = np.array(facts["low"]), np.array(facts["high"])
    return np.asarray(2 * (shares - low) / np.where(high > low, high - low, 1.0) - 1)
