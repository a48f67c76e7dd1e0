"""Paired comparisons beyond the headline: factors, contributions, evidence, published values."""

from __future__ import annotations

from ablate.report import formatting
from ablate.report.document import Column, Table
from ablate.report.report_data import ReportData
from ablate.report.tables.table import (
    comparison_columns,
    difference_cells,
    holm_words,
    in_unit,
    mark,
    scale_of,
    share_text,
)


def factors(material: ReportData) -> Table | None:
    """Return main effects and interactions on the headline metric."""
    analysis = material.analysis
    rows = [each for each in analysis.factor_effects if each.metric == analysis.metric]
    if not rows:
        return None
    scale = scale_of(material, analysis.metric)
    kinds = {1: "main effect", 2: "interaction", 3: "three-way"}
    return Table(
        "factors",
        f"Factors: effects on {formatting.metric_title(analysis.metric)}",
        (
            Column("Effect", "left"),
            Column("Kind", "left", drop=4),
            *comparison_columns(material, scale),
        ),
        tuple(
            (each.name, kinds.get(each.order, ""), str(each.n), *difference_cells(each, scale))
            for each in rows
        ),
        (
            "A main effect is the level against its factor's first, averaged over the others. An "
            "interaction is a difference of differences: zero when the factors add up. Intervals "
            f"are per effect{holm_words(rows)}.",
        ),
        tuple(mark(False, each) for each in rows),
    )


def contributions(material: ReportData) -> Table | None:
    """Return what each part adds, the most helpful first."""
    analysis = material.analysis
    rows = [each for each in analysis.contributions if each.metric == analysis.metric]
    if not rows:
        return None
    rows.sort(key=lambda each: (each.rank is None, each.rank))
    scale = scale_of(material, analysis.metric)
    return Table(
        "contributions",
        f"What each part adds to {formatting.metric_title(analysis.metric)}",
        (
            Column("Rank"),
            Column("Part", "left"),
            Column("Out of", "left", drop=4),
            *comparison_columns(material, scale),
        ),
        tuple(
            (
                formatting.NONE if each.rank is None else str(each.rank),
                each.what,
                each.origin,
                str(each.n),
                *difference_cells(each, scale),
            )
            for each in rows
        ),
        (
            "The whole minus the same without the part, seed by seed, whatever the baseline is. "
            f"Intervals are per contribution{holm_words(rows)}.",
        ),
        tuple(mark(False, each) for each in rows),
    )


def evidence(material: ReportData) -> Table | None:
    """Return what stands beside the intervals: effect size, pairing, power, sensitivity checks."""
    analysis = material.analysis
    rows = [
        each
        for each in analysis.effects
        if each.metric == analysis.metric and each.variant != analysis.baseline and each.n > 1
    ]
    if not rows:
        return None
    scale = scale_of(material, analysis.metric)
    columns = [
        Column("Variant", "left"),
        Column("Pairs"),
        Column("Cohen's d"),
        Column("Correlation", drop=2),
        Column(f"Smallest effect to find{in_unit(scale.difference_unit)}"),
        Column("Seeds needed"),
        Column("p (t)", drop=3),
        Column("p (sign flip)", drop=4),
    ]
    large = any(each.improvement is not None for each in rows)
    if large:
        columns += [Column("BCa interval", drop=5), Column("Share of seeds better", drop=5)]
    cells = []
    for each in rows:
        row = [
            each.variant,
            str(each.n),
            formatting.figures(each.cohens_d, 2),
            formatting.fixed(each.correlation, 2),
            scale.value(each.detectable),
            formatting.whole(each.seeds_needed),
            formatting.probability(each.p),
            formatting.probability(each.sign_flip_p),
        ]
        if large:
            row.append(scale.interval(each.bca_low, each.bca_high, sign=True))
            row.append(share_text(each.improvement, each.improvement_low, each.improvement_high))
        cells.append(tuple(row))
    return Table(
        "evidence",
        "How much this many seeds can tell",
        tuple(columns),
        tuple(cells),
        (
            "Correlation: what pairing by seed bought (near zero: nothing). Smallest effect to "
            "find: with 80 % power at the spread observed. Seeds needed: for the observed effect, "
            "with the same power. A check that this n does not allow has a dash.",
        ),
    )


def expectations(material: ReportData) -> Table | None:
    """Return the published claims beside what was found."""
    rows = material.analysis.expectations
    if not rows:
        return None
    cells, marks = [], []
    for each in rows:
        known = (each.published, each.ours, each.ours_low, each.ours_high)
        values = [value for value in known if value is not None]
        scale = formatting.metric_scale(
            "ratio" if each.claim == "ratio" else each.metric, values, []
        )
        of = f"{each.variant} against {each.than}" if each.than else each.variant
        needed = f" ({each.seeds_needed} seeds would decide)" if each.seeds_needed else ""
        cells.append(
            (
                f"{each.claim.replace('_', ' ')}: {formatting.metric_title(each.metric)} of {of}",
                _with_interval(
                    scale,
                    each.published,
                    each.published_low,
                    each.published_high,
                    each.published_n,
                ),
                _with_interval(scale, each.ours, each.ours_low, each.ours_high, each.ours_n),
                each.verdict + needed,
                each.source,
            )
        )
        marks.append({"reproduced": "better", "refuted": "worse"}.get(each.verdict, ""))
    return Table(
        "expectations",
        "Held against published values",
        (
            Column("Claim", "left"),
            Column("Published", "left"),
            Column("Here", "left"),
            Column("Verdict", "left"),
            Column("Source", "left", drop=2),
        ),
        tuple(cells),
        tuple(each.text for each in rows if each.text),
        tuple(marks),
    )


def _with_interval(
    scale: formatting.Scale,
    value: float | None,
    low: float | None,
    high: float | None,
    n: int | None,
) -> str:
    parts = [scale.value(value)] if value is not None else []
    if low is not None and high is not None:
        ends = scale.interval(low, high)
        parts.append(f"({ends})" if parts else ends)
    if n:
        parts.append(f"n = {n}")
    return " ".join(parts) or formatting.NONE
