"""Reports: what an analysis found, as words, tables and plots.

A `ReportData` (the analysis, the results it came from, the study) enters; a terminal page, one
self-contained HTML file, Markdown, LaTeX, CSV or JSON leaves. One set of tables (`tables`) and one
set of plots (`plots`) serve every format. Matplotlib and Jinja are imported where they are used,
so that a report in the terminal starts at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ablate.report.document import Column, Plot, Section, Table

if TYPE_CHECKING:
    from ablate.report.report_data import ReportData, report_of

__all__ = ["Column", "Plot", "ReportData", "Section", "Table", "report_of"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'ablate.report' has no attribute '{name}'")
    from ablate.report import report_data  # with the statistics, which not every table needs

    return getattr(report_data, name)
