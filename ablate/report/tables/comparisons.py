"""Paired comparisons beyond the headline: factors, contributions, evidence, published values."""

from __future__ import annotations

from ablate.analysis import Effect, Expectation, FactorEffect
from ablate.analysis.formatting import RATES
from ablate.analysis.opening import NEED_NOT_SUM
from ablate.report.document import Cells, Column, Table, tabulated
from ablate.report.formatting import (
    NONE,
    Scale,
    figures,
    fixed,
    metric_scale,
    metric_title,
    percent,
    probability,
    whole,
)
from ablate.report.report_data import ReportData
from ablate.report.tables.cells import (
    difference_cells,
    holm_words,
    interval_title,
    pairs_column,
    scale_of,
    share_text,
    variant_column,
    verdict_mark,
)


def factors(report: ReportData) -> Table | None:
    """Return main effects, trends, interactions and simple effects on the headline metric."""
    analysis = report.analysis
    rows = [each for each in analysis.factor_effects if each.metric == analysis.metric]
    rows.sort(key=lambda each: (each.order, each.trend is None, -abs(each.mean or 0.0)))
    rows += [each for each in analysis.simple_effects if each.metric == analysis.metric]
    average = "average" if analysis.simple_effects else "main effect"

    def kind(each: FactorEffect) -> str:
        if each.within:
            return "simple effect"
        if each.trend is not None:
            return "trend" if each.trend == "linear" else "trend (log)"
        return {1: average, 2: "interaction", 3: "three-way"}.get(each.order, "")

    def effect(each: FactorEffect) -> str:
        over = f" (over {', '.join(each.averaged_over)})" if each.averaged_over else ""
        return f"{each.name}{over}" if each.within else each.name

    notes = [
        "A main effect is the level against its factor's first, averaged over the others. An "
        "interaction is a difference of differences: zero when the factors add up. Intervals "
        f"are per effect{holm_words(rows)}."
    ]
    if any(each.trend is not None for each in rows):
        notes.append(
            "A trend is the change from the smallest level to the largest along a fitted line."
        )
    if analysis.simple_effects:
        notes.append(
            "Factors interact: an average may hold at no level. Simple effects are those at single "
            "levels; what they are still averaged over stands behind them."
        )
    return tabulated(
        "factors",
        f"Factors: effects on {metric_title(analysis.metric)}",
        rows,
        (
            (Column("Effect", "left"), effect),
            (Column("Kind", "left", drop=4), kind),
            pairs_column(),
            *difference_cells(analysis, scale_of(analysis, analysis.metric)),
        ),
        tuple(notes),
        mark=verdict_mark,
    )


def best(report: ReportData) -> Table | None:
    """Return which variants may be the best, with what each costs."""
    analysis = report.analysis
    found = analysis.best
    if found is None:
        return None
    scale = scale_of(analysis, found.metric)
    costs = {each.variant: each for each in analysis.costs}

    def milliseconds(name: str) -> str:
        time = costs[name].inference
        return NONE if time is None else figures(1000 * time.median, 3)

    return tabulated(
        "best",
        f"Which variant may be the best in {metric_title(found.metric)}",
        [*found.members, *found.ruled_out],
        (
            (Column("Variant", "left"), lambda name: name),
            (Column(scale.titled("Mean")), lambda name: scale.value(found.means[name])),
            (
                Column("May be the best", "left"),
                lambda name: "yes" if name in found.members else "ruled out",
            ),
            (Column("Parameters", drop=2), lambda name: whole(costs[name].parameters)),
            (Column("ms per 1000 examples", drop=3), milliseconds),
        ),
        (
            f"Sets made like this hold the best in {percent(analysis.confidence)} of studies. A "
            "variant is ruled out where another is ahead of it by a paired one-sided test, at a "
            f"level divided by the number of rivals, which asks less than a verdict on each pair. "
            f"Over the {found.n} seeds that all completed.",
        ),
    )


