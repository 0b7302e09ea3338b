"""The nomogram: a logistic model as axes of points that a clinician reads with a ruler, drawn as SVG."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_RISKS = (0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99)
_INK, _MARK, _FAINT = "#1a1a1a", "#b3261e", "#d9d9d9"
_TICK = 0.10  # of the distance of two lines


@dataclass(frozen=True, kw_only=True)
class Scale:
    """One variable of the nomogram: its weight in log-odds a unit, over the range that was learned from."""

    name: str
    title: str
    weight: float
    low: float
    high: float

    @property
    def start(self) -> float:
        """The end of the range with the lowest risk, which has no points."""
        return self.low if self.weight >= 0 else self.high

    @property
    def reach(self) -> float:
        """How far the log-odds move over the range."""
        return abs(self.weight) * (self.high - self.low)


@dataclass(frozen=True, kw_only=True)
class Nomogram:
    """A logistic model of one event as points: 100 for the whole range of the variable that moves the risk most."""

    event: str
    constant: float
    scales: tuple[Scale, ...]

    @cached_property
    def odds_a_point(self) -> float:
        """Log-odds that one point is worth."""
        return max(each.reach for each in self.scales) / 100 or 1.0

    @property
    def most(self) -> float:
        """Total points at the far end of every range."""
        return sum(each.reach for each in self.scales) / self.odds_a_point

    def points(self, values: Mapping[str, float]) -> dict[str, float]:
        """Return the points of each variable; below 0 or above its axis where a value lies outside of the range."""
        return {each.name: self.points_of(each, values[each.name]) for each in self.scales}

    def points_of(self, scale: Scale, value: float) -> float:
        """Return the points of one variable."""
        return scale.weight * (value - scale.start) / self.odds_a_point

    def probability(self, total: float) -> float:
        """Return the probability of the event at a total of points."""
        return float(0.5 * (1 + np.tanh(0.5 * (self._start + total * self.odds_a_point))))

    def total(self, probability: float) -> float:
        """Return the points at which the event has this probability."""
        return float((np.log(probability / (1 - probability)) - self._start) / self.odds_a_point)

    @property
    def _start(self) -> float:
        return self.constant + sum(each.weight * each.start for each in self.scales)


def svg(nomogram: Nomogram, *, values: Mapping[str, float] | None = None) -> str:
    """Draw the nomogram as SVG: points, one axis a variable, total points, probability.

    With the `values` of a patient, red marks on the axes, the sum and the probability are that patient's.
    """
    import matplotlib as mpl  # noqa: PLC0415 only who draws needs it
    from matplotlib.figure import Figure  # noqa: PLC0415

    lines = len(nomogram.scales) + 3
    with mpl.rc_context({"svg.hashsalt": "nomogram", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure = Figure(figsize=(9.6, 0.86 * lines + 0.9), layout="constrained")
        plot: Any = figure.add_subplot()
        plot.set(xlim=(-3, 103), ylim=(-lines + 0.35, 0.75))
        plot.axis("off")
        _ruler(plot, 0, "Points", [(n, f"{n:g}") for n in range(0, 101, 10)], small=range(0, 101, 5))
        for row, each in enumerate(nomogram.scales, 1):
            _variable(plot, -row, nomogram, each)
        _sums(plot, nomogram, -len(nomogram.scales) - 1)
        if values is not None:
            _patient(plot, nomogram, values)
        figure.text(0.995, 0.005, "Not a medical device. A finding prompts DXA.", ha="right", va="bottom", fontsize=7.5)
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", metadata={"Date": None, "Title": f"Nomogram: {nomogram.event}"})
    return drawn.getvalue()


def _variable(plot: Axes, height: float, nomogram: Nomogram, each: Scale) -> None:
    ticks = [(nomogram.points_of(each, value), f"{value:g}") for value in nice(each.low, each.high)]
    span = [nomogram.points_of(each, value) for value in (each.low, each.high)]
    for x in span:
        plot.plot([x, x], [height, 0], color=_FAINT, linewidth=0.6, zorder=0)
    _ruler(plot, height, each.title, _apart(sorted(ticks)), ends=(min(span), max(span)))


def _sums(plot: Axes, nomogram: Nomogram, height: float) -> None:
    """Draw total points and the probability below them, both over the whole width."""
    most = nomogram.most or 1.0
    totals = [(100 * each / most, f"{each:g}") for each in nice(0, most, count=10)]
    _ruler(plot, height, "Total points", totals, ends=(0, 100))
    inside = [(100 * nomogram.total(risk) / most, f"{risk:g}") for risk in _RISKS]
    inside = _apart([(x, told) for x, told in inside if -1e-9 <= x <= 100 + 1e-9])
    low, high = (nomogram.probability(total) for total in (0, most))
    title = f"Probability of\n{nomogram.event}"
    _ruler(plot, height - 1, title, inside, ends=(0, 100))
    if not inside:
        for x, risk in ((0, low), (100, high)):
            plot.text(x, height - 1 + 0.16, f"{risk:.2g}", ha="center", va="bottom", fontsize=8.5)


def _ruler(
    plot: Axes,
    height: float,
    title: str,
    ticks: Sequence[tuple[float, str]],
    *,
    small: Sequence[float] = (),
    ends: tuple[float, float] | None = None,
) -> None:
    places = [x for x, _ in ticks]
    low, high = ends or ((min(places), max(places)) if places else (0, 100))
    plot.plot([low, high], [height, height], color=_INK, linewidth=1.1, solid_capstyle="butt")
    for x in small:
        plot.plot([x, x], [height, height + _TICK / 2], color=_INK, linewidth=0.7)
    for x, told in ticks:
        plot.plot([x, x], [height, height + _TICK], color=_INK, linewidth=0.9)
        plot.text(x, height + _TICK + 0.04, told, ha="center", va="bottom", fontsize=8.5, color=_INK)
    plot.annotate(title, (-5, height), ha="right", va="center", fontsize=9.5, color=_INK, annotation_clip=False)


def _patient(plot: Axes, nomogram: Nomogram, values: Mapping[str, float]) -> None:
    points = nomogram.points(values)
    total = sum(points.values())
    marks = [
        (min(max(points[each.name], 0), 100), -row, f"{points[each.name]:.0f} points")
        for row, each in enumerate(nomogram.scales, 1)
    ]
    row, most = len(nomogram.scales) + 1, nomogram.most or 1.0
    along = min(max(100 * total / most, 0), 100)
    marks += [(along, -row, f"{total:.0f}"), (along, -row - 1, f"{nomogram.probability(total):.2f}")]
    for x, height, told in marks:
        plot.plot([x], [height], marker="o", markersize=6.5, color=_MARK, zorder=3)
        plot.text(x, height - 0.14, told, ha="center", va="top", fontsize=8.5, color=_MARK, fontweight="bold")
    plot.plot([along, along], [-row, -row - 1], color=_MARK, linewidth=0.9, linestyle=(0, (3, 3)), zorder=2)


def nice(low: float, high: float, *, count: int = 6) -> list[float]:
    """Return some `count` round numbers between two ends, ends included where they are round."""
    if not high > low:
        return [low]
    rough = (high - low) / count
    scale = 10.0 ** int(np.floor(np.log10(rough)))
    step = scale * next(each for each in (1, 2, 5, 10) if each * scale >= rough * (1 - 1e-9))
    first, last = int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9))
    return [round(n * step, 10) for n in range(first, last + 1)]


def _apart(ticks: Sequence[tuple[float, str]], least: float = 4.0) -> list[tuple[float, str]]:
    """Leave out ticks whose words would lie on each other."""
    kept: list[tuple[float, str]] = []
    for x, told in ticks:
        if not kept or x - kept[-1][0] >= least:
            kept.append((x, told))
    return kept
