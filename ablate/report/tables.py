"""The tables of a report, as plain text cells that every format lays out its own way.

An analysis enters; `Table` values leave. The headline table comes first and counts failures
before it gives a mean; the others (factors, contributions, costs, …) exist only where the study
has something for them. Numbers of one column have the same decimals. `tables` gives them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from ablate.analysis import Comparison, MetricSummary, Rate, Spread, VariantSummary
from ablate.report import wording
from ablate.report.material import Material

Align = Literal["left", "right"]

#: How a verdict is said in a cell.
VERDICTS = {
    "better": "better",
    "worse": "worse",
    "undecided": "not told apart",
    "described": "too few seeds",
    "missing": "no pairs",
}

#: Seeds whose values stand in the headline table itself; more have a table of their own.
MOST_SEEDS_INLINE = 6
#: Seeds of the table "Every seed".
MOST_SEEDS = 40


@dataclass(frozen=True)
class Column:
    """A column: its title, its side, and how early a narrow page drops it (0: never)."""

    title: str
    align: Align = "right"
    drop: int = 0


@dataclass(frozen=True)
class Table:
    """A titled table. `marks` says of each row "baseline", "better", "worse", "lost" or ""."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    marks: tuple[str, ...] = field(default=())

    def mark(self, row: int) -> str:
        """Return what is special about a row."""
        return self.marks[row] if row < len(self.marks) else ""


def tables(material: Material) -> list[Table]:
    """Return every table the study has something for, the headline first."""
    made = [
        headline(material),
        seeds(material),
        failures(material),
        factors(material),
        contributions(material),
        evidence(material),
        every_metric(material),
        gaps(material),
        speeds(material),
        costs(material),
        expectations(material),
    ]
    return [each for each in made if each is not None]


def scale_of(material: Material, metric: str) -> wording.Scale:
    """Return the scale in which every table and plot of the study writes `metric`."""
    summaries = [each.metrics.get(metric) for each in material.analysis.variants]
    kept = [each for each in summaries if each is not None]
    return wording.metric_scale(
        metric,
        [value for each in kept for value in each.values.values()],
        [each.sd for each in kept],
    )


def headline(material: Material) -> Table:
    """Return the table every report opens with: failures, mean, seeds, difference, verdict."""
    analysis = material.analysis
    scale = scale_of(material, analysis.metric)
    level = wording.percent(analysis.confidence)
    inline = 0 < len(analysis.seeds) <= MOST_SEEDS_INLINE
    columns = [
        Column("Variant", "left"),
        Column("n"),
        Column("Lost", "left"),
        Column(f"Mean{_in(scale.unit)}"),
        Column("SD", drop=4),
    ]
    if inline:
        seed_names = " ".join(str(each) for each in analysis.seeds)
        columns.append(Column(f"Seed {seed_names}", "left", drop=6))
    columns += [
        Column(f"Difference{_in(scale.difference_unit)}"),
        Column(f"{level} interval", drop=2),
        Column("p (Holm)", drop=3),
        Column("Against baseline", "left", drop=5),
    ]
    rows, marks = [], []
    for name in material.order:
        variant = analysis.variant(name)
        summary = variant.metrics.get(analysis.metric, MetricSummary())
        effect = analysis.effect(name)
        row = [
            _variant_name(variant, analysis.baseline),
            str(variant.n),
            _lost(variant),
            scale.value(summary.mean),
            scale.value(summary.sd),
        ]
        if inline:
            row.append("  ".join(scale.value(summary.values.get(each)) for each in analysis.seeds))
        if name == analysis.baseline:
            row += ["", "", "", "baseline"]
        elif effect is None:
            row += [wording.NONE, wording.NONE, wording.NONE, VERDICTS["missing"]]
        else:
            row += _difference(effect, scale)
        rows.append(tuple(row))
        marks.append(_mark(name == analysis.baseline, effect, variant))
    better = "higher" if analysis.direction == "max" else "lower"
    title = f"{wording.metric_title(analysis.metric).capitalize()} ({better} is better)"
    return Table(
        "headline", title, tuple(columns), tuple(rows), _headline_notes(material), tuple(marks)
    )


def seeds(material: Material) -> Table | None:
    """Return the headline metric of every seed, where the headline table has no room for them."""
    analysis = material.analysis
    if len(analysis.seeds) <= MOST_SEEDS_INLINE:
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
        f"{wording.metric_title(analysis.metric).capitalize()}{_in(scale.unit)} of every seed",
        (Column("Variant", "left"), *(Column(f"{each}") for each in shown)),
        tuple(rows),
        tuple(notes),
    )


