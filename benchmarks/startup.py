"""How long commands take that train nothing: start-up, reports, plans of ten thousand trials.

    python benchmarks/startup.py [--repeats 5] [--trials 10000]

Each command is a process of its own; the median and the range of its whole time are printed.
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

from ablate.config import dump_study, load_study
from ablate.execution.plan import plan
from ablate.store import Store
from ablate.study.trial import TrialResult

_FORBIDS = "PYTHONDONTWRITEBYTECODE"


def timed(arguments: list[str], repeats: int) -> list[float]:
    """Return the seconds of each run of a Python command, after one that is not counted."""
    # Python keeps what it compiled, unless a container forbids it: no part of what is measured.
    environment = {key: value for key, value in os.environ.items() if key != _FORBIDS}
    found = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, *arguments], capture_output=True, text=True, env=environment
        )
        found.append(time.perf_counter() - began)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stdout}\n{done.stderr}")
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
    commands = {
        "python -c pass": ["-c", "pass"],
        "import ablate": ["-c", "import ablate"],
        "ablate --help": ["-m", "ablate", "--help"],
        "status of 20 trials": ["-m", "ablate", "status", small.stem, "--logs", str(small_logs)],
        "run with nothing to do, 20 trials": [
            "-m", "ablate", "run", str(small), "--logs", str(small_logs)],
        "report, 1000 trials": [
            "-m", "ablate", "report", middle.stem, "--logs", str(middle_logs)],
        "report --format html, 1000 trials": [
            "-m", "ablate", "report", middle.stem, "--format", "html",
            "--logs", str(middle_logs)],
        f"plan --quick, {asked.trials} trials, none done": [
            "-m", "ablate", "plan", str(large), "--quick", "--logs", str(folder / "none")],
        f"status (a resume scan), {asked.trials} trials done": [
            "-m", "ablate", "status", large.stem, "--logs", str(large_logs)],
    }  # fmt: skip
    print(f"{'':<46} {'median':>8} {'least':>8} {'most':>8}   seconds")
    for name, arguments in commands.items():
        told(name, timed(arguments, asked.repeats))
    store = Store(large_logs, large.stem)
    scans = []
    for _ in range(asked.repeats):
        began = time.perf_counter()
        assert not plan(load_study(large), store).todo
        scans.append(time.perf_counter() - began)
    told("the plan and the scan in it, without start-up", scans)


def told(name: str, found: list[float]) -> None:
    """Print a row."""
    print(
        f"{name:<46} {statistics.median(found):>8.2f} {min(found):>8.2f} {max(found):>8.2f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
