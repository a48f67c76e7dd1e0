"""The interval for new test rows: from what each trial keeps of its rows."""

from __future__ import annotations

import numpy as np
import pytest

from ablate.analysis import analyze
from ablate.analysis.crossed import by_group, crossed
from ablate.study.schema.analysis import Analysis as Settings
from tests.analysis.simulated import BN, arm, result

VARIANTS = [arm("plain"), arm("bn", insert=[BN])]
SEEDS, ROWS = 5, 60


@pytest.fixture
def tables():
    """What each trial got right, (seeds, rows), by variant."""
    rng = np.random.default_rng(0)
    hard = rng.normal(1.0, 1.0, ROWS)
    return {
        name: rng.normal(hard + shift, 1.0, (SEEDS, ROWS)) > 0
        for name, shift in {"plain": 0.0, "bn": 0.4}.items()
    }


def analysed(tables, *, kept=None, metric="test_accuracy", resolved=VARIANTS, groups=None, **more):
    """Analyse trials that scored these rows; `kept` are those whose rows are there."""
    trials = [
        result(
            name, seed, float(rows.mean()), row_metric=metric,
            rows={"train": 100, "validation": 20, "test": rows.shape[-1]},
        )
        for name, own in tables.items()
        for seed, rows in enumerate(own)
    ]  # fmt: skip
    arrays = {
        f"{name}-{seed}": {
            "rows/test": np.packbits(rows) if rows.dtype == bool else rows,
            **({} if groups is None else {"rows/groups": groups}),
        }
        for name, own in tables.items()
        for seed, rows in enumerate(own)
    }
    there = arrays if kept is None else {key: arrays[key] for key in kept}
    return analyze(trials, resolved, "plain", rows=lambda trial: there.get(trial, {}), **more)


def test_it_is_that_of_the_table_of_per_row_differences(tables):
    effect = analysed(tables).effect("bn")
    assert effect.crossed == crossed(tables["bn"].astype(float) - tables["plain"], 0.95)
    assert effect.crossed.rows == ROWS
    assert effect.crossed.mean == pytest.approx(effect.mean)
    assert "interval −5.1 to +19.8, on other test rows too −5.2 to +19.8, 5 seeds" in effect.words


def test_values_of_single_precision_are_taken_as_they_are(tables):
    losses = {name: own.astype(np.float32) * 0.5 for name, own in tables.items()}
    effect = analysed(losses).effect("bn")
    assert effect.crossed == crossed(losses["bn"].astype(float) - losses["plain"], 0.95)


def test_rows_of_a_group_are_averaged_first(tables):
    groups = (np.arange(ROWS) // 6).astype(np.int32)
    effect = analysed(tables, groups=groups).effect("bn")
    differences = by_group(tables["bn"].astype(float) - tables["plain"], groups)
    assert effect.crossed == crossed(differences, 0.95)
    assert effect.crossed.rows == 10


def test_only_the_headline_metric_has_rows(tables):
    found = analysed(tables)
    assert [each.metric for each in found.effects if each.crossed] == ["test_accuracy"]


@pytest.mark.parametrize(
    "missing",
    [
        {"kept": []},
        {"kept": [f"{name}-{seed}" for name in ("plain", "bn") for seed in range(4)]},
        {"metric": "test_loss"},
        {"metric": None},
        {"looks": "seeds were added"},
        {"planned": {"plain": 5, "bn": 6}},
        {"settings": Settings(metric="val_accuracy")},
        {"resolved": [arm(each.name, data={"split": "per_seed"}, insert=each.spec.insert)
                      for each in VARIANTS]},
    ],
    ids=["none", "of one seed", "other metric", "no metric", "looks", "interim", "validation",
         "redrawn"],
)  # fmt: skip
def test_there_is_none_without_the_same_rows_of_every_seed(tables, missing):
    assert analysed(tables, **missing).effect("bn").crossed is None


def test_a_verdict_that_other_rows_may_not_bear_is_warned_of():
    right = np.tile(np.arange(ROWS) % 3 > 0, (SEEDS, 1))  # wrong on rows 0, 3, 6, …
    better = right.copy()
    better[:, [0, 3]] = True  # the same two rows with every seed, and a third with some
    better[[0, 3], 6] = True
    found = analysed({"plain": right, "bn": better})
    (guard,) = (each for each in found.guards if each.kind == "other rows")
    assert found.effect("bn").verdict == "better"
    assert guard.severity == "warning" and guard.variants == ("bn",)
    assert "bn (" in guard.text


def test_there_is_none_under_three_seeds(tables):
    few = {name: own[:2] for name, own in tables.items()}
    assert analysed(few).effect("bn").crossed is None


def test_what_is_left_out_has_one_too(tables):
    less = arm("bn-less", origin="leave_one_out", left_out=("bn", "dense1"))
    found = analysed({**tables, "bn-less": tables["plain"]}, resolved=[*VARIANTS, less])
    (part,) = (each for each in found.contributions if each.metric == "test_accuracy")
    assert part.crossed == found.effect("bn").crossed
