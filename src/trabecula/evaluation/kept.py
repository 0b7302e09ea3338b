"""Folds that are done, kept until the report is written: a run that was killed goes on where it was.

Each lies in a file of its own under the digest of everything that it depends on: system, settings, fold, protocol, the
content of every case, and this program. What has changed in any of them is fitted again.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trabecula.evaluation.entrants import Judgement
from trabecula.system import threads

if TYPE_CHECKING:
    from trabecula.case import Case, Images
    from trabecula.evaluation.judging import Task


log = logging.getLogger("trabecula")


class Kept:
    """A folder of judgements, or nowhere."""

    def __init__(self, folder: Path | None, tasks: Sequence[Task]) -> None:
        self._folder = folder
        self._names: dict[tuple[int, int], str] = {}
        if folder is not None:
            content = {id(task.entrant): _content(task.entrant.cases) for task in tasks}
            self._names = {_key(task): _digest(task, content[id(task.entrant)]) for task in tasks}

    def found(self, task: Task) -> Judgement | None:
        """Return what is kept of a task, or nothing; a file that is not whole is nothing."""
        if self._folder is None:
            return None
        try:
            told = json.loads(self._path(_key(task)).read_text(encoding="utf-8"))
            return Judgement(entrant=task.number, fold=task.fold, **told)
        except (OSError, ValueError, TypeError):
            return None

    def keep(self, judgement: Judgement) -> None:
        """Keep a judgement; nobody ever meets half of one.

        Where one cannot be written, no more are kept, and the run goes on.
        """
        if self._folder is None:
            return
        path = self._path((judgement.entrant, judgement.fold.number))
        told = {name: value for name, value in vars(judgement).items() if name not in ("entrant", "fold")}
        beside = path.with_suffix(".part")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            beside.write_text(json.dumps(told), encoding="utf-8")
            beside.replace(path)
        except OSError as error:
            log.warning("folds are no longer kept in %s: %s", self._folder, error)
            beside.unlink(missing_ok=True)
            self._folder = None

    def _path(self, key: tuple[int, int]) -> Path:
        assert self._folder is not None  # noqa: S101
        return self._folder / f"{self._names[key]}.json"


def _key(task: Task) -> tuple[int, int]:
    return task.number, task.fold.number


def _digest(task: Task, content: str) -> str:
    entrant = task.entrant
    protocol = {name: value for name, value in vars(task.protocol).items() if name != "given"}
    told = {
        "program": _program(), "threads": threads(), "content": content, "protocol": protocol, "points": task.points,
        "fold": asdict(task.fold), "name": entrant.name, "role": entrant.role,
        "candidates": [
            (f"{type(each).__module__}.{type(each).__qualname__}", each.settings()) for each in entrant.candidates
        ],
    }  # fmt: skip
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:32]


def _content(cases: Sequence[Case]) -> str:
    """Name the content of cases in their order: ids, images, masks, tables, groups and truth."""
    sha = hashlib.sha256()
    for case in cases:
        truth = {target: getattr(known, "digest", known) for target, known in case.truth.items()}
        told = (case.id, case.patient, case.part, _digests(case.images), _digests(case.masks), case.table, case.groups,
                truth)  # fmt: skip
        sha.update(json.dumps(told, sort_keys=True, default=_as_mapping).encode())
    return sha.hexdigest()


def _digests(images: Images) -> dict[str, str]:
    return {role: images.source(role).digest for role in images}


def _as_mapping(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else str(value)


@cache
def _program() -> str:
    """Name the program by its text: what another version of it found is not gone on with."""
    sha = hashlib.sha256()
    home = Path(__file__).parents[1]
    for path in sorted(home.rglob("*.py")):
        sha.update(path.relative_to(home).as_posix().encode() + path.read_bytes())
    return sha.hexdigest()
