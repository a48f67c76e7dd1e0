"""A rehearsal of training: a step on a full batch and one on the last of an epoch, in vain.

A compiled network that is thrown away afterwards and its training rows go in; nothing comes out
but an error, with the field at fault, where the first epoch of a trial would fail. Some things do
not fit in training alone: Dropout's `noise_shape`, what depends on the number of rows, gradients.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import keras

from ablate.errors import AblateError, StudyError
from ablate.reasons import reason
from ablate.study.trial import Spec
from ablate.surgery import graph
from ablate.surgery.graph import paths as named_layers
from ablate.training.augmentation import NONE, Augmentation
from ablate.training.feed import Batch, Feed, row_count
from ablate.training.network import Network


def rehearse(made: Network, spec: Spec, examples: Feed, augmentation: Augmentation = NONE) -> None:
    """Take a full batch of the training rows, and then the last, through a step of training.

    The first is a whole step of Keras's. The last, where it is smaller, goes forward alone, the
    loss included, unless the model has a step of its own.

    Args:
        made: the network, compiled.
        spec: the variant.
        examples: the training rows.
        augmentation: what is done to them.

    Raises:
        StudyError: a step fails; the message names the layer.
    """
    if spec.train.epochs == 0:
        return
    rows, size = examples.rows, spec.train.batch_size

    def batch(start: int, stop: int) -> Batch:
        return augmentation.trained(examples.batch(start, stop), augmentation.seeds(0, 0), 0)

    with _unmoved(made.model, spec.model.call is not None):
        _attempt(made, batch(0, min(size, rows)), False)
        if rows > size and rows % size:
            _attempt(made, batch(rows - rows % size, rows), True)


def _attempt(made: Network, batch: Batch, last: bool) -> None:
    model = made.model
    own = any(
        getattr(type(model), each) is not getattr(keras.Model, each)
        for each in ("train_step", "compute_loss")
    )
    filtered = keras.config.is_traceback_filtering_enabled()
    keras.config.disable_traceback_filtering()  # its frames tell which layer it was
    try:
        if not last or own:
            model.train_step(batch)
        else:
            x, y, *weights = batch
            predicted = model(x, training=True)
            model.compute_loss(x, y, predicted, *weights, training=True)
    except AblateError:
        raise
    except Exception as error:
        raise StudyError(_explained(error, made, row_count(batch), last)) from error
    finally:
        if filtered:
            keras.config.enable_traceback_filtering()


@contextmanager
def _unmoved(model: keras.Model, wanted: bool) -> Iterator[None]:
    """Put back what steps move in a model that somebody else may hold: a function's own."""
    variables = list(model.variables) if wanted else []
    held = [keras.ops.convert_to_numpy(each) for each in variables]
    try:
        yield
    finally:
        for variable, value in zip(variables, held, strict=True):
            variable.assign(value)


def _explained(error: Exception, made: Network, rows: int, last: bool) -> str:
    """Return field, layer and reason of a step that failed."""
    frame, path = _culprit(error, made.model)
    batch = "the last batch of an epoch," if last else "a batch"
    where = f"{batch} of {rows} row{'s' if rows > 1 else ''}"
    why = reason(error)
    if frame is None:
        return f"train: a step of training fails on {where}: {why}"
    layer = frame.f_locals["self"]
    inserted = (each for each in made.decisions if each.path == path)
    field = next((f"insert[{made.index_of(each)}]" for each in inserted), "model")
    noise, remedy = getattr(layer, "noise_shape", None), ""
    if noise is not None and hasattr(frame.f_locals.get("inputs"), "shape"):
        shape = tuple(frame.f_locals["inputs"].shape)
        why = f"noise_shape {json.dumps(noise)} does not fit {shape}"
        remedy = " Write null for the axis of the batch, however large it is."
    elif last:
        remedy = " If it needs whole batches, let train.batch_size divide the training rows."
    why = why if why.endswith(".") or not remedy else f"{why}."
    return f"{field}: '{path}' ({type(layer).__name__}) fails in training on {where}: {why}{remedy}"


def _culprit(error: Exception, model: keras.Model) -> tuple[FrameType | None, str]:
    """Return the innermost call of a layer of the model that the error came through."""
    known: dict[Any, str] = {}
    if graph.is_container(model):
        known = {each: path for each, path in named_layers(model) if not graph.is_container(each)}
    else:
        known = {each: each.name for each in model._flatten_layers() if not graph.sublayers(each)}
    found: tuple[FrameType | None, str] = (None, "")
    trace = error.__traceback__
    while trace is not None:
        owner = trace.tb_frame.f_locals.get("self")
        if isinstance(owner, keras.Layer) and owner in known:
            found = (trace.tb_frame, known[owner])
        trace = trace.tb_next
    return found
