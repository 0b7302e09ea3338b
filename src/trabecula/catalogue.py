"""The catalogue: cards as lists, pages and citations.

Loads no data and no torch, except that the page of a built system loads its code to tell its settings.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from trabecula.card import (
    CohortCard,
    Family,
    Modality,
    Section,
    SystemCard,
    cohort_card,
    cohort_ids,
    system_card,
    system_ids,
)
from trabecula.target import TARGETS, unknown

if TYPE_CHECKING:
    from trabecula.report.files import Report

LAYOUTS = """
By path, --cohort takes
  a manifest    .csv or .parquet, one row a case, with the columns case, patient, part, weight, image.<role>,
                mask.<role>, table.<name>, group.<name>, truth.<target> (time to event: .years and .event)
  a folder      with one folder a class, named after the grades of a target (normal/, osteoporosis/), and PNG, JPEG,
                TIFF in them; acquisition.csv with a `file` column beside them gives acquisition facts
  DICOM         a folder of series in any order
`auto` is the phantom cohort that offers what the system needs. A cohort.yaml beside the data is its card."""

_WORDS: Mapping[str, Collection[str]] = {
    "modality": get_args(Modality), "family": get_args(Family), "section": get_args(Section), "target": TARGETS,
    "status": ("planned", "faithful", "approximate", "reconstruction"), "anatomy": (),
}  # fmt: skip
"""What a system may be filtered by; anatomies are what the cards say."""

_ORIGINS = {"read": "the paper's", "recall": "recalled, unchecked", "infer": "inferred", "default": "ours"}


def systems(
    *, wanted: Mapping[str, str] | None = None, since: int | None = None, baselines: bool = False
) -> list[SystemCard]:
    """Return the cards that have every wanted property, sorted by year and number.

    `wanted` maps modality, anatomy, family, section, target or status to a value.
    Raises `KeyError` for a value that no card can have, with the nearest one.
    """
    everything = [system_card(id_) for id_ in system_ids()]
    cards = [card for card in everything if baselines or card.role == "system"]
    for name, value in (wanted or {}).items():
        known = _WORDS[name] or {v for card in everything for v in _values(card, name)}
        if value not in known:
            raise KeyError(unknown(name, value, known))
        cards = [card for card in cards if value in _values(card, name)]
    cards = [card for card in cards if since is None or card.year >= since]
    return sorted(cards, key=lambda card: (card.year, card.number or 0, card.id))


def rows(cards: Sequence[SystemCard]) -> list[dict[str, Any]]:
    """Return one row a system: what it is and whether it runs."""
    return [
        {
            "id": card.id, "year": card.year, "section": card.section, "modality": list(card.modalities),
            "anatomy": list(card.anatomies), "target": card.targets[0], "family": list(card.families),
            "status": card.status,
        }
        for card in cards
    ]  # fmt: skip


def cohorts() -> list[dict[str, Any]]:
    """Return one row a cohort that `--cohort` knows by name."""
    return [
        {
            "id": card.id, "kind": "phantom" if card.made else "public set", "title": card.title,
            "modality": list(card.modalities), "targets": list(card.targets), "licence": card.licence,
        }
        for card in map(cohort_card, cohort_ids())
    ]  # fmt: skip


def card(id_: str) -> SystemCard | CohortCard:
    """Return the card of a system or cohort.

    Raises `KeyError` with the nearest name.
    """
    if id_ in cohort_ids():
        return cohort_card(id_)
    if id_ not in system_ids():
        raise KeyError(unknown("system or cohort", id_, {*system_ids(), *cohort_ids()}))
    return system_card(id_)


def bibtex(of: SystemCard | CohortCard) -> str:
    """Return the BibTeX entry of a system.

    Raises `ValueError` for a cohort.
    """
    if isinstance(of, CohortCard):
        raise ValueError(f"{of.id} is a cohort: cite its source, {of.source}")
    return of.bibtex()


def facts(of: SystemCard | CohortCard) -> list[dict[str, Any]]:
    """Return one row a fact, with its origin; for a cohort one row a field."""
    if isinstance(of, CohortCard):
        return [{"field": name, "value": value} for name, value in of.model_dump().items()]
    return [{"about": f.about, "fact": f.text, "origin": f.origin} for f in of.facts]


def page(of: SystemCard | CohortCard) -> str:
    """Return everything on a card as plain text."""
    return _cohort_page(of) if isinstance(of, CohortCard) else _system_page(of)


def leaderboard(report: Report) -> list[dict[str, Any]]:
    """Return the leaderboard of a report, best first."""
    lines = []
    for each in report.results:
        name = each["headline_metric"]
        figure = each["metrics"].get(name) or {"value": None, "low": None, "high": None}
        told = "-" if figure["value"] is None else f"{figure['value']:.3f} ({figure['low']:.3f}-{figure['high']:.3f})"
        lines.append(
            {
                "system": each["system"], "role": each["role"], "target": each["target"], "metric": name,
                "value (95 % interval)": told, "n": each["patients"], "abstained": each["abstained"]["patients"],
                "size": each["size"], "seconds": each["seconds"]["fit"] + each["seconds"]["predict"],
            }
        )  # fmt: skip
    return lines


def _values(of: SystemCard, name: str) -> tuple[str, ...]:
    found: dict[str, tuple[str, ...]] = {
        "modality": of.modalities,
        "anatomy": of.anatomies,
        "family": of.families,
        "section": (of.section,),
        "target": of.targets,
        "status": (of.status,),
    }
    return found[name]


def _system_page(of: SystemCard) -> str:
    parts = [
        f"{of.id}\n{of.title}\n{', '.join(of.authors)}\n{of.venue}, {of.year}\n{of.link}",
        f"{of.task}\nPredicts {', '.join(f'{t} ({TARGETS[t].title})' for t in of.targets)}.",
        _block("Status", [of.status + {"planned": ": the card is here, the code is not yet"}.get(of.status, "")]),
        _block("Inputs", _inputs(of)),
        _block("Code", [of.code] if of.code else []),
        _block("Developed on", [_data(d) for d in of.data]),
        _block("Published figures", [_published(p) for p in of.published]),
        *(_block(f"{about}", [f"{f.text} [{_ORIGINS[f.origin]}]" for f in of.facts if f.about == about])
          for about in dict.fromkeys(f.about for f in of.facts)),
        _block("Settings", _settings(of)),
        _block("What makes it this system", of.essence),
        _block("Weaknesses", of.weaknesses),
        _block("Not known, and what we use", [f"{u.item}: {u.ours}" for u in of.unknowns]),
        _block("Read", [f"{s.link} ({s.read})" for s in of.sources]),
    ]  # fmt: skip
    return "\n\n".join(part for part in parts if part)


def _settings(of: SystemCard) -> list[str]:
    if not of.built:
        return []
    from trabecula.system import get_system  # noqa: PLC0415

    words = {"paper": "the paper's", "guess": "ours"}
    return [f"{s['name']} = {s['value']} [{words[s['origin']]}: {s['note']}]" for s in get_system(of.id).origins()]


def _cohort_page(of: CohortCard) -> str:
    names = {"images": of.images, "masks": of.masks, "table": of.table, "groups": of.groups, "targets": of.targets}
    parts = [
        f"{of.id}\n{of.title}\n{of.source}",
        _block("Licence", [of.licence]),
        _block("Population", [of.population]),
        _block("Truth", [of.truth]),
        *(_block(title.capitalize(), [", ".join(its)] if its else []) for title, its in names.items()),
        _block("Layout", [of.layout] if of.layout else []),
        _block("Warnings", of.warnings),
    ]
    return "\n\n".join(part for part in parts if part)


def _block(title: str, lines: Sequence[str]) -> str:
    return (
        "\n".join([title.capitalize() if title.islower() else title, *(f"  - {line}" for line in lines)])
        if lines
        else ""
    )


def _inputs(of: SystemCard) -> list[str]:
    named = (*of.inputs.images, *of.inputs.masks, *of.inputs.table, *of.inputs.groups)
    return [f"{name}{' (optional)' if name in of.inputs.optional else ''}" for name in named] + [
        f"abstains without: {fact}" for fact in of.abstains_on
    ]


def _data(used: Any) -> str:
    counts = [f"{n} {what}" for n, what in ((used.patients, "patients"), (used.images, "images")) if n is not None]
    return ", ".join([used.name, *counts, used.access]) + (f". {used.note}" if used.note else "")


def _published(each: Any) -> str:
    value = "not found" if each.value is None else f"{each.value:g}"
    interval = f" ({each.low:g} to {each.high:g})" if each.low is not None else ""
    rival = "rival: " if each.comparator else ""
    note = f". {each.note}" if each.note else ""
    return f"{rival}{each.metric} {value}{interval}, {each.set} [{_ORIGINS[each.origin]}]{note}"
