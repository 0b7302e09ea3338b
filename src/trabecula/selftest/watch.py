"""A watch on this process: what it tries to reach outside of some folders, refused and noted."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

_CALLS = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.sendmsg")
_CHANGES = {"os.mkdir": 1, "os.remove": 1, "os.rmdir": 1, "os.truncate": 1, "os.rename": 2, "os.link": 2,
            "os.symlink": 2}  # fmt: skip
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclass(frozen=True)
class Watch:
    """What was tried: hosts that were called, files outside that were to be written."""

    allowed: Sequence[Path]
    calls: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)

    def seen(self, event: str, facts: tuple[Any, ...]) -> None:
        """Refuse a call or a write outside; raises `ConnectionRefusedError` or `PermissionError`."""
        if event in _CALLS:
            address = facts[1] if event in ("socket.connect", "socket.sendto", "socket.sendmsg") else facts[:2]
            if isinstance(address, tuple):  # a path is a socket of this machine
                self.calls.append(":".join(str(part) for part in address[:2]))
                raise ConnectionRefusedError("the self-test allows no network")
        paths = facts[: _CHANGES[event]] if event in _CHANGES else ()
        if event == "open" and isinstance(facts[2], int) and facts[2] & _WRITING:
            paths = facts[:1]
        for path in paths:
            if isinstance(path, str | bytes | os.PathLike) and self._outside(os.fsdecode(path)):
                self.writes.append(os.fsdecode(path))
                raise PermissionError(f"the self-test allows no writing to {os.fsdecode(path)}")

    def _outside(self, path: str) -> bool:
        real = Path(os.path.realpath(path))
        return not real.is_relative_to("/dev") and not any(real.is_relative_to(folder) for folder in self.allowed)


_armed: Watch | None = None


@contextmanager
def watched(*folders: Path) -> Iterator[Watch]:
    """Watch this process inside the block, which works in an empty folder of its own.

    Python's own writes are refused outside of `folders`; what compiled code writes beside itself is found in the
    empty folder afterwards. Temporary files are allowed as long as they vanish.
    """
    global _armed  # noqa: PLW0603 an audit hook cannot be taken away, so it asks whether it is armed
    _install()
    with tempfile.TemporaryDirectory() as made:
        desk, scratch = Path(made).resolve() / "desk", Path(made).resolve() / "scratch"
        desk.mkdir()
        scratch.mkdir()
        watch = Watch([scratch, *(folder.resolve() for folder in folders)])
        with (
            chdir(desk),
            mock.patch.object(tempfile, "tempdir", str(scratch)),
            mock.patch.dict(os.environ, {"TMPDIR": str(scratch)}),
            mock.patch.object(sys, "dont_write_bytecode", True),
        ):
            _armed = watch
            try:
                yield watch
            finally:
                _armed = None
        watch.writes.extend(path.name for path in (*desk.iterdir(), *scratch.iterdir()))


@cache
def _install() -> None:
    sys.addaudithook(_hook)


def _hook(event: str, facts: tuple[Any, ...]) -> None:
    if _armed is not None:
        _armed.seen(event, facts)
