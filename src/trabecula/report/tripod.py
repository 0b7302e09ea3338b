"""The checklist of TRIPOD+AI, answered from a report as far as the report knows, with the rest left open.

Collins et al., TRIPOD+AI statement, BMJ 2024;385:e078378: 27 items, 52 with their parts, here in short. What a run of
trabecula cannot know (why a study was made, who paid, what it means for care) is open, and is for the authors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from trabecula.report import sentences
from trabecula.report.words import METRICS, capitalised, counted, listed, metric_name, share, system_name, with_interval

Json = Mapping[str, Any]
Status = Literal["answered", "in part", "open", "does not apply"]
Answer = tuple[Status, str]


@dataclass(frozen=True)
class Item:
    """One part of the checklist, and what this report answers."""

    number: str
    section: str
    asks: str
    status: Status
    answer: str


_ITEMS: Sequence[tuple[str, str, str]] = (
    ("1", "Title", "that a prediction model is developed or evaluated, in whom, for which outcome"),
    ("2", "Abstract", "a structured abstract, by the list for abstracts"),
    ("3a", "Background", "the health-care context, and why the model is made or evaluated"),
    ("3b", "Background", "for whom and for what in care it is meant, and who is to use it"),
    ("3c", "Background", "known inequalities of health between groups of people"),
    ("4", "Objectives", "the aims: development, evaluation or both"),
    ("5a", "Data", "where data come from, why these, and whom they represent"),
    ("5b", "Data", "when they were collected, and the end of follow-up"),
    ("6a", "Participants", "the setting, and how many centres where"),
    ("6b", "Participants", "who was eligible"),
    ("6c", "Participants", "treatments, and how they were handled"),
    ("7", "Data preparation", "preparation and checks of the data, alike in all groups of people"),
    ("8a", "Outcome", "what is predicted and when, how it was assessed, and why this"),
    ("8b", "Outcome", "who judged it, where it takes judgement"),
    ("8c", "Outcome", "whether those who judged were blinded"),
    ("9a", "Predictors", "how the first predictors were chosen"),
    ("9b", "Predictors", "what each predictor is, and how and when it was measured"),
    ("9c", "Predictors", "who judged them, where it takes judgement"),
    ("10", "Sample size", "how the size was arrived at, and that it suffices"),
    ("11", "Missing data", "how missing data were handled"),
    ("12a", "Analysis", "which data were learned from and which judged on"),
    ("12b", "Analysis", "how predictors were handled: form, scale, standardisation"),
    ("12c", "Analysis", "the kind of model, how it was built and tuned, and internal validation"),
    ("12d", "Analysis", "differences between clusters such as hospitals, and how they were measured"),
    ("12e", "Analysis", "every measure and plot of performance, and how models were compared"),
    ("12f", "Analysis", "whether a model was updated after its evaluation"),
    ("12g", "Analysis", "how predictions were computed in evaluation"),
    ("13", "Class imbalance", "what was done about it, and recalibration after it"),
    ("14", "Fairness", "what was done for fairness, and why"),
    ("15", "Model output", "what the model puts out, and how thresholds were found"),
    ("16", "Training and evaluation", "differences between the data of both"),
    ("17", "Ethics", "approval and consent"),
    ("18a", "Open science", "funding"),
    ("18b", "Open science", "conflicts of interest"),
    ("18c", "Open science", "where the study's protocol is, or that there is none"),
    ("18d", "Open science", "registration, or that there is none"),
    ("18e", "Open science", "where the data are"),
    ("18f", "Open science", "where the code is"),
    ("19", "Patients and public", "how patients and the public were involved, or that they were not"),
    ("20a", "Participants", "the flow of participants, with and without the outcome, and follow-up"),
    ("20b", "Participants", "what they are like, and how much is missing"),
    ("20c", "Participants", "how they compare with those whom the model was developed on"),
    ("21", "Model development", "participants and events in each analysis"),
    ("22", "Model specification", "all of the model, so that others can predict with it"),
    ("23a", "Performance", "performance with intervals, for key groups as well"),
    ("23b", "Performance", "differences in performance between clusters, if looked at"),
    ("24", "Updating", "results of updating"),
    ("25", "Interpretation", "what the results mean, fairness included"),
    ("26", "Limitations", "limitations, and what they do to bias and generality"),
    ("27a", "Usability", "what to do with poor or missing input in use"),
    ("27b", "Usability", "what users have to do, and how skilled they must be"),
    ("27c", "Usability", "next steps, with a view to whom it can be applied to"),
)


def checklist(told: Json) -> list[Item]:
    """Return all parts of the checklist in order, each answered as far as `report.json` knows."""
    return [
        Item(number, section, asks, *(_ANSWERS[number](told) if number in _ANSWERS else ("open", "")))
        for number, section, asks in _ITEMS
    ]


def _systems(told: Json) -> list[Json]:
    """Return one honest result of each system about the headline target, best first."""
    return sentences.results_of(told, sentences.headline_target(told), "system")


def _names(told: Json) -> str:
    return listed(list(dict.fromkeys(system_name(each["system"]) for each in _systems(told))))


def _title(told: Json) -> Answer:
    target = next((each["target_title"] for each in _systems(told)), "an outcome")
    return "in part", f"Development and evaluation of {_names(told)} for “{target}” in: {told['cohort']['title']}."


def _objectives(told: Json) -> Answer:
    return "in part", f"Systems were fitted and judged (both): {told['protocol']['rule']}."


def _source(told: Json) -> Answer:
    card = told["cohort"]["card"]
    parts = [card["source"], card["population"], *card["warnings"]]
    return "in part", " ".join(f"{part.rstrip('.')}." for part in parts if part)


def _for_people_only(told: Json) -> Answer:
    if told["cohort"]["card"]["made"]:
        return "does not apply", "The cohort is made by a recipe: no person stands behind it."
    return "open", ""


def _preparation(told: Json) -> Answer:
    findings = told["cohort"]["findings"]
    found = [
        f"{findings['readable']} of {findings['cases']} cases could be read",
        counted(len(findings["duplicates"]), "group of duplicates", "groups of duplicates"),
        counted(len(findings["conflicts"]), "contradiction of labels", "contradictions of labels"),
        *told["cohort"]["notes"],
    ]
    return "in part", f"Checked before learning: {'; '.join(found)}. What each system does to its input is in Systems."


def _outcome(told: Json) -> Answer:
    each = next(iter(_systems(told)), None)
    if each is None:
        return "open", ""
    truth = told["cohort"]["card"].get("truth") or ""
    defined = f"{each['target_title']} ({each['target']}), defined for: {each['population'] or 'everybody'}"
    return "in part", f"{defined}. {truth}".strip()


def _judged_by_nobody(told: Json) -> Answer:
    if told["cohort"]["card"]["made"]:
        return "does not apply", "The truth is what the cohort was made with; nobody judged it."
    return "open", ""


def _predictors(told: Json) -> Answer:
    asked = [(each["system"], each["inputs"]) for each in _systems(told)]
    parts = [
        f"{system_name(name)}: {listed([*inputs['images'], *inputs['masks'], *inputs['table']])}"
        for name, inputs in asked
    ]
    return "in part", f"{'; '.join(dict.fromkeys(parts))}. Units and ranges are in the vocabulary of trabecula."


def _size(told: Json) -> Answer:
    said = sentences.sample(told, sentences.headline_target(told))
    return "in part", f"{said.text} The intervals say what this size can show; why this size is for the authors."


def _missing(told: Json) -> Answer:
    missing = {name: gap for name, gap in told["cohort"]["findings"].get("missing", {}).items() if gap}
    gaps = ", ".join(f"{name} {share(gap)}" for name, gap in missing.items()) or "nothing"
    silent = {system_name(e["system"]): e["abstained"]["patients"] for e in _systems(told)}
    told_silent = ", ".join(f"{name} {n}" for name, n in silent.items())
    return "answered", (
        f"Missing among cases: {gaps}. Nothing that a system requires is filled in: it abstains, and the patient is "
        f"counted as not answered ({told_silent}); what it can do without is handled inside its training folds."
    )


def _partition(told: Json) -> Answer:
    return "answered", f"{capitalised(told['protocol']['rule'])}. Every case's fold is in splits.csv."


def _handling(told: Json) -> Answer:
    return "answered", (
        "Scaling, selection and thresholds are learned inside the training folds, by construction. "
        f"Settings of {_names(told)} are listed with their origin."
    )


def _building(told: Json) -> Answer:
    built = [f"{system_name(e['system'])}: {e['title']} ({e['fidelity']}, {e['size']})" for e in _systems(told)]
    return "answered", f"{'; '.join(dict.fromkeys(built))}. Internal validation: {told['protocol']['rule']}."


def _measures(told: Json) -> Answer:
    used = list(dict.fromkeys(metric_name(m) for e in _systems(told) for m in e["metrics"] if m in METRICS))
    plots = "ROC curves, calibration and paired differences" if any(e["curves"] for e in _systems(told)) else "a forest"
    return "answered", f"{capitalised(listed(used))}; {plots}. Intervals: {told['protocol']['intervals']}."


def _never_updated(_: Json) -> Answer:
    return "answered", "No model was updated after its evaluation."


def _computed(told: Json) -> Answer:
    versions = told["environment"]["packages"]
    return "answered", (
        f"By the fitted models of trabecula {versions.get('trabecula', '')}, seed {told['environment']['seed']}; every "
        "answer is in predictions.csv, and trabecula verify computes every figure from it again."
    )


def _imbalance(_: Json) -> Answer:
    return (
        "in part",
        "Folds are stratified by class. trabecula resamples nothing; a system's own means are its settings.",
    )


def _output(told: Json) -> Answer:
    kinds = {
        "binary": "a probability, called at 0.5",
        "ordinal": "a probability for each grade, called at the most likely",
        "value": "a number in the unit of the target",
        "time_to_event": "a cumulative incidence at horizons",
        "label_map": "a label map",
    }
    used = dict.fromkeys(kinds[each["kind"]] for each in _systems(told))
    return "answered", f"{capitalised('; '.join(used))}."


def _same_data(told: Json) -> Answer:
    if told["protocol"]["name"] == "external":
        return "open", ""
    return (
        "answered",
        "Both come from one cohort: this is internal validation, and says nothing of other hospitals.",
    )


def _data(told: Json) -> Answer:
    card = told["cohort"]["card"]
    made = " Made from a seed, by a recipe in the package." if card["made"] else ""
    licence = f"Licence: {card['licence']}. " if card.get("licence") else ""
    text = f"{licence}SHA-256 of its content: {told['cohort']['checksum']}.{made}"
    return ("answered", text) if card["made"] else ("in part", text)


def _code(told: Json) -> Answer:
    versions = ", ".join(f"{name} {version}" for name, version in told["environment"]["packages"].items())
    return "answered", f"trabecula is open (Apache-2.0); versions of this run: {versions}."


def _flow(told: Json) -> Answer:
    cohort, target = told["cohort"], sentences.headline_target(told)
    grades = cohort["prevalence"].get(target) or {}
    counts = ", ".join(f"{entry['cases']} {grade}" for grade, entry in grades.items())
    return "in part", f"{counted(cohort['patients'], 'patient')}, {counted(cohort['cases'], 'case')}. {counts}".strip()


def _table(told: Json) -> Answer:
    if not told["cohort"].get("described"):
        return "open", ""
    return "in part", "Every variable, overall and by class, with what is missing: the table in Data."


def _analysed(told: Json) -> Answer:
    judged = [
        f"{system_name(e['system'])} {e['patients'] - e['abstained']['patients']} of {e['patients']}"
        for e in _systems(told)
    ]
    return "answered", f"Judged and answered: {', '.join(dict.fromkeys(judged))}; folds in splits.csv."


def _specified(told: Json) -> Answer:
    return "answered", (
        f"{_names(told)}: code and settings are in the package; trabecula fit makes and saves the model, "
        "trabecula predict asks it."
    )


def _performance(told: Json) -> Answer:
    reached = [
        f"{system_name(e['system'])} {metric_name(e['headline_metric'])} {with_interval(sentences.headline(e))}"
        for e in _systems(told)
    ]
    return "in part", f"{'; '.join(reached)}. By groups of people only where the report has them."


def _no_update(_: Json) -> Answer:
    return "does not apply", "No model was updated."


def _limits(told: Json) -> Answer:
    said = sentences.belief(told, sentences.headline_target(told))
    found = [f"{each.title}: {each.text}" for each in said if each.level in ("alarm", "caution")]
    return ("in part", " ".join(found)) if found else ("open", "")


def _poor_input(_: Json) -> Answer:
    return "answered", (
        "A required input that is missing, or a fact that a printed number depends on, leads to an abstention with its "
        "reason, never to a default."
    )


_ANSWERS: Mapping[str, Callable[[Json], Answer]] = {
    "1": _title, "4": _objectives, "5a": _source, "6c": _for_people_only, "7": _preparation, "8a": _outcome,
    "8b": _judged_by_nobody, "8c": _judged_by_nobody, "9b": _predictors, "10": _size, "11": _missing,
    "12a": _partition, "12b": _handling, "12c": _building, "12e": _measures, "12f": _never_updated, "12g": _computed,
    "13": _imbalance, "15": _output, "16": _same_data, "17": _for_people_only, "18e": _data, "18f": _code,
    "20a": _flow, "20b": _table, "21": _analysed, "22": _specified, "23a": _performance, "24": _no_update,
    "26": _limits, "27a": _poor_input,
}  # fmt: skip
