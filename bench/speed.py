"""Speed and memory of the library, printed as a table. Ratios side by side in one run; never a timed test.

`make bench`. Medians of several runs; a machine that does other things at the same time shows in the spread. What
measurements are compared with lives in environments of its own, `.oracles/pyradiomics`, `.oracles/mirp` and
`.oracles/scikit-fem` (or in the folder that TRABECULA_ORACLES names); an oracle that is not there is skipped and said
to be. `bench/oracle_*.py` say how to make them.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image as Picture

BLOCK = "import sys; assert 'torch' not in sys.modules, 'torch was loaded'"


def whole_process(code: str, runs: int = 5) -> list[float]:
    """Seconds of a fresh interpreter running `code`, after one run that warms the disk cache."""
    seconds = []
    for run in range(runs + 1):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
        if run:
            seconds.append(time.perf_counter() - start)
    return seconds


def start_up() -> list[tuple[str, list[float], str]]:
    """Import and catalogue, in fresh interpreters that must not load torch."""
    cli = "import sys; sys.argv = ['trabecula', 'systems']\nfrom trabecula.cli import app\n"
    cli += "try:\n    app()\nexcept SystemExit:\n    pass\n"
    return [
        ("python -c pass", whole_process("pass"), "the interpreter itself"),
        ("import trabecula", whole_process(f"import trabecula; {BLOCK}"), "at most 0.3 s, no torch"),
        ("trabecula systems", whole_process(cli + BLOCK), "at most 1 s, no torch"),
    ]


def pictures(folder: Path, n: int) -> None:
    """Write a class folder of n pictures of about knee size."""
    rng = np.random.default_rng(0)
    for index in range(n):
        place = folder / ("normal" if index % 2 else "osteoporosis")
        place.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (600, 500), dtype=np.uint8)
        Picture.fromarray(pixels).save(place / f"{index}.png", compress_level=1)


def cached_pictures(n: int = 100) -> tuple[float, float]:
    """Seconds to prepare n pictures the first and the second time."""
    from trabecula.cache import remember
    from trabecula.cohort import open_cohort
    from trabecula.learn.prepare import picture

    with tempfile.TemporaryDirectory() as place:
        os.environ["TRABECULA_CACHE"] = str(Path(place) / "cache")
        pictures(Path(place) / "knees", n)
        seconds = []
        for _ in range(2):
            start = time.perf_counter()
            for case in open_cohort(Path(place) / "knees").cases:
                remember(picture, case.images.source("picture"), settings={"size": 224})
            seconds.append(time.perf_counter() - start)
    return seconds[0], seconds[1]


def peak_memory(n: int) -> float:
    """Peak memory in MB of a process that prepares every picture of a cohort of n."""
    code = (
        "import sys, resource; from pathlib import Path\n"
        "from trabecula.cache import remember; from trabecula.cohort import open_cohort\n"
        "from trabecula.learn.prepare import picture\n"
        "for case in open_cohort(Path(sys.argv[1])).cases:\n"
        "    remember(picture, case.images.source('picture'), settings={'size': 224})\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)\n"
    )
    with tempfile.TemporaryDirectory() as place:
        pictures(Path(place) / "knees", n)
        environment = {**os.environ, "TRABECULA_CACHE": str(Path(place) / "cache")}
        told = subprocess.run(
            [sys.executable, "-c", code, str(Path(place) / "knees")], check=True, capture_output=True, env=environment
        )
    return float(told.stdout)


def bootstrap(n: int = 1000, draws: int = 2000) -> tuple[float, float]:
    """Seconds of the AUC bootstrap, ours and as a loop over scikit-learn (timed on a twentieth of the draws)."""
    from sklearn.metrics import roc_auc_score

    from trabecula.metrics import auc_interval

    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, n)
    score = rng.normal(size=n) + truth
    auc_interval(truth, score, draws=10)
    start = time.perf_counter()
    auc_interval(truth, score, draws=draws)
    ours = time.perf_counter() - start
    start = time.perf_counter()
    for _ in range(draws // 20):
        rows = rng.integers(0, n, n)
        roc_auc_score(truth[rows], score[rows])
    return ours, (time.perf_counter() - start) * 20


def delong(systems: int = 20, n: int = 10_000) -> float:
    """Seconds of DeLong's covariance of every two of the systems on n patients."""
    from trabecula.metrics import auc_covariance

    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, n)
    scores = rng.normal(size=(systems, n)) + truth
    auc_covariance(truth, scores[:2])
    start = time.perf_counter()
    auc_covariance(truth, scores)
    return time.perf_counter() - start