def pairs(report: ReportData) -> Table | None:
    """Return each variant against each, the largest differences first."""
    analysis = report.analysis
    return tabulated(
        "pairs",
        f"Every pair: differences in {metric_title(analysis.metric)}",
        sorted(analysis.pairs, key=lambda each: -abs(each.mean or 0.0)),
        (
            variant_column(),
            (Column("Against", "left"), lambda each: each.baseline),
            pairs_column(),
            *difference_cells(analysis, scale_of(analysis, analysis.metric)),
        ),
        (f"Paired by seed; intervals are per pair{holm_words(analysis.pairs)}.",),
        mark=verdict_mark,
        detail=True,
    )


def contributions(report: ReportData) -> Table | None:
    """Return what each part adds, the most helpful first."""
    analysis = report.analysis
    rows = [each for each in analysis.contributions if each.metric == analysis.metric]
    rows.sort(key=lambda each: (each.rank is None, each.rank))
    return tabulated(
        "contributions",
        f"What each part adds to {metric_title(analysis.metric)}",
        rows,
        (
            (Column("Rank"), lambda each: whole(each.rank)),
            (Column("Part", "left"), lambda each: each.what),
            (Column("Out of", "left", drop=4), lambda each: each.origin),
            pairs_column(),
            *difference_cells(analysis, scale_of(analysis, analysis.metric)),
        ),
        (
            "The whole minus the same without the part, seed by seed, whatever the baseline is. "
            f"{NEED_NOT_SUM} Intervals are per contribution{holm_words(rows)}.",
        ),
        mark=verdict_mark,
    )


def evidence(report: ReportData) -> Table | None:
    """Return what supports the intervals: effect size, pairing, power, sensitivity checks."""
    analysis = report.analysis
    rows = [
        each
        for each in analysis.effects
        if each.metric == analysis.metric and each.variant != analysis.baseline and each.n > 1
    ]
    scale = scale_of(analysis, analysis.metric)

    def detectable(each: Effect) -> str:
        if each.detectable is None:
            return NONE
        return f"{scale.value(each.detectable)} ({_ends(each, scale)})"

    def needed(each: Effect) -> str:
        if each.seeds_needed is None:
            return NONE
        least, most = whole(each.seeds_needed_low), whole(each.seeds_needed_high)
        return f"{each.seeds_needed} ({least} to {'any number' if most == NONE else most})"

    large: tuple[Cells, ...] = (
        (
            Column("BCa interval", drop=5),
            lambda each: scale.interval(each.bca_low, each.bca_high, sign=True),
        ),
        (
            Column("Share of seeds better", drop=5),
            lambda each: share_text(each.improvement, each.improvement_low, each.improvement_high),
        ),
    )
    margin: Cells = (
        (Column("Seeds for equivalence"), lambda each: whole(each.equivalence_seeds))
        if any(each.margin is not None for each in rows)
        else (
            Column(scale.difference_titled("Margin it could show")),
            lambda each: scale.value(each.margin_shown),
        )
    )
    return tabulated(
        "evidence",
        "How much this many seeds can tell",
        rows,
        (
            variant_column(),
            pairs_column("Pairs"),
            (Column("Cohen's d"), lambda each: figures(each.cohens_d, 2)),
            (Column("Correlation", drop=2), lambda each: fixed(each.correlation, 2)),
            (Column(scale.difference_titled("Smallest effect to find")), detectable),
            (Column("Seeds needed"), needed),
            margin,
            (Column("p (one test)", drop=3), lambda each: probability(each.p)),
            (Column("p (sign flip)", drop=4), lambda each: probability(each.sign_flip_p)),
            *(large if any(each.improvement is not None for each in rows) else ()),
        ),
        (
            "Correlation: what pairing by seed bought (near zero: nothing). Smallest effect to "
            "find: with 80 % power at the spread observed and at the level that the verdict uses. "
            "Seeds needed: for the observed effect, with the same power. In brackets the "
            f"{interval_title(analysis)}s: few seeds leave both uncertain. "
            + (
                "Seeds for equivalence: to show equal variants equivalent within the margin. "
                if margin[0].title == "Seeds for equivalence"
                else "Margin it could show: within which equal variants would be shown equivalent. "
            )
            + "A check that this n does not allow has a dash.",
        ),
        detail=True,
    )


