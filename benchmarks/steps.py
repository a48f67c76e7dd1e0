"""What a step and a further seed cost inside a worker, and whether its memory stays flat.

    python benchmarks/steps.py [--trials 200] [--turns 5]

One process, one thread. `model.fit`, the program and a bare graph loop train epochs of the same
network on the same rows in turns; then a worker trains many seeds of one variant.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import contenders

from ablate.suppress_stderr import quiet_start


def memory() -> float:
    """Return the resident memory of this process in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return float("nan")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--turns", type=int, default=5)
    asked = parser.parse_args()
    with quiet_start():
        from ablate.training import configure

        configure(1)
    steps(asked.turns)
    seeds(asked.trials)


def steps(turns: int) -> None:
    """Time an epoch of each way, in turns."""
    import numpy as np
    import tensorflow as tf

    from ablate.training.model_cache import prepared_model
    from ablate.training.rows import rows_of

    trial = trials(1)[0]
    spec = trial.spec
    rows = rows_of(spec, 0)
    prepared = prepared_model(spec, rows, 0, own=False)
    prepared.begin(0, spec.train.learning_rate, rows)
    count, batch = len(rows.splits.rows_train), spec.train.batch_size
    order = np.arange(count, dtype="int32")
    number = -(-count // batch)
    rates = np.full(number + 1, spec.train.learning_rate, "float32")
    data = contenders.tensors("digits", None)
    data["train"] = rows.train.batch(0, rows.train.rows)  # the very same rows
    bare = contenders.Bare("digits", "both", data)
    model = contenders.network("digits", "both")
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    x, y = rows.splits.x_train, rows.splits.y_train

    def one_bare() -> float:
        return float(bare.epoch(*data["train"], tf.constant(order)))

    ways = {
        "model.fit": lambda: model.fit(x, y, batch_size=batch, verbose=0),
        "program": lambda: prepared.program.train(rows.train, order, rates, batch),
        "bare loop": one_bare,
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(turns + 1):
        for name, way in ways.items():
            repeats = 1 if name == "model.fit" else 5
            began = time.perf_counter()
            for _ in range(repeats):
                way()
            if turn:  # the first one traces
                found[name].append((time.perf_counter() - began) / repeats / number)
    base = statistics.median(found["bare loop"])
    print("digits CNN with BN and Dropout, batch 32, one thread, per step:")
    for name, each in found.items():
        middle = statistics.median(each)
        print(
            f"  {name:<10} {1000 * middle:6.3f} ms ({1000 * min(each):.3f} to "
            f"{1000 * max(each):.3f}), {middle / base:5.2f} times the bare loop"
        )


def trials(count: int) -> list:
    """Return trials of one variant, with as many seeds."""
    from ablate.execution.plan import plan
    from ablate.store import Store
    from ablate.study.study import Study

    placed = [
        {"layer": "BatchNormalization", "at": "before_activation", "where": "hidden"},
        {"layer": "Dropout", "rate": 0.5, "at": "after_activation", "where": "dense"},
    ]
    study = Study(
        study="steps",
        data={"name": "digits"},
        model={"name": "cnn", "filters": [16, 32]},
        train={"epochs": 20, "threads": 1, "learning_rate": 0.05},
        seeds=count,
        variants={"both": {"insert": placed}},
    )
    return list(plan(study, Store("/nowhere", "steps")).trials)


def seeds(count: int) -> None:
    """Train many seeds of one variant and tell what each costs beyond its steps."""
    from ablate.training import run_group

    began, beyond, evaluated, grown = time.perf_counter(), [], [], []
    for index, (result, _, _) in enumerate(run_group(trials(count))):
        now = time.perf_counter()
        spent = result.seconds
        if index:
            beyond.append(now - began - spent["train"] - spent["evaluate"])
            evaluated.append(spent["evaluate"])
        if index in (20, count // 2, count - 1):
            grown.append((index + 1, memory()))
        began = now
    told = ", ".join(f"{number} trials {value:.0f} MiB" for number, value in grown)
    print(
        f"a further seed costs its steps, its evaluations "
        f"({1000 * statistics.median(evaluated):.0f} ms) and "
        f"{1000 * statistics.median(beyond):.0f} ms "
        f"({1000 * min(beyond):.0f} to {1000 * max(beyond):.0f})"
    )
    print(f"memory of the worker after {told}")


if __name__ == "__main__":
    main()
