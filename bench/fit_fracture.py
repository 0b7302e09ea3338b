"""How the calibrated numbers of `trabecula.phantom.fracture` were found: `python bench/fit_fracture.py`.

A million people are drawn; those from 50 on count. Bases are such that the mean hazard by age is the incidence planted.
Gradients per SD of strength are such that a regression on femoral-neck BMD alone returns the published ones: counts and
years under observation are expected ones, death and the end of follow-up included, and an exponential regression on
age, BMD and their product has its BMD term at 65 and its product set to what is published. `other` fracture has the
gradient that makes the first of any fracture come out as published. Prints the tables.
"""

from __future__ import annotations

import sys

import numpy as np

from trabecula.phantom import fracture
from trabecula.phantom.chance import Chance
from trabecula.phantom.people import draw_columns
from trabecula.phantom.population import usual_bmd

PEOPLE, BLOCK = 1_000_000, 50_000


def drawn(of):
    """Return sex, decades from 65, BMD, strength, end and ln hazards by cause without bone, of people from 50 on."""
    fracture._BASE = fracture.PER_SD = {of: dict.fromkeys(fracture.CAUSES, ((0.0, 0.0), (0.0, 0.0)))}
    blocks = []
    for start in range(0, PEOPLE, BLOCK):
        chance = Chance(1001, np.arange(start, start + BLOCK))
        people = draw_columns(chance, enriched=False, strength=of)
        bodies, strength = people.bodies, people.skeleton["strength"]
        rest = fracture.hazards(bodies, people.table, strength, (people.height_loss > 0).sum(axis=1), of=of)
        neck = (bodies.bmd[:, 0] - usual_bmd(bodies.sex, bodies.age)[:, 0]) / fracture.NECK_SD_G_CM2
        end = 10 - 7.5 * chance.uniform("follow_up") ** 2
        columns = [bodies.sex, (bodies.age - 65) / 10, neck, strength, end, *(np.log(rest[c]) for c in fracture.CAUSES)]
        blocks.append(np.stack(columns)[:, bodies.age >= 50])
    return np.concatenate(blocks, axis=1)


def regress(counts, years, rows):
    """Return the effects `[k]` of rows `[n, k]` in an exponential regression."""
    effects = np.r_[np.log(counts.sum() / years.sum()), np.zeros(rows.shape[1] - 1)]
    for _ in range(30):
        expected = years * np.exp(rows @ effects)
        step = np.linalg.solve(rows.T @ (rows * expected[:, None]), rows.T @ (counts - expected))
        effects = effects + step
    return effects


def shown(hazard, death, end, decades, neck):
    """Return ln of the gradient per SD of lower BMD at 65 and its change a decade, as a study would find them."""
    leaving = hazard + death
    years = -np.expm1(-leaving * end) / leaving
    rows = np.stack([np.ones_like(neck), decades, -neck, -neck * decades], axis=1)
    return regress(hazard * years, years, rows)[2:]


def solved(sex, columns):
    """Return by cause the base and gradient of one sex, each at 65 and per decade."""
    decades, neck, strength, end, *rests = columns
    rests = dict(zip(fracture.CAUSES, rests, strict=True))
    death = fracture._DEATH_AT_65[sex] * fracture._DEATH_PER_DECADE**decades
    gradient = {cause: np.array([0.5, 0.0]) for cause in fracture.CAUSES}
    time = np.stack([np.ones_like(decades), decades], axis=1)
    base, hazard = {}, {}
    for _ in range(12):
        for cause in fracture.CAUSES:
            free = np.exp(rests[cause] - (gradient[cause] @ time.T) * strength)
            level, ratio = fracture.INCIDENCE[cause][sex]
            base[cause] = np.log([level, ratio]) - regress(free, np.ones_like(free), time)
            hazard[cause] = free * np.exp(base[cause] @ time.T)
        for cause in ("hip", "vertebral"):
            goal = [np.log(fracture.GRADIENT[cause][sex]), fracture.LN_GRADIENT_PER_DECADE[cause]]
            gradient[cause] = gradient[cause] + goal - shown(hazard[cause], death, end, decades, neck)
        found = shown(sum(hazard.values()), death, end, decades, neck)
        gradient["other"][0] += np.log(fracture.GRADIENT["any"][sex]) - found[0]
    print(("women", "men")[sex], "any: ratio at 65 and change of its ln a decade", np.exp(found[0]), found[1])
    other = shown(hazard["other"], death, end, decades, neck)[0]
    print("ratio of other alone", np.exp(other))
    print("SD of strength", strength.std(), "correlation with neck", np.corrcoef(strength, neck)[0, 1])
    return base, gradient


def main():
    for of in sys.argv[1:] or ("bone", "bmd", "femur"):
        sex, *columns = drawn(of)
        both = [solved(each, [column[sex == each] for column in columns]) for each in (0, 1)]
        for place, name in enumerate(("_BASE", "PER_SD")):
            for cause in fracture.CAUSES:
                print(of, name, cause, tuple(tuple(each[place][cause].round(4).tolist()) for each in both))


if __name__ == "__main__":
    main()