def _ends(each: Effect, scale: Scale) -> str:
    low, high = each.detectable_low, each.detectable_high
    return f"{scale.value(low)} to {scale.value(high)}"


def expectations(report: ReportData) -> Table | None:
    """Return the published claims beside what was found."""
    analysis, rows = report.analysis, report.analysis.expectations
    return tabulated(
        "expectations",
        "Held against published values",
        rows,
        (
            (Column("Claim", "left"), _claim),
            (Column("Published", "left"), lambda each: _with_interval(each, "published")),
            (Column("Consistent within", "left", drop=3), _consistent_within),
            (Column("Here", "left"), lambda each: _with_interval(each, "ours")),
            (Column("Verdict", "left"), _verdict),
            (Column("Source", "left", drop=2), lambda each: each.source),
        ),
        (*(each.text for each in rows), CLAIMS_NOTE.format(level=percent(analysis.confidence))),
        mark=lambda each: {"consistent": "better", "inconsistent": "worse"}.get(each.verdict, ""),
    )


#: What must be known of every table of claims.
CLAIMS_NOTE = (
    "Each claim is judged at {level} for itself. What a result is consistent within (a margin "
    "around the published value, a range) was chosen by whoever wrote the study, not published."
)


def _claim(each: Expectation) -> str:
    of = f"{each.variant} against {each.than}" if each.than else each.variant
    return f"{each.claim.replace('_', ' ')}: {metric_title(each.metric)} of {of}"


def _verdict(each: Expectation) -> str:
    """Return the verdict with what makes it weak, why there is none, or what would decide."""
    behind = [each.reason] if each.reason else []
    if each.seeds_needed:
        unit = "trials" if each.claim == "collapse_rate" else "seeds"
        behind.append(f"{each.seeds_needed} {unit} would probably decide")
    if each.weak and each.verdict != "not judged":
        behind.append(f"weak: {each.weak}")
    return f"{each.verdict} ({'; '.join(behind)})" if behind else each.verdict


def _consistent_within(each: Expectation) -> str:
    """Return where a result is consistent: "96.3 to 98.3", "above 0"; a dash of rates' orders."""
    scale, low, high = _claim_scale(each), each.consistent_low, each.consistent_high
    if low is not None and high is not None:
        return scale.interval(low, high)
    if low is None and high is None:
        return NONE
    border = scale.value(low or high) if low or high else "0"
    return f"{'below' if low is None else 'above'} {border}"


def _with_interval(each: Expectation, side: str) -> str:
    """Return the value of one side ("published" or "ours") with its interval and n."""
    value, low, high, n = (getattr(each, side + end) for end in ("", "_low", "_high", "_n"))
    scale = _claim_scale(each)
    signed = side == "ours" and each.claim == "ordering" and each.metric not in RATES
    write = scale.difference if signed else scale.value
    parts = [write(value)] if value is not None else []
    if low is not None and high is not None:
        ends = scale.interval(low, high, sign=signed)
        parts.append(f"({ends})" if parts else ends)
    if n:
        parts.append(f"n = {n}")
    return " ".join(parts) or NONE


def _claim_scale(each: Expectation) -> Scale:
    """Return the scale of both sides of a claim; a ratio is no share."""
    known = (each.published, each.ours, each.ours_low, each.ours_high)
    wide = each.ours_high is not None and each.ours_low is not None
    return metric_scale(
        "ratio" if each.claim == "ratio" else each.metric,
        [value for value in known if value is not None],
        [(each.ours_high - each.ours_low) / 2] if wide else [],  # type: ignore[operator]
    )
