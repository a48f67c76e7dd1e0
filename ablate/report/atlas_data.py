"""What the document of the atlas is written from, and the table of every claim as CSV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ablate.analysis.atlas import (
    CONFIDENCE,
    CONTRASTS,
    PLAIN,
    Combination,
    Prediction,
    claim_over,
    claims,
)
from ablate.analysis.claims import Claim
from ablate.study.tables import cell, csv_text

#: What each placement is called.
TITLES = {
    "bn-before": "BN before",
    "bn-after": "BN after",
    "dropout-before": "Dropout before",
    "dropout-after": "Dropout after",
    "both": "BN before, Dropout after",
}


@dataclass(frozen=True)
class AtlasReport:
    """All that the document may say: combinations, predictions, what is not there, the command."""

    combinations: tuple[Combination, ...]
    predictions: tuple[Prediction, ...]
    held_back: tuple[str, ...]
    absent: Mapping[str, str]
    command: str

    @cached_property
    def trained(self) -> Sequence[Combination]:
        """The combinations that are finished: only these are claimed of."""
        return [each for each in self.combinations if each.finished]

    @cached_property
    def claims(self) -> Mapping[str, Sequence[Claim]]:
        """The claims of every contrast over all finished combinations."""
        return claims(self.trained, CONTRASTS)

    @cached_property
    def networks(self) -> Mapping[str, Sequence[Combination]]:
        """The combinations in accuracy by network, in the order of the studies."""
        found: dict[str, list[Combination]] = {}
        for each in self.trained:
            if each.metric == "accuracy":
                found.setdefault(each.network, []).append(each)
        return found

    def claim(self, contrast: str, metric: str = "accuracy") -> Claim | None:
        """Return the claim of a contrast in a metric, if there is one."""
        return next((c for c in self.claims.get(contrast, ()) if c.metric == metric), None)

    def within(self, combinations: Sequence[Combination], contrast: str) -> Claim | None:
        """Return the claim of a contrast over some combinations of one metric."""
        return claim_over(combinations, contrast, lambda e: e.estimate(CONTRASTS[contrast]))

    @cached_property
    def hits(self) -> Sequence[tuple[Prediction, float, bool]]:
        """Each prediction whose combination was trained, what came, and whether it held."""
        known = {each.name: each for each in self.trained}
        found = []
        for each in self.predictions:
            trained = known.get(each.combination)
            made = trained and trained.estimate(CONTRASTS[each.contrast])
            if made:
                found.append((each, made.mean, each.low <= made.mean <= each.high))
        return found


def as_csv(report: AtlasReport) -> str:
    """Return a row per contrast and combination, and per contrast for all of them.

    Means of accuracy are shares, those of RMSE log ratios.
    """
    return csv_text(_rows(report))


def _rows(report: AtlasReport) -> Iterator[Sequence[Any]]:
    yield (
        "contrast", "combination", "metric", "rate", "plain_rate", "seeds", "mean", "low", "high",
        "next_low", "next_high", "tau", "p_holm", "verdict",
    )  # fmt: skip
    known = {each.name: each for each in report.combinations}
    for contrast, found in report.claims.items():
        for claim in found:
            kind = "accuracy" if claim.metric == "accuracy" else "RMSE"
            for each in claim.estimates:
                own = known[each.study]
                yield (
                    contrast, each.study, kind, own.rate(each.variant), own.rate(PLAIN), each.n,
                    *_numbers(each.mean, *each.interval(CONFIDENCE)), *[""] * 5,
                )  # fmt: skip
            all_of = claim.synthesis
            yield (
                contrast, "all", kind, "", "", "",
                *_numbers(all_of.mean, all_of.low, all_of.high, all_of.next_low, all_of.next_high,
                          all_of.tau, claim.p_holm),
                claim.verdict,
            )  # fmt: skip


def _numbers(*values: float | None) -> list[str]:
    return [cell(each, 4) for each in values]
