"""Keep of a report what the page of a system shows: `python docs/keep.py REPORT ID [NAME]`.

Writes `results/comparisons/ID.json`, or `ID.NAME.json` where a system has several, from the `report.json` in the folder
REPORT, which `trabecula evaluate` made on a phantom cohort; `make docs` then puts it on the page.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

PLACE = Path(__file__).parent.parent / "results" / "comparisons"
_OF_A_RESULT = ("system", "role", "size", "target", "unit", "patients", "abstained", "headline_metric", "metrics")


def keep(report: Path, id_: str, name: str = "") -> Path:
    """Write the figures of a report and what they were measured on, and return where."""
    told = json.loads((report / "report.json").read_text(encoding="utf-8"))
    kept = {
        "cohort": told["cohort"]["id"], "notes": told["cohort"]["notes"], "protocol": told["protocol"],
        "results": [{key: result[key] for key in _OF_A_RESULT} for result in told["results"]],
    }  # fmt: skip
    path = PLACE / f"{id_}{'.' * bool(name)}{name}.json"
    path.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        raise SystemExit(__doc__)
    sys.stdout.write(f"{keep(Path(sys.argv[1]), *sys.argv[2:])}\n")
