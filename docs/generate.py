"""Write every generated table and page again: the README's table, the vocabulary, the pages of built systems.

`python docs/generate.py` writes; `python docs/generate.py --check` says what is out of date and exits with 1.
"""

from __future__ import annotations

import sys
from pathlib import Path

import system_pages
from tables import table

from trabecula import catalogue
from trabecula.target import ROLES, TARGETS, VARIABLES

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- generated: {} -->", "<!-- end of generated -->"


def systems_table() -> str:
    """Return the table of all published systems."""
    rows: list[dict[str, object]] = [
        {
            "system": f"[`{card.id}`]({card.link})", "year": card.year, "modality": card.modalities,
            "anatomy": card.anatomies, "target": f"`{card.targets[0]}`", "family": card.families,
            "status": card.status, "reads bone": system_pages.reads_bone(card),
        }
        for card in catalogue.systems()
    ]  # fmt: skip
    return table(rows)


def vocabulary() -> str:
    """Return the page of targets, image roles and variables."""
    targets = [
        {"target": f"`{t.id}`", "is": t.title, "kind": t.kind, "unit": t.unit, "grades": t.grades,
         "patient from parts": t.reduce, "population": t.population, "not an input": [f"`{d}`" for d in t.defined_by]}
        for t in TARGETS.values()
    ]  # fmt: skip
    roles = [{"role": f"`{r.id}`", "is": r.title, "modality": r.modality, "mask": "yes" if r.mask else ""}
             for r in ROLES.values()]  # fmt: skip
    variables = [{"variable": f"`{v.id}`", "is": v.title, "unit": v.unit, "lowest": v.low, "highest": v.high,
                  "codes": v.codes} for v in VARIABLES.values()]  # fmt: skip
    return (
        "# Targets, image roles, variables\n\nGenerated from `src/trabecula/target.py`.\n\n"
        f"## Targets\n\n{table(targets)}\n\n## Images and masks\n\n{table(roles)}\n\n"
        f"## Variables\n\n{table(variables)}\n"
    )


def marked(text: str, name: str, content: str) -> str:
    """Replace what stands between the marks of a generated part."""
    begin = BEGIN.format(name)
    head, _, rest = text.partition(begin)
    if not rest:
        raise SystemExit(f"no mark {begin}")
    return f"{head}{begin}\n\n{content}\n\n{END}{rest.partition(END)[2]}"


def main() -> int:
    """Write or check every generated file."""
    readme = ROOT / "README.md"
    wanted = {
        readme: marked(readme.read_text(encoding="utf-8"), "systems", systems_table()),
        ROOT / "docs" / "reference" / "vocabulary.md": vocabulary(),
        **system_pages.pages(),
    }
    stale = [p for p, content in wanted.items() if not p.exists() or p.read_text(encoding="utf-8") != content]
    if "--check" in sys.argv:
        for path in stale:
            sys.stderr.write(f"{path.relative_to(ROOT)} is out of date: run `make docs`\n")
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
