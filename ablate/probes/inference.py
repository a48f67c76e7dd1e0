"""Probe `inference`: the same trained network, run in the ways that are argued about.

Weights scaled and moving statistics, as Keras predicts; Monte-Carlo Dropout; precise BN; and the
statistics of the batch at hand, for batches of 1 to 256. Each is scored on validation and test
rows once, after training, by the weights that the trial is judged by. Nothing is chosen by it.

Source: Srivastava et al. 2014, section 7.5, and Gal & Ghahramani 2016 (averages of thinned
networks); Wu & Johnson 2021, section 3 (precise BN); Nado et al. 2020 (a batch's own statistics
under shift). Cost: forward passes of at most `rows` rows of each part, one, `samples` where there
is a Dropout, and ten where there is a BatchNormalization, which reads `rows` training rows too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops

from ablate.errors import StudyError, SurgeryError
from ablate.probes.layer_outputs import layers_of, normalizations, restored
from ablate.probes.measurement import Arrays, Context, Measurement
from ablate.probes.predictions import (
    labels,
    probabilities,
    reliability,
    require_classification,
    scores,
    single,
)
from ablate.surgery.batchnorms import normalized_by_part
from ablate.surgery.calibrate import estimate
from ablate.surgery.graph import losses_held
from ablate.surgery.instrumented_model import InstrumentedModel
from ablate.surgery.kinds import DROPOUT

#: Rows that are normalized together, and the most that run at once: each divides the last.
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


@dataclass
class Inference(Measurement):
    """Score ways of inference after training.

    Args:
        samples: thinned networks whose probabilities are averaged.
        rows: of each part, at most.

    Leaves at the end, for each part ("validation", "test") and way ("inference"; "mc_dropout"
    where a Dropout is; "precise_bn", "batch_1" … "batch_256" where a BatchNormalization is):
        scalar/<part>/<way>/accuracy, nll, brier, ece: (1,), see `predictions.scores`; of all but
            "inference" `accuracy_change`, …, too: less that of "inference".
        reliability/<part>/<way>: (1, 3, bins), see `predictions.reliability`.
        ways, parts, shift: their names, and how the test rows were shifted, if they were.
    """

    samples: int
    rows: int

    def start(self, context: Context) -> None:
        require_classification(context, "inference")
        super().start(context)
        self._last, splits = 0, context.splits
        parts = {"validation": (splits.x_val, splits.y_val), "test": (splits.x_test, splits.y_test)}
        self._parts = {
            name: _taken((x, y), slice(self.rows))
            for name, (x, y) in parts.items()
            if x is not None
        }
        if not self._parts:
            raise StudyError("probes: 'inference' needs validation or test rows, and has none.")
        if any(np.ndim(single(y)) > 2 or _several(single(y)) for _, y in self._parts.values()):
            raise StudyError("probes: 'inference' needs one class a row.")
        self._layers = list(normalizations(context))
        self._dropouts = layers_of(context.model, *DROPOUT)

    def measure(self, epoch: int) -> Arrays:
        self._last = epoch
        return {}

    def state(self) -> Any:
        return self._last

    def restore(self, state: Any) -> None:
        self._last = state

    def finish(self) -> Arrays:
        found: Arrays = {}
        truth = {name: labels(y) for name, (_, y) in self._parts.items()}
        with losses_held(self.context.model):
            for way, predict in self._ways():
                for part, (x, _) in self._parts.items():
                    chances = predict(x)
                    for score, value in scores(chances, truth[part]).items():
                        own = found[f"scalar/{part}/{way}/{score}"] = np.array([value])
                        if way != "inference":
                            plain = found[f"scalar/{part}/inference/{score}"]
                            found[f"scalar/{part}/{way}/{score}_change"] = own - plain
                    if np.isfinite(chances).all():
                        counts = reliability(chances, truth[part])
                        found[f"reliability/{part}/{way}"] = counts[None]
        ways = dict.fromkeys(key.split("/")[2] for key in found if key.startswith("scalar/"))
        return {
            **found,
            "epochs": np.array([self._last]),
            "ways": np.array(list(ways), "U"),
            "parts": np.array(list(self._parts), "U"),
            "shift": np.array(_shift(self.context), "U"),
        }

    def _ways(self) -> Iterator[tuple[str, Callable[[Any], np.ndarray]]]:
        """Yield each way's name and what predicts so; the model is as it must be meanwhile."""
        yield "inference", self._plainly
        if self._dropouts:
            yield "mc_dropout", self._averaged
        if self._layers:
            moving = [v for each in self._layers for v in (each.moving_mean, each.moving_variance)]
            with restored(moving):
                yield "precise_bn", self._plainly if self._estimated() else _nothing
            fewest = min(_count(x) for x, _ in self._parts.values())
            for size in BATCHES:
                if size <= fewest:
                    yield f"batch_{size}", partial(self._by_batches, size)

    def _estimated(self) -> bool:
        """Give the layers the statistics of training rows; say whether that was possible."""
        x, size = self.context.splits.x_train, self.context.batch_size
        there = _count(x)
        count = min(max(self.rows // size, 1) * size, there)
        chosen = np.sort(np.random.default_rng(0).choice(there, count, replace=False))
        try:
            estimate(self.context.model, self._layers, _taken(x, chosen), batch_size=size)
        except SurgeryError:  # activations that are not finite
            return False
        return True

    def _plainly(self, x: Any) -> np.ndarray:
        return self._run(x)

    def _averaged(self, x: Any) -> np.ndarray:
        drawn = [self._run(x, training=self._dropouts) for _ in range(self.samples)]
        return np.mean(drawn, axis=0)

    def _by_batches(self, size: int, x: Any) -> np.ndarray:
        """Predict rows, in an order drawn once, each batch by its own statistics.

        The last batch is filled up with rows from the beginning, which are predicted already.
        """
        count = _count(x)
        order = np.random.default_rng(count).permutation(count)
        filled = order[np.arange(-(-count // size) * size) % count]
        instead = {layer: partial(_of_batch, layer, size) for layer in self._layers}
        found = self._run(_taken(x, filled), instead=instead)
        return found[np.argsort(order)]

    def _run(self, x: Any, **options: Any) -> np.ndarray:
        """Return the class probabilities of rows, a few hundred at a time.

        Eagerly: to compile each way takes longer than the few passes it is needed for.
        """
        seen = InstrumentedModel(self.context.model, outputs=True, **options)
        parts = []
        for start in range(0, _count(x), BATCHES[-1]):
            batch = _taken(x, slice(start, start + BATCHES[-1]))
            outputs = ops.convert_to_numpy(seen(batch)[1][0])
            parts.append(probabilities(outputs))
        return np.concatenate(parts)


def _of_batch(layer: keras.layers.BatchNormalization, size: int, inputs: Any, mask: Any) -> Any:
    return normalized_by_part(layer, inputs, inputs.shape[0] // size, mask)[0]


def _nothing(x: Any) -> np.ndarray:
    return np.full((_count(x), 1), np.nan)


def _count(tree: Any) -> int:
    return len(keras.tree.flatten(tree)[0])


def _taken(tree: Any, rows: Any) -> Any:
    return keras.tree.map_structure(lambda leaf: np.asarray(leaf[rows]), tree)


def _several(y: np.ndarray) -> bool:
    """Whether targets are rows of several classes, or of none."""
    return y.ndim > 1 and y.shape[-1] > 1 and bool(np.any(y.sum(axis=-1) != 1))


def _shift(context: Context) -> str:
    notes = getattr(context.splits, "notes", ())
    return next((each for each in notes if each.startswith("test inputs shifted")), "")
