"""The report as Markdown, for a repository or a notebook: tables, plots beside it, the study file.

Names are escaped, so that `a|b` and `*x*` stay what they are. `plots` maps a plot to the address
that the text shows it under, relative to where the text will lie.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ablate.report import tables
from ablate.report.document import Plot, Section, Table
from ablate.report.report_data import ReportData
from ablate.report.terminal import progress

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~$])")


def as_markdown(
    report: ReportData,
    plots: Sequence[Plot] = (),
    sections: Sequence[Section] = (),
    addresses: Mapping[str, str] | None = None,
) -> str:
    """Return the report as Markdown.

    Args:
        report: what to tell.
        plots: the figures; one is shown where `addresses` has its name.
        sections: further parts, after the tables.
        addresses: the address of each plot's image, by the plot's name.
    """
    where = addresses or {}
    analysis = report.analysis
    parts = [f"# {escape(analysis.study)}", " ".join(map(escape, analysis.answer))]
    parts += [f"*{escape(progress(report))}.*"]
    parts += [f"> **Beware:** {escape(each)}" for each in report.warnings]
    parts += as_sections([each for each in report.sections if each.leads], where)
    first, *others = tables.tables(report)
    parts += [as_table(first), *(_plot(each, where) for each in plots if each.name in where)]
    if analysis.guards:
        guards = [f"- {escape(each.words)}" for each in analysis.guards]
        parts += ["## What to beware of", "\n".join(guards)]
    parts += [as_table(each) for each in others]
    parts += as_sections([*sections, *(s for s in report.sections if not s.leads)], where)
    what = tables.what_variants_are(report)
    if what is not None:
        parts.append(as_table(what))
    machine = tables.environment(report)
    if machine is not None:
        parts.append(as_table(machine))
    if report.study_text:
        parts += ["## The study file", fenced(report.study_text, "yaml")]
    if report.command:
        parts += ["## How to reproduce", fenced(report.command, "sh")]
    return "\n\n".join(each for each in parts if each) + "\n"


def as_sections(sections: Sequence[Section], where: Mapping[str, str]) -> list[str]:
    """Return sections, each plot under its address in `where`, as paragraphs."""
    parts = []
    for section in sections:
        parts += [f"## {escape(section.title)}", *map(escape, section.text)]
        parts += [as_table(each, level=3) for each in section.tables]
        parts += [_plot(each, where, level=3) for each in section.plots if each.name in where]
    return parts


def escape(text: str) -> str:
    """Return a text in which Markdown sees no markup.

    >>> print(escape("bn_*|<b>"))
    bn\\_\\*\\|\\<b\\>
    """
    return _SPECIAL.sub(r"\\\1", text.replace("\n", " "))


def fenced(text: str, language: str = "") -> str:
    """Return a code block that no run of backticks within can end."""
    longest = max((len(each) for each in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def as_table(table: Table, level: int = 2) -> str:
    """Return a table under its title, a heading of this level."""
    head = " | ".join(escape(each.title) for each in table.columns)
    rule = " | ".join("---:" if each.align == "right" else ":---" for each in table.columns)
    rows = ["| " + " | ".join(escape(cell) or " " for cell in row) + " |" for row in table.rows]
    lines = [f"{'#' * level} {escape(table.title)}", "", f"| {head} |", f"| {rule} |", *rows]
    for note in table.notes:
        lines += ["", escape(note)]
    return "\n".join(lines)


def _plot(plot: Plot, addresses: Mapping[str, str], level: int = 2) -> str:
    title = escape(plot.title)
    return (
        f"{'#' * level} {title}\n\n![{title}](<{addresses[plot.name]}>)\n\n{escape(plot.caption)}"
    )
