"""A case: what gets one answer. A visit of a patient, or a part of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

import numpy as np

from trabecula.image import Image, Source

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


@dataclass(frozen=True)
class Event:
    """What happened to a patient under observation, and when.

    Raises `ValueError` for a negative time or an unknown event.
    """

    years: float
    event: Literal[0, 1, 2]
    """0 censored, 1 the event, 2 death."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.years) and self.years >= 0) or self.event not in (0, 1, 2):
            raise ValueError(f"time to event is years >= 0 and 0, 1 or 2; got {self.years} and {self.event}")


ANY_GROUP = "any group"
"""A name that stands for all groups of a case, whatever they are called; for baselines on acquisition facts."""

_V = TypeVar("_V")
TableValue: TypeAlias = float | str
Truth: TypeAlias = float | int | Event | Source


class Images(Mapping[str, Image]):
    """Images by role, loaded when asked for and not kept: `images[role]` decodes, `images.source(role)` does not."""

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self._sources = dict(sources)

    def __getitem__(self, role: str) -> Image:
        return self._sources[role].load()

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)

    def __contains__(self, role: object) -> bool:
        return role in self._sources

    def source(self, role: str) -> Source:
        """Return where the image of this role comes from."""
        return self._sources[role]

    def only(self, roles: Iterable[str]) -> Images:
        """Keep these roles, as far as they are there."""
        return Images({role: self._sources[role] for role in roles if role in self._sources})

    def nameless(self) -> Images:
        """Take away where the images lie: a path such as `osteoporosis/12.png` would tell the answer."""
        return Images({role: _Nameless(source) for role, source in self._sources.items()})

    def __repr__(self) -> str:
        return f"Images({', '.join(self._sources)})"


@dataclass(frozen=True)
class _Nameless:
    """A source of which only the content is known."""

    _source: Source = field(repr=False)

    @property
    def digest(self) -> str:
        return self._source.digest

    def load(self) -> Image:
        return self._source.load()


@dataclass(frozen=True, eq=False, kw_only=True)
class Case:
    """What gets one answer.

    A missing value is absent: neither `table` nor `truth` ever holds NaN, `None` or an empty text.
    `weight` is the number of people of the population that the case stands for.

    Raises `ValueError` for an empty id or patient, or a weight that is not positive.
    """

    id: str
    patient: str
    part: str = ""
    images: Images = field(default_factory=lambda: Images({}))
    masks: Images = field(default_factory=lambda: Images({}))
    table: Mapping[str, TableValue] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    truth: Mapping[str, Truth] = field(default_factory=dict)
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not self.id or not self.patient:
            raise ValueError("a case has an id and a patient")
        if not (math.isfinite(self.weight) and self.weight > 0):
            raise ValueError(f"case {self.id}: the weight is positive; got {self.weight}")
        for name in ("table", "truth"):
            present = {key: _plain(value) for key, value in getattr(self, name).items() if not _missing(value)}
            object.__setattr__(self, name, present)

    def only(
        self,
        *,
        images: Iterable[str] = (),
        masks: Iterable[str] = (),
        table: Iterable[str] = (),
        groups: Collection[str] = (),
        targets: Iterable[str] = (),
    ) -> Case:
        """Keep what is named and nothing else: without `targets` no truth; weights are never handed over."""
        return replace(
            self,
            images=self.images.only(images),
            masks=self.masks.only(masks),
            table=_frozen(self.table, table),
            groups=self.groups if ANY_GROUP in groups else _frozen(self.groups, groups),
            truth=_frozen(self.truth, targets),
            weight=1.0,
        )

    def lacks(self, names: Iterable[str]) -> list[str]:
        """Return those of the names that are neither an image, a mask, a value nor a group of this case."""
        held = {*self.images, *self.masks, *self.table, *self.groups, *((ANY_GROUP,) if self.groups else ())}
        return [name for name in names if name not in held]

    def number(self, name: str) -> float:
        """Return a numeric value; NaN where it is missing.

        Raises `ValueError` when it is a code.
        """
        value = self.table.get(name, math.nan)
        if isinstance(value, str):
            raise ValueError(f"case {self.id}: {name} is the code {value!r}, not a number")
        return float(value)


def _frozen(mapping: Mapping[str, _V], names: Iterable[str]) -> dict[str, _V]:
    return {name: mapping[name] for name in names if name in mapping}


def _plain(value: Any) -> Any:
    """Turn NumPy's numbers into Python's, so that a truth is told from an image by its type."""
    return value.item() if isinstance(value, np.generic) else value


def _missing(value: object) -> bool:
    if isinstance(value, float):  # most are: an abstract class takes five times as long to ask
        return math.isnan(value)
    return value is None or (isinstance(value, str) and not value) or (isinstance(value, Real) and math.isnan(value))
