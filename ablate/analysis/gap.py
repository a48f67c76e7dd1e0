"""The generalisation gap: train minus test, both measured in inference mode.

The running training metric of `fit` has Dropout on and lags behind by half an epoch; what is used
here was evaluated after training, on the same weights as the test metric.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from ablate.analysis.descriptive import rounding, snapped, summarize
from ablate.analysis.effects import Comparison, Direction, Gap
from ablate.analysis.paired import Family, compare, correlate
from ablate.analysis.result_table import ResultTable
from ablate.study.metrics import bare


def gaps(
    outcomes: ResultTable,
    baseline: str,
    metric: str,
    direction: Direction,
    confidence: float,
    rng: np.random.Generator,
) -> list[Gap]:
    """Return each variant's gap of the headline metric and of the loss, as far as measured.

    The held-out part is the test data, else the validation data. A smaller gap is called better.
    Holm's families are those of the effects, for each of the two metrics anew.
    """
    found = []
    for name in dict.fromkeys([bare(metric), "loss"]):
        held_out: Literal["test", "val"] = "test" if f"test_{name}" in outcomes.metrics else "val"
        if not {f"train_{name}", f"{held_out}_{name}"} <= set(outcomes.metrics):
            continue
        pair = outcomes.values(f"train_{name}"), outcomes.values(f"{held_out}_{name}")
        way = direction if name == bare(metric) else (outcomes.direction(name) or "min")
        found += _gaps(outcomes, baseline, (name, held_out), pair, way, confidence, rng)
    return found


def _gaps(
    outcomes: ResultTable,
    baseline: str,
    what: tuple[str, Literal["test", "val"]],
    pair: tuple[np.ndarray, np.ndarray],
    direction: Direction,
    confidence: float,
    rng: np.random.Generator,
) -> list[Gap]:
    name, held_out = what
    noise = rounding(*pair)
    gap = snapped(pair[0] - pair[1], noise)
    summaries = summarize(gap, outcomes.seeds, confidence, noise)
    reference = [outcomes.column(baseline)]
    against: dict[str, Comparison] = {}
    for family, columns in outcomes.families(baseline).items():
        compared = compare(
            gap[:, columns] - gap[:, reference],
            seeds=outcomes.seeds,
            metric=f"gap_{name}" if held_out == "test" else f"gap_val_{name}",
            # Train above test is the usual sign where more is better, below it where less is.
            direction="min" if direction == "max" else "max",
            confidence=confidence,
            family=Family(f"gap in {name}: {family}", len(columns)),
            rng=rng,
            noise=noise[:, columns] + noise[:, reference],
            correlations=correlate(gap[:, reference], gap[:, columns]),
        )
        against |= zip((outcomes.names[column] for column in columns), compared, strict=True)
    return [
        Gap(
            variant=variant,
            metric=name,
            summary=summary,
            against=against.get(outcomes.source(variant)),
            held_out=held_out,
        )
        for variant, summary in zip(outcomes.names, summaries, strict=True)
        if summary.n
    ]
