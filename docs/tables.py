"""Rows as Markdown."""

from __future__ import annotations

from typing import Any


def table(rows: list[dict[str, Any]]) -> str:
    """Return rows as a Markdown table; nothing without rows."""
    if not rows:
        return ""

    def cell(value: object) -> str:
        told = ", ".join(map(str, value)) if isinstance(value, list | tuple) else "" if value is None else str(value)
        return " ".join(told.replace("|", "\\|").split())

    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns), *([cell(row[c]) for c in columns] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
