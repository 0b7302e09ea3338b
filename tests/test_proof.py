"""The proof tells a system that reads bone from one that reads age, on patients made in memory."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from tests.contract.two_views_and_table.system import TwoViewsAndTable
from trabecula import proof
from trabecula.card import cohort_card
from trabecula.case import Case, Images
from trabecula.cohort import Cohort
from trabecula.image import Image
from trabecula.report.proofs import told_proof

ROWS, COLUMNS = np.mgrid[:16, :16]
USUAL = {"bone_shift": 0.0, "kvp_shift": 0.0, "noise_scale": 1.0}


def film(waves, contrast, rng):
    """Return stripes on a background of the patient's own, without which films would pass for duplicates."""
    own = np.kron(rng.normal(0, 20, (4, 4)), np.ones((4, 4)))
    grey = 100 + own + contrast * np.cos(2 * np.pi * waves / 4) + rng.normal(0, 3, waves.shape)
    return Image(voxels=grey[None].astype(np.float32), unit="stored", space="detector")


def made(patient, settings):
    """Draw a patient whose stripes fade with bone; age tells something about bone as well."""
    rng = np.random.default_rng([7, patient])
    t_score = float(rng.normal(-2.2, 1.2))
    age = float(np.clip(rng.normal(66 - 4 * t_score, 6), 50, 95))
    table = {"age_years": age, "sex": str(rng.choice(["female", "male"])), "bmi_kg_m2": float(rng.normal(26, 3))}
    contrast = 30 + 6 * (t_score + settings["bone_shift"]) + 0.05 * settings["kvp_shift"]
    views = {"spine_xray_ap": film(ROWS, contrast, rng), "spine_xray_lateral": film(COLUMNS, contrast, rng)}
    truth = {"osteoporosis_dxa": int(t_score <= -2.5), "who_class_dxa": int(t_score < -1) + int(t_score <= -2.5)}
    name = f"{patient:06d}"
    return Case(id=name, patient=name, images=Images(views), table=table, groups={"kvp": "70"}, truth=truth)


@dataclass(frozen=True, kw_only=True)
class ReadsAge(TwoViewsAndTable):
    """The same network in the dark."""

    @classmethod
    def card(cls):
        return TwoViewsAndTable.card()

    def _tensors(self, cases):
        ap, lateral, age = super()._tensors(cases)
        return ap * 0, lateral * 0, age


@pytest.fixture(autouse=True)
def cohort(monkeypatch):
    def opened(name, *, n, seed, settings=None, progress=None):
        cases = tuple(made(patient, USUAL | (settings or {})) for patient in range(n))
        return Cohort(cases=cases, card=cohort_card("phantom_spine_xray"))

    monkeypatch.setattr(proof, "open_cohort", opened)
    monkeypatch.setattr(proof, "cohort_settings", lambda name: USUAL)


TRIAL = proof.Trial(cohort="phantom_spine_xray", patients=90, pairs=20, folds=3)


def test_one_that_reads_bone_passes():
    found = proof.prove(TwoViewsAndTable(targets=("osteoporosis_dxa",), epochs=60), TRIAL, jobs=1)
    held = proof.verdict(found)
    assert held == dict.fromkeys(held, True), found
    assert set(found["twins"]["moved"]) == {"bone", "tube voltage", "noise"}
    assert found["permuted"]["value"]["value"] < found["figures"]["auc"]["value"]
    told = {row["claim"]: row for row in told_proof(found, held)}
    assert told["better than with permuted images"]["holds"] == "yes"
    assert "of 20 pairs" in told["follows the bone of twins"]["figures"]


def test_one_that_reads_age_beats_prevalence_and_fails_the_rest():
    found = proof.prove(ReadsAge(targets=("osteoporosis_dxa",), epochs=60), TRIAL, jobs=1)
    held = proof.verdict(found)
    assert held["better than prevalence"], "age does tell something"
    assert not held["better than with permuted images"]
    assert not held["follows the bone of twins"]
    assert not held["bone moves it more than the scanner"]


def test_images_go_to_another_of_the_same_class_with_all_that_belongs_to_them():
    cases = [made(patient, USUAL) for patient in range(60)]
    label = Image(voxels=np.ones((1, 2, 2), np.uint8), unit="label", names={1: "bone"})
    cases = [
        replace(case, groups={"of": case.id}, truth={**case.truth, "vertebral_body_mask": label}) for case in cases
    ]
    shown = proof.permuted(cases, seed=1)
    of = {case.id: case for case in cases}
    donors = [case.groups["of"] for case in shown]
    assert sorted(donors) == sorted(of), "every image is shown once"
    same_sex = 0
    for before, after, donor in zip(cases, shown, donors, strict=True):
        assert donor != before.id
        assert after.table == before.table
        assert after.truth["osteoporosis_dxa"] == before.truth["osteoporosis_dxa"]
        assert after.images["spine_xray_ap"].digest == of[donor].images["spine_xray_ap"].digest
        assert abs(of[donor].number("age_years") - before.number("age_years")) < 31
        same_sex += of[donor].table["sex"] == before.table["sex"]
    assert same_sex > 55
    assert [case.groups["of"] for case in proof.permuted(cases, seed=1)] == donors
    assert [case.groups["of"] for case in proof.permuted(cases, seed=2)] != donors


def test_parts_are_shown_the_same_part():
    cases = [replace(made(p, USUAL), id=f"{p} {part}", part=part, groups={"of": str(p), "part": part})
             for p in range(12) for part in ("L1", "L2")]  # fmt: skip
    for before, after in zip(cases, proof.permuted(cases, seed=0), strict=True):
        assert after.groups["part"] == before.part
        assert after.groups["of"] != before.groups["of"]


def test_what_cannot_be_proved_is_said(monkeypatch):
    with pytest.raises(ValueError, match="at least two"):
        proof.permuted([made(0, USUAL)], seed=0)
    with pytest.raises(ValueError, match="twins differ in bone"):
        proof.Trial(cohort="phantom_spine_xray", bone_shift=0.0)
    monkeypatch.setattr(proof, "cohort_settings", lambda name: {})
    with pytest.raises(ValueError, match="makes no twins"):
        proof.prove(TwoViewsAndTable(), TRIAL)


def test_a_label_from_the_same_scan_is_replaced_by_the_diagnosis():
    assert proof.on_phantoms("xie2022_qct_radiomics", size="tiny").headline.id == "osteoporosis_dxa"
    assert proof.on_phantoms("xie2022_qct_radiomics", size="tiny", target="qct_osteoporosis").headline.circular
    assert proof.on_phantoms("villamor2020_fe_svm", size="tiny").headline.id == "hip_fracture"
