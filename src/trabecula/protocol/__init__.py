"""How we judge: who is learned from and who is judged on, by patient, once per cohort, under a name.

`rule` says what a protocol is; `dealing` deals patients to parts, class by class; `splitting` makes folds of the
protocols that judge by patient, and of a paper's own; `apart` makes those that judge where or when nothing was learned
from: another site, a later time, another cohort; `fewer` hides labels; `split_file` repeats a split that was written.
"""

from __future__ import annotations

from trabecula.protocol.dealing import Fold
from trabecula.protocol.fewer import fewer_labels
from trabecula.protocol.rule import NAMES, SHARES, SHOTS, Protocol
from trabecula.protocol.split_file import GivenSplit, left_out, read_splits
from trabecula.protocol.splitting import published_split, split

__all__ = [
    "NAMES", "SHARES", "SHOTS", "Fold", "GivenSplit", "Protocol", "fewer_labels", "left_out", "published_split",
    "read_splits", "split",
]  # fmt: skip
