"""The page of each built system, from its card, its settings and what was measured of it on phantoms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tables import table

from trabecula.card import SystemCard, system_card, system_ids
from trabecula.proof import on_phantoms
from trabecula.report.proofs import told_proof
from trabecula.report.words import metric_name, with_interval
from trabecula.system import get_system
from trabecula.target import get_target

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "results" / "phantoms"
COMPARISONS = ROOT / "results" / "comparisons"
PLACE = ROOT / "docs" / "systems"
_ORIGINS = {"read": "read", "recall": "recalled", "infer": "inferred", "default": "ours"}


def pages() -> dict[Path, str]:
    """Return every page by its path, the list of all first."""
    built = [system_card(id_) for id_ in system_ids()]
    built = [card for card in built if card.built and card.role == "system"]
    return {PLACE / "README.md": _list(built)} | {PLACE / f"{card.id}.md": page(card) for card in built}


def page(card: SystemCard) -> str:
    """Return the page of one system as Markdown."""
    parts = [
        f"# {card.title}",
        f"`{card.id}` · {', '.join(card.authors[:3])}{' et al.' if len(card.authors) > 3 else ''}, {card.year}, "
        f"[{card.venue}]({card.link}) · {card.fidelity}",
        card.task,
        _circular(card),
        "## How to run it",
        _how_to_run(card),
        "## What it scores on phantoms",
        _scores(card),
        _figure(card),
        *_compared(card.id),
        "## What the paper reports",
        _published(card),
        "## What comes from the paper, and what is ours",
        _settings(card),
        "## What makes it this system",
        "\n".join(f"- {each}" for each in card.essence),
        "## Weaknesses",
        "\n".join(f"- {each}" for each in card.weaknesses),
        "## What is not known",
        table([{"not known": each.item, "what we do": each.ours} for each in card.unknowns]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def measured(id_: str) -> dict[str, Any] | None:
    """Return what `trabecula prove` found, or nothing where it has not been run."""
    path = RESULTS / f"{id_}.json"
    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def reads_bone(card: SystemCard) -> str:
    """Say whether every claim of `trabecula prove` holds of a built system that looks at an image."""
    if not card.built or not card.inputs.images:
        return ""
    found = measured(card.id)
    return "not asked" if found is None else "shown" if all(found["verdict"].values()) else "not shown"


def _circular(card: SystemCard) -> str:
    circular = [each for each in card.targets if get_target(each).circular]
    if not circular:
        return ""
    return (
        f"> **Circular.** The paper's label ({', '.join(f'`{each}`' for each in circular)}) is computed from the same "
        "scan that the system reads: it is a measurement, not a diagnosis. On phantoms it is judged against DXA."
    )


def _how_to_run(card: SystemCard) -> str:
    recipe = on_phantoms(card.id, size="tiny")
    target = "" if recipe.headline.id in card.targets else f" --target {recipe.headline.id}"
    return (
        f"Needs {_needed(card)}{_optional(card)}. Predicts {', '.join(f'`{each}`' for each in card.targets)}.\n\n"
        "```\n"
        f"trabecula show {card.id}\n"
        f"trabecula evaluate {card.id} --cohort YOUR_COHORT --size small --out report{target}\n"
        + (f"trabecula prove {card.id}          # on phantoms: does it read bone?\n" if card.inputs.images else "")
        + "```"
    )


def _needed(card: SystemCard) -> str:
    inputs = card.inputs
    names = (*inputs.images, *inputs.masks, *inputs.table, *inputs.groups)
    return ", ".join(f"`{name}`" for name in names if name not in inputs.optional)


def _optional(card: SystemCard) -> str:
    names = ", ".join(f"`{name}`" for name in card.inputs.optional)
    return f"; can use {names}" if names else ""


def _scores(card: SystemCard) -> str:
    found = measured(card.id)
    if found is None:
        if not card.inputs.images:
            return "It looks at no image, so there is nothing for `trabecula prove` to permute."
        return "Not measured yet with `trabecula prove`."
    trial = found["trial"]
    rows = told_proof(found, found["verdict"])
    return (
        f"At size `{found['size']}` on `{trial['cohort']}`, for `{found['target']}`: {found['patients']} patients, "
        f"{trial['folds']} folds by patient, seed {trial['seed']}; {found['abstained']} without an answer. Intervals "
        "are of 95 % and conditional on the fitted models. Images are permuted among patients of the same class of "
        "age, sex and body mass index; a twin is the same patient with the same noise and "
        f"{abs(trial['bone_shift']):g} SD less bone.\n\n{table(rows)}\n\n"
        "A figure on phantoms says whether a method works, never how well it does in patients."
    )


def _compared(id_: str) -> list[str]:
    """Return a table for every comparison that `docs/keep.py` kept of this system, and what it was made on."""
    parts: list[str] = []
    for path in sorted(COMPARISONS.glob(f"{id_}*.json")):
        told = json.loads(path.read_text(encoding="utf-8"))
        results = told["results"]
        most = max(result["patients"] for result in results)
        rows = [
            {"entrant": f"`{result['system']}`", "target": f"`{result['target']}`"}
            | {metric_name(name): with_interval(figure) for name, figure in result["metrics"].items()}
            | {"without an answer": result["abstained"]["patients"]}
            for result in results
        ]
        columns = list(dict.fromkeys(name for row in rows for name in row))
        parts += [
            f"On `{told['cohort']}`, {most} patients, {told['protocol']['rule']}; {'; '.join(told['notes'])}.",
            table([{name: row.get(name, "") for name in columns} for row in rows]),
        ]
    return ["## Its variants, and others, on the same patients", *parts] if parts else []


def _figure(card: SystemCard) -> str:
    path = PLACE / f"{card.id}.png"
    if not path.exists():
        return ""
    return f"![What one answer of {card.id} rests on]({path.name})\n\nWhat one answer on a phantom rests on."


def _published(card: SystemCard) -> str:
    rows = [
        {"metric": each.metric, "value": each.value, "on": each.set, "origin": _ORIGINS[each.origin], "note": each.note}
        for each in card.published
    ]
    return table(rows) if rows else "No figure could be read."


def _settings(card: SystemCard) -> str:
    words = {"paper": "paper", "guess": "ours"}
    rows = [
        {"setting": f"`{row['name']}`", "value": row["usual"], "origin": words[row["origin"]], "why": row["note"]}
        for row in get_system(card.id).origins()
    ]
    return table(rows)


def _list(cards: list[SystemCard]) -> str:
    rows = []
    for card in cards:
        found = measured(card.id)
        own = found["figures"][found["metric"]] if found else None
        rows.append({
            "system": f"[`{card.id}`]({card.id}.md)", "modality": ", ".join(card.modalities),
            "reads bone": reads_bone(card),
            "on phantoms": f"{metric_name(found['metric'])} {with_interval(own)}" if found else "",
            "beats permuted images": _yes(found, "better than with permuted images"),
            "follows twins": _yes(found, "follows the bone of twins"),
            "more than the scanner": _yes(found, "bone moves it more than the scanner"),
        })  # fmt: skip
    return (
        "# Systems that are built\n\nGenerated from cards and `results/phantoms`. A system reads bone where every "
        "claim of `trabecula prove` holds, three of which stand here; an empty cell was not measured. "
        "[The measuring halves on real CTs](real_ct.md).\n\n"
        f"{table(rows)}\n"
    )


def _yes(found: dict[str, Any] | None, claim: str) -> str:
    return "" if found is None else "yes" if found["verdict"][claim] else "**no**"
