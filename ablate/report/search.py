"""A search, told: the best point of each variant, the response to each parameter, the budget.

A `Searched` value (points with their scores, whatever proposed them) enters, a `Section` leaves:
tables, and the figures that `ablate.report.plots.search` draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ablate.analysis import Analysis, Direction, Effect, Tolerance
from ablate.report import formatting
from ablate.report.report_data import Section
from ablate.report.tables import Column, Table


@dataclass(frozen=True)
class SearchPoint:
    """One point of one variant: its parameters and what its seeds scored.

    `scores` has the objective of every seed that completed, `lost` counts the others.
    """

    variant: str
    values: Mapping[str, Any]
    scores: tuple[float, ...] = ()
    lost: int = 0
    epochs: int = 0  # trained, over all its seeds
    eligible: bool = True  # all its seeds have ended, after as many epochs as others: it may win

    @property
    def score(self) -> float | None:
        """The mean over the seeds; None unless every seed completed."""
        return None if self.lost or not self.scores else float(np.mean(self.scores))


@dataclass(frozen=True)
class Tolerated:
    """The learning rates within `tolerance` of each variant's own best, seed by seed.

    `rates` are those that were tried, `ranges` the result per variant (rows are `seeds`),
    `effects` the paired comparison of the widths with the baseline's.
    """

    metric: str
    tolerance: float
    seeds: tuple[int, ...]
    rates: Mapping[str, tuple[float, ...]]
    ranges: Mapping[str, Tolerance]
    effects: tuple[Effect, ...] = ()

    @property
    def words(self) -> list[str]:
        """The comparisons as sentences."""
        return [_sentence(each) for each in self.effects]

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON document."""
        return {
            "metric": self.metric,
            "tolerance": self.tolerance,
            "seeds": list(self.seeds),
            "ranges": {
                name: {key: _numbers(getattr(each, key)) for key in ("low", "high", "decades")}
                for name, each in self.ranges.items()
            },
            "effects": [
                {
                    "variant": each.variant, "baseline": each.baseline, "n": each.n,
                    "mean": each.mean, "low": each.low, "high": each.high, "p_holm": each.p_holm,
                    "verdict": each.verdict, "words": each.words,
                }
                for each in self.effects
            ],
        }  # fmt: skip


def _titled(what: str, metric: str, scale: formatting.Scale) -> str:
    unit = f" ({scale.unit})" if scale.unit else ""
    return f"{what} {formatting.metric_title(metric)}{unit}"


def _sentence(effect: Effect) -> str:
    words = effect.words
    if not words.startswith(effect.variant):  # a variant's name stays as it is written
        words = words[:1].upper() + words[1:]
    return f"{words}."


def _numbers(array: np.ndarray) -> list[float | None]:
    return [float(each) if np.isfinite(each) else None for each in array]


@dataclass(frozen=True)
class Searched:
    """All that a search found.

    `log` names the parameters that were sampled on a log scale; `confirmed` is the analysis of
    the winners on fresh seeds; `importance` a parameter's share in the spread, by variant;
    `text` whatever must be said of the budget and the oracle.
    """

    objective: str
    direction: Direction
    points: tuple[SearchPoint, ...]
    log: frozenset[str] = frozenset()
    confirmed: Analysis | None = None
    importance: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    text: tuple[str, ...] = ()
    tolerated: Tolerated | None = None

    @property
    def variants(self) -> tuple[str, ...]:
        """The variants in the order of their first points."""
        return tuple(dict.fromkeys(each.variant for each in self.points))

    def of(self, variant: str) -> list[SearchPoint]:
        """Return the points of a variant, in the order they were tried."""
        return [each for each in self.points if each.variant == variant]

    def best(self, variant: str) -> SearchPoint | None:
        """Return the best point of a variant on the objective, None if all were lost."""
        scored = [each for each in self.of(variant) if each.score is not None and each.eligible]
        if not scored:
            return None
        chosen = max if self.direction == "max" else min
        return chosen(scored, key=lambda each: each.score or 0.0)


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
        *(Column(short(name), drop=4 if index else 0) for index, name in enumerate(names)),
        Column(_titled("Best", searched.objective, scale)),
    ]
    final = None
    if analysis is not None:
        final = formatting.metric_scale(
            analysis.metric,
            [
                value
                for each in analysis.variants
                if analysis.metric in each.metrics
                for value in each.metrics[analysis.metric].values.values()
            ],
            [
                each.metrics[analysis.metric].sd
                for each in analysis.variants
                if analysis.metric in each.metrics
            ],
        )
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
            Column("Interval", drop=2),
        ),
        tuple(rows),
        (
            "The unbroken run of rates around the best in which "
            f"{formatting.metric_title(found.metric)} stays within {found.tolerance * 100:g} "
            "point of the best, seed by seed; of the rates that were tried, "
            f"{formatting.figures(min(tried), 2)} to {formatting.figures(max(tried), 2)}. "
            "A lost trial ends the run. Differences are to the baseline, paired by seed.",
        ),
    )


def _importance(searched: Searched) -> Table:
    names = list(dict.fromkeys(name for each in searched.importance.values() for name in each))
    return Table(
        "importance",
        "Which parameter matters",
        (Column("Variant", "left"), *(Column(short(name)) for name in names)),
        tuple(
            (variant, *(formatting.fixed(shares.get(name), 2) for name in names))
            for variant, shares in searched.importance.items()
        ),
        (
            "Permutation importance on a random forest of the points: each parameter's share in "
            "explaining the order of their scores.",
        ),
    )


def short(path: str) -> str:
    """Return a search path as a title: without its `train.` or `insert.`."""
    return path.removeprefix("train.").removeprefix("insert.")


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
