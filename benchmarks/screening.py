"""What a screening is worth: simulated networks of 15 sites, the same budget for every method.

    python benchmarks/screening.py [--worlds 250]

A world says what each subset of sites scores, and noise of deviation 1 is added to every training.
Screening takes 32 networks with 2 seeds; one at a time and leave-one-out take 16 networks with 4.
Coverage is that of the 95 % intervals of average effects; regret is what the subset chosen scores
below the best subset of all 32768.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

from ablate.analysis.screening import picked, site_effects
from ablate.study.design import screening_runs

SITES, SEEDS, NOISE = 15, 2, 1.0

Score = Callable[[np.ndarray], np.ndarray]

EVERY = 1 - 2 * ((np.arange(2**SITES)[:, None] >> np.arange(SITES)) & 1)


def world(kind: str, rng: np.random.Generator) -> Score:
    """Return what subsets score: 6 of the sites add or take 1, the others nothing; and, by kind,
    pairs interact by 1 where both are on (8 of the 105), or all that sites add saturates at 3."""
    alone = rng.permutation(np.r_[rng.choice([-1.0, 1.0], 6), np.zeros(SITES - 6)])
    upper = np.array(np.triu_indices(SITES, 1)).T
    pairs = upper[rng.choice(len(upper), 8 if kind == "interacting" else 0, replace=False)]
    signs = rng.choice([-1.0, 1.0], len(pairs))

    def score(levels: np.ndarray) -> np.ndarray:
        on = np.atleast_2d(levels) > 0
        found = on @ alone
        for (i, j), sign in zip(pairs, signs, strict=True):
            found = found + sign * (on[:, i] & on[:, j])
        return 3 * np.tanh(found / 3) if kind == "saturating" else found

    return score


def trial(kind: str, rng: np.random.Generator) -> dict[str, float]:
    """Return what each method comes to in one world."""
    score = world(kind, rng)
    truth = score(EVERY)
    average = 2 / len(EVERY) * EVERY.T @ truth
    runs = np.array(screening_runs(SITES))
    block = 3 * rng.normal(size=(1, SEEDS))
    found = site_effects(
        runs, score(runs)[:, None] + block + NOISE * rng.normal(size=(len(runs), SEEDS)), 0.95
    )
    assert found is not None and found.lack_of_fit is not None
    good, _ = picked(found.effects, "max")
    chosen = {"screening": good, "significant only": (found.effects > 0) & (found.p_holm < 0.05)}
    for name, base in (("one at a time", -1.0), ("leave-one-out", 1.0)):
        networks = np.full((SITES + 1, SITES), base)
        networks[np.arange(1, SITES + 1), np.arange(SITES)] = -base
        seen = score(networks) + NOISE * rng.normal(size=(4, SITES + 1)).mean(axis=0)
        chosen[name] = (seen[1:] > seen[0]) if base < 0 else (seen[1:] < seen[0])
    best = truth.max()
    return {
        "coverage": float(((found.low <= average) & (average <= found.high)).mean()),
        "lack of fit": float(found.lack_of_fit < 0.05),
        **{
            name: float(best - score(np.where(subset, 1, -1))[0]) for name, subset in chosen.items()
        },
    }


def simulate(kind: str, worlds: int, seed: int = 0) -> dict[str, tuple[float, float]]:
    """Return the mean of every figure over worlds, with its Monte-Carlo standard error."""
    rng = np.random.default_rng(seed)
    trials = [trial(kind, rng) for _ in range(worlds)]
    table = {name: np.array([each[name] for each in trials]) for name in trials[0]}
    return {name: (each.mean(), each.std(ddof=1) / np.sqrt(worlds)) for name, each in table.items()}


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--worlds", type=int, default=250)
    worlds = options.parse_args().worlds
    names: list[str] = []
    for kind in ("additive", "interacting", "saturating"):
        found = simulate(kind, worlds)
        if not names:
            names = list(found)
            print(f"{'world':12s}" + "".join(f"{name:>18s}" for name in names))
        cells = "".join(f"{mean:>11.3f} ±{error:.3f}" for mean, error in found.values())
        print(f"{kind:12s}{cells}")


if __name__ == "__main__":
    main()
