"""Cohorts: every layout on disk is read as what it is, and what cannot be read is told with what to do."""

import shutil

import pytest
from PIL import Image as Picture

from trabecula import cohort as module
from trabecula.card import CohortCard, InputsDeclared
from trabecula.case import ANY_GROUP, Case, Images
from trabecula.cohort import Cohort, cases_from_files, cohort_for, fitted_to, names_cohort, open_cohort
from trabecula.image import FileSource


def card(id_="toy", **facts):
    facts = {
        "title": "t",
        "source": "s",
        "licence": "l",
        "population": "p",
        "truth": "t",
        "modalities": ["xray"],
        **facts,
    }
    return CohortCard.model_validate({"id": id_, **facts})


@pytest.fixture
def classes(tmp_path):
    """Make a folder with one folder a class."""

    def made(*names, n=2, root="data"):
        for name in names:
            for i in range(n):
                path = tmp_path / root / name / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Picture.new("L", (4, 4), 10 * i).save(path)
        return tmp_path / root

    return made


# A folder a class -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "target", "grades"),
    [
        (("normal", "osteoporosis"), "osteoporosis_knee_label", [0, 1]),
        (("Normal", "OSTEOPOROSIS"), "osteoporosis_knee_label", [0, 1]),
        (("normal", "osteopenia", "osteoporosis"), "knee_label_three", [0, 1, 2]),
        (("osteopenia", "osteoporosis"), "knee_label_three", [1, 2]),
        (("normal", "low_bone-mass"), "low_bone_mass_dxa", [1, 0]),
        (("C1", "C2", "C3"), "mandibular_cortex_class", [0, 1, 2]),
        (("0", "1", "2", "3"), "genant_grade", [0, 1, 2, 3]),
    ],
)
def test_folders_named_after_grades(classes, names, target, grades):
    opened = open_cohort(classes(*names))
    truths = {case.id.split("/")[0]: case.truth for case in opened.cases}
    assert [truths[name] for name in sorted(names)] == [{target: grade} for grade in grades]
    assert len(opened.cases) == 2 * len(names)
    assert opened.card.patients == "unknown"
    assert opened.card.targets == (target,)
    assert opened.id == "data"
    assert opened.cases[0].images["picture"].shape == (1, 4, 4)


def test_a_target_named_decides(classes):
    folder = classes("normal", "osteoporosis")
    assert open_cohort(folder, target="who_class_dxa").cases[-1].truth == {"who_class_dxa": 2}
    with pytest.raises(
        ValueError, match=r"data: folders .* are not grades of past_fracture, which are \['no fracture'"
    ):
        open_cohort(folder, target="past_fracture")
    with pytest.raises(KeyError, match="did you mean past_fracture"):
        open_cohort(folder, target="past_fractur")


def test_folders_that_fit_several_targets_ask_which(classes):
    folder = classes("no_fracture", "fracture")
    with pytest.raises(ValueError, match=r"data.*vertebral_fracture, past_fracture.*--target"):
        open_cohort(folder)
    assert open_cohort(folder, target="hip_fracture").cases[0].truth == {"hip_fracture": 1}


def test_other_names_are_told_with_those_that_are_known(classes):
    with pytest.raises(ValueError, match=r"data: folders \['healthy', 'sick'\] .* normal / osteoporosis"):
        open_cohort(classes("healthy", "sick"))
    with pytest.raises(ValueError, match=r"\['test', 'train'\]"):
        open_cohort(classes("train/normal", "test/normal", root="nested"))


def test_hidden_files_and_other_kinds_are_passed_over(classes):
    folder = classes("normal", "osteoporosis")
    (folder / "normal" / ".DS_Store").write_bytes(b"x")
    (folder / "normal" / "._0.png").write_bytes(b"x")
    (folder / "normal" / "Thumbs.db").write_bytes(b"x")
    (folder / "__MACOSX").mkdir()
    (folder / "README.txt").write_text("hello")
    assert len(open_cohort(folder).cases) == 4


def test_deeper_folders_and_other_endings_belong_to_the_class(classes):
    folder = classes("normal", "osteoporosis", n=1)
    Picture.new("L", (4, 4)).save(folder / "normal" / "more.JPG", format="JPEG")
    shutil.copytree(folder / "normal", folder / "osteoporosis" / "site b")
    assert [(case.id, *case.truth.values()) for case in open_cohort(folder).cases] == [
        ("normal/0.png", 0), ("normal/more.JPG", 0), ("osteoporosis/0.png", 1),
        ("osteoporosis/site b/0.png", 1), ("osteoporosis/site b/more.JPG", 1),
    ]  # fmt: skip


