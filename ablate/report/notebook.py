"""How results and analyses show themselves in a notebook: the answer and the headline table."""

from __future__ import annotations

from ablate.analysis import Analysis
from ablate.report.html import fragment
from ablate.report.material import gather, material_of
from ablate.study.results import StudyResults


def analysis_html(analysis: Analysis) -> str:
    """Return an analysis as a piece of HTML."""
    return fragment(gather(analysis))


def results_html(results: StudyResults) -> str:
    """Return the results of a study, analysed, as a piece of HTML."""
    return fragment(material_of(results))


def attach() -> None:
    """Give `Analysis` and `StudyResults` their look in notebooks.

    They are lower in rank than this package and must not know it, so the look comes to them.
    """
    Analysis._repr_html_ = analysis_html  # type: ignore[attr-defined]
    StudyResults._repr_html_ = results_html  # type: ignore[attr-defined]
