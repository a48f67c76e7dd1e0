"""What the study consists of and what became of it: variants, failures, environment."""

from __future__ import annotations

from collections.abc import Sequence

from ablate.analysis import Rate
from ablate.report import formatting
from ablate.report.document import Column, Table
from ablate.report.report_data import ReportData
from ablate.report.tables.table import share_text


def what_variants_are(material: ReportData) -> Table | None:
    """Return what each variant does to the base model, in words."""
    if not material.resolved:
        return None
    base = material.variant.get(material.analysis.baseline)
    rows = []
    for name in material.order:
        variant = material.variant.get(name)
        if variant is None:
            continue
        words = formatting.arm_words(variant, base)
        rows.append((name, f"the same as {variant.alias_of}" if variant.alias_of else words))
    return Table(
        "variants",
        "The variants",
        (Column("Variant", "left"), Column("What it is", "left")),
        tuple(rows),
    )


def failures(material: ReportData) -> Table | None:
    """Return what became of the trials, with rates and intervals, if any trial was lost."""
    variants = [material.analysis.variant(name) for name in material.order]
    if not any(each.failures.lost.count for each in variants):
        return None
    level = formatting.percent(material.analysis.confidence)
    rows = tuple(
        (
            each.name,
            str(each.failures.planned),
            str(each.failures.completed),
            _count(each.failures.diverged, each.failures.diverged_seeds),
            _count(each.failures.failed, each.failures.failed_seeds),
            # Where accuracy is not the metric nobody can say.
            _count(each.failures.collapsed, each.failures.collapsed_seeds)
            if each.failures.collapsed.of or not each.n
            else formatting.NONE,
            _rate(each.failures.lost),
            formatting.probability(each.failures.lost.p),
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
            "completed, but no better than the commonest class (or than analysis.collapse, where "
            "that is a number). Lost is any of the three; the interval is Wilson's, p is Fisher's "
            "exact test against the baseline.",
        ),
        tuple("lost" if each.failures.lost.count else "" for each in variants),
    )


def environment(material: ReportData) -> Table | None:
    """Return the machine and the versions; more than one value of a kind is a mix."""
    if not material.environment:
        return None
    return Table(
        "environment",
        "Environment",
        (Column("What", "left"), Column("Value", "left")),
        tuple(
            (key.replace("_", " "), formatting.listed(values, most=6))
            for key, values in material.environment.items()
        ),
    )


def _count(rate: Rate, which: Sequence[int]) -> str:
    if not rate.count:
        return "0"
    shown = ", ".join(map(str, which[:6])) + (", …" if len(which) > 6 else "")
    word = "seed" if len(which) == 1 else "seeds"
    return f"{rate.count} ({word} {shown})" if which else str(rate.count)


def _rate(rate: Rate) -> str:
    if rate.rate is None:
        return formatting.NONE
    return f"{rate.count} of {rate.of}: {share_text(rate.rate, rate.low, rate.high)}"
