"""Running the command line in this process, and small cohorts to run it on."""

import sys

import numpy as np
import pytest
from PIL import Image as Picture

from tests.cli.study import AGE_ROWS, TABLE, people
from trabecula import cli


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command line in this process; return exit code, standard output and standard error."""

    def ran(*words):
        monkeypatch.setattr(sys, "argv", ["trabecula", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        said = capsys.readouterr()
        return end.value.code or 0, said.out, said.err

    return ran


@pytest.fixture
def refused(run, tmp_path):
    """Run something that must be refused: exit code 2, one line, nothing new on disk. Return the line."""

    def said(*words):
        before = sorted(tmp_path.rglob("*"))
        code, _, err = run(*words)
        lines = [line for line in err.splitlines() if line.strip()]
        assert code == 2, err
        assert len(lines) == 1, err
        assert lines[0].startswith("trabecula: ")
        assert "Traceback" not in err
        assert sorted(tmp_path.rglob("*")) == before
        return lines[0]

    return said


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "study.csv"
    path.write_text(AGE_ROWS + "".join(people()))
    return path


@pytest.fixture
def pictures(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("normal", "osteoporosis"):
        (tmp_path / "knees" / name).mkdir(parents=True)
        for i in range(8):
            noise = rng.integers(0, 256, (48, 48), dtype=np.uint8)
            Picture.fromarray(noise).save(tmp_path / "knees" / name / f"{i}.png")
    names = sorted(p.relative_to(tmp_path / "knees").as_posix() for p in (tmp_path / "knees").rglob("*.png"))
    lines = [f"{name},{500 + 7 * i}\n" for i, name in enumerate(names)]
    (tmp_path / "knees" / "acquisition.csv").write_text("file,width\n" + "".join(lines))
    return tmp_path / "knees"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model fitted by the command line once."""
    folder = tmp_path_factory.mktemp("model")
    (folder / "study.csv").write_text(AGE_ROWS + "".join(people()))
    words = ["fit", *TABLE, "--cohort", str(folder / "study.csv"), "--out", str(folder / "m")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["trabecula", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
    assert not end.value.code
    return folder / "m"
