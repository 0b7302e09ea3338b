"""Finite elements beside scikit-fem: seconds, peak memory and their ratio in one run, and how cost grows.

    OMP_NUM_THREADS=1 .venv/bin/python bench/elements.py [--scikit-fem ORACLE/bin/python] [--direct]

A vertebral body of uneven moduli (200 to 800 MPa) is pressed by 0.05 mm between rigid plates, at elements of 2 to 0.34
mm, the last to have 830,000. Each runs in a process of its own, so that its peak memory is its own; the interpreter
with numpy and scipy is in it. `--scikit-fem` assembles and solves the body of 1 mm there, by conjugate gradients with
the diagonal, and with `--direct` by its direct solver as well. Seconds are of the processor: the machine may do other
things.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SIZES_MM = (2.0, 1.0, 0.5, 0.34)


def body(mm: float) -> np.ndarray:
    """Return moduli `[k, j, i]` of a large lumbar body, cut flat at its ends."""
    from trabecula.phantom.anatomy.scene import Grid
    from trabecula.phantom.anatomy.vertebra import body_solid, usual_vertebra

    solid = body_solid(usual_vertebra("L3", male=True, height_cm=172))
    low, high = np.array(solid.low), np.array(solid.high)
    low[2], high[2] = low[2] + 3, high[2] - 3
    grid = Grid.around(low, high, (mm, mm, mm))
    inside = np.broadcast_to(solid.distance(*grid.axes()) < 0, grid.shape)
    return np.where(inside, np.random.default_rng(0).uniform(200, 800, grid.shape), 0.0)


def ours(path: Path, mm: float) -> None:
    """Solve, and print what it took."""
    from trabecula.measure.elements.brick import Elements
    from trabecula.measure.elements.solver import Supports, solved

    modulus = np.load(path)
    start = time.process_time()
    elements = Elements(modulus=modulus, spacing=(mm, mm, mm))
    supports = Supports.none(elements)
    supports.fixed[:, 0] = supports.fixed[:, -1] = True
    supports.displacement[0, -1] = -0.05
    found = solved(elements, supports, tolerance=1e-6)
    told = {
        "elements": int((modulus > 0).sum()), "freedoms": 3 * int(elements.occupied.sum()),
        "seconds": time.process_time() - start, "steps": found.iterations,
        "reaction_n": float(found.forces[0, -1].sum()),
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }  # fmt: skip
    print(json.dumps(told))


def run(*command: str) -> dict:
    """Return what a process of its own told."""
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scikit-fem", dest="oracle")
    parser.add_argument("--direct", action="store_true")
    parser.add_argument("--solve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--mm", type=float, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.solve:
        ours(told.solve, told.mm)
        return
    with tempfile.TemporaryDirectory() as place:
        found = {}
        print(f"{'':26}{'elements':>10}{'freedoms':>10}{'steps':>7}{'seconds':>9}{'us/element':>12}{'peak GB':>9}")
        for mm in SIZES_MM:
            path = Path(place) / f"{mm}.npy"
            np.save(path, body(mm))
            row = found[mm] = run(sys.executable, __file__, "--solve", str(path), "--mm", str(mm))
            print(
                f"{f'trabecula, {mm:g} mm':26}{row['elements']:10d}{row['freedoms']:10d}{row['steps']:7d}"
                f"{row['seconds']:9.2f}{1e6 * row['seconds'] / row['elements']:12.1f}{row['peak_gb']:9.2f}"
            )
        if told.oracle:
            script = str(Path(__file__).parent / "oracle_scikit_fem.py")
            more = ["--direct"] if told.direct else []
            row, own = run(told.oracle, script, "--time", str(Path(place) / "1.0.npy"), *more), found[1.0]
            for way in ("cg_s", "direct_s")[: 1 + told.direct]:
                seconds = row["assemble_s"] + row[way]
                print(
                    f"{f'scikit-fem, 1 mm, {way[:-2]}':26}{own['elements']:10d}{own['freedoms']:10d}"
                    f"{row['steps'] if way == 'cg_s' else 0:7d}{seconds:9.2f}"
                    f"{1e6 * seconds / own['elements']:12.1f}{row['peak_gb']:9.2f}"
                    f"   {seconds / own['seconds']:.1f} times ours"
                )
            print(f"reaction: ours {own['reaction_n']:.4f} N, scikit-fem {row['reaction_n']:.4f} N")


if __name__ == "__main__":
    main()
