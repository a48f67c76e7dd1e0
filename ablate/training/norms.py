"""Remarks on the normalizations in a variant's network.

They say where batch statistics are of one value, or of a few, or of other rows than one may
think, and where a layer was called with a `training` that training and evaluation override.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import keras

from ablate.errors import some
from ablate.study.schema.train import Train
from ablate.surgery import diagnostics, graph
from ablate.surgery.graph import paths as named_layers
from ablate.training.network import Network

_L = keras.layers

#: Batch statistics of fewer values than this are called rough.
FEW = 8


def remarks_on_norms(made: Network, rows: int, train: Train) -> tuple[list[str], list[str]]:
    """Return notes and cautions on the normalizations of a network.

    Args:
        made: the network.
        rows: training rows.
        train: how it is trained.
    """
    if train.epochs == 0:
        return [], []
    norms = [(name, layer) for name, layer in _named(made.model) if isinstance(layer, _NORMS)]
    live = [each for each in norms if _normalizes_by_batch(each[1])]
    notes, warnings = list(_few(live, rows, train)), list(_one(norms, rows, train))
    every = train.optimizer.arguments.get("gradient_accumulation_steps") or 1
    if live and every > 1:
        size = train.batch_size
        warnings.append(
            f"gradients are accumulated over {every} steps, but {some(name for name, _ in live)} "
            f"normalize{_s(live)} the {size} rows of each step by themselves: this is no "
            f"BatchNormalization over {every * size} rows"
        )
    if graph.is_container(made.model):
        names = dict(named_layers(made.model))
        notes += [*_not_active(made.model, names), *_masked(made.model, names)]
        warnings += _not_kept(made.model, names)
        warnings += [
            f"'{names[norm]}' counts padding in its statistics: '{lost.name}', before it, hands no "
            "mask on"
            for norm, lost in diagnostics.masks_lost(made.model)
            if norm.trainable
        ]
    return notes, warnings


def _named(model: keras.Model) -> Iterator[tuple[str, keras.Layer]]:
    """Yield every layer inside a model, those inside wrappers and layers included, with a name."""
    named = dict(named_layers(model)) if graph.is_container(model) else {}
    for layer in model._flatten_layers(include_self=False):
        yield named.get(layer, layer.name), layer


def _normalizes_by_batch(layer: keras.Layer) -> bool:
    return isinstance(layer, _L.BatchNormalization) and bool(layer.trainable)


def _values(layer: keras.Layer, rows: int) -> int | None:
    """Return of how many values a statistic of a step is, None where shapes do not tell."""
    shape = (layer.get_build_config() or {}).get("input_shape")
    if shape is None or not all(isinstance(size, int | None) for size in shape):
        return None
    sizes = [rows, *shape[1:]]
    if isinstance(layer, _L.BatchNormalization):
        counted = [size for i, size in enumerate(sizes) if i != layer.axis % len(sizes)]
    elif isinstance(layer, _L.LayerNormalization):
        axes = layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis]
        counted = [sizes[axis] for axis in axes]
    else:
        channels = sizes[layer.axis % len(sizes)]
        if channels is None:
            return None
        groups = channels if layer.groups == -1 else layer.groups
        inner = [size for i, size in enumerate(sizes) if i not in (0, layer.axis % len(sizes))]
        counted = [channels // groups, *inner]
    return None if None in counted else math.prod(counted)


def _one(norms: list[tuple[str, Any]], rows: int, train: Train) -> Iterator[str]:
    """Remark on normalizations over one value: what comes out is beta, whatever goes in."""
    size = min(train.batch_size, rows)
    always, at_last = [], []
    for name, layer in norms:
        batch = isinstance(layer, _L.BatchNormalization)
        if batch and (not layer.trainable or layer.renorm):
            continue  # these normalize by what they have learned, too
        if _values(layer, size) == 1:
            always.append((name, layer))
        elif batch and rows % size == 1 and _values(layer, 1) == 1:
            at_last.append((name, layer))
    beta = "beta alone comes out, whatever goes in, and no gradient reaches what stands before it"
    batches = [name for name, each in always if isinstance(each, _L.BatchNormalization)]
    others = [name for name, each in always if not isinstance(each, _L.BatchNormalization)]
    if batches:
        yield (
            f"{some(batches)} normalize{_s(batches)} one value per channel in each step "
            f"(train.batch_size is {train.batch_size}): {beta}. Take larger batches"
        )
    if others:
        yield f"{some(others)} normalize{_s(others)} one value by itself: {beta}"
    if at_last:
        yield (
            f"{some(name for name, _ in at_last)} normalize{_s(at_last)} one value per channel in "
            f"the last step of each epoch, which has one row ({rows} rows in batches of {size}): "
            f"{beta}, and the moving variance is drawn towards 0. "
            f"A train.batch_size of {_other(rows, size)} leaves no single row"
        )


def _other(rows: int, size: int) -> int:
    """Return the batch size next to `size` that leaves no single row."""
    ways = (size + step for far in range(1, rows) for step in (-far, far))
    return next(each for each in ways if each > 1 and rows % each != 1)


def _few(live: list[tuple[str, Any]], rows: int, train: Train) -> Iterator[str]:
    size = min(train.batch_size, rows)
    found = {name: _values(layer, size) for name, layer in live}
    few = {name: count for name, count in found.items() if count is not None and 1 < count < FEW}
    if few:
        counts = sorted(set(few.values()))
        yield (
            f"{some(few)} normalize{_s(few)} {' to '.join(map(str, counts[:1] + counts[1:][-1:]))} "
            f"values per channel in a step of {size} rows: such statistics are rough, and differ "
            "from the moving ones that evaluation takes"
        )


def _called_with(model: keras.Model, training: bool) -> Iterator[keras.Layer]:
    """Yield the layers and nested models that are called with a fixed `training`."""
    found = (
        call.operation
        for read, _ in graph.every(model)
        for call in read.calls
        if call.kwargs.get("training") is training and isinstance(call.operation, keras.Layer)
    )
    yield from dict.fromkeys(found)


def _not_kept(model: keras.Model, names: dict[Any, str]) -> Iterator[str]:
    """Remark on normalizations under `training=False`, which does not hold while training.

    Keras gives the argument of the outermost call to every layer inside.
    """
    for layer in _called_with(model, False):
        live = [each for each in layer._flatten_layers() if _normalizes_by_batch(each)]
        if live:
            those = "" if layer in live else f" (BatchNormalization layers in it: {len(live)})"
            yield (
                f"'{names[layer]}' is called with training=False, which training overrides, as fit "
                f"does: it normalizes by the batch, and its statistics move{those}. What is to "
                "stay as it is has to be frozen: train.freeze, or trainable = False"
            )


def _not_active(model: keras.Model, names: dict[Any, str]) -> Iterator[str]:
    """Remark on Dropouts under `training=True`, which does not hold in evaluation."""
    for layer in _called_with(model, True):
        if any(isinstance(each, _L.Dropout) and each.rate > 0 for each in layer._flatten_layers()):
            yield (
                f"'{names[layer]}' is called with training=True, which evaluation overrides: its "
                "Dropout is off where validation and test rows are evaluated"
            )


def _masked(model: keras.Model, names: dict[Any, str]) -> Iterator[str]:
    """Remark on normalizations that get a mask."""
    found = [
        names[call.operation]
        for read, _ in graph.every(model)
        for call in read.calls
        if _normalizes_by_batch(call.operation)
        and any(graph.mask_of(each) is not None for each in call.inputs)
    ]
    if found := list(dict.fromkeys(found)):
        yield (
            f"{some(found)} get{_s(found)} a mask: the statistics are those of unmasked steps, so "
            "of as many values as a batch has, and padding is normalized with them"
        )


def _s(several: Any) -> str:
    return "s" if len(several) == 1 else ""


_NORMS = (_L.BatchNormalization, _L.LayerNormalization, _L.GroupNormalization)
