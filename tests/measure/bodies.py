"""Vertebral bodies of known shape as label maps, and every way to lay a volume out."""

from dataclasses import replace
from itertools import permutations, product

import numpy as np

from trabecula.image import Image
from trabecula.phantom.anatomy.scene import Bone, Grid, Scene
from trabecula.phantom.anatomy.solid import rotation
from trabecula.phantom.anatomy.vertebra import body_solid, usual_vertebra


def placed(vertebra, *, turn=(0.0, 0.0, 0.0), shift=(0.0, 0.0, 0.0)):
    """A body as a solid, turned by degrees about x, y and z."""
    about = dict(zip(("about_x", "about_y", "about_z"), turn, strict=True))
    return body_solid(vertebra).moved(turn=rotation(**about), shift=np.asarray(shift))


def label_map(solids, mm=(1.0, 1.0, 1.0), margin=3.0):
    """The label map of solids by level, on a grid about all of them."""
    bones = tuple(
        Bone(name=level, solid=solid, wall_mm=0.5, cortical_mg_cm3=900, trabecular_mg_cm3=100, fat=0.5)
        for level, solid in solids.items()
    )
    low = np.min([solid.low for solid in solids.values()], axis=0) - margin
    high = np.max([solid.high for solid in solids.values()], axis=0) + margin
    values = {level: n for n, level in enumerate(solids, 1)}
    return Scene(tissues=(), bones=bones).labels(Grid.around(low, high, mm), values)


def spine(levels, mm=(1.0, 1.0, 1.0), *, deformed=None, tilt=0.0, gap=9.0):
    """Bodies one above the other along z, usual but for those deformed: level -> (shape, loss)."""
    z, solids, truth = 0.0, {}, {}
    for level in reversed(levels):
        usual = usual_vertebra(level, male=False, height_cm=163)
        vertebra = usual.deformed(*deformed[level]) if deformed and level in deformed else usual
        z += usual.posterior / 2
        solids[level] = placed(vertebra, turn=(tilt, 0.0, 0.0), shift=(0.3, 0.2, z))
        truth[level] = vertebra
        z += usual.posterior / 2 + gap
    return label_map(dict(reversed(solids.items())), mm), truth


def orientations(image):
    """All 48 ways to permute and flip the axes of a volume, each with the affine that leaves it where it is."""
    for order in permutations(range(3)):
        for flips in product((1, -1), repeat=3):
            voxels = image.voxels.transpose(order)[tuple(slice(None, None, flip) for flip in flips)]
            direction = np.asarray(image.direction)[list(order)] * np.asarray(flips)[:, None]
            spacing = tuple(image.spacing[axis] for axis in order)
            steps = np.array([0 if flip == 1 else n - 1 for flip, n in zip(flips, voxels.shape, strict=True)])
            first = np.asarray(image.origin) - (steps * spacing) @ direction
            yield replace(
                image, voxels=voxels, spacing=spacing, direction=tuple(map(tuple, direction)), origin=tuple(first)
            )


def painted(mask, hu, *, noise=0.0, outside=-50.0, seed=0):
    """A CT in which each label of a mask has its own HU."""
    values = np.full(mask.shape, outside)
    for value, each in hu.items():
        values[mask.voxels == value] = each
    values += noise * np.random.default_rng(seed).standard_normal(mask.shape)
    return Image(voxels=values, unit="HU", spacing=mask.spacing, origin=mask.origin, direction=mask.direction)
