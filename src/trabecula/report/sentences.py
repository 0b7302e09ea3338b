"""What the numbers of a report mean, in careful sentences.

Each function takes a part of `report.json` and returns a `Said`: a level, the figure it rests on and the sentence.
The three are made together, so that a flag, its number and its words cannot contradict each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from trabecula.metrics import LOWER_IS_BETTER
from trabecula.report.words import (
    SIZES,
    capitalised,
    counted,
    interval_only,
    listed,
    metric_name,
    number,
    share,
    system_name,
    with_interval,
)

Level = Literal["alarm", "caution", "plain", "good"]
Standing = Literal["ahead", "level", "behind", "unknown"]
Json = Mapping[str, Any]

_ORDER: tuple[Level, ...] = ("alarm", "caution", "plain", "good")
_STRONG_SHORTCUT = 0.6
_FEW = 100
_CHANCE = ("auc", "c_index")


@dataclass(frozen=True)
class Said:
    """One statement: how much it matters, a short title, the figure it rests on and the sentence."""

    level: Level
    title: str
    figure: str
    text: str


def headline_target(told: Json) -> str:
    """Return the target that most results answer: the one the baselines were asked for as well."""
    targets = [each["target"] for each in told["results"] if each["role"] != "as_published"]
    return max(dict.fromkeys(targets), key=targets.count) if targets else ""


def results_of(told: Json, target: str, *roles: str) -> list[Json]:
    """Return the results about a target, best first, of the given roles only."""
    return [each for each in told["results"] if each["target"] == target and (not roles or each["role"] in roles)]


def most_labels(results: Sequence[Json]) -> list[Json]:
    """Return the results that learned from the most labels: what the headline is about where labels were hidden."""
    most = max((each["labels"]["patients"] or 0 for each in results), default=0)
    return [each for each in results if (each["labels"]["patients"] or 0) == most]


def headline(result: Json) -> Json:
    """Return the figure that a result is ranked by; its value is null where it could not be computed."""
    return result["metrics"].get(result["headline_metric"]) or {"value": None, "low": None, "high": None}


def unit(told: Json, n: int) -> str:
    """Count what is judged: patients, or pictures where nobody knows the patients."""
    return counted(n, "patient" if told["protocol"]["unit"] == "patient" else "picture")


def standing(difference: Json) -> Standing:
    """Say whether a system stands ahead of its rival: only where the whole interval lies on one side of zero.

    An interval without width is none: it comes from redrawing folds that hold one patient of a class.
    """
    low, high = _advantage(difference)[1:]
    if low is None or high is None or low == high:
        return "unknown"
    return "ahead" if low > 0 else "behind" if high < 0 else "level"


def comparison(system: str, difference: Json, n: str, *, subject: str = "") -> Said:
    """Say how a system compares with a rival on the same patients; `n` counts them, with their noun.

    `subject` stands for the name of the system where that was said before.
    """
    ours, rival = subject or system_name(system), _with_role(difference)
    value, low, high = _advantage(difference)
    stands = standing(difference)
    if value is None or stands == "unknown":
        why = "no figure on both" if value is None else "too few patients in a fold for an interval"
        return Said("caution", "Not comparable", "–", f"{ours} cannot be compared with {rival}: {why}.")
    if value < 0:
        value, low, high = -value, -high, -low
        relation = "behind"
    else:
        relation = "ahead of" if value > 0 else "level with"
    shown = with_interval({"value": value, "low": low, "high": high})
    means = {
        "ahead": "the interval excludes zero, so the lead is more than the choice of patients explains",
        "behind": "the interval excludes zero, so the rival is better by more than the choice of patients explains",
        "level": "the interval includes zero, so these data do not show which of the two is better",
    }[stands]
    text = f"{ours} is {relation} {rival} by {shown} in {metric_name(difference['metric'])}, on the same {n}: {means}."
    titles: dict[Standing, str] = {"ahead": "Ahead", "behind": "Behind", "level": "Not told apart"}
    levels: dict[Standing, Level] = {"ahead": "good", "behind": "alarm", "level": "caution"}
    return Said(levels[stands], titles[stands], with_interval(difference), text)


def verdict(told: Json, target: str) -> Said:
    """Say who ranks first and whether a baseline comes near: the headline of the page."""
    systems, baselines = (
        [each for each in most_labels(results_of(told, target, role)) if headline(each)["value"] is not None]
        for role in ("system", "baseline")
    )
    if not systems:
        return Said("alarm", "No system gave an answer that could be judged", "–", "There is nothing to rank.")
    best = systems[0]
    name = system_name(best["system"])
    first = name if len(systems) == 1 else f"{name} ranks first of {len(systems)} systems"
    figure = with_interval(headline(best))
    reached = f"{name} reaches {metric_name(best['headline_metric'])} {figure} on {unit(told, best['patients'])}."
    if best["headline_metric"] in _CHANCE and (headline(best)["low"] or 0) <= 0.5:
        reached += " The interval does not exclude a coin toss, 0.5."
    told_apart = [_compared(told, best, other["system"]) for other in (*baselines[:1], *systems[1:2])]
    text = " ".join([reached, *(each.text for each in told_apart if each is not None)])
    if not baselines:
        reason = "no baseline stands beside it, so nothing here says whether a simpler rule would do as well"
        title = f"{first}; no baseline stands beside it" if len(systems) > 1 else f"{name}, with no baseline beside it"
        return Said("caution", title, figure, f"{text} {capitalised(reason)}.")
    if _better(baselines[0], best):
        rival = f"the {_baselines([system_name(baselines[0]['system'])])}"
        title = f"No system ranks above {rival}" if len(systems) > 1 else f"{name} ranks below {rival}"
        return Said("alarm", title, figure, text)
    level, ending = _against_baselines(best, baselines)
    if level == "good" and (beware := shortcut(told, target)) is not None and beware.level == "alarm":
        level, ending = "alarm", f"{ending}, but acquisition facts alone may explain it"
    verb = " and " if len(systems) > 1 and ending.startswith("is ahead") else ", but " if len(systems) > 1 else " "
    return Said(level, f"{first}{verb}{ending}", figure, text)


def _against_baselines(best: Json, baselines: Sequence[Json]) -> tuple[Level, str]:
    stands = {
        system_name(each["against"]): standing(each) for each in best["differences"] if each["role"] == "baseline"
    }
    names = [system_name(each["system"]) for each in baselines]
    behind = [name for name in names if stands.get(name) == "behind"]
    level = [name for name in names if stands.get(name, "unknown") in ("level", "unknown")]
    if behind:
        return "alarm", f"is behind the {_baselines(behind)}"
    if level:
        return "caution", f"is not shown to be better than the {_baselines(level)}"
    return "good", f"is ahead of {'every baseline' if len(names) > 1 else 'the ' + _baselines(names)}"


def _better(one: Json, other: Json) -> bool:
    """Whether the headline figure of one result is better than that of another."""
    metric, (a, b) = one["headline_metric"], (headline(each)["value"] for each in (one, other))
    return bool(a < b if metric in LOWER_IS_BETTER else a > b)


def _baselines(names: list[str]) -> str:
    return f"{listed(names)} {'baseline' if len(names) == 1 else 'baselines'}"


def _compared(told: Json, best: Json, against: str) -> Said | None:
    found = next((each for each in best["differences"] if each["against"] == against), None)
    if found is None:
        return None
    return comparison(best["system"], found, unit(told, found["patients"]), subject="It")


def belief(told: Json, target: str) -> list[Said]:
    """Return what a reader must know before believing the ranking, worst first."""
    systems = most_labels(results_of(told, target, "system"))
    found = [
        shortcut(told, target), replaced(systems), circular(systems), sizes(systems), sample(told, target),
        no_width(systems), unknown_patients(told), abstentions(told, systems), data_problems(told), fidelity(systems),
        conditional(systems),
    ]  # fmt: skip
    return sorted((each for each in found if each is not None), key=lambda each: _ORDER.index(each.level))


def shortcut(told: Json, target: str) -> Said | None:
    """Say how well acquisition facts alone tell the classes apart.

    The check of the cohort measures it; where it did not, the baseline of acquisition facts does. Nothing for a table
    without acquisition facts.
    """
    facts = told["cohort"]["findings"].get("shortcut")
    if not facts or facts.get("target", target) != target:
        facts = _acquisition(told, target)
    images = bool(told["cohort"]["card"].get("images"))
    if facts.get("auc") is None:
        text = "Nobody measured how well acquisition facts alone tell the classes apart: a shortcut cannot be excluded."
        return Said("caution", "Shortcut not examined", "–", text) if images else None
    low, high, raw = facts.get("low"), facts.get("high"), facts.get("raw")
    shown = _shown(facts)
    before = f" Before duplicates and contradicting labels were resolved it was {_shown(raw)}." if raw else ""
    mostly = f" (mostly {listed(list(facts['features'])[:3])})" if facts.get("features") else ""
    reach = f"Acquisition facts alone{mostly} reach AUC {shown}{' without a look at the image' if images else ''}"
    if facts.get("strong", low is not None and low > _STRONG_SHORTCUT):
        thief = (
            "a network can learn the scanner instead of the bone" if images else "a system can learn the site instead"
        )
        text = f"{reach}: {thief}, and a high figure here is no proof.{before}"
        return Said("alarm", "Strong shortcut", f"AUC {shown}", text)
    if low is not None and low > 0.5:
        text = f"{reach}, which is better than chance: part of any figure here may come from them.{before}"
        return Said("caution", "Shortcut", f"AUC {shown}", text)
    bound = f", though up to {number(high)} is not excluded" if high is not None else ""
    return Said("plain", "No shortcut shown", f"AUC {shown}", f"{reach}: not shown to beat chance{bound}.{before}")


def _acquisition(told: Json, target: str) -> Json:
    """Return the AUC of the baseline that sees acquisition facts only, in the form of the check."""
    baseline = (
        e
        for e in most_labels(results_of(told, target, "baseline"))
        if e["system"].split(":")[0] == "baseline_acquisition"
    )
    figure = next((e["metrics"].get("auc") or {} for e in baseline), {})
    return {"auc": figure.get("value"), "low": figure.get("low"), "high": figure.get("high")}


def _shown(facts: Json) -> str:
    return with_interval({"value": facts.get("auc"), "low": facts.get("low"), "high": facts.get("high")})


def replaced(results: Sequence[Json]) -> Said | None:
    """Say that systems were fitted to another target than their papers'."""
    changed = [each for each in results if each["target_replaced"]]
    if not changed:
        return None
    names = listed([_usual(each) for each in changed])
    target = f"{changed[0]['target_title']} ({changed[0]['target']})"
    text = f"{names}: fitted here to “{target}” instead. No published figure stands beside {_these(changed)}."
    return Said("caution", "Target replaced", counted(len(changed), "system"), text)


