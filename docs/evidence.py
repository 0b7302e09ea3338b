"""Draw what one answer of each measured system rests on: `docs/systems/<id>.png`, for the pages of the systems.

`python docs/evidence.py [ID...]` fits each system as `trabecula prove` did and explains the answer to a patient with
osteoporosis whom it did not learn from: heat over the image, or the share of each number.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from system_pages import PLACE, RESULTS, measured

from trabecula.cohort import open_cohort
from trabecula.explanation import explain, overlay
from trabecula.proof import on_phantoms

if TYPE_CHECKING:
    from trabecula.system import Evidence

_MOST = 14


def draw(id_: str) -> None:
    """Write the picture of one system."""
    found = measured(id_)
    if found is None:
        raise SystemExit(f"{id_} was not measured: trabecula prove {id_} --out results/phantoms/{id_}.json")
    trial = found["trial"]
    system = on_phantoms(id_, size=found["size"], target=found["target"])
    cases = open_cohort(trial["cohort"], n=trial["patients"] + 20, seed=trial["seed"]).cases
    learned = {f"{patient:06d}" for patient in range(trial["patients"])}
    model = system.fit([case for case in cases if case.patient in learned], seed=trial["seed"])
    unseen = [case for case in cases if case.patient not in learned]
    shown = next((case for case in unseen if case.truth.get("osteoporosis_dxa") == 1), unseen[0])
    evidence = explain(model, shown)
    path = PLACE / f"{id_}.png"
    if evidence.heat:
        role, heat = next(iter(evidence.heat.items()))
        overlay(shown.images[role], heat, path)
    else:
        _bars(evidence, path)


def _bars(evidence: Evidence, path: Path) -> None:
    largest = sorted(evidence.numbers.items(), key=lambda pair: -abs(pair[1]))[:_MOST][::-1]
    figure = Figure(figsize=(7, 0.8 + 0.28 * len(largest)), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.barh([name for name, _ in largest], [value for _, value in largest], color="#3b6fb6")
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_title(evidence.method, fontsize=8, loc="left", wrap=True)
    axes.tick_params(labelsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.savefig(path)


if __name__ == "__main__":
    for each in sys.argv[1:] or sorted(path.stem for path in RESULTS.glob("*.json")):
        draw(each)
