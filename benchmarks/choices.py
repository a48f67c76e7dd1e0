"""What the settings that trials run with are worth: the digits study as it is, and otherwise.

    python benchmarks/choices.py [--study configs/digits.yaml] [--turns 1]

Each measurement is one `ablate run` into an empty folder, start-up included; within a turn every
choice runs once, the shipped settings first. Nothing else should run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time

CHOICES: dict[str, list[str]] = {
    "as shipped: a worker per core, one thread each": [],
    "one worker, one thread": ["--workers", "1"],
    "one worker, two threads": ["--workers", "1", "--set", "train.threads=2"],
    "XLA": ["--set", "train.jit_compile=true"],
    "trained models saved": ["--set", "train.save=final"],
    "a callback that hears every batch": [
        "--set", "train.callbacks=[{call: 'keras.callbacks:TerminateOnNaN'}]"],
}  # fmt: skip


def run(study: str, options: list[str]) -> float:
    """Run the study once and return its wall seconds."""
    with tempfile.TemporaryDirectory() as logs:
        command = [sys.executable, "-m", "ablate", "run", study, "--logs", logs, "--quiet"]
        began = time.perf_counter()
        subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--study", default="configs/digits.yaml")
    parser.add_argument("--turns", type=int, default=1)
    asked = parser.parse_args()
    found: dict[str, list[float]] = {name: [] for name in CHOICES}
    for _ in range(asked.turns):
        for name, options in CHOICES.items():
            found[name].append(run(asked.study, options))
    shipped = statistics.median(next(iter(found.values())))
    print(f"{asked.study}, turns: {asked.turns}")
    print(f"{'':<48} {'seconds':>8} {'ratio':>6}")
    for name, each in found.items():
        middle = statistics.median(each)
        print(f"{name:<48} {middle:>8.1f} {middle / shipped:>6.2f}")


if __name__ == "__main__":
    main()