def _usual(result: Json) -> str:
    usual = listed(list(result.get("card_targets") or ()))
    return f"{system_name(result['system'])} was published for {usual or 'another target'}"


def _these(results: Sequence[Json]) -> str:
    return "it" if len(results) == 1 else "them"


def circular(results: Sequence[Json]) -> Said | None:
    """Say that the truth comes from the same scan as the input."""
    if not any(each["circular"] for each in results):
        return None
    text = "The truth is computed from the same scan as the input: this judges a measurement, not a diagnosis."
    return Said("caution", "Circular target", "same scan", text)


def sizes(results: Sequence[Json]) -> Said | None:
    """Say which systems did not run at their published size."""
    changed = [each for each in results if each["size"] != "paper"]
    if not changed:
        return None
    used = listed(sorted({SIZES.get(each["size"], str(each["size"])) for each in changed}))
    text = f"{_whom(changed, results)}: {used}, not the size of the paper. The figures say nothing about that size."
    return Said("caution", "Not the published size", used, text)


def sample(told: Json, target: str) -> Said:
    """Say how many were judged and how many the smaller class holds."""
    n = told["cohort"]["patients"]
    grades = told["cohort"]["prevalence"].get(target) or {}
    counts = {grade: entry["cases"] for grade, entry in grades.items() if entry["cases"]}
    smallest = min(counts.values()) if counts else n
    of = f", {counted(smallest, 'case')} in the smallest class" if counts else ""
    if smallest < _FEW:
        text = f"{capitalised(unit(told, n))}{of}: intervals are wide, and a lucky draw can change the ranking."
        return Said("caution", "Small sample", counted(smallest, "case"), text)
    return Said("plain", "Sample", unit(told, n), f"{capitalised(unit(told, n))}{of}.")


