"""Statistics of a study: from its results to what may be said of it.

One array convention holds throughout: rows are seeds, columns are variants, NaN is where no
trial completed. Everything random takes a `numpy.random.Generator`. SciPy is imported where it is
used, so that commands that only show start without it; each name below is imported when it is
first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ablate.analysis.analysis import SCHEMA_VERSION, Analysis
    from ablate.analysis.assemble import analyze
    from ablate.analysis.budget import Tolerance, compare_tolerance, expected_best, tolerated
    from ablate.analysis.effects import (
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


_HOMES = {
    "analysis": ("SCHEMA_VERSION", "Analysis"),
    "assemble": ("analyze",),
    "budget": ("Tolerance", "compare_tolerance", "expected_best", "tolerated"),
    "result_table": ("headline",),
}
_HOME = {name: f"ablate.analysis.{module}" for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'ablate.analysis' has no attribute '{name}'")
    other = "ablate.study.metrics" if name == "direction_of" else "ablate.analysis.effects"
    value = getattr(import_module(_HOME.get(name, other)), name)
    globals()[name] = value
    return value
