"""How results and analyses show themselves: the answer and the headline table.

In a notebook as HTML, in a terminal and under `print` as text.
"""

from __future__ import annotations

import io

from ablate.analysis import Analysis
from ablate.report.html import fragment
from ablate.report.report_data import ReportData, gather, material_of
from ablate.report.terminal import console, show
from ablate.study.results import StudyResults


def analysis_html(analysis: Analysis) -> str:
    """Return an analysis as a piece of HTML."""
    return fragment(gather(analysis))


def results_html(results: StudyResults) -> str:
    """Return the results of a study, analysed, as a piece of HTML."""
    return fragment(material_of(results))


def analysis_text(analysis: Analysis) -> str:
    """Return an analysis as text."""
    return _text(gather(analysis))


def results_text(results: StudyResults) -> str:
    """Return the results of a study, analysed, as text."""
    return _text(material_of(results))


def _text(material: ReportData) -> str:
    page = io.StringIO()
    show(material, console(file=page), brief=True)
    return page.getvalue().rstrip()


def attach() -> None:
    """Give `Analysis` and `StudyResults` their look.

    They are lower in rank than this package and must not know it, so the look comes to them.
    """
    Analysis._repr_html_ = analysis_html  # type: ignore[attr-defined]
    Analysis.__str__ = analysis_text  # type: ignore[method-assign, assignment]
    StudyResults._repr_html_ = results_html  # type: ignore[attr-defined]
    StudyResults.__str__ = results_text  # type: ignore[method-assign, assignment]
