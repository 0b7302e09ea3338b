"""Cases that anything which learns from pictures must tell apart, for essences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from trabecula.case import Case, Images

if TYPE_CHECKING:
    from trabecula.image import Source
    from trabecula.target import Target


def separable(cases: Sequence[Case], role: str, target: Target) -> list[Case]:
    """Return the labelled cases, with the pictures of the highest grade turned into negatives.

    How hard the caller's own cases are then does not matter. Masks and other images stay as they are.
    """
    labelled = [case for case in cases if target.id in case.truth]
    highest = len(target.grades) - 1
    return [_turned(case, role) if case.truth[target.id] == highest else case for case in labelled]


def _turned(case: Case, role: str) -> Case:
    image = case.images[role]
    negative = image.with_voxels(float(image.voxels.max()) + float(image.voxels.min()) - image.voxels)
    sources: dict[str, Source] = {each: case.images.source(each) for each in case.images}
    return replace(case, images=Images({**sources, role: negative}))
