"""The report as one HTML file: the answer, the tables, the plots, and how it came about.

A `ReportData` and its plots enter, a page leaves that asks the network for nothing: style, script
and pictures are inside, and it reads without the script. It opens with the questions that the
study's design asks, each answered in plain sentences beside its plot, and reads downwards from
there to what only a sceptic wants: evidence, the study file, the machine, the command.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from ablate._version import __version__
from ablate.analysis import Analysis, Comparison
from ablate.reasons import printable
from ablate.report import formatting, tables
from ablate.report.document import Plot, Section
from ablate.report.lines import MOST_COLOURS
from ablate.report.names import shortened
from ablate.report.pictures import DARK, Picture, picture
from ablate.report.report_data import ReportData
from ablate.report.terminal import progress

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

#: Cells of words longer than this may break.
WORDY = 26

#: Names longer than this may break.
LONG_NAME = 32


@dataclass(frozen=True)
class Question:
    """What the study's design asks: the sentences that answer it, and the plot beside them.

    `summary` stands before sentences that are too long to be read first.
    """

    title: str
    sentences: tuple[str, ...]
    picture: Picture | None
    summary: str = ""


def as_html(
    report: ReportData, plots: Sequence[Plot] = (), sections: Sequence[Section] = ()
) -> str:
    """Return the report as one self-contained page."""
    analysis = report.analysis
    first, *others = tables.tables(report)
    keys = {name: index for index, name in enumerate(report.order)}
    parts: list[Section] = [*sections, *report.sections]
    pictures = {each.name: picture(each, keys) for each in _every(plots, parts)}
    asked = questions(report, pictures, parts)
    beside = {each.picture.name for each in asked if each.picture is not None}
    drawn = [
        (each, [pictures[plot.name] for plot in each.plots if plot.name not in beside])
        for each in parts
    ]
    return _template("report.html.j2").render(
        name=analysis.study,
        progress=progress(report),
        running=report.running,
        lost="trials" in list(analysis.answers)[:1],
        unsaid=analysis.answers.get("trials", ()) if asked else (),  # the progress says it
        lead=_lead(analysis, asked),
        questions=asked,
        warnings=[
            *report.warnings,
            *(each.text for each in analysis.guards if each.severity == "warning"),
        ],
        notes=[each.text for each in analysis.guards if each.severity != "warning"],
        headline=first,
        variants=tables.what_variants_are(report),
        open_tables=[each for each in others if not each.detail],
        folded_tables=[each for each in others if each.detail],
        pictures=[pictures[each.name] for each in plots if each.name not in beside],
        leading=[each for each in drawn if each[0].leads or each[0].name == "search"],
        sections=[each for each in drawn if not (each[0].leads or each[0].name == "search")],
        environment=tables.environment(report),
        mixed=[key for key, values in report.environment.items() if len(values) > 1],
        errors=_errors(report),
        study_text=report.study_text,
        command=report.command,
        words=[each.words for each in analysis.effects if each.metric == analysis.metric],
        names=_script(list(keys)),
        dark=DARK,
        version=__version__,
    )


def questions(
    report: ReportData, pictures: Mapping[str, Picture], sections: Sequence[Section]
) -> list[Question]:
    """Return the questions of the study's own design, each with its answer and its plot."""
    analysis = report.analysis
    found = []
    for part in sections:
        if part.leads:
            own = next((pictures[each.name] for each in part.plots), None)
            found.append(Question(part.title, part.text, own))
        elif part.name == "search":
            # The responses come before what the budget bought.
            names = sorted((each.name for each in part.plots), key=lambda n: n == "search-budget")
            own = pictures[names[0]] if names else None
            found.append(Question("Which settings are best?", _winners(analysis) or part.text, own))
    rates = pictures.get("learning-rates")
    if rates is not None and len({each.spec.train.learning_rate for each in report.resolved}) > 2:
        found.append(Question("Which learning rates work?", (rates.finding,), rates))
    answers = dict(analysis.answers)
    best = answers.pop("best", ())
    for about, title, plot in (
        ("contributions", "What does each part add?", "contributions"),
        ("factors", "What does each factor do?", "factor-effects"),
        ("variants", f"What changes against {shortened(analysis.baseline)}?", "effects"),
    ):
        if sentences := answers.get(about, ()):
            if best and about in ("factors", "variants"):
                title, sentences, best = "Which is the best?", (*best, *sentences), ()
            rows = analysis.effects if about == "variants" else ()
            found.append(Question(title, sentences, pictures.get(plot), _verdicts(analysis, rows)))
    return found


def _verdicts(analysis: Analysis, rows: Sequence[Comparison]) -> str:
    """Return how many comparisons of the headline metric have each verdict, where all are many."""
    counts: Counter[str] = Counter(each.verdict for each in rows if each.metric == analysis.metric)
    if sum(counts.values()) <= MOST_COLOURS:
        return ""
    words = [f"{counts[each]} {tables.VERDICTS[each]}" for each in tables.VERDICTS if counts[each]]
    return f"Of {sum(counts.values())} variants {formatting.listed(words)}."


def _winners(analysis: Analysis) -> tuple[str, ...]:
    """Return the sentences of the answer that a search put before those of the analysis."""
    own = {each for sentences in analysis.answers.values() for each in sentences}
    return tuple(each for each in analysis.answer if each not in own)


def _lead(analysis: Analysis, asked: Sequence[Question]) -> list[str]:
    """Return the sentences of the answer that stand in no question's card."""
    told = {each for question in asked for each in question.sentences}
    return [each for each in analysis.answer if each not in told]


def _every(plots: Sequence[Plot], sections: Sequence[Section]) -> list[Plot]:
    return [*plots, *(plot for section in sections for plot in section.plots)]


def page_of(name: str, sections: Sequence[Section], command: str) -> str:
    """Return sections as one self-contained page, and the command that makes it."""
    keys: dict[str, int] = {}
    drawn = [(each, [picture(plot, keys) for plot in each.plots]) for each in sections]
    return _template("sections.html.j2").render(
        name=name, sections=drawn, command=command, names=_script(list(keys)), dark=DARK,
        version=__version__,
    )  # fmt: skip


def fragment(report: ReportData) -> str:
    """Return the answer and the headline table as a piece of HTML, for a notebook."""
    return _template("fragment.html.j2").render(
        answer=report.analysis.answer,
        headline=tables.headline(report),
        guards=report.analysis.guards,
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
    for key, file in (("style", "style.css"), ("script", "page.js")):
        environment.globals[key] = loader.get_source(environment, file)[0]
    environment.filters["breakable"] = _breakable
    environment.tests["wordy"] = lambda cell: len(cell) > WORDY and any(map(str.isalpha, cell))
    return environment.get_template(name)


def _script(value: object) -> str:
    """Return a value as JSON that may stand in a page."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


def _breakable(text: str) -> Markup:
    """Return a name, escaped, that may break behind its punctuation."""
    from markupsafe import Markup, escape

    pieces = re.split(r"(?<=[-_,=+.:/])(?=.)", text) if len(text) > LONG_NAME else [text]
    return Markup("<wbr>").join(escape(each) for each in pieces)
