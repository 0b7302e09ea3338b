"""The same picture twice: the same pixels, or pictures that only differ by saving, size, brightness or mirroring."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from trabecula import cache

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.case import Case
    from trabecula.image import Image
    from trabecula.system import Progress

Kind = Literal["exact", "near", "turned"]
SIDE = 64  # of a thumbnail, in pixels

_LOOK = np.dtype([
    ("digest", "u1", 32), ("shape", "i8", 3), ("type", "S8"), ("blank", "?"), ("thumbnail", "u1", (SIDE, SIDE)),
])  # fmt: skip


@dataclass(frozen=True, eq=False)
class Looks:
    """What is kept of every image that could be decoded, one row each."""

    rows: NDArray[Any]
    """Digest, shape, stored type, whether it is blank, and thumbnail."""
    cases: NDArray[np.intp]
    """Which case a row belongs to."""
    roles: tuple[str, ...]
    unreadable: tuple[tuple[int, str], ...]
    """Which case holds an image that cannot be decoded, and why not."""


def look_at(cases: Sequence[Case], progress: Progress) -> Looks:
    """Decode every image once, one at a time, and keep a thumbnail; a second look decodes nothing."""
    rows, owners, roles, unreadable = [], [], [], []
    for number, case in enumerate(cases):
        for role in case.images:
            try:
                rows.append(np.array(cache.remember(look, case.images.source(role))))
            except (ValueError, OSError) as error:
                unreadable.append((number, str(error)))
                continue
            owners.append(number)
            roles.append(role)
        progress(number + 1, len(cases), "decoding every image once")
    kept = np.array(rows, dtype=_LOOK) if rows else np.empty(0, dtype=_LOOK)
    return Looks(kept, np.array(owners, dtype=np.intp), tuple(roles), tuple(unreadable))


def look(image: Image) -> NDArray[Any]:
    """Return digest, shape, stored type and thumbnail of an image; a volume is averaged along k."""
    from PIL import Image as Picture  # noqa: PLC0415

    voxels = image.voxels
    sha = hashlib.sha256(repr((voxels.dtype.str, voxels.shape)).encode())
    sha.update(voxels.tobytes())
    flat = Picture.fromarray(voxels.mean(axis=0, dtype=np.float32))
    small = np.asarray(flat.resize((SIDE, SIDE), Picture.Resampling.BOX))
    low, high = float(small.min()), float(small.max())
    kept = np.zeros((), dtype=_LOOK)
    kept["digest"] = np.frombuffer(sha.digest(), dtype=np.uint8)
    kept["shape"], kept["type"] = voxels.shape, voxels.dtype.str
    kept["blank"] = voxels.min() == voxels.max()
    kept["thumbnail"] = np.rint((small - low) * (255 / (high - low))) if high > low else 0
    return kept


def same_pictures(looks: Looks, cases: Sequence[Case]) -> list[tuple[Kind, list[int]]]:
    """Return groups of cases that hold the same picture, with the weakest kind of sameness in the group.

    Parts of one patient may share a picture and are not counted as the same.
    """
    from scipy.sparse import coo_array  # noqa: PLC0415
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415

    links = [(a, b, kind) for a, b, kind in _links(looks) if not _parts_of_one(cases[a], cases[b])]
    if not links:
        return []
    first, second = [a for a, _, _ in links], [b for _, b, _ in links]
    graph = coo_array((np.ones(len(links)), (first, second)), shape=(len(cases), len(cases)))
    _, group = connected_components(graph, directed=False)
    groups: list[tuple[Kind, list[int]]] = []
    for number in dict.fromkeys(group[first].tolist()):
        kinds = {kind for a, _, kind in links if group[a] == number}
        weakest: Kind = "turned" if "turned" in kinds else "near" if "near" in kinds else "exact"
        groups.append((weakest, np.flatnonzero(group == number).tolist()))
    return groups


def _links(looks: Looks) -> list[tuple[int, int, Kind]]:
    """Return pairs of cases with the same picture."""
    seen: dict[bytes, int] = {}
    links: list[tuple[int, int, Kind]] = []
    for row, owner in zip(looks.rows, looks.cases.tolist(), strict=True):
        if not row["blank"]:
            first = seen.setdefault(row["digest"].tobytes(), owner)
            if first != owner:
                links.append((first, owner, "exact"))
    return links


def _parts_of_one(a: Case, b: Case) -> bool:
    return a.patient == b.patient and a.part != b.part
