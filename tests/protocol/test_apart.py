"""Judged where or when nothing was learned from: whoever stands on two sides is moved by a rule, never by chance."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from trabecula.case import Case
from trabecula.protocol import Protocol, left_out, split

TARGET = "osteoporosis_dxa"
SITES, TIME = Protocol(name="leave_one_site_out"), Protocol(name="temporal", since="2019-01-01")


def seen(patient, truth, *visits):
    """One case a visit, each a site and a date."""
    return [
        Case(
            id=f"{patient}/{i}", patient=patient, truth={} if truth is None else {TARGET: truth},
            groups={"site": site, "date": date},
        )
        for i, (site, date) in enumerate(visits)
    ]  # fmt: skip


@pytest.fixture
def cases():
    """Thirty patients at three sites, one a month from May 2017 on; every other one is ill, every tenth unlabelled."""
    people = []
    for i in range(30):
        month = f"{2017 + (i + 4) // 12}-{(i + 4) % 12 + 1:02}-15"
        people += seen(f"p{i:02}", None if i % 10 == 9 else i % 2, (("north", "south", "west")[i % 3], month))
    return people


def patients(cases, side):
    return {cases[i].patient for i in side}


# Sites ----------------------------------------------------------------------------------------------------------------


def test_each_site_is_judged_by_what_was_learned_elsewhere(cases):
    folds = split(SITES, cases, TARGET)
    assert [fold.name for fold in folds] == ["site north", "site south", "site west"]
    assert [fold.number for fold in folds] == [0, 1, 2]
    for fold, site in zip(folds, ("north", "south", "west"), strict=True):
        assert {cases[i].groups["site"] for i in fold.test} == {site}
        assert site not in {cases[i].groups["site"] for i in fold.train}
        left = {line["patient"] for line in left_out([fold], cases)}
        assert left == {"north": {"p09"}, "south": {"p19"}, "west": {"p29"}}[site]  # unlabelled, of that site
        assert sorted(fold.train + fold.test) == [i for i in range(30) if cases[i].patient not in left]
    judged = Counter(patient for fold in folds for patient in patients(cases, fold.test))
    assert set(judged.values()) == {1}


def test_a_patient_of_several_sites_is_judged_once_and_taught_no_site_that_is_judged(cases):
    day = "2018-01-01"
    more = [
        *cases,
        *seen("most south", 1, ("north", day), ("south", day), ("south", day)),
        *seen("even", 0, ("west", day), ("north", day)),
    ]
    north, south, west = split(SITES, more, TARGET)
    assert "most south" in patients(more, south.test)
    assert "even" in patients(more, north.test)  # of equals the first by name
    assert "most south" not in patients(more, north.test) | patients(more, north.train)
    assert "even" not in patients(more, west.test) | patients(more, west.train)
    assert {"most south", "even"} <= patients(more, west.train) | patients(more, south.train)
    for fold in (north, south, west):
        assert not patients(more, fold.train) & patients(more, fold.test)
    left = {(line["fold"], line["patient"]) for line in left_out((north, south, west), more)}
    assert left - {(0, "p09"), (1, "p19"), (2, "p29")} == {(0, "most south"), (2, "even")}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda case: replace(case, groups={}), "30 of 30 cases have no site, first p00/0: tell it in group.site"),
        (lambda case: replace(case, groups={"site": "one"}), r"one site only \(one\): .*Ask for kfold"),
        (
            lambda case: replace(case, groups={"site": "abc"[case.truth.get(TARGET, 2)]}),
            "site a: all 15 patients learned from have the same osteoporosis_dxa; merge sites",
        ),
        (lambda case: replace(case, truth={}), "no case has truth for osteoporosis_dxa"),
    ],
)
def test_sites_that_cannot_be_left_out_are_told(cases, change, said):
    given = [change(case) for case in cases]
    if "all 15" in said:
        given = [replace(case, truth={TARGET: int(case.patient[1:]) % 2}) for case in cases]
        given = [replace(case, groups={"site": "ab"[case.truth[TARGET]]}) for case in given]
    with pytest.raises(ValueError, match=said):
        split(SITES, given, TARGET)


# Time -----------------------------------------------------------------------------------------------------------------


def test_the_past_is_learned_from_and_the_future_judged(cases):
    (fold,) = split(TIME, cases, TARGET)
    assert fold.name == "from 2019-01-01 on"
    assert all(cases[i].groups["date"] < "2019-01-01" for i in fold.train)
    assert all(cases[i].groups["date"] >= "2019-01-01" for i in fold.test)
    assert [line["patient"] for line in left_out([fold], cases)] == ["p29"]  # unlabelled, of the future
    assert len(fold.test) == 9
    assert len(fold.train) == 20  # May 2017 to December 2018, one a month


def test_who_was_seen_on_both_sides_is_judged_on_later_visits_and_the_earlier_are_left_out(cases):
    more = [*cases, *seen("back", 1, ("north", "2018-03-01"), ("north", "2019-01-01"), ("north", "2019-09-01"))]
    (fold,) = split(TIME, more, TARGET)
    assert "back" not in patients(more, fold.train)
    assert [more[i].id for i in fold.test if more[i].patient == "back"] == ["back/1", "back/2"]
    assert {line["case"] for line in left_out([fold], more)} == {"back/0", "p29/0"}


def test_without_a_date_a_share_of_those_seen_last_is_judged(cases):
    for share in (0.25, 0.5):
        (fold,) = split(Protocol(name="temporal", test_share=share), cases, TARGET)
        labelled = [i for i in fold.test if TARGET in cases[i].truth]
        assert len(labelled) == pytest.approx(share * 27, abs=1)
        assert max(cases[i].groups["date"] for i in fold.train) < min(cases[i].groups["date"] for i in fold.test)
    one_day = [replace(case, groups={"date": "2019-05-05"}) for case in cases]
    with pytest.raises(ValueError, match=r"nobody who would be learned from has truth.*2019-05-05 to 2019-05-05: move"):
        split(Protocol(name="temporal"), one_day, TARGET)


@pytest.mark.parametrize(
    ("since", "said"),
    [
        ("2016-01-01", "nobody who would be learned from has truth.*last seen from 2017-05-15 to 2019-09-15"),
        ("2030-01-01", "nobody who would be judged has truth for osteoporosis_dxa; .*move the date with --since"),
        ("2017-06-01", "from 2017-06-01 on: all 1 patients learned from have the same osteoporosis_dxa"),
    ],
)
def test_a_date_with_nobody_on_one_side_is_told(cases, since, said):
    with pytest.raises(ValueError, match=said):
        split(Protocol(name="temporal", since=since), cases, TARGET)


def test_a_case_without_a_date_or_with_nonsense_is_told(cases):
    with pytest.raises(ValueError, match=r"1 of 30 cases have no date, first p00/0: tell it in group.date"):
        split(TIME, [replace(cases[0], groups={}), *cases[1:]], TARGET)
    with pytest.raises(ValueError, match="'yesterday' is no date"):
        split(TIME, [replace(cases[0], groups={"date": "yesterday"}), *cases[1:]], TARGET)


@pytest.mark.parametrize("protocol", [SITES, TIME, Protocol(name="temporal")])
def test_the_order_of_cases_does_not_matter(cases, protocol):
    shuffled = [cases[i] for i in np.random.default_rng(0).permutation(len(cases))]
    for a, b in zip(split(protocol, cases, TARGET), split(protocol, shuffled, TARGET), strict=True):
        assert patients(cases, a.test) == patients(shuffled, b.test)
        assert patients(cases, a.train) == patients(shuffled, b.train)


# Another cohort -------------------------------------------------------------------------------------------------------


def test_one_cohort_is_learned_from_and_the_other_judged(cases):
    other = {case.id for case in cases[20:]}
    (fold,) = split(Protocol(name="external"), cases, TARGET, judged=other)
    assert {cases[i].id for i in fold.test} == other - {"p29/0"}
    assert fold.train == tuple(range(20))
    for judged, said in (
        (set(), "--external COHORT"),
        ({cases[9].id}, "nobody who would be judged has truth"),
        ({cases[0].id, cases[2].id}, "all 2 patients judged have the same"),
    ):
        with pytest.raises(ValueError, match=said):
            split(Protocol(name="external"), cases, TARGET, judged=judged)
    twice = [*cases, replace(cases[0], id="again")]
    with pytest.raises(ValueError, match="1 patients such as p00 are of both cohorts"):
        split(Protocol(name="external"), twice, TARGET, judged={"again", cases[1].id})
