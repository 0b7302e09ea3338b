"""What a careful reviewer would find first is found, said and resolved."""

import json

import numpy as np
import pytest
from PIL import Image as Picture

from tests.test_duplicates import limb
from trabecula import findings
from trabecula.acquisition import facts_of, shortcut
from trabecula.card import CohortCard
from trabecula.case import Case, Event, Images
from trabecula.cohort import Cohort
from trabecula.duplicates import look_at
from trabecula.image import FileSource
from trabecula.system import quiet
from trabecula.target import get_target

KNEE, DXA, WHO = "osteoporosis_knee_label", "osteoporosis_dxa", "who_class_dxa"


def cohort(cases, *, problems=(), patients="known"):
    card = CohortCard(
        id="c", title="c", source="-", licence="-", population="-", truth="-", modalities=("xray",), patients=patients
    )
    return Cohort(cases=tuple(cases), card=card, problems=tuple(problems))


def case(id_, *, patient=None, part="", table=None, groups=None, truth=None, images=None):
    return Case(
        id=id_, patient=patient or id_, part=part, table=table or {}, groups=groups or {}, truth=truth or {},
        images=Images(images or {}),
    )  # fmt: skip


def plain(n=40, target=DXA):
    """Cases in which nothing is wrong."""
    return [case(f"p{i}", truth={target: i % 2}, table={"age_years": 60.0 + i % 9, "sex": "female"}) for i in range(n)]


def said(found, *words):
    return [line for line in found.lines() if all(word in line for word in words)]


def test_a_clean_cohort_has_no_problem():
    found = findings.check(cohort(plain()))
    assert found.problems == ()
    assert not found.must_resolve
    assert found.readable == found.cases == 40


def test_nothing_is_changed_where_nothing_was_found():
    clean = cohort(plain())
    assert findings.resolved(clean, findings.check(clean)) is clean


def test_the_json_has_the_promised_keys_and_survives_json():
    told = json.loads(json.dumps(findings.check(cohort(plain())).to_json(), allow_nan=False))
    promised = {"cases", "readable", "unreadable", "duplicates", "conflicts", "shortcut", "problems", "must_resolve"}
    assert promised <= set(told)


# Pictures


def film(folder, name, seed, *, truth, patient=None):
    limb(seed).save(folder / name)
    return case(name, patient=patient, truth={KNEE: truth}, images={"picture": FileSource(folder / name)})


@pytest.fixture
def films(tmp_path):
    """Two conflicting copies, two agreeing ones, two single films and a file that is no picture."""
    (tmp_path / "text.png").write_text("no picture")
    return cohort([
        film(tmp_path, "a.png", 1, truth=0), film(tmp_path, "b.png", 1, truth=1),
        film(tmp_path, "c.png", 2, truth=0, patient="p"), film(tmp_path, "d.png", 2, truth=0),
        film(tmp_path, "p2.png", 3, truth=0, patient="p"), film(tmp_path, "f.png", 4, truth=1),
        case("text.png", truth={KNEE: 0}, images={"picture": FileSource(tmp_path / "text.png")}),
    ])  # fmt: skip


def test_unreadable_files_duplicates_and_conflicts_are_problems(films):
    found = findings.check(films)
    assert found.readable == 6
    assert len(found.unreadable) == 1
    assert found.unreadable[0].startswith("text.png: ")
    assert [set(group["cases"]) for group in found.duplicates] == [{"a.png", "b.png"}, {"c.png", "d.png"}]
    pictures = [each["cases"] for each in found.conflicts if each["kind"] == "picture"]
    assert pictures == [["a.png", "b.png"]]
    assert said(found, "1 file", "cannot be read")
    assert said(found, "same picture with different labels", "a.png and b.png")
    assert said(found, "give them one patient id")
    assert found.lines()[0].startswith("1 file")


def test_resolving_drops_conflicts_and_joins_all_cases_of_patients_who_share_a_picture(films):
    found = findings.check(films)
    kept = findings.resolved(films, found)
    patients = {each.id: each.patient for each in kept.cases}
    joined = patients["c.png"]
    assert patients == {"c.png": joined, "d.png": joined, "p2.png": joined, "f.png": "f.png", "text.png": "text.png"}
    assert [note.split()[0] for note in kept.notes] == ["2", "2"]


