"""The one loop: every system on every fold of one cohort, beside the baselines, under one protocol.

`loop` is the whole of it; `data` says which cases are judged, `entrants` who is, `judging` what happens in one fold,
`inner` what is chosen inside its training part; `engine` runs folds side by side, `kept` keeps those that are done, and
`rows` turns answers into lines of `predictions.csv`.
"""

from __future__ import annotations

from trabecula.evaluation.engine import Engine
from trabecula.evaluation.entrants import names_of
from trabecula.evaluation.loop import evaluate

__all__ = ["Engine", "evaluate", "names_of"]
