"""The report as one HTML page that needs nothing else: no server, no network, no font, no script from outside.

Everything shown comes from the dictionary of `report.json`. `sentences` says what the numbers mean, `plots` draws them,
and `page.html` puts both in order.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from trabecula.metrics import LOWER_IS_BETTER
from trabecula.report import plots, sentences, words
from trabecula.report.sentences import Said
from trabecula.report.tripod import checklist

_HERE = Path(__file__).parent
_PUBLISHED_NAMES = {
    "auc": "auc", "auroc": "auc", "roc auc": "auc", "auprc": "average_precision", "brier score": "brier",
    "accuracy": "accuracy", "sensitivity": "sensitivity", "recall": "sensitivity", "specificity": "specificity",
    "mae": "mae", "rmse": "rmse", "r": "correlation", "correlation": "correlation", "c-index": "c_index",
    "quadratic kappa": "quadratic_kappa", "dice": "dice",
}  # fmt: skip
_SHOWN_FINDINGS = (
    "cases",
    "readable",
    "unreadable",
    "duplicates",
    "conflicts",
    "shortcut",
    "problems",
    "remarks",
    "must_resolve",
)

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Pair:
    """A paired difference of two results; `place` holds low, value, high and zero in percent of a strip."""

    ours: str
    rival: str
    role: str
    said: Said
    standing: str
    patients: int
    difference: Json
    place: tuple[float, float, float, float] | None


@dataclass(frozen=True)
class Board:
    """Everything about one target: who ranks where, how it looks, and how pairs differ."""

    target: str
    title: str
    metric: str
    metrics: tuple[str, ...]
    honest: Sequence[Json]
    apart: Sequence[tuple[Json, Said]]
    replaced: Said | None
    colours: Mapping[str, str]
    figures: Mapping[str, Markup]
    calibrations: Sequence[tuple[str, Markup]]
    pairs: Sequence[Pair]
    silent: Sequence[Json]
    by_part: Sequence[Json]


@dataclass(frozen=True)
class Beside:
    """One published figure and what was measured of the same name."""

    published: Json
    measured: Json | None
    own_split: Json | None


def page(told: Mapping[str, Any]) -> str:
    """Return the report as one self-contained HTML page; the same report gives the same bytes.

    Raises `jinja2.UndefinedError` naming the key when `told` lacks a part of `report.json`.
    """
    target = sentences.headline_target(told)
    targets = sorted(dict.fromkeys(each["target"] for each in told["results"]), key=lambda each: each != target)
    ranked = [each for board in targets for each in sentences.results_of(told, board)]
    systems, baselines = _first(ranked, "system"), _first(ranked, "baseline")
    items = checklist(told)
    template = environment().get_template("page.html")
    html = template.render(
        told=told,
        verdict=sentences.verdict(told, target),
        belief=sentences.belief(told, target),
        boards=[_board(told, each) for each in targets],
        systems=list(systems.values()),
        baselines=list(baselines.values()),
        beside={name: rows for name in systems if (rows := _beside(told, name))},
        other_findings={k: v for k, v in told["cohort"]["findings"].items() if k not in _SHOWN_FINDINGS},
        metrics_used=list(dict.fromkeys(m for each in told["results"] for m in each["metrics"] if m in words.METRICS)),
        tripod=items,
        statuses=Counter(item.status for item in items),
        css=inline("page.css"),
        script=inline("sort.js"),
    )
    return f"{html.strip()}\n"


def _first(ranked: Sequence[Json], role: str) -> dict[str, Json]:
    """Return the best-placed result of each system of a role, by its id."""
    found: dict[str, Json] = {}
    for each in ranked:
        if each["role"] == role:
            found.setdefault(each["system"], each)
    return found


def _board(told: Json, target: str) -> Board:
    honest = sentences.results_of(told, target, "system", "baseline")
    apart = sentences.results_of(told, target, "as_published")
    both = [*honest, *apart]
    by_name = {each["system"]: each for each in honest}
    looks = plots.looks(both)
    colours = {name: f"s{plots.SERIES.index(hue) + 1}" for name, (hue, _) in looks.items() if hue in plots.SERIES}
    drawn = {"wide": plots.forest(both), "narrow": plots.forest(both, narrow=True), "roc": plots.roc(honest)}
    drawn["learning"] = plots.learning(honest)
    if honest and "quadratic_kappa" in honest[0]["metrics"]:  # papers on several grades state accuracies
        drawn["learning_accuracy"] = plots.learning(honest, "accuracy")
    panels = ((each, plots.calibration(each, looks[each["system"]])) for each in honest)
    return Board(
        target=target,
        title=both[0]["target_title"],
        metric=both[0]["headline_metric"],
        metrics=tuple(dict.fromkeys(name for each in both for name in each["metrics"])),
        honest=honest,
        apart=[(each, sentences.leakage(each, by_name.get(each["system"]))) for each in apart],
        replaced=sentences.replaced([each for each in honest if each["role"] == "system"]),
        colours=colours,
        figures={name: Markup(svg) for name, svg in drawn.items() if svg},  # noqa: S704 drawn here
        calibrations=[(each["system"], Markup(svg)) for each, svg in panels if svg],  # noqa: S704 drawn here
        pairs=_pairs(told, honest),
        silent=[each for each in both if each["abstained"]["patients"]],
        by_part=[each for each in honest if each["metrics_by_part"]],
    )


def _pairs(told: Json, honest: Sequence[Json]) -> list[Pair]:
    """Return each system against every baseline and against each system ranked below it."""
    rank = {each["system"]: place for place, each in enumerate(honest)}
    found = [
        (each["system"], difference)
        for each in honest
        if each["role"] == "system"
        for difference in sorted(each["differences"], key=lambda d: rank[d["against"]])
        if difference["role"] == "baseline" or rank[each["system"]] < rank[difference["against"]]
    ]
    ends = [0.0, *(d[end] for _, d in found for end in ("low", "high") if d[end] is not None)]
    return [
        Pair(
            ours=name,
            rival=difference["against"],
            role=difference["role"],
            said=sentences.comparison(name, difference, sentences.unit(told, difference["patients"])),
            standing=sentences.standing(difference),
            patients=difference["patients"],
            difference=difference,
            place=_place(difference, min(ends), max(ends)),
        )
        for name, difference in found
    ]


def _place(difference: Json, left: float, right: float) -> tuple[float, float, float, float] | None:
    """Return where low, value, high and zero lie on a strip from `left` to `right`, in percent."""
    points = [*(difference[key] for key in ("low", "value", "high")), 0.0]
    if None in points or left == right:
        return None
    low, value, high, zero = (round(4 + 92 * (point - left) / (right - left), 2) for point in points)
    return low, value, high, zero


def _beside(told: Json, system: str) -> list[Beside]:
    """Return each published figure of a system beside the measured one of exactly the same name."""
    rows = []
    for result in told["results"]:
        if result["system"] != system or result["role"] != "system":
            continue
        own = next(
            (e for e in sentences.results_of(told, result["target"], "as_published") if e["system"] == system), None
        )
        for published in result["published"]:
            name = _PUBLISHED_NAMES.get(published["metric"].lower(), "")
            own_split = own["metrics"].get(name) if own else None
            rows.append(Beside(published, result["metrics"].get(name), own_split))
    return rows


def environment() -> Environment:
    """Return the templates with the words of this package as their filters."""
    made = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters |= {
        "name": words.system_name, "metric": words.metric_name, "number": words.number, "share": words.share,
        "counted": words.counted, "interval": words.with_interval, "between": words.interval_only,
        "duration": words.seconds, "json": _json, "listed": words.listed, "begin": words.capitalised,
        "digits": words.digits_of, "fine": words.digits_for,
    }  # fmt: skip
    made.globals |= {
        "METRICS": words.METRICS, "ORIGINS": words.ORIGINS, "ROLES": words.ROLES, "SIZES": words.SIZES,
        "LOWER": LOWER_IS_BETTER, "not_detected": sentences.not_detected, "unit": sentences.unit,
    }  # fmt: skip
    return made


def _json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def inline(name: str) -> Markup:
    """Return a file of this folder as it is, for a page that stands alone."""
    return Markup((_HERE / name).read_text(encoding="utf-8"))  # noqa: S704 ours
