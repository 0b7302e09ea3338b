"""The table of what can be measured: which images, masks and facts a quantity takes, and what measures it.

A row more in `QUANTITIES` is a word more of `trabecula measure --what`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from trabecula.measure.areal import measure_areal
from trabecula.measure.density import Calibration, internal_calibration, rod_calibration
from trabecula.measure.elements import dxa_fall, dxa_stance, femoral_fall, femoral_stance, vertebral_compression
from trabecula.measure.elements.femur import impact_force
from trabecula.measure.hounsfield import REGIONS, measure_hounsfield
from trabecula.measure.interpretation import Facts, interpreted_areal, interpreted_density, interpreted_hounsfield
from trabecula.measure.masks import is_level, part_mask
from trabecula.measure.muscle import measure_psoas
from trabecula.measure.number import Measured, Missing, Number, of_parts
from trabecula.measure.radiomics import extract
from trabecula.measure.texture import measure_texture
from trabecula.measure.tissues import found_tissues
from trabecula.measure.vertebra import measure_vertebrae
from trabecula.prediction import Abstain

if TYPE_CHECKING:
    from trabecula.image import Image
    from trabecula.measure.hounsfield import RegionName

BODIES, PSOAS, RODS, TISSUES = "vertebral_bodies", "psoas", "calibration_rods", "tissues"
FEMUR, HIP_REGIONS, REGION = "proximal_femur", "hip_regions", "trabecular_region"
BONES = (BODIES, "bones", FEMUR, "bone", HIP_REGIONS, REGION)
"""Roles of masks whose parts are bones, the first that a case has."""

_FALL_N, _STANCE_N = 3000.0, 2000.0


@dataclass(frozen=True, eq=False, kw_only=True)
class Held:
    """What a measurement was given: images and masks by role, and what is known of patient and scan by name."""

    images: Mapping[str, Image]
    masks: Mapping[str, Image]
    facts: Facts

    @property
    def image(self) -> Image:
        """The one image that most measurements take."""
        return next(iter(self.images.values()))

    @property
    def mask(self) -> Image | None:
        """The first mask; `None` without one."""
        return next(iter(self.masks.values()), None)


Measure: TypeAlias = Callable[[Held], list[Measured]]


@dataclass(frozen=True, kw_only=True)
class View:
    """An image to measure in, and the masks that it takes."""

    measure: Measure
    masks: tuple[tuple[str, ...], ...]
    """Alternatives: tuples of roles, of which the first that a case has all of is taken."""
    modalities: tuple[str, ...] = ()
    """Of the image: `ct`."""
    role: str = ""
    """Of the image, instead of a modality, where its mask belongs to no other."""


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """Something that can be measured in a case, in each of the views that the case has."""

    id: str
    title: str
    views: tuple[View, ...]
    facts: tuple[str, ...] = ()
    """Names of table variables and acquisition facts that its numbers depend on."""
    native: bool = False
    """Whether contrast medium changes what its numbers mean: a case abstains that had some, or may have had."""
    regions: tuple[RegionName, ...] = ("whole",)
    """Which regions of a bone a picture of it shows."""


def calibration_of(image: Image, masks: Mapping[str, Image]) -> Calibration:
    """Return the calibration by rods where there are some, else by the tissues that are named or found.

    Raises `ValueError` where neither tells anything.
    """
    if RODS in masks:
        return rod_calibration(image, masks[RODS])
    if TISSUES in masks:
        return internal_calibration(image, masks[TISSUES])
    return internal_calibration(image, found_tissues(image, list(masks.values())))


def _hounsfield(held: Held) -> list[Measured]:
    (mask,) = held.masks.values()
    return measure_hounsfield(held.image, mask)


def _density(held: Held) -> list[Measured]:
    """Return trabecular densities in mg/cm3 of vertebrae."""
    calibration = calibration_of(held.image, held.masks)
    means = measure_hounsfield(held.image, held.masks[BODIES], {"ellipse": REGIONS["ellipse"]})
    found: list[Measured] = []
    for each in means:
        if isinstance(each, Missing):
            found.append(replace(each, name=f"vbmd_{calibration.material}_ellipse"))
        elif each.name == "mean_hu_ellipse":
            found.append(calibration.density(each))
    return found


def _vertebra(held: Held) -> list[Measured]:
    return measure_vertebrae(held.masks[BODIES])


def _muscle(held: Held) -> list[Measured]:
    return measure_psoas(held.image, held.masks[PSOAS], held.masks[BODIES])


def _radiomics(held: Held) -> list[Measured]:
    (mask,) = held.masks.values()
    names = dict(mask.names) or {1: "mask"}

    def of(part: str) -> list[Number]:
        one = part_mask(replace(mask, names=names), part)
        return [
            Number(
                name=name, value=value, unit=_unit_of(name, held.image), part=part, region="whole region of the mask"
            )
            for name, value in extract(held.image, one).items()
        ]

    return of_parts(of, list(dict.fromkeys(names.values())), names=("radiomics",))


def _unit_of(tag: str, image: Image) -> str:
    """Return the unit of a feature where it is the image's own, or a length; `1` for the others."""
    own = ("stat_mean", "stat_median", "stat_min", "stat_max", "stat_range", "stat_p10", "stat_p90", "loc_peak_loc")
    return {"morph_volume": "mm3", "morph_area_mesh": "mm2"}.get(tag, image.unit if tag in own else "1")


