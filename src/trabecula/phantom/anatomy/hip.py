"""Hips: femora in their sockets, the pelvis about them and the soft tissue, as a scene of either side in any pose."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from trabecula.phantom.anatomy.femur import FemurShape, draw_femur
from trabecula.phantom.anatomy.femur_bone import HipMineral, Pose, posed, solve
from trabecula.phantom.anatomy.flesh import Flesh, draw_flesh, flesh_tissues, joint
from trabecula.phantom.anatomy.hip_bone import PelvisShape, draw_pelvis
from trabecula.phantom.anatomy.hip_pelvis import pelvis_bones
from trabecula.phantom.anatomy.scene import Scene
from trabecula.phantom.anatomy.solid import rotation

if TYPE_CHECKING:
    from numpy.random import Generator

    from trabecula.phantom.anatomy.scene import Bone


@dataclass(frozen=True, kw_only=True)
class Hip:
    """What about somebody's hips does not depend on bone density; both sides are alike."""

    femur: FemurShape
    pelvis: PelvisShape
    flesh: Flesh
    adduction_deg: float
    """By which the shaft leans towards the knee."""


def draw_hip(rng: Generator, *, male: bool, age: float, height_cm: float, bmi: float) -> Hip:
    """Draw somebody's hips."""
    femur = draw_femur(rng, male=male, height_cm=height_cm)
    pelvis = draw_pelvis(rng, male=male, height_cm=height_cm, head_mm=femur.head_mm)
    flesh = draw_flesh(rng, male=male, bmi=bmi, age=age, half_mm=pelvis.half_mm, size=pelvis.size)
    lean = 7.0 + 1.5 * float(np.clip(rng.standard_normal(), -2.5, 2.5))
    return Hip(femur=femur, pelvis=pelvis, flesh=flesh, adduction_deg=lean)


def femur_pose(hip: Hip, *, rotation_deg: float, straight: bool = False) -> Pose:
    """Return how the left femur lies when the leg is turned inwards by degrees from the anatomical position.

    Turned by its anteversion, the neck lies in the plane of a frontal view. `straight` sets the shaft along z, as DXA
    wants it.
    """
    lean = 0.0 if straight else hip.adduction_deg
    x, y, z = rotation(about_z=hip.femur.anteversion_deg - rotation_deg, about_y=lean).tolist()
    return Pose(head=(hip.pelvis.half_mm, 0.0, 0.0), turn=(tuple(x), tuple(y), tuple(z)))


def femora(hip: Hip, mineral: HipMineral, *, left: Pose | None, right: Pose | None) -> list[Bone]:
    """Return the femora of a scene, named `left femur` and `right femur`; the right lies as its pose mirrored."""
    bone = solve(hip.femur, mineral)
    found = []
    if left is not None:
        found.append(posed(bone, left, name="left femur"))
    if right is not None:
        found.append(posed(bone, right, name="right femur", mirrored=True))
    return found


@lru_cache(maxsize=4)
def pelvis_of(hip: Hip, mineral: HipMineral) -> tuple[Bone, ...]:
    """Return the bones of the pelvis; their cortex and trabecular bone follow those of the femur, loosely."""
    bone = solve(hip.femur, mineral)
    cortex = float(np.clip(0.5 + 0.5 * bone.shaft_scale, 0.6, 1.6))
    return tuple(pelvis_bones(
        hip.pelvis, trabecular_mg_cm3=mineral.trabecular_mg_cm3, cortical_mg_cm3=bone.cortical_mg_cm3 * 0.95,
        cortex=cortex, fat=max(0.0, mineral.fat - 0.15),
    ))  # fmt: skip


def hip_scene(hip: Hip, mineral: HipMineral, *, left: Pose | None, right: Pose | None) -> Scene:
    """Return the scene of the hips about the midline, with one femur or both."""
    tissues = (*flesh_tissues(hip.flesh), joint(hip.pelvis.half_mm, hip.pelvis.socket_mm))
    return Scene(tissues=tissues, bones=(*femora(hip, mineral, left=left, right=right), *pelvis_of(hip, mineral)))
