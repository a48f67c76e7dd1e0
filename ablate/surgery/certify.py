"""Measure whether two models compute the same function.

Both models run on the same images in eager and in graph execution; each layer that was inserted
into the second is compared with its own input, as the eager run comes by; and the second runs once
with batch statistics, which tells how far the first training steps will move it. Whatever variable
a run moved is put back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from ablate.errors import SurgeryError, nearest
from ablate.surgery import baked, graph, record
from ablate.surgery.batches import Batch, Progress, batches, fixed_rows
from ablate.surgery.calibrate import normalizations
from ablate.surgery.certificate import PATHS, Certificate, Difference, Drift, LayerDifference
from ablate.surgery.instrumented_model import (
    InstrumentedModel,
    all_rows,
    held,
    run,
    runner,
    runs_on,
)

#: Eager execution keeps every activation of a model alive; it gets as many rows at once as
#: stay under this many bytes. Many small calls cost more than few large ones.
EAGER_BYTES = 512 * 2**20
EAGER_ROWS = 1024


def certify(
    a: keras.Model,
    b: keras.Model,
    x: Any,
    batch_size: int = 32,
    *,
    paths: Sequence[str] = ("eager", "graph"),
    images: str = "",
    progress: Progress | None = None,
) -> Certificate:
    r"""Measure how far two models' outputs are apart, and where the second's layers move them.

    For each execution path: whether all outputs are equal (`==`), `max|a - b|`,
    `max|a - b| / max|a|`, and the share of equal top-1 choices. For each layer that was
    inserted into `b`: the same of its output against its input. For `b`'s batch normalization
    (its inserted layers, else all): how far batch statistics move the outputs of `b`.

    Where a call in either model was built with `training=True` or `False`, the path "call" is
    measured too: `model(x)`, in which such a value holds. `predict` and `evaluate` override it.

    Args:
        a: The model before; any Keras model.
        b: The model after. Inserted layers and drift are measured where it is functional or
            Sequential.
        x: Images, as for `predict`: an array, a list or dict of arrays, an iterable of batches.
        batch_size: The rows of a batch; eager execution of large models takes fewer at once.
            The drift is that of batches of this many rows.
        paths: Which of "eager", "graph", "xla" and "call" to run.
        images: A note on where the images come from, kept on the certificate.
        progress: Called after each batch with the rows done and the rows in all, or None.

    Returns:
        The certificate. Both models' variables are as they were, random states included.

    Raises:
        SurgeryError: The models' outputs differ in number or shape, or a path is unknown.
        DataError: The images do not fit the models.
    """
    for path in paths or [""]:
        if path not in PATHS:
            raise SurgeryError(
                f"certify: paths are {', '.join(PATHS)}, at least one. Received: {path!r}."
                f"{nearest(path, PATHS)}"
            )
    if "call" not in paths and any(baked.anywhere(model) for model in (a, b)):
        paths = (*paths, "call")
    batch_size = fixed_rows(b) or batch_size
    eager = fixed_rows(b) or _eager_rows(a, b)
    measured = {path: Comparison() for path in paths}
    rows = {path: eager if path == "eager" else batch_size for path in paths}
    runs: dict[str, tuple[_Path | None, _Path]] = {
        path: (_Path(a, path, rows[path]), _Path(b, path, rows[path])) for path in paths
    }
    inside = _Inside(b, batch_size)
    if "eager" not in runs and inside.wanted:
        runs["eager"] = (None, _Path(b, "eager", eager))
    taking = b if graph.is_container(b) else a
    done = 0
    with held([*_moved_by(a), *_moved_by(b)]), graph.losses_held(a, b):
        whole = batch_size * max(1, eager // batch_size)
        for part, count in batches(taking, x, whole, progress):
            for path, (first, second) in runs.items():
                expected = None if first is None else first(part, count)
                with inside.looking(path == "eager"):
                    outputs = second(part, count)
                if expected is not None:
                    measured[path].add(expected, outputs)
                if path == "eager":
                    # Looking inside runs the second model again: its states must not run ahead.
                    with held(graph.states_of(b)):
                        inside.drifts(part, outputs, count)
            done += count
    return Certificate(
        first=a.name,
        second=b.name,
        rows=done,
        batch_size=batch_size,
        dtype=b.dtype_policy.name,
        paths={path: each.difference() for path, each in measured.items()},
        per_layer=inside.differences(),
        training_drift=inside.drift(),
        images=images,
        backend=keras.backend.backend(),
    )


@dataclass
class Comparison:
    """Gather the difference of two streams of outputs, batch by batch."""

    equal: bool = True
    largest: float = 0.0
    scale: float = 0.0
    agreed: int = 0
    chosen: int = 0
    non_finite: int = 0

    def add(self, first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> None:
        """Take in one batch of outputs of both models."""
        shapes = [[np.shape(each) for each in outputs] for outputs in (first, second)]
        if shapes[0] != shapes[1]:
            raise SurgeryError(
                "certify: expected two models with outputs of the same shapes. "
                f"Received: {shapes[0]} and {shapes[1]}."
            )
        for a, b in zip(first, second, strict=True):
            self._add(np.asarray(a).astype("float64"), np.asarray(b).astype("float64"))

    def _add(self, a: np.ndarray, b: np.ndarray) -> None:
        self.equal &= bool(np.array_equal(a, b, equal_nan=True))
        finite = np.isfinite(a) & np.isfinite(b)
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        self.non_finite += int(np.sum(~finite & ~same))
        gap = np.abs(np.subtract(a, b, where=finite, out=np.zeros_like(a)))
        self.largest = max(self.largest, float(gap.max(initial=0.0)))
        self.scale = max(self.scale, float(np.abs(a, where=finite, out=gap).max(initial=0.0)))
        if a.ndim >= 2 and a.shape[-1] > 1 and a.size:
            agreed = a.argmax(-1) == b.argmax(-1)
            self.agreed += int(agreed.sum())
            self.chosen += agreed.size

    def difference(self) -> Difference:
        """Return the result."""
        infinite = float("inf") if self.non_finite else 0.0
        return Difference(
            self.equal,
            max(self.largest, infinite),
            max(_relative(self.largest, self.scale), infinite),
            self.agreed / self.chosen if self.chosen else None,
            self.non_finite,
        )


def _relative(gap: float, scale: float) -> float:
    """Return a difference in units of the largest value."""
    if gap == 0:
        return 0.0
    return gap / scale if scale else float("inf")


def _eager_rows(*models: keras.Model) -> int:
    """Return the rows that all of these models run on at once: the same, for what is random."""
    readable = [each for each in models if graph.is_container(each)]
    bytes_of_row = max(all_rows(each) for each in readable) if readable else EAGER_BYTES // 32
    return max(1, min(EAGER_ROWS, EAGER_BYTES // bytes_of_row))


class _Path:
    """A model that runs on one execution path, at inference; call it with a batch."""

    def __init__(self, model: keras.Model, path: str, rows: int) -> None:
        self.model, self.path, self.rows = model, path, rows
        # A model around the model: its function is compiled as asked, and not kept by it.
        self.whole = _Whole(model)
        if path == "xla":
            self.whole.compile(jit_compile=True)

    def __call__(self, part: Batch, count: int) -> list[np.ndarray]:
        pieces = []
        for start in range(0, count, self.rows):
            piece = keras.tree.map_structure(lambda v, at=start: v[at : at + self.rows], part)
            with runs_on(self.model, min(count - start, self.rows)):
                pieces.append([ops.convert_to_numpy(each) for each in self._run(piece)])
        return [np.concatenate(each) for each in zip(*pieces, strict=True)]

    def _run(self, piece: Batch) -> list[Any]:
        if self.path == "call":
            # Each call from the same states: what is random draws the same in both models.
            with held(_moved_by(self.model)):
                return keras.tree.flatten(self.model(piece))
        if self.path == "eager":
            return keras.tree.flatten(self.model(piece, training=False))
        return run(self.whole, piece)


def _moved_by(model: keras.Model) -> list[Any]:
    """Return the variables that calling a model may change."""
    return [*model.non_trainable_variables, *graph.states_of(model)]


class _Whole(keras.Model):
    """A model's outputs at inference, flat."""

    def __init__(self, model: keras.Model) -> None:
        super().__init__(name="whole", dtype=model.dtype_policy, autocast=False)
        self.model = model

    def call(self, inputs):
        return keras.tree.flatten(self.model(inputs, training=False))


