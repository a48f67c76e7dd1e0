"""How results, analyses and what is in them show themselves: in words, with the effect's plot.

In a notebook as HTML, in a terminal and under `print` as text.
"""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Callable
from html import escape
from types import SimpleNamespace
from typing import Any, cast

from ablate.analysis import Analysis
from ablate.analysis.effects import Comparison, Guard
from ablate.report.document import Plot
from ablate.report.html import fragment
from ablate.report.printing import console
from ablate.report.report_data import ReportData, report_of
from ablate.report.terminal import show
from ablate.study.results import StudyResults


def attach() -> None:
    """Give analyses, results, effects and guards their representations.

    They are lower in rank than this package and must not know it, so it gives them theirs.
    """
    _represent(Analysis, ReportData)
    _represent(StudyResults, report_of)
    _show(Comparison, _comparison)
    _show(Guard, _guard)


def _represent(kind: Any, report_of: Callable[[Any], ReportData]) -> None:
    def as_text(self: Any) -> str:
        page = io.StringIO()
        show(report_of(self), console(file=page), brief=True)
        return page.getvalue().rstrip()

    kind.__str__ = as_text
    _show(kind, lambda self: _report(report_of(self)))


def _show(kind: Any, as_html: Callable[[Any], str]) -> None:
    kind._repr_html_ = as_html


def _report(report: ReportData) -> str:
    """Return the answer, the headline table and the plot of every seed and difference."""
    from ablate.report.plots.effects import effects

    return fragment(report) + "".join(map(_picture, effects(report)))


def _comparison(effect: Comparison) -> str:
    """Return what is said of one difference, and its plot."""
    from ablate.report.lines import line_style
    from ablate.report.plots.forest import draw_differences

    said = f"<p>{escape(effect.words)}</p>"
    if not effect.n:
        return said
    name = next(
        str(found) for each in ("variant", "name", "what") if (found := getattr(effect, each, ""))
    )
    # A plot is of an analysis; of a single difference this is all that it takes of one.
    alone = SimpleNamespace(variants=(), metric=effect.metric, direction=effect.direction)
    figure = draw_differences({name: effect}, [line_style(1)], "Difference", cast(Analysis, alone))
    return said + _picture(Plot("effect", name, effect.words, figure))


def _picture(plot: Plot) -> str:
    """Return a plot as an image of its own, which no other output of the notebook can disturb."""
    source = f"data:image/svg+xml;base64,{b64encode(plot.svg).decode()}"
    return (
        f'<img style="max-width:100%; background:#fff" alt="{escape(plot.caption)}" src="{source}">'
    )


def _guard(guard: Guard) -> str:
    word, _, text = guard.words.partition(": ")
    return f"<p><strong>{escape(word)}:</strong> {escape(text)}</p>"
