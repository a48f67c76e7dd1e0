"""What the statistics of the report hold: coverage and false claims in simulated studies.

    python benchmarks/validity.py [peeking coverage verdicts …] [--studies 4000]

Prints the tables of docs/statistics.md as Markdown. Each draws whole studies whose truth is known,
and asks the package's own functions; ± is one Monte-Carlo standard error. The tests run the same
functions with fewer studies and hold the bounds.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from ablate.analysis.best_set import best_set
from ablate.analysis.crossed import by_group, crossed
from ablate.analysis.descriptive import moments
from ablate.analysis.equivalence import adjust
from ablate.analysis.intervals import FIXED, Interval
from ablate.analysis.synthesis import random_effects
from ablate.analysis.until import replay
from ablate.study.resolved import ResolvedVariant
from ablate.study.schema.analysis import Analysis
from ablate.study.schema.data import Data
from ablate.study.schema.model import Model
from ablate.study.schema.seeds import Until
from ablate.study.schema.train import Train
from ablate.study.trial import Spec, TrialResult

ALWAYS = Interval("always_valid")
ALPHA = 0.05
Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


def _tied(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw accuracies' differences that are a few whole rows: sd 1 row."""
    return np.round(rng.normal(size=shape))


#: Differences of mean 0, by what they are called in the tables.
DIFFERENCES: dict[str, Draw] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "t3 (heavy tails)": lambda rng, shape: rng.standard_t(3, shape),
    "skewed (gamma 4, skewness 1)": lambda rng, shape: rng.gamma(4, size=shape) - 4,
    "skewed (exponential, skewness 2)": lambda rng, shape: rng.exponential(size=shape) - 1,
    "tied (whole rows, sd 1)": _tied,
}


@dataclass(frozen=True)
class Rate:
    """A share of studies with its Monte-Carlo standard error."""

    share: float
    studies: int

    @property
    def error(self) -> float:
        """√(p(1 - p)/studies)."""
        return float(np.sqrt(self.share * (1 - self.share) / self.studies))

    def __str__(self) -> str:
        return f"{100 * self.share:.1f} ± {100 * self.error:.1f} %"


def rate(events: Iterable[bool] | np.ndarray) -> Rate:
    """Return how often something happened."""
    events = np.asarray(list(events) if not isinstance(events, np.ndarray) else events, bool)
    return Rate(float(events.mean()), len(events))


# False claims while looking ------------------------------------------------------------------


def peeking(studies: int, most: int = 60) -> dict[str, dict[str, Rate]]:
    """False claims of a difference by looks after every seed, from the first look to `most`."""
    found = {}
    for name, draw in DIFFERENCES.items():
        sample = draw(np.random.default_rng(1), (most, studies))
        claims = {
            label: rate(peeked(sample, interval))
            for label, interval in (("t interval", FIXED), ("always valid", ALWAYS))
        }
        found[name] = claims
    return found


def peeked(differences: np.ndarray, interval: Interval) -> np.ndarray:
    """Return for each column of (seeds, studies) whether a look at some n excluded 0."""
    n = np.arange(1, len(differences) + 1)[:, None]
    shifted = differences - differences[0]
    mean = np.cumsum(shifted, axis=0) / n
    squares = np.maximum(np.cumsum(shifted**2, axis=0) - n * mean**2, 0)
    sd = np.sqrt(squares / np.maximum(n - 1, 1))
    width = interval.half_width(n, ALPHA)
    half = sd * np.where(np.isfinite(width), width, 0)
    # Without spread there is no interval, and nothing is claimed.
    excluded = np.isfinite(width) & (sd > 1e-9) & (np.abs(mean + differences[0]) > half)
    return np.asarray(excluded.any(axis=0))


def coverage(studies: int, sizes: Iterable[int] = (3, 5, 10, 20, 40, 60)) -> dict[str, list[Rate]]:
    """Coverage of the 95 % t interval at a number of seeds chosen beforehand."""
    found = {}
    for name, draw in DIFFERENCES.items():
        found[name] = []
        for n in sizes:
            stats = moments(draw(np.random.default_rng([2, n]), (n, studies)))
            low, high = FIXED.ends(stats, ALPHA)
            # Without spread no interval is given, and nothing is claimed.
            found[name].append(rate(np.isnan(low) | ((low <= 0) & (high >= 0))))
    return found


