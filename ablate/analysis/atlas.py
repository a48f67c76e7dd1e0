"""What the studies of the atlas say together: placements and rates, study by study, then over all.

A combination is a network on a data set: trials of every placement at every rate. For each
placement the rate is that with the best mean validation metric; the shared one is the plain
network's. Contrasts of test metrics, seed by seed, are estimates; over combinations they are
claims (`claims`), in points of accuracy or in the log ratio of RMSE.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from ablate.analysis.claims import RMSE, Claim, Estimate, claim_of, corrected
from ablate.study.trial import TrialResult

#: The factors that every study of the atlas has, and the level that is the baseline.
PLACEMENT, RATE, PLAIN = "placement", "rate", "plain"

#: A contrast: placement and rule for its rate ("own" or "shared"), against another.
Side = tuple[str, str]

#: What is asked of every combination: each placement against the plain network, both at the rate
#: that is best for them, and both at the plain network's.
PLACEMENTS = ("bn-before", "bn-after", "dropout-before", "dropout-after", "both")
CONTRASTS: Mapping[str, tuple[Side, Side]] = {
    **{each: ((each, "own"), (PLAIN, "own")) for each in PLACEMENTS},
    **{f"{each}, shared rate": ((each, "shared"), (PLAIN, "own")) for each in PLACEMENTS},
    "bn: before, not after": (("bn-before", "own"), ("bn-after", "own")),
    "dropout: before, not after": (("dropout-before", "own"), ("dropout-after", "own")),
    "bn, not dropout": (("bn-before", "own"), ("dropout-after", "own")),
    "dropout added to bn": (("both", "own"), ("bn-before", "own")),
    "bn added to dropout": (("both", "own"), ("dropout-after", "own")),
    "bn's own rate, not the shared": (("bn-before", "own"), ("bn-before", "shared")),
}


@dataclass(frozen=True)
class Combination:
    """A network on a data set: its trials, by placement, rate and seed."""

    name: str
    data: str
    network: str
    rates: tuple[str, ...]  # ascending
    results: tuple[TrialResult, ...]
    planned: int

    @property
    def finished(self) -> bool:
        """Whether every trial has an outcome."""
        return sum(each.final for each in self.results) >= self.planned

    @cached_property
    def metric(self) -> str:
        """What it is claimed in: "accuracy" or `RMSE`."""
        with_accuracy = any("test_accuracy" in each.metrics for each in self.results)
        return "accuracy" if with_accuracy else RMSE

    @cached_property
    def cells(self) -> Mapping[tuple[str, str], Mapping[int, TrialResult]]:
        """The completed trials by placement and rate, then by seed."""
        found: dict[tuple[str, str], dict[int, TrialResult]] = {}
        for each in self.results:
            if each.status == "completed":
                key = each.factors[PLACEMENT], each.factors[RATE]
                found.setdefault(key, {})[each.seed] = each
        return found

    def rate(self, placement: str) -> str | None:
        """Return the rate with the best mean on validation rows; None where none completed.

        Rates at which more seeds completed come first.
        """
        ranked = []
        for place, rate in enumerate(self.rates):
            trials = self.cells.get((placement, rate), {})
            scores = [self._value(each, "val") for each in trials.values()]
            known = [each for each in scores if each is not None]
            if known:
                sign = 1.0 if self.metric == "accuracy" else -1.0
                ranked.append((len(known), sign * float(np.mean(known)), -place, rate))
        return max(ranked)[-1] if ranked else None

    def scores(self, side: Side) -> Mapping[int, float]:
        """Return the test values of a placement at its rate by seed; of RMSE the logarithms."""
        placement, rule = side
        rate = self.rate(placement if rule == "own" else PLAIN)
        trials = {} if rate is None else self.cells.get((placement, rate), {})
        found = {seed: self._value(each, "test") for seed, each in trials.items()}
        return {seed: value for seed, value in found.items() if value is not None}

    def estimate(self, contrast: tuple[Side, Side]) -> Estimate | None:
        """Return a contrast over seeds; None where fewer than two completed on both sides."""
        own, base = (self.scores(side) for side in contrast)
        pairs = sorted(own.keys() & base.keys())
        if len(pairs) < 2:
            return None
        values = np.array([own[seed] - base[seed] for seed in pairs])
        values = np.where(np.abs(values) < 1e-6, 0.0, values)  # rounding
        error = float(values.std(ddof=1)) / math.sqrt(len(pairs))
        return Estimate(
            self.name,
            contrast[0][0],
            len(pairs),
            float(values.mean()),
            error if error > 1e-9 else 0,
        )

    def _value(self, trial: TrialResult, split: str) -> float | None:
        if self.metric == "accuracy":
            return trial.metrics.get(f"{split}_accuracy")
        loss = trial.metrics.get(f"{split}_loss")
        return 0.5 * math.log(loss) if loss else None


@dataclass(frozen=True)
class Prediction:
    """Where an estimate of a held-back combination is expected, said before it was trained."""

    combination: str
    contrast: str
    metric: str
    low: float
    high: float


def claims(combinations: Sequence[Combination], contrasts: Iterable[str]) -> dict[str, list[Claim]]:
    """Return for each contrast its claims over combinations: on accuracy, on RMSE.

    p is corrected for all of them together.
    """
    found: list[Claim] = []
    for name in contrasts:
        for metric in ("accuracy", RMSE):
            own = [each for each in combinations if each.metric == metric]
            sides = CONTRASTS[name]
            claim = claim_over(own, name, partial(Combination.estimate, contrast=sides))
            if claim is not None:
                found.append(claim)
    by_name: dict[str, list[Claim]] = {}
    for claim in corrected(found, CONFIDENCE):
        by_name.setdefault(claim.name, []).append(claim)
    return by_name


#: Of every interval of the atlas.
CONFIDENCE = 0.95


def claim_over(
    combinations: Sequence[Combination],
    name: str,
    estimate: Callable[[Combination], Estimate | None],
) -> Claim | None:
    """Return the claim that combinations of one metric make; None of fewer than two."""
    found = [made for each in combinations if (made := estimate(each)) is not None]
    if len(found) < 2:
        return None
    metric = combinations[0].metric
    direction = "max" if metric == "accuracy" else "min"
    return claim_of(name, name, metric, direction, found, CONFIDENCE)  # type: ignore[arg-type]


def difference(few: Combination, many: Combination, contrast: str) -> Estimate | None:
    """Return how a contrast differs between two combinations: the first's minus the second's."""
    one, other = (each.estimate(CONTRASTS[contrast]) for each in (few, many))
    if one is None or other is None:
        return None
    return Estimate(
        few.network, one.variant, min(one.n, other.n), one.mean - other.mean,
        math.hypot(one.error, other.error),
    )  # fmt: skip


def predict(trained: Sequence[Combination], held_back: Mapping[str, str]) -> list[Prediction]:
    """Foretell each placement's estimate in combinations that are not trained yet.

    The interval is that of the next study's estimate: its true effect, and the typical error of
    its seeds.

    Args:
        trained: all others.
        held_back: the metric of each by its name.
    """
    found = []
    for contrast in PLACEMENTS:
        for metric in dict.fromkeys(held_back.values()):
            own = [each for each in trained if each.metric == metric]
            made = [e for each in own if (e := each.estimate(CONTRASTS[contrast])) is not None]
            if len(made) < 3:
                continue
            typical = float(np.median([each.error for each in made]))
            claim = claim_of(contrast, contrast, metric, "max", made, CONFIDENCE, typical)
            low, high = claim.synthesis.next_low, claim.synthesis.next_high
            assert low is not None and high is not None
            found += [
                Prediction(name, contrast, metric, low, high)
                for name, own_metric in held_back.items()
                if own_metric == metric
            ]
    return found
