"""Costs: parameters, training time, inference time, each with the spread that was measured.

Timings depend on the machine and on what else it did; they are given as median and quartiles, and
no test is made of them. Ratios are of medians, to the baseline.
"""

from __future__ import annotations

from dataclasses import replace

from ablate.analysis.context import AnalysisContext
from ablate.analysis.descriptive import spread
from ablate.analysis.effects import Cost, Spread
from ablate.analysis.result_table import ResultTable


def costs(context: AnalysisContext) -> list[Cost]:
    """Return the cost of each variant.

    Seconds per epoch are a trial's training seconds over its epochs, one per completed trial.
    Inference is seconds per 1000 examples, every timed repeat of every completed trial. The total
    counts all trials, failed ones too.
    """
    measured = [_cost(context.table, name) for name in context.table.names]
    base = measured[context.table.column(context.baseline)]
    return [
        replace(
            each,
            parameters_ratio=_ratio(each.parameters, base.parameters),
            seconds_per_epoch_ratio=_ratio(each.seconds_per_epoch, base.seconds_per_epoch),
            inference_ratio=_ratio(each.inference, base.inference),
        )
        for each in measured
    ]


def _cost(table: ResultTable, name: str) -> Cost:
    trials, done = table.of(name), table.completed(name)
    per_epoch = [
        each.seconds["train"] / each.epochs
        for each in done
        if each.epochs and each.seconds.get("train") is not None
    ]
    totals = [each.seconds["total"] for each in trials if each.seconds.get("total") is not None]
    return Cost(
        variant=name,
        parameters=next((e.parameters for e in trials if e.parameters is not None), None),
        seconds_per_epoch=spread(per_epoch),
        inference=spread([second for each in done for second in each.inference]),
        seconds=float(sum(totals)) if totals else None,
    )


def _ratio(own: Spread | int | None, base: Spread | int | None) -> float | None:
    """Return own over base, of medians where each is a spread."""
    above, below = (each.median if isinstance(each, Spread) else each for each in (own, base))
    return above / below if above is not None and below else None
