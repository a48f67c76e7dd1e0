"""The table every report opens with: failures before means, every seed, the difference."""

from __future__ import annotations

from ablate.analysis import MetricSummary, VariantSummary
from ablate.report import formatting
from ablate.report.document import Column, Table
from ablate.report.report_data import ReportData
from ablate.report.tables.table import (
    VERDICTS,
    difference_cells,
    holm_words,
    in_unit,
    mark,
    scale_of,
)

#: Seeds whose values stand in the headline table itself; more have a table of their own.
MOST_SEEDS_INLINE = 6
#: Names that leave room for the seeds beside them.
LONGEST_NAME = 24
#: Seeds of the table "Every seed".
MOST_SEEDS = 40


def headline(material: ReportData) -> Table:
    """Return the table every report opens with: failures, mean, seeds, difference, verdict."""
    analysis = material.analysis
    scale = scale_of(material, analysis.metric)
    level = formatting.percent(analysis.confidence)
    inline = seeds_inline(material)
    columns = [
        Column("Variant", "left"),
        Column("n"),
        Column("Lost", "left"),
        Column(f"Mean{in_unit(scale.unit)}"),
        Column("SD", drop=4),
    ]
    if inline:
        seed_names = " ".join(str(each) for each in analysis.seeds)
        columns.append(Column(f"Seed {seed_names}", "left", drop=6))
    columns += [
        Column(f"Difference{in_unit(scale.difference_unit)}"),
        Column(f"{level} interval", drop=2),
        Column("p (Holm)", drop=3),
        Column("Against baseline", "left", drop=5),
    ]
    everything = [
        scale.value(value)
        for each in analysis.variants
        for value in each.metrics.get(analysis.metric, MetricSummary()).values.values()
    ]
    widest = max(map(len, everything), default=1)
    compared_with = (analysis.baseline, *(each.baseline for each in analysis.effects))
    baselines = {analysis.source(each) for each in compared_with}
    rows, marks = [], []
    for name in material.order:
        variant = analysis.variant(name)
        summary = variant.metrics.get(analysis.metric, MetricSummary())
        effect = analysis.effect(name)
        row = [
            _variant_name(variant, analysis.baseline),
            _completed(variant),
            _lost(variant),
            scale.value(summary.mean),
            scale.value(summary.sd),
        ]
        if inline:
            values = [scale.value(summary.values.get(each)) for each in analysis.seeds]
            row.append("  ".join(f"{each:>{widest}}" for each in values))
        baseline = analysis.source(name) in baselines
        if baseline:
            row += ["", "", "", "baseline"]
        elif effect is None:
            row += [formatting.NONE, formatting.NONE, formatting.NONE, VERDICTS["missing"]]
        else:
            row += difference_cells(effect, scale)
        rows.append(tuple(row))
        marks.append(mark(baseline, effect, variant))
    better = "higher" if analysis.direction == "max" else "lower"
    title = f"{formatting.metric_title(analysis.metric).capitalize()} ({better} is better)"
    return Table(
        "headline", title, tuple(columns), tuple(rows), _headline_notes(material), tuple(marks)
    )


def seeds_inline(material: ReportData) -> bool:
    """Tell whether the headline table itself has the seeds: they are few, and names are short."""
    longest = max(map(len, material.order), default=0)
    return 0 < len(material.analysis.seeds) <= MOST_SEEDS_INLINE and longest <= LONGEST_NAME


def seeds(material: ReportData, *, always: bool = False) -> Table | None:
    """Return the headline metric of every seed, where the headline table has no room for them."""
    analysis = material.analysis
    if not analysis.seeds or (seeds_inline(material) and not always):
        return None
    scale = scale_of(material, analysis.metric)
    shown = analysis.seeds[:MOST_SEEDS]
    rows = []
    for name in material.order:
        values = analysis.variant(name).metrics.get(analysis.metric, MetricSummary()).values
        rows.append((name, *(scale.value(values.get(each)) for each in shown)))
    notes = ["A dash stands for a trial that is not completed."]
    if len(shown) < len(analysis.seeds):
        notes.append(
            f"The first {len(shown)} of {len(analysis.seeds)} seeds; results.csv has them all."
        )
    return Table(
        "seeds",
        f"{formatting.metric_title(analysis.metric).capitalize()}"
        f"{in_unit(scale.unit)} of every seed",
        (Column("Variant", "left"), *(Column(f"{each}") for each in shown)),
        tuple(rows),
        tuple(notes),
    )


def _variant_name(variant: VariantSummary, baseline: str) -> str:
    return f"{variant.name} (= {variant.alias_of})" if variant.alias_of else variant.name


def _completed(variant: VariantSummary) -> str:
    """Return how many trials completed, and of how many while some are still to come."""
    failures = variant.failures
    return f"{variant.n} of {failures.planned}" if failures.pending else str(variant.n)


def _lost(variant: VariantSummary) -> str:
    """Return "0", or how many of the trials were lost and how."""
    failures = variant.failures
    kinds = [
        f"{rate.count} {kind}"
        for kind, rate in (
            ("diverged", failures.diverged),
            ("failed", failures.failed),
            ("collapsed", failures.collapsed),
        )
        if rate.count
    ]
    return ", ".join(kinds) or "0"


def _headline_notes(material: ReportData) -> tuple[str, ...]:
    analysis = material.analysis
    notes = []
    if any(each.failures.lost.count for each in analysis.variants):
        notes.append("Means and differences are over the trials that completed.")
    effects = [each for each in analysis.effects if each.metric == analysis.metric]
    if any(each.low is not None for each in effects):
        notes.append(
            "Differences are paired by seed, variant minus baseline; intervals are per "
            f"comparison{holm_words(effects)}."
        )
    elif effects and any(each.n for each in effects):
        notes.append("Under three seeds there are no intervals and no tests: nothing is inferred.")
    return tuple(notes)
