"""Published results beside what was found here: the document of all reproductions.

The studies that were run enter, each as a `Reproduction` with the words of its file's heading;
one Markdown text leaves: a table of every claim, then a section per study with its source, what
was found, its plots, and the machine, seeds, time and command behind the numbers. Every number is
taken from a study's analysis; this module computes none but sums of seconds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import get_args

from ablate.analysis import ClaimVerdict, Expectation, FactorEffect
from ablate.report import formatting, tables
from ablate.report.document import Column, Plot, Table
from ablate.report.markdown import as_table, escape, fenced
from ablate.report.report_data import ReportData, versions

_COLUMNS = (
    Column("Study", "left"),
    Column("Claim", "left"),
    Column("Published", "left"),
    Column("Consistent within", "left"),
    Column("Here", "left"),
    Column("Verdict", "left"),
    Column("Source", "left"),
)


@dataclass(frozen=True)
class Reproduction:
    """A study of published claims: its file's stem, its heading, and what came of it.

    `report` is None where the store has no finished trial of it; `profile` is the profile that
    was run, None for the study as it stands; `command` repeats it.
    """

    name: str
    heading: str
    report: ReportData | None = None
    profile: str | None = None
    command: str = ""

    @property
    def finished(self) -> bool:
        """Whether every planned trial has an outcome: half a study is not told."""
        return self.report is not None and not self.report.running

    @property
    def title(self) -> str:
        """The heading's first sentence."""
        return self.paragraphs[0] if self.paragraphs else self.name

    @property
    def paragraphs(self) -> tuple[str, ...]:
        """The heading's paragraphs, without its commands."""
        lines = [line.removeprefix("#").strip() for line in self.heading.splitlines()]
        kept = ["" if line.startswith("ablate ") else line for line in lines]
        blocks = re.split(r"\n{2,}", re.sub(_LABEL, r"\n\n\1", "\n".join(kept)))
        return tuple(" ".join(block.split()) for block in blocks if block.strip())


#: What the headings of the studies mark their parts with.
_LABEL = re.compile(r"\n(?=\S)((?:Source|Claims?|Unsaid[^:.]*|Chosen|Remark):)")


def as_document(
    reproductions: Sequence[Reproduction], addresses: Mapping[str, Mapping[str, str]] | None = None
) -> str:
    """Return the document on published results, as Markdown.

    Args:
        reproductions: the studies in their order; those without report are named as not run.
        addresses: by study, the address of each plot to be shown, by the plot's name.
    """
    run = [each for each in reproductions if each.finished]
    rest = [each for each in reproductions if not each.finished]
    parts = [
        "# Published results, and what was found here",
        "This page is written by `ablate reproduce` from the trials themselves; nothing in it is "
        "entered by hand. How near is near enough is said by each study beforehand, as a margin "
        "around the published value or as a range; neither is published. A claim is *consistent* "
        "with what was found when the interval of the difference lies within the margin (the "
        "whole interval found here within the range, or on the claimed side), *inconsistent* when "
        "it leaves out what is claimed, else *too imprecise*; then the seeds that would probably "
        "decide are named. It is *not judged* where a profile trained something else than the "
        "claim is about, where trials were lost, or where a warning concerns it. One or two "
        "published runs are weak evidence. Each claim is judged at 95 % for itself, so that of "
        "many some may be misjudged by chance.",
        tally(run),
        as_table(overview(run)),
    ]
    if rest:
        parts.append(
            "Not finished here: "
            + "; ".join(f"`{each.name}` ({_state(each)})" for each in rest)
            + ". `ablate reproduce` lists all; `ablate reproduce NAME` goes on where one stopped."
        )
    for each in run:
        parts += _section(each, (addresses or {}).get(each.name, {}))
    return "\n\n".join(part for part in parts if part) + "\n"


def overview(reproductions: Sequence[Reproduction]) -> Table:
    """Return one table over all studies: claim, published, found, verdict, source."""
    rows, marks = [], []
    for each in reproductions:
        assert each.report is not None
        found = tables.expectations(each.report)
        name = f"{each.name} ({each.profile})" if each.profile else each.name
        for cells, mark in zip(found.rows, found.marks, strict=True) if found else ():
            rows.append((name, *cells))
            marks.append(mark)
        if found is None:
            rows.append((name, *_unclaimed(each.report)))
            marks.append("")
    note = (
        "In brackets after a study: the profile that was run. Values with their interval and the "
        "number of seeds; shares in percent, their differences in points."
    )
    return Table("claims", "All claims", _COLUMNS, tuple(rows), (note,), tuple(marks))