def test_files_that_the_cohort_could_not_read_are_a_problem():
    found = findings.check(cohort(plain(), problems=["x.dcm: no pixels"]))
    assert said(found, "x.dcm: no pixels")
    assert found.must_resolve


def test_a_contact_sheet_is_drawn_and_says_how_many(films, tmp_path):
    found = findings.check(films)
    findings.picture(films, found, tmp_path / "sheet.png")
    with Picture.open(tmp_path / "sheet.png") as sheet:
        drawn = np.asarray(sheet.convert("RGB")).astype(int)
    assert drawn.shape[0] > 250
    red = (drawn[..., 0] > 150) & (drawn[..., 1] < 40)
    assert red.any()
    findings.picture(cohort(plain()), findings.check(cohort(plain())), tmp_path / "empty.png")
    assert (tmp_path / "empty.png").exists()


# Values and labels


@pytest.fixture
def no_forest(monkeypatch):
    """Leave the shortcut out of checks that are about labels."""
    monkeypatch.setattr(findings, "shortcut", lambda *args, **settings: None)


def test_values_out_of_range_are_told_with_their_range():
    cases = [*plain(), case("odd", table={"age_years": 612.0, "smoking": 0.5}, truth={DXA: 0})]
    found = findings.check(cohort(cases))
    assert dict(found.out_of_range) == {"age_years": ["odd"], "smoking": ["odd"]}
    assert said(found, "age_years", "0 to 120 years")
    assert said(found, "smoking", "it is 0 or 1")


def test_a_repeated_number_far_from_all_others_is_taken_for_a_code():
    cases = [
        case(f"p{i}", truth={DXA: i % 2}, table={"vitamin_d_nmol_l": 40.0 + i if i > 4 else 9999.0}) for i in range(40)
    ]
    assert said(findings.check(cohort(cases)), "vitamin_d_nmol_l is 9999 again and again")
    weights = [
        case(f"p{i}", truth={DXA: i % 2}, table={"weight_kg": (55.0, 60.0, 66.0, 77.0, 81.0, 88.0, 99.0)[i % 7]})
        for i in range(40)
    ]
    assert not said(findings.check(cohort(weights)), "again and again")


def test_missing_values_are_told_and_are_no_problem():
    cases = [*plain(30), *(case(f"q{i}", truth={DXA: i % 2}) for i in range(10))]
    found = findings.check(cohort(cases))
    assert dict(found.missing) == {"age_years": pytest.approx(0.25), "sex": pytest.approx(0.25)}
    assert said(found, "missing", "age_years 25%")
    assert not found.must_resolve


@pytest.mark.parametrize(
    ("target", "table", "wrong_truths"),
    [
        (DXA, {"t_score_lowest": -2.8}, {0}),
        (DXA, {"t_score_lowest": -2.0}, {1}),
        (DXA, {"t_score_lowest": -2.46}, set()),
        (DXA, {"t_score_lowest": -1.0}, {1}),
        (DXA, {"t_score_femoral_neck": -2.8}, {0}),
        (DXA, {"t_score_femoral_neck": -2.0}, set()),
        (DXA, {"t_score_femoral_neck": -2.0, "t_score_total_hip": -1.0, "t_score_lumbar": -0.5}, {1}),
        ("low_bone_mass_dxa", {"t_score_lowest": -1.4}, {0}),
        (WHO, {"t_score_lowest": -1.8}, {0, 2}),
        (WHO, {"t_score_lumbar": -1.8}, {0}),
        ("osteoporosis_hip_dxa", {"t_score_lowest": -3.0, "t_score_total_hip": -1.0}, set()),
        ("osteoporosis_spine_dxa", {"t_score_lumbar": -3.0}, {0}),
        ("t_score_lowest", {"t_score_lumbar": -3.0}, {-1.0}),
        ("vertebral_fracture", {"genant_grade": 2.0}, {0}),
        ("vertebral_fracture", {"genant_grade": 0.0}, {1}),
        ("vertebral_fracture", {"genant_grade": 1.0}, set()),
        ("genant_grade", {"genant_grade": 1.0}, {0, 2, 3}),
        ("l1_attenuation_loss", {"mean_hu_l1_follow_up": 90.0}, {0}),
        ("bmd_total_hip", {"bmd_total_hip_g_cm2": 0.8}, {0.9}),
    ],
)
def test_labels_are_held_against_their_definition(target, table, wrong_truths):
    row = get_target(target)
    possible = (
        range(len(row.grades)) if row.grades else [*wrong_truths, *(v for v in table.values() if not wrong_truths)]
    )
    for truth in possible:
        cases = [*plain(), case("odd", table=table, truth={target: truth})]
        found = findings.check(cohort(cases), target=target)
        assert bool(found.at_odds) == (truth in wrong_truths), (target, table, truth)


