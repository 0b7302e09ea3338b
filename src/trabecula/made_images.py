"""Images that are made, such as a phantom's: made once, and kept in the cache by the recipe and the code behind it."""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from trabecula import cache
from trabecula.image import Image, Source

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LENGTH = 8  # bytes that say how long the header is


@dataclass(frozen=True)
class MadeImage:
    """The source of an image that a recipe makes in seconds and the cache gives back in milliseconds.

    `package` is what the recipe stands on, such as `trabecula.phantom`: an image made by older code of it is never
    given back.
    """

    recipe: Source = field(repr=False)
    package: str = field(repr=False)

    @property
    def digest(self) -> str:
        """SHA-256 over the recipe and the code: what is remembered of an image holds for the code that made it."""
        return hashlib.sha256(f"{self.recipe.digest} {cache.package_digest(self.package)}".encode()).hexdigest()

    @property
    def side(self) -> str:
        """The side of the body that the recipe tells, or nothing."""
        return str(getattr(self.recipe, "side", ""))

    def load(self) -> Image:
        """Make the image, or take it from the cache; bit for bit the same."""
        return _unpacked(cache.remember(packed, self.recipe, package=self.package))


def packed(image: Image) -> NDArray[np.uint8]:
    """Return an image as bytes `[n]`: the length of a header, the header in JSON, the voxels; label maps compressed."""
    voxels = image.voxels.tobytes()
    header = {
        "dtype": image.voxels.dtype.str, "shape": image.shape, "unit": image.unit, "spacing": image.spacing,
        "origin": image.origin, "direction": image.direction, "space": image.space,
        "names": list(image.names.items()), "compressed": image.unit == "label",
    }  # fmt: skip
    told = json.dumps(header).encode()
    told += b" " * (-(_LENGTH + len(told)) % 16)  # voxels begin where any type may be read in place
    body = zlib.compress(voxels, 1) if image.unit == "label" else voxels
    return np.frombuffer(len(told).to_bytes(_LENGTH, "little") + told + body, dtype=np.uint8)


def _unpacked(kept: NDArray[np.uint8]) -> Image:
    end = _LENGTH + int.from_bytes(kept[:_LENGTH].tobytes(), "little")
    told: dict[str, Any] = json.loads(kept[_LENGTH:end].tobytes())
    body: Any = zlib.decompress(kept[end:].tobytes()) if told["compressed"] else kept[end:]
    return Image(
        voxels=np.frombuffer(body, dtype=told["dtype"]).reshape(told["shape"]),
        unit=told["unit"],
        spacing=told["spacing"] and tuple(told["spacing"]),
        origin=tuple(told["origin"]),
        direction=tuple(tuple(row) for row in told["direction"]),
        space=told["space"],
        names=dict(told["names"]),
    )
