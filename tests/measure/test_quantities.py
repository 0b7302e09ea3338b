"""The table of what can be measured, and rows that stand on several measurements: areal, what it means, elements."""

from dataclasses import replace

import numpy as np
import pytest

from tests.measure.bodies import painted, spine
from tests.measure.elements.test_femur import seen
from trabecula.case import Case, Images
from trabecula.image import Image
from trabecula.measure.quantities import QUANTITIES, TISSUES
from trabecula.measurement import measure_cases
from trabecula.target import ROLES, VARIABLES


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TRABECULA_CACHE", str(tmp_path / "cache"))


def rows_of(what, images, masks, *, table=None, groups=None):
    case = Case(id="a", patient="a", images=Images(images), masks=Images(masks), table=table or {}, groups=groups or {})
    return {(row["part"], row["name"]): row for row in measure_cases([case], [what])}


def test_rows_of_the_table_speak_the_words_of_the_library():
    for row in QUANTITIES.values():
        assert row.views
        for view in row.views:
            assert bool(view.role) != bool(view.modalities)
            assert not view.role or view.role in ROLES
            assert {role for roles in view.masks for role in roles} <= {name for name in ROLES if ROLES[name].mask} | {
                TISSUES
            }
        assert {*row.facts} <= {*VARIABLES, "kvp", "contrast"}


# --- a DXA map and what it means


def hip(neck=0.600):
    """A map whose total hip is 0.72 g/cm2: regions of 400 pixels each, and Ward's triangle of 100."""
    values, labels = np.zeros((1, 60, 80), dtype=np.float32), np.zeros((1, 60, 80), dtype=np.uint8)
    for value, (columns, bmd) in enumerate(((20, neck), (20, 0.62), (20, 0.94), (5, 0.72)), 1):
        box = np.s_[0, 10:30, 20 * (value - 1) : 20 * (value - 1) + columns]
        values[box], labels[box] = bmd, value
    geometry = {"spacing": (1.0, 0.6, 0.6), "space": "detector"}
    names = {1: "femoral neck", 2: "trochanter", 3: "intertrochanteric", 4: "Ward's triangle"}
    return ({"hip_dxa": Image(voxels=values, unit="g/cm2", **geometry)},
            {"hip_regions": Image(voxels=labels, unit="label", names=names, **geometry)})  # fmt: skip


def test_total_hip_is_all_of_its_regions_and_means_are_over_area():
    found = rows_of("areal", *hip())
    assert found["total hip", "bmd_g_cm2"]["value"] == pytest.approx((400 * (0.6 + 0.62 + 0.94) + 100 * 0.72) / 1300)
    assert found["total hip", "area_cm2"]["value"] == pytest.approx(1300 * 0.36 / 100)
    assert found["femoral neck", "bmd_g_cm2"]["unit"] == "g/cm2"


def test_t_scores_and_class_where_sex_and_age_are_known():
    found = rows_of("interpretation", *hip(), table={"sex": "female", "age_years": 71.0})
    assert found["femoral neck", "t_score"]["value"] == pytest.approx((0.600 - 0.858) / 0.120, abs=1e-5)
    assert "Looker" in found["femoral neck", "t_score"]["region"]
    lowest = found["femoral neck", "who_class_dxa"]
    assert lowest["value"] == 1
    assert "Lowest T-score -2.1 (femoral neck" in lowest["sentence"]
    assert "osteopenia" in lowest["sentence"]
    expected = (found["total hip", "t_score"]["value"] * 0.122 + 0.942 - 0.8332) / 0.1386
    assert found["total hip", "z_score"]["value"] == pytest.approx(expected, abs=1e-4)
    worse = rows_of("interpretation", *hip(0.55), table={"sex": "female", "age_years": 71.0})
    assert worse["femoral neck", "who_class_dxa"]["value"] == 2


@pytest.mark.parametrize(
    ("table", "name", "said"),
    [
        ({"age_years": 71.0}, "t_score", "without it there is no T-score"),
        ({"age_years": 71.0}, "who_class_dxa", "the sex is not known"),
        ({"sex": "female"}, "who_class_dxa", "the age is not known"),
        ({"sex": "female"}, "z_score", "the age is not known"),
        ({"sex": "female", "age_years": 81.0}, "z_score", "20 to 79 years, not 81"),
        ({"sex": "male", "age_years": 35.0}, "who_class_dxa", "no WHO class for a male of 35"),
        ({"sex": "female", "age_years": 55.0, "postmenopausal": 0.0}, "who_class_dxa", "before the menopause"),
    ],
)
def test_what_depends_on_a_fact_that_is_missing_abstains(table, name, said):
    found = [row for (_, each), row in rows_of("interpretation", *hip(), table=table).items() if each == name]
    assert found
    for row in found:
        assert row["value"] is None
        assert said in row["abstained"]


def test_a_map_without_hip_regions_has_no_t_score():
    images, masks = hip()
    names = {1: "Ward's triangle"}
    found = rows_of("interpretation", images, {"hip_regions": replace(masks["hip_regions"], names=names)})
    assert "neither the femoral neck" in found["", "t_score"]["abstained"]


