"""Speed and memory of the phantoms, printed as a table beside what was asked of them.

`python bench/phantoms.py [--cohort]`; with `--cohort` also 100 lumbar CTs on all cores, which takes minutes.
Medians of several runs; a machine that does other things at the same time shows in the spread.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def timed(work: Callable[[int], object], runs: int = 5) -> list[float]:
    """Seconds of `work(number)`, after one run that loads spectra and fits nothing."""
    work(0)
    seconds = []
    for number in range(1, runs + 1):
        start = time.perf_counter()
        work(number)
        seconds.append(time.perf_counter() - start)
    return seconds


def people(number: int) -> None:
    """Draw a table of 20,000 patients, every one anew."""
    from trabecula.cohort import open_cohort

    open_cohort("phantom_fracture_table", n=20_000, seed=number)


def radiograph(cohort: str) -> Callable[[int], object]:
    """Return what makes a radiograph of 512 x 512 pixels at the site's own pixel size."""
    from trabecula.cohort import open_cohort

    cases = open_cohort(cohort, n=6).cases

    def load(number: int) -> object:
        source = cases[number].images.source(cohort_role(cohort)).recipe
        return replace(source, film=replace(source.film, rows=512, columns=512)).load()

    return load


def cohort_role(cohort: str) -> str:
    """Return the first image of a cohort."""
    from trabecula.card import cohort_card

    return cohort_card(cohort).images[0]


def lumbar_ct(number: int) -> object:
    """Make a lumbar CT, 200 x 200 x 180 mm at 1.5 mm."""
    from trabecula.cohort import open_cohort

    source = open_cohort("phantom_lumbar_ct", n=number + 1).cases[number].images.source("lumbar_ct").recipe
    scanner = replace(source.scanner, pixel_mm=1.5, slice_mm=1.5, interval_mm=1.5)
    return replace(source, scanner=scanner, field_mm=(180.0, 200.0)).load()


def peak_of_worker() -> float:
    """Peak memory in MB of a process that makes three lumbar CTs of the cohort's own sizes."""
    code = (
        "import resource; from trabecula.cohort import open_cohort\n"
        "for case in open_cohort('phantom_lumbar_ct', n=3).cases: case.images.source('lumbar_ct').recipe.load()\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)\n"
    )
    return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


def whole_cohort() -> float:
    """Seconds to write 100 lumbar CTs as NIfTI on all cores."""
    with tempfile.TemporaryDirectory() as place:
        start = time.perf_counter()
        command = [str(Path(sys.executable).with_name("trabecula")), "phantom", "phantom_lumbar_ct", "--n", "100"]
        own_cache = os.environ | {"TRABECULA_CACHE": str(Path(place) / "cache")}  # nothing was made before
        command += ["--out", str(Path(place) / "cts")]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=own_cache)
        return time.perf_counter() - start


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cohort", action="store_true", help="time 100 lumbar CTs as well")
    whole = parser.parse_args().cohort
    print(f"{'what':<46}{'median':>10}{'lowest':>10}{'highest':>10}  asked")
    rows: list[tuple[str, Callable[[int], object], str]] = [("table of 20,000 patients", people, "2 s")]
    rows += [
        (f"radiograph 512 x 512, {name}", radiograph(name), "2 s")
        for name in ("phantom_knee_xray", "phantom_hip_xray", "phantom_spine_xray")
    ]
    rows += [("lumbar CT 200 x 200 x 180 mm at 1.5 mm", lumbar_ct, "5 s")]
    for name, work, asked in rows:
        seconds = timed(work)
        spread = (statistics.median(seconds), min(seconds), max(seconds))
        print(f"{name:<46}" + "".join(f"{x:>9.2f}s" for x in spread) + f"  {asked}")
    print(f"{'peak memory of a worker, lumbar CT':<46}{peak_of_worker():>8.0f}MB{'':>20}  2000 MB")
    if whole:
        print(f"{'100 lumbar CTs written, all cores':<46}{whole_cohort():>9.0f}s{'':>20}  300 s")
    print(f"peak of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