def measured_twice() -> tuple[float, float]:
    """Seconds to measure HU and radiomics of two vertebrae the first and the second time."""
    from trabecula.case import Case, Images
    from trabecula.image import Image
    from trabecula.measurement import measure_cases

    sys.path.insert(0, str(Path(__file__).parent))
    from radiomics import vertebra

    hu, inside = vertebra()
    spacing = (1.0, 1.0, 1.0)
    labels = np.concatenate([inside, 2 * inside]).astype(np.uint8)
    ct = Image(voxels=np.concatenate([hu, hu]), unit="HU", spacing=spacing)
    bodies = Image(voxels=labels, unit="label", spacing=spacing, names={1: "femur", 2: "hip"})
    case = Case(id="a", patient="a", images=Images({"lumbar_ct": ct}), masks=Images({"bones": bodies}))
    seconds = []
    with tempfile.TemporaryDirectory() as place:
        os.environ["TRABECULA_CACHE"] = str(Path(place) / "cache")
        for _ in range(2):
            start = time.perf_counter()
            measure_cases([case], ["hounsfield", "radiomics"])
            seconds.append(time.perf_counter() - start)
    return seconds[0], seconds[1]


def measurements() -> None:
    """Print the tables of radiomics and finite elements, each beside its oracles where they are."""
    root = Path(__file__).parent
    folder = Path(os.environ.get("TRABECULA_ORACLES", root.parent / ".oracles"))
    for script, oracles in (("radiomics.py", ("pyradiomics", "mirp")), ("elements.py", ("scikit-fem",))):
        print(flush=True)
        command = [sys.executable, str(root / script)]
        for oracle in oracles:
            if (python := folder / oracle / "bin" / "python").exists():
                command += [f"--{oracle}", str(python)]
            else:
                print(f"{oracle} is skipped: there is no {python}")
        sys.stdout.flush()
        subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})


def main() -> None:
    """Print the table."""
    print(f"{'what':<46}{'median':>10}{'lowest':>10}{'highest':>10}  note")
    for name, seconds, note in start_up():
        spread = (statistics.median(seconds), min(seconds), max(seconds))
        print(f"{name:<46}" + "".join(f"{x:>9.3f}s" for x in spread) + f"  {note}")
    first, second = cached_pictures()
    print(f"{'100 pictures prepared, first time':<46}{first:>9.3f}s")
    print(f"{'100 pictures prepared, second time':<46}{second:>9.3f}s{'':>20}  {first / second:.0f} times faster")
    small, large = peak_memory(60), peak_memory(600)
    print(f"{'peak memory, 60 pictures':<46}{small:>8.0f}MB")
    print(f"{'peak memory, 600 pictures':<46}{large:>8.0f}MB{'':>20}  ratio {large / small:.2f}")
    ours, loop = bootstrap()
    print(f"{'2,000 bootstraps of AUC, n = 1,000':<46}{ours:>9.3f}s")
    print(f"{'the same, loop over scikit-learn':<46}{loop:>9.3f}s{'':>20}  ratio {loop / ours:.0f}, at least 50")
    print(f"{'DeLong, 20 systems by 20, n = 10,000':<46}{delong():>9.3f}s{'':>20}  at most 1 s")
    first, second = measured_twice()
    print(f"{'HU and radiomics of two vertebrae, first time':<46}{first:>9.3f}s")
    print(f"{'the same, second time':<46}{second:>9.3f}s{'':>20}  {first / second:.0f} times faster")
    print(f"peak of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    measurements()


if __name__ == "__main__":
    main()
