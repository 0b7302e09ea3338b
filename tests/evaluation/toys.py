"""Systems that need no learning, patients with tables alone, and a cohort of them."""

import json
from dataclasses import dataclass, replace

from tests.contract import cases as contract
from trabecula.card import CohortCard, SystemCard
from trabecula.case import Images
from trabecula.cohort import Cohort
from trabecula.evaluation import evaluate
from trabecula.prediction import Abstain, Probability
from trabecula.protocol import Protocol
from trabecula.state import State
from trabecula.system import System, guess

TARGET = "osteoporosis_dxa"
TWO = Protocol(folds=2, operating_points=False)
CARD = {
    "id": "level", "number": 0, "title": "The age", "authors": ["trabecula"], "year": 2026, "venue": "tests",
    "link": "https://example.org", "section": "classification", "modalities": ["table"], "anatomies": ["any"],
    "families": ["classical"], "task": "Takes age for risk.", "targets": [TARGET], "inputs": {"table": ["age_years"]},
    "fidelity": "faithful", "essence": ["It learns nothing."],
}  # fmt: skip
PUBLISHED = {
    "published": [
        {"metric": "AUC", "value": 0.99, "set": "all", "origin": "read"},
        {"metric": "AUC of memory", "value": 0.98, "set": "all", "origin": "recall"},
        {"metric": "error of the T-score", "value": 0.3, "set": "all", "origin": "read", "target": "t_score_lowest"},
    ],
    "split": {"kind": "kfold", "unit": "image", "folds": 2, "note": "by picture", "origin": "read"},
}


@dataclass(frozen=True, kw_only=True)
class Level(System):
    """Takes age for risk."""

    @classmethod
    def card(cls):
        return SystemCard.model_validate(CARD)

    def _fit(self, cases, run):
        return State()

    def _predict(self, state, cases):
        return [{self.headline.id: Probability(case.number("age_years") / 120)} for case in cases]


@dataclass(frozen=True, kw_only=True)
class Sloped(Level):
    """The same, as steep as it is told to be."""

    slope: float = guess(1.0, "made up")

    def _predict(self, state, cases):
        return [{self.headline.id: Probability(self.slope * case.number("age_years") / 120)} for case in cases]


@dataclass(frozen=True, kw_only=True)
class Told(Level):
    """The same, from a paper that published figures and split by picture."""

    @classmethod
    def card(cls):
        return SystemCard.model_validate({**CARD, **PUBLISHED, "id": "told"})


@dataclass(frozen=True, kw_only=True)
class Shy(Level):
    """The same, but answers nobody older than 70."""

    @classmethod
    def card(cls):
        return SystemCard.model_validate({**CARD, "id": "shy"})

    def _predict(self, state, cases):
        answers = super()._predict(state, cases)
        return [
            {self.headline.id: Abstain("too old")} if case.number("age_years") > 70 else answer
            for case, answer in zip(cases, answers, strict=True)
        ]


@dataclass(frozen=True, kw_only=True)
class Failing(Level):
    """Cannot learn."""

    def _fit(self, cases, run):
        raise ValueError("the book is torn")


def patients(n=60, **how):
    """The toys' patients with their tables alone: their films are too small to be told apart by the check."""
    return [replace(case, images=Images({})) for case in contract.patients(n, **how)]


def cohort(cases, **facts):
    card = {"id": "made", "title": "Made", "source": "memory", "licence": "none", "population": "nobody", "truth": "t",
            "modalities": ["table"], "patients": "known", **facts}  # fmt: skip
    return Cohort(cases=tuple(cases), card=CohortCard.model_validate(card))


def judged(*systems, cases=None, protocol=TWO, **more):
    return evaluate(
        systems, cohort(cases or patients(60)), protocol=protocol, **{"baselines": False, "jobs": 1, **more}
    )


def timeless(report):
    told = json.loads(json.dumps(report.told))
    del told["environment"]["written"]
    for result in told["results"]:
        del result["seconds"]
    return told
