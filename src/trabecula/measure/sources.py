"""What measurements depend on apart from image, mask and settings: the code of this package."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path


@cache
def sources_digest() -> str:
    """Return a digest of every source file of `trabecula.measure`.

    It goes into the settings of what is remembered: `cache.remember` looks at one module alone, and a measurement
    stands on several.
    """
    sha = hashlib.sha256()
    folder = Path(__file__).parent
    for path in sorted(folder.rglob("*.py")):
        sha.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return sha.hexdigest()