def test_labels_outside_the_population_are_remarked():
    young = case("young", table={"age_years": 30.0, "sex": "female"}, truth={DXA: 0})
    found = findings.check(cohort([*plain(), young]))
    assert said(found, "young", "defined for postmenopausal women and men from 50 on")


def test_one_class_only_is_a_problem_and_few_of_one_a_remark():
    one = findings.check(cohort([case(f"p{i}", truth={DXA: 0}) for i in range(30)]))
    assert said(one, "one class only")
    assert one.must_resolve
    few = findings.check(cohort([case(f"p{i}", truth={DXA: int(i < 4)}) for i in range(30)]))
    assert said(few, "under 10 patients")
    assert not few.must_resolve


def test_no_truth_at_all_is_a_problem():
    assert said(findings.check(cohort([case("a"), case("b")])), "no case has truth")


def test_a_patient_cannot_have_two_classes_on_one_date_but_on_two_and_in_two_vertebrae(no_forest):
    def pair(target, first, second):
        return [
            case("a", patient="p", truth={target: 0}, **first),
            case("b", patient="p", truth={target: 1}, **second),
        ]

    def conflicts(target, first, second):
        found = findings.check(cohort([*plain(), *pair(target, first, second)]), target=target)
        return [each["cases"] for each in found.conflicts]

    assert conflicts(DXA, {}, {}) == [["a", "b"]]
    assert conflicts(DXA, {"part": "left"}, {"part": "right"}) == [["a", "b"]]
    assert conflicts(DXA, {"groups": {"date": "2020-01-01"}}, {"groups": {"date": "2023-01-01"}}) == []
    assert conflicts("vertebral_fracture", {"part": "L1"}, {"part": "L2"}) == []
    assert conflicts("vertebral_fracture", {"part": "L1"}, {"part": "L1"}) == [["a", "b"]]
    assert conflicts("qct_class", {"part": "L1"}, {"part": "L2"}) == []


def test_a_patient_in_several_sites_is_remarked(no_forest):
    cases = [*plain(), *(case(f"x{i}", patient="x", groups={"site": s}, truth={DXA: 0}) for i, s in enumerate("ab"))]
    assert said(findings.check(cohort(cases)), "1 patient occurs with several values of site")


def test_an_unknown_target_is_refused():
    with pytest.raises(KeyError, match="osteoporosis_dxa"):
        findings.check(cohort(plain()), target="osteoporosis_dx")


# The shortcut


def taken(n, strength, seed, *, prevalence=0.4):
    """Cases whose scanner and size tell the label in `strength` of them, and chance in the others."""
    rng = np.random.default_rng(seed)
    cases = []
    for i in range(n):
        label = int(rng.random() < prevalence)
        told = label if rng.random() < strength else int(rng.random() < prevalence)
        groups = {
            "scanner": "AB"[told] if rng.random() < 0.8 else "C",
            "width": str(1000 + 200 * told + int(rng.integers(0, 300))),
            "kvp": str(rng.integers(60, 80)),
            "accession": str(50_000 + i),
        }
        cases.append(case(f"c{i}", groups=groups, truth={DXA: label}))
    return cases


def measured(cases, *, target=DXA, seed=0):
    looks = look_at(cases, quiet)
    told, source = facts_of(cases, looks)
    facts = {each.id: fact for each, fact in zip(cases, told, strict=True)}
    return shortcut(cases, cases, facts, target=target, source=source, seed=seed)


def test_a_planted_shortcut_is_loud_and_names_the_facts():
    found = findings.check(cohort(taken(150, 0.8, 0)))
    assert found.shortcut.strong
    assert next(iter(found.shortcut.features)) in ("scanner", "width")
    assert "accession" not in found.shortcut.features
    assert said(found, "SHORTCUT", "a model can learn the site instead")
    assert found.must_resolve


