"""Measuring cases: which quantity needs which masks, numbers remembered by content and settings, one row a number.

`QUANTITIES` is the one table of what can be measured; a row more is a word more of `trabecula measure --what`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from trabecula.cache import remember
from trabecula.case import Case, Images
from trabecula.manifest import image_source
from trabecula.measure.density import internal_calibration, rod_calibration
from trabecula.measure.hounsfield import REGIONS, measure_hounsfield
from trabecula.measure.masks import VERTEBRAL_BODY, bodies_by_level, is_level, named_mask, part_mask, plain_name
from trabecula.measure.muscle import measure_psoas
from trabecula.measure.number import Measured, Missing, Number, of_parts
from trabecula.measure.radiomics import extract
from trabecula.measure.sources import sources_digest
from trabecula.measure.vertebra import measure_vertebrae
from trabecula.prediction import Abstain
from trabecula.system import Progress, quiet
from trabecula.target import ROLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trabecula.image import Image

Row: TypeAlias = dict[str, Any]
Masks: TypeAlias = Mapping[str, "Image"]

BODIES, PSOAS, RODS = "vertebral_bodies", "psoas", "calibration_rods"
BONES = (BODIES, "bones", "proximal_femur", "bone", "hip_regions", "trabecular_region")
"""Roles of masks whose parts are bones, the first that a case has."""
_ROLES = (*BONES, PSOAS, RODS, "tissues", "vertebrae")


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """Something that can be measured in a case.

    `masks` are alternatives: tuples of roles, of which the first that a case has all of is taken.
    """

    id: str
    title: str
    masks: tuple[tuple[str, ...], ...]
    measure: Callable[[Image, Masks], list[Measured]]
    modality: str | None = None
    """Of the image, where it must be one: `ct`."""
    native: bool = False
    """Whether contrast medium changes what its numbers mean: then a case that had some abstains."""


def _hounsfield(image: Image, masks: Masks) -> list[Measured]:
    (mask,) = masks.values()
    return measure_hounsfield(image, mask)


def _density(image: Image, masks: Masks) -> list[Measured]:
    """Return trabecular densities in mg/cm3 of vertebrae, by rods where there are some."""
    bodies = masks[BODIES]
    if RODS in masks:
        calibration = rod_calibration(image, masks[RODS])
    else:
        calibration = internal_calibration(image, masks["tissues"])
    means = measure_hounsfield(image, bodies, {"ellipse": REGIONS["ellipse"]})
    found: list[Measured] = []
    for each in means:
        if isinstance(each, Missing):
            found.append(replace(each, name=f"vbmd_{calibration.material}_ellipse"))
        elif each.name == "mean_hu_ellipse":
            found.append(calibration.density(each))
    return found


def _vertebra(_: Image, masks: Masks) -> list[Measured]:
    return measure_vertebrae(masks[BODIES])


def _muscle(image: Image, masks: Masks) -> list[Measured]:
    return measure_psoas(image, masks[PSOAS], masks[BODIES])


def _radiomics(image: Image, masks: Masks) -> list[Measured]:
    (mask,) = masks.values()
    names = dict(mask.names) or {1: "mask"}

    def of(part: str) -> list[Number]:
        one = part_mask(replace(mask, names=names), part)
        return [
            Number(name=name, value=value, unit=_unit_of(name, image), part=part, region="whole region of the mask")
            for name, value in extract(image, one).items()
        ]

    return of_parts(of, list(dict.fromkeys(names.values())), names=("radiomics",))


def _unit_of(tag: str, image: Image) -> str:
    """Return the unit of a feature where it is the image's own, or a length; `1` for the others."""
    own = ("stat_mean", "stat_median", "stat_min", "stat_max", "stat_range", "stat_p10", "stat_p90", "loc_peak_loc")
    return {"morph_volume": "mm3", "morph_area_mesh": "mm2"}.get(tag, image.unit if tag in own else "1")


