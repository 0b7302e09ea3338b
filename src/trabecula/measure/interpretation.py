"""What a number means by a published rule: score, flag and sentence from one place, so that they cannot disagree.

Each function raises `ValueError`, which a caller turns into an abstention, where a fact is missing that its answer
depends on: sex, site, age, tube voltage, contrast. Rules come from `trabecula.reference`; a finding prompts DXA or
clinical assessment, and none is not "normal".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from trabecula.measure.number import Measured, Missing, Number
from trabecula.prediction import Abstain
from trabecula.reference import BMD_BY_AGE, REFERENCES, t_score, who_class

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trabecula.reference import ReferenceByAge, Sex

Facts: TypeAlias = Mapping[str, float | str]
"""What is known of patient and scan, by the names of table variables and acquisition facts."""

_SITES = {"femoral neck": "femoral_neck", "neck": "femoral_neck", "total hip": "total_hip"}
_SITES_BY_AGE = {**_SITES, "l1-l4": "lumbar"}
_VERTEBRAE = ("T12", "L1", "L2", "L3", "L4")
_RULE_KVP = 120.0
_CLASSES = ("normal", "osteopenia", "osteoporosis")
_SIDES = ("above", "between", "low")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A number, the class a rule gives it, and the sentence that says so with the rule's source."""

    number: Number
    found: str
    sentence: str


def hip_t_score(bmd: Number, *, sex: Sex) -> Number:
    """Return the T-score of femoral neck or total hip against NHANES III, White women of 20 to 29, Hologic.

    Raises `ValueError` for a number that is not an areal BMD, another site, or an unknown sex.
    """
    if bmd.unit != "g/cm2":
        raise ValueError(f"a T-score is that of an areal BMD in g/cm2; {bmd.name} is in {bmd.unit}")
    site = _SITES.get(_site(bmd.part), bmd.part)
    value = t_score(bmd.value, site, sex=sex)
    sd = REFERENCES[site].sd or math.nan
    return Number(
        name="t_score", value=value, unit="SD", part=bmd.part, region=f"{bmd.region}; {REFERENCES[site].quoted}",
        uncertainty=None if bmd.uncertainty is None else bmd.uncertainty / sd,
    )  # fmt: skip


def z_score(bmd: Number, *, sex: Sex, age_years: float, reference: ReferenceByAge | None = None) -> Number:
    """Return how many SDs an areal BMD lies from people of the same age and sex: NHANES 2007-2008, or one's own.

    Raises `ValueError` for a site, sex or age without a reference, and a number that is not an areal BMD.
    """
    if bmd.unit != "g/cm2":
        raise ValueError(f"a Z-score is that of an areal BMD in g/cm2; {bmd.name} is in {bmd.unit}")
    site = _SITES_BY_AGE.get(_site(bmd.part), _site(bmd.part))
    found = reference or BMD_BY_AGE.get((site, sex))
    if found is None:
        raise ValueError(f"there is no reference by age for {bmd.part} in a person whose sex is {sex}")
    if found.site != site or found.sex != sex:
        raise ValueError(f"this reference is of {found.site} in {found.sex}s, not of {bmd.part} in a {sex}")
    return Number(
        name="z_score", value=found.z_score(bmd.value, age_years), unit="SD", part=bmd.part,
        region=f"{bmd.region}; {found.source}",
    )  # fmt: skip


def who_finding(
    t_scores: Sequence[Number], *, sex: Sex, age_years: float, postmenopausal: bool | None = None
) -> Finding:
    """Return the WHO class of the lowest of several T-scores.

    Raises `ValueError` without a T-score and outside the population that the classes are defined for.
    """
    if not t_scores or any(each.name != "t_score" for each in t_scores):
        raise ValueError("a WHO class is that of the lowest T-score of DXA; give at least one, and nothing else")
    lowest = min(t_scores, key=lambda each: each.value)
    found = who_class(lowest.value, sex=sex, age_years=age_years, postmenopausal=postmenopausal)
    sites = ", ".join(each.part for each in t_scores)
    source = REFERENCES["who_osteoporosis"].source
    return Finding(
        number=lowest, found=found,
        sentence=f"Lowest T-score {lowest.value:.1f} ({lowest.part}, of {sites}): {found} ({source}).",
    )  # fmt: skip


def hounsfield_finding(mean_hu: Number, *, kvp: float | None, contrast: str | None) -> Finding:
    """Return on which side of Pickhardt's cuts the mean HU of L1 lies.

    Raises `ValueError` for another vertebra or region, a tube voltage that is not known or not 120 kV, and contrast
    that is not known or was given.
    """
    if mean_hu.part != "L1" or mean_hu.name != "mean_hu_ellipse":
        raise ValueError(f"these cuts are for the trabecular mean of L1, not for {mean_hu.name} of {mean_hu.part}")
    if kvp is None or contrast is None:
        raise ValueError(f"the {'tube voltage' if kvp is None else 'contrast'} is not known, and HU depend on it")
    if abs(kvp - _RULE_KVP) > 1 or contrast != "none":
        raise ValueError(f"these cuts are for 120 kV without contrast, not for {kvp:g} kV with contrast {contrast!r}")
    low, high = REFERENCES["hu_specific"], REFERENCES["hu_sensitive"]
    if mean_hu.value <= low.value:
        found, means = "low", f"at or below the cut of {low.value:g} HU with specificity above 90 %"
    elif mean_hu.value <= high.value:
        found, means = (
            "between",
            f"between the specific cut of {low.value:g} and the sensitive one of {high.value:g} HU",
        )
    else:
        found, means = "above", f"above the sensitive cut of {high.value:g} HU, which does not rule low density out"
    sentence = f"L1 reads {mean_hu.value:.0f} HU: {means} ({low.source}). A low value prompts DXA."
    return Finding(number=mean_hu, found=found, sentence=sentence)


