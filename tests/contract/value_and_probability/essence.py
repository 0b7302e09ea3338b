"""What makes this system itself: two answers that move together with one attenuation."""

from dataclasses import replace

from trabecula.prediction import score


def essence(system, cases):
    """Less attenuation is a lower T-score and a higher probability."""
    model = system.fit(cases)
    for case in cases[:5]:
        dense, thin = (replace(case, table={**case.table, "mean_hu": hu}) for hu in (220.0, 60.0))
        above, below = model.predict([dense, thin])
        assert score(below["t_score_lowest"]) < score(above["t_score_lowest"]), "the T-score ignores attenuation"
        assert score(below["osteoporosis_dxa"]) > score(above["osteoporosis_dxa"]), "the class ignores attenuation"