def test_acquisition_facts_are_groups(classes):
    folder = classes("normal", "osteoporosis")
    (folder / "acquisition.csv").write_text("file,width,mode\nnormal/0.png,800,\nosteoporosis/1.png,900,RGB\n")
    facts = {case.id: dict(case.groups) for case in open_cohort(folder).cases}
    assert facts["normal/0.png"] == {"width": "800"}
    assert facts["osteoporosis/1.png"] == {"width": "900", "mode": "RGB"}
    assert facts["normal/1.png"] == {}
    assert open_cohort(folder).card.groups == ("mode", "width")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"picture,width\nnormal/0.png,800\n", "needs a column `file`"),
        (b"file,width\n0.png,800\n1.png,900\n", "names none of the pictures; write them as normal/0.png"),
        ("file,site\nnormal/0.png,Zürich\n".encode("latin-1"), "cannot be read as CSV in UTF-8"),
    ],
)
def test_an_acquisition_file_that_tells_nothing_is_refused(classes, content, said):
    folder = classes("normal", "osteoporosis")
    (folder / "acquisition.csv").write_bytes(content)
    with pytest.raises(ValueError, match=said) as error:
        open_cohort(folder)
    assert "acquisition.csv" in str(error.value)


# Other layouts --------------------------------------------------------------------------------------------------------


def test_a_manifest_is_found_by_name_or_in_its_folder(tmp_path):
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "manifest.csv").write_text("case,patient,table.age_years\na1,a,70\na2,a,71\n")
    for name in (folder, folder / "manifest.csv", str(folder)):
        opened = open_cohort(name)
        assert [case.id for case in opened.cases] == ["a1", "a2"]
        assert opened.card.patients == "known"
        assert opened.card.table == ("age_years",)


def test_a_card_beside_the_data_is_its_card(classes):
    folder = classes("normal", "osteoporosis")
    facts = "id: ours\ntitle: Ours\nsource: here\nlicence: none\npopulation: us\ntruth: DXA\nmodalities: [xray]\n"
    (folder / "cohort.yaml").write_text(facts)
    assert open_cohort(folder).card.truth == "DXA"
    (folder / "cohort.yaml").write_text(facts + "colour: blue\n")
    with pytest.raises(ValueError, match=r"cohort\.yaml: colour: Extra inputs"):
        open_cohort(folder)
    (folder / "cohort.yaml").write_text("id: [")
    with pytest.raises(ValueError, match=r"cohort\.yaml: not valid YAML"):
        open_cohort(folder)


def test_nothing_there_is_told(tmp_path, classes):
    with pytest.raises(FileNotFoundError, match=r"nowhere is not there.*phantom"):
        open_cohort("nowhere")
    with pytest.raises(FileNotFoundError, match="did you mean phantom_knee_xray"):
        open_cohort("phantom_knee_xra")
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(ValueError, match=r"notes\.txt: a cohort is a folder or a manifest"):
        open_cohort(tmp_path / "notes.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty holds no cohort: no manifest\.csv.*--help"):
        open_cohort(tmp_path / "empty")


def test_a_public_set_says_where_it_is_looked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "cohort_ids", lambda: ("glow",))
    monkeypatch.setattr(
        module, "cohort_card", lambda id_: card("glow", link="https://example.org/glow", layout="glow.csv")
    )
    with pytest.raises(FileNotFoundError, match=r"example\.org/glow.*--data DIR or TRABECULA_DATA.*glow\.csv"):
        open_cohort("glow")
    with pytest.raises(FileNotFoundError, match="no such folder; glow is looked for in it"):
        open_cohort("glow", data=tmp_path / "gone")
    monkeypatch.setenv("TRABECULA_DATA", str(tmp_path / "elsewhere"))
    with pytest.raises(FileNotFoundError, match="elsewhere: there is no such folder"):
        open_cohort("glow")


def test_phantoms_are_made_to_order():
    opened = open_cohort("phantom_fracture_table", n=5, seed=3)
    assert len(opened.cases) == 5
    assert "seed 3" in opened.notes[0]
    again = open_cohort("phantom_fracture_table", n=5, seed=3)
    assert [dict(case.table) for case in opened.cases] == [dict(case.table) for case in again.cases]
    assert dict(open_cohort("phantom_fracture_table", n=1, seed=4).cases[0].table) != dict(opened.cases[0].table)
    with pytest.raises(ValueError, match="at least one patient; got 0"):
        open_cohort("phantom_fracture_table", n=0)
    with pytest.raises(KeyError, match="no setting of phantom_fracture_table is called 'nonsense'"):
        open_cohort("phantom_fracture_table", n=1, settings={"nonsense": 1})