def _texture(held: Held) -> list[Measured]:
    return measure_texture(held.image, held.mask)


def _areal(held: Held) -> list[Measured]:
    (mask,) = held.masks.values()
    return measure_areal(held.image, mask)


def _pressed(held: Held) -> list[Measured]:
    """Return what vertebral bodies bear."""
    bodies = held.masks[BODIES]
    calibration = calibration_of(held.image, held.masks)
    line = (calibration.mg_cm3_per_hu, calibration.offset_mg_cm3)

    def of(part: str) -> list[Number]:
        found = vertebral_compression(held.image, bodies, part=part, hu_calibration=line)
        return [replace(each, region=f"{each.region}; {calibration.source}") for each in found]

    levels = [name for name in dict.fromkeys(bodies.names.values()) if is_level(name)]
    return of_parts(of, levels, names=("failure_load",))


def _loaded_femur(held: Held) -> list[Measured]:
    """Return what femurs in CT bear in a fall to the side and in stance."""
    femur = held.masks[FEMUR]
    calibration = calibration_of(held.image, held.masks)
    line = (calibration.mg_cm3_per_hu, calibration.offset_mg_cm3)

    def of(part: str) -> list[Number]:
        fall = femoral_fall(held.image, femur, part=part, force_n=_force(held.facts), hu_calibration=line)
        stance = femoral_stance(held.image, femur, part=part, force_n=_STANCE_N, hu_calibration=line)
        return [replace(each, region=f"{each.region}; {calibration.source}") for each in _cases(fall, stance)]

    return of_parts(of, list(dict.fromkeys(femur.names.values())), names=("fall_failure_load", "stance_failure_load"))


def _loaded_map(held: Held) -> list[Measured]:
    """Return what the femur of a DXA map bears, as a plate."""
    femur = held.masks[FEMUR]

    def of(part: str) -> list[Number]:
        fall = dxa_fall(held.image, femur, part=part, force_n=_force(held.facts))
        return _cases(fall, dxa_stance(held.image, femur, part=part, force_n=_STANCE_N))

    return of_parts(of, list(dict.fromkeys(femur.names.values())), names=("fall_failure_load", "stance_failure_load"))


def _force(facts: Facts) -> float:
    """Return the force of a fall by weight and height, the usual 3,000 N where either is not known."""
    if "weight_kg" in facts and "height_cm" in facts:
        return impact_force(float(facts["weight_kg"]), float(facts["height_cm"]))
    return _FALL_N


def _cases(fall: list[Number], stance: list[Number]) -> list[Number]:
    return [replace(n, name=f"{name}_{n.name}") for name, each in (("fall", fall), ("stance", stance)) for n in each]


def _means_of_volume(held: Held) -> list[Measured]:
    """Return what HU and density of vertebrae mean by published cuts."""
    found = interpreted_hounsfield(_hounsfield_of_ellipses(held), held.facts)
    contrast = held.facts.get("contrast")
    if contrast != "none":
        why = "is not known, and the density depends on it" if contrast is None else f"({contrast}) raises the density"
        return [*found, _refused("qct_class", f"the contrast {why}")]
    try:
        return [*found, *interpreted_density(_density(held))]
    except ValueError as error:
        return [*found, _refused("qct_class", str(error))]