class _Inside:
    """What the inserted layers of a model do, and how far batch statistics move it."""

    def __init__(self, model: keras.Model, batch_size: int) -> None:
        readable = graph.is_container(model)
        entries = record.entries(model) if readable else []
        chosen = {each.layer: each.inserted for each in entries if each.inserted.role == "inserted"}
        self.names = [(each.path, each.host) for each in chosen.values()]
        self.seen = [np.zeros(0)] * len(chosen)
        self.normalizing = _normalizing(model) if readable else []
        self.moving = None
        if self.normalizing:
            self.moving = InstrumentedModel(model, outputs=True, training=self.normalizing)
        self.run_moving = None if self.moving is None else runner(self.moving)
        self.watches = {layer: self._noting(place) for place, layer in enumerate(chosen)}
        self.wanted = bool(self.watches or self.normalizing)
        self.batch_size, self.rows = batch_size, 0
        self.gap = Comparison()

    def _noting(self, place: int) -> Callable[[Any, Any], None]:
        def note(inputs: Any, output: Any) -> None:
            new = ops.convert_to_numpy(_compare(inputs, output))
            self.seen[place] = _joined(self.seen[place], new)

        return note

    def looking(self, now: bool) -> Any:
        """Return a context in which the inserted layers are looked at, if it is now."""
        return watched(self.watches if now else {})

    def drifts(self, part: Batch, outputs: Sequence[np.ndarray], count: int) -> None:
        """Take in what batch statistics make of some rows, batch by batch."""
        if self.run_moving is None:
            return
        for start in range(0, count, self.batch_size):
            size = min(self.batch_size, count - start)
            # A last batch that is not full has statistics of another size.
            if size < self.batch_size and self.rows:
                return
            self.rows = size
            piece, still = keras.tree.map_structure(
                lambda each, at=start: each[at : at + self.batch_size], (part, list(outputs))
            )
            # The next batch, on any path, must not meet the averages that this one moves.
            with held([v for layer in self.normalizing for v in layer.non_trainable_variables]):
                self.gap.add(still, self.run_moving(piece)[1])

    def differences(self) -> tuple[LayerDifference, ...]:
        """Return one difference for each layer that returns tensors of its input's shape."""
        found = []
        for (path, host), values in zip(self.names, self.seen, strict=True):
            if values.size == 0:
                continue
            unequal, gap, scale, agreed, positions = (float(each) for each in values)
            agreement = agreed / positions if positions else None
            relative = _relative(gap, scale)
            found.append(LayerDifference(path, host, unequal == 0, gap, relative, agreement))
        return tuple(found)

    def drift(self) -> Drift | None:
        """Return how far batch statistics moved the outputs; None where no layer uses them."""
        if self.moving is None:
            return None
        found = self.gap.difference()
        moved = (found.max_abs_diff, found.max_rel_diff, found.top1_agreement)
        return Drift(self.rows, len(self.normalizing), *moved)


