"""Plots of a report: JSON in, SVG text out, the same bytes for the same JSON.

Colours are those of Okabe and Ito (2008), told apart by every common kind of colour vision, and each is a CSS variable
in the SVG, so that one drawing serves light, dark and print. Text stays text: it can be found, read aloud and copied.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from itertools import cycle
from typing import TYPE_CHECKING, Any

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from trabecula.report.words import interval_only, metric_name, number, system_name, with_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_INK, _FAINT, _GRID, _PAPER = "#1b1e23", "#767c86", "#d9dce1", "#fefefe"
_VARIABLES = {
    **{colour: f"var(--s{place}, {colour})" for place, colour in enumerate(SERIES, 1)},
    _INK: f"var(--ink, {_INK})", _FAINT: f"var(--faint, {_FAINT})",
    _GRID: f"var(--grid, {_GRID})", _PAPER: f"var(--paper, {_PAPER})",
}  # fmt: skip
_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.4)), (0, (7, 2, 1.5, 2)))
_STYLE: Any = {
    "svg.fonttype": "none", "svg.hashsalt": "trabecula", "text.parse_math": False, "font.size": 11.5,
    "text.color": _INK, "axes.edgecolor": _FAINT, "axes.labelcolor": _INK, "xtick.color": _INK, "ytick.color": _INK,
    "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.8, "legend.frameon": False,
    "xtick.major.width": 0.8, "ytick.major.width": 0.8,
}  # fmt: skip
_POINT = 72.0
_SAME = 0.02
_CLEAR = {"facecolor": _PAPER, "edgecolor": "none", "pad": 1.5}

Result = Mapping[str, Any]


def looks(results: Sequence[Result]) -> dict[str, tuple[str, Any]]:
    """Give each result of a ranking a colour and a dash, by system: baselines are grey, and so is a 25th system."""
    systems = iter([(colour, dash) for dash in _DASHES for colour in SERIES])
    greys = cycle((_FAINT, dash) for dash in _DASHES[1:])
    found: dict[str, tuple[str, Any]] = {}
    for each in results:
        if each["system"] not in found:
            found[each["system"]] = next(greys) if each["role"] == "baseline" else next(systems, (_FAINT, "-"))
    return found


def forest(results: Sequence[Result], *, narrow: bool = False) -> str:
    """Draw the headline figure of each result with its interval, and a line at the best baseline.

    `narrow` puts names above the intervals, for a telephone. Results under a paper's own split stand apart, below.
    """
    metric = results[0]["headline_metric"]
    lines = _lines(results)
    step, width = (40, 360) if narrow else (28, 724)
    height = step * (lines[-1][1] + 1) + 58
    with _drawing(width, height) as figure:
        left, right = (10, width - 10) if narrow else (250, width - 132)
        ax = _axes(figure, (left, 40, right, height - 16))
        ax.set_ylim(lines[-1][1] + 0.75, -0.75)
        known = looks(results)
        for result, y in lines:
            _interval(ax, result, y + (0.16 if narrow else 0), known[result["system"]][0])
            _row_labels(ax, result, y, narrow=narrow)
        if apart := [y for result, y in lines if result["role"] == "as_published"]:
            words, place, side = "under the papers’ own splits:", ax.get_yaxis_transform(), 0.0 if narrow else -0.03
            ax.text(side, apart[0] - 0.85, words, transform=place, ha="left" if narrow else "right", fontstyle="italic",
                    va="center", color=_FAINT)  # fmt: skip
        _reference_lines(ax, results)
        ax.xaxis.set_major_locator(MaxNLocator(4 if narrow else 7, steps=[1, 2, 5, 10]))
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)
        ax.set_xlabel(f"{metric_name(metric)}, 95 % interval")
        told = "; ".join(f"{_label(r)} {with_interval(r['metrics'].get(metric))}" for r, _ in lines)
        return _svg(figure, f"forest-{'narrow' if narrow else 'wide'}-{results[0]['target']}",
                    f"{metric_name(metric)} of each system and baseline", told)  # fmt: skip


def roc(results: Sequence[Result]) -> str:
    """Draw the ROC curves of all results that have one; baselines thin and grey. Nothing where none has one."""
    drawn = [each for each in results if each["curves"].get("roc")]
    if not drawn:
        return ""
    with _drawing(440, 440) as figure:
        ax = _axes(figure, (52, 48, 430, 430))
        ax.plot([0, 1], [0, 1], color=_GRID, linewidth=1)
        known = looks(results)
        for place, result in enumerate(drawn):
            (colour, dash), curve = known[result["system"]], result["curves"]["roc"]
            width, height = 1.2 if result["role"] == "baseline" else 2.0, 3 - place / 100
            ax.plot(curve["false_positive_rate"], curve["true_positive_rate"], color=colour, linestyle=dash,
                    linewidth=width, zorder=height, label=_key(result))  # fmt: skip
        ax.legend(loc="lower right", fontsize=9, handlelength=2.4, labelspacing=0.35)
        ax.set(xlim=(-0.01, 1), ylim=(0, 1.01), aspect="equal")
        ax.set_xlabel("1 − specificity (false alarms)")
        ax.set_ylabel("sensitivity (found)")
        return _svg(figure, f"roc-{drawn[0]['target']}", "ROC curves, averaged over folds",
                    "; ".join(_key(each) for each in drawn))  # fmt: skip


def learning(results: Sequence[Result], metric: str = "") -> str:
    """Draw a metric, by itself the headline's, against the number of labels learned from, a line a system.

    Nothing where there is no such number, or nothing has the metric.
    """
    metric = metric or next((each["headline_metric"] for each in results), "")
    lines: dict[str, list[Result]] = {}
    for each in sorted(results, key=lambda each: each["labels"]["patients"] or 0):
        if each["labels"]["asked"] and (each["metrics"].get(metric) or {}).get("value") is not None:
            lines.setdefault(each["system"].removesuffix(f":{each['labels']['asked']}"), []).append(each)
    if not lines:
        return ""
    firsts = [line[0] for line in lines.values()]
    colours = list(looks(firsts).values())
    with _drawing(620, 360) as figure:
        ax = _axes(figure, (58, 48, 610, 350))
        for place, ((name, line), (colour, dash)) in enumerate(zip(lines.items(), colours, strict=True)):
            shift = 1 + 0.012 * (place - len(lines) / 2)
            x = [each["labels"]["patients"] * shift for each in line]
            found = [each["metrics"][metric] for each in line]
            y = [each["value"] for each in found]
            spread = [[each["value"] - each["low"] for each in found], [each["high"] - each["value"] for each in found]]
            ax.errorbar(x, y, yerr=spread, color=colour, linestyle=dash, marker="o", markersize=4, elinewidth=0.8,
                        linewidth=1.2 if line[0]["role"] == "baseline" else 2.0, label=system_name(name))  # fmt: skip
        ax.set_xscale("log")
        ticks = sorted({round(each["labels"]["patients"]) for line in lines.values() for each in line})
        ax.set_xticks(ticks, labels=[str(tick) for tick in ticks])
        ax.minorticks_off()
        ax.grid(axis="y", color=_GRID, linewidth=0.7)
        ax.set_xlabel("patients whose labels were learned from")
        ax.set_ylabel(metric_name(metric))
        ax.legend(fontsize=9, handlelength=2.4, labelspacing=0.35)
        told = "; ".join(
            f"{system_name(name)}, {each['labels']['patients']:.0f} labels: {number(each['metrics'][metric]['value'])}"
            for name, line in lines.items()
            for each in line
        )
        return _svg(figure, f"learning-{metric}-{firsts[0]['target']}", f"{metric_name(metric)} by labels", told)


def calibration(result: Result, look: tuple[str, Any] | None = None) -> str:
    """Draw predicted against observed shares of one result, with Wilson intervals.

    Nothing without such a curve, or where everybody is told nearly the same.
    """
    bins = result["curves"].get("calibration")
    if not bins or max(each["predicted"] for each in bins) - min(each["predicted"] for each in bins) < _SAME:
        return ""
    colour = look[0] if look else _FAINT
    with _drawing(230, 230) as figure:
        ax = _axes(figure, (46, 44, 222, 222))
        ax.plot([0, 1], [0, 1], color=_GRID, linewidth=1)
        x, y = ([each[key] for each in bins] for key in ("predicted", "observed"))
        down, up = ([abs(each[key] - each["observed"]) for each in bins] for key in ("low", "high"))
        ax.errorbar(x, y, yerr=[down, up], color=colour, fmt="-o", markersize=4, linewidth=1.4, elinewidth=0.9)
        ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal", xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
        ax.set_xlabel("predicted")
        ax.set_ylabel("observed")
        told = "; ".join(f"predicted {number(a)}, observed {number(b)}" for a, b in zip(x, y, strict=True))
        return _svg(figure, f"calibration-{result['target']}-{result['system']}", f"Calibration of {_label(result)}",
                    told)  # fmt: skip


def _lines(results: Sequence[Result]) -> list[tuple[Result, float]]:
    """Give each result its height; a line is left for the words above those under a paper's own split."""
    honest = [each for each in results if each["role"] != "as_published"]
    apart = [each for each in results if each["role"] == "as_published"]
    return [(each, float(i)) for i, each in enumerate(honest)] + [
        (each, i + 1.0) for i, each in enumerate(apart, len(honest))
    ]


