"""The tables of a report, as plain text cells that every format lays out its own way.

An analysis enters; `Table` values leave. The headline table comes first and counts failures
before it gives a mean; the others (factors, contributions, costs, …) exist only where the study
has something for them. Numbers of one column have the same decimals. `tables` gives them all.
"""

from __future__ import annotations

from ablate.report.document import Column, Table
from ablate.report.report_data import ReportData
from ablate.report.tables.comparisons import contributions, evidence, expectations, factors
from ablate.report.tables.facts import environment, failures, what_variants_are
from ablate.report.tables.headline import headline, seeds
from ablate.report.tables.measures import costs, every_metric, gaps, speeds
from ablate.report.tables.table import scale_of

__all__ = [
    "Column",
    "Table",
    "contributions",
    "costs",
    "environment",
    "every_metric",
    "evidence",
    "expectations",
    "factors",
    "failures",
    "gaps",
    "headline",
    "scale_of",
    "seeds",
    "speeds",
    "tables",
    "what_variants_are",
]


def tables(material: ReportData) -> list[Table]:
    """Return every table the study has something for, the headline first."""
    made = [
        headline(material),
        seeds(material),
        failures(material),
        factors(material),
        contributions(material),
        evidence(material),
        every_metric(material),
        gaps(material),
        speeds(material),
        costs(material),
        expectations(material),
    ]
    return [each for each in made if each is not None]
