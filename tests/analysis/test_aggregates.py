"""The numbers that rliable 1.2 gives for the same scores."""

from __future__ import annotations

import numpy as np
import pytest

from ablate.analysis.aggregates import (
    bootstrap,
    interquartile_mean,
    performance_profile,
    probability_of_improvement,
)

#: (runs, data sets).
ONE = np.array([
    [0.68, 0.46, 0.32, 0.31], [0.79, 0.85, 0.66, 0.74], [0.63, 0.86, 0.79, 0.3],
    [0.81, 0.32, 0.74, 0.41], [0.82, 0.62, 0.48, 0.55],
])  # fmt: skip
OTHER = np.array([
    [0.69, 0.55, 0.31, 0.35], [0.86, 0.87, 0.64, 0.71], [0.63, 0.89, 0.76, 0.31],
    [0.82, 0.37, 0.77, 0.45], [0.81, 0.63, 0.54, 0.64],
])  # fmt: skip


def test_aggregates_are_those_of_rliable() -> None:
    levels = np.array([0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    assert interquartile_mean(ONE) == pytest.approx(0.635)
    assert interquartile_mean(OTHER) == pytest.approx(0.656)
    assert probability_of_improvement(OTHER, ONE) == pytest.approx(0.58)
    assert performance_profile(ONE, levels).tolist() == pytest.approx(
        [0.95, 0.8, 0.65, 0.6, 0.4, 0.2, 0.0]
    )


def test_intervals_are_those_of_rliable_but_for_the_draws() -> None:
    assert bootstrap(interquartile_mean, ONE) == pytest.approx((0.517, 0.73), abs=0.008)
    assert bootstrap(interquartile_mean, OTHER) == pytest.approx((0.553, 0.733), abs=0.008)
    improvement = bootstrap(probability_of_improvement, OTHER, ONE, draws=20_000)
    assert improvement == pytest.approx((0.395, 0.76), abs=0.011)


def test_a_tie_is_half_an_improvement() -> None:
    assert probability_of_improvement(ONE, ONE) == pytest.approx(0.5)
