"""Villamor et al. 2020: physics scaled to the patient, set-ups with and without the map."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from trabecula.case import Images
from trabecula.cohort import open_cohort
from trabecula.measure.elements import dxa_fall, impact_force
from trabecula.metrics import auc
from trabecula.prediction import Abstain, Grades
from trabecula.system import Model, get_system
from trabecula.systems.villamor2020_fe_svm.attributes import ATTRIBUTES, BMD, MAP_BMD, RESPONSE, attributes

ID, TARGET = "villamor2020_fe_svm", "hip_fracture"
HOW = {"element_mm": 2.0, "density": "converted"}


@cache
def hips():
    """Return twelve first visits, of which the fast suite makes the maps anyway."""
    return [case for case in open_cohort("phantom_dxa", n=60).cases if "_" not in case.id][:12]


@cache
def patients():
    """Return 60 patients on five maps: the neck's true BMD, apart from the map, decides who breaks."""
    rng, made = np.random.default_rng(2), []
    for n in range(60):
        case, bmd = hips()[n % 5], rng.normal(0.7, 0.12)
        table = {"age_years": rng.uniform(55, 85), "height_cm": 160.0, "weight_kg": rng.uniform(50, 90), BMD: bmd}
        truth = {TARGET: int(bmd + rng.normal(0, 0.04) < 0.68)}
        made.append(replace(case, id=str(n), patient=str(n), table=table, truth=truth))
    return made


def tiny(**settings):
    return get_system(ID, size="tiny", settings=settings)


def answers(model, cases, target=TARGET):
    return [answer[target] for answer in model.predict(cases)]


def test_the_nineteen_are_nineteen_and_scale_with_the_fall():
    case = hips()[0]
    found = attributes(case, **HOW)
    assert len(ATTRIBUTES) == 19
    assert set(ATTRIBUTES) <= set(found)
    force = impact_force(case.number("weight_kg"), case.number("height_cm"))
    assert found["impact_force_n"] == pytest.approx(force)
    told = dxa_fall(case.images["hip_dxa"], case.masks["proximal_femur"], force_n=force, element_mm=2.0)
    direct = {number.name: number.value for number in told}
    for name in RESPONSE:
        assert found[name] == pytest.approx(direct[name], rel=1e-4), name


def test_geometry_and_bmd_are_the_hips():
    for case in hips()[:4]:
        found = attributes(case, **HOW)
        assert 110 < found["neck_shaft_deg"] < 140
        assert 24 < found["neck_width_mm"] < 40
        assert 75 < found["hip_axis_length_mm"] < 120
        assert found[MAP_BMD] == pytest.approx(found[BMD], abs=0.15)
        assert found["neck_minor_strain_p5"] < 0 < found["neck_major_strain_p95"]


def test_the_facts_density_is_a_softer_femur():
    usual, facts = (attributes(hips()[0], element_mm=2.0, density=kind) for kind in ("converted", "as_facts"))
    assert facts["neck_minor_strain_p5"] < 1.8 * usual["neck_minor_strain_p5"] < 0


@pytest.mark.parametrize("learner", ["svm", "logistic", "neural", "forest"])
def test_every_learner_learns_and_survives_saving(tmp_path, learner):
    model = tiny(learner=learner, compare=False).fit(patients()[:40])
    p = [each.p for each in answers(model, patients()[40:])]
    assert auc([case.truth[TARGET] for case in patients()[40:]], p) > 0.75
    model.save(tmp_path / "model")
    assert Model.load(tmp_path / "model").predict(patients()[40:]) == model.predict(patients()[40:])


def test_learners_and_bmd_are_compared_on_held_out_patients():
    compared = tiny().fit(patients()).state.facts["comparison"]
    assert set(compared) == {"svm", "logistic", "neural", "forest", "bmd"}
    assert compared["bmd"] > 0.85  # who breaks was drawn from it


def test_clinical_and_bmd_alone_ask_for_no_map():
    bare = [replace(case, images=Images({}), masks=Images({})) for case in patients()]
    for kind, names in (("clinical", 5), ("bmd", 1)):
        system = tiny(attributes=kind)
        assert not system.inputs().images
        assert len(system.names) == names
        model = system.fit(bare)
        assert auc([case.truth[TARGET] for case in bare], [each.p for each in answers(model, bare)]) > 0.85
        without = [replace(bare[0], table={name: v for name, v in bare[0].table.items() if name != BMD})]
        assert isinstance(answers(model, without)[0], Abstain)
    assert isinstance(answers(tiny().fit(patients()), bare)[0], Abstain)


def test_the_maps_bmd_stands_in_for_a_bmd_that_was_not_told():
    cases = [case for case in hips() if TARGET in case.truth]
    truth = [int(case.number(BMD) < np.median([each.number(BMD) for each in cases])) for case in cases]
    cases = [replace(case, truth={TARGET: one}) for case, one in zip(cases, truth, strict=True)]
    model = tiny(compare=False).fit(cases)
    without = [replace(c, table={name: v for name, v in c.table.items() if name != BMD}) for c in cases]
    told, guessed = ([each.p for each in answers(model, each)] for each in (cases, without))
    assert told != guessed
    assert np.abs(np.subtract(told, guessed)).max() < 0.3


def test_what_bmd_defines_is_learned_from_the_map():
    system = get_system(ID, size="tiny", targets=("osteoporosis_dxa",))
    assert BMD not in system.inputs().table
    assert len(system.names) == 19
    clinical = get_system(ID, size="tiny", targets=("osteoporosis_dxa",), settings={"attributes": "clinical"})
    assert BMD not in clinical.names
    with pytest.raises(ValueError, match="nothing left"):
        get_system(ID, size="tiny", targets=("osteoporosis_dxa",), settings={"attributes": "bmd"}).inputs()


def test_an_ordinal_target_gets_its_grades():
    by_weight = sorted(patients(), key=lambda case: case.number("weight_kg"))
    three = [replace(case, truth={"who_class_dxa": int(3 * n / 60)}) for n, case in enumerate(by_weight)]
    system = get_system(ID, size="tiny", targets=("who_class_dxa",), settings={"compare": False})
    found = answers(system.fit(three), three, "who_class_dxa")
    assert all(isinstance(each, Grades) and len(each.p) == 3 for each in found)
    assert np.mean([a.most_likely == c.truth["who_class_dxa"] for a, c in zip(found, three, strict=True)]) > 0.5


def test_a_map_that_cannot_be_loaded_abstains_and_says_why():
    model = tiny(compare=False).fit(patients())
    case = patients()[0]
    image, mask = case.images["hip_dxa"], case.masks["proximal_femur"]
    picture = replace(case, images=Images({"hip_dxa": image.with_voxels(image.voxels, unit="stored")}))
    empty = replace(case, masks=Images({"proximal_femur": mask.with_voxels(np.zeros_like(mask.voxels))}))
    nobody = replace(case, table={**case.table, "height_cm": 1.6})
    told = [each.reason for each in answers(model, [picture, empty, nobody])]
    assert "g/cm2" in told[0]
    assert "empty" in told[1]
    assert "nobody falls" in told[2]
    assert model.explain(picture) is None


def test_shares_are_told_for_every_attribute_and_strain_lies_on_the_femur():
    model = tiny(compare=False).fit(patients())
    evidence = model.explain(patients()[3])
    assert set(evidence.numbers) == set(ATTRIBUTES)
    assert max(evidence.numbers, key=lambda name: abs(evidence.numbers[name])) == BMD
    assert evidence.heat["hip_dxa"].shape == patients()[3].images["hip_dxa"].shape
