"""A split that was written is the same split when it is read, and one that does not fit is told why."""

import csv
from dataclasses import replace

import pytest

from trabecula.case import Case
from trabecula.protocol import Protocol, left_out, read_splits, split

TARGET = "osteoporosis_dxa"


@pytest.fixture
def cases():
    """Forty patients with two visits at two sites; some parts, and every tenth patient, are unlabelled."""
    made = []
    for i in range(40):
        for visit in range(2):
            known = i % 10 != 9 and (visit == 0 or i % 3)
            groups = {"site": "ab"[i % 4 // 2], "date": f"20{10 + i // 4 + visit}-06-0{i % 4 + 1}"}
            made.append(
                Case(id=f"c{i}.{visit}", patient=f"p{i}", truth={TARGET: i % 2} if known else {}, groups=groups)
            )
    return made


def written(path, folds, cases, *, extra=()):
    """Write what a report writes: who is judged and has truth, and who is left out."""
    lines = [(cases[i].id, cases[i].patient, fold.number, "test") for fold in folds for i in fold.test
             if TARGET in cases[i].truth]  # fmt: skip
    lines += [(line["case"], line["patient"], line["fold"], "left_out") for line in left_out(folds, cases)]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("case", "patient", "fold", "role"))
        writer.writerows([*lines, *extra])
    return path


@pytest.mark.parametrize(
    "protocol",
    [
        Protocol(folds=4), Protocol(name="holdout"), Protocol(name="repeated", folds=2, repeats=3),
        Protocol(name="temporal", since="2015-01-01"), Protocol(name="leave_one_site_out"),
    ],
    ids=lambda protocol: protocol.name,
)  # fmt: skip
def test_every_split_is_repeated_case_by_case(tmp_path, cases, protocol):
    folds = split(protocol, cases, TARGET)
    given = read_splits(written(tmp_path / "splits.csv", folds, cases))
    again = split(Protocol(given=given), cases, TARGET)
    assert [(f.number, f.train, f.test) for f in again] == [(f.number, f.train, f.test) for f in folds]
    assert f"splits.csv (SHA-256 {given.digest[:8]}), {len(folds)} fold" in Protocol(given=given).rule
    assert Protocol(given=given).label == "given"


def test_two_columns_are_enough_and_training_lines_are_taken_at_their_word(tmp_path, cases):
    path = tmp_path / "mine.csv"
    path.write_text("fold,case\n" + "".join(f"{i % 2},c{i}.0\n" for i in range(8)))
    first, second = split(Protocol(given=read_splits(path)), cases, TARGET)
    assert {cases[i].id for i in first.test} >= {"c0.0", "c2.0", "c4.0", "c6.0"}
    assert not {cases[i].patient for i in first.test} & {cases[i].patient for i in first.train}
    assert len({cases[i].patient for i in second.train}) == 36
    path.write_text(path.read_text().replace("fold,case", "fold,case,role").replace(".0\n", ".0,test\n")
                    + "".join(f"0,c{i}.0,train\n" for i in range(20, 26)))  # fmt: skip
    first, second = split(Protocol(given=read_splits(path)), cases, TARGET)
    assert [cases[i].id for i in first.train] == [f"c{i}.0" for i in range(20, 26)]
    assert len({cases[i].patient for i in second.train}) == 36


def test_lines_of_a_papers_own_split_are_not_for_everybody(tmp_path):
    path = tmp_path / "splits.csv"
    path.write_text("protocol,system,case,patient,fold\nkfold,,a,a,0\nas_published,told,b,b,0\n")
    assert [line.case for line in read_splits(path).lines] == ["a"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("case,patient\na,a\n", "has no column fold; a split has case, patient and fold"),
        ("id,set\na,a\n", "has no column case and no column fold"),
        ("case,fold\n", "judges nobody"),
        ("case,fold\na,first\n", "line 2: a fold is a number from 0 on; got 'first'"),
        ("case,fold\na,-1\n", "line 2: a fold is a number"),
        ("case,fold,role\na,0,validation\n", "line 2: a role is one of test, train, left_out; got 'validation'"),
        ("case,fold\n,1\n", "line 2: no case is named"),
        ("case,fold,system\na,0,told\n", "judges nobody"),
    ],
)
def test_what_is_no_split_is_told_by_line(tmp_path, text, said):
    path = tmp_path / "splits.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=said):
        read_splits(path)
    with pytest.raises(FileNotFoundError, match=r"nowhere\.csv cannot be read .*name the splits.csv of a report"):
        read_splits(tmp_path / "nowhere.csv")


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (("stranger", "stranger", 0, "test"), "1 of .* lines name cases that are not in the cohort .* first stranger"),
        (("c9.0", "p8", 0, "test"), "c9.0 is of patient p8 there and of p9 in the cohort"),
        (("c9.0", "p9", 7, "test"), "nobody judged in fold 7 has truth"),
    ],
)
def test_a_split_of_other_people_is_refused(tmp_path, cases, extra, said):
    path = written(tmp_path / "s.csv", split(Protocol(folds=2), cases, TARGET), cases, extra=[extra])
    with pytest.raises(ValueError, match=said):
        split(Protocol(given=read_splits(path)), cases, TARGET)


def test_nobody_is_on_both_sides_of_a_given_split_either(tmp_path, cases):
    path = tmp_path / "s.csv"
    lines = [("c0.0", "test"), ("c1.0", "test"), ("c1.1", "train"), ("c4.0", "train"), ("c5.0", "train")]
    path.write_text("case,fold,role\n" + "".join(f"{case},0,{role}\n" for case, role in lines))
    given = read_splits(path)
    with pytest.raises(ValueError, match="1 patients such as p1 are learned from and judged in fold 0"):
        split(Protocol(given=given), cases, TARGET)
    apart = [replace(case, patient=case.id) for case in cases]
    (fold,) = split(Protocol(given=given), apart, TARGET)
    assert [cases[i].id for i in fold.train] == ["c1.1", "c4.0", "c5.0"]
    path.write_text("case,fold,role\nc0.0,0,test\nc1.0,0,test\nc2.0,0,train\nc4.0,0,train\n")
    with pytest.raises(ValueError, match="fold 0 cannot be learned from: every patient has the same"):
        split(Protocol(given=read_splits(path)), cases, TARGET)


@pytest.mark.parametrize("name", ["repeated", "holdout", "temporal", "leave_one_site_out"])
def test_a_split_and_a_way_to_split_are_one_too_many(tmp_path, name):
    (tmp_path / "s.csv").write_text("case,fold\na,0\n")
    with pytest.raises(ValueError, match=f"s.csv says how to split, and so does {name}"):
        Protocol(name=name, given=read_splits(tmp_path / "s.csv"))
