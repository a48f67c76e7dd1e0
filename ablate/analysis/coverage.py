"""What an interval covers: which interval the study's rows call for, and the sentence that says so.

Both come from here, so that no sentence can promise what the numbers do not hold: rows that each
seed draws anew from one pool make overlapping splits, and are said to; rows that stay the same are
"these rows"; a look at the differences while seeds are added makes the intervals always valid.
"""

from __future__ import annotations

from collections.abc import Sequence

from ablate.analysis.anytime import FIRST_LOOK
from ablate.analysis.descriptive import MINIMUM_SEEDS
from ablate.analysis.formatting import listing
from ablate.analysis.intervals import FIXED, Interval
from ablate.analysis.result_table import ResultTable
from ablate.study.resolved import ResolvedVariant
from ablate.study.trial import TrialResult

#: The part of the data on which a metric with this prefix is measured.
_PARTS = {"test": "test", "val": "validation", "train": "training"}


def interval_for(
    table: ResultTable, variant: ResolvedVariant, metric: str, looks: str = ""
) -> Interval:
    """Return how intervals of differences in `metric` are made in this study.

    Args:
        table: the results, whose trials say how many rows they had and which were drawn anew.
        variant: the baseline.
        metric: with its split.
        looks: why the intervals have to hold however often one looks; empty where they need not.
    """
    part, rows, drawn = _part(metric), _rows(table, variant.name), _drawn(table, variant.name)
    # What is measured on training rows is measured on what the held-out rows leave.
    held_out = [part] if part != "training" else ["test", "validation"]
    for each in held_out:
        if rows.get("train") and rows.get(each) and redrawn(variant, each, drawn):
            return Interval("overlapping_splits", rows[each] / rows["train"])
    return Interval("always_valid") if looks else FIXED


def redrawn(variant: ResolvedVariant, part: str, drawn: Sequence[str] | None) -> bool:
    """Whether each seed draws rows of its own of `part`.

    Args:
        variant: the baseline.
        part: "test", "validation" or "training".
        drawn: the parts that the trials recorded as drawn anew; None where the records do not say.
    """
    if not variant.spec.data.redrawn:
        return False
    return drawn is None or {"training": "train"}.get(part, part) in drawn


def coverage(
    table: ResultTable,
    variant: ResolvedVariant,
    metric: str,
    seeds: int,
    looks: str = "",
    *,
    spread: bool = True,
) -> str:
    """Return the sentences that say what the intervals of differences in `metric` cover.

    Args:
        table: the results.
        variant: the baseline.
        metric: with its split.
        seeds: the most seeds that any comparison has.
        looks: as in `interval_for`.
        spread: whether any comparison varies between seeds.
    """
    rows, part = _rows(table, variant.name), _part(metric)
    return coverage_sentences(
        variant,
        held_out=part,
        rows=rows.get("train" if part == "training" else part),
        seeds=seeds,
        drawn=_drawn(table, variant.name),
        interval=interval_for(table, variant, metric, looks),
        looks=looks,
        spread=spread,
    )


def coverage_sentences(
    variant: ResolvedVariant,
    *,
    held_out: str,
    rows: int | None,
    seeds: int,
    drawn: Sequence[str] | None = None,
    interval: Interval = FIXED,
    looks: str = "",
    spread: bool = True,
) -> str:
    """Return what intervals on the trials of `variant`, the baseline, cover.

    Args:
        variant: the baseline.
        held_out: "test", "validation" or "training": where the headline metric is measured.
        rows: how many such rows there are, if known.
        seeds: the most seeds that any comparison has.
        drawn: the parts that `split: per_seed` draws anew; None where the records do not say.
        interval: how they are made.
        looks: why they hold however often one looks, if they do.
        spread: whether any comparison varies between seeds.
    """
    where = f"{rows} {held_out} rows" if rows else f"{held_out} rows"
    anew = redrawn(variant, held_out, drawn)
    on = f"on {where} drawn anew with every seed" if anew else f"on these {where}"
    if (shift := variant.spec.data.shift) is not None and held_out == "test":
        on += f" with shifted inputs ({shift.name} {shift.amount:g})"
    if anew and drawn is None:
        on += f", where the source has no {held_out} part of its own"
    least = FIRST_LOOK if interval.kind == "always_valid" else MINIMUM_SEEDS
    if seeds < least:
        why = f", as it holds at every look ({looks})" if least > MINIMUM_SEEDS else ""
        return f"Measured {on}, without an interval, which takes {least} seeds{why}."
    if not spread:
        return f"Measured {on}, without an interval, as no difference varies between seeds."
    varied = []
    if anew:
        varied.append("the split")
    elif variant.spec.data.redrawn and drawn:
        parts = ["training" if each == "train" else each for each in drawn]
        varied.append(f"the draw of {listing(parts)} rows")
    if weights_kept(variant):
        # The weights that come with the model are the same with every seed.
        varied += ["batch order", "Dropout", "inserted layers", "a new head"]
        kept = ", as the weights are kept"
    else:
        varied += ["initialization", "batch order"]
        kept = ""
    text = f"The intervals cover {listing(varied)}{kept}, {on}."
    if interval.kind == "overlapping_splits":
        text += " They are Nadeau and Bengio's, as the seeds' rows come from one pool and overlap."
        if looks:
            text += f" They do not allow for looks on the way: {looks}."
    if interval.kind == "always_valid":
        text += f" They hold however often one looks, and are wider for it: {looks}."
    return text


def weights_kept(variant: ResolvedVariant) -> bool:
    """Whether the base model keeps weights it came with: a file's, or those that are named."""
    model = variant.spec.model
    if model.file is not None:
        return model.weights != "fresh"
    return model.weights not in (None, "none", "fresh")


def _part(metric: str) -> str:
    """Return the part of the data that a metric is measured on, a gap's being the held-out one."""
    if metric.startswith(("probe/", "curve/")):
        return "training"
    return _PARTS.get(metric.removeprefix("gap_").split("_")[0], "test")


def _rows(table: ResultTable, baseline: str) -> dict[str, int]:
    return next((dict(each.rows) for each in _trials(table, baseline) if each.rows), {})


def _drawn(table: ResultTable, baseline: str) -> tuple[str, ...] | None:
    trials = _trials(table, baseline)
    return next((tuple(each.drawn) for each in trials if each.drawn is not None), None)


def _trials(table: ResultTable, baseline: str) -> list[TrialResult]:
    own = table.completed(baseline)
    return own or [each for each in table.trials.values() if each.status == "completed"]