def failures(material: Material) -> Table | None:
    """Return what became of the trials, with rates and intervals, if any trial was lost."""
    variants = [material.analysis.variant(name) for name in material.order]
    if not any(each.failures.lost.count for each in variants):
        return None
    level = wording.percent(material.analysis.confidence)
    rows = tuple(
        (
            each.name,
            str(each.failures.planned),
            str(each.failures.completed),
            _count(each.failures.diverged, each.failures.diverged_seeds),
            _count(each.failures.failed, each.failures.failed_seeds),
            _count(each.failures.collapsed, each.failures.collapsed_seeds),
            _rate(each.failures.lost),
            wording.probability(each.failures.lost.p),
        )
        for each in variants
    )
    return Table(
        "failures",
        "Failures",
        (
            Column("Variant", "left"),
            Column("Planned", drop=4),
            Column("Completed"),
            Column("Diverged", "left"),
            Column("Failed", "left"),
            Column("Collapsed", "left"),
            Column(f"Lost ({level} interval)", "left"),
            Column("p (Fisher)", drop=3),
        ),
        rows,
        (
            "Diverged: a loss or weight became non-finite. Failed: ended in an error. Collapsed: "
            "completed, but no better than the commonest class. Lost is any of the three; the "
            "interval is Wilson's, p is Fisher's exact test against the baseline.",
        ),
        tuple("lost" if each.failures.lost.count else "" for each in variants),
    )


def factors(material: Material) -> Table | None:
    """Return main effects and interactions on the headline metric."""
    analysis = material.analysis
    rows = [each for each in analysis.factor_effects if each.metric == analysis.metric]
    if not rows:
        return None
    scale = scale_of(material, analysis.metric)
    kinds = {1: "main effect", 2: "interaction", 3: "three-way"}
    return Table(
        "factors",
        f"Factors: effects on {wording.metric_title(analysis.metric)}",
        (
            Column("Effect", "left"),
            Column("Kind", "left", drop=4),
            *_comparison_columns(material, scale),
        ),
        tuple(
            (each.name, kinds.get(each.order, ""), str(each.n), *_difference(each, scale))
            for each in rows
        ),
        (
            "A main effect is the level against its factor's first, averaged over the others. An "
            "interaction is a difference of differences: zero when the factors add up.",
        ),
        tuple(_mark(False, each) for each in rows),
    )


def contributions(material: Material) -> Table | None:
    """Return what each part adds, the most helpful first."""
    analysis = material.analysis
    rows = [each for each in analysis.contributions if each.metric == analysis.metric]
    if not rows:
        return None
    rows.sort(key=lambda each: (each.rank is None, each.rank))
    scale = scale_of(material, analysis.metric)
    return Table(
        "contributions",
        f"What each part adds to {wording.metric_title(analysis.metric)}",
        (
            Column("Rank"),
            Column("Part", "left"),
            Column("Out of", "left", drop=4),
            *_comparison_columns(material, scale),
        ),
        tuple(
            (
                wording.NONE if each.rank is None else str(each.rank),
                each.what,
                each.origin,
                str(each.n),
                *_difference(each, scale),
            )
            for each in rows
        ),
        ("The whole minus the same without the part, seed by seed, whatever the baseline is.",),
        tuple(_mark(False, each) for each in rows),
    )


def evidence(material: Material) -> Table | None:
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
        Column(f"Smallest effect to find{_in(scale.difference_unit)}"),
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
            wording.figures(each.cohens_d, 2),
            wording.fixed(each.correlation, 2),
            scale.value(each.detectable),
            wording.whole(each.seeds_needed),
            wording.probability(each.p),
            wording.probability(each.sign_flip_p),
        ]
        if large:
            row.append(scale.interval(each.bca_low, each.bca_high, sign=True))
            row.append(_share_text(each.improvement, each.improvement_low, each.improvement_high))
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


def every_metric(material: Material) -> Table | None:
    """Return mean and standard deviation of every final metric."""
    variants = [material.analysis.variant(name) for name in material.order]
    names = list(dict.fromkeys(name for each in variants for name in each.metrics))
    if not names or not any(each.n for each in variants):
        return None
    scales = {name: scale_of(material, name) for name in names}
    rows = []
    for each in variants:
        cells = [each.name]
        for name in names:
            summary = each.metrics.get(name, MetricSummary())
            spread = "" if summary.sd is None else f" ± {scales[name].value(summary.sd)}"
            cells.append(f"{scales[name].value(summary.mean)}{spread}")
        rows.append(tuple(cells))
    return Table(
        "metrics",
        "Every metric",
        (
            Column("Variant", "left"),
            *(
                Column(
                    wording.metric_title(name).capitalize() + _in(scales[name].unit), drop=1 + place
                )
                for place, name in enumerate(names)
            ),
        ),
        tuple(rows),
        ("Mean ± standard deviation over the completed trials, all in inference mode.",),
    )


