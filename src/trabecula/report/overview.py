"""One page over many reports: the leaderboard of every system, each on its own cohort, with links to the reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from trabecula.report import sentences
from trabecula.report.page import environment, inline
from trabecula.target import get_target

Line = Mapping[str, Any]


def overview(lines: Sequence[Line], rule: str) -> str:
    """Return the page of these lines, a table a cohort and target; the same lines give the same bytes."""
    judged = [line for line in lines if not line["problem"]]
    boards = [
        {"cohort": cohort, "target": target, "title": get_target(target).title, "lines": list(own)}
        for (cohort, target), own in groupby(judged, key=lambda line: (line["cohort"], line["target"]))
    ]
    ahead = [line for line in judged if line["difference"] and sentences.standing(line["difference"]) == "ahead"]
    html = environment().get_template("overview.html").render(
        boards=boards, silent=[line for line in lines if line["problem"]], rule=rule, judged=judged, ahead=ahead,
        standing=sentences.standing, css=inline("page.css"), script=inline("sort.js"),
    )  # fmt: skip
    return f"{html.strip()}\n"
