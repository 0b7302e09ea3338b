"""Checks that a system is known to fail, with the reason; one that passes nevertheless is an error."""

KNOWN: dict[tuple[str, str], str] = {
    ("baseline_prevalence", "answers_are_plausible"): "the share in training for everybody is what it is",
    ("baseline_prevalence", "essence_rejects_a_stub"): "a stub that answers the mean is the very same thing",
}
