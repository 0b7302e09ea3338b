"""A small study as a manifest, and the words that run a baseline on it."""

import numpy as np

AGE_ROWS = "case,patient,table.age_years,table.sex,table.bmi_kg_m2,truth.past_fracture\n"
TABLE = ("baseline_age_sex_bmi", "--target", "past_fracture")
PICTURES = ("baseline_acquisition", "--target", "osteoporosis_knee_label")


def people(n=40, seed=0):
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        age = rng.normal(70, 8)
        ill = int(rng.random() < 1 / (1 + np.exp(-(age - 70) / 4)))
        rows.append(f"c{i},p{i},{age:.1f},{'female' if i % 2 else 'male'},{rng.normal(26, 3):.1f},{ill}\n")
    return rows
