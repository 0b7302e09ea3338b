"""Networks of another domain stay as they are, knees are distances, and few labels are enough to answer."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image as Picture

from tests.systems.knees import ROLE, knees
from trabecula.prediction import Abstain
from trabecula.system import Model, get_system
from trabecula.systems.xie2024_fewshot_knee.base import base_domain
from trabecula.systems.xie2024_fewshot_knee.chest import chest
from trabecula.systems.xie2024_fewshot_knee.leaderboard import STACK, led, probabilities
from trabecula.systems.xie2024_fewshot_knee.system import FewShotKnee

ID = "xie2024_fewshot_knee"
TARGET = "knee_label_three"


@pytest.fixture(scope="module")
def recipe():
    return get_system(ID, size="tiny")


@pytest.fixture(scope="module")
def model(recipe):
    return recipe.fit(knees(45, target=TARGET, grades=3))


def _most_likely(model, cases):
    return [int(np.argmax(answer[TARGET].p)) for answer in model.predict(cases)]


def test_tiny_tells_three_grades_of_unseen_knees(model):
    unseen = knees(30, seed=1, target=TARGET, grades=3)
    right = np.mean(np.equal(_most_likely(model, unseen), [case.truth[TARGET] for case in unseen]))
    assert right > 0.6  # by chance 1/3, and above 0.53 in 2.5 % of such samples


def test_a_loaded_model_needs_no_base_pictures(model, tmp_path):
    unseen = knees(6, seed=1, target=TARGET, grades=3)
    model.save(tmp_path / "model")
    assert Model.load(tmp_path / "model").predict(unseen) == model.predict(unseen)


@pytest.mark.parametrize("shots", [1, 2])
def test_so_few_labels_are_learned_from(recipe, shots):
    cases = knees(3 * shots, target=TARGET, grades=3)
    unlabelled = [replace(case, truth={}) for case in knees(6, seed=2, target=TARGET, grades=3)]
    fitted = replace(recipe, epochs=1).fit([*cases, *unlabelled])
    board = fitted.state.facts["leaders"]["test_resnet"]["log_loss"]
    assert bool(board) == (shots > 1), "with one patient a class there is nothing to compare on"
    assert all(sum(answer[TARGET].p) == pytest.approx(1) for answer in fitted.predict(unlabelled))


def test_the_unsure_are_referred_to_a_reader(model):
    unseen = knees(12, seed=1, target=TARGET, grades=3)
    sure = [max(answer[TARGET].p) for answer in model.predict(unseen)]
    asked = Model(replace(model.system, refer_below=float(np.median(sure))), model.state, model.about)
    referred = [isinstance(answer[TARGET], Abstain) for answer in asked.predict(unseen)]
    assert referred == [each < np.median(sure) for each in sure]
    assert sum(referred) == 6


def test_several_networks_answer_with_their_mean(recipe):
    cases = knees(18, target=TARGET, grades=3)
    both = ("test_resnet", "test_efficientnet")
    fitted = replace(recipe, backbones=both, epochs=1).fit(cases)
    told = [fitted.system._told(fitted.state, name, cases[:4]) for name in both]
    assert not np.allclose(told[0], told[1])
    answers = [answer[TARGET].p for answer in fitted.predict(cases[:4])]
    assert answers == pytest.approx(np.mean(told, axis=0), abs=1e-5)


def test_evidence_is_what_the_network_of_the_base_domain_sees(model):
    case = knees(1)[0]
    evidence = model.explain(case)
    assert evidence.heat[ROLE].shape == case.images[ROLE].shape
    assert evidence.heat[ROLE].min() >= 0
    assert list(evidence.numbers) == ["test_resnet: to clear", "test_resnet: to consolidated"]
    assert "no knee" in evidence.method


def _folder(path, films=6, classes=("NORMAL", "PNEUMONIA")):
    for label in classes:
        (path / label).mkdir(parents=True)
        for number in range(films):
            pixels = chest(number, consolidated=label == "PNEUMONIA").voxels[0] // 16
            Picture.fromarray(pixels.astype(np.uint8)).save(path / label / f"{number}.png")
    return path


def test_chest_films_are_given_as_a_folder(recipe, tmp_path):
    folder = _folder(tmp_path / "chests")
    given = replace(recipe, base=str(folder), epochs=1, references=3)
    fitted = given.fit(knees(9, target=TARGET, grades=3))
    assert fitted.state.facts["base"] == "folder: 6 NORMAL and 6 PNEUMONIA"
    assert fitted.state.facts["base_classes"] == ("NORMAL", "PNEUMONIA")
    assert fitted.state.arrays["test_resnet.images"].shape == (6, 96)
    named = base_domain(str(folder), films=4, pixels=32)
    assert named.grades.tolist() == [0] * 4 + [1] * 4


@pytest.mark.parametrize(
    ("classes", "films", "words"),
    [(("a",), 6, "holds 1 folders"), (("a", "b", "c"), 6, "holds 3 folders"), (("a", "b"), 2, "holds 2 pictures")],
)
def test_a_folder_that_is_no_base_domain_is_refused(tmp_path, classes, films, words):
    with pytest.raises(ValueError, match=words):
        base_domain(str(_folder(tmp_path / "x", films, classes)), films=9, pixels=32)


def test_a_base_that_is_no_folder_is_refused():
    with pytest.raises(ValueError, match="name the folder of films"):
        base_domain("chests", films=9, pixels=32)


@pytest.mark.parametrize("wrong", [{"backbones": ()}, {"learners": ()}, {"refer_below": 1.0}])
def test_settings_without_a_meaning_are_refused(wrong):
    with pytest.raises(ValueError, match=r"needed|refer below"):
        FewShotKnee(**wrong)


def test_drawn_films_are_the_same_at_every_call_and_their_classes_differ_in_the_lungs():
    assert chest(3, consolidated=True).digest == chest(3, consolidated=True).digest
    lungs = (slice(40, 110), slice(30, 130))
    greys = {
        ill: [np.median(chest(n, consolidated=ill).voxels[0][lungs] / 4095.0) for n in range(40)] for ill in (0, 1)
    }
    clear, dense = (np.mean(greys[ill]) for ill in (0, 1))
    assert dense > clear


def test_widths_are_those_of_the_named_networks():
    with torch.device("meta"):
        networks = FewShotKnee()._networks({})
    widths = {name: network.head[-1].in_features for name, network in networks.items()}
    assert widths == {"resnet50": 2048, "densenet121": 1024, "efficientnet_b0": 1280, "mobilenetv2_100": 1280}


def _two_moons(n):
    rng = np.random.default_rng(0)
    y = np.arange(n) % 3
    return np.stack([np.cos(y * 2.1), np.sin(y * 2.1)], axis=1) + rng.normal(0, 0.4, (n, 2)), y


def test_the_leader_is_the_one_with_the_least_loss():
    x, y = _two_moons(60)
    folds = [(np.flatnonzero(np.arange(60) % 5 != k), np.flatnonzero(np.arange(60) % 5 == k)) for k in range(5)]
    leader = led(x, y, folds, learners=("logistic", "svm", "mlp"), trees=10, seed=0)
    assert leader.name == min(leader.board, key=leader.board.get)
    assert len(leader.board) == 12
    assert STACK in leader.board
    assert np.mean(probabilities(leader.estimators, x).argmax(axis=1) == y) > 0.8


def test_rare_classes_weigh_as_much_as_common_ones():
    x, y = np.zeros((40, 1)), np.repeat([0, 1], [30, 10])
    leader = led(x, y, [], learners=("logistic",), trees=10, seed=0)
    assert probabilities(leader.estimators, x)[0] == pytest.approx([0.5, 0.5], abs=1e-6)