def _interval(ax: Axes, result: Result, y: float, colour: str) -> None:
    figure = result["metrics"].get(result["headline_metric"]) or {}
    if figure.get("value") is None:
        return
    if interval_only(figure):
        thickness = 2.4 if result["role"] == "system" else 1.3
        ax.plot([figure["low"], figure["high"]], [y, y], color=colour, linewidth=thickness, solid_capstyle="round")
    marker, size = {"system": ("o", 8.0), "baseline": ("s", 6.0), "as_published": ("D", 6.5)}[result["role"]]
    face = colour if result["role"] == "system" else _PAPER
    ax.plot([figure["value"]], [y], marker, markersize=size, color=colour, markerfacecolor=face, markeredgewidth=1.4)


def _row_labels(ax: Axes, result: Result, y: float, *, narrow: bool) -> None:
    told = with_interval(result["metrics"].get(result["headline_metric"]))
    weight = "bold" if result["role"] == "system" else "normal"
    place = ax.get_yaxis_transform()
    if narrow:
        style: Any = {"transform": place, "va": "center", "fontsize": 10.5, "bbox": _CLEAR}
        ax.text(0, y - 0.18, _label(result, 28), fontweight=weight, **style)
        ax.text(1, y - 0.18, told, ha="right", **style)
        return
    ax.text(-0.03, y, _label(result), transform=place, va="center", ha="right", fontweight=weight)
    ax.text(1.03, y, told, transform=place, va="center", ha="left")