# Choosing -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def phantoms(monkeypatch):
    cards = {
        "p_knee": card("p_knee", made=True, images=["knee_xray"], table=["age_years"], targets=["osteoporosis_dxa"]),
        "p_twin": card("p_twin", made=True, images=["hip_xray"], table=["age_years"], targets=["osteoporosis_dxa"]),
        "p_both": card(
            "p_both", made=True, images=["knee_xray", "hip_xray"], targets=["osteoporosis_dxa"], groups=["site"]
        ),
        "public": card("public", images=["hip_xray"], targets=["past_fracture"]),
    }  # fmt: skip
    monkeypatch.setattr(module, "cohort_ids", lambda: tuple(cards))
    monkeypatch.setattr(module, "cohort_card", cards.__getitem__)


def test_auto_is_the_one_phantom_that_fits(phantoms):
    assert cohort_for(["knee_xray", "age_years"], ["osteoporosis_dxa"]) == "p_knee"
    assert cohort_for(["hip_xray"], ["osteoporosis_dxa"], ["knee_xray"]) == "p_both"
    assert cohort_for([ANY_GROUP], []) == "p_both"
    assert cohort_for(["knee_xray"], ["osteoporosis_dxa"]) == "p_knee"
    with pytest.raises(LookupError, match="several do: p_knee, p_twin"):
        cohort_for(["age_years"], ["osteoporosis_dxa"])
    with pytest.raises(LookupError, match="none of p_knee, p_twin, p_both does"):
        cohort_for(["hip_xray"], ["past_fracture"])


def picture_case(tmp_path, **images):
    path = tmp_path / "a.png"
    Picture.new("L", (4, 4)).save(path)
    return Case(id="a", patient="a", images=Images({role: FileSource(path) for role in images or {"picture": 1}}))


def test_a_plain_picture_takes_the_role_that_is_asked_for(tmp_path):
    case = picture_case(tmp_path)
    (fitted,) = fitted_to([case], InputsDeclared(images=("knee_xray",)))
    assert list(fitted.images) == ["knee_xray"]
    for inputs in (InputsDeclared(images=("picture",)), InputsDeclared(table=("age_years",))):
        assert fitted_to([case], inputs) == [case]
    with pytest.raises(ValueError, match=r"one image; this one takes spine_xray_ap, spine_xray_lateral"):
        fitted_to([case], InputsDeclared(images=("spine_xray_ap", "spine_xray_lateral")))
    with pytest.raises(ValueError, match="no Hounsfield units, which lumbar_ct needs"):
        fitted_to([case], InputsDeclared(images=("lumbar_ct",)))
    named = picture_case(tmp_path, hip_xray=1)
    assert fitted_to([named], InputsDeclared(images=("lumbar_ct",))) == [named]


def test_files_become_cases_for_a_system_with_one_image(tmp_path):
    case = picture_case(tmp_path)
    path = case.images.source("picture").path
    (made,) = cases_from_files(
        [path], InputsDeclared(images=("knee_xray",), table=("age_years",), optional=("age_years",))
    )
    assert (made.id, list(made.images)) == (str(path), ["knee_xray"])
    with pytest.raises(ValueError, match=r"needs knee_xray, age_years for each case.*give a manifest"):
        cases_from_files([path], InputsDeclared(images=("knee_xray",), table=("age_years",)))
    with pytest.raises(ValueError, match=r"gone\.png: there is no such file"):
        cases_from_files([tmp_path / "gone.png"], InputsDeclared(images=("knee_xray",)))


def test_words_that_mean_a_cohort(tmp_path):
    assert names_cohort(str(tmp_path))
    assert names_cohort("study.csv")
    assert names_cohort("phantom_knee_xray")
    assert not names_cohort("a.png")


# Cohorts --------------------------------------------------------------------------------------------------------------


def test_a_cohort_has_cases_with_ids_of_their_own():
    one, two = Case(id="a", patient="p"), Case(id="a", patient="q")
    with pytest.raises(ValueError, match=r"cohort toy holds no case$"):
        Cohort(cases=(), card=card())
    with pytest.raises(ValueError, match=r"holds no case; 2 could not be read, first x: broken"):
        Cohort(cases=(), card=card(), problems=("x: broken", "y: broken"))
    with pytest.raises(ValueError, match="'a'; make them unique"):
        Cohort(cases=(one, two), card=card())
    kept = Cohort(cases=(one,), card=card(), notes=("read",)).with_cases([one], "dropped one")
    assert kept.notes == ("read", "dropped one")
