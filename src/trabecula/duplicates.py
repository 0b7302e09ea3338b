"""The same picture twice: the same pixels, or one picture saved again, resized, cropped, brightened or turned.

Exact copies share a digest of decoded pixels. For the others a thumbnail is reduced to its texture. Pairs with nearly
the same spectrum, which no shift changes, are laid on each other, and are one picture when their textures correlate.

How the limit was chosen: of 259 distinct knee radiographs of a public set, 12 pairs reach 0.94 and all are one film by
eye; the next 12 pairs have 0.78 to 0.88 and all are two films. Of 40 of them saved as JPEG of quality 30, made square,
brightened, inverted, mirrored, turned by right angles or with noise of 10 %, all are found; with padding nine in ten,
with 5 % cut off two sides three in four, with an equalised histogram a third, with 10 % cut off two sides a quarter,
and turned by 10 degrees none.

Volumes are compared by their digests alone: averaged along k, tables, rods and the surface of the body are sharper than
what is the patient's own, and different people pass for copies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from trabecula import cache

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.case import Case
    from trabecula.image import Image, Source
    from trabecula.system import Progress

Kind = Literal["exact", "near", "turned"]
Link = tuple[int, int, Kind]

SIDE = 128  # pixels of a thumbnail
SAME = 0.91
"""Correlation of two textures laid on each other from which they are one picture."""

_COARSE = 64  # pixels on which candidates are looked for and first laid on each other
_ALIKE = 0.85  # correlation of spectra that makes a candidate
_PARTNERS = 8  # candidates a picture and turn
_WORK = 2  # candidates a picture in all, the most alike first, so that work does not grow with the cohort's square
_RANDOM_PAIRS = 60
_LOOK = np.dtype([
    ("digest", "u1", 32), ("shape", "i8", 3), ("type", "S8"), ("blank", "?"), ("thumbnails", "u1", (2, SIDE, SIDE)),
])  # fmt: skip


@dataclass(frozen=True, eq=False)
class Looks:
    """What is kept of every image that could be decoded, one row each."""

    rows: NDArray[Any]
    """Digest, shape, stored type, whether it is blank, and thumbnails with and without bars at the edges."""
    cases: NDArray[np.intp]
    """Which case a row belongs to."""
    roles: tuple[str, ...]
    unreadable: tuple[tuple[int, str], ...]
    """Which case holds an image or mask that cannot be decoded, and why not."""
    empty: tuple[tuple[int, str], ...]
    """Which case holds an image of one value or a mask without a label, and in which role."""


def look_at(cases: Sequence[Case], progress: Progress) -> Looks:
    """Decode every image and mask once, one at a time, and keep thumbnails; a second look decodes nothing."""
    rows: list[NDArray[Any]] = []
    owners: list[int] = []
    roles: list[str] = []
    unreadable: list[tuple[int, str]] = []
    empty: list[tuple[int, str]] = []
    for number, case in enumerate(cases):
        for role, source in _sources(case):
            mask = role in case.masks
            try:
                seen = np.array(cache.remember(_holds_labels if mask else look, source))
            except (ValueError, OSError) as error:
                unreadable.append((number, str(error)))
                continue
            if not seen if mask else seen["blank"]:
                empty.append((number, role))
            if not mask:
                rows.append(seen)
                owners.append(number)
                roles.append(role)
        progress(number + 1, len(cases), "decoding every image once")
    kept = np.array(rows, dtype=_LOOK) if rows else np.empty(0, dtype=_LOOK)
    return Looks(kept, np.array(owners, dtype=np.intp), tuple(roles), tuple(unreadable), tuple(empty))


def _sources(case: Case) -> Iterator[tuple[str, Source]]:
    for images in (case.images, case.masks):
        for role in images:
            yield role, images.source(role)


def _holds_labels(mask: Image) -> NDArray[np.bool_]:
    return np.asarray(mask.voxels.any())


def look(image: Image) -> NDArray[Any]:
    """Return digest, shape, stored type and, of a picture of one slice, thumbnails."""
    voxels = image.voxels
    sha = hashlib.sha256(repr((voxels.dtype.str, voxels.shape)).encode())
    sha.update(voxels.tobytes())
    kept = np.zeros((), dtype=_LOOK)
    kept["digest"] = np.frombuffer(sha.digest(), dtype=np.uint8)
    kept["shape"], kept["type"] = voxels.shape, voxels.dtype.str
    kept["blank"] = voxels.min() == voxels.max()
    if len(voxels) == 1:
        flat = voxels[0].astype(np.float32)
        kept["thumbnails"] = _thumbnail(flat), _thumbnail(_without_bars(flat))
    return kept


def _thumbnail(flat: NDArray[np.float32]) -> NDArray[np.uint8]:
    from PIL import Image as Picture  # noqa: PLC0415

    small = np.asarray(Picture.fromarray(flat).resize((SIDE, SIDE), Picture.Resampling.BOX))
    low, high = float(small.min()), float(small.max())
    return np.rint((small - low) * (255 / max(high - low, 1e-9))).astype(np.uint8)


def _without_bars(flat: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut off rows and columns of one value at the edges: padding is no picture."""
    spread = 0.03 * (flat.max() - flat.min())
    for _ in range(2):
        low, high = np.quantile(flat, [0.02, 0.98], axis=1)
        held = np.flatnonzero(high - low > spread)
        flat = flat[held[0] : held[-1] + 1].T if len(held) else flat.T
    return flat


