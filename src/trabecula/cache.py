"""A content-addressed cache: what an image-to-array function once computed is never computed again.

Keys are made of content digests, settings and the function's own source, so a changed file, setting or line of code
is another key. Values are `.npy` files without pickle in one folder with a size limit, least recently used first out.
`TRABECULA_CACHE` moves the folder, `TRABECULA_CACHE_GB` its limit (default 8), `TRABECULA_CACHE=off` disables it.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import tempfile
from contextlib import suppress
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

_SHARE_BETWEEN_SWEEPS = 0.05  # of the limit, written by one process before it looks at the folder's size
_HEADER = 1_000_000  # bytes; a row of 851 named features has 50,000, where numpy reads 10,000 by itself
_written = 0


def folder() -> Path | None:
    """Return the cache folder, or `None` when the cache is off."""
    named = os.environ.get("TRABECULA_CACHE")
    if named == "off":
        return None
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "trabecula"


def key(
    function: Callable[..., Any], digests: tuple[str, ...], settings: Mapping[str, Any], *, package: str = ""
) -> str:
    """Name what `function` makes of these contents with these settings, by its module's code and that of a package.

    Raises `TypeError` for a setting that is not plain JSON, and for a function that carries more than its code tells:
    one inside another, a lambda, a method. Two of those could share a name and answer for each other.
    """
    told = json.dumps([_code(function), package and package_digest(package), digests, settings], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()


def remember(
    function: Callable[..., NDArray[Any]],
    *contents: Any,
    settings: Mapping[str, Any] | None = None,
    package: str = "",
) -> NDArray[Any]:
    """Return `function(*loaded contents, **settings)`, from the cache when it was computed before.

    What stands on several modules names the `package` that holds them: a change of any of its files is then seen.

    `contents` are sources (anything with `digest` and `load`); they are loaded only when something must be computed.
    The array is read-only, memory-mapped where it comes from the cache. Nothing is raised for a full or unwritable
    cache folder: the value is then computed each time. For `TypeError` see `key`.
    """
    settings = dict(settings or {})
    room = folder()
    if room is None:
        return _computed(function, contents, settings)
    name = key(function, tuple(content.digest for content in contents), settings, package=package)
    path = room / "arrays" / name[:2] / f"{name}.npy"
    try:
        kept: NDArray[Any] = np.lib.format.open_memmap(path, mode="r", max_header_size=_HEADER)
    except (OSError, ValueError, EOFError):
        value = _computed(function, contents, settings)
        _keep(path, value)
        return value
    with suppress(OSError):
        os.utime(path)
    return kept


def file_digest(path: Path) -> str:
    """SHA-256 of a file, remembered by path, size and time of change so that a second look reads nothing.

    Raises `ValueError` when the file cannot be read.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise ValueError(f"{path}: there is no such file") from error
    return _file_digest(str(path.resolve()), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=200_000)
def _file_digest(path: str, size: int, changed_ns: int) -> str:
    room = folder()
    note = None
    if room is not None:
        name = hashlib.sha256(f"{path}\0{size}\0{changed_ns}".encode()).hexdigest()
        note = room / "digests" / name[:2] / name
        try:
            kept = note.read_text(encoding="ascii")
            if len(kept) == 64:
                return kept
        except (OSError, UnicodeDecodeError):
            pass
    try:
        with Path(path).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from error
    if note is not None:
        _write(note, digest.encode("ascii"))
    return digest


@cache
def package_digest(package: str) -> str:
    """Return a digest of every source file of a package.

    Raises `ModuleNotFoundError` for a package that is not there.
    """
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError(f"there is no package {package}")
    sha = hashlib.sha256()
    for folder in map(Path, found.submodule_search_locations):
        for path in sorted(folder.rglob("*.py")):
            sha.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return sha.hexdigest()


def sweep(limit_gb: float | None = None) -> int:
    """Delete the least recently used arrays until the folder is below its limit; return how many went.

    Raises `ValueError` when `TRABECULA_CACHE_GB` is no number.
    """
    room = folder()
    if room is None:
        return 0
    limit = (limit_gb if limit_gb is not None else _limit_gb()) * 1e9
    files = []
    for path in (room / "arrays").rglob("*.npy"):
        try:
            status = path.stat()
        except OSError:
            continue
        files.append((status.st_mtime, status.st_size, path))
    total, gone = sum(size for _, size, _ in files), 0
    for _, size, path in sorted(files):
        if total <= limit:
            break
        try:
            path.unlink()
        except OSError:
            continue
        total, gone = total - size, gone + 1
    return gone


def _limit_gb() -> float:
    given = os.environ.get("TRABECULA_CACHE_GB", "8")
    try:
        return float(given)
    except ValueError:
        raise ValueError(f"TRABECULA_CACHE_GB is a number of gigabytes; got {given!r}") from None


def _computed(
    function: Callable[..., NDArray[Any]], contents: tuple[Any, ...], settings: dict[str, Any]
) -> NDArray[Any]:
    value = np.asarray(function(*(content.load() for content in contents), **settings))
    value.flags.writeable = False
    return value


def _keep(path: Path, value: NDArray[Any]) -> None:
    global _written  # noqa: PLW0603 one count of bytes a process decides when to look at the folder's size
    from io import BytesIO  # noqa: PLC0415

    buffer = BytesIO()
    np.save(buffer, value, allow_pickle=False)
    _write(path, buffer.getvalue())
    _written += value.nbytes
    if _written > _SHARE_BETWEEN_SWEEPS * 1e9 * _limit_gb():
        _written = 0
        sweep()


def _write(path: Path, content: bytes) -> None:
    """Write whole or not at all; a cache that cannot be written is only slower."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".part-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            Path(temporary).replace(path)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError:
        return


@cache
def _code(function: Callable[..., Any]) -> str:
    if not inspect.isfunction(function) or "<" in function.__qualname__:
        raise TypeError(f"{function!r} cannot be remembered: write it as a function of its module, with settings")
    try:
        source = inspect.getsource(inspect.getmodule(function) or function)
    except (OSError, TypeError):
        source = repr(function)
    return f"{function.__module__}.{function.__qualname__}:{hashlib.sha256(source.encode()).hexdigest()}"
