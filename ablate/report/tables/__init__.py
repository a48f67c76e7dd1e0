"""The tables of a report, as plain text cells that every format lays out its own way.

An analysis enters; `Table` values leave. The headline table comes first and counts failures
before it gives a mean; the others (factors, contributions, costs, …) exist only where the study
has something for them. Numbers of one column have the same decimals. `tables` gives them all.
"""

from __future__ import annotations

from ablate.report.document import Table
from ablate.report.report_data import ReportData
from ablate.report.tables.cells import VERDICTS, scale_of
from ablate.report.tables.comparisons import (
    best,
    contributions,
    evidence,
    expectations,
    factors,
    pairs,
)
from ablate.report.tables.measures import costs, every_metric, gaps, speeds
from ablate.report.tables.trials import (
    environment,
    failures,
    headline,
    seeds,
    what_variants_are,
)

__all__ = [
    "VERDICTS",
    "best",
    "contributions",
    "environment",
    "expectations",
    "factors",
    "failures",
    "findings",
    "headline",
    "pairs",
    "scale_of",
    "seeds",
    "tables",
    "what_variants_are",
]

#: What a study may have found beyond the headline, in the order of the page.
FINDINGS = (
    failures,
    best,
    factors,
    contributions,
    pairs,
    evidence,
    every_metric,
    gaps,
    speeds,
    costs,
    expectations,
)


def findings(report: ReportData) -> list[Table]:
    """Return the tables beyond the headline and its seeds that the study has something for.

    Every format shows those that are no `detail`; a page has the details, too.
    """
    return [table for each in FINDINGS if (table := each(report)) is not None]


def tables(report: ReportData) -> list[Table]:
    """Return every table the study has something for, the headline first."""
    each_seed = seeds(report)
    return [headline(report), *([each_seed] if each_seed else []), *findings(report)]
