"""Measuring cases: which view of a quantity a case has, numbers remembered by content and settings, one row a number.

What can be measured stands in `trabecula.measure.quantities`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from trabecula.cache import remember
from trabecula.case import Case, Images
from trabecula.image import PICTURE_ENDINGS
from trabecula.manifest import image_source
from trabecula.measure.masks import VERTEBRAL_BODY, bodies_by_level, is_level, named_mask, plain_name
from trabecula.measure.number import Measured, Missing, Number
from trabecula.measure.quantities import BODIES, BONES, PSOAS, QUANTITIES, RODS, TISSUES, Held, Quantity, View
from trabecula.prediction import Abstain
from trabecula.system import Progress, quiet
from trabecula.target import ROLES, VARIABLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trabecula.image import Image

Row: TypeAlias = dict[str, Any]

_ROLES = (*BONES, PSOAS, RODS, TISSUES, "vertebrae")
_SCAN_FACTS = ("kvp", "contrast")


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


def views_of(case: Case, wanted: Quantity) -> list[tuple[View, str, tuple[str, ...]]]:
    """Return the views of a quantity that a case has, each with the roles of its image and its masks.

    Raises `ValueError` that says what is needed where there is none.
    """
    found, needs = [], []
    for view in wanted.views:
        images = [role for role in case.images if _fits(view, role)]
        masks = next((roles for roles in view.masks if all(role in case.masks for role in roles)), None)
        if images and masks is not None:
            found.append((view, images[0], masks))
        elif images:
            least = [roles for roles in view.masks if not any({*other} < {*roles} for other in view.masks)]
            needed = ", or ".join(" and ".join(roles) for roles in least)
            here = ", ".join(case.masks) or "none (on the command line, --mask MASK says where its bones are)"
            needs.append(f"{wanted.id} needs a mask of {needed}; masks here: {here}")
    if found:
        return found
    if needs:
        raise ValueError("; ".join(dict.fromkeys(needs)))
    kinds = ", or ".join(view.role or " or ".join(view.modalities) for view in wanted.views)
    raise ValueError(f"{wanted.id} is measured in images of {kinds}; images here: {', '.join(case.images) or 'none'}")


def _fits(view: View, role: str) -> bool:
    if view.role:
        return role == view.role
    return ROLES[role].modality in (*view.modalities, "any")


def case_of_file(
    told_image: str, masks: Sequence[str] = (), layout: str | None = None, *, facts: Sequence[str] = ()
) -> Case:
    """Return an image, told as `FILE` or `ROLE=FILE`, and its masks, told as `MASK` or `ROLE=MASK`, as a case.

    Without a role, a picture is a picture and anything else a CT, and a mask is what its names tell. A map of vertebral
    bodies that tells no levels takes them from one of whole `vertebrae`. `layout` is for values that a file does not
    name; `facts` are told as `NAME=VALUE`.
    Raises `ValueError` for files that cannot be read, masks that say nothing, two masks of one role, and unknown facts.
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
    if (vertebrae := found.pop("vertebrae", None)) is not None and "bones" not in found:
        found["bones"] = vertebrae  # which may name muscles and the aorta, by which a calibration is checked
    role, equals, file = told_image.partition("=")
    if not equals or role not in ROLES:
        file = told_image
        role = "picture" if Path(file).suffix.lower() in PICTURE_ENDINGS else "abdomen_ct"
    table, groups = _facts(facts)
    name = Path(file).name
    return Case(
        id=name, patient=name, images=Images({role: image_source(Path(file), role)}), masks=Images(found),
        table=table, groups=groups,
    )  # fmt: skip


def _facts(told: Sequence[str]) -> tuple[dict[str, float | str], dict[str, str]]:
    """Return values of table variables and acquisition facts, told as `NAME=VALUE`."""
    known = {name for each in QUANTITIES.values() for name in each.facts} | {"contrast"}
    table: dict[str, float | str] = {}
    groups: dict[str, str] = {}
    for each in told:
        name, _, value = each.partition("=")
        if name not in known or not value:
            raise ValueError(f"a fact is told as NAME=VALUE, of {', '.join(sorted(known))}; got {each!r}")
        if name in _SCAN_FACTS:
            groups[name] = value
        elif VARIABLES[name].categorical:
            table[name] = value
        else:
            table[name] = _number(name, value)
    return table, groups


def _number(name: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise ValueError(f"{name} is a number; got {value!r}") from None


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


def pictured(case: Case, wanted: Sequence[Quantity]) -> tuple[Image, Image | None]:
    """Return image and mask of a case that a picture of measured regions shows; no mask where all of it was measured.

    Raises `ValueError` where the case has none.
    """
    (_, image, masks), *_ = views_of(case, wanted[0])
    return case.images[image], case.masks[masks[0]] if masks else None


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
    facts = {name: value for name, value in {**case.table, **case.groups}.items() if name in wanted.facts}
    found: list[Measured] = []
    try:
        views = views_of(case, wanted)
    except ValueError as error:
        return [Missing(name=wanted.id, part="", abstain=Abstain(str(error)))]
    for view, image, masks in views:
        try:
            if wanted.native and ROLES[image].modality == "ct":
                _without_contrast(case, wanted)
            contents = [case.images.source(image), *(case.masks.source(role) for role in masks)]
            settings = {
                "what": wanted.id, "view": wanted.views.index(view), "image": image, "masks": list(masks),
                "facts": facts,
            }  # fmt: skip
            kept: NDArray[Any] = remember(measured_bytes, *contents, settings=settings, package="trabecula.measure")
        except ValueError as error:
            found.append(Missing(name=wanted.id, part="", abstain=Abstain(str(error))))
        else:
            found += [_restored(told) for told in json.loads(np.asarray(kept).tobytes())]
    return found


def _without_contrast(case: Case, wanted: Quantity) -> None:
    contrast = case.groups.get("contrast")
    if contrast is None:
        raise ValueError(f"whether contrast was given is not known, and it raises the {wanted.id}: tell `contrast`")
    if contrast != "none":
        raise ValueError(f"contrast ({contrast}) raises the {wanted.id} by an amount that is not known")


def measured_bytes(*contents: Image, **told: Any) -> NDArray[np.uint8]:
    """Return what was measured as JSON in bytes, which the cache can keep."""
    view = QUANTITIES[told["what"]].views[told["view"]]
    image, *masks = contents
    held = Held(images={told["image"]: image}, masks=dict(zip(told["masks"], masks, strict=True)), facts=told["facts"])
    rows = [each.to_json() for each in view.measure(held)]
    return np.frombuffer(json.dumps(rows).encode(), dtype=np.uint8).copy()


def _restored(told: Row) -> Measured:
    if told["value"] is None:
        return Missing(name=told["name"], part=told["part"], abstain=Abstain(told["abstained"]))
    return Number(**told)


def _row(case: Case, what: str, each: Measured) -> Row:
    told = each.to_json()
    row = {"case": case.id, "what": what, **{name: told.get(name) for name in
           ("part", "name", "value", "uncertainty", "unit", "region")}}  # fmt: skip
    return row | {"sentence": told.get("sentence", ""), "abstained": told.get("abstained", "")}


def short_rows(rows: Sequence[Row]) -> list[Row]:
    """Return rows as a screen has room for: without regions and sentences, and without the case where there is one."""
    several = len({row["case"] for row in rows}) > 1
    kept = ("what", "part", "name", "value", "uncertainty", "unit", "abstained")
    return [({"case": row["case"]} if several else {}) | {name: row[name] for name in kept} for row in rows]