# Verdicts ------------------------------------------------------------------------------------

#: True effects of five variants in margins, where verdicts are hardest.
BOUNDARIES = {
    "all equal": (0, 0, 0, 0, 0),
    "all at the margin": (1, 1, 1, 1, 1),
    "three equal, two at ± the margin": (0, 0, 0, 1, -1),
    "one equal, four at twice the margin": (0, 2, 2, -2, 2),
}


def verdicts(studies: int, n: int = 8, margin: float = 1.0) -> dict[str, dict[str, Rate]]:
    """Any wrong verdict among five variants at their boundaries, and equal ones found equivalent.

    Wrong: better or worse where the effect is 0, equivalent where it is the margin or more.
    Deviations of 1; a shared baseline correlates the differences by one half.
    """
    found = {}
    for name, effects in BOUNDARIES.items():
        rng = np.random.default_rng(3)
        truth = margin * np.asarray(effects, float)
        wrong, right = [], []
        for _ in range(studies):
            differences = truth + (
                rng.normal(size=(n, len(truth))) - rng.normal(size=(n, 1))
            ) / np.sqrt(2)
            stats = moments(differences)
            pair = adjust(
                FIXED.p_difference(differences, stats),
                FIXED.p_equivalence(differences, stats, margin),
            )
            differs, equal = (each <= ALPHA for each in pair)
            wrong.append(
                (differs & (truth == 0)).any() or (equal & (np.abs(truth) >= margin)).any()
            )
            right += list(equal[truth == 0])
        found[name] = {"any wrong": rate(wrong)} | ({"equivalent": rate(right)} if right else {})
    return found


def until(
    studies: int,
    effects: Iterable[float] = (0.0, 0.5, 1.0, 2.0),
    margin: float | None = 1.0,
    step: int = 1,
) -> dict[str, tuple[dict[str, Rate], float]]:
    """Verdicts, and mean seeds, of `seeds: {until: decided}` on one variant.

    Effects and margin in deviations of the difference; skewed differences where named.
    """
    rule = Until(until="decided", at_least=5, at_most=40, step=step)
    settings = [(f"{each:g} sd", each, "normal") for each in effects]
    settings += [("0, skewness 2", 0.0, "skewed (exponential, skewness 2)")]
    found = {}
    for name, effect, shape in settings:
        rng = np.random.default_rng(4)
        said, seeds = [], []
        for _ in range(studies):
            differences = effect + DIFFERENCES[shape](rng, (rule.at_most,))
            decided = _decided(differences, rule, margin)
            said.append(decided[0])
            seeds.append(decided[1])
        kinds = ("better", "worse", "equivalent", "inconclusive")
        found[name] = (
            {kind: rate(each == kind for each in said) for kind in kinds},
            float(np.mean(seeds)),
        )
    return found


def _decided(differences: np.ndarray, rule: Until, margin: float | None) -> tuple[str, int]:
    """Return the verdict and the seeds of a study with these differences to its baseline."""
    spec = Spec(data=Data(name="digits"), model=Model(name="mlp"), train=Train())
    variants = [ResolvedVariant("plain", spec), ResolvedVariant("other", spec)]
    values = {"plain": np.full(len(differences), 50.0), "other": 50.0 + differences}
    results = [
        TrialResult(f"{name}{seed}", name, seed, "completed", metrics={"test_loss": float(value)})
        for name, own in values.items()
        for seed, value in enumerate(own)
    ]
    settings = Analysis(metric="test_loss", direction="max", margin=margin)
    found = replay(results, variants, "plain", settings, rule, range(rule.at_most))
    return found.decided["other"], found.asked["other"]


# Rows, the best, splits ----------------------------------------------------------------------