def same_pictures(looks: Looks, cases: Sequence[Case], *, seed: int = 0) -> list[tuple[Kind, list[int]]]:
    """Return groups of cases that hold the same picture, with the weakest kind of sameness in the group.

    Parts of one patient may share a picture, so a group of nothing else is left out; blank images are not compared.
    """
    from scipy.sparse import coo_array  # noqa: PLC0415
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415

    links = list(_links(looks, seed))
    if not links:
        return []
    first, second = [a for a, _, _ in links], [b for _, b, _ in links]
    graph = coo_array((np.ones(len(links)), (first, second)), shape=(len(cases), len(cases)))
    _, group = connected_components(graph, directed=False)
    groups: list[tuple[Kind, list[int]]] = []
    for number in dict.fromkeys(group[first].tolist()):
        members = np.flatnonzero(group == number).tolist()
        if not _parts_of_one([cases[i] for i in members]):
            kinds = {kind for a, _, kind in links if group[a] == number}
            weakest: Kind = "turned" if "turned" in kinds else "near" if "near" in kinds else "exact"
            groups.append((weakest, members))
    return groups


def _links(looks: Looks, seed: int) -> Iterator[Link]:
    """Yield pairs of cases with the same picture; copies of one digest hang on the first of them."""
    first: dict[bytes, int] = {}
    for row in np.flatnonzero(~looks.rows["blank"]).tolist():
        digest = looks.rows[row]["digest"].tobytes()
        held = first.setdefault(digest, row)
        if looks.cases[held] != looks.cases[row]:
            yield int(looks.cases[held]), int(looks.cases[row]), "exact"
    distinct = np.array(list(first.values()), dtype=np.intp)
    distinct = distinct[looks.rows["shape"][distinct, 0] == 1]
    stack = _Thumbnails(looks.rows["thumbnails"][distinct])
    for a, b, turned in cache.remember(near, stack, settings={"seed": seed}).tolist():
        one, other = int(looks.cases[distinct[a]]), int(looks.cases[distinct[b]])
        if one != other:
            yield one, other, "turned" if turned else "near"


@dataclass(frozen=True, eq=False)
class _Thumbnails:
    """Thumbnails as something the cache knows, so that a second check compares nothing."""

    stack: NDArray[np.uint8]

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.stack.tobytes()).hexdigest()

    def load(self) -> NDArray[np.uint8]:
        return self.stack


