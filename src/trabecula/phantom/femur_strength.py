"""What the neck of a femur bears in a fall to the side, by its mineral, its shape and the stature of who falls.

The neck is a beam that the force bends over its length. Areal BMD times width is its bone in cross-section, that times
width its section modulus, so that it bears in proportion to BMD x width^2 / length (hip structural analysis: Beck,
Invest Radiol 1990;25:6, recalled). The force goes with weight and the root of stature, as in the facts of systems 33
and 34; it is that of a usual body mass index, because of what somebody heavier of the same stature falls with more,
soft tissue over the trochanter takes off about as much (71 N per mm, same facts; 2 to 3 mm per kg/m2, ours). A longer
neck and a taller person break sooner, a wider neck later, at the same areal BMD: a DXA map shows that, BMD does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trabecula.phantom.anatomy.hip_owner import femur_of
from trabecula.phantom.population import Bodies, usual_bmd

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trabecula.phantom.chance import Chance

    Floats = NDArray[np.float64]

# Usual women and men, about whom strength is 0.
_WIDTH_MM = np.array([30.4, 34.4])
_LENGTH_MM = np.array([49.5, 55.0])
_HEIGHT_CM = np.array([163.0, 177.0])
_SD = 0.21  # of the logarithm of what is borne over the force, among people of a sex and age; measured


def femur_strength(chance: Chance, bodies: Bodies) -> Floats:
    """Return ln of what the neck bears over the force of a fall, in SD of people of this sex and age."""
    people = zip(chance.patients.tolist(), bodies.sex.tolist(), bodies.height_cm.tolist(), strict=True)
    shapes = [femur_of(who, chance.seed, male=bool(sex), height_cm=height) for who, sex, height in people]
    width = np.log([2 * shape.neck_half_mm for shape in shapes] / _WIDTH_MM[bodies.sex])
    length = np.log([shape.neck_mm for shape in shapes] / _LENGTH_MM[bodies.sex])
    bmd = np.log(bodies.bmd[:, 0] / usual_bmd(bodies.sex, bodies.age)[:, 0])
    force = 2.5 * np.log(bodies.height_cm / _HEIGHT_CM[bodies.sex])
    return np.asarray((bmd + 2 * width - length - force) / _SD, dtype=np.float64)