_EACH_BONE = tuple((role,) for role in BONES)
QUANTITIES: Mapping[str, Quantity] = {
    row.id: row
    for row in (
        Quantity(
            id="hounsfield", title="mean, median and SD of HU by vertebra or bone", masks=_EACH_BONE,
            measure=_hounsfield, modality="ct",
        ),
        Quantity(
            id="density", title="trabecular density in mg/cm3, by rods or the patient's own tissues",
            masks=((BODIES, RODS), (BODIES, "tissues")), measure=_density, modality="ct",
            native=True,
        ),
        Quantity(
            id="vertebra", title="heights, height loss and morphometric grade by vertebra", masks=((BODIES,),),
            measure=_vertebra,
        ),
        Quantity(
            id="muscle", title="area, HU and fat share of the psoas at L3", masks=((PSOAS, BODIES),), measure=_muscle,
            modality="ct",
        ),
        Quantity(
            id="radiomics", title="features of the image biomarker standard, bins of 25 in the image's unit",
            masks=_EACH_BONE, measure=_radiomics,
        ),
    )
}  # fmt: skip
"""What can be measured, by the word that asks for it."""


def measure_cases(cases: Sequence[Case], what: Sequence[str], *, progress: Progress = quiet) -> list[Row]:
    """Return one row a number of every quantity in every case, with `abstained` and why where there is none.

    Raises `KeyError` for a quantity that is not in `QUANTITIES`.
    """
    quantities = [quantity(name) for name in what]
    rows: list[Row] = []
    for done, case in enumerate(cases, 1):
        for each in quantities:
            rows += [_row(case, each.id, number) for number in _measured(case, each)]
        progress(done, len(cases), case.id)
    return rows


def quantity(name: str) -> Quantity:
    """Return a row of `QUANTITIES`.

    Raises `KeyError` that lists them.
    """
    if name not in QUANTITIES:
        raise KeyError(f"there is no quantity {name!r}; there are {', '.join(QUANTITIES)}")
    return QUANTITIES[name]


def image_role(case: Case, wanted: Quantity) -> str:
    """Return the role of the image that a quantity is measured in.

    Raises `ValueError` where the case has none of its modality.
    """
    for role in case.images:
        if wanted.modality is None or ROLES[role].modality in (wanted.modality, "any"):
            return role
    held = ", ".join(case.images) or "none"
    raise ValueError(f"{wanted.id} is measured in a {(wanted.modality or 'picture').upper()}; images here: {held}")


def mask_roles(case: Case, wanted: Quantity) -> tuple[str, ...]:
    """Return the roles of the masks that a quantity is measured with.

    Raises `ValueError` where the case lacks them.
    """
    for roles in wanted.masks:
        if all(role in case.masks for role in roles):
            return roles
    needed = ", or ".join(" and ".join(roles) for roles in wanted.masks)
    raise ValueError(f"{wanted.id} needs a mask of {needed}; masks here: {', '.join(case.masks) or 'none'}")


def case_of_file(path: Path, masks: Sequence[str], layout: str | None = None) -> Case:
    """Return a CT and its masks as a case; a mask is told as `MASK` or `ROLE=MASK`.

    Without a role, its names tell it. A map of vertebral bodies that tells no levels takes them from one of whole
    `vertebrae`. `layout` is for values that a file does not name.
    Raises `ValueError` for files that cannot be read, masks that say nothing, and two masks of one role.
    """
    found: dict[str, Image] = {}
    for told in masks:
        role, mask = _mask(told, layout)
        if role in found:
            raise ValueError(f"two masks are {role}: say what they are as ROLE=MASK, with roles {', '.join(_ROLES)}")
        found[role] = mask
    bodies = found.get(BODIES)
    if bodies is not None and not any(map(is_level, bodies.names.values())):
        if "vertebrae" not in found:
            raise ValueError(
                f"this mask of {VERTEBRAL_BODY} tells no levels: add one of whole vertebrae as vertebrae=MASK"
            )
        found[BODIES] = bodies_by_level(bodies, found["vertebrae"])
    found.pop("vertebrae", None)
    image = image_source(path, "abdomen_ct")
    return Case(id=path.name, patient=path.name, images=Images({"abdomen_ct": image}), masks=Images(found))


