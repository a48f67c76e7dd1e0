"""What is made of a search: ranges of learning rates, importance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ablate.analysis.search import SearchPoint
from ablate.search.importance import importance
from ablate.search.results import SearchResults
from ablate.search.search_table import Point
from ablate.search.summary_text import summarize, tolerances
from ablate.study.trial import TrialResult
from tests.search.small import RATE, study

RATES = (0.001, 0.01, 0.1, 1.0)
SEEDS = (10_000, 10_001, 10_002)


def results(accuracies, oracle="quasirandom"):
    """A search with (variant → rate → accuracy per seed); None is a diverged trial."""
    small = study(
        {"oracle": oracle, "objective": "val_accuracy", "seeds": 3, "confirm_seeds": 0},
        *accuracies,
    )
    points, trials = [], {}
    for variant, rows in accuracies.items():
        for at, (rate, values) in enumerate(rows.items()):
            ids = {seed: f"{variant}-{at}-{seed}" for seed in SEEDS}
            points.append(Point(variant, f"p{at:03d}", {RATE: rate}, ids))
            for seed, value in zip(SEEDS, values, strict=True):
                trials[ids[seed]] = TrialResult(
                    ids[seed], variant, seed, "diverged" if value is None else "completed",
                    metrics={} if value is None else {"val_accuracy": value}, epochs=2,
                )  # fmt: skip
    return SearchResults(small, small.resolved, tuple(points), trials)


PLAIN = {0.001: [0.5] * 3, 0.01: [0.895, 0.9, 0.895], 0.1: [0.9] * 3, 1.0: [None] * 3}
BN = {0.001: [0.90, 0.80, 0.90], 0.01: [0.91] * 3, 0.1: [0.91] * 3, 1.0: [0.905] * 3}


def test_the_range_of_rates_that_work_is_a_number_per_seed_with_a_paired_interval():
    found = tolerances(results({"plain": PLAIN, "bn": BN}))
    assert found.ranges["plain"].decades.tolist() == pytest.approx([1, 1, 1])
    assert found.ranges["bn"].decades.tolist() == pytest.approx([3, 2, 3])
    (effect,) = found.effects
    assert (effect.variant, effect.n, effect.mean) == ("bn", 3, pytest.approx(5 / 3))
    assert effect.low < 5 / 3 < effect.high
    assert found.words[0].startswith("bn ") and "decades" in found.words[0]


def test_a_point_within_the_noise_of_the_validation_rows_is_refused():
    def on(rows):
        found = results({"plain": PLAIN, "bn": BN})
        sized = {
            name: replace(each, rows={"validation": rows}) for name, each in found.results.items()
        }
        return replace(found, results=sized)

    assert tolerances(on(899)) is None  # the standard error of 90 % is a point at 900 rows
    assert tolerances(on(901)) is not None
    text = " ".join(summarize(on(300)).text)
    assert "300 validation rows have a sampling error of 1.7 points near 90 %" in text
    assert "so that a point is noise" not in " ".join(summarize(on(901)).text)


def test_ranges_of_other_rates_are_not_compared():
    other = {rate * 2: values for rate, values in BN.items()}
    found = tolerances(results({"plain": PLAIN, "bn": other}))
    assert set(found.ranges) == {"plain", "bn"}
    assert found.effects == ()


def test_without_a_share_nothing_is_said_of_points():
    made = results({"plain": PLAIN, "bn": BN})
    search = made.search.model_copy(update={"objective": "val_loss"})
    losses = {
        key: TrialResult(key, each.variant, each.seed, "completed", metrics={"val_loss": 1.0})
        for key, each in made.results.items()
    }
    small = made.study.model_copy(update={"search": search})
    assert tolerances(SearchResults(small, made.resolved, made.points, losses)) is None


def test_a_point_that_lost_a_seed_cannot_win():
    lossy = {0.1: [0.99, 0.99, None], 0.01: [0.8] * 3}
    made = results({"plain": lossy, "bn": BN})
    assert made.winner("plain").values == {RATE: 0.01}
    assert made.progress().rows[0].lost == 1


def test_only_full_training_wins_a_hyperband():
    made = results({"plain": {0.1: [0.9] * 3, 0.01: [0.8] * 3}, "bn": BN}, oracle="hyperband")
    short, full = (
        Point(p.variant, p.name, {**p.values, "train.epochs": epochs}, p.trials)
        for p, epochs in zip(made.of("plain"), (1, 2), strict=True)
    )
    points = (short, full, *made.of("bn"))
    assert SearchResults(made.study, made.resolved, points, made.results).winner("plain") is full


def scored(values, score):
    return SearchPoint("bn", values, () if score is None else (score,), int(score is None))


def test_importance_finds_the_parameter_that_decides():
    draw = np.random.default_rng(0)
    points = [
        scored({"a": float(a), "b": float(b), "c": "x" if c < 0.5 else "y"}, float(a))
        for a, b, c in draw.random((30, 3))
    ]
    found = importance([*points, scored({"a": 2.0, "b": 0.5, "c": "x"}, None)], "min")
    assert sum(found.values()) == pytest.approx(1)
    assert found["a"] > 0.8 > 0.2 > max(found["b"], found["c"])


def test_few_points_or_one_parameter_have_no_importance():
    assert importance([scored({"a": float(k), "b": 0.0}, float(k)) for k in range(5)], "max") == {}
    assert importance([scored({"a": float(k)}, float(k)) for k in range(20)], "max") == {}
