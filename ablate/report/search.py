"""A search as a section: each variant's best point, the response to each parameter, the budget.

A `Searched` value (points with their scores, whatever proposed them) enters, a `Section` leaves:
tables, and the figures that `ablate.report.plots.search` draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ablate.analysis import Analysis
from ablate.analysis.search import Searched, Tolerated
from ablate.report import formatting
from ablate.report.document import Column, Section, Table
from ablate.report.report_data import ReportData
from ablate.report.tables import scale_of


def _titled(what: str, metric: str, scale: formatting.Scale) -> str:
    return scale.titled(f"{what} {formatting.metric_title(metric)}")


def section(searched: Searched) -> Section:
    """Return the search's part of the report."""
    from ablate.report.plots.search import plots

    return Section(
        "search",
        "Search",
        searched.text,
        tuple(search_tables(searched)),
        tuple(plots(searched)),
    )


def with_winners(report: ReportData, searched: Searched) -> ReportData:
    """Return the report on the winners of a search, which opens with them."""
    scores = [score for each in searched.points for score in each.scores]
    scale = formatting.metric_scale(searched.objective, scores, [])
    unit = f" {scale.unit}" if scale.unit else ""
    parts = []
    for variant in searched.variants:
        best = searched.best(variant)
        if best is None:
            parts.append(f"{variant} none, as every point was lost")
            continue
        parts.append(f"{variant} {point_words(best.values)} ({scale.value(best.score)}{unit})")
    winners = (
        f"Winners of the search by {formatting.metric_title(searched.objective)}: "
        f"{'; '.join(parts)}. These scores flatter, as they were chosen for them; below, the "
        "winners are compared on fresh seeds."
    )
    answer = (winners, *report.analysis.answer)
    return replace(report, analysis=replace(report.analysis, answer=answer))


def point_words(values: Mapping[str, Any]) -> str:
    """Return a point by its parameters: "learning_rate 0.03, batch_size 32"."""
    return ", ".join(f"{formatting.parameter(key)} {_value(each)}" for key, each in values.items())


def search_tables(searched: Searched) -> list[Table]:
    """Return the search's tables: best points, learning rates that work, importance."""
    tables = [best_points(searched)]
    if searched.tolerated is not None:
        tables.append(_rates(searched.tolerated))
    if searched.importance:
        tables.append(_importance(searched))
    return tables


def best_points(searched: Searched) -> Table:
    """Return the best point of each variant, its budget, and its confirmed metric."""
    names = list(dict.fromkeys(name for each in searched.points for name in each.values))
    scores = [score for each in searched.points for score in each.scores]
    scale = formatting.metric_scale(searched.objective, scores, [])
    analysis = searched.confirmed
    columns = [
        Column("Variant", "left"),
        Column("Points"),
        Column("Lost"),
        Column("Epochs trained", drop=3),
        *(
            Column(formatting.parameter(name), drop=4 if index else 0)
            for index, name in enumerate(names)
        ),
        Column(_titled("Best", searched.objective, scale)),
    ]
    final = None
    if analysis is not None:
        final = scale_of(analysis, analysis.metric)
        columns.append(Column(_titled("Confirmed", analysis.metric, final), "left"))
    rows = []
    for variant in searched.variants:
        points = searched.of(variant)
        best = searched.best(variant)
        row = [
            variant,
            str(len(points)),
            str(sum(bool(each.lost) for each in points)),
            formatting.whole(sum(each.epochs for each in points)),
            *(_value(None if best is None else best.values.get(name)) for name in names),
            scale.value(None if best is None else best.score),
        ]
        if analysis is not None and final is not None:
            row.append(_confirmed(analysis, variant, final))
        rows.append(tuple(row))
    return Table(
        "best-points",
        "The best point of each variant",
        tuple(columns),
        tuple(rows),
        (
            "Chosen on the objective alone, so the best score flatters; the confirmed metric is "
            "of fresh seeds that took no part in the choice."
            if analysis is not None
            else "Chosen on the objective alone, so the best score flatters.",
        ),
    )


def _rates(found: Tolerated) -> Table:
    """Return the range of learning rates that work: a row per variant, a column per seed."""
    effects = {each.variant: each for each in found.effects}
    rows = []
    for variant, each in found.ranges.items():
        effect = effects.get(variant)
        middle = [value for value in each.decades if np.isfinite(value)]
        rows.append((
            variant,
            *(
                f"{formatting.figures(low, 2)} to {formatting.figures(high, 2)}"
                if np.isfinite(low)
                else formatting.NONE
                for low, high in zip(each.low, each.high, strict=True)
            ),
            formatting.fixed(float(np.mean(middle)), 2) if middle else formatting.NONE,
            formatting.NONE if effect is None else formatting.signed(effect.mean, 2),
            formatting.NONE
            if effect is None or effect.low is None or effect.high is None
            else f"{formatting.signed(effect.low, 2)} to {formatting.signed(effect.high, 2)}",
        ))  # fmt: skip
    tried = [rate for rates in found.rates.values() for rate in rates]
    return Table(
        "learning-rates",
        "The range of learning rates that work",
        (
            Column("Variant", "left"),
            *(Column(f"Seed {seed}", drop=5) for seed in found.seeds),
            Column("Width (decades)"),
            Column("Difference"),
            Column(f"{formatting.percent(found.confidence)} interval", drop=2),
        ),
        tuple(rows),
        (
            "The unbroken run of rates around the best in which "
            f"{formatting.metric_title(found.metric)} stays within {found.tolerance * 100:g} "
            "point of each variant's own best, seed by seed; of the rates that were tried, "
            f"{formatting.figures(min(tried), 2)} to {formatting.figures(max(tried), 2)}. "
            "A lost trial ends the run. Differences are to the baseline, paired by seed.",
        ),
    )


def _importance(searched: Searched) -> Table:
    names = list(dict.fromkeys(name for each in searched.importance.values() for name in each))
    return Table(
        "importance",
        "Which parameter matters",
        (Column("Variant", "left"), *(Column(formatting.parameter(name)) for name in names)),
        tuple(
            (variant, *(formatting.fixed(shares.get(name), 2) for name in names))
            for variant, shares in searched.importance.items()
        ),
        (
            "Permutation importance on a random forest of the points: each parameter's share in "
            "explaining the order of their scores.",
        ),
    )


def _value(value: Any) -> str:
    if value is None:
        return formatting.NONE
    if isinstance(value, float):
        return formatting.figures(value, 3)
    return str(value)


def _confirmed(analysis: Analysis, variant: str, scale: formatting.Scale) -> str:
    try:
        summary = analysis.variant(variant).metrics[analysis.metric]
    except KeyError:
        return formatting.NONE
    if summary.mean is None:
        return formatting.NONE
    ends = "" if summary.low is None else f" ({scale.interval(summary.low, summary.high)})"
    return f"{scale.value(summary.mean)}{ends}, n = {summary.n}"
