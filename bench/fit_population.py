"""How the numbers of `trabecula.phantom.population` were fitted: `python bench/fit_population.py NHANES.csv`.

The file is NHANES 2007-2008 merged by respondent, as `trabecula.cohorts.nhanes` reads it. Adults from 20 on, each sex
alone, examination weights, weighted maximum likelihood: a measure, or the logarithm of a measure and an offset, is
normal at any age; its mean is linear between the ages `AGES`, its SD between the ages `AGES_SD`. The offset gives the
law its skewness and is the likeliest of a few, both sexes together. Age is top-coded at 80: the likelihood of the
oldest is the mean over the ages that the population gives them. The correlation is that of standardised residuals.
Shares of `trabecula.phantom.health` are logistic fits in age, each sex alone, at 60 years with the odds ratio a decade.
The femoral neck is as likely with an offset of 0.1, 0.2 or 0.3 (2 units of ln L); 0.1 has the low tail of NHANES best.
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit
from statsmodels.genmod.families import Binomial
from statsmodels.genmod.generalized_linear_model import GLM

AGES = (20, 35, 50, 65, 80, 95)
AGES_SD = (20, 50, 70, 85)
MEASURES = {
    "height": ("WHD010", 2.54, (None,)),
    "bmi": ("BMXBMI", 1.0, (-11.0, -12.0, -13.0)),
    "femoral_neck": ("DXXNKBMD", 1.0, (0.1,)),
    "total_hip": ("DXXOFBMD", 1.0, (0.4, 1.0, 2.0)),
    "lumbar": ("DXXOSBMD", 1.0, (0.4, 0.8, 1.6)),
}
"""Column, what one of its units is in ours, and the offsets that are tried."""
SHARES = {
    "mother_hip_fracture": ("OSQ170", (1,)), "father_hip_fracture": ("OSQ200", (1,)), "ever_smoked": ("SMQ020", (1,)),
    "glucocorticoids": ("OSQ130", (1,)), "arthritis": ("MCQ160A", (1,)), "diabetes": ("DIQ010", (1,)),
    "heart_disease": ("MCQ160C", (1,)), "liver_disease": ("MCQ160L", (1,)), "alcohol_12_drinks": ("ALQ101", (1,)),
    "still smoking": ("SMQ040", (1, 2)),
}  # fmt: skip
"""Column and the answers that mean yes; 2 and 3 mean no where they do not."""
SEXES = {"women": 2, "men": 1}
OLDEST = 80 + 15 * (1 - np.sqrt((np.arange(7) + 0.5) / 7))


def respondents(path):
    rows = pd.read_csv(path)
    rows = rows[(rows["WTMEC2YR"] > 0) & (rows["RIDAGEYR"] >= 20)].reset_index(drop=True)
    rows["WHD010"] = rows["WHD010"].where(rows["WHD010"] < 7777)
    return rows


def hats(age, knots):
    return np.stack([np.interp(age, knots, row) for row in np.eye(len(knots))], axis=-1)


def fit(values, age, weight):
    """Return means at `AGES`, SDs at `AGES_SD`, and the negative log-likelihood."""
    laws = [(hats(one, AGES), hats(one, AGES_SD)) for one in (np.where(age >= 80, old, age) for old in OLDEST)]

    def cost(parameters):
        mean, ln_sd = parameters[: len(AGES)], parameters[len(AGES) :]
        each = [-0.5 * ((values - m @ mean) / np.exp(s @ ln_sd)) ** 2 - s @ ln_sd for m, s in laws]
        return -np.average(np.logaddexp.reduce(each), weights=weight)

    start = np.r_[np.full(len(AGES), values.mean()), np.full(len(AGES_SD), np.log(values.std()))]
    found = minimize(cost, start, method="L-BFGS-B", options={"maxiter": 4000, "maxfun": 400_000})
    return found.x[: len(AGES)], np.exp(found.x[len(AGES) :]), found.fun * len(values)


def fitted(rows, name, offset):
    """Return the table `[sex, ages and ages of SD]`, standardised residuals `[n]` and the negative log-likelihood."""
    column, unit, _ = MEASURES[name]
    raw = rows[column].to_numpy() * unit
    values = raw if offset is None else np.log(raw + offset)
    age, table, z, total = rows["RIDAGEYR"].to_numpy(), [], np.full(len(rows), np.nan), 0.0
    middle = np.where(age >= 80, OLDEST.mean(), age)
    for code in SEXES.values():
        mine = np.isfinite(values) & (rows["RIAGENDR"] == code).to_numpy()
        weight = rows["WTMEC2YR"].to_numpy()[mine]
        mean, sd, cost = fit(values[mine], age[mine], weight)
        stretch = 0.0 if offset is None else np.average(values[mine], weights=weight) * mine.sum()
        total += cost + stretch
        table.append([*mean, *sd])
        z[mine] = (values[mine] - hats(middle[mine], AGES) @ mean) / (hats(middle[mine], AGES_SD) @ sd)
    return np.array(table), z, total


def print_shares(rows):
    age = np.where(rows["RIDAGEYR"] >= 80, OLDEST.mean(), rows["RIDAGEYR"])
    fractures = rows[["OSQ010A", "OSQ010B", "OSQ010C"]]
    answers = {
        name: rows[column].isin(yes).where(rows[column].isin((1, 2, 3))).to_numpy(dtype=float)
        for name, (column, yes) in SHARES.items()
    }
    answers["previous_fracture"] = (
        (fractures == 1).any(axis=1).where(fractures.isin((1, 2)).all(axis=1)).to_numpy(dtype=float)
    )
    for name, answer in answers.items():
        thin = (0.75 - rows["DXXNKBMD"].to_numpy()) / 0.12 * (1 if name == "previous_fracture" else np.nan)
        known = [(age - 60) / 10] + ([thin] if np.isfinite(thin).any() else [])
        for sex, code in SEXES.items():
            mine = (rows["RIAGENDR"] == code).to_numpy() & np.isfinite([answer, *known]).all(axis=0)
            weight = rows["WTMEC2YR"][mine] / rows["WTMEC2YR"][mine].mean()
            design = np.stack([np.ones(mine.sum()), *(column[mine] for column in known)], axis=1)
            fit_ = GLM(answer[mine], design, family=Binomial(), freq_weights=weight).fit().params
            print(name, sex, f"{expit(fit_[0]):.3f}", "odds ratios", np.exp(fit_[1:]).round(2).tolist())


def main(path):
    rows = respondents(path)
    residuals = {}
    for name, (_, _, offsets) in MEASURES.items():
        tried = {offset: fitted(rows, name, offset) for offset in offsets}
        best = min(tried, key=lambda offset: tried[offset][2])
        print(name, {offset: round(found[2], 1) for offset, found in tried.items()}, "offset", best)
        print(tried[best][0].round(4).tolist())
        residuals[name] = tried[best][1]
    z = np.stack([residuals[name] for name in ("bmi", "femoral_neck", "total_hip", "lumbar")], axis=1)
    for name, code in SEXES.items():
        mine = (rows["RIAGENDR"] == code).to_numpy()
        decade, weight = np.minimum(rows["RIDAGEYR"][mine] // 10, 8), rows["WTMEC2YR"][mine]
        shares = [weight[decade == each].sum() / weight.sum() for each in range(2, 9)]
        print(name, f"{weight.sum():.0f}", "decades", np.round(shares, 4).tolist())
        whole = mine & np.isfinite(z).all(axis=1)
        covariance = np.cov(z[whole].T, aweights=rows["WTMEC2YR"][whole])
        spread = np.sqrt(np.diag(covariance))
        print("correlation of BMI and sites", (covariance / np.outer(spread, spread)).round(3).tolist())
    print_shares(rows)


if __name__ == "__main__":
    main(sys.argv[1])
