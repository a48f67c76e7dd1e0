"""The plots of a report: one kind per file, each from a `ReportData` to a `Plot` or to None.

A kind that a study has nothing for (no factors, no failures) gives None and is left out. `draw`
makes them all in the order of the page. Importing this package imports matplotlib; the formats
that draw import it late.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ablate.report.document import Plot
from ablate.report.plots.costs import costs
from ablate.report.plots.curves import curves
from ablate.report.plots.effects import contributions, effects, factor_effects, gaps, values
from ablate.report.plots.expectations import expectations
from ablate.report.plots.failures import failures
from ablate.report.plots.interactions import interactions
from ablate.report.plots.response import learning_rates
from ablate.report.report_data import ReportData

__all__ = ["DRAWN", "draw"]

#: Every kind of plot, in the order of the page.
DRAWN: tuple[Callable[[ReportData], list[Plot]], ...] = (
    failures,
    learning_rates,
    expectations,
    factor_effects,
    contributions,
    effects,
    values,
    interactions,
    curves,
    gaps,
    costs,
)


def draw(report: ReportData) -> Iterator[Plot]:
    """Draw every plot the study has report for."""
    for kind in DRAWN:
        yield from kind(report)