def qct_finding(densities: Sequence[Number]) -> Finding:
    """Return the class of the mean trabecular density of two or more vertebrae, never a T-score.

    Raises `ValueError` for fewer than two of T12 to L4, and densities of several materials.
    """
    names = {each.name for each in densities}
    parts = {each.part for each in densities}
    if len(parts) < 2 or len(parts) < len(densities) or not parts <= set(_VERTEBRAE):
        raise ValueError(
            f"quantitative CT takes two or more of {', '.join(_VERTEBRAE)}; got {', '.join(sorted(parts))}"
        )
    if len(names) != 1 or any(each.unit != "mg/cm3" for each in densities):
        raise ValueError(f"densities are of one material and region, in mg/cm3; got {', '.join(sorted(names))}")
    mean = float(np.mean([each.value for each in densities]))
    low, high = REFERENCES["qct_osteoporosis"], REFERENCES["qct_normal"]
    found = "osteoporosis" if mean < low.value else "osteopenia" if mean <= high.value else "normal"
    (name,) = names
    levels = ", ".join(sorted(parts))
    number = Number(name=name, value=mean, unit="mg/cm3", part=levels, region=f"mean of {levels}")
    sentence = f"Mean {name} of {levels} is {mean:.0f} mg/cm3: {found} by quantitative CT ({low.source}); no T-score."
    return Finding(number=number, found=found, sentence=sentence)


def interpreted_areal(areal: Sequence[Measured], facts: Facts) -> list[Measured]:
    """Return T-scores of femoral neck and total hip, the WHO class of the lowest, and Z-scores of these and L1-L4.

    What needs a fact that is not among `facts` (`sex`, `age_years`, `postmenopausal`) abstains and names it. L1-L4 has
    no T-score: its young reference is the manufacturer's own.
    """
    known = [each for each in areal if isinstance(each, Number) and each.name == "bmd_g_cm2"]
    known = [each for each in known if _site(each.part) in _SITES_BY_AGE]
    if not known:
        return [_missing("t_score", "", "neither the femoral neck nor the total hip nor L1-L4 was measured")]
    sex, age = _sex(facts), float(facts["age_years"]) if "age_years" in facts else None
    found: list[Measured] = []
    for each in known:
        found += [_t_score(each, sex), _z_score(each, sex, age)]
    scores = [each for each in found if isinstance(each, Number) and each.name == "t_score"]
    try:
        if sex is None or age is None:
            raise ValueError(f"the {'sex' if sex is None else 'age'} is not known, and the class depends on it")
        menopause = {"0": False, "1": True}.get(str(facts.get("postmenopausal", "")).removesuffix(".0"))
        class_ = who_finding(scores, sex=sex, age_years=age, postmenopausal=menopause)
    except ValueError as error:
        return [*found, _missing("who_class_dxa", "", str(error))]
    return [*found, _graded(class_, "who_class_dxa", _CLASSES)]


def _t_score(bmd: Number, sex: Sex | None) -> Measured:
    try:
        return hip_t_score(bmd, sex=sex)  # type: ignore[arg-type]  # an unknown sex is refused
    except ValueError as error:
        return _missing("t_score", bmd.part, str(error))


def _z_score(bmd: Number, sex: Sex | None, age_years: float | None) -> Measured:
    if sex is None or age_years is None:
        unknown = "sex" if sex is None else "age"
        return _missing("z_score", bmd.part, f"the {unknown} is not known, and a Z-score depends on it")
    try:
        return z_score(bmd, sex=sex, age_years=age_years)
    except ValueError as error:
        return _missing("z_score", bmd.part, str(error))


def interpreted_hounsfield(means: Sequence[Measured], facts: Facts) -> list[Measured]:
    """Return on which side of the published cuts L1 lies: 0 above, 1 between, 2 low.

    Abstains where `kvp` or `contrast` is not among `facts`.
    """
    l1 = [each for each in means if isinstance(each, Number) and (each.part, each.name) == ("L1", "mean_hu_ellipse")]
    if not l1:
        return [_missing("l1_hu_class", "L1", "the mean HU of L1 was not measured, and there are cuts for no other")]
    kvp = float(facts["kvp"]) if "kvp" in facts else None
    contrast = str(facts["contrast"]) if "contrast" in facts else None
    try:
        return [_graded(hounsfield_finding(l1[0], kvp=kvp, contrast=contrast), "l1_hu_class", _SIDES)]
    except ValueError as error:
        return [_missing("l1_hu_class", "L1", str(error))]


def interpreted_density(densities: Sequence[Measured]) -> list[Measured]:
    """Return the class of the mean trabecular density: 0 normal, 1 osteopenia, 2 osteoporosis; never a T-score."""
    told = [each for each in densities if isinstance(each, Number) and each.part in _VERTEBRAE]
    try:
        return [_graded(qct_finding(told), "qct_class", _CLASSES)]
    except ValueError as error:
        return [_missing("qct_class", "", str(error))]


def _graded(finding: Finding, name: str, grades: tuple[str, ...]) -> Number:
    return Number(
        name=name, value=grades.index(finding.found), unit="1", part=finding.number.part,
        region=finding.number.region, sentence=finding.sentence,
    )  # fmt: skip


def _missing(name: str, part: str, reason: str) -> Missing:
    return Missing(name=name, part=part, abstain=Abstain(reason))


def _sex(facts: Facts) -> Sex | None:
    sex = facts.get("sex")
    return "female" if sex == "female" else "male" if sex == "male" else None


def _site(part: str) -> str:
    words = part.lower().replace("_", " ").split()
    return " ".join(word for word in words if word not in ("left", "right"))