def tally(reproductions: Sequence[Reproduction]) -> str:
    """Return how many claims of how many studies came to which verdict."""
    verdicts = [
        claim.verdict
        for each in reproductions
        if each.report is not None
        for claim in each.report.analysis.expectations
    ]
    counts = ", ".join(
        f"{verdicts.count(verdict)} {verdict}"
        for verdict in get_args(ClaimVerdict)
        if verdict in verdicts
    )
    trials = sum(len(each.report.results) for each in reproductions if each.report)
    return (
        f"{formatting.counted(len(reproductions), 'study', 'studies')}, "
        f"{formatting.counted(trials, 'trial')}, "
        f"{formatting.counted(len(verdicts), 'published claim')}: "
        f"{counts or 'none judged'}."
    )


def chosen_plots(report: ReportData, plots: Sequence[Plot], probes: Sequence[Plot]) -> list[Plot]:
    """Return the few plots that a section shows: every seed, and the first of what claims ask.

    Args:
        report: the study's.
        plots: of the study, in the order of the report.
        probes: of its probes.
    """
    wanted = ["effects"]
    names = [each.name for each in plots]
    if any(claim.metric == "collapse_rate" for claim in report.analysis.expectations):
        wanted = ["failures", *wanted]
    if report.analysis.factors and not report.analysis.expectations:
        wanted.append("interactions")
    found = [plots[names.index(name)] for name in wanted if name in names]
    return [*found, *probes[:1]]


def _section(each: Reproduction, addresses: Mapping[str, str]) -> list[str]:
    report = each.report
    assert report is not None
    title, *others = each.paragraphs or (each.name,)
    parts = [f"## {escape(each.name)}", f"**{_marked(title)}**", *map(_marked, others)]
    parts.append("**Found.** " + " ".join(map(escape, report.analysis.answer)))
    found = tables.expectations(report)
    if found is not None:
        parts.append(as_table(replace(found, title="The claims", notes=()), level=3))
        parts.append("\n".join(f"- {escape(_told(c))}" for c in report.analysis.expectations))
    factors = tables.factors(report)
    if factors is not None and found is None:
        parts.append(as_table(factors, level=3))
    parts.append(as_table(replace(tables.headline(report), title="Every variant"), level=3))
    if report.analysis.guards:
        parts.append("\n".join(f"- {escape(each.words)}" for each in report.analysis.guards))
    for name, address in addresses.items():
        parts.append(f"![{escape(each.name)}: {escape(name)}](<{address}>)")
    parts += [escape(_circumstances(report)), fenced(each.command, "sh")]
    return parts


def _told(claim: Expectation) -> str:
    """Say a claim's outcome in a sentence, its source with it."""
    return f"{claim.text[:1].upper()}{claim.text[1:]} ({claim.source})"


def _circumstances(report: ReportData) -> str:
    """Say how many seeds and trials, how long, on what machine and with which versions."""
    seconds = sum(each.seconds.get("total", 0.0) for each in report.results)
    known = report.environment
    on = ", ".join(versions(known, ("ablate", "keras", "tensorflow", "numpy", "python")))
    machine = [*known.get("cpu", known.get("platform", ()))]
    cores = "/".join(known.get("cores", ()))
    threads = "/".join(known.get("threads", ()))
    return (
        f"{formatting.counted(len(report.analysis.seeds), 'seed')}, "
        f"{formatting.counted(len(report.results), 'trial')}, {seconds / 60:.1f} minutes on the "
        f"clock summed over trials, which other work on the machine lengthens; "
        + (", ".join(machine) or "an unknown machine")
        + (f", {cores} cores" if cores else "")
        + (f", {threads} thread(s) per trial" if threads else "")
        + f"; {on or 'versions not recorded'}."
    )


def _unclaimed(report: ReportData) -> tuple[str, ...]:
    """Return the cells of a study without published values: its interaction, or its effect."""
    analysis = report.analysis
    effects = [each for each in analysis.factor_effects if each.metric == analysis.metric]
    scale = tables.scale_of(analysis, analysis.metric)
    chosen: FactorEffect | None = max(effects, key=lambda each: each.order, default=None)
    if chosen is None:
        dashes = [formatting.NONE] * 3
        return ("no published value", *dashes, "new", formatting.NONE)
    interval = scale.interval(chosen.low, chosen.high, sign=True)
    return (
        f"interaction of {' and '.join(chosen.factors)} in "
        f"{formatting.metric_title(chosen.metric)}",
        "none",
        formatting.NONE,
        f"{scale.difference(chosen.mean)} ({interval}) n = {chosen.n}",
        "new",
        "no published value",
    )


def _marked(text: str) -> str:
    """Escape a heading's text but for its code spans."""
    return "`".join(
        part if index % 2 else escape(part) for index, part in enumerate(text.split("`"))
    )


def _state(each: Reproduction) -> str:
    """Say what an unfinished study is about and how far it got."""
    about = each.title.rstrip(".?:")
    if each.report is None:
        return about
    trials = each.report.analysis.trials
    planned = trials.get("planned", 0)
    return f"{about}: {planned - trials.get('pending', 0)} of {planned} trials so far"
