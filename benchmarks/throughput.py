"""Whole-process throughput of `ablate run` against a loop of `model.fit` and bare graph loops.

    python benchmarks/throughput.py [--mnist FILE] [--full] [--turns N] [--only digits-40 …]

The contenders train the same trials, each as a process of its own, in turns; start-up counts.
At 200 digits trials and for LeNet the loop is timed on fewer trials and its time extrapolated
(marked so) unless `--full` is given. Nothing else should run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cases

HERE = Path(__file__).parent


def seconds(command: list[str], folder: Path) -> float:
    """Return how long a command takes, from start to end."""
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    took = time.perf_counter() - began
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
    return took


def ablate(text: str, folder: Path, name: str, **values: object) -> float:
    """Time `ablate run` on a case, results written anew."""
    study = cases.write(folder, name, text, **values)
    logs = folder / f"logs-{time.monotonic_ns()}"
    return seconds([sys.executable, "-m", "ablate", "run", str(study), "--logs", str(logs)], folder)


def contender(which: str, case: str, seeds: int, folder: Path, mnist: str | None) -> float:
    """Time the loop or the bare loops."""
    command = [sys.executable, str(HERE / "contenders.py"), which, case, "--seeds", str(seeds)]
    return seconds(command + (["--mnist", mnist] if mnist else []), folder)


def extrapolated(case: str, seeds: tuple[int, int], folder: Path, mnist: str | None) -> float:
    """Time the loop on a few trials and scale its marginal cost to many."""
    few = contender("loop", case, seeds[0], folder, mnist)
    start = contender("loop", case, 0, folder, mnist)
    return start + (few - start) * seeds[1] / seeds[0]


def row(
    name: str, trials: int, loop: float, mark: str, ours: list[float], bare: list[float]
) -> str:
    """Return one line of the table."""
    a, b = statistics.median(ours), statistics.median(bare)
    return (
        f"{name:<12} {trials:>6} {loop:>9.1f}{mark:1} {a:>9.1f} {b:>9.1f} "
        f"{loop / a:>12.2f} {100 * b / a:>15.0f} %"
    )


def main() -> None:
    """Measure all cases in turns and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mnist", default=os.environ.get("MNIST"), help="mnist.npz, for LeNet")
    parser.add_argument("--full", action="store_true", help="time the loop on every trial")
    parser.add_argument("--turns", type=int, default=1, help="repeats of ablate and bare")
    parser.add_argument("--only", nargs="*", default=[], help="digits-40 digits-200 lenet-100")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="ablate-bench-"))
    mnist = str(Path(asked.mnist).resolve()) if asked.mnist else None
    plans = [("digits-40", "digits", 10, 10), ("digits-200", "digits", 50, 10)]
    if mnist:
        plans.append(("lenet-100", "lenet", 100, 10))
    print(
        f"{'case':<12} {'trials':>6} {'loop, s':>10} {'ablate, s':>9} {'bare, s':>9} "
        f"{'loop/ablate':>12} {'of bare speed':>17}"
    )
    for name, case, seeds, timed in plans:
        if asked.only and name not in asked.only:
            continue
        text = cases.DIGITS if case == "digits" else cases.LENET
        ours, bare = [], []
        for _ in range(asked.turns):
            ours.append(ablate(text, folder, name, seeds=seeds, mnist=mnist))
            bare.append(contender("bare", case, seeds, folder, mnist))
        if asked.full or timed == seeds:
            loop, mark = contender("loop", case, seeds, folder, mnist), " "
        else:
            loop, mark = extrapolated(case, (timed, seeds), folder, mnist), "*"
        trials = seeds * (4 if case == "digits" else 1)
        print(row(name, trials, loop, mark, ours, bare), flush=True)
    print("* extrapolated from fewer trials; --full times them all")


if __name__ == "__main__":
    main()