@contextmanager
def watched(watches: Mapping[keras.Layer, Callable[[Any, Any], None]]) -> Iterator[None]:
    """Let `watch(input, output)` see each call that the model itself makes of these layers."""

    def seeing(call: Callable[..., Any], watch: Callable[[Any, Any], None]) -> Callable[..., Any]:
        def seen(*args: Any, **kwargs: Any) -> Any:
            output = call(*args, **kwargs)
            inputs = args[0] if args else next(iter(kwargs.values()))
            watch(inputs, keras.tree.flatten(output)[0])
            return output

        return seen

    for layer, watch in watches.items():
        vars(layer)["call"] = seeing(layer.call, watch)
    try:
        yield
    finally:
        for layer in watches:
            del vars(layer)["call"]


def _compare(inputs: Any, output: Any) -> Any:
    """Return (unequal values, max |Δ|, max |input|, equal strongest channels, positions)."""
    if tuple(inputs.shape) != tuple(output.shape):
        return ops.zeros((0,), "float32")
    x, y = ops.cast(inputs, "float32"), ops.cast(output, "float32")
    unequal = ops.sum(ops.cast(ops.not_equal(x, y), "float32"))
    same = ops.cast(ops.equal(ops.argmax(x, -1), ops.argmax(y, -1)), "float32")
    largest = (ops.max(ops.abs(x - y)), ops.max(ops.abs(x)))
    return ops.stack([unequal, *largest, ops.sum(same), ops.sum(ops.ones_like(same))])


def _joined(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Merge what `_compare` found in two batches: counts add, largest values stay."""
    if a.size == 0:
        return b
    a, b = a.astype("float64"), b.astype("float64")
    return np.array([a[0] + b[0], max(a[1], b[1]), max(a[2], b[2]), a[3] + b[3], a[4] + b[4]])


def _normalizing(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """Return the BN layers whose drift is of interest: inserted ones, else all; not frozen ones."""
    layers = normalizations(model)
    inserted = {id(each.layer) for each in record.entries(model)}
    ours = [layer for layer in layers if id(layer) in inserted]
    return [layer for layer in ours or layers if layer.trainable]
