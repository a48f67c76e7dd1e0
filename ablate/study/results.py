"""What a run of a study returns: its results, which show themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablate.study.looks import Looks
from ablate.study.resolved import ResolvedVariant
from ablate.study.study import Study
from ablate.study.trial import TrialResult

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class StudyResults:
    """The outcomes of a study's trials.

    `results` has one entry per variant and seed that has a record, in plan order; `planned` the
    number of trials per variant; `looks` what has been seen of the study before.
    """

    study: Study
    resolved: tuple[ResolvedVariant, ...]
    results: tuple[TrialResult, ...]
    planned: Mapping[str, int] = field(default_factory=dict)
    folder: Path | None = None
    looks: Looks | None = None

    @property
    def why_always_valid(self) -> str:
        """Why intervals have to hold at every look, as a clause; "" where they need not."""
        if self.study.until is not None:
            return "seeds were added until every variant was decided"
        return "" if self.looks is None else self.looks.why(self.study.baseline_name)

    def counts(self) -> dict[str, int]:
        """Return how many trials have each status, `missing` for those without a record."""
        counts: Counter[str] = Counter(result.status for result in self.results)
        missing = sum(self.planned.values()) - len(self.results)
        return dict(counts) | ({"missing": missing} if missing > 0 else {})

    def rows(self) -> list[dict[str, Any]]:
        """Return one flat mapping per trial: variant, seed, factors, status, metrics."""
        return [
            {
                "variant": result.variant,
                "seed": result.seed,
                **result.factors,
                "status": result.status,
                "epochs": result.epochs,
                "seconds": result.seconds.get("total"),
                "parameters": result.parameters,
                **result.metrics,
            }
            for result in self.results
        ]

    def frame(self) -> pandas.DataFrame:
        """Return `rows` as a pandas table.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        try:
            import pandas
        except ModuleNotFoundError:
            from ablate.errors import MissingExtraError

            raise MissingExtraError(
                "frame() needs pandas: pip install 'keras-ablate[tables]'. "
                "rows() gives the same without it."
            ) from None
        return pandas.DataFrame(self.rows())

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {status}" for status, count in sorted(self.counts().items()))
        return (
            f"<StudyResults '{self.study.study}': {len(self.resolved)} variants; trials: {counts}>"
        )
