"""What makes this system itself: it knows which view is which."""

from dataclasses import replace

from trabecula.case import Images
from trabecula.prediction import score


def essence(system, cases):
    """Swapping AP and lateral changes the answer, and so does age."""
    model = system.fit(cases)
    for name, change in {"the order of the views": _swapped, "age": _older}.items():
        pairs = zip(model.predict(cases), model.predict([change(case) for case in cases]), strict=True)
        moved = [abs(score(a[system.headline.id]) - score(b[system.headline.id])) for a, b in pairs]
        assert max(moved) > 0.01, f"{name} makes no difference"


def _swapped(case):
    ap, lateral = (case.images.source(f"spine_xray_{view}") for view in ("ap", "lateral"))
    return replace(case, images=Images({"spine_xray_ap": lateral, "spine_xray_lateral": ap}))


def _older(case):
    return replace(case, table={**case.table, "age_years": case.number("age_years") + 20})
