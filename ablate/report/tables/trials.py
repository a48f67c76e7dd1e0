"""The study's trials: the table every report opens with, failures, seeds, variants, machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ablate.analysis import Comparison, MetricSummary, Rate, VariantSummary
from ablate.analysis.descriptions import variant_words
from ablate.analysis.descriptive import MINIMUM_SEEDS
from ablate.report.document import Cells, Column, Table, tabulated
from ablate.report.formatting import (
    NONE,
    listed,
    metric_title,
    probability,
)
from ablate.report.report_data import ReportData
from ablate.report.tables.cells import (
    VERDICTS,
    difference_cells,
    holm_words,
    interval_title,
    scale_of,
    share_text,
    verdict_mark,
)
from ablate.study.resolved import ResolvedVariant

#: Seeds whose values stand in the headline table itself; more have a table of their own.
MOST_SEEDS_INLINE = 6
#: Names that leave room for the seeds beside them.
LONGEST_NAME = 24
#: Seeds of the table "Every seed".
MOST_SEEDS = 40

_NAME: Cells = (Column("Variant", "left"), lambda each: each.name)


def headline(report: ReportData) -> Table:
    """Return the table every report opens with: failures, mean, seeds, difference, verdict."""
    analysis = report.analysis
    scale = scale_of(analysis, analysis.metric)
    compared_with = (analysis.baseline, *(each.baseline for each in analysis.effects))
    baselines = {analysis.source(each) for each in compared_with}

    def summary(each: VariantSummary) -> MetricSummary:
        return each.metrics.get(analysis.metric, MetricSummary())

    def is_baseline(each: VariantSummary) -> bool:
        return analysis.source(each.name) in baselines

    def compared(column: Column, write: Callable[[Comparison], str]) -> Cells:
        """Return a column of the comparison: empty for a baseline, a dash where there is none."""
        missing = VERDICTS["missing"] if column.align == "left" else NONE
        baseline = "baseline" if column.align == "left" else ""

        def cell(each: VariantSummary) -> str:
            effect = analysis.effect(each.name)
            if is_baseline(each):
                return baseline
            return missing if effect is None else write(effect)

        return column, cell

    def seed_values(each: VariantSummary) -> str:
        values = [scale.value(summary(each).values.get(seed)) for seed in analysis.seeds]
        return "  ".join(f"{value:>{widest}}" for value in values)

    def mark(each: VariantSummary) -> str:
        if is_baseline(each):
            return "baseline"
        return (
            "lost"
            if not each.n and each.failures.lost.count
            else verdict_mark(analysis.effect(each.name))
        )

    variants = [analysis.variant(name) for name in report.by_effect]
    everything = [
        scale.value(value) for each in variants for value in summary(each).values.values()
    ]
    widest = max(map(len, everything), default=1)
    inline: Cells = (Column(f"Seed {' '.join(map(str, analysis.seeds))}", "left", 7), seed_values)
    lost = any(each.failures.lost.count for each in variants)
    better = "higher" if analysis.direction == "max" else "lower"
    table = tabulated(
        "headline",
        f"{metric_title(analysis.metric).capitalize()} ({better} is better)",
        variants,
        (
            (Column("Variant", "left"), _variant_name),
            (Column("n", drop=4), _completed),
            (Column("Lost", "left", drop=0 if lost else 3), _lost),
            (Column(scale.titled("Mean")), lambda each: scale.value(summary(each).mean)),
            (Column("SD", drop=6), lambda each: scale.value(summary(each).sd)),
            *([inline] if seeds_inline(report) else []),
            *(
                compared(column, write)
                for column, write in difference_cells(analysis, scale, "Against baseline")
            ),
        ),
        _headline_notes(report),
        mark=mark,
    )
    assert table is not None
    return table


def seeds_inline(report: ReportData) -> bool:
    """Tell whether the headline table itself has the seeds: they are few, and names are short."""
    longest = max(map(len, report.order), default=0)
    return 0 < len(report.analysis.seeds) <= MOST_SEEDS_INLINE and longest <= LONGEST_NAME


def seeds(report: ReportData, *, always: bool = False) -> Table | None:
    """Return the headline metric of every seed, where the headline table has no room for them."""
    analysis = report.analysis
    if not analysis.seeds or (seeds_inline(report) and not always):
        return None
    scale = scale_of(analysis, analysis.metric)
    shown = analysis.seeds[:MOST_SEEDS]

    def column(seed: int) -> Cells:
        def cell(each: VariantSummary) -> str:
            summary = each.metrics.get(analysis.metric, MetricSummary())
            return scale.value(summary.values.get(seed))

        return Column(f"{seed}"), cell

    notes = ["A dash stands for a trial that is not completed."]
    if len(shown) < len(analysis.seeds):
        notes.append(
            f"The first {len(shown)} of {len(analysis.seeds)} seeds; results.csv has them all."
        )
    return tabulated(
        "seeds",
        f"{scale.titled(metric_title(analysis.metric).capitalize())} of every seed",
        [analysis.variant(name) for name in report.by_effect],
        (_NAME, *map(column, shown)),
        tuple(notes),
    )


def what_variants_are(report: ReportData) -> Table | None:
    """Return what each variant does to the base model, in words."""
    base = report.variant.get(report.analysis.baseline)

    def words(variant: ResolvedVariant) -> str:
        return (
            f"the same as {variant.alias_of}" if variant.alias_of else variant_words(variant, base)
        )

    return tabulated(
        "variants",
        "The variants",
        [report.variant[name] for name in report.order if name in report.variant],
        (_NAME, (Column("What it is", "left"), words)),
    )


def failures(report: ReportData) -> Table | None:
    """Return what became of the trials, with rates and intervals, if any trial was lost."""
    variants = [report.analysis.variant(name) for name in report.order]
    if not any(each.failures.lost.count for each in variants):
        return None
    return tabulated(
        "failures",
        "Failures",
        variants,
        (
            _NAME,
            (Column("Planned", drop=4), lambda each: str(each.failures.planned)),
            (Column("Completed"), lambda each: str(each.failures.completed)),
            (Column("Diverged", "left"), lambda each: _count(each, "diverged")),
            (Column("Failed", "left"), lambda each: _count(each, "failed")),
            (Column("Collapsed", "left"), _collapsed),
            (
                Column(f"Lost ({interval_title(report.analysis)})", "left"),
                lambda each: _rate(each.failures.lost),
            ),
            (Column("p (Fisher)", drop=3), lambda each: probability(each.failures.lost.p)),
        ),
        (
            "Diverged: a loss or weight became non-finite. Failed: ended in an error. Collapsed: "
            "completed, but a binomial test at 5 % does not tell its validation accuracy from "
            "always naming the commonest class (or it is no better than analysis.collapse, where "
            "that is a number). Lost is any of the three; the interval is Wilson's, p is Fisher's "
            "exact test against the baseline.",
        ),
        mark=lambda each: "lost" if each.failures.lost.count else "",
    )


def environment(report: ReportData) -> Table | None:
    """Return the machine and the versions; more than one value of a kind is a mix."""
    return tabulated(
        "environment",
        "Environment",
        list(report.environment.items()),
        (
            (Column("What", "left"), lambda each: each[0].replace("_", " ")),
            (Column("Value", "left"), lambda each: listed(each[1], most=6)),
        ),
    )


def _variant_name(variant: VariantSummary) -> str:
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


def _headline_notes(report: ReportData) -> tuple[str, ...]:
    analysis = report.analysis
    notes = []
    if any(each.failures.lost.count for each in analysis.variants):
        chance = any(each.failures.collapsed.count for each in analysis.variants)
        also = ", those that ended at chance among them" if chance else ""
        notes.append(f"Means and differences are over the trials that completed{also}.")
    effects = [each for each in analysis.effects if each.metric == analysis.metric]
    if any(each.low is not None for each in effects):
        notes.append(
            "Differences are paired by seed, variant minus baseline; intervals are per "
            f"comparison{holm_words(effects)}."
        )
    elif any(each.n >= MINIMUM_SEEDS and each.sd == 0 for each in effects):
        notes.append(
            "Differences are paired by seed, variant minus baseline. They are the same with every "
            "seed: without spread there are no intervals, and nothing is inferred."
        )
    elif 0 < max((each.n for each in effects), default=0) < MINIMUM_SEEDS:
        notes.append("Under three seeds there are no intervals and no tests: nothing is inferred.")
    elif any(each.n for each in effects):
        notes.append("An interval that holds at every look takes more seeds.")
    return tuple(notes)


def _collapsed(each: VariantSummary) -> str:
    """Return how many trials collapsed; where accuracy is not the metric nobody can say."""
    return _count(each, "collapsed") if each.failures.collapsed.of or not each.n else NONE


def _count(variant: VariantSummary, outcome: str) -> str:
    """Return how many trials ended so, and which: "2 (seeds 0, 3)"."""
    rate: Rate = getattr(variant.failures, outcome)
    which: Sequence[int] = getattr(variant.failures, f"{outcome}_seeds")
    if not rate.count:
        return "0"
    shown = ", ".join(map(str, which[:6])) + (", …" if len(which) > 6 else "")
    word = "seed" if len(which) == 1 else "seeds"
    return f"{rate.count} ({word} {shown})" if which else str(rate.count)


def _rate(rate: Rate) -> str:
    if rate.rate is None:
        return NONE
    return f"{rate.count} of {rate.of}: {share_text(rate.rate, rate.low, rate.high)}"
