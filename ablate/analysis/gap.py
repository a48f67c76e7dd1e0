"""The generalisation gap: train minus test, both measured in inference mode.

The running training metric of `fit` has Dropout on and lags behind by half an epoch; what is used
here was evaluated after training, on the same weights as the test metric.
"""

from __future__ import annotations

from dataclasses import replace

from ablate.analysis import sentences
from ablate.analysis.context import AnalysisContext
from ablate.analysis.coverage import interval_for
from ablate.analysis.descriptive import rounding, snapped, summarize
from ablate.analysis.effects import Comparison, Gap, HeldOut
from ablate.analysis.paired import compare, correlate
from ablate.study.metrics import bare


def gaps(context: AnalysisContext) -> list[Gap]:
    """Return each variant's gap of the headline metric and of the loss, as far as measured.

    The held-out part is the test data, else the validation data. A smaller gap is called better.
    Holm's families are those of the effects, for each of the two metrics anew.
    """
    found = []
    for name in dict.fromkeys([bare(context.metric), "loss"]):
        held_out: HeldOut = "test" if f"test_{name}" in context.table.metrics else "val"
        if {f"train_{name}", f"{held_out}_{name}"} <= set(context.table.metrics):
            found += _gaps(context, name, held_out)
    return found


def _gaps(context: AnalysisContext, name: str, held_out: HeldOut) -> list[Gap]:
    table = context.table
    pair = table.values(f"train_{name}"), table.values(f"{held_out}_{name}")
    noise = rounding(*pair)
    gap = snapped(pair[0] - pair[1], noise)
    reference = [table.column(context.baseline)]
    larger = context.direction if name == bare(context.metric) else table.direction(name)
    against: dict[str, Comparison] = {}
    for family, columns in table.families(context.baseline).items():
        compared = compare(
            gap[:, columns] - gap[:, reference],
            context.family(
                f"gap in {name}: {family}",
                len(columns),
                f"gap_{name}" if held_out == "test" else f"gap_val_{name}",
                # Train above test is the usual sign where more is better, below it where less is.
                "min" if larger == "max" else "max",
            ),
            noise[:, columns] + noise[:, reference],
            correlate(gap[:, reference], gap[:, columns]),
        )
        for column, each in zip(columns, compared, strict=True):
            against[table.names[column]] = each
    rule = interval_for(table, context.reference, f"gap_{name}")
    summaries = summarize(gap, table.seeds, context.confidence, noise, error=rule.standard_error)
    return [
        Gap(variant, name, summary, _told(context, variant, against), held_out)
        for variant, summary in zip(table.names, summaries, strict=True)
        if summary.n
    ]


def _told(
    context: AnalysisContext, variant: str, against: dict[str, Comparison]
) -> Comparison | None:
    found = against.get(context.table.source(variant))
    if found is None:
        return None
    about = f"{variant} against {context.baseline}"
    words = sentences.sentence(found, about, context.confidence)
    return replace(found, words=words)
