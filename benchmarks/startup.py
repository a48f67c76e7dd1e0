"""How long commands take that train nothing: start-up, reports, plans of ten thousand trials.

    python benchmarks/startup.py [--repeats 5] [--trials 10000]

Each command is a process of its own. Its whole time is printed, as the median and the least; how
many times that of `python -c pass` in the same run it is; the time of the processor, which a busy
machine leaves as it is, and as a multiple, too; its memory; and the multiple that it may take.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import cases

from ablate.config import dump_study, load_study
from ablate.execution.plan import plan
from ablate.store import Store
from ablate.study.trial import TrialResult

_FORBIDS = "PYTHONDONTWRITEBYTECODE"


@dataclass(frozen=True)
class Spent:
    """What a command took: seconds on the clock, seconds of processor, its largest memory."""

    clock: float
    processor: float
    mebibytes: float


def timed(arguments: list[str], repeats: int) -> list[Spent]:
    """Return what each run of a Python command took, after one that is not counted."""
    # Python keeps what it compiled, unless a container forbids it: no part of what is measured.
    environment = {key: value for key, value in os.environ.items() if key != _FORBIDS}
    found = []
    for _ in range(repeats + 1):
        with tempfile.TemporaryFile() as said:
            began = time.perf_counter()
            process = subprocess.Popen(
                [sys.executable, *arguments], stdout=said, stderr=said, env=environment
            )
            _, status, used = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - began
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode != 0:
                said.seek(0)
                raise SystemExit(f"{' '.join(arguments)} failed:\n{said.read().decode()}")
        found.append(Spent(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024))
    return found[1:]


def stored(folder: Path, seeds: int) -> tuple[Path, Path]:
    """Write a study of 4 x `seeds` trials and a store in which each has an outcome."""
    name = f"digits-{4 * seeds}"
    file = cases.write(folder, name, cases.DIGITS, seeds=seeds)
    logs = folder / f"logs-{seeds}"
    study = load_study(file)
    store = Store(logs, name)
    store.write_study(dump_study(study))
    curve = [0.5] * 21
    for trial in plan(study, store).trials:
        store.save(
            TrialResult(
                id=trial.id,
                variant=trial.variant,
                seed=trial.seed,
                status="completed",
                spec=trial.spec.model_dump(mode="json", by_alias=True),
                metrics={"val_loss": 0.1, "val_accuracy": 0.9, "test_loss": 0.1 + trial.seed % 7,
                         "test_accuracy": 0.9 + trial.seed % 7 / 100},
                curves=dict.fromkeys(("loss", "accuracy", "val_loss", "val_accuracy"), curve),
                epochs=20,
                steps=780,
                parameters=13706,
                rows={"train": 1222, "validation": 216, "test": 359},
                majority=0.1,
                seconds={"total": 1.0},
            )
        )  # fmt: skip
    return file, logs


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--trials", type=int, default=10_000)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="ablate-startup-"))
    small, small_logs = stored(folder, 5)
    large, large_logs = stored(folder, asked.trials // 4)
    middle, middle_logs = stored(folder, 250)
    shown = ["-m", "ablate", "report", middle.stem, "--logs", str(middle_logs)]
    commands: dict[str, tuple[list[str], float | None]] = {
        "python -c pass": (["-c", "pass"], None),
        "import ablate": (["-c", "import ablate"], None),
        "ablate --help": (["-m", "ablate", "--help"], 2),
        "status, 20 trials": (
            ["-m", "ablate", "status", small.stem, "--logs", str(small_logs)], 6),
        "plan --quick, 20 trials": (
            ["-m", "ablate", "plan", str(small), "--quick", "--logs", str(folder / "none")], 6),
        "report, 20 trials": (
            ["-m", "ablate", "report", small.stem, "--logs", str(small_logs)], 10),
        "report, 1000 trials": (shown, 40),
        "report --format html, 1000 trials": ([*shown, "--format", "html"], None),
        "run with nothing to do, 20 trials": (
            ["-m", "ablate", "run", str(small), "--logs", str(small_logs)], None),
        "run with nothing to do, 1000 trials": (
            ["-m", "ablate", "run", str(middle), "--logs", str(middle_logs)], None),
        f"plan --quick, {asked.trials} trials, none done": (
            ["-m", "ablate", "plan", str(large), "--quick", "--logs", str(folder / "none")], None),
        f"status, {asked.trials} trials done": (
            ["-m", "ablate", "status", large.stem, "--logs", str(large_logs)], None),
    }  # fmt: skip
    print(
        f"{'':<42} {'median':>7} {'least':>7} {'times':>6} {'CPU':>7} {'times':>6} {'MiB':>5}"
        "  at most"
    )
    least: Spent | None = None
    for name, (arguments, most) in commands.items():
        found = timed(arguments, asked.repeats)
        clock = sorted(each.clock for each in found)
        processor = sorted(each.processor for each in found)
        least = least or Spent(clock[0], processor[0], 0)
        print(
            f"{name:<42} {statistics.median(clock):>7.2f} {clock[0]:>7.2f} "
            f"{clock[0] / least.clock:>6.1f} {processor[0]:>7.2f} "
            f"{processor[0] / least.processor:>6.1f} {max(s.mebibytes for s in found):>5.0f}"
            f"  {most or ''}",
            flush=True,
        )
    store = Store(large_logs, large.stem)
    scans = []
    for _ in range(asked.repeats):
        began = time.perf_counter()
        assert not plan(load_study(large), store).todo
        scans.append(time.perf_counter() - began)
    print(f"the plan and the scan in it, without start-up: {statistics.median(scans):.2f} s")


if __name__ == "__main__":
    main()