def _reference_lines(ax: Axes, results: Sequence[Result]) -> None:
    """Mark the best baseline and, for an AUC, chance."""
    metric = results[0]["headline_metric"]
    best = next((each for each in results if each["role"] == "baseline" and _value(each) is not None), None)
    if best is not None:
        ax.axvline(_value(best), color=_INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)  # type: ignore[arg-type]
    if metric in ("auc", "c_index"):
        ax.axvline(0.5, color=_GRID, linewidth=1.2, zorder=-1)


def _key(result: Result) -> str:
    return f"{_label(result, 30)} {number(_value(result))}"


def _label(result: Result, longest: int = 31) -> str:
    """Name a result so that it fits, without signs that the font of matplotlib cannot measure."""
    name = re.sub(r"[^ -~À-ſ]", "?", system_name(result["system"]))
    return name if len(name) <= longest else f"{name[: longest - 1].rstrip()}…"


def _value(result: Result) -> float | None:
    found: float | None = (result["metrics"].get(result["headline_metric"]) or {}).get("value")
    return found


@contextmanager
def _drawing(width: float, height: float) -> Iterator[Figure]:
    """Give a figure of so many CSS pixels in our style, without touching the state of pyplot."""
    with rc_context(_STYLE):
        yield Figure(figsize=(width / _POINT, height / _POINT), dpi=_POINT)


def _axes(figure: Figure, box: tuple[float, float, float, float]) -> Axes:
    """Place axes by left, bottom, right and top in pixels."""
    width, height = (size * _POINT for size in figure.get_size_inches())
    left, bottom, right, top = box
    return figure.add_axes((left / width, bottom / height, (right - left) / width, (top - bottom) / height))


def _svg(figure: Figure, name: str, title: str, description: str) -> str:
    """Write a figure as SVG that can stand in an HTML page: own ids, CSS colours, a title and a description."""
    written = io.StringIO()
    figure.savefig(written, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = written.getvalue()
    body = text[text.index(">", text.index("<svg")) + 1 :]
    size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text)
    width, height = size.groups() if size else ("0", "0")
    for pattern, replacement in _CLEANING:
        body = re.sub(pattern, replacement, body, flags=re.DOTALL)
    key = re.sub(r"[^a-z0-9]+", "-", name.lower())
    used = set(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", body))
    body = re.sub(r' id="([^"]+)"', lambda m: f' id="{key}-{m[1]}"' if m[1] in used else "", body)
    body = re.sub(r"(url\(#|href=\"#)", rf"\g<1>{key}-", body)
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, variable)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="plot" role="img" viewBox="0 0 {width} {height}" '
        f'style="max-width: {width}px" aria-label="{escape(title)}"><title>{escape(title)}</title>'
        f"<desc>{escape(description)}</desc>{body.strip()}"
    )


_CLEANING: tuple[tuple[str, str], ...] = (
    (r"<!--.*?-->", ""),
    (r"<metadata>.*?</metadata>", ""),
    (r"<defs>\s*<style.*?</style>\s*</defs>", ""),
    (r"font-family: [^;\"]*; ", ""),
    (r' transform="rotate\(-0 [^"]*\)"', ""),
    (r"<g[^>]*/>", ""),
    (r"xlink:href", "href"),
    (r">\s+<", "><"),
    (r"\n\s*", " "),
)
