"""Rows that are read while it trains: against rows in memory, `fit`, and bare loops.

    python benchmarks/streaming.py [--turns N] [--images N]

Per step and in turns in one process, with one thread per operation: an MLP, the CNN of
`configs/digits.yaml` and the same CNN on larger images, on blocks and in memory; a pipeline of
anyone's own against `fit` on the same tf.data; a folder of JPEGs against a bare `train_step` loop
on Keras's own dataset of it. Nothing else should run on the machine. What it takes of memory
`pytest -m slow tests/training/test_memory.py -s` says.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

ROWS, BATCH = 16_000, 32
Way = Callable[[], object]

#: Networks, the sides of their images, and the channels.
NETWORKS = {
    "MLP": ({"name": "mlp", "units": [64]}, 32, 3),
    "digits CNN": ({"name": "cnn", "filters": [16, 32]}, 8, 1),
    "CNN": ({"name": "cnn", "filters": [16, 32]}, 32, 3),
}


def timed(ways: dict[str, Way], steps: int, turns: int) -> dict[str, float]:
    """Return milliseconds per step of each way, the median over turns; the first turn traces."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(turns + 1):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            if turn:
                found[name].append(1000 * (time.perf_counter() - began) / steps)
    return {name: statistics.median(each) for name, each in found.items()}


def spec(model: dict[str, object], data: dict[str, object]):
    from ablate.study.schema.data import Data
    from ablate.study.trial import Spec

    made = Spec(data={"name": "digits"}, model=model, train={"batch_size": BATCH, "threads": 1})
    return made.model_copy(update={"data": Data(**data)})


def program(made, feed=None):
    """Return one epoch of a trial's program, and its steps."""
    import numpy as np

    from ablate.training import model_cache, rows

    rows.forget()
    found = rows.rows_of(made, 0)
    prepared = model_cache.make(made, found, 0)
    prepared.begin(0, 0.01, found)
    train = found.train
    steps = train.steps(BATCH)
    rates = np.full(steps + 1, 0.01, "float32")
    return lambda: prepared.program.train(train, train.order(0, 0), rates, BATCH), steps, found


@cache
def arrays(side: int, channels: int):
    """Return images of bytes, of ten classes; called by the studies below."""
    import numpy as np

    random = np.random.default_rng(0)
    x = random.integers(0, 256, (ROWS, side, side, channels), dtype=np.uint8)
    return {"train": (x, np.arange(ROWS) % 10), "classes": 10}


def pipeline(side: int, channels: int):
    """Return the same images as a tf.data dataset."""
    import tensorflow as tf

    x, y = arrays(side, channels)["train"]
    return {"train": tf.data.Dataset.from_tensor_slices((x, y)).batch(BATCH), "classes": 10}


def blocks(turns: int) -> None:
    for name, (model, side, channels) in NETWORKS.items():
        images = {"call": "streaming:arrays", "side": side, "channels": channels}
        whole = images | {"validation": 0.0, "test": 0.0}
        memory, steps, _ = program(spec(model, whole | {"load": "memory"}))
        streamed, _, _ = program(spec(model, whole | {"load": "stream"}))
        found = timed({"memory": memory, "blocks": streamed}, steps, turns)
        line(f"{name}, {side}×{side}×{channels}", found, "memory", 1.1)


def own_pipeline(turns: int) -> None:
    import keras

    from ablate.training import model_cache

    for name, (model, side, channels) in NETWORKS.items():
        images = {"call": "streaming:pipeline", "side": side, "channels": channels}
        made = spec(model, images | {"validation": 0.0, "test": 0.0})
        ours, steps, found = program(made)
        twin = model_cache.make(made, found, 0).model
        dataset = pipeline(side, channels)["train"]
        dataset = dataset.map(lambda x, y: (keras.ops.cast(x, "float32") / 255, y))
        fit = partial(twin.fit, dataset, shuffle=False, verbose=0)
        ways = {"fit": fit, "ablate": ours}
        line(f"{name}, tf.data", timed(ways, steps, turns), "fit", 0.7)


def folder(turns: int, count: int) -> None:
    import keras
    import numpy as np
    import tensorflow as tf

    from ablate.training import model_cache

    with tempfile.TemporaryDirectory() as place:
        random = np.random.default_rng(0)
        for index in range(count):
            kind = Path(place) / f"class{index % 2}"
            kind.mkdir(exist_ok=True)
            image = random.integers(0, 256, (16, 16, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
            tf.io.write_file(str(kind / f"{index}.jpg"), tf.io.encode_jpeg(image))
        data = {"directory": place, "image_size": [64, 64], "validation": 0.0, "test": 0.0}
        made = spec({"name": "cnn", "filters": [8, 16]}, data | {"load": "stream"})
        ours, steps, found = program(made)
        twin = model_cache.make(made, found, 0).model
        dataset = keras.utils.image_dataset_from_directory(
            place, image_size=(64, 64), batch_size=BATCH, verbose=False
        )

        @tf.function
        def step(x, y):
            return twin.train_step((x / 255, y))

        def bare() -> None:
            for x, y in dataset:
                step(x, y)

        found = timed({"bare loop": bare, "ablate": ours}, steps, turns)
        line(f"CNN, {count} JPEGs of 128×128", found, "bare loop", 1.15)


def line(what: str, found: dict[str, float], base: str, target: float) -> None:
    """Print a row of the table."""
    (other,) = (name for name in found if name != base)
    ratio = found[other] / found[base]
    print(
        f"{what:<28} {base:>10} {found[base]:8.3f} ms  {other:>8} {found[other]:8.3f} ms"
        f"  {ratio:5.2f} times (at most {target})",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--only", choices=("blocks", "own_pipeline", "folder"))
    arguments = parser.parse_args()
    from ablate.training import configure

    configure(1)
    parts = {
        "blocks": blocks, "own_pipeline": own_pipeline,
        "folder": partial(folder, count=arguments.images),
    }  # fmt: skip
    for name, part in parts.items():
        if arguments.only in (None, name):
            part(arguments.turns)


if __name__ == "__main__":
    main()
