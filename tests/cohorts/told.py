"""What is told about bone by a few numbers: acquisition facts, the mean of the picture, the true density."""

from dataclasses import replace

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def cross_validated(truth, features):
    """Return probabilities of logistic regression on standardised features, out of five folds."""
    model = make_pipeline(StandardScaler(), LogisticRegression())
    return cross_val_predict(model, np.asarray(features, dtype=float), truth, cv=5, method="predict_proba")[:, 1]


def acquisition(cases):
    """Return the groups of cases `[n, columns]`: numbers as they are, names one column a value but one."""
    facts = pd.DataFrame([dict(case.groups) for case in cases])
    if "date" in facts:
        facts["date"] = pd.to_datetime(facts["date"]).map(pd.Timestamp.toordinal)
    numbers = {name: pd.to_numeric(facts[name], errors="coerce") for name in facts}
    for name, values in numbers.items():
        if not values.isna().any():
            facts[name] = values
    return pd.get_dummies(facts, drop_first=True).astype(float).to_numpy()


def coarse(recipe, factor=4, **changed):
    """Return the same view on pixels `factor` times as wide, with as many quanta on the film: for statistics."""
    if hasattr(recipe, "scanner"):
        scanner = recipe.scanner
        wide, thick = factor * scanner.pixel_mm, max(scanner.interval_mm, 1.5 * factor * scanner.pixel_mm)
        return replace(recipe, scanner=replace(scanner, pixel_mm=wide, slice_mm=thick, interval_mm=thick), **changed)
    if hasattr(recipe, "device"):
        device = recipe.device
        low, high = (
            replace(beam, pixel_mm=factor * beam.pixel_mm, photons=beam.photons * factor**2)
            for beam in (device.low, device.high)
        )
        return replace(recipe, device=replace(device, low=low, high=high), **changed)
    film = recipe.film
    xray = replace(film.xray, pixel_mm=film.xray.pixel_mm * factor, blur_mm=0.0)
    small = replace(film, rows=film.rows // factor, columns=film.columns // factor, xray=xray)
    return replace(recipe, film=replace(small, quanta=film.quanta * factor**2), **changed)
