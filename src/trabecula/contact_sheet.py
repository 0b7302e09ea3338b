"""Contact sheets: pictures that occur twice, or the first ones, where people would rather look than read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula.image import Source
from trabecula.target import get_target

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from PIL.Image import Image as Picture

    from trabecula.case import Case
    from trabecula.findings import Duplicate

_SIDE, _LINE, _GAP = 220, 18, 12  # pixels of a picture, of a line of text, between pictures
_GROUPS, _ACROSS = 60, 6
_PAPER, _INK, _ALARM = "white", "black", "#b00020"


def draw(
    cases: Sequence[Case], duplicates: Sequence[Duplicate], conflicts: Sequence[Sequence[str]], path: Path
) -> None:
    """Write groups of the same picture into a PNG; groups whose labels contradict come first and in red.

    At most 60 groups of 6 pictures are drawn, and the sheet says how many there are. Raises `OSError` when the file
    cannot be written.
    """
    from PIL import Image as Pictures  # noqa: PLC0415 keeps the check without a sheet light
    from PIL import ImageDraw  # noqa: PLC0415

    by_id = {case.id: case for case in cases}
    wrong = {id_ for ids in conflicts for id_ in ids}
    groups = sorted(duplicates, key=lambda group: wrong.isdisjoint(group["cases"]))
    places = _places([min(_ACROSS, len(group["cases"])) for group in groups[:_GROUPS]])
    height = _SIDE + 3 * _LINE + _GAP
    rows = 1 + max((row for row, _ in places), default=-1)
    sheet = Pictures.new("RGB", (_ACROSS * (_SIDE + _GAP) + _GAP, 3 * _LINE + rows * height), _PAPER)
    pen = ImageDraw.Draw(sheet)
    red = sum(not wrong.isdisjoint(group["cases"]) for group in groups)
    title = f"{len(groups)} pictures occur more than once, {red} of them with different labels; {len(places)} are shown"
    pen.text((_GAP, _GAP), title, fill=_INK)
    for number, (group, (row, column)) in enumerate(zip(groups, places, strict=False), 1):
        left, top = _GAP + column * (_SIDE + _GAP), 2 * _LINE + _GAP + row * height
        ink = _INK if wrong.isdisjoint(group["cases"]) else _ALARM
        said = ", different labels" if ink == _ALARM else ""
        more = f", {len(group['cases']) - _ACROSS} more" if len(group["cases"]) > _ACROSS else ""
        pen.text((left, top), f"{number}. {group['kind']}{said}{more}", fill=ink)
        for id_ in group["cases"][:_ACROSS]:
            sheet.paste(_small(by_id[id_]), (left, top + _LINE))
            pen.text((left, top + _LINE + _SIDE), id_[-36:], fill=_INK)
            pen.text((left, top + 2 * _LINE + _SIDE), _label(by_id[id_]), fill=ink)
            left += _SIDE + _GAP
    sheet.save(path, format="PNG")


def draw_first(cases: Sequence[Case], path: Path) -> None:
    """Write the first image of the first 24 cases into a PNG, with their labels.

    Raises `OSError` when the file cannot be written.
    """
    from PIL import Image as Pictures  # noqa: PLC0415
    from PIL import ImageDraw  # noqa: PLC0415

    shown = cases[: 4 * _ACROSS]
    width, height = _SIDE + _GAP, _SIDE + 2 * _LINE + _GAP
    rows = -(-len(shown) // _ACROSS)
    sheet = Pictures.new("RGB", (_ACROSS * width + _GAP, rows * height + _GAP), _PAPER)
    pen = ImageDraw.Draw(sheet)
    for number, case in enumerate(shown):
        left, top = _GAP + number % _ACROSS * width, _GAP + number // _ACROSS * height
        sheet.paste(_small(case), (left, top))
        pen.text((left, top + _SIDE), case.id[-36:], fill=_INK)
        pen.text((left, top + _SIDE + _LINE), _label(case), fill=_INK)
    sheet.save(path, format="PNG")


def _places(widths: Sequence[int]) -> list[tuple[int, int]]:
    """Return row and column of each group, which take as many columns as they are wide."""
    places, row, column = [], 0, 0
    for width in widths:
        if column + width > _ACROSS:
            row, column = row + 1, 0
        places.append((row, column))
        column += width
    return places


def _small(case: Case) -> Picture:
    """Return the first image of a case that can be read, its middle slice, within the square of a place."""
    from PIL import Image as Pictures  # noqa: PLC0415
    from PIL import ImageOps  # noqa: PLC0415

    for role in case.images:
        try:
            voxels = case.images[role].voxels
        except (ValueError, OSError):
            continue
        flat = voxels[len(voxels) // 2].astype(np.float32)
        low, high = np.quantile(flat, [0.001, 0.999])
        grey = np.clip((flat - low) * (255 / max(float(high - low), 1e-9)), 0, 255).astype(np.uint8)
        return ImageOps.pad(Pictures.fromarray(grey).convert("RGB"), (_SIDE, _SIDE), color="#dddddd")
    return Pictures.new("RGB", (_SIDE, _SIDE), "#dddddd")


def _label(case: Case) -> str:
    told = [_grade(target, truth) for target, truth in case.truth.items() if not isinstance(truth, Source)]
    return ", ".join(dict.fromkeys(told))[:36] or "no label"


def _grade(target: str, truth: Any) -> str:
    grades = get_target(target).grades
    return grades[int(truth)] if grades else f"{target} {truth:g}" if isinstance(truth, int | float) else str(truth)