def _hounsfield_of_ellipses(held: Held) -> list[Measured]:
    return measure_hounsfield(held.image, held.masks[BODIES], {"ellipse": REGIONS["ellipse"]})


def _refused(name: str, reason: str) -> Missing:
    return Missing(name=name, part="", abstain=Abstain(reason))


def _means_of_map(held: Held) -> list[Measured]:
    """Return what areal BMD means: T-scores of the hip, the WHO class of the lowest, and Z-scores."""
    return interpreted_areal(_areal(held), held.facts)


_FILM = ("xray", "dental")
_EACH_BONE = tuple((role,) for role in BONES)
_CALIBRATED = ((RODS,), (TISSUES,), ("bones",), (PSOAS,), ())
_BODIES = tuple((BODIES, *more) for more in _CALIBRATED)
_FEMURS = tuple((FEMUR, *more) for more in _CALIBRATED if more != (PSOAS,))
_PICTURED = (*((role,) for role in (REGION, *(role for role in BONES if role != REGION))), ())

QUANTITIES: Mapping[str, Quantity] = {
    row.id: row
    for row in (
        Quantity(
            id="hounsfield", title="mean, median and SD of HU by vertebra or bone",
            views=(View(modalities=("ct",), masks=_EACH_BONE, measure=_hounsfield),),
            regions=("ellipse", "eroded", "whole"),
        ),
        Quantity(
            id="density", title="trabecular density in mg/cm3, by rods or the patient's own tissues",
            views=(View(modalities=("ct",), masks=_BODIES, measure=_density),), native=True, regions=("ellipse",),
        ),
        Quantity(
            id="areal", title="areal BMD, area and mineral content of the regions of a DXA map",
            views=(
                View(role="hip_dxa", masks=((HIP_REGIONS,),), measure=_areal),
                View(role="spine_dxa", masks=((BODIES,),), measure=_areal),
            ),
        ),
        Quantity(
            id="interpretation", title="T- and Z-scores and classes by published rules, where the facts are known",
            views=(
                View(role="hip_dxa", masks=((HIP_REGIONS,),), measure=_means_of_map),
                View(role="spine_dxa", masks=((BODIES,),), measure=_means_of_map),
                View(modalities=("ct",), masks=_BODIES, measure=_means_of_volume),
            ),
            facts=("sex", "age_years", "postmenopausal", "kvp", "contrast"), regions=("ellipse",),
        ),
        Quantity(
            id="vertebra", title="heights, height loss and morphometric grade by vertebra",
            views=(View(modalities=("ct", "mri"), masks=((BODIES,),), measure=_vertebra),),
        ),
        Quantity(
            id="muscle", title="area, HU and fat share of the psoas at L3",
            views=(View(modalities=("ct",), masks=((PSOAS, BODIES),), measure=_muscle),),
        ),
        Quantity(
            id="radiomics", title="features of the image biomarker standard, bins of 25 in the image's unit",
            views=(View(modalities=("ct", "mri", *_FILM), masks=_EACH_BONE, measure=_radiomics),),
        ),
        Quantity(
            id="texture", title="texture of a radiograph: pairs, patterns, waves, fractal measures, clusters",
            views=(View(modalities=_FILM, masks=_PICTURED, measure=_texture),
                   View(role="hip_dxa", masks=((FEMUR,), (HIP_REGIONS,)), measure=_texture),
                   View(role="spine_dxa", masks=((BODIES,),), measure=_texture)),
        ),
        Quantity(
            id="elements", title="stiffness and strength by finite elements, of vertebrae and femurs",
            views=(
                View(modalities=("ct",), masks=_BODIES, measure=_pressed),
                View(modalities=("ct",), masks=_FEMURS, measure=_loaded_femur),
                View(role="hip_dxa", masks=((FEMUR,),), measure=_loaded_map),
            ),
            facts=("weight_kg", "height_cm"), native=True,
        ),
    )
}  # fmt: skip
"""What can be measured, by the word that asks for it."""
