"""What `ablate` is measured against: a user's loop of `model.fit`, and bare graph loops.

Both train the same networks on the same rows for the same epochs as the study files of
`cases.py`, evaluate validation rows after every epoch, and train, validation and test rows at
the end. The networks are written out in plain Keras, as a user would.

    python benchmarks/contenders.py loop|bare digits|lenet --seeds 10 [--mnist FILE] [--workers 2]

`loop` is one process that builds, compiles and fits a model per trial. `bare` is the floor: one
single-threaded process per core, one traced loop per variant over tensors in memory that
computes gradients and nothing else, weights put back between trials, no callbacks, no records.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from typing import Any

VARIANTS = {"digits": ("plain", "bn", "dropout", "both"), "lenet": ("bn",)}
TRAINING = {
    "digits": {"epochs": 20, "batch": 32, "momentum": 0.9},
    "lenet": {"epochs": 2, "batch": 64, "momentum": 0.0},
}
RATE = 0.05


def rows(case: str, mnist: str | None) -> dict[str, Any]:
    """Return the splits of a case: the same numbers of rows as the study has."""
    import numpy as np

    if case == "digits":
        from sklearn.datasets import load_digits

        source = load_digits()
        x = (source.images[..., None] / 16).astype("float32")
        y = source.target.astype("int64")
        x, y, x_test, y_test = x[360:], y[360:], x[:360], y[:360]
        held = round(0.15 * len(x))
        train = slice(held, None)
    else:
        with np.load(mnist or "") as archive:
            x = (archive["x_train"][..., None] / 255).astype("float32")
            y = archive["y_train"].astype("int64")
            x_test = (archive["x_test"][..., None] / 255).astype("float32")
            y_test = archive["y_test"].astype("int64")
        held = round(0.05 * len(x))
        train = slice(held, held + 10_000)
    return {
        "train": (x[train], y[train]),
        "validation": (x[:held], y[:held]),
        "test": (x_test, y_test),
    }


def network(case: str, variant: str) -> Any:
    """Return a new network of a variant."""
    from keras import Input, Sequential, layers

    normalized, dropped = variant in {"bn", "both"}, variant in {"dropout", "both"}
    if case == "lenet":
        return Sequential(
            [
                Input((28, 28, 1)),
                layers.Conv2D(6, 5, padding="same", activation="relu"),
                layers.AveragePooling2D(2),
                layers.BatchNormalization(),
                layers.Conv2D(16, 5, activation="relu"),
                layers.AveragePooling2D(2),
                layers.BatchNormalization(),
                layers.Flatten(),
                layers.Dense(120, activation="relu"),
                layers.Dense(84, activation="relu"),
                layers.Dense(10, activation="softmax"),
            ]
        )
    parts: list[Any] = [Input((8, 8, 1))]
    for filters in (16, 32):
        parts.append(layers.Conv2D(filters, 3, padding="same"))
        parts += [layers.BatchNormalization()] if normalized else []
        parts += [layers.Activation("relu"), layers.MaxPooling2D()]
    parts += [layers.Flatten(), layers.Dense(64)]
    parts += [layers.BatchNormalization()] if normalized else []
    parts += [layers.Activation("relu")]
    parts += [layers.Dropout(0.5)] if dropped else []
    return Sequential([*parts, layers.Dense(10, activation="softmax")])


def loop(case: str, seeds: int, mnist: str | None) -> None:
    """Train every trial as a script would: build, compile, fit, evaluate."""
    import keras

    data, how = rows(case, mnist), TRAINING[case]
    for variant in VARIANTS[case]:
        for seed in range(seeds):
            keras.utils.set_random_seed(seed)
            model = network(case, variant)
            model.compile(
                keras.optimizers.SGD(RATE, momentum=how["momentum"]),
                "sparse_categorical_crossentropy",
                metrics=["accuracy"],
            )
            model.fit(
                *data["train"],
                epochs=how["epochs"],
                batch_size=how["batch"],
                validation_data=data["validation"],
                verbose=0,
            )
            for part in ("train", "validation", "test"):
                model.evaluate(*data[part], batch_size=how["batch"], verbose=0)


class Bare:
    """One variant's traced loops."""

    def __init__(self, case: str, variant: str, data: dict[str, Any]) -> None:
        import keras
        import tensorflow as tf

        self.how, self.data = TRAINING[case], data
        model = network(case, variant)
        optimizer = keras.optimizers.SGD(RATE, momentum=self.how["momentum"])
        optimizer.build(model.trainable_variables)
        loss_of = keras.losses.SparseCategoricalCrossentropy()
        batch = int(self.how["batch"])

        def step(x: Any, y: Any) -> Any:
            with tf.GradientTape() as tape:
                loss = loss_of(y, model(x, training=True))
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply(gradients, model.trainable_variables)
            return loss

        @tf.function(reduce_retracing=True)
        def epoch(x: Any, y: Any, order: Any) -> Any:
            count = tf.shape(order)[0]
            total = 0.0
            for first in tf.range(0, count - batch + 1, batch):
                index = order[first : first + batch]
                total += step(tf.gather(x, index), tf.gather(y, index))
            rest = order[count - count % batch :]
            if tf.size(rest) > 0:
                total += step(tf.gather(x, rest), tf.gather(y, rest))
            return total

        @tf.function(reduce_retracing=True)
        def evaluate(x: Any, y: Any) -> Any:
            count = tf.shape(y)[0]
            right, total = 0, 0.0
            for first in tf.range(0, count, batch):
                labels = y[first : first + batch]
                output = model(x[first : first + batch], training=False)
                total += loss_of(labels, output) * tf.cast(tf.size(labels), tf.float32)
                right += tf.reduce_sum(tf.cast(tf.argmax(output, 1) == labels, tf.int32))
            return total, right

        self.epoch, self.evaluate = epoch, evaluate
        self.state = [*model.variables, *optimizer.variables]
        self.start = [variable.numpy() for variable in self.state]

    def trial(self, seed: int) -> float:
        """Train and evaluate one seed; return the seconds of its epochs."""
        import numpy as np
        import tensorflow as tf

        for variable, value in zip(self.state, self.start, strict=True):
            variable.assign(value)
        draw = np.random.default_rng(seed)
        x, y = self.data["train"]
        count, spent = int(y.shape[0]), 0.0
        for _ in range(int(self.how["epochs"])):
            order = tf.constant(draw.permutation(count).astype("int32"))
            began = time.perf_counter()
            float(self.epoch(x, y, order))
            spent += time.perf_counter() - began
            self.evaluate(*self.data["validation"])
        for part in ("train", "validation", "test"):
            [float(each) for each in self.evaluate(*self.data[part])]
        return spent