def near(thumbnails: NDArray[np.uint8], *, seed: int = 0) -> NDArray[np.intp]:
    """Return pairs of thumbnails `[n, 2, SIDE, SIDE]`, with bars and without, that show one picture: `[pairs, 3]`.

    The third number is 1 where one of them is mirrored or turned. Where even random pairs look alike (patches of
    texture, phantoms), pictures must agree by 5 SD more than those do.
    """
    barred = (thumbnails[:, 0] != thumbnails[:, 1]).any(axis=(1, 2))
    found: dict[tuple[int, int], tuple[float, bool]] = {}
    for version in range(2 if barred.any() else 1):
        pictures = thumbnails[:, version]
        for a, b, turn in _candidates(pictures):
            if version and not (barred[a] or barred[b]):
                continue
            score, turned = _sameness(pictures[a], pictures[b], turn)
            if score >= SAME and score > found.get((a, b), (0.0, turned))[0]:
                found[a, b] = score, turned
    limit = _limit(thumbnails[:, 0], seed) if found else SAME
    kept = [(a, b, int(turned)) for (a, b), (score, turned) in sorted(found.items()) if score >= limit]
    return np.array(kept, dtype=np.intp).reshape(-1, 3)


def _candidates(thumbnails: NDArray[np.uint8]) -> list[tuple[int, int, int]]:
    """Return pairs with nearly the same spectrum, and by which turn: bit 0 upside down, bit 1 transposed."""
    if len(thumbnails) < 2:
        return []
    spectra = np.concatenate([_spectra(thumbnails[at : at + 256]) for at in range(0, len(thumbnails), 256)])
    rows = spectra.reshape(len(spectra), -1)
    found: list[tuple[float, int, int, int]] = []
    for turn in range(4):
        turned = _turned(spectra, turn).reshape(rows.shape)
        for start in range(0, len(rows), 256):
            alike = rows[start : start + 256] @ turned[start:].T
            alike[np.tril_indices(len(alike), 0, alike.shape[1])] = -1
            most = min(_PARTNERS, alike.shape[1])
            partners = np.argpartition(alike, -most, axis=1)[:, -most:]
            best = np.take_along_axis(alike, partners, axis=1)
            for row, place in np.argwhere(best >= _ALIKE).tolist():
                found.append((-float(best[row, place]), start + row, start + int(partners[row, place]), turn))
    return [(a, b, turn) for _, a, b, turn in sorted(found)[: max(2000, _WORK * len(rows))]]


