"""The report as one HTML file: the answer, the tables, the plots, and how it came about.

A `ReportData` and its plots enter, a page leaves that asks the network for nothing: style and
pictures are inside. It opens with the answer in plain sentences and reads downwards from there to
what only a sceptic wants: evidence, the study file, the machine, the command.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from ablate._version import __version__
from ablate.reasons import printable
from ablate.report import tables
from ablate.report.document import Plot, Section
from ablate.report.report_data import ReportData
from ablate.report.terminal import progress

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

#: An SVG larger than this (thousands of marks) is embedded as PNG.
LARGEST_SVG = 600_000

#: Names longer than this may break.
LONG_NAME = 32


@dataclass(frozen=True)
class Picture:
    """A plot as the page shows it: its words and its data address."""

    name: str
    title: str
    caption: str
    source: str


def as_html(
    report: ReportData, plots: Sequence[Plot] = (), sections: Sequence[Section] = ()
) -> str:
    """Return the report as one self-contained page."""
    analysis = report.analysis
    first, *others = tables.tables(report)
    parts: list[Section] = [*sections, *report.sections]
    return _template("report.html.j2").render(
        name=analysis.study,
        answer=analysis.answer,
        progress=progress(report),
        running=report.running,
        warnings=report.warnings,
        guards=analysis.guards,
        headline=first,
        variants=tables.what_variants_are(report),
        open_tables=[each for each in others if not each.detail],
        folded_tables=[each for each in others if each.detail],
        pictures=[picture(each) for each in plots],
        sections=[(each, [picture(plot) for plot in each.plots]) for each in parts],
        environment=tables.environment(report),
        mixed=[key for key, values in report.environment.items() if len(values) > 1],
        errors=_errors(report),
        study_text=report.study_text,
        command=report.command,
        words=[each.words for each in analysis.effects if each.metric == analysis.metric],
        version=__version__,
    )


def page_of(name: str, sections: Sequence[Section], command: str) -> str:
    """Return sections as one self-contained page, and the command that makes it."""
    return _template("sections.html.j2").render(
        name=name,
        sections=[(each, [picture(plot) for plot in each.plots]) for each in sections],
        command=command,
        version=__version__,
    )


def fragment(report: ReportData) -> str:
    """Return the answer and the headline table as a piece of HTML, for a notebook."""
    return _template("fragment.html.j2").render(
        answer=report.analysis.answer,
        headline=tables.headline(report),
        guards=report.analysis.guards,
    )


def picture(plot: Plot) -> Picture:
    """Return a plot with its figure as a data address: SVG, or PNG when that is too large."""

    content, kind = plot.svg, "svg+xml"
    if len(content) > LARGEST_SVG:
        content, kind = plot.png, "png"
    return Picture(
        plot.name,
        plot.title,
        plot.caption,
        f"data:image/{kind};base64,{b64encode(content).decode()}",
    )


def _errors(report: ReportData) -> list[tuple[str, str]]:
    """Return the distinct errors of failed trials, with the trials that ended in each."""
    found: dict[str, list[str]] = {}
    for result in report.results:
        if result.status == "failed" and result.error:
            found.setdefault(printable(result.error).strip(), []).append(
                f"{result.variant}, seed {result.seed}"
            )
    return [
        ("; ".join(trials[:6]) + (f" and {len(trials) - 6} more" if len(trials) > 6 else ""), text)
        for text, trials in list(found.items())[:10]
    ]


@cache
def _template(name: str) -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("ablate.report", "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.globals["style"] = _style(loader, environment)
    environment.filters["breakable"] = _breakable
    return environment.get_template(name)


def _style(loader: Any, environment: Any) -> str:
    source: str = loader.get_source(environment, "style.css")[0]
    return source


def _breakable(text: str) -> Markup:
    """Return a name, escaped, that may break behind its punctuation."""
    from markupsafe import Markup, escape

    pieces = re.split(r"(?<=[-_,=+.:/])(?=.)", text) if len(text) > LONG_NAME else [text]
    return Markup("<wbr>").join(escape(each) for each in pieces)
