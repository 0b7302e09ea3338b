"""What fitting leaves on disk: whole, without pickle, and refused when anything about it changed."""

import errno
import json
import resource
import signal

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from trabecula.state import State, load_state, read_about, save_state, whole


class Strange(BaseEstimator):
    """An estimator that no list of trusted types holds."""


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 3))
    return x, (x[:, 0] + rng.normal(size=80) > 0).astype(int)


def saved(state, folder, **about):
    folder.mkdir()
    save_state(state, folder, about={"system": "toy", **about})
    return folder


def loaded(folder, networks=lambda facts: {}):
    return load_state(folder, read_about(folder), networks=networks)


def test_facts_and_arrays_come_back_bit_for_bit(tmp_path):
    arrays = {
        "many": np.random.default_rng(0).normal(size=(3, 4)),
        "one": np.array(1 / 3),
        "empty": np.zeros((0, 3), np.float32),
        "backwards": np.arange(12, dtype=np.int64).reshape(3, 4).T[::-1],
        "yes": np.array([True, False]),
    }
    facts = {"cut": 0.1 + 0.2, "names": ["a", "b"], "nested": {"x": None}}
    back = loaded(saved(State(facts=facts, arrays=arrays), tmp_path / "m"))
    assert back.facts == facts
    assert back.arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        assert back.arrays[name].shape == array.shape
        assert back.arrays[name].dtype == array.dtype
        assert back.arrays[name].tobytes() == np.array(array, order="C").tobytes()


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(),
        SVC(),
        RandomForestClassifier(5),
        GradientBoostingClassifier(n_estimators=5),
        make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_estimators_answer_as_before(tmp_path, table, estimator):
    x, y = table
    estimator.fit(x, y)
    back = loaded(saved(State(estimators={"e": estimator}), tmp_path / "m")).estimators["e"]
    ask = "predict_proba" if hasattr(estimator, "predict_proba") else "decision_function"
    assert (getattr(back, ask)(x) == getattr(estimator, ask)(x)).all()


def test_catboost_answers_as_before_in_its_own_format(tmp_path, table):
    import catboost

    x, y = table
    estimator = catboost.CatBoostClassifier(iterations=10, verbose=0, allow_writing_files=False, thread_count=1)
    estimator.fit(x, y)
    folder = saved(State(estimators={"e": estimator}), tmp_path / "m")
    assert (folder / "estimator.e.cbm").exists()
    assert (loaded(folder).estimators["e"].predict_proba(x) == estimator.predict_proba(x)).all()


def test_networks_come_back_in_evaluation_with_every_weight(tmp_path):
    import torch

    def build(facts):
        return {"n": torch.nn.Sequential(torch.nn.Linear(3, facts["width"]), torch.nn.BatchNorm1d(facts["width"]))}

    network = build({"width": 4})["n"]
    network.train()(torch.randn(8, 3))
    folder = saved(State(facts={"width": 4}, networks={"n": network}), tmp_path / "m")
    back = loaded(folder, build).networks["n"]
    assert not back.training
    x = torch.randn(5, 3)
    assert torch.equal(back(x), network.eval()(x))
    with pytest.raises(RuntimeError, match=r"size mismatch|Missing key|Unexpected key"):
        loaded(folder, lambda facts: build({"width": 5}))


def test_strange_estimators_are_refused(tmp_path):
    with pytest.raises(TypeError, match=r"estimator\.e.*not on the list of state\.py.*Strange"):
        saved(State(estimators={"e": Strange()}), tmp_path / "m")
    with pytest.raises(TypeError, match="Strange"):
        saved(State(estimators={"e": make_pipeline(StandardScaler(), Strange())}), tmp_path / "n")


def test_a_file_that_smuggles_a_strange_type_is_refused(tmp_path):
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    folder = saved(State(estimators={"e": StandardScaler()}), tmp_path / "m")
    skops.io.dump(Strange(), folder / "estimator.e.skops")
    about = json.loads((folder / "model.json").read_text())
    with pytest.raises(UntrustedTypesFoundException, match="Strange"):
        load_state(folder, about, networks=lambda facts: {})


