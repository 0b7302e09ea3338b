"""The house: imports run one way, light things stay light, and what must not be in the code is not."""

import ast
import importlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src"
PACKAGE = SRC / "trabecula"
FILES = sorted(PACKAGE.rglob("*.py"))


def lint(folder):
    """Run import-linter on a copy of the package; return whether all contracts hold, and what it said."""
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(folder / 'src')!r}); {code}"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def house(tmp_path):
    """A copy of the package to plant something in."""
    ignored = shutil.ignore_patterns("__pycache__", "*.html", "*.css", "*.js")
    shutil.copytree(PACKAGE, tmp_path / "src" / "trabecula", ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_every_contract_holds(house):
    held, said = lint(house)
    assert held, said
    assert "3 kept, 0 broken" in said


ONE = "systems/kong2020_catboost/system.py"
PLANTED = {
    "a lower room imports a higher one": ("image.py", "import trabecula.system", "one way"),
    "a system is asked from below": ("measure.py", "import trabecula.catalogue", "one way"),
    "learning knows the phantoms": ("learn/split.py", "import trabecula.phantom", "one way"),
    "a system knows a cohort adapter": (ONE, "import trabecula.cohorts.glow.cohort", "neither a split nor the source"),
    "a system opens a cohort": (ONE, "from trabecula.cohort import open_cohort", "neither a split nor the source"),
    "a system reads DICOM": (ONE, "import trabecula.dicom", "neither a split nor the source"),
    "a system sees the split": (ONE, "from trabecula.protocol import split", "neither a split nor the source"),
    "a system imports its neighbour": (ONE, "import trabecula.systems.nam2019_lumbar_hu", "do not import each other"),
    "a cohort imports a system": (
        "cohorts/glow/cohort.py",
        "import trabecula.systems.kong2020_catboost.system",
        "one way",
    ),
    "a module without a room": ("helpers.py", "", "helpers"),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_one_forbidden_import_of_each_kind_breaks_a_contract(house, planted):
    name, line, said_of_it = PLANTED[planted]
    path = house / "src" / "trabecula" / name
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    path.write_text(f"{before}\n\n{line}\n", encoding="utf-8")
    held, said = lint(house)
    assert not held
    assert said_of_it in said


def test_every_file_is_analysed():
    modules = grimp.build_graph("trabecula").modules
    for path in FILES:
        name = ".".join(path.relative_to(SRC).with_suffix("").parts).removesuffix(".__init__")
        assert name in modules, f"{name} is not seen: is an __init__.py missing?"


def test_no_public_name_is_the_name_of_a_module_beside_it():
    for init in PACKAGE.rglob("__init__.py"):
        package = importlib.import_module(".".join(init.parent.relative_to(SRC).parts))
        modules = {path.stem for path in init.parent.glob("*.py")} | {
            p.name for p in init.parent.iterdir() if p.is_dir()
        }
        assert not modules & set(getattr(package, "__all__", ())), package.__name__


def test_every_public_name_is_there_and_stays_what_it_is():
    import trabecula

    for name in trabecula.__all__:
        first, second = getattr(trabecula, name), getattr(trabecula, name)
        assert first is second
        assert not isinstance(first, type(sys)), name
    assert set(dir(trabecula)) == set(trabecula.__all__)
    with pytest.raises(AttributeError, match="no 'evaluat'; its public names are"):
        _ = trabecula.evaluat


LIGHT = {
    "the package": "import trabecula",
    "the public names": "import trabecula; [getattr(trabecula, name) for name in trabecula.__all__]",
    "the catalogue": (
        "from trabecula import catalogue; cards = catalogue.systems(baselines=True); catalogue.rows(cards)\n"
        "[catalogue.bibtex(card) + str(catalogue.facts(card)) for card in cards]; catalogue.cohorts()\n"
        "[catalogue.page(card) for card in cards if card.status == 'planned']"
    ),
    "the command line": "from trabecula import cli",
    "checking a table": (
        "from trabecula import check, open_cohort\n"
        "check(open_cohort('phantom_fracture_table', n=40), target='past_fracture')"
    ),
    "a classical system": (
        "from trabecula import get_system, open_cohort\n"
        "cases = open_cohort('phantom_fracture_table', n=60).cases\n"
        "get_system('baseline_age_sex_bmi', targets=('past_fracture',)).fit(cases).predict(cases)"
    ),
}


@pytest.mark.parametrize("what", LIGHT)
def test_light_things_load_no_torch(what):
    code = f"{LIGHT[what]}\nimport sys, json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert "trabecula" in loaded
    assert not loaded & {"torch", "lightning_fabric", "timm", "monai"}


def test_importing_the_package_loads_nothing_of_it():
    code = (
        "import trabecula, sys; print([m for m in sys.modules if m.startswith('trabecula.')], 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[] False\n"


# What must not be in the code -----------------------------------------------------------------------------------------


def calls(path):
    """Calls of a file, by the dotted name that is called."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_the_library_does_not_print_meddle_or_unpickle(path):
    called = {name for name, _ in calls(path)}
    assert not called & {"print", "warnings.filterwarnings", "eval", "exec", "os.system"}
    assert not called & {"pickle.load", "pickle.loads", "joblib.load"}
    assert all(how.get("weights_only") == "True" for name, how in calls(path) if name == "torch.load")
    if path != PACKAGE / "system.py":  # which gives the global state back
        assert not called & {"random.seed", "np.random.seed", "numpy.random.seed", "torch.manual_seed"}


def test_no_file_names_where_packages_come_from():
    for path in (p for p in PACKAGE.rglob("*") if p.suffix in (".py", ".yaml", ".html", ".css", ".js")):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"index-url|https?://\S+/simple\b", text), path


def test_the_lock_has_hashes_and_no_addresses():
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in text
    assert "index-url" not in text
    joined = text.replace("\\\n", " ").splitlines()
    pinned = [line for line in joined if line.strip() and not line.lstrip().startswith("#")]
    assert len(pinned) > 50
    assert all("==" in line and "--hash=sha256:" in line for line in pinned)