# --- CT


def with_rods(hu, *, mm=2.0):
    """Two bodies in a CT whose rods of 0 and 200 mg/cm3 read 0 and 260 HU."""
    bodies, _ = spine(("L1", "L2"), (mm, mm, mm))
    beside = ((0, 0), (0, 0), (0, 24))
    image, labels = painted(bodies, hu), np.pad(bodies.voxels, beside)
    voxels, rods = np.pad(image.voxels.astype(np.float64), beside, constant_values=-50.0), np.zeros(labels.shape)
    for value, (start, read) in enumerate(((1, 0.0), (13, 260.0)), 1):
        box = np.s_[:, 4:14, labels.shape[2] - 24 + start : labels.shape[2] - 24 + start + 10]
        voxels[box], rods[box] = read, value
    names = {1: "hydroxyapatite 0 mg/cm3", 2: "hydroxyapatite 200 mg/cm3"}
    return {"lumbar_ct": replace(image, voxels=voxels)}, {
        "vertebral_bodies": replace(bodies, voxels=labels),
        "calibration_rods": replace(bodies, voxels=rods.astype(np.uint8), names=names),
    }


def test_hu_and_density_are_told_by_published_cuts():
    images, masks = with_rods({1: 104.0, 2: 78.0})
    found = rows_of("interpretation", images, masks, groups={"kvp": "120", "contrast": "none"})
    assert found["L1", "l1_hu_class"]["value"] == 2
    assert "110 HU" in found["L1", "l1_hu_class"]["sentence"]
    assert found["L1, L2", "qct_class"]["value"] == 2
    assert "is 70 mg/cm3: osteoporosis" in found["L1, L2", "qct_class"]["sentence"]


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ({"contrast": "none"}, "the tube voltage is not known"),
        ({"kvp": "120"}, "the contrast is not known"),
        ({"kvp": "100", "contrast": "none"}, "not for 100 kV"),
        ({"kvp": "120", "contrast": "portal_venous"}, "with contrast 'portal_venous'"),
    ],
)
def test_hu_cuts_abstain_without_voltage_and_contrast(groups, said):
    images, masks = with_rods({1: 104.0, 2: 78.0})
    found = rows_of("interpretation", images, masks, groups=groups)
    assert said in found["L1", "l1_hu_class"]["abstained"]
    if groups.get("contrast") != "none":
        assert "the contrast" in found["", "qct_class"]["abstained"]


def test_elements_of_vertebrae_take_the_calibration_of_the_scan():
    images, masks = with_rods({1: 195.0, 2: 97.5})  # 150 and 75 mg/cm3
    found = rows_of("elements", images, masks, groups={"contrast": "none"})
    strong, weak = (found[level, "failure_load"] for level in ("L1", "L2"))
    assert strong["unit"] == "N"
    assert strong["uncertainty"] > 0
    assert "calibrated by 2 rods of hydroxyapatite" in strong["region"]
    assert strong["value"] > 1.6 * weak["value"]  # modulus rises with density ** 1.05
    (refused,) = rows_of("elements", images, masks, groups={"contrast": "arterial"}).values()
    assert "contrast (arterial)" in refused["abstained"]
    (refused,) = rows_of("elements", images, masks).values()
    assert "whether contrast was given is not known" in refused["abstained"]


def test_elements_of_a_map_take_the_force_of_the_patient_who_falls():
    image, mask = seen(mm=3.0)
    images = {"hip_dxa": image}
    masks = {"proximal_femur": replace(mask, names={1: "femur"})}
    usual = rows_of("elements", images, masks)
    heavy = rows_of("elements", images, masks, table={"weight_kg": 95.0, "height_cm": 180.0})
    strength = usual["femur", "fall_failure_load"]["value"]
    assert heavy["femur", "fall_failure_load"]["value"] == pytest.approx(strength, rel=1e-6)
    assert "at 3000 N" in usual["femur", "fall_strain_energy"]["region"]
    assert heavy["femur", "fall_load_over_strength"]["value"] > 2 * usual["femur", "fall_load_over_strength"]["value"]
    assert usual["femur", "stance_failure_load"]["value"] > 0


# --- texture


def test_texture_is_measured_in_the_region_or_without_one():
    values = np.random.default_rng(0).normal(100, 20, (1, 90, 90))
    film = Image(voxels=values, unit="stored", spacing=(1.0, 0.1, 0.1), space="detector")
    region = replace(film, voxels=(np.indices(film.shape)[2] < 60).astype(np.uint8), unit="label", names={1: "jaw"})
    whole = rows_of("texture", {"periapical": film}, {})
    part = rows_of("texture", {"periapical": film}, {"bone": region, "trabecular_region": region})
    assert {part for part, _ in whole} == {""}
    assert {part for part, _ in part} == {"jaw"}
    assert (
        "is measured in images of xray or dental"
        in rows_of("texture", {"lumbar_ct": film}, {})["", "texture"]["abstained"]
    )