def _mask(told: str, layout: str | None) -> tuple[str, Image]:
    """Return role and label map of `MASK` or `ROLE=MASK`."""
    role, equals, file = told.partition("=")
    role, file = (role, file) if equals and role in _ROLES else ("", told)
    source = image_source(Path(file), "bones")
    task = "totalsegmentator_vertebrae_body" if layout == "totalsegmentator" and role == BODIES else layout
    try:
        mask = source.load()
        mask = named_mask(mask, None if mask.names else task)
    except ValueError as error:
        raise ValueError(str(error) if file in str(error) else f"{file}: {error}") from None
    return role or role_of(mask), mask


def pictured(case: Case, wanted: Sequence[Quantity]) -> tuple[Image, Image]:
    """Return image and mask of a case that a picture of measured regions shows.

    Raises `ValueError` where the case has none.
    """
    first = wanted[0]
    return case.images[image_role(case, first)], case.masks[mask_roles(case, first)[0]]


def role_of(mask: Image) -> str:
    """Return the role that the names of a label map tell."""
    names = [plain_name(name) for name in mask.names.values()]
    if VERTEBRAL_BODY in names or any(map(is_level, names)):
        return BODIES
    if any(name.split()[-1] in ("psoas", "iliopsoas") for name in names):
        return PSOAS
    if any(name.endswith("mg cm3") for name in names):
        return RODS
    return "tissues" if "fat" in names else "bones"


def _measured(case: Case, wanted: Quantity) -> list[Measured]:
    contrast = case.groups.get("contrast", "none")
    try:
        if wanted.native and contrast != "none":
            raise ValueError(f"contrast ({contrast}) raises the {wanted.id} by an amount that is not known")
        image, roles = case.images.source(image_role(case, wanted)), mask_roles(case, wanted)
        masks = [case.masks.source(role) for role in roles]
        settings = {"what": wanted.id, "roles": list(roles), "sources": sources_digest()}
        kept: NDArray[Any] = remember(measured_bytes, image, *masks, settings=settings)
    except ValueError as error:
        return [Missing(name=wanted.id, part="", abstain=Abstain(str(error)))]
    return [_restored(told) for told in json.loads(np.asarray(kept).tobytes())]


def measured_bytes(image: Image, *masks: Image, what: str, roles: list[str], sources: str) -> NDArray[np.uint8]:
    """Return what was measured as JSON in bytes, which the cache can keep."""
    del sources
    told = [each.to_json() for each in QUANTITIES[what].measure(image, dict(zip(roles, masks, strict=True)))]
    return np.frombuffer(json.dumps(told).encode(), dtype=np.uint8).copy()


def _restored(told: Row) -> Measured:
    if told["value"] is None:
        return Missing(name=told["name"], part=told["part"], abstain=Abstain(told["abstained"]))
    return Number(**told)


def _row(case: Case, what: str, each: Measured) -> Row:
    told = each.to_json()
    row = {"case": case.id, "what": what, **{name: told.get(name) for name in
           ("part", "name", "value", "uncertainty", "unit", "region")}}  # fmt: skip
    return row | {"abstained": told.get("abstained", "")}


def short_rows(rows: Sequence[Row]) -> list[Row]:
    """Return rows as a screen has room for: without regions, and without the case where there is one."""
    several = len({row["case"] for row in rows}) > 1
    kept = ("what", "part", "name", "value", "uncertainty", "unit", "abstained")
    return [({"case": row["case"]} if several else {}) | {name: row[name] for name in kept} for row in rows]
