"""Names and numbers as people read them: `kong2020_catboost` becomes Kong 2020 catboost; 0.81254 becomes 0.81."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

METRICS: Mapping[str, tuple[str, str]] = {
    "auc": ("AUC", "the chance that a patient with the finding scores above one without; 0.5 is a coin toss"),
    "average_precision": (
        "average precision",
        "mean share of true findings among those called, best first; a coin toss reaches the share of findings",
    ),
    "brier": ("Brier score", "mean squared distance between probability and outcome; lower is better"),
    "sensitivity": ("sensitivity", "share of patients with the finding who are called, at a probability of 0.5"),
    "specificity": ("specificity", "share of patients without the finding who are left alone, at a probability of 0.5"),
    "accuracy": ("accuracy", "share of patients put into the right class"),
    "quadratic_kappa": (
        "quadratic kappa",
        "agreement of grades beyond chance, far misses weighing more; 0 is chance, 1 is agreement",
    ),
    "mae": ("mean absolute error", "mean distance from the truth, in the unit of the target; lower is better"),
    "rmse": ("root mean square error", "as the mean absolute error, large misses weighing more; lower is better"),
    "bias": ("bias", "mean of prediction less truth, in the unit of the target; best at 0"),
    "limits_of_agreement": (
        "limits of agreement",
        "95 % of answers lie within this of the truth plus the bias, in the unit of the target; lower is better",
    ),
    "correlation": ("correlation", "Pearson correlation of prediction and truth"),
    "c_index": ("C-index", "the chance that of two patients the one with the earlier event has the higher risk"),
    "dice": ("Dice overlap", "overlap of two label maps; 1 is the same map"),
}  # fmt: skip
"""Name and plain meaning of each metric."""

ROLES = {"system": "system", "baseline": "baseline", "as_published": "paper's own split"}
ORIGINS = {"paper": "paper", "guess": "ours", "changed": "changed"}
SIZES = {"paper": "published size", "small": "size small", "tiny": "size tiny", "changed": "changed by hand"}

_NOTHING = 1e-6
_NARROW = (0.002, 0.02)
_CAPITALS = {"bmi": "BMI", "bmd": "BMD", "ct": "CT", "dxa": "DXA", "hu": "HU", "mri": "MRI", "ost": "OST", "qct": "QCT"}
_PAPER = re.compile(r"^([a-z]+)(\d{4})_(.+)$")


def system_name(id_: str) -> str:
    """Turn the id of a system into a short name: `Kong 2020 catboost`, or `age sex BMI` for a baseline.

    A variant says what sets it apart: `Kong 2020 catboost (learner svm)`.
    """
    id_, *apart = id_.split(":")
    if apart:
        return f"{system_name(id_)} ({', '.join(_spaced(each.replace('=', ' ')) for each in apart)})"
    if paper := _PAPER.match(id_):
        author, year, rest = paper.groups()
        return f"{author.capitalize()} {year} {_spaced(rest)}"
    return _spaced(id_.removeprefix("baseline_"))


def metric_name(id_: str) -> str:
    """Return what a metric is called in running text."""
    return METRICS[id_][0] if id_ in METRICS else _spaced(id_)


def number(value: float | None, digits: int = 2) -> str:
    """Write a number with a real minus sign; one that could not be computed is an en dash."""
    if value is None:
        return "–"
    return f"{value:.{digits}f}".replace("-", "−")


def share(value: float | None) -> str:
    """Write a share as a percentage: whole, except near its ends, where 0 % and 100 % must stay true."""
    if value is None:
        return "–"
    digits = 0 if value in (0, 1) or 0.01 <= value <= 0.99 else 1
    told = f"{100 * value:.{digits}f}"
    if told == "0.0" and value > 0:
        return "below 0.1\N{NO-BREAK SPACE}%"
    return "above 99.9\N{NO-BREAK SPACE}%" if told == "100.0" and value < 1 else f"{told}\N{NO-BREAK SPACE}%"


def digits_of(figure: Mapping[str, Any], least: int = 2) -> int:
    """Return decimals that suit the width of the interval, and round no end to the 0 that it is not."""
    low, high = figure.get("low"), figure.get("high")
    ends = [abs(each) for each in (figure.get("value"), low, high) if each and abs(each) >= _NOTHING]
    if ends and max(ends) >= 100:
        return max(0, least - 2)
    width = high - low if low is not None and high is not None else 0.0
    fine = least + 1 if _NARROW[0] < width < _NARROW[1] else least
    return next((digits for digits in range(fine, 6) if all(round(end, digits) > 0 for end in ends)), 6)


def digits_for(value: float) -> int:
    """Return decimals that leave three digits of a number of this size: 65.3, 1.02, 0.874."""
    size = abs(value)
    return 0 if size >= 1000 else 1 if size >= 10 else 2 if size >= 1 else 3


def with_interval(figure: Mapping[str, Any] | None, least: int = 2) -> str:
    """Write a figure and its interval: `0.81 (0.74 to 0.87)`."""
    if figure is None or figure.get("value") is None:
        return "not computable"
    digits = digits_of(figure, least)
    value = number(figure["value"], digits)
    between = interval_only(figure, least)
    return f"{value} ({between})" if between else value


def interval_only(figure: Mapping[str, Any] | None, least: int = 2) -> str:
    """Write the interval alone, `0.74 to 0.87`; nothing where there is none."""
    if figure is None or figure.get("low") is None or figure.get("high") is None:
        return ""
    digits = digits_of(figure, least)
    return f"{number(figure['low'], digits)} to {number(figure['high'], digits)}"


def counted(n: int, what: str, plural: str = "") -> str:
    """Write a count with its noun: `1 patient`, `3 patients`."""
    thousands = f"{n:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    return f"{thousands} {what if n == 1 else plural or what + 's'}"


def listed(names: list[str]) -> str:
    """Join names as a sentence does: `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""


def seconds(value: float) -> str:
    """Write a duration: `4.2 s`, `3 min 20 s`, `2 h 05 min`."""
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def capitalised(text: str) -> str:
    """Begin with a capital and leave the rest alone."""
    return text[:1].upper() + text[1:]


def _spaced(id_: str) -> str:
    return " ".join(_CAPITALS.get(word, word) for word in id_.split("_"))