def rows(
    studies: int,
    shapes: Iterable[tuple[int, int, int]] = ((360, 3, 1), (360, 10, 1), (2000, 3, 1),
                                              (2000, 10, 1), (2000, 10, 20)),
) -> dict[str, dict[str, Rate]]:  # fmt: skip
    """Coverage for new seeds and new rows: rows by seeds, rows in groups of one or more.

    Accuracies near 97 % from a probit model: what is easy is so for all networks, seeds move all
    rows together, and each network errs on rows of its own.
    """
    from scipy import special

    found = {}
    for count, seeds, size in shapes:
        rng = np.random.default_rng([5, count, seeds, size])
        plain, grouped, t_only = [], [], []
        labels = np.arange(count) // size
        for _ in range(studies):
            tables, truths = [], []
            group = np.repeat(rng.normal(size=-(-count // size)), size)[:count]
            hard = group if size > 1 else rng.normal(size=count)
            own_hard = 0.6 * np.repeat(rng.normal(size=-(-count // size)), size)[:count]
            for shift, part in ((0.0, 0.0), (0.15, 1.0)):
                level = 2.95 + shift + 0.08 * rng.normal(size=(seeds, 1))
                noise = rng.normal(size=(seeds, count))
                tables.append(level + 1.0 * hard + part * own_hard + noise > 0)
                # Rows and seeds new: the normal parts add up.
                spread = np.sqrt(1 + 1.0 + (0.6 * part) ** 2 + 0.08**2)
                truths.append(float(special.ndtr((2.95 + shift) / spread)))
            difference = tables[1].astype(float) - tables[0]
            truth = truths[1] - truths[0]
            one = crossed(difference, 0.95)
            plain.append(one.low <= truth <= one.high)
            if size > 1:
                many = crossed(by_group(difference, labels), 0.95)
                grouped.append(many.low <= truth <= many.high)
            stats = moments(difference.mean(axis=1)[:, None])
            t_only.append(bool((stats.low <= truth)[0] and (stats.high >= truth)[0]))
        label = f"{count} rows, {seeds} seeds" + (f", groups of {size}" if size > 1 else "")
        found[label] = {"rows and seeds": rate(plain), "seeds alone": rate(t_only)}
        if grouped:
            found[label]["by group"] = rate(grouped)
    return found


def best(studies: int, variants: int = 6) -> dict[str, dict[str, Rate | float]]:
    """How often the set holds the best, and how large it is: equal variants, or one best by 1.5."""
    found: dict[str, dict[str, Rate | float]] = {}
    worlds = {
        "equal": (1.0, 0.0), "one three times as noisy": (3.0, 0.0), "one best by 1.5": (1.0, 1.5),
    }  # fmt: skip
    for n in (3, 5, 10):
        for label, (scale, lead) in worlds.items():
            rng = np.random.default_rng([6, n])
            holds, sizes = [], []
            for _ in range(studies):
                values = rng.normal(size=(n, variants))
                values[:, 0] *= scale
                values[:, 1] += lead
                kept = best_set(values, 0.95)
                holds.append(bool(kept[1]))
                sizes.append(kept.sum())
            found[f"{n} seeds, {label}"] = {
                "holds the best": rate(holds), "members": float(np.mean(sizes)),
            }  # fmt: skip
    return found


def splits(studies: int, counts: Iterable[int] = (5, 10, 30)) -> dict[str, dict[str, Rate]]:
    """Coverage of the difference of two real learners over redrawn splits of one pool of 100.

    The learners are ridge classifiers on all and on half of 20 features; the truth is their mean
    difference over pools of this size.
    """
    size, tests = 100, 20
    alone = (
        _learners(np.random.default_rng([7, k]), size, tests, 1)[0] for k in range(4 * studies)
    )
    truth = float(np.mean(list(alone)))
    found = {}
    for count in counts:
        naive, corrected = [], []
        for each in range(studies):
            values = _learners(np.random.default_rng([8, count, each]), size, tests, count)
            stats = moments(np.asarray(values)[:, None])
            for rule, into in (
                (FIXED, naive),
                (Interval("overlapping_splits", tests / (size - tests)), corrected),
            ):
                low, high = rule.ends(stats, ALPHA)
                into.append(bool(np.isnan(low[0]) or low[0] <= truth <= high[0]))
        found[f"{count} splits"] = {"t interval": rate(naive), "Nadeau and Bengio": rate(corrected)}
    return found


def _learners(rng: np.random.Generator, size: int, tests: int, count: int) -> list[float]:
    """Return the difference in accuracy of two ridge classifiers on `count` splits of a pool."""
    weights = np.linspace(1, 0.1, 20)
    x = rng.normal(size=(size, 20))
    y = np.sign(x @ weights + 2 * rng.normal(size=size))
    values = []
    for _ in range(count):
        order = rng.permutation(size)
        held, train = order[:tests], order[tests:]
        scores = []
        for columns in (20, 10):
            a = x[train, :columns]
            w = np.linalg.solve(a.T @ a + np.eye(columns), a.T @ y[train])
            scores.append(np.mean(np.sign(x[held, :columns] @ w) == y[held]))
        values.append(float(scores[0] - scores[1]))
    return values


# Printing ------------------------------------------------------------------------------------


def together(studies: int, counts: Iterable[int] = (3, 5, 10, 20)) -> dict[str, dict[str, Rate]]:
    """Coverage of a synthesis of k studies, errors .2 to .5 known: its mean, and the next study."""
    found: dict[str, dict[str, Rate]] = {}
    for tau in (0.0, 0.25, 1.0):
        for count in counts:
            rng = np.random.default_rng(0)
            mean, ahead = [], []
            for _ in range(studies):
                errors = rng.uniform(0.2, 0.5, count)
                truths = rng.normal(0, tau, count + 1)
                one = random_effects(rng.normal(truths[:-1], errors), errors, 1 - ALPHA)
                assert one is not None
                assert one.next_low is not None and one.next_high is not None
                mean.append(one.low <= 0 <= one.high)
                ahead.append(one.next_low <= truths[-1] <= one.next_high)
            found[f"{count} studies, spread {tau:g}"] = {
                "their mean": rate(mean),
                "the next study": rate(ahead),
            }
    return found


def _table(head: list[str], body: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _by_column(found: dict[str, dict]) -> str:  # type: ignore[type-arg]
    columns = list(dict.fromkeys(key for own in found.values() for key in own))
    body = [
        [name, *(f"{own[key]:.1f}" if isinstance(own.get(key), float) else str(own.get(key, "–"))
                 for key in columns)]
        for name, own in found.items()
    ]  # fmt: skip
    return _table(["", *columns], body)


def _sized(found: dict[str, list[Rate]]) -> str:
    return _table(
        ["n", "3", "5", "10", "20", "40", "60"],
        [[name, *map(str, own)] for name, own in found.items()],
    )


def _until(found: dict[str, tuple[dict[str, Rate], float]]) -> str:
    return _by_column({
        name: {**shares, "mean seeds": mean} for name, (shares, mean) in found.items()
    })  # fmt: skip


TABLES: dict[str, tuple[str, Callable[[int], object], Callable[..., str], int]] = {
    "peeking": ("False claims, a look after every seed to 60", peeking, _by_column, 1),
    "coverage": ("Coverage of the 95 % t interval at a fixed n", coverage, _sized, 1),
    "verdicts": (
        "Joint verdicts at their boundaries, 5 variants, 8 seeds",
        verdicts,
        _by_column,
        1,
    ),
    "until": ("Seeds until decided, 5 to 40, margin 1 sd", until, _until, 10),
    "rows": ("Coverage for new seeds and new test rows", rows, _by_column, 10),
    "best": ("The set that holds the best, 6 variants", best, _by_column, 1),
    "splits": ("Overlapping splits of a pool of 100 rows", splits, _by_column, 4),
    "together": ("Claims over several studies", together, _by_column, 8),
}


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=", ".join(TABLES))
    parser.add_argument("--studies", type=int, default=4000)
    arguments = parser.parse_args()
    for name in arguments.tables:
        if name not in TABLES:
            parser.error(f"no table '{name}'. Expected: {', '.join(TABLES)}.")
    for name in arguments.tables or TABLES:
        title, simulate, shown, share = TABLES[name]
        print(f"**{title}** (`{name}`)\n")
        print(shown(simulate(max(arguments.studies // share, 10))), "\n", flush=True)


if __name__ == "__main__":
    main()
