"""What an output means: the loss and the metrics that fit it.

A model and the targets of the data go in; Keras losses and metrics come out. Both are read:
what the output's activation is, and what the labels are. Anything but the plain cases is an
error that asks for `train.loss`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from ablate.errors import StudyError
from ablate.models.ends import Aim, Fits
from ablate.surgery import graph

_PASSING = (
    keras.layers.Reshape,
    keras.layers.Flatten,
    keras.layers.Identity,
    keras.layers.Permute,
    keras.layers.Dropout,
)


def auto_loss(model: keras.Model, fits: Fits) -> Any:
    """Return the loss that `loss: auto` means.

    softmax with classes: categorical cross-entropy on probabilities (sparse for integer
    labels). linear with classes: the same from logits. One sigmoid unit with two classes:
    binary cross-entropy (one linear unit: from logits). linear with numbers: mean squared
    error.

    Args:
        model: any Keras model whose graph can be read.
        fits: what is to be learnt (`targets`).

    Returns:
        A Keras loss; for several outputs a dict or list of them, as the targets are.

    Raises:
        StudyError: anything else.
    """
    return _for_each(model, fits, _loss)


def auto_metrics(model: keras.Model, fits: Fits) -> Any:
    """Return the metrics that `metrics: auto` means: accuracy for classes, mae for numbers.

    Returns:
        What `compile` takes: a list; for several outputs a dict or list of lists.
    """
    return _for_each(model, fits, _metrics)


def output_activations(model: keras.Model) -> list[str | None]:
    """Return the name of the activation that each output ends with, None where it is unknown.

    Reshapes and Dropout are looked through, nested models into; an output that no activation
    made is linear.
    """
    if not graph.is_container(model):
        return [None] * len(getattr(model, "outputs", None) or [None])
    read = graph.read(model)
    return [_activation(read, tensor) for tensor in read.outputs]


def _activation(read: graph.Graph, tensor: Any) -> str | None:
    call = read.producer.get(id(tensor))
    if call is None:
        return "linear"  # an input handed through
    operation = call.operation
    if isinstance(operation, keras.layers.Wrapper):
        operation = operation.layer
    if graph.is_container(operation):
        inner = graph.read(operation)
        index = next(i for i, each in enumerate(call.outputs) if each is tensor)
        return _activation(inner, inner.outputs[index])
    if isinstance(operation, _PASSING):
        return _activation(read, call.inputs[0])
    if isinstance(operation, keras.layers.Softmax):
        return "softmax"
    function = getattr(operation, "activation", None)
    if function is not None:
        return _named(function)
    if isinstance(operation, keras.Layer):
        return "linear"
    # An operation of keras.ops: softmax and sigmoid end outputs, the rest is arithmetic.
    name = type(operation).__name__.lower()
    return name if name in ("softmax", "sigmoid") else "linear"


def _named(function: Any) -> str:
    named = keras.activations.serialize(function)
    return named if isinstance(named, str) else str(getattr(function, "__name__", named))


def _for_each(model: keras.Model, fits: Fits, choose: Any) -> Any:
    activations = output_activations(model)
    outputs = getattr(model, "outputs", None) or [None]
    shapes = [None if each is None else tuple(each.shape[1:]) for each in outputs]
    aims = fits.targets
    if isinstance(aims, Mapping):
        names = list(model.output_names)
        missing = [name for name in aims if name not in names]
        if missing or len(aims) != len(names):
            raise StudyError(
                f"data: the targets are {', '.join(aims)}; the model's outputs are "
                f"{', '.join(names)}. Expected: the same names."
            )
        return {
            name: choose(aims[name], activation, shape, f" of '{name}'")
            for name, activation, shape in zip(names, activations, shapes, strict=True)
        }
    if isinstance(aims, list):
        return [
            choose(aim, activation, shape, f" {index}")
            for index, (aim, activation, shape) in enumerate(
                zip(aims, activations, shapes, strict=True)
            )
        ]
    return choose(aims, activations[0], shapes[0], "")


def _loss(
    aim: Aim, activation: str | None, shape: tuple[int | None, ...] | None, which: str
) -> keras.losses.Loss:
    if activation is None or shape is None:
        raise StudyError(
            f"train.loss: what output{which} means cannot be read from a subclassed model. "
            "Name the loss."
        )
    units = shape[-1] if shape else 1
    losses = keras.losses
    if aim.task == "regression":
        if activation == "linear":
            return losses.MeanSquaredError()
        raise StudyError(
            f"train.loss: the targets are numbers and output{which} ends in {activation}, which "
            "'auto' has no loss for. Name one (mean_squared_error, binary_crossentropy, …), or "
            "make the output linear."
        )
    logits = activation == "linear"
    if units == 1 and aim.classes == 2 and not aim.one_hot and activation in ("sigmoid", "linear"):
        return losses.BinaryCrossentropy(from_logits=logits)
    if activation in ("softmax", "linear") and units is not None and units >= (aim.classes or 2):
        if aim.one_hot:
            return losses.CategoricalCrossentropy(from_logits=logits)
        return losses.SparseCategoricalCrossentropy(from_logits=logits)
    raise StudyError(
        f"train.loss: the labels are {aim.classes} classes and output{which} has {units} units "
        f"ending in {activation}, which 'auto' has no loss for. Name a loss, or end the model in "
        "softmax (or linear) with a unit per class."
    )


def _metrics(
    aim: Aim, activation: str | None, shape: tuple[int | None, ...] | None, which: str
) -> list[Any]:
    if aim.task == "regression":
        return ["mae"]
    if shape is not None and shape[-1:] == (1,) and activation == "linear":
        # Keras's accuracy would cut a logit at one half.
        return [keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0)]
    return ["accuracy"]