def _spectra(thumbnails: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the roots of the low frequencies' amplitudes `[n, 33, 33]`, of mean 0 and length 1."""
    window = np.hanning(_COARSE)[:, None] * np.hanning(_COARSE)
    textures = np.stack([_texture(thumbnail, _COARSE) for thumbnail in thumbnails])
    amplitudes = np.abs(np.fft.fftshift(np.fft.fft2(textures * window), axes=(1, 2)))
    middle = slice(_COARSE // 2 - 16, _COARSE // 2 + 17)
    roots = np.asarray(np.sqrt(amplitudes[:, middle, middle]), dtype=np.float32)
    roots -= roots.mean(axis=(1, 2), keepdims=True)
    length = np.linalg.norm(roots, axis=(1, 2), keepdims=True)
    return np.asarray(roots / np.maximum(length, 1e-9))


def _sameness(a: NDArray[np.uint8], b: NDArray[np.uint8], turn: int, *, floor: float = 0.87) -> tuple[float, bool]:
    """Return how well textures correlate after the best affine map, with a turn of `b` and perhaps half a turn more.

    Inverted pictures agree as well. Pairs that agree less than `floor` on half the pixels a side get 0.
    """
    turned = _turned(b, turn)
    fixed, moving = _texture(a, _COARSE), _texture(turned, _COARSE)
    shifts = [_shift(fixed, moving), _shift(fixed, moving[::-1, ::-1])]
    half = shifts[1][0] > shifts[0][0]
    _, down, right = shifts[half]
    start = np.array([[1.0, 0, down], [0, 1, right]])
    score, placed = _register(fixed, moving[::-1, ::-1] if half else moving, start, steps=6)
    if score >= floor:
        whole = _texture(turned[::-1, ::-1] if half else turned, SIDE)
        score, _ = _register(_texture(a, SIDE), whole, placed * [1, 1, SIDE / _COARSE], steps=5)
        return score, bool(turn or half)
    return 0.0, False


def _shift(a: NDArray[np.float32], b: NDArray[np.float32]) -> tuple[float, int, int]:
    """Return how much of `b` lies on `a` after the best shift, and that shift along y and x."""
    window = np.hanning(len(a))[:, None] * np.hanning(len(a))
    first, second = (np.fft.rfft2(texture * window) for texture in (a, b))
    overlap = np.abs(np.fft.irfft2(first.conj() * second, s=a.shape))
    y, x = np.unravel_index(overlap.argmax(), overlap.shape)
    half = len(a) // 2
    return float(overlap[y, x]), (int(y) + half) % len(a) - half, (int(x) + half) % len(a) - half


def _register(
    a: NDArray[np.float32], b: NDArray[np.float32], placed: NDArray[np.float64], *, steps: int
) -> tuple[float, NDArray[np.float64]]:
    """Return the best correlation on the way of Gauss and Newton, and the affine map `[2, 3]` from `a` to `b` there.

    The outer 3 % are left out: frames and cut edges are no picture.
    """
    from scipy.ndimage import map_coordinates  # noqa: PLC0415

    half = (len(a) - 1) / 2
    y, x = np.mgrid[: len(a), : len(a)] - half
    inner = half * 0.94
    slopes = np.gradient(b)
    best, where = 0.0, placed
    for step in range(steps):
        to_y, to_x = (row[0] * y + row[1] * x + row[2] for row in placed)
        seen = np.maximum.reduce([abs(y), abs(x), abs(to_y), abs(to_x)]) <= inner
        if seen.mean() < 0.35 or np.abs(placed[:, :2] - np.eye(2)).max() > 0.5:
            break
        at = np.stack([to_y[seen], to_x[seen]]) + half
        moved, down, right = (map_coordinates(field, at, order=1) for field in (b, *slopes))
        fixed, plain = a[seen], np.ones(int(seen.sum()))
        score = abs(_correlation(fixed, moved))
        if step > 1 and score < max(best + 0.001, 0.6):
            break
        if score > best:
            best, where = score, placed
        basis = np.stack([y[seen], x[seen], plain])
        changes = np.concatenate([down * basis, right * basis, [-fixed, -plain]])
        change = np.linalg.solve(changes @ changes.T + 1e-6 * np.eye(8), -changes @ moved)[:6].reshape(2, 3)
        placed = placed + np.clip(change, *(np.array([0.1, 0.1, 0.05 * len(a)]) * sign for sign in (-1, 1)))
    return best, where


def _texture(thumbnail: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """Return what is finer than 2.5 pixels, in its own SD and cut at 2.5: brightness, frames and letters fade."""
    from scipy.ndimage import gaussian_filter  # noqa: PLC0415

    step = SIDE // side
    picture = thumbnail.reshape(side, step, side, step).mean(axis=(1, 3), dtype=np.float32)
    fine = picture - gaussian_filter(picture, 2.5)
    return np.asarray(np.clip(fine / max(float(fine.std()), 1e-6), -2.5, 2.5))


def _limit(thumbnails: NDArray[np.uint8], seed: int) -> float:
    """Return `SAME`, or more where random pairs agree so well that only more is remarkable (on Fisher's z scale)."""
    pairs = np.random.default_rng(seed).integers(0, len(thumbnails), (_RANDOM_PAIRS, 2))
    scores = [_sameness(thumbnails[a], thumbnails[b], 0, floor=0.0)[0] for a, b in pairs if a != b]
    if not scores:
        return SAME
    z = np.arctanh(np.clip(scores, 0, 0.999999))
    spread = 1.4826 * np.median(np.abs(z - np.median(z)))
    return max(SAME, float(np.tanh(np.median(z) + 5 * spread)))


def _turned(pictures: NDArray[Any], turn: int) -> NDArray[Any]:
    flipped = pictures[..., ::-1, :] if turn & 1 else pictures
    return np.swapaxes(flipped, -1, -2) if turn & 2 else flipped


def _correlation(a: NDArray[Any], b: NDArray[Any]) -> float:
    first, second = a - a.mean(), b - b.mean()
    return float((first * second).sum() / max(np.sqrt((first**2).sum() * (second**2).sum()), 1e-9))


def _parts_of_one(cases: Sequence[Case]) -> bool:
    return len({case.patient for case in cases}) == 1 and len({case.part for case in cases}) == len(cases)
