"""How results and analyses show themselves: the answer and the headline table.

In a notebook as HTML, in a terminal and under `print` as text.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from ablate.analysis import Analysis
from ablate.report.html import fragment
from ablate.report.printing import console
from ablate.report.report_data import ReportData, report_of
from ablate.report.terminal import show
from ablate.study.results import StudyResults


def attach() -> None:
    """Give `Analysis` and `StudyResults` their representations.

    They are lower in rank than this package and must not know it, so it gives them theirs.
    """
    _represent(Analysis, ReportData)
    _represent(StudyResults, report_of)


def _represent(kind: Any, report_of: Callable[[Any], ReportData]) -> None:
    def as_text(self: Any) -> str:
        page = io.StringIO()
        show(report_of(self), console(file=page), brief=True)
        return page.getvalue().rstrip()

    kind.__str__ = as_text
    kind._repr_html_ = lambda self: fragment(report_of(self))
