"""What surgery costs, in units of what it stands beside: `predict` and building the model.

    python benchmarks/surgery.py [--cases chain100,chain300,chain1000,vgg16] [--turns 3]

A chain has that many Dense layers of 32 units with ReLU and runs on 256 rows; VGG16 has random
weights and runs on `--images` images of `--size` pixels. Each turn of a case is a process of its
own, which builds the model and does every step once:

- `predict`: a fresh model's first `predict`, tracing included, as every step of surgery traces;
- `insert`: a BatchNormalization before the activation of each hidden layer, calibrated on all
  rows; beside one `predict` and the construction of the new model (its `from_config`);
- `certify` of the two; beside the `predict` of both;
- `replace` (GroupNormalization for each BatchNormalization), `fold` and `remove` of them; beside
  that construction.

Seconds are those of the wall, and of the processors in brackets, which other work on the machine
moves less. The peak is that of a process which does that step alone after building the model.

Targets: `certify` 3 times the two predicts, `insert` 1.3 times its own; at most 1.5 times the peak.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

CASES = ("chain100", "chain300", "chain1000", "vgg16")
TARGETS = {"insert": 1.3, "certify": 3.0}
MEMORY_TARGET = 1.5
ROWS = 256


def built(case: str, images: int, size: int) -> tuple[Callable[[], Any], Any]:
    """Return what builds the model of a case, and its rows."""
    import keras
    import numpy as np

    draw = np.random.default_rng(0)
    if case == "vgg16":
        x = np.empty((images, size, size, 3), "float32")
        for row in x:
            row[...] = draw.integers(-120, 130, row.shape)
        return lambda: keras.applications.VGG16(weights=None, input_shape=x.shape[1:]), x

    def chain() -> Any:
        keras.utils.set_random_seed(0)
        inputs = y = keras.Input((32,))
        for _ in range(int(case.removeprefix("chain"))):
            y = keras.layers.Dense(32, "relu", kernel_initializer="he_uniform")(y)
        return keras.Model(inputs, keras.layers.Dense(10)(y))

    return chain, draw.normal(size=(ROWS, 32)).astype("float32")


def measure(case: str, images: int, size: int, only: str | None) -> dict[str, Any]:
    """Carry out the steps in this process; return the seconds of each, and the peak in MiB."""
    from ablate.suppress_stderr import quiet_start

    with quiet_start():
        import keras  # noqa: F401

        from ablate import surgery

    sys.setrecursionlimit(20_000)  # Keras builds a chain of a thousand layers by recursion
    build, x = built(case, images, size)
    seconds: dict[str, tuple[float, float]] = {}

    def timed(name: str, step: Callable[[], Any]) -> Any:
        wall, processors = time.perf_counter(), time.process_time()
        found = step()
        seconds[name] = (time.perf_counter() - wall, time.process_time() - processors)
        return found

    model = timed("build", build)

    def insert() -> Any:
        return timed(
            "insert",
            lambda: surgery.insert(
                model, "BatchNormalization", at="before_activation", where="hidden", calibrate=x
            ),
        )

    if only != "insert":
        timed("predict", lambda: model.predict(x, verbose=0))
    if only != "predict":
        new = insert()
    if only is None:
        config = new.get_config()
        timed("construct", lambda: type(new).from_config(config))
        timed("predict new", lambda: new.predict(x, verbose=0))
        timed("certify", lambda: surgery.certify(model, new, x))
        timed("replace", lambda: surgery.replace(new, "norm", "GroupNormalization", groups=4))
        timed("fold", lambda: surgery.fold(new))
        timed("remove", lambda: surgery.remove(new))
    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, kibibytes on Linux
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
    return {"seconds": seconds, "peak": peak}


def in_a_process(case: str, only: str | None, arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure in a fresh process."""
    command = [sys.executable, __file__, "--worker", case, "--only", only or ""]
    command += ["--images", str(arguments.images), "--size", str(arguments.size)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


#: Each step with the ones it stands beside.
BESIDE = {
    "insert": ("predict", "construct"),
    "certify": ("predict", "predict new"),
    "replace": ("construct",),
    "fold": ("construct",),
    "remove": ("construct",),
}


def report(case: str, found: list[dict[str, Any]], peaks: dict[str, float]) -> None:
    """Print the medians of a case, with the ratios."""
    print(f"\n{case}: medians of {len(found)} turns, load {os.getloadavg()[0]:.1f}")
    print(f"{'':12}{'seconds':>20}{'beside':>10}{'ratio':>16}{'target':>9}")
    for step in found[0]["seconds"]:
        own = [statistics.median(each["seconds"][step][i] for each in found) for i in (0, 1)]
        line = f"{step:12}{own[0]:>11.2f} ({own[1]:6.2f})"
        if beside := BESIDE.get(step):
            ratios = []
            for i in (0, 1):
                pairs = [
                    (e["seconds"][step][i], sum(e["seconds"][name][i] for name in beside))
                    for e in found
                ]
                ratios.append(statistics.median(a / b for a, b in pairs))
            base = statistics.median(pair[1] for pair in pairs)
            line += f"{base:>10.2f}{ratios[0]:>9.2f} ({ratios[1]:.2f}){TARGETS.get(step, ''):>8}"
        print(line)
    ratio = peaks["insert"] / peaks["predict"]
    print(f"peak of insert {peaks['insert']:.0f} MiB, {ratio:.2f} × predict's ({MEMORY_TARGET})")


def main() -> None:
    """Measure the cases in turns and print each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--only", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        only = arguments.only or None
        print(json.dumps(measure(arguments.worker, arguments.images, arguments.size, only)))
        return
    cases = arguments.cases.split(",")
    found: dict[str, list[dict[str, Any]]] = {case: [] for case in cases}
    for _ in range(arguments.turns):
        for case in cases:
            found[case].append(in_a_process(case, None, arguments))
    print(f"{os.cpu_count()} cores; wall (processors)")
    for case in cases:
        peaks = {e: in_a_process(case, e, arguments)["peak"] for e in ("predict", "insert")}
        report(case, found[case], peaks)


if __name__ == "__main__":
    main()
