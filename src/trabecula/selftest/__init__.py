"""What every system must pass: one list of small named checks, each of which prevents one disaster.

Cases come from the caller: a phantom cohort, or a cohort of their own. Models are fitted once and shared by the checks.
`docs/why/selftest.md` says why these.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from trabecula.selftest import answers, essence, fitting, recipe
from trabecula.selftest.subject import NoMeaningError, Subject
from trabecula.system import Progress, System, quiet
from trabecula.target import unknown

if TYPE_CHECKING:
    from trabecula.case import Case

__all__ = ["CHECKS", "Check", "Outcome", "Subject", "run_checks"]


@dataclass(frozen=True)
class Check:
    """One thing that must hold: `run` returns, or raises `AssertionError` or, without a meaning, `NoMeaningError`."""

    run: Callable[[Subject], None]

    @property
    def name(self) -> str:
        """What `--only` calls it."""
        return self.run.__name__.removeprefix("check_")

    @property
    def disaster(self) -> str:
        """What happens where this does not hold: the first sentence of the docstring."""
        return (inspect.getdoc(self.run) or "").split("\n\n")[0].replace("\n", " ")


@dataclass(frozen=True)
class Outcome:
    """How one check ended."""

    check: str
    status: Literal["passed", "failed", "skipped"]
    seconds: float
    message: str = ""


CHECKS: tuple[Check, ...] = tuple(
    Check(run)
    for run in (
        recipe.check_card_is_complete,
        recipe.check_class_agrees_with_card,
        recipe.check_settings_survive_json,
        recipe.check_imports_only_what_it_needs,
        answers.check_no_input_defines_the_target,
        answers.check_answers_are_plausible,
        answers.check_alone_as_in_a_batch,
        answers.check_truth_cannot_reach_prediction,
        answers.check_missing_input_abstains,
        answers.check_image_is_used,
        recipe.check_parameters_are_the_published,
        fitting.check_fitting_learns,
        fitting.check_fitting_changes_nothing_else,
        fitting.check_same_seed_same_answer,
        fitting.check_saved_model_is_the_model,
        fitting.check_neither_calls_out_nor_litters,
        answers.check_shuffled_labels_give_chance,
        essence.check_essence_rejects_a_stub,
    )
)
"""In the order in which they run: what is cheap comes first."""


def run_checks(
    system: System,
    cases: Sequence[Case],
    *,
    only: Sequence[str] = (),
    seed: int = 0,
    progress: Progress = quiet,
    known_failures: Mapping[str, str] | None = None,
) -> list[Outcome]:
    """Run the checks, or `only` those named, on one system and return how each ended.

    A check in `known_failures` (name to reason) that fails is skipped with its reason; one that passes has failed,
    because the list is then wrong. Raises `KeyError` for an unknown check and `ValueError` when the cases cannot be
    split by patient for the system's headline target.
    """
    names = [check.name for check in CHECKS]
    known = dict(known_failures or {})
    for name in (*only, *known):
        if name not in names:
            raise KeyError(unknown("check", name, names))
    subject = Subject.of(system, cases, seed=seed)
    chosen = [check for check in CHECKS if not only or check.name in only]
    outcomes = []
    for number, check in enumerate(chosen):
        progress(number, len(chosen), check.name)
        outcomes.append(_expected(_outcome(check, subject), known.get(check.name)))
    progress(len(chosen), len(chosen), system.id())
    return outcomes


def _outcome(check: Check, subject: Subject) -> Outcome:
    start = time.perf_counter()
    try:
        check.run(subject)
    except NoMeaningError as reason:
        return Outcome(check.name, "skipped", time.perf_counter() - start, str(reason))
    except AssertionError as failure:
        return Outcome(check.name, "failed", time.perf_counter() - start, str(failure))
    except Exception as error:
        return Outcome(check.name, "failed", time.perf_counter() - start, f"{type(error).__name__}: {error}")
    return Outcome(check.name, "passed", time.perf_counter() - start)


def _expected(outcome: Outcome, reason: str | None) -> Outcome:
    if reason is None or outcome.status == "skipped":
        return outcome
    if outcome.status == "passed":
        told = f"passes, but is a known failure ({reason}): take it off the list"
        return Outcome(outcome.check, "failed", outcome.seconds, told)
    return Outcome(outcome.check, "skipped", outcome.seconds, f"known failure ({reason}): {outcome.message}")