def tensors(case: str, mnist: str | None) -> dict[str, Any]:
    """Return the rows as tensors."""
    import tensorflow as tf

    return {
        part: tuple(tf.constant(each) for each in pair) for part, pair in rows(case, mnist).items()
    }


def share(case: str, variants: list[str], seeds: list[int], mnist: str | None) -> None:
    """Train a worker's share of the bare trials."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    data = tensors(case, mnist)
    for variant in variants:
        bare = Bare(case, variant, data)
        for seed in seeds:
            bare.trial(seed)


def bare(case: str, seeds: int, mnist: str | None, workers: int) -> None:
    """Train every trial in bare loops, on all cores: whole variants to a worker if there are
    enough, else seeds dealt out."""
    context = multiprocessing.get_context("spawn")
    variants, numbers = list(VARIANTS[case]), list(range(seeds))
    if len(variants) >= workers:
        # Dealt by cost: the first and the last together weigh as much as the two between.
        order = sorted(variants, key=lambda name: name in {"bn", "both"})
        shares = [(order[k::workers], numbers) for k in range(workers)]
    else:
        shares = [(variants, numbers[k::workers]) for k in range(workers)]
    processes = [context.Process(target=share, args=(case, *each, mnist)) for each in shares]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        if process.exitcode:
            raise SystemExit(process.exitcode)


def main() -> None:
    """Run one contender."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contender", choices=["loop", "bare"])
    parser.add_argument("case", choices=sorted(VARIANTS))
    parser.add_argument("--seeds", type=int, required=True)
    parser.add_argument("--mnist")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    asked = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if asked.contender == "loop":
        loop(asked.case, asked.seeds, asked.mnist)
    else:
        bare(asked.case, asked.seeds, asked.mnist, asked.workers)


if __name__ == "__main__":
    main()