def no_width(results: Sequence[Json]) -> Said | None:
    """Say that there are too few patients for intervals."""
    flat = [each for each in results if headline(each)["low"] is not None and _flat(headline(each))]
    if not flat:
        return None
    text = f"{_whom(flat, results)}: folds hold too few patients of a class to redraw them. Read no interval here."
    return Said("alarm", "Intervals without width", with_interval(headline(flat[0])), text)


def _flat(figure: Json) -> bool:
    return bool(figure["low"] == figure["high"])


def unknown_patients(told: Json) -> Said | None:
    """Say that nobody knows which pictures belong to one patient."""
    if told["protocol"]["unit"] == "patient":
        return None
    text = (
        "Which pictures belong to one patient is not recorded. Pictures that look alike were kept together, but two "
        "different pictures of one patient may stand on both sides of a split."
    )
    return Said("caution", "Patients unknown", told["protocol"]["unit"], text)


def abstentions(told: Json, results: Sequence[Json]) -> Said | None:
    """Say who did not answer everybody."""
    silent = [each for each in results if each["abstained"]["patients"]]
    if not silent:
        return None
    most = max(silent, key=lambda each: each["abstained"]["share"])
    told_all = listed(
        [f"{system_name(e['system'])} {e['abstained']['patients']} ({share(e['abstained']['share'])})" for e in silent]
    )
    text = f"Not answered, of {unit(told, most['patients'])}: {told_all}. Their figures hold for those answered only."
    return Said("caution", "Abstentions", share(most["abstained"]["share"]), text)