def test_nothing_is_pickled(tmp_path, table):
    import torch

    x, y = table
    state = State(
        facts={"a": 1}, arrays={"x": x}, networks={"n": torch.nn.Linear(2, 2)},
        estimators={"e": RandomForestClassifier(2).fit(x, y)},
    )  # fmt: skip
    folder = saved(state, tmp_path / "m")
    assert {p.name for p in folder.iterdir()} == {
        "arrays.safetensors", "network.n.safetensors", "estimator.e.skops", "model.json", "checksums.json",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["arrays.safetensors", "model.json", "estimator.e.skops"])
def test_missing_altered_and_extra_files_are_refused_by_name(tmp_path, name):
    def fresh(place):
        state = State(arrays={"x": np.zeros(3)}, estimators={"e": StandardScaler()})
        return saved(state, tmp_path / place)

    folder = fresh("missing")
    (folder / name).unlink()
    with pytest.raises(ValueError, match=f"missing: {name} is missing; save the model again"):
        read_about(folder)
    folder = fresh("altered")
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"altered: {name} was altered"):
        read_about(folder)
    folder = fresh("extra")
    (folder / "more").mkdir()
    (folder / "more" / "note.txt").write_text("hello")
    with pytest.raises(ValueError, match=r"extra: more/note\.txt does not belong.*remove it"):
        read_about(folder)


@pytest.mark.parametrize("left", [None, "", "{", "5", "[1, 2]", '"text"'])
def test_what_is_no_model_is_refused(tmp_path, left):
    if left is not None:
        (tmp_path / "checksums.json").write_text(left)
    with pytest.raises(ValueError, match="is no saved model"):
        read_about(tmp_path)
    with pytest.raises(ValueError, match="is no saved model"):
        read_about(tmp_path / "nowhere")


def test_facts_that_are_not_json_are_refused(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        saved(State(facts={"auc": float("nan")}), tmp_path / "m")


# Whole or not at all --------------------------------------------------------------------------------------------------


def everything(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_folder_appears_when_it_is_whole(tmp_path):
    with whole(tmp_path / "out") as temporary:
        (temporary / "a").write_text("a")
        assert not (tmp_path / "out").exists()
    assert everything(tmp_path) == ["out", "out/a"]
    (tmp_path / "empty").mkdir()
    with whole(tmp_path / "empty") as temporary:
        (temporary / "b").write_text("b")
    assert (tmp_path / "empty" / "b").exists()


@pytest.mark.parametrize(
    "error", [ValueError("x"), KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")]
)
def test_an_interruption_leaves_nothing(tmp_path, error):
    def interrupted():
        with whole(tmp_path / "out") as temporary:
            (temporary / "a").write_text("half")
            raise error

    with pytest.raises(type(error)):
        interrupted()
    assert everything(tmp_path) == []


def test_a_full_disk_is_told_with_the_folder_and_what_to_do(tmp_path):
    with pytest.raises(OSError, match=r"out could not be written .*No space.*free space"), whole(tmp_path / "out"):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_place_that_is_taken_is_refused_and_kept(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("out", "file"):
        with pytest.raises(FileExistsError, match=f"{name} is there already"), whole(tmp_path / name):
            pytest.fail("was let in")
    with pytest.raises(OSError, match="name another place"), whole(tmp_path / "file" / "deeper"):
        pytest.fail("was let in")
    assert everything(tmp_path) == ["file", "out", "out/mine"]


@pytest.mark.parametrize("what", ["arrays", "networks", "skops", "catboost"])
def test_every_writer_meets_a_full_disk_alike(tmp_path, table, what):
    import catboost
    import torch

    x, y = table
    state = {
        "arrays": lambda: State(arrays={"a": np.zeros(100_000)}),
        "networks": lambda: State(networks={"n": torch.nn.Linear(300, 300)}),
        "skops": lambda: State(estimators={"e": RandomForestClassifier(50, random_state=0).fit(x, y)}),
        "catboost": lambda: State(
            estimators={"e": catboost.CatBoostClassifier(
                iterations=300, verbose=0, allow_writing_files=False, thread_count=1).fit(x, y)}
        ),
    }[what]()  # fmt: skip
    before, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
        with pytest.raises(OSError, match="could not be written"), whole(tmp_path / "out") as temporary:
            save_state(state, temporary, about={})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert everything(tmp_path) == []
