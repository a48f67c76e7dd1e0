"""Costs: parameters, training time, inference time, each with the spread that was measured.

Timings depend on the machine and on what else it did; they are told as median and quartiles, and
no test is made of them. Ratios are of medians, to the baseline.
"""

from __future__ import annotations

from dataclasses import replace

from ablate.analysis.descriptive import spread
from ablate.analysis.effects import Cost, Spread
from ablate.analysis.result_table import ResultTable


def costs(outcomes: ResultTable, baseline: str) -> list[Cost]:
    """Return the cost of each variant.

    Seconds per epoch are a trial's training seconds over its epochs, one per completed trial.
    Inference is seconds per 1000 examples, every timed repeat of every completed trial. The total
    counts all trials, failed ones too.
    """
    measured = [_cost(outcomes, name) for name in outcomes.names]
    reference = next((each for each in measured if each.variant == baseline), Cost(baseline))
    return [
        replace(
            each,
            parameters_ratio=_ratio(each.parameters, reference.parameters),
            seconds_per_epoch_ratio=_of_medians(
                each.seconds_per_epoch, reference.seconds_per_epoch
            ),
            inference_ratio=_of_medians(each.inference, reference.inference),
        )
        for each in measured
    ]


def _cost(outcomes: ResultTable, name: str) -> Cost:
    trials = outcomes.of(name)
    done = outcomes.completed(name)
    per_epoch = [
        each.seconds["train"] / each.epochs
        for each in done
        if each.epochs and each.seconds.get("train") is not None
    ]
    totals = [each.seconds["total"] for each in trials if each.seconds.get("total") is not None]
    counts = [each.parameters for each in trials if each.parameters is not None]
    return Cost(
        variant=name,
        parameters=counts[0] if counts else None,
        seconds_per_epoch=spread(per_epoch),
        inference=spread([second for each in done for second in each.inference]),
        seconds=float(sum(totals)) if totals else None,
    )


def _of_medians(own: Spread | None, reference: Spread | None) -> float | None:
    return _ratio(own.median, reference.median) if own and reference else None


def _ratio(own: float | None, reference: float | None) -> float | None:
    return own / reference if own is not None and reference else None
