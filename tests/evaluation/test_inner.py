"""What is chosen inside a fold is chosen on its training part: the judged patients are never looked at."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from tests.evaluation.toys import TARGET, Level, Shy, Sloped, judged, patients
from trabecula.evaluation import names_of
from trabecula.evaluation.entrants import Entrant
from trabecula.evaluation.inner import chosen, operating_points
from trabecula.evaluation.judging import Task
from trabecula.prediction import Abstain, Probability
from trabecula.protocol import Fold, Protocol
from trabecula.state import State
from trabecula.system import guess

NESTED = Protocol(name="nested", folds=2, operating_points=False)
POINTS = Protocol(folds=2, operating_points=True)
HERE = []


@dataclass(frozen=True, kw_only=True)
class Signed(Sloped):
    """Age for risk or against it, and a note of whom it learned from and was asked about."""

    def _fit(self, cases, run):
        HERE.append(("fit", self.slope, frozenset(case.id for case in cases)))
        return State()

    def _predict(self, state, cases):
        return [{self.headline.id: Probability(0.5 + self.slope * case.number("age_years") / 240)} for case in cases]


def entrant(*systems, cases):
    return Entrant(candidates=systems, name="level", role="system", cases=cases, folds=(), protocol="nested")


# A setting ------------------------------------------------------------------------------------------------------------


def test_each_fold_chooses_and_says_what_and_by_what_figures():
    report = judged(Signed(slope=-1.0), Signed(slope=1.0), protocol=NESTED)
    (result,) = report.results
    assert (result["system"], result["protocol"]) == ("level", "nested")
    assert [each["fold"] for each in result["notes"]["chosen"]] == [0, 1]
    for each in result["notes"]["chosen"]:
        assert (each["value"], each["metric"], each["inner_folds"]) == ("slope=1.0", "auc", 3)
        assert each["inner"]["slope=1.0"] == pytest.approx(1 - each["inner"]["slope=-1.0"])
        assert each["inner"]["slope=1.0"] > 0.5
    alone = judged(Signed(slope=1.0), protocol=replace(NESTED, name="kfold"))
    assert [row.prediction for row in report.rows] == [row.prediction for row in alone.rows]


def test_nothing_judged_is_learned_from_while_choosing():
    HERE.clear()
    report = judged(Signed(slope=-1.0), Signed(slope=1.0), protocol=NESTED)
    fits = [ids for what, _, ids in HERE]
    assert len(fits) == 2 * (2 * 3 + 1)
    for number in (0, 1):
        outer = {row.case for row in report.rows if row.fold == number}
        own = fits[7 * number : 7 * number + 7]
        assert not outer & frozenset.union(*own)
        assert [len(ids) for ids in own] == [20] * 6 + [30]


def test_a_value_that_abstains_is_compared_on_the_patients_that_all_answer():
    """The one that answers only the old, whom both tell apart alike, gains nothing by it; of equals the first stays."""

    @dataclass(frozen=True, kw_only=True)
    class Choosy(Sloped):
        def _predict(self, state, cases):
            silent = lambda case: self.slope == 2.0 and case.number("age_years") < 75  # noqa: E731
            return [
                {TARGET: Abstain("young") if silent(case) else Probability(case.number("age_years") / 120)}
                for case in cases
            ]

    cases = patients(80)
    system, told = chosen(entrant(Choosy(slope=1.0), Choosy(slope=2.0), cases=cases), cases, count=3, seed=0)
    assert system.slope == 1.0
    assert told["inner"]["slope=1.0"] == told["inner"]["slope=2.0"]

    @dataclass(frozen=True, kw_only=True)
    class Mute(Sloped):
        def _predict(self, state, cases):
            if self.slope == 1.0:
                return [{TARGET: Abstain("no")} for _ in cases]
            return super()._predict(state, cases)

    system, told = chosen(entrant(Mute(slope=1.0), Mute(slope=0.5), cases=cases), cases, count=3, seed=0)
    assert system.slope == 0.5
    assert told["inner"]["slope=1.0"] is None


def test_lower_is_better_where_it_is():
    from tests.evaluation.toys import CARD
    from trabecula.card import SystemCard
    from trabecula.prediction import Value

    @dataclass(frozen=True, kw_only=True)
    class Guesses(Level):
        level: float = guess(0.0, "made up")

        @classmethod
        def card(cls):
            return SystemCard.model_validate({**CARD, "targets": ["t_score_lowest"]})

        def _predict(self, state, cases):
            return [{"t_score_lowest": Value(self.level)} for _ in cases]

    cases = patients(60)
    values = [case.truth["t_score_lowest"] for case in cases]
    system, told = chosen(
        entrant(*(Guesses(level=level) for level in (3.0, float(np.median(values)), -6.0)), cases=cases), cases,
        count=3, seed=0,
    )  # fmt: skip
    assert told["metric"] == "mae"
    assert system.level == float(np.median(values))


def test_without_anything_to_choose_nested_says_what_to_do():
    with pytest.raises(ValueError, match="say between which with --vary NAME=VALUE,VALUE"):
        judged(Level(), protocol=NESTED)
    report = judged(Signed(slope=-1.0), Signed(slope=1.0), protocol=NESTED, baselines=True)
    assert {"level", "baseline_prevalence"} <= {result["system"] for result in report.results}
    assert names_of([Signed(slope=-1.0)]) == ["level"]


# An operating point ---------------------------------------------------------------------------------------------------


def test_thresholds_are_chosen_for_every_fold_and_rule_on_held_out_patients():
    HERE.clear()
    (result,) = (report := judged(Signed(slope=1.0), cases=patients(240), protocol=POINTS)).results
    points = result["notes"]["operating_points"]
    assert [(each["fold"], each["rule"]) for each in points] == [
        (fold, rule) for fold in (0, 1) for rule in ("youden", "sensitivity>=0.90")
    ]
    fits = [ids for what, _, ids in HERE]
    for number in (0, 1):
        outer = {row.case for row in report.rows if row.fold == number}
        main, inner = fits[2 * number : 2 * number + 2]
        assert inner < main
        assert not outer & main
        held = [case for case in patients(240) if case.id in main - inner]
        assert len(held) == pytest.approx(30, abs=1)
        scores = np.array([0.5 + case.number("age_years") / 240 for case in held])
        truth = np.array([case.truth[TARGET] for case in held])
        first, second = (each["threshold"] for each in points if each["fold"] == number)
        assert {each["patients"] for each in points if each["fold"] == number} == {len(held)}
        assert {each["with_condition"] for each in points if each["fold"] == number} == {int(truth.sum())}
        gain = [(scores[truth == 1] >= cut).mean() - (scores[truth == 0] >= cut).mean() for cut in (*scores, first)]
        assert gain[-1] == pytest.approx(max(gain))  # Youden's index, by hand, over every threshold there is
        assert (scores[truth == 1] >= second).mean() >= 0.9
        higher = min(scores[(scores > second) & (truth == 1)], default=np.inf)
        assert (scores[truth == 1] > higher).mean() < 0.9 or not np.isfinite(higher)


def test_thresholds_change_no_answer_and_cost_a_fit_each():
    HERE.clear()
    with_, without = (
        judged(Signed(slope=1.0), protocol=replace(POINTS, operating_points=wanted)) for wanted in (True, False)
    )
    assert with_.rows == without.rows
    assert len(HERE) == 4 + 2
    assert "operating_points" not in without.results[0]["notes"]


def test_unless_told_thresholds_are_chosen_where_no_network_is_fitted():
    @dataclass(frozen=True, kw_only=True)
    class Networked(Level):
        def _networks(self, facts):
            return {}

    def points(system, asked):
        fold, protocol = Fold(0, (), ()), Protocol(operating_points=asked)
        return Task(entrant(system, cases=[]), 0, fold, protocol).points

    assert [points(Level(), asked) for asked in (None, True, False)] == [True, True, False]
    assert [points(Networked(), asked) for asked in (None, True, False)] == [False, True, False]


def test_where_too_few_can_be_held_out_it_is_said():
    (result,) = judged(Shy(), cases=patients(40), protocol=POINTS).results
    for each in result["notes"]["operating_points"]:
        assert each["threshold"] is None
        assert "fewer than 5 patients of a class could be held out" in each["why"]
    one = [replace(case, truth={TARGET: int(i == 0)}) for i, case in enumerate(patients(20))]
    (told,) = operating_points(entrant(Level(), cases=one), Level(), one, seed=0)
    assert "only one patient has the class" in told["why"]
