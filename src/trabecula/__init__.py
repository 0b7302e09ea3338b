"""Every published AI system for osteoporosis imaging: runnable, comparable under one honest protocol, deployable.

The public names are those of `__all__`; each is imported when it is first asked for, so that `import trabecula` is
light and the catalogue, the check of a cohort and classical systems never load torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trabecula.card import CohortCard, SystemCard
    from trabecula.case import Case
    from trabecula.cohort import Cohort, open_cohort
    from trabecula.evaluation import evaluate
    from trabecula.explanation import explain
    from trabecula.findings import check
    from trabecula.image import Image
    from trabecula.prediction import Abstain, Grades, LabelMap, Prediction, Probability, Survival, Value
    from trabecula.protocol import Protocol
    from trabecula.report.files import Report
    from trabecula.system import Model, System, get_system
    from trabecula.target import Target

_HOMES = {
    "Abstain": "prediction",
    "Case": "case",
    "Cohort": "cohort",
    "CohortCard": "card",
    "Grades": "prediction",
    "Image": "image",
    "LabelMap": "prediction",
    "Model": "system",
    "Prediction": "prediction",
    "Probability": "prediction",
    "Protocol": "protocol",
    "Report": "report.files",
    "Survival": "prediction",
    "System": "system",
    "SystemCard": "card",
    "Target": "target",
    "Value": "prediction",
    "check": "findings",
    "evaluate": "evaluation",
    "explain": "explanation",
    "get_system": "system",
    "open_cohort": "cohort",
}

__all__ = [
    "Abstain",
    "Case",
    "Cohort",
    "CohortCard",
    "Grades",
    "Image",
    "LabelMap",
    "Model",
    "Prediction",
    "Probability",
    "Protocol",
    "Report",
    "Survival",
    "System",
    "SystemCard",
    "Target",
    "Value",
    "check",
    "evaluate",
    "explain",
    "get_system",
    "open_cohort",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"trabecula has no {name!r}; its public names are {', '.join(__all__)}")
    return getattr(import_module(f"trabecula.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
