"""The base domain: labelled pictures of two classes that are no knees, which networks learn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trabecula.case import Case, Images
from trabecula.image import PICTURE_ENDINGS, FileSource
from trabecula.learn.prepare import Pictures
from trabecula.systems.xie2024_fewshot_knee.chest import CLASSES, chest, noise

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from trabecula.image import Source

STAND_IN, NOISE = "stand-in", "noise"
_ROLE = "chest_xray"
_FEWEST = 4  # films a class: to learn from, to validate on, to be held against


@dataclass(frozen=True, eq=False, kw_only=True)
class Base:
    """Pictures of two classes, and what they are."""

    pictures: Pictures
    classes: tuple[str, str]
    grades: NDArray[np.intp]
    """Class of each picture, 0 or 1 `[n]`."""
    origin: str
    """Where the pictures come from, in words for a report; without the place of a folder."""

    def parts(self, share: float, rng: Generator) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return which pictures train and which validate: about `share` of each class, at least one."""
        training, validating = [], []
        for grade in range(len(self.classes)):
            order = rng.permutation(np.flatnonzero(self.grades == grade))
            held = min(max(1, round(share * len(order))), len(order) - 1)
            validating.append(order[:held])
            training.append(order[held:])
        return np.sort(np.concatenate(training)), np.sort(np.concatenate(validating))

    def references(self, among: NDArray[np.intp], count: int, rng: Generator) -> NDArray[np.intp]:
        """Return `count` pictures a class of those `among`, or all where a class has fewer; the first class first."""
        chosen = []
        for grade in range(len(self.classes)):
            own = among[self.grades[among] == grade]
            chosen.append(np.sort(rng.permutation(own)[:count]))
        return np.concatenate(chosen)


def base_domain(name: str, *, films: int, pixels: int) -> Base:
    """Return stand-ins, noise, or the pictures of a folder that holds one folder for each of two classes.

    `films` a class are drawn; of a folder so many a class are taken, in the order of their names shuffled by a fixed
    seed, or all where there are fewer. Raises `ValueError` for a folder that has not two classes with pictures.
    """
    if name == STAND_IN:
        sources: list[list[Source]] = [[chest(n, consolidated=ill) for n in range(films)] for ill in (False, True)]
        classes, origin = CLASSES, f"stand-in: {films} drawn chest-like pictures a class, of nobody"
    elif name == NOISE:
        sources = [[noise(n) for n in range(start, start + films)] for start in (0, films)]
        classes, origin = ("noise", "other noise"), f"noise: {films} pictures a class without any object"
    else:
        classes, sources = _folder(Path(name), films)
        counted = " and ".join(f"{len(own)} {label}" for label, own in zip(classes, sources, strict=True))
        origin = f"folder: {counted}"
    cases = [_case(source) for own in sources for source in own]
    grades = np.repeat([0, 1], [len(own) for own in sources])
    return Base(pictures=Pictures(cases, _ROLE, {"size": pixels}), classes=classes, grades=grades, origin=origin)


def _folder(folder: Path, films: int) -> tuple[tuple[str, str], list[list[Source]]]:
    if not folder.is_dir():
        raise ValueError(
            f"base {str(folder)!r} is neither {STAND_IN!r}, {NOISE!r} nor a folder: name the folder of films"
        )
    found = {each.name: _films(each) for each in sorted(folder.iterdir()) if each.is_dir() and _films(each)}
    if len(found) != 2:
        raise ValueError(f"{folder} holds {len(found)} folders with pictures: the base domain has two, one a class")
    for label, own in found.items():
        if len(own) < _FEWEST:
            raise ValueError(f"{folder / label} holds {len(own)} pictures: bring at least {_FEWEST}")
    rng = np.random.default_rng(0)
    first, second = found
    chosen = [[own[i] for i in sorted(rng.permutation(len(own))[:films])] for own in found.values()]
    return (first, second), [[FileSource(path) for path in own] for own in chosen]


def _films(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURE_ENDINGS)


def _case(source: Source) -> Case:
    return Case(id="film", patient="film", images=Images({_ROLE: source}))
