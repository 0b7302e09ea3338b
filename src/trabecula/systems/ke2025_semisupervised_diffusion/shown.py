"""Generated pictures beside real ones, on one sheet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from trabecula.case import Case
    from trabecula.system import Model

_SIDE, _GAP, _LINE, _ACROSS = 96, 6, 18, 12  # pixels of a picture, between pictures, of a line; pictures in a row


def beside(model: Model, cases: Sequence[Case], path: Path) -> None:
    """Write a PNG: two rows of pictures that the generator of a fitted model made, above two rows of real ones.

    The real ones are views of `cases`, as the generator was shown them, as many of each grade as there are.
    Raises `ValueError` for a model without a generator, and `OSError` when the file cannot be written.
    """
    system: Any = model.system
    made = model.state.arrays.get("generated")
    if made is None:
        raise ValueError(
            f"{system.id()} made no picture with unlabelled={system.unlabelled!r}: fit it with a generator"
        )
    cases = [case for case in cases if system.headline.id in case.truth]
    films = system._views(cases)
    grades: list[Any] = [case.truth[system.headline.id] for case in cases]
    order = _in_turn(grades)[: 2 * _ACROSS]
    half = 2 * _LINE + 2 * (_SIDE + _LINE)
    sheet = Picture.new("L", (_ACROSS * (_SIDE + _GAP) + _GAP, 2 * half), 255)
    _row(sheet, 0, "made by the diffusion model", list(made), [""] * len(made))
    names = [system.headline.grades[grades[number]] for number in order]
    _row(sheet, half, "what it learned from", [films[films.each * number] for number in order], names)
    sheet.save(path, format="PNG")


def _row(
    sheet: Picture.Image, top: int, title: str, pictures: Sequence[NDArray[np.uint8]], told: Sequence[str]
) -> None:
    """Paste pictures below a title, each with a word below it."""
    pen = ImageDraw.Draw(sheet)
    pen.text((_GAP, top + _GAP), title, fill=0)
    for number, (picture, word) in enumerate(zip(pictures, told, strict=False)):
        row, column = divmod(number, _ACROSS)
        place = (_GAP + column * (_SIDE + _GAP), top + _LINE + _GAP + row * (_SIDE + _LINE))
        sheet.paste(Picture.fromarray(np.asarray(picture)).resize((_SIDE, _SIDE), Picture.Resampling.BICUBIC), place)
        pen.text((place[0], place[1] + _SIDE), word, fill=0)


def _in_turn(grades: Sequence[int]) -> list[int]:
    """Return the places of grades so that each grade follows in turn, as long as it lasts."""
    seen: dict[int, int] = {}
    turns = []
    for place, grade in enumerate(grades):
        seen[grade] = seen.get(grade, 0) + 1
        turns.append((seen[grade], grade, place))
    return [place for _, _, place in sorted(turns)]
