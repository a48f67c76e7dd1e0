"""Statistics of a study: from its results to what may be said of it.

One array convention holds throughout: rows are seeds, columns are variants, NaN is where no
trial completed. Everything random takes a `numpy.random.Generator`. SciPy is imported where it is
used, so that commands that only show start without it.
"""

from __future__ import annotations

from ablate.analysis.assemble import analyze
from ablate.analysis.budget import Tolerance, compare_tolerance, expected_best, tolerated
from ablate.analysis.effects import (
    SCHEMA_VERSION,
    Analysis,
    ClaimVerdict,
    Comparison,
    Contribution,
    Cost,
    Direction,
    Effect,
    Expectation,
    FactorEffect,
    Failures,
    Gap,
    Guard,
    LearningSpeed,
    MetricSummary,
    Rate,
    Spread,
    VariantSummary,
    Verdict,
)
from ablate.analysis.result_table import headline
from ablate.study.metrics import direction_of

__all__ = [
    "SCHEMA_VERSION",
    "Analysis",
    "ClaimVerdict",
    "Comparison",
    "Contribution",
    "Cost",
    "Direction",
    "Effect",
    "Expectation",
    "FactorEffect",
    "Failures",
    "Gap",
    "Guard",
    "LearningSpeed",
    "MetricSummary",
    "Rate",
    "Spread",
    "Tolerance",
    "VariantSummary",
    "Verdict",
    "analyze",
    "compare_tolerance",
    "direction_of",
    "expected_best",
    "headline",
    "tolerated",
]