def data_problems(told: Json) -> Said | None:
    """Say how many duplicates and contradicting labels the check of the cohort found."""
    findings = told["cohort"]["findings"]
    duplicates, conflicts = (len(findings.get(key) or ()) for key in ("duplicates", "conflicts"))
    if not duplicates and not conflicts:
        return None
    groups, labels = (
        counted(duplicates, "group of duplicates", "groups of duplicates"),
        counted(conflicts, "contradiction of labels", "contradictions of labels"),
    )
    found = listed([text for n, text in ((duplicates, groups), (conflicts, labels)) if n])
    done = " ".join(f"{note.rstrip('.')}." for note in map(capitalised, told["cohort"]["notes"]))
    return Said(
        "plain",
        "Data resolved",
        counted(duplicates + conflicts, "finding"),
        f"Found before learning: {found}. {done}".strip(),
    )


def fidelity(results: Sequence[Json]) -> Said | None:
    """Say which systems could not be rebuilt exactly as published."""
    told = {
        "reconstruction": "only the outline of the paper could be read",
        "approximate": "the paper leaves sizes or steps open, which are ours",
    }
    parts = []
    for word, means in told.items():
        if such := [each for each in results if each["fidelity"] == word]:
            parts.append(f"{_whom(such, results)}: {word}, {means}")
    if not parts:
        return None
    level: Level = "caution" if any(each["fidelity"] == "reconstruction" for each in results) else "plain"
    return Said(level, "Rebuilt, not original", counted(len(results), "system"), f"{'. '.join(parts)}.")


def conditional(results: Sequence[Json]) -> Said | None:
    """Say what the intervals do not hold."""
    if not results:
        return None
    text = (
        "Every interval redraws patients and keeps the fitted models as they are. The luck of training is not in it: "
        "another seed may rank systems differently."
    )
    return Said("plain", "Conditional on the fitted models", "95 %", text)


def leakage(published: Json, honest: Json | None) -> Said:
    """Say what a paper's own split does to the figure of its system, beside the honest split."""
    split, leak, name = published.get("split") or {}, published["leak"], metric_name(published["headline_metric"])
    judged, copies = leak.get("judged", 0), leak.get("copy_in_training", 0)
    kinds = {"holdout": f"a hold-out of {share(split.get('test_share'))}", "kfold": f"{split.get('folds')} folds"}
    how = f"{kinds.get(split.get('kind', ''), 'its own split')} by {split.get('unit', 'unknown unit')}"
    shown = with_interval(headline(published))
    beside = f"; under the honest split {with_interval(headline(honest))}" if honest is not None else ""
    text = f"The paper's own split is {how}. {name} {shown}{beside}. Of {counted(judged, 'judged picture')}, "
    if copies:
        have = "has" if copies == 1 else "have"
        text += f"{copies} {have} a copy among those learned from: this figure counts what was seen before. "
    else:
        text += "none has a known copy among those learned from. "
    text += "Pictures with two labels are kept, as in the paper. The two figures rest on different pictures."
    return Said("alarm" if copies else "plain", system_name(published["system"]), f"{copies} of {judged}", text)


def not_detected(result: Json) -> Said | None:
    """Say what a system reaches when each abstention counts as not detected."""
    counted_in = result["metrics_abstaining_as_negative"].get(result["headline_metric"])
    if counted_in is None:
        return None
    text = f"{with_interval(headline(result))} where it answers, {with_interval(counted_in)} with silence as “no”."
    return Said("plain", system_name(result["system"]), interval_only(counted_in), text)


def _whom(some: Sequence[Json], everybody: Sequence[Json]) -> str:
    """Name a few systems, and count many."""
    names = [system_name(each["system"]) for each in some]
    if 1 < len(names) == len(everybody):
        return "Both systems" if len(names) == 2 else f"All {len(names)} systems"
    return listed(names if len(names) <= 4 else [*names[:3], f"{len(names) - 3} more"])


def _advantage(difference: Json) -> tuple[float | None, Any, Any]:
    """Return a difference with its interval so that more is better."""
    value, low, high = (difference.get(key) for key in ("value", "low", "high"))
    if difference["metric"] in LOWER_IS_BETTER and None not in (value, low, high):
        return -value, -high, -low  # type: ignore[operator]
    return value, low, high


def _with_role(difference: Json) -> str:
    name = system_name(difference["against"])
    return f"the {name} baseline" if difference["role"] == "baseline" else name
