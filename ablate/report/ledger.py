"""A ledger as a section of the report: what each source of chance accounts for, and a picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from ablate.analysis.formatting import amount, level
from ablate.analysis.ledger import Ledger, Part, Source
from ablate.report import formatting
from ablate.report.document import Column, Plot, Section, Table
from ablate.report.formatting import Scale, metric_scale, metric_title
from ablate.study.ledger import SOURCES


def section(found: Ledger) -> Section:
    """Return the ledger's part of the report."""
    from ablate.report.plots.theme import drawn

    return Section(
        "ledger",
        "Where the spread comes from",
        tuple(sentences(found)),
        (table(found),),
        tuple(drawn(_plots)(found)),
    )


def document(found: Ledger) -> dict[str, Any]:
    """Return the ledger for the JSON document."""
    return asdict(found)


def sentences(found: Ledger) -> Iterator[str]:
    """Yield what the ledger says, estimates first."""
    title = metric_title(found.metric)
    if found.missing:
        counted = formatting.counted(found.missing, "trial")
        yield f"{counted} of the ledger without a score: lost, or still to be trained."
    if found.total is not None and not found.total.variance:
        yield (
            f"All {found.base} trials of {found.variant} have the same {title}: there is no spread "
            "to divide. Trials at chance, or very few test rows, look like that."
        )
        return
    if found.total is not None:
        sd, low, high = found.total.deviation
        yield (
            f"{title.capitalize()} of {found.variant} has a standard deviation of "
            f"{_amount(found, sd)} over {found.base} trials ({level(found.confidence)} interval "
            f"{_amount(found, low)} to {_amount(found, high)})."
        )
    known = [each for each in found.sources if each.part is not None and not each.beyond]
    if known:
        ordered = sorted(known, key=lambda each: -(each.part.variance if each.part else 0))
        parts = [
            f"{SOURCES[each.name]} {_amount(found, each.part.deviation[0])}"
            for each in ordered
            if each.part is not None
        ]
        yield (
            f"Drawn anew alone: {formatting.listed(parts)}. What sources do together counts in "
            f"each, so that variances need not add up, and {found.base} trials order them weakly."
        )
    for each in found.sources:
        if each.idle:
            yield (
                f"Drawing the {SOURCES[each.name]} anew changed nothing in "
                f"{formatting.counted(each.n, 'trial')}: that is no source here."
            )
        if each.beyond and each.part is not None:
            yield (
                "All seeds share one split, so that it is no part of that spread: other rows "
                f"would add a standard deviation of {_amount(found, each.part.deviation[0])}. "
                "data.split: per_seed includes it."
            )
    for name, why in found.absent.items():
        yield f"Not a source here: {SOURCES[name]} ({why})."
    yield from _nondeterminism(found)
    for pairing in found.pairing:
        worth = f"{pairing.worth:.1f}" if pairing.paired else "any number of"
        yield (
            f"Pairing by seed: differences of {pairing.variant} have a standard deviation of "
            f"{_amount(found, pairing.paired)}, those of unpaired trials "
            f"{_amount(found, pairing.unpaired)}: one pair is worth {worth} unpaired."
        )


def table(found: Ledger) -> Table:
    """Return the sources with their standard deviations, and the seeds each asks for."""
    scale = _scale(found)
    rows = [_row("everything", found.total, found.base, found.seeds, scale)]
    for each in found.sources:
        rows.append(_row(_named(each), each.part, each.n, each.seeds, scale, idle=each.idle))
    return Table(
        "ledger",
        "Standard deviation by source",
        (
            Column("Drawn anew", "left"), Column("n"),
            Column(scale.difference_titled("SD")), Column(f"{level(found.confidence)} interval"),
            Column(f"Seeds for {_amount(found, found.target)}"),
        ),
        tuple(rows),
        (
            f"Seeds: with which a difference of {_amount(found, found.target)} between two "
            "unpaired variants is found with 80 % power, were that the only source.",
        ),
    )  # fmt: skip


def _row(
    name: str, part: Part | None, n: int, seeds: int | None, scale: Scale, *, idle: bool = False
) -> tuple[str, ...]:
    if part is None:
        return name, str(n), "0" if idle else formatting.NONE, formatting.NONE, formatting.NONE
    sd, low, high = part.deviation
    ends = f"{scale.value(low)} to {scale.value(high)}"
    return name, str(n), scale.value(sd), ends, str(seeds or formatting.NONE)


def _nondeterminism(found: Ledger) -> Iterator[str]:
    if found.largest is None:
        return
    reruns = formatting.counted(found.reruns, "unchanged re-run")
    if found.largest == 0:
        yield f"{reruns.capitalize()} gave the same score to the last bit."
        return
    yield (
        f"{reruns.capitalize()} moved the score by up to {_amount(found, found.largest)}: "
        "nondeterminism that every source above contains (train.deterministic: true removes it)."
    )


def _plots(found: Ledger) -> Iterator[Plot]:
    from ablate.report.plots.theme import panels

    bars = [("everything", found.total)]
    bars += [(_named(each), each.part) for each in found.sources]
    drawn = [(name, part) for name, part in bars if part is not None]
    if not drawn:
        return
    scale = _scale(found)
    figure, (axis,) = panels(1, height=0.9 + 0.4 * len(drawn))
    for at, (name, part) in enumerate(drawn):
        sd, low, high = (scale.factor * each for each in part.deviation)
        whole = name == "everything"
        axis.plot([low, high], [at, at], color="black" if whole else "#0072B2", linewidth=1.4)
        axis.plot(sd, at, "s" if whole else "o", color="black" if whole else "#0072B2")
    axis.set_yticks(range(len(drawn)), [name for name, _ in drawn])
    axis.invert_yaxis()
    axis.set_xlim(left=0)
    axis.set_xlabel(scale.difference_titled(f"standard deviation of {metric_title(found.metric)}"))
    yield Plot(
        "ledger",
        "Where the spread comes from",
        f"Standard deviation of {found.variant} with everything drawn anew, and with one source "
        f"drawn anew at a time; lines are {level(found.confidence)} intervals.",
        figure,
    )


def _named(source: Source) -> str:
    return SOURCES[source.name] + (" (beyond the spread)" if source.beyond else "")


def _scale(found: Ledger) -> Scale:
    parts = [found.total, *(each.part for each in found.sources)]
    known = [each.variance**0.5 for each in parts if each is not None]
    return metric_scale(found.metric, known, known)


def _amount(found: Ledger, value: float) -> str:
    return amount(found.metric, value, difference=True)
