"""Paths along the beam through a jaw: bone with its teeth set into it, and the columns of material they make."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from trabecula.phantom.anatomy.teeth import DENTINE_G_CM3, ENAMEL_G_CM3, METAL, Tooth, tooth_paths
from trabecula.phantom.material import BONE_MATRIX_CM3_PER_G, MINERAL_SHARE, get_material

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

CORTICAL_MG_CM3 = 1000.0
"""Hydroxyapatite of compact bone in its own volume."""
LAMINA_DURA_MM, LIGAMENT_MM = 0.30, 0.22
"""Wall of a socket, and the space between it and the root; the space is 0.15 to 0.38 mm, recalled."""
_YELLOW = 0.85
"""Share of the marrow's volume that is yellow in an adult's jaw; ours."""


@dataclass(eq=False, kw_only=True)
class JawPaths:
    """Paths in mm `[z, x]` through one jaw, and where what is; teeth are set into it one by one."""

    cortical: Floats
    trabecular: Floats
    """Path through the marrow space."""
    mg_cm3: Floats
    """Trabecular density there; hydroxyapatite."""
    crest_mm: Floats
    """Depth below the alveolar crest, negative above it."""
    border_mm: Floats
    """Depth inside the outline without regard to the crest."""
    canal_mm: Floats
    """Distance to the middle of the mandibular canal."""
    pixel_mm: float
    enamel: Floats = field(init=False)
    dentine: Floats = field(init=False)
    metal: Floats = field(init=False)
    aluminium: Floats = field(init=False)
    tooth_mm: Floats = field(init=False)
    """Depth inside the nearest tooth's outline, -3 from 3 mm outside on."""

    def __post_init__(self) -> None:
        self.enamel, self.dentine, self.metal, self.aluminium = (np.zeros_like(self.cortical) for _ in range(4))
        self.tooth_mm = np.full_like(self.cortical, -3.0)

    @property
    def solid_mm(self) -> Floats:
        """Path through bone and teeth."""
        return self.cortical + self.trabecular + self.enamel + self.dentine

    def set_tooth(self, tooth: Tooth, x: Floats, z: Floats) -> None:
        """Put a tooth into the bone: its socket takes the place of marrow first, then of cortex."""
        if (found := tooth_paths(tooth, x, z)) is None:
            return
        where, inside = found.where, ledge(self.crest_mm[found.where], 0.5)
        space, cortex = self.trabecular[where], self.cortical[where]
        socket = found.grown(LIGAMENT_MM) * inside
        lamina = found.grown(LIGAMENT_MM + LAMINA_DURA_MM) * inside - socket
        lamina = np.minimum(lamina, np.maximum(space + 0.4 * cortex - socket, 0))
        beyond = np.maximum(socket + lamina - space, 0)
        self.trabecular[where] = np.maximum(space - socket - lamina, 0)
        self.cortical[where] = np.maximum(cortex - 0.7 * beyond, np.minimum(cortex, 0.5)) + lamina
        for total, part in (
            (self.enamel, found.enamel), (self.dentine, found.dentine), (self.metal, found.metal),
            (self.aluminium, found.aluminium),
        ):  # fmt: skip
            total[where] += part
        self.tooth_mm[where] = np.maximum(self.tooth_mm[where], found.depth)

    def columns(self, mesh: Floats) -> dict[str, Floats]:
        """Return columns in g/cm² by material; `mesh` is local trabecular density over its mean."""
        mineral = (CORTICAL_MG_CM3 * self.cortical + self.mg_cm3 * mesh * self.trabecular) * 1e-4
        matrix = mineral / MINERAL_SHARE
        marrow = np.maximum((self.cortical + self.trabecular) / 10 - BONE_MATRIX_CM3_PER_G * matrix, 0)
        hard = {
            name: (ENAMEL_G_CM3[name] * self.enamel + DENTINE_G_CM3[name] * self.dentine) / 10 for name in ENAMEL_G_CM3
        }
        return {
            "bone_matrix": matrix,
            "yellow_marrow": _YELLOW * get_material("yellow_marrow").density * marrow,
            "red_marrow": (1 - _YELLOW) * get_material("red_marrow").density * marrow,
            METAL: get_material(METAL).density * self.metal / 10,
            "aluminium": get_material("aluminium").density * self.aluminium / 10,
            **hard,
        }


def ledge(depth: Floats, reach: float) -> Floats:
    """Return 0 outside, 1 from `reach` mm inside on, round in between."""
    inside = np.clip(depth / reach, 0, 1)
    return np.asarray(np.sqrt(inside * (2 - inside)))


def rise(values: Floats, start: float, end: float) -> Floats:
    """Return 0 before the start, 1 after the end, smooth in between."""
    part = np.clip((values - start) / (end - start), 0, 1)
    return np.asarray(part * part * (3 - 2 * part))
