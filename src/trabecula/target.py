"""What can be predicted, from which images, with which named values: three tables of rows.

A row of `TARGETS` says what is predicted and for whom; a row of `ROLES` names a kind of image or mask; a row of
`VARIABLES` gives a named value its unit, range and coding. Nothing else in the library invents such a name.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

Kind = Literal["binary", "ordinal", "value", "time_to_event", "label_map"]


@dataclass(frozen=True, kw_only=True)
class Target:
    """One thing that can be predicted."""

    id: str
    title: str
    kind: Kind
    site: str
    population: str
    unit: str = "1"
    grades: tuple[str, ...] = ()
    """Names of the classes in rising severity; two for a binary target, the second is the event."""
    reduce: Literal["mean", "max"] = "mean"
    """How the parts of a patient become one number: the maximum where one fractured part makes a fractured patient."""
    defined_by: tuple[str, ...] = ()
    """Variables that define the truth, which may therefore not be inputs."""
    circular: bool = False
    """The truth is computed from the same scan as the input: a measurement, not a diagnosis."""
    horizon_years: float | None = None

    @property
    def classifies(self) -> bool:
        """Whether the answer is a grade: binary and ordinal count as one kind."""
        return self.kind in ("binary", "ordinal")

    def same_kind(self, other: Target) -> bool:
        """Whether a system built for one may be fitted on the other."""
        return self.kind == other.kind or (self.classifies and other.classifies)


@dataclass(frozen=True, kw_only=True)
class Role:
    """A kind of image or mask that a case may hold."""

    id: str
    title: str
    modality: str
    mask: bool = False


@dataclass(frozen=True, kw_only=True)
class Variable:
    """A named value of a case."""

    id: str
    title: str
    unit: str
    low: float | None = None
    high: float | None = None
    codes: tuple[str, ...] = ()
    """Coded values, stored as text; empty for a number. A yes or no is the number 0 or 1 with the unit `0/1`."""

    @property
    def categorical(self) -> bool:
        """Whether values are codes rather than numbers."""
        return bool(self.codes)


_WHO = ("normal", "osteopenia", "osteoporosis")
_DXA_SITES = "lumbar spine, total hip, femoral neck"
_WHO_POPULATION = "postmenopausal women and men from 50 on"
_ADULTS = "adults"
_T_SCORES = ("t_score_lumbar", "t_score_total_hip", "t_score_femoral_neck", "t_score_lowest")
_BMD = ("bmd_lumbar_g_cm2", "bmd_total_hip_g_cm2", "bmd_femoral_neck_g_cm2")
_DXA = _T_SCORES + _BMD

TARGETS = {
    row.id: row
    for row in (
        # Diagnosis against DXA
        Target(
            id="osteoporosis_dxa",
            title="Osteoporosis by DXA: lowest T-score -2.5 or below",
            kind="binary",
            grades=("no osteoporosis", "osteoporosis"),
            site=_DXA_SITES,
            population=_WHO_POPULATION,
            defined_by=_DXA,
        ),
        Target(
            id="low_bone_mass_dxa",
            title="Low bone mass by DXA: lowest T-score below -1.0",
            kind="binary",
            grades=("normal", "low bone mass"),
            site=_DXA_SITES,
            population=_WHO_POPULATION,
            defined_by=_DXA,
        ),
        Target(
            id="who_class_dxa",
            title="WHO class by the lowest DXA T-score",
            kind="ordinal",
            grades=_WHO,
            site=_DXA_SITES,
            population=_WHO_POPULATION,
            defined_by=_DXA,
        ),
        Target(
            id="osteoporosis_hip_dxa",
            title="Osteoporosis of the hip by DXA",
            kind="binary",
            grades=("no osteoporosis", "osteoporosis"),
            site="proximal femur",
            population=_WHO_POPULATION,
            defined_by=(
                "t_score_total_hip",
                "t_score_femoral_neck",
                "t_score_lowest",
                "bmd_total_hip_g_cm2",
                "bmd_femoral_neck_g_cm2",
            ),
        ),
        Target(
            id="osteoporosis_spine_dxa",
            title="Osteoporosis of the lumbar spine by DXA",
            kind="binary",
            grades=("no osteoporosis", "osteoporosis"),
            site="lumbar spine",
            population=_WHO_POPULATION,
            defined_by=("t_score_lumbar", "t_score_lowest", "bmd_lumbar_g_cm2"),
        ),
        Target(
            id="bmd_femoral_neck",
            title="Areal BMD of the femoral neck",
            kind="value",
            unit="g/cm2",
            site="femoral neck",
            population=_ADULTS,
            defined_by=("bmd_femoral_neck_g_cm2", "t_score_femoral_neck", "t_score_lowest"),
        ),
        Target(
            id="bmd_total_hip",
            title="Areal BMD of the total hip",
            kind="value",
            unit="g/cm2",
            site="total hip",
            population=_ADULTS,
            defined_by=("bmd_total_hip_g_cm2", "t_score_total_hip", "t_score_lowest"),
        ),
        Target(
            id="bmd_lumbar",
            title="Areal BMD of L1-L4",
            kind="value",
            unit="g/cm2",
            site="lumbar spine",
            population=_ADULTS,
            defined_by=("bmd_lumbar_g_cm2", "t_score_lumbar", "t_score_lowest"),
        ),
        Target(
            id="t_score_lowest",
            title="Lowest DXA T-score",
            kind="value",
            unit="SD",
            site=_DXA_SITES,
            population=_WHO_POPULATION,
            defined_by=_DXA,
        ),
        # Labels of public picture sets, whose origin is not documented
        Target(
            id="osteoporosis_knee_label",
            title="Folder label of a knee radiograph (origin undocumented)",
            kind="binary",
            grades=("normal", "osteoporosis"),
            site="knee",
            population="undocumented",
            defined_by=_DXA,
        ),
        Target(
            id="knee_label_three",
            title="Three-class folder label of a knee radiograph (origin undocumented)",
            kind="ordinal",
            grades=_WHO,
            site="knee",
            population="undocumented",
            defined_by=_DXA,
        ),
        # Labels computed from the same scan
        Target(
            id="qct_t_score",
            title="T-score of a vertebra by quantitative CT",
            kind="value",
            unit="SD",
            site="lumbar vertebra",
            population=_ADULTS,
            circular=True,
            defined_by=("vbmd_mg_cm3", "qct_t_score"),
        ),
        Target(
            id="qct_osteoporosis",
            title="Osteoporosis by quantitative CT of the same scan",
            kind="binary",
            grades=("no osteoporosis", "osteoporosis"),
            site="lumbar vertebra",
            population=_ADULTS,
            circular=True,
            defined_by=("vbmd_mg_cm3", "qct_t_score"),
        ),
        Target(
            id="qct_osteoporosis_or_osteopenia",
            title="Osteoporosis against osteopenia, by quantitative CT of the same scan",
            kind="binary",
            grades=("osteopenia", "osteoporosis"),
            site="lumbar vertebra",
            population="adults whose quantitative CT is not normal",
            circular=True,
            defined_by=("vbmd_mg_cm3", "qct_t_score"),
        ),
        Target(
            id="qct_class",
            title="Bone class by quantitative CT of the same scan",
            kind="ordinal",
            grades=_WHO,
            site="lumbar vertebra",
            population=_ADULTS,
            circular=True,
            defined_by=("vbmd_mg_cm3", "qct_t_score"),
        ),
        Target(
            id="dxa_map_t_score",
            title="T-score from the DXA scan that is the input",
            kind="value",
            unit="SD",
            site="proximal femur or lumbar spine",
            population=_WHO_POPULATION,
            circular=True,
            defined_by=_DXA,
        ),
        Target(
            id="dxa_map_osteoporosis",
            title="Osteoporosis from the DXA scan that is the input",
            kind="binary",
            grades=("no osteoporosis", "osteoporosis"),
            site="proximal femur or lumbar spine",
            population=_WHO_POPULATION,
            circular=True,
            defined_by=_DXA,
        ),
        Target(
            id="dxa_region_bmd",
            title="Areal BMD of the region of the DXA scan that is the input",
            kind="value",
            unit="g/cm2",
            site="proximal femur or lumbar spine",
            population=_ADULTS,
            circular=True,
            defined_by=_DXA,
        ),
        Target(
            id="l1_attenuation_loss",
            title="Osteoporosis after radiotherapy: L1 attenuation below 110 HU",
            kind="binary",
            grades=("no osteoporosis", "osteoporosis"),
            site="lumbar vertebra",
            population="women after pelvic radiotherapy",
            circular=True,
            defined_by=("mean_hu_l1_follow_up",),
            horizon_years=1.0,
        ),
        # Signs read by people
        Target(
            id="mandibular_cortex_class",
            title="Mandibular cortical index after Klemetti",
            kind="ordinal",
            grades=("C1", "C2", "C3"),
            site="mandible",
            population=_ADULTS,
            reduce="max",
        ),
        Target(
            id="vertebral_fracture",
            title="Prevalent vertebral fracture",
            kind="binary",
            grades=("no fracture", "fracture"),
            site="thoracolumbar spine",
            population=_ADULTS,
            reduce="max",
            defined_by=("genant_grade",),
        ),
        Target(
            id="genant_grade",
            title="Genant grade, visual",
            kind="ordinal",
            grades=("0", "1", "2", "3"),
            site="vertebra",
            population=_ADULTS,
            reduce="max",
            defined_by=("genant_grade",),
        ),
        Target(
            id="vertebral_fracture_type",
            title="Type of a fractured vertebra: A compression, B tension band, C translation",
            kind="ordinal",
            grades=("A", "B", "C"),
            site="spine",
            population="patients with a vertebral fracture",
            reduce="max",
        ),
        # Fracture risk
        Target(
            id="past_fracture",
            title="Self-reported past fracture of hip, wrist or spine",
            kind="binary",
            grades=("no fracture", "fracture"),
            site="hip, wrist, spine",
            population=_ADULTS,
            reduce="max",
            defined_by=("previous_fracture",),
        ),
        Target(
            id="first_year_fracture",
            title="Any fracture in the first year",
            kind="binary",
            grades=("no fracture", "fracture"),
            site="any",
            population="women from 55 on",
            reduce="max",
            horizon_years=1.0,
        ),
        Target(
            id="fragility_fracture",
            title="Fragility fracture during follow-up",
            kind="binary",
            grades=("no fracture", "fracture"),
            site="any",
            population=_ADULTS,
            reduce="max",
        ),
        Target(
            id="hip_fracture",
            title="Hip fracture during follow-up",
            kind="binary",
            grades=("no fracture", "fracture"),
            site="hip",
            population="postmenopausal women",
            reduce="max",
        ),
        Target(
            id="subsequent_vertebral_fracture",
            title="A further vertebral fracture within two years",
            kind="binary",
            grades=("no fracture", "fracture"),
            site="spine",
            population="patients with a vertebral fracture",
            reduce="max",
            horizon_years=2.0,
        ),
        Target(
            id="fracture_in_fallers",
            title="Fragility fracture in people who fall",
            kind="binary",
            grades=("no fracture", "fracture"),
            site="any",
            population="adults with a fall",
            reduce="max",
        ),
        Target(
            id="time_to_vertebral_fracture",
            title="Time to a new vertebral fracture",
            kind="time_to_event",
            unit="years",
            site="spine",
            population="adults from 50 on",
            reduce="max",
        ),
        Target(
            id="time_to_hip_fracture",
            title="Time to hip fracture",
            kind="time_to_event",
            unit="years",
            site="hip",
            population="adults from 50 on",
            reduce="max",
        ),
        Target(
            id="time_to_any_fracture",
            title="Time to any fracture",
            kind="time_to_event",
            unit="years",
            site="any",
            population="adults from 50 on",
            reduce="max",
        ),
        Target(
            id="time_to_subsequent_fracture",
            title="Time to a further fracture after a hip fracture",
            kind="time_to_event",
            unit="years",
            site="any",
            population="patients with a hip fracture",
            reduce="max",
        ),
        # Anatomy
        Target(
            id="bone_mask",
            title="Which pixels are bone",
            kind="label_map",
            unit="label",
            site="any",
            population=_ADULTS,
        ),
        Target(
            id="vertebral_body_mask",
            title="Which voxels are vertebral bodies, by level",
            kind="label_map",
            unit="label",
            site="spine",
            population=_ADULTS,
        ),
        Target(
            id="hip_region_mask",
            title="Neck, trochanter, Ward's triangle and total hip",
            kind="label_map",
            unit="label",
            site="proximal femur",
            population=_ADULTS,
        ),
    )
}

ROLES = {
    row.id: row
    for row in (
        Role(id="picture", title="A plain picture of unknown kind", modality="any"),
        Role(id="knee_xray", title="Knee radiograph", modality="xray"),
        Role(id="hip_xray", title="Hip radiograph, AP, one side", modality="xray"),
        Role(id="pelvis_xray", title="Pelvis radiograph, AP", modality="xray"),
        Role(id="spine_xray_ap", title="Lumbar spine radiograph, AP", modality="xray"),
        Role(id="spine_xray_lateral", title="Spine radiograph, lateral", modality="xray"),
        Role(id="hand_xray", title="Hand and wrist radiograph", modality="xray"),
        Role(id="chest_xray", title="Chest radiograph", modality="xray"),
        Role(id="periapical", title="Periapical dental radiograph", modality="dental"),
        Role(id="panoramic", title="Panoramic dental radiograph", modality="dental"),
        Role(id="lumbar_ct", title="CT with the lumbar spine", modality="ct"),
        Role(id="spine_ct", title="CT of the spine, any level", modality="ct"),
        Role(id="abdomen_ct", title="CT of abdomen and pelvis", modality="ct"),
        Role(id="hip_ct", title="CT with the proximal femur", modality="ct"),
        Role(id="wrist_ct", title="CT of wrist and forearm", modality="ct"),
        Role(id="chest_ct", title="CT of the chest", modality="ct"),
        Role(id="vertebra_ct_patch", title="Patch of vertebral trabecular bone from CT", modality="ct"),
        Role(id="lumbar_mri", title="T1 MRI of the lumbar spine", modality="mri"),
        Role(id="hip_dxa", title="DXA image of the hip", modality="dxa"),
        Role(id="spine_dxa", title="DXA image of the lumbar spine", modality="dxa"),
        Role(id="forearm_dxa", title="DXA image of the forearm", modality="dxa"),
        Role(id="whole_body_dxa", title="DXA image of the whole body", modality="dxa"),
        Role(id="hip_dxa_low", title="Hip DXA, low energy", modality="dxa"),
        Role(id="hip_dxa_high", title="Hip DXA, high energy", modality="dxa"),
        Role(id="spine_dxa_low", title="Spine DXA, low energy", modality="dxa"),
        Role(id="spine_dxa_high", title="Spine DXA, high energy", modality="dxa"),
        Role(id="radiotherapy_dose", title="Planned dose on the grid of the CT", modality="ct"),
        Role(id="bone", title="Bone", modality="any", mask=True),
        Role(id="bones", title="Bones by name", modality="any", mask=True),
        Role(id="vertebral_bodies", title="Vertebral bodies by level", modality="any", mask=True),
        Role(id="trabecular_region", title="Trabecular region to measure in", modality="any", mask=True),
        Role(id="psoas", title="Both psoas muscles", modality="any", mask=True),
        Role(id="calibration_rods", title="Calibration rods by material and mg/cm3", modality="ct", mask=True),
        Role(id="proximal_femur", title="Proximal femur", modality="any", mask=True),
        Role(id="hip_regions", title="DXA regions of the hip", modality="any", mask=True),
    )
}

_YES_NO = "0/1"


def _yes_no(id_: str, title: str) -> Variable:
    return Variable(id=id_, title=title, unit=_YES_NO, low=0, high=1)


VARIABLES = {
    row.id: row
    for row in (
        Variable(id="age_years", title="Age", unit="years", low=0, high=120),
        Variable(id="sex", title="Sex", unit="code", codes=("female", "male")),
        Variable(
            id="ethnicity",
            title="Ethnic group as the source codes it",
            unit="code",
            codes=("mexican_american", "other_hispanic", "white", "black", "asian", "other"),
        ),
        Variable(id="height_cm", title="Height", unit="cm", low=100, high=230),
        Variable(id="weight_kg", title="Weight", unit="kg", low=25, high=300),
        Variable(id="bmi_kg_m2", title="Body mass index", unit="kg/m2", low=10, high=140),
        Variable(id="waist_cm", title="Waist", unit="cm", low=40, high=200),
        Variable(id="body_fat_percent", title="Fat in body mass", unit="%", low=2, high=75),
        Variable(id="weight_10_years_ago_kg", title="Weight ten years ago", unit="kg", low=25, high=300),
        Variable(id="bmd_femoral_neck_g_cm2", title="Areal BMD, femoral neck", unit="g/cm2", low=0.1, high=2.5),
        Variable(id="bmd_total_hip_g_cm2", title="Areal BMD, total hip", unit="g/cm2", low=0.1, high=2.5),
        Variable(id="bmd_trochanter_g_cm2", title="Areal BMD, trochanter", unit="g/cm2", low=0.1, high=2.5),
        Variable(id="bmd_intertrochanter_g_cm2", title="Areal BMD, intertrochanter", unit="g/cm2", low=0.1, high=2.8),
        Variable(id="bmd_wards_g_cm2", title="Areal BMD, Ward's triangle", unit="g/cm2", low=0.05, high=2.5),
        Variable(id="bmd_lumbar_g_cm2", title="Areal BMD, L1-L4", unit="g/cm2", low=0.1, high=2.5),
        Variable(id="trabecular_bone_score", title="Trabecular bone score", unit="1", low=0.3, high=2.0),
        Variable(id="t_score_lumbar", title="T-score, L1-L4", unit="SD", low=-10, high=10),
        Variable(id="t_score_total_hip", title="T-score, total hip", unit="SD", low=-10, high=10),
        Variable(id="t_score_femoral_neck", title="T-score, femoral neck", unit="SD", low=-10, high=10),
        Variable(id="t_score_lowest", title="Lowest T-score", unit="SD", low=-10, high=10),
        Variable(id="qct_t_score", title="T-score by quantitative CT", unit="SD", low=-12, high=12),
        Variable(
            id="vbmd_mg_cm3", title="Trabecular volumetric BMD, hydroxyapatite", unit="mg/cm3", low=-100, high=500
        ),
        Variable(id="mean_hu", title="Mean attenuation of the vertebral body", unit="HU", low=-200, high=1000),
        Variable(
            id="mean_hu_l1_follow_up", title="Mean attenuation of L1 at follow-up", unit="HU", low=-200, high=1000
        ),
        Variable(id="kvp", title="Tube voltage", unit="kV", low=20, high=200),
        Variable(id="genant_grade", title="Genant grade, visual", unit="grade", low=0, high=3),
        _yes_no("previous_fracture", "Fracture as an adult"),
        _yes_no("parent_hip_fracture", "Hip fracture of a parent"),
        _yes_no("mother_hip_fracture", "Hip fracture of the mother"),
        _yes_no("father_hip_fracture", "Hip fracture of the father"),
        _yes_no("smoking", "Current smoking"),
        _yes_no("ever_smoked", "At least 100 cigarettes in life"),
        _yes_no("glucocorticoids", "Glucocorticoid use"),
        _yes_no("rheumatoid_arthritis", "Rheumatoid arthritis"),
        _yes_no("arthritis", "Arthritis, any"),
        _yes_no("secondary_osteoporosis", "Secondary osteoporosis"),
        _yes_no("diabetes", "Diabetes"),
        _yes_no("hypertension", "Hypertension"),
        _yes_no("thyroid_disease", "Thyroid disease"),
        _yes_no("heart_disease", "Coronary heart disease"),
        _yes_no("liver_disease", "Liver disease"),
        _yes_no("premature_menopause", "Menopause before 45"),
        _yes_no("postmenopausal", "After menopause"),
        _yes_no("falls", "Fall in the last year"),
        _yes_no("needs_arms_to_stand", "Needs arms to rise from a chair"),
        _yes_no("alcohol_12_drinks", "At least 12 drinks in a year"),
        _yes_no("chemotherapy", "Chemotherapy"),
        _yes_no("contrast", "Intravenous contrast"),
        Variable(id="alcohol_drinks_day", title="Drinks on a drinking day", unit="drinks", low=0, high=60),
        Variable(id="milk_frequency", title="Milk products, 0 never to 3 daily", unit="grade", low=0, high=3),
        Variable(
            id="milk_history",
            title="Milk five times a week: most of life, never, or varied",
            unit="code",
            codes=("regular", "never", "varied"),
        ),
        Variable(
            id="self_rated_risk", title="Self-rated fracture risk", unit="code", codes=("less", "same", "greater")
        ),
        Variable(id="arthralgia_score", title="Subjective arthralgia score", unit="1", low=0, high=100),
        Variable(id="grip_strength_kg", title="Grip strength", unit="kg", low=0, high=100),
        Variable(id="menopause_age_years", title="Age at menopause", unit="years", low=20, high=65),
        Variable(id="creatinine_mg_dl", title="Serum creatinine", unit="mg/dL", low=0.1, high=20),
        Variable(id="homocysteine_umol_l", title="Homocysteine", unit="umol/L", low=1, high=200),
        Variable(id="haemoglobin_g_l", title="Haemoglobin", unit="g/L", low=30, high=230),
        Variable(id="glucose_mmol_l", title="Glucose", unit="mmol/L", low=1, high=50),
        Variable(id="bilirubin_total_umol_l", title="Total bilirubin", unit="umol/L", low=0, high=600),
        Variable(id="bilirubin_direct_umol_l", title="Direct bilirubin", unit="umol/L", low=0, high=400),
        Variable(id="bilirubin_indirect_umol_l", title="Indirect bilirubin", unit="umol/L", low=0, high=400),
        Variable(id="alkaline_phosphatase_u_l", title="Alkaline phosphatase", unit="U/L", low=5, high=3000),
        Variable(id="uric_acid_umol_l", title="Uric acid", unit="umol/L", low=50, high=1200),
        Variable(id="calcium_mmol_l", title="Calcium", unit="mmol/L", low=1, high=4),
        Variable(id="magnesium_mmol_l", title="Magnesium", unit="mmol/L", low=0.2, high=3),
        Variable(id="phosphate_mmol_l", title="Phosphate", unit="mmol/L", low=0.2, high=5),
        Variable(id="vitamin_d_nmol_l", title="25-OH vitamin D", unit="nmol/L", low=3, high=400),
        Variable(id="albumin_g_l", title="Albumin", unit="g/L", low=10, high=70),
        Variable(id="total_cholesterol_mmol_l", title="Total cholesterol", unit="mmol/L", low=1, high=20),
        Variable(id="frax_major_percent", title="FRAX, major fracture in ten years", unit="%", low=0, high=100),
        Variable(id="frax_hip_percent", title="FRAX, hip fracture in ten years", unit="%", low=0, high=100),
    )
}


def get_target(id_: str) -> Target:
    """Look up a row of `TARGETS`.

    Raises `KeyError` naming the nearest id.
    """
    if id_ not in TARGETS:
        raise KeyError(unknown("target", id_, TARGETS))
    return TARGETS[id_]


def unknown(what: str, given: str, known: Iterable[str]) -> str:
    """Say that a name is not known, with the nearest known ones."""
    names = sorted(known)
    near = get_close_matches(given, names, n=3, cutoff=0.5)
    hint = (
        f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names[:12])}{' ...' * (len(names) > 12)}"
    )
    return f"no {what} is called {given!r}; {hint}"