def gaps(material: Material) -> Table | None:
    """Return the generalisation gaps and how they differ from the baseline's."""
    analysis = material.analysis
    rows = [each for each in analysis.gaps if each.summary.n]
    if not rows:
        return None
    level = wording.percent(analysis.confidence)
    cells, marks = [], []
    for each in rows:
        factor = scale_of(material, f"test_{each.metric}")
        against = each.against
        cells.append(
            (
                each.variant,
                each.metric.replace("_", " ") + _in(factor.difference_unit),
                factor.difference(each.summary.mean),
                factor.interval(each.summary.low, each.summary.high, sign=True),
                factor.difference(None if against is None else against.mean),
                wording.NONE
                if against is None
                else factor.interval(against.low, against.high, sign=True),
            )
        )
        marks.append("baseline" if each.variant == analysis.baseline else "")
    return Table(
        "gaps",
        "Generalisation gap: training minus test",
        (
            Column("Variant", "left"),
            Column("Metric", "left"),
            Column("Gap"),
            Column(f"{level} interval", drop=2),
            Column("Against baseline"),
            Column(f"{level} interval", drop=3),
        ),
        tuple(cells),
        ("Both sides in inference mode, on the weights training ended with.",),
        tuple(marks),
    )


def speeds(material: Material) -> Table | None:
    """Return how long each variant takes to reach the target."""
    rows = [each for each in material.analysis.speeds if each.n]
    if not rows:
        return None
    kind = rows[0].target_kind
    curve = rows[0].curve
    scale = wording.metric_scale(curve, [each.target for each in rows if each.target], [])
    target = f"{scale.value(rows[0].target)}{f' {scale.unit}' if scale.unit else ''}"
    what = (
        f"{wording.metric_title(curve)} of {target}"
        if kind == "given"
        else f"the baseline's final {wording.metric_title(curve)} ({target} on average, per seed)"
    )
    return Table(
        "speeds",
        "Learning speed",
        (
            Column("Variant", "left"),
            Column("Seeds that reach it"),
            Column("Epochs (median)"),
            Column("Steps (median)"),
            Column("Times the baseline's speed"),
        ),
        tuple(
            (
                each.variant,
                f"{each.reached} of {each.n}",
                wording.figures(each.median_epochs, 3),
                wording.NONE if each.median_steps is None else f"{each.median_steps:,.0f}",
                wording.NONE if each.speedup is None else f"{wording.figures(each.speedup, 2)}×",
            )
            for each in rows
        ),
        (f"Until {what} is first reached. A seed that never does counts as never.",),
    )


def costs(material: Material) -> Table | None:
    """Return parameters, training time and inference time."""
    rows = [each for each in material.analysis.costs if each.parameters or each.seconds]
    if not rows:
        return None
    return Table(
        "costs",
        "Costs",
        (
            Column("Variant", "left"),
            Column("Parameters"),
            Column("×", drop=5),
            Column("Per epoch"),
            Column("Quartiles", drop=3),
            Column("×", drop=5),
            Column("Inference, 1000 examples"),
            Column("Quartiles", drop=3),
            Column("×", drop=5),
            Column("All trials", drop=4),
        ),
        tuple(
            (
                each.variant,
                wording.whole(each.parameters),
                _ratio(each.parameters_ratio),
                *_spread(each.seconds_per_epoch),
                _ratio(each.seconds_per_epoch_ratio),
                *_spread(each.inference),
                _ratio(each.inference_ratio),
                wording.duration(each.seconds),
            )
            for each in rows
        ),
        ("× is the ratio to the baseline. Times are medians, under the load there was.",),
    )