def test_facts_that_know_nothing_are_no_shortcut():
    found = findings.check(cohort(taken(150, 0.0, 0)))
    assert not found.shortcut.strong
    assert not found.must_resolve


def test_same_seed_same_shortcut():
    cases = taken(50, 0.5, 3)
    assert measured(cases).to_json() == measured(cases).to_json()


def test_without_groups_the_size_of_the_decoded_picture_is_the_fact(tmp_path):
    cases = []
    for i in range(40):
        label = i % 2
        rng = np.random.default_rng(i)
        Picture.fromarray(rng.integers(0, 255, (30 + 8 * label, 40), dtype=np.uint8)).save(tmp_path / f"{i}.png")
        cases.append(case(str(i), truth={KNEE: label}, images={"picture": FileSource(tmp_path / f"{i}.png")}))
    found = measured(cases, target=KNEE)
    assert found.source == "size and stored type of the decoded pictures"
    assert list(found.features) == ["picture.height"]
    assert found.auc.value == pytest.approx(1.0)


def test_dates_are_facts_and_missing_facts_tell_as_well():
    dated = [
        case(str(i), truth={DXA: i % 2}, groups={"date": f"20{10 + i % 2 * 5}-0{1 + i % 9}-1{i // 5 % 10}"})
        for i in range(60)
    ]
    assert measured(dated).auc.value > 0.95
    half = [case(str(i), truth={DXA: i % 2}, groups={"kvp": "70"} if i % 2 else {}) for i in range(60)]
    assert measured(half).auc.value > 0.95


@pytest.mark.parametrize(
    ("target", "truth", "told_apart"),
    [
        (WHO, lambda i: i % 3, "osteoporosis against the rest"),
        ("t_score_lowest", lambda i: -3.0 + i % 3, "above the median against below"),
        ("time_to_hip_fracture", lambda i: Event(1.0, 1 if i % 3 == 2 else 0), "the event against none"),
    ],
)
def test_other_kinds_of_targets_are_told_apart_as_said(target, truth, told_apart):
    cases = [case(str(i), truth={target: truth(i)}, groups={"kvp": str(i % 3)}) for i in range(90)]
    found = measured(cases, target=target)
    assert found.told_apart == told_apart
    assert found.auc.value > 0.95


def test_too_few_patients_give_no_figure():
    cases = [case(str(i), truth={DXA: int(i < 9)}, groups={"kvp": str(i)}) for i in range(60)]
    assert measured(cases) is None


def flagged(cases, seed):
    found = measured(cases, seed=seed)
    return found is not None and found.strong


@pytest.mark.slow
@pytest.mark.parametrize("n", [50, 150])
def test_chance_is_flagged_at_most_once_in_twenty(n):
    assert sum(flagged(taken(n, 0.0, 100 + seed), seed) for seed in range(20)) <= 1


@pytest.mark.slow
def test_planted_shortcuts_are_caught_at_least_19_times_in_20():
    assert sum(flagged(taken(200, 0.6, 200 + seed), seed) for seed in range(20)) >= 19


def test_a_follow_up_that_looks_alike_is_another_picture_where_dates_say_so(tmp_path):
    """The same limb again, a little noisier and with another label: a change in one patient, a conflict in two."""
    rng = np.random.default_rng(0)
    seen = np.asarray(limb(3), dtype=float)
    for name, noise in (("first", 0.0), ("second", 2.0)):
        grey = np.clip(seen + noise * rng.standard_normal(seen.shape), 0, 255).astype(np.uint8)
        Picture.fromarray(grey).save(tmp_path / f"{name}.png")

    def found(patients, dates):
        cases = [
            case(name, patient=who, groups={"date": day} if day else {}, truth={KNEE: number},
                 images={"picture": FileSource(tmp_path / f"{name}.png")})
            for number, (name, who, day) in enumerate(zip(("first", "second"), patients, dates, strict=True))
        ]  # fmt: skip
        return [each["kind"] for each in findings.check(cohort(cases)).conflicts]

    years = ("2019-03-01", "2022-05-01")
    assert found(("a", "a"), years) == []
    assert found(("a", "b"), years) == ["picture"]
    assert found(("a", "a"), ("", "")) == ["picture", "patient"]
