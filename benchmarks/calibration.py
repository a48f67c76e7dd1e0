"""Insertion and calibration of BN in VGG16, against one `predict` over the same images.

    python benchmarks/calibration.py [--images 256] [--size 224] [--batch-size 32] [--turns 3]

Each measurement is a process of its own, in turns: build VGG16 with random weights and random
images, then either `predict` them, or insert a BatchNormalization before the activation of all
15 hidden layers and calibrate on them. Timed is that second part, tracing included; the peak is
that of the whole process. Nothing else should run on the machine meanwhile.

Targets: at most 1.3 times the time and 1.5 times the peak memory of `predict`.
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

TIME_TARGET, MEMORY_TARGET = 1.3, 1.5
CONTENDERS = ("predict", "calibrate")


def measure(contender: str, images: int, size: int, batch_size: int) -> dict[str, float]:
    """Run one contender in this process; return its seconds and the process's peak in MiB."""
    from ablate.suppress_stderr import quiet_start

    with quiet_start():
        import keras
        import numpy as np

        import ablate.surgery

        keras.utils.set_random_seed(0)
    model = keras.applications.VGG16(weights=None, input_shape=(size, size, 3))
    draw = np.random.default_rng(0)
    x = np.empty((images, size, size, 3), "float32")
    for row in x:
        row[...] = draw.integers(-120, 130, row.shape)
    start = time.perf_counter()
    if contender == "predict":
        model.predict(x, batch_size=batch_size, verbose=0)
    else:
        ablate.surgery.insert(
            model, "BatchNormalization", at="before_activation", where="hidden", calibrate=x
        )
    seconds = time.perf_counter() - start
    # Kibibytes on Linux, bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
    return {"seconds": seconds, "peak": peak}


def in_a_process(contender: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Measure a contender in a fresh process."""
    command = [sys.executable, __file__, "--only", contender]
    for name in ("images", "size", "batch_size"):
        command += [f"--{name.replace('_', '-')}", str(getattr(arguments, name))]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    """Measure the contenders in turns and print them side by side."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--only", choices=CONTENDERS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        found = measure(arguments.only, arguments.images, arguments.size, arguments.batch_size)
        print(json.dumps(found))
        return
    results: dict[str, list[dict[str, float]]] = {each: [] for each in CONTENDERS}
    for turn in range(arguments.turns):
        for contender in CONTENDERS:
            found = in_a_process(contender, arguments)
            results[contender].append(found)
            print(
                f"turn {turn + 1}, {contender}: {found['seconds']:.1f} s, {found['peak']:.0f} MiB",
                flush=True,
            )
    report(results, arguments)


def report(results: dict[str, list[dict[str, float]]], arguments: argparse.Namespace) -> None:
    """Print medians, ratios and whether they meet the targets."""
    middle = {
        contender: {
            key: statistics.median(each[key] for each in found) for key in ("seconds", "peak")
        }
        for contender, found in results.items()
    }
    print(
        f"\nVGG16 at {arguments.size}×{arguments.size}, {arguments.images} images, "
        f"batches of {arguments.batch_size}, {os.cpu_count()} cores, "
        f"medians of {arguments.turns} turns\n"
    )
    print(f"{'':24}{'time, s':>10}{'peak, MiB':>12}")
    for contender, words in zip(CONTENDERS, ("predict", "insert + calibrate"), strict=True):
        row = middle[contender]
        print(f"{words:24}{row['seconds']:>10.1f}{row['peak']:>12.0f}")
    ratios = [middle["calibrate"][key] / middle["predict"][key] for key in ("seconds", "peak")]
    print(f"{'ratio':24}{ratios[0]:>10.2f}{ratios[1]:>12.2f}")
    print(f"{'target':24}{TIME_TARGET:>10.2f}{MEMORY_TARGET:>12.2f}")
    met = [
        ratio <= target for ratio, target in zip(ratios, (TIME_TARGET, MEMORY_TARGET), strict=True)
    ]
    print(f"{'':24}{'met' if met[0] else 'missed':>10}{'met' if met[1] else 'missed':>12}")


if __name__ == "__main__":
    main()