def expectations(material: Material) -> Table | None:
    """Return the published claims beside what was found."""
    rows = material.analysis.expectations
    if not rows:
        return None
    cells, marks = [], []
    for each in rows:
        values = [value for value in (each.published, each.ours) if value is not None]
        scale = wording.metric_scale(each.metric, values, [])
        of = f"{each.variant} against {each.than}" if each.than else each.variant
        needed = f" ({each.seeds_needed} seeds would decide)" if each.seeds_needed else ""
        cells.append(
            (
                f"{each.claim.replace('_', ' ')}: {wording.metric_title(each.metric)} of {of}",
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
        (),
        tuple(marks),
    )


def what_variants_are(material: Material) -> Table | None:
    """Return what each variant does to the base model, in words."""
    if not material.arms:
        return None
    base = material.arm.get(material.analysis.baseline)
    rows = []
    for name in material.order:
        arm = material.arm.get(name)
        if arm is None:
            continue
        words = wording.arm_words(arm, base)
        rows.append((name, f"the same as {arm.alias_of}" if arm.alias_of else words))
    return Table(
        "variants",
        "The variants",
        (Column("Variant", "left"), Column("What it is", "left")),
        tuple(rows),
    )


def environment(material: Material) -> Table | None:
    """Return the machine and the versions; more than one value of a kind is a mix."""
    if not material.environment:
        return None
    return Table(
        "environment",
        "Environment",
        (Column("What", "left"), Column("Value", "left")),
        tuple(
            (key.replace("_", " "), wording.listed(values, most=6))
            for key, values in material.environment.items()
        ),
    )


def _in(unit: str) -> str:
    return f" ({unit})" if unit else ""


def _comparison_columns(material: Material, scale: wording.Scale) -> tuple[Column, ...]:
    level = wording.percent(material.analysis.confidence)
    return (
        Column("n"),
        Column(f"Difference{_in(scale.difference_unit)}"),
        Column(f"{level} interval", drop=2),
        Column("p (Holm)", drop=3),
        Column("Verdict", "left", drop=5),
    )


def _difference(effect: Comparison, scale: wording.Scale) -> list[str]:
    """Return the cells mean, interval, p and verdict of a comparison."""
    return [
        scale.difference(effect.mean),
        scale.interval(effect.low, effect.high, sign=True),
        wording.probability(effect.p_holm),
        VERDICTS[effect.verdict],
    ]


def _variant_name(variant: VariantSummary, baseline: str) -> str:
    return f"{variant.name} (= {variant.alias_of})" if variant.alias_of else variant.name


def _lost(variant: VariantSummary) -> str:
    """Return "0", or how many of the trials were lost and how; pending ones are said too."""
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
    if failures.pending:
        kinds.append(f"{failures.pending} to come")
    return ", ".join(kinds) or "0"


def _mark(baseline: bool, effect: Comparison | None, variant: VariantSummary | None = None) -> str:
    if baseline:
        return "baseline"
    if variant is not None and not variant.n and variant.failures.lost.count:
        return "lost"
    if effect is not None and effect.verdict in ("better", "worse"):
        return effect.verdict
    return ""


def _headline_notes(material: Material) -> tuple[str, ...]:
    analysis = material.analysis
    notes = []
    if any(each.failures.lost.count for each in analysis.variants):
        notes.append("Means and differences are over the trials that completed.")
    effects = [each for each in analysis.effects if each.metric == analysis.metric]
    if any(each.low is not None for each in effects):
        family = max((each.family_size for each in effects), default=0)
        notes.append(
            "Differences are paired by seed, variant minus baseline; intervals are per comparison"
            + (f", p is Holm's over {family} comparisons." if family > 1 else ".")
        )
    elif effects and any(each.n for each in effects):
        notes.append("Under three seeds there are no intervals and no tests: nothing is inferred.")
    return tuple(notes)


def _count(rate: Rate, which: Sequence[int]) -> str:
    if not rate.count:
        return "0"
    shown = ", ".join(map(str, which[:6])) + (", …" if len(which) > 6 else "")
    word = "seed" if len(which) == 1 else "seeds"
    return f"{rate.count} ({word} {shown})" if which else str(rate.count)


def _rate(rate: Rate) -> str:
    if rate.rate is None:
        return wording.NONE
    return f"{rate.count} of {rate.of}: {_share_text(rate.rate, rate.low, rate.high)}"


def _share_text(share: float | None, low: float | None, high: float | None) -> str:
    if share is None:
        return wording.NONE
    ends = "" if low is None or high is None else f" ({low * 100:.0f} to {high * 100:.0f})"
    return f"{share * 100:.0f} %{ends}"


def _ratio(ratio: float | None) -> str:
    return wording.NONE if ratio is None else f"{wording.figures(ratio, 3)}"


def _spread(spread: Spread | None) -> tuple[str, str]:
    if spread is None:
        return wording.NONE, wording.NONE
    return (
        wording.duration(spread.median),
        f"{wording.duration(spread.low)} to {wording.duration(spread.high)}",
    )


def _with_interval(
    scale: wording.Scale,
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
    return " ".join(parts) or wording.NONE
