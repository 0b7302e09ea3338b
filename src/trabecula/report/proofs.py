"""What `trabecula prove` found, in rows and sentences; every figure comes from its JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trabecula.report.words import metric_name, number, system_name, with_interval

_YES = {True: "yes", False: "no"}


def told_proof(proof: Mapping[str, Any], held: Mapping[str, bool]) -> list[dict[str, str]]:
    """Return one row a claim: the claim, whether it holds, and the figures it follows from."""
    metric, own = metric_name(proof["metric"]), proof["figures"][proof["metric"]]
    rows = [{"claim": f"{metric} of {proof['patients']} patients", "holds": "", "figures": with_interval(own)}]
    for name, each in proof["beside"].items():
        claim = f"better than {name.removeprefix('baseline_')}"
        rows.append({"claim": f"better than {system_name(name)}", "holds": _held(held, claim),
                     "figures": _beside(each)})  # fmt: skip
    claim = "better than with permuted images"
    rows.append({"claim": claim, "holds": _held(held, claim), "figures": _beside(proof["permuted"])})
    twins = proof["twins"]
    right = f"{twins['right']:.0%} of {twins['pairs']} pairs ({twins['right_low']:.0%} to {twins['right_high']:.0%})"
    if twins["abstained"]:
        right += f", {twins['abstained']} without an answer"
    claim = "follows the bone of twins"
    rows.append({"claim": claim, "holds": _held(held, claim), "figures": right})
    claim = "bone moves it more than the scanner"
    rows.append({"claim": claim, "holds": _held(held, claim), "figures": moved(twins)})
    return rows


def moved(twins: Mapping[str, Any]) -> str:
    """Say how far answers move, in the middle, when one thing changes."""
    told = [f"{name} {number(step)}" for name, step in twins["moved"].items()]
    return f"median move in {twins['unit']}: " + ", ".join(told)


def _beside(each: Mapping[str, Any]) -> str:
    return f"{with_interval(each['value'])}; difference {with_interval(each['difference'])}"


def _held(held: Mapping[str, bool], claim: str) -> str:
    return _YES[held[claim]] if claim in held else ""
