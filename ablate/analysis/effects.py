"""What is found of a study, as frozen values: the parts of an `Analysis`, which the report draws.

No number is made here. Every field that could not be computed is None (too few seeds, nothing
completed), never NaN; every mapping "by seed" has the seeds in ascending order. Differences are
always *variant minus baseline* in the metric's own unit, whatever its direction; `better` says
which way that points.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ablate.analysis.crossed import Crossed
from ablate.study.resolved import Origin

Direction = Literal["max", "min"]

#: What may be said of a difference. `better` and `worse` after correction for the comparisons of
#: the family; `equivalent`: nearer to zero than `analysis.margin`; `inconclusive`: none of these is
#: shown; `described` has one or two seeds; `missing` has none.
Verdict = Literal["better", "worse", "equivalent", "inconclusive", "described", "missing"]

#: What an interval of per-seed differences is valid for. `fixed_n`: the t interval, for a number of
#: seeds chosen before any was seen. `always_valid`: however often one looks while seeds are added
#: (`analysis.anytime`). `overlapping_splits`: each seed has rows of its own, drawn from one pool
#: (`analysis.overlap`, Nadeau and Bengio).
IntervalKind = Literal["fixed_n", "always_valid", "overlapping_splits"]

#: What a published claim comes to (`analysis.expectations`).
ClaimVerdict = Literal["consistent", "inconsistent", "too imprecise", "not judged"]

Severity = Literal["warning", "note"]

HeldOut = Literal["test", "val"]


@dataclass(frozen=True)
class MetricSummary:
    """One metric of one variant over its completed trials.

    `low` and `high` are the t interval of the mean at the study's confidence, from three seeds;
    Nadeau and Bengio's where each seed draws rows of its own from one pool.
    """

    values: Mapping[int, float] = field(default_factory=dict)  # by seed
    n: int = 0
    mean: float | None = None
    sd: float | None = None  # n - 1 in the denominator
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Rate:
    """`count` of `of` trials, with Wilson's interval, and Fisher's exact p against the baseline.

    `rate`, `low`, `high` are None when `of` is 0; `p` is None for the baseline itself, too.
    """

    count: int
    of: int
    rate: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None


@dataclass(frozen=True)
class Failures:
    """What became of a variant's trials, by kind, before any mean is taken.

    Rates are among the trials that have an outcome (completed, diverged or failed). A collapsed
    trial completed, with a finite loss, at chance; so it is counted apart (`collapsed`, among the
    completed trials that could be judged) and together (`lost`: diverged, failed or collapsed).
    `failures` is diverged or failed.
    """

    planned: int
    completed: int
    diverged: Rate
    failed: Rate
    failures: Rate
    collapsed: Rate
    lost: Rate
    pending: int = 0  # planned, without an outcome yet (interrupted ones included)
    diverged_seeds: tuple[int, ...] = ()
    failed_seeds: tuple[int, ...] = ()
    collapsed_seeds: tuple[int, ...] = ()


@dataclass(frozen=True)
class VariantSummary:
    """One variant: how many trials, what failed, every metric seed by seed."""

    name: str
    n: int  # completed trials
    failures: Failures
    metrics: Mapping[str, MetricSummary]
    factors: Mapping[str, str] = field(default_factory=dict)
    origin: Origin = "declared"
    alias_of: str | None = None
    notes: tuple[str, ...] = ()  # of its trials, each once
    cautions: tuple[str, ...] = ()  # likewise


@dataclass(frozen=True)
class Comparison:
    """A per-seed difference and all that may be said of it.

    `low`, `high` and `p` are the interval and the test that `interval` names, per comparison, from
    three seeds (`always_valid`: four). `p_holm` is `p` corrected for the comparisons of `family`:
    Holm's, or with a margin that of the joint rule (`analysis.equivalence`), by which
    `p_equivalence`, the p of "at least `margin` away from zero", is corrected, too. `verdict`
    follows these two.

    The rest supplements it. Cohen's d of the differences; the correlation that pairing bought.
    What 80 % power asks for, at the level that the verdict uses (α over the comparisons) and at
    the observed spread, with intervals as wide as the spread is uncertain: `detectable`, the
    smallest effect that this n finds (`detectable_d` in standard deviations); `seeds_needed` for
    the observed effect (`seeds_needed_high` is None where the data allow an effect of zero);
    `margin_shown`, the smallest margin within which this n would show equal variants equivalent;
    `equivalence_seeds`, the seeds that would show it within `margin`. `crossed` has the interval
    for new test rows as well, where every seed was tested on the same ones.

    The sensitivity checks are None where n does not allow them: `sign_flip_p`, the exact sign-flip
    test; from n = 20 `bca_low`, `bca_high` and `improvement`, the share of seeds in which the
    variant was better (ties count half), with Wilson's interval.
    """

    metric: str
    direction: Direction
    n: int
    differences: Mapping[int, float] = field(default_factory=dict)  # by seed
    mean: float | None = None
    sd: float | None = None
    interval: IntervalKind = "fixed_n"
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_holm: float | None = None
    margin: float | None = None
    p_equivalence: float | None = None
    family: str = ""
    family_size: int = 0
    verdict: Verdict = "missing"
    cohens_d: float | None = None
    correlation: float | None = None
    detectable: float | None = None
    detectable_low: float | None = None
    detectable_high: float | None = None
    detectable_d: float | None = None
    seeds_needed: int | None = None
    seeds_needed_low: int | None = None
    seeds_needed_high: int | None = None
    margin_shown: float | None = None
    equivalence_seeds: int | None = None
    crossed: Crossed | None = None
    sign_flip_p: float | None = None
    bca_low: float | None = None
    bca_high: float | None = None
    improvement: float | None = None
    improvement_low: float | None = None
    improvement_high: float | None = None
    collapsed: int = 0  # pairs in which a side ended at chance
    caveat: str = ""  # what must be known with the verdict: "moving averages not converged"
    words: str = ""  # one plain sentence

    @property
    def better(self) -> bool | None:
        """Whether the mean difference points the good way; None without one, or at exactly 0."""
        if not self.mean:
            return None
        return (self.mean > 0) == (self.direction == "max")


@dataclass(frozen=True)
class Effect(Comparison):
    """A variant minus the baseline."""

    variant: str = ""
    baseline: str = ""


@dataclass(frozen=True)
class FactorEffect(Comparison):
    """A contrast of a factorial study: a main effect, a trend, an interaction, a simple effect.

    `factors`, `levels` and `references` go together, one entry per factor involved; a factor with
    more than two levels has a contrast for each against its first. Averaged over the levels of all
    other factors (`averaged_over`); an interaction is the difference of differences,
    y11 - y10 - y01 + y00.

    A factor of three numbers or more has a trend, too: the change along a fitted line from its
    smallest level to its largest (over the logarithm, where `trend` is "log"). A simple effect is
    a main effect at single levels of the factors that it interacts with (`within`, "dropout=on").
    """

    name: str = ""  # "bn", "bn × dropout", "lr=high (against low)"
    order: int = 1  # 1 main effect; 2, 3 interactions
    factors: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    missing_cells: tuple[str, ...] = ()  # those of its cells that no seed completed
    averaged_over: tuple[str, ...] = ()
    trend: Literal["linear", "log"] | None = None
    within: tuple[str, ...] = ()


@dataclass(frozen=True)
class Contribution(Comparison):
    """What a layer, site or placement adds: `origin` minus `without`; rank 1 helps most."""

    what: str = ""
    origin: str = ""  # the variant it was left out of
    without: str = ""  # the variant that lacks it
    rank: int | None = None


@dataclass(frozen=True)
class BestSet:
    """The variants among which the best is, with the study's confidence (`analysis.best_set`).

    A variant that is not among them is beaten by one that is. `members` and `ruled_out` have the
    best mean first; `without` completed no trial. `fewest_parameters` are the members that have
    them; `fastest` is the one whose inference is faster than any other member's by more than their
    quartiles, if there is one.
    """

    metric: str
    n: int  # seeds that all of them completed
    members: tuple[str, ...]
    ruled_out: tuple[str, ...]
    without: tuple[str, ...] = ()
    means: Mapping[str, float] = field(default_factory=dict)  # over those seeds
    fewest_parameters: tuple[str, ...] = ()
    fastest: str | None = None
    words: str = ""  # a few sentences


@dataclass(frozen=True)
class Spread:
    """A measured quantity: its median, its quartiles, its extremes."""

    n: int
    median: float
    low: float  # first quartile
    high: float  # third quartile
    min: float
    max: float


@dataclass(frozen=True)
class Cost:
    """What a variant costs. Ratios are of medians, to the baseline."""

    variant: str
    parameters: int | None = None
    parameters_ratio: float | None = None
    seconds_per_epoch: Spread | None = None
    seconds_per_epoch_ratio: float | None = None
    inference: Spread | None = None  # seconds per 1000 examples
    inference_ratio: float | None = None
    seconds: float | None = None  # total, over all trials


@dataclass(frozen=True)
class LearningSpeed:
    """How long a variant takes to reach a target on the validation curve.

    The target is a given value, or per seed what the baseline ended with. A seed that never
    reaches it has None (censored, not left out); the medians are over all seeds and None where
    the median seed never reaches it. `speedup` is the median over seeds of baseline steps / steps,
    over the seeds in which either got there; None when that is 0 or infinite.
    """

    variant: str
    curve: str  # the name of the curve, `val_accuracy`
    target: float | None  # the given value, or the mean of the baseline's
    target_kind: Literal["given", "baseline"]
    n: int
    reached: int
    epochs: Mapping[int, int | None] = field(default_factory=dict)  # by seed
    steps: Mapping[int, int | None] = field(default_factory=dict)  # by seed
    median_epochs: float | None = None
    median_steps: float | None = None
    speedup: float | None = None


@dataclass(frozen=True)
class Gap:
    """The generalisation gap: train minus test, both in inference mode, of one metric.

    `against` is the paired comparison of the gap with the baseline's (None for the baseline).
    """

    variant: str
    metric: str  # bare: `accuracy`, `loss`
    summary: MetricSummary
    against: Comparison | None = None
    held_out: HeldOut = "test"  # val where there are no test rows


@dataclass(frozen=True)
class Guard:
    """Something the reader must know before believing a number."""

    kind: str
    severity: Severity
    text: str
    variants: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The text behind the word that says how grave it is, as every format has it."""
        return f"{'Beware' if self.severity == 'warning' else 'Note'}: {self.text}"


@dataclass(frozen=True)
class Expectation:
    """A published claim and what was found here.

    `published_low` and `published_high` are the interval of a published rate; `consistent_low` and
    `consistent_high` where our result is consistent, by the study's margin or range (one of them
    is None for an order). `difference`, ours minus the published value, has its interval where a
    margin is given. `reason` says why there is no verdict, `weak` why the published side is weak
    evidence; both are "" otherwise.
    """

    claim: Literal["value", "ordering", "collapse_rate", "ratio"]
    variant: str
    than: str | None
    metric: str
    source: str
    verdict: ClaimVerdict
    text: str
    reason: str = ""
    weak: str = ""
    published: float | None = None
    published_low: float | None = None
    published_high: float | None = None
    published_n: int | None = None
    margin: float | None = None
    consistent_low: float | None = None
    consistent_high: float | None = None
    ours: float | None = None
    ours_low: float | None = None
    ours_high: float | None = None
    ours_n: int = 0
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    seeds_needed: int | None = None  # in all, when too imprecise
