"""The toy systems by name, each with the cases it is tested on."""

from tests.contract.cases import patients
from tests.contract.label_map_and_grades.system import LabelMapAndGrades
from tests.contract.pretrained_on_unlabelled.system import PretrainedOnUnlabelled
from tests.contract.survival_curve.system import SurvivalCurve
from tests.contract.two_views_and_table.system import TwoViewsAndTable
from tests.contract.value_and_probability.system import ValueAndProbability
from trabecula.system import from_settings

TOYS = {
    kind.id(): kind
    for kind in (ValueAndProbability, TwoViewsAndTable, LabelMapAndGrades, PretrainedOnUnlabelled, SurvivalCurve)
}


def toy(name):
    """Return a toy at its smallest size, and cases for it."""
    cases = patients(60, unlabelled=0.4 if name == "pretrained_on_unlabelled" else 0.0)
    return from_settings(TOYS[name], TOYS[name].sizes["tiny"]), cases
