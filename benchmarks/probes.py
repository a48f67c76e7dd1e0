"""What the probes cost: the digits study with and without each, in turns.

    python benchmarks/probes.py [--study configs/digits.yaml] [--turns 3] [--probes activations …]

Each measurement is one `ablate run` as a user types it, start-up included, into an empty folder.
Within a turn, every contender runs once, without probes first. Printed are the medians, their
ratio to the study without probes, and what the trials themselves booked on their probes. Nothing
else should run on the machine meanwhile.

Target: `activations`, once an epoch, below 1.10 times the study without it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TARGET = 1.10
PROBES = (
    "activations", "batchnorm", "covariate_shift", "dropout", "gradients", "inference", "landscape",
    "mistakes", "perturbation", "variance_shift",
)  # fmt: skip


def run(study: str, probe: str | None) -> tuple[float, float]:
    """Run the study once; return its wall seconds, and the seconds its trials gave to probes."""
    with tempfile.TemporaryDirectory() as logs:
        command = [sys.executable, "-m", "ablate", "run", study, "--logs", logs, "--quiet"]
        if probe is not None:
            command += ["--set", f"probes=[{probe}]"]
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        wall = time.perf_counter() - start
        records = [json.loads(each.read_text()) for each in Path(logs).glob("*/trials/*.json")]
    return wall, sum(each["seconds"].get("probes", 0.0) for each in records)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--study", default="configs/digits.yaml")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--probes", nargs="+", default=list(PROBES), choices=PROBES)
    arguments = parser.parse_args()
    contenders: list[str | None] = [None, *arguments.probes]
    walls: dict[str | None, list[float]] = {each: [] for each in contenders}
    booked: dict[str | None, list[float]] = {each: [] for each in contenders}
    for _ in range(arguments.turns):
        for each in contenders:
            wall, own = run(arguments.study, each)
            walls[each].append(wall)
            booked[each].append(own)
    plain = statistics.median(walls[None])
    print(f"{arguments.study}, {arguments.turns} turns; seconds are medians of the whole process")
    print(f"{'probe':<18}{'seconds':>9}{'ratio':>8}{'booked':>9}")
    for each in contenders:
        wall = statistics.median(walls[each])
        own = statistics.median(booked[each])
        print(f"{each or 'none':<18}{wall:>9.1f}{wall / plain:>8.2f}{own:>9.1f}")
    if "activations" in contenders:
        ratio = statistics.median(walls["activations"]) / plain
        print(f"activations: {ratio:.3f}, target below {TARGET:.2f}: {ratio < TARGET}")


if __name__ == "__main__":
    main()
