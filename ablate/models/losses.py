"""What an output means: the loss and the metrics that fit it.

Both are read off the model and the targets: what the output's activation is, and what the labels
are. Anything but the plain cases is an error that asks for `train.loss`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import keras

from ablate.errors import StudyError
from ablate.models.fitting import Judged, by_class_number, by_value, several_labels
from ablate.models.outputs import outputs_of
from ablate.study.specs import Target
from ablate.surgery import graph


def auto_loss(
    model: keras.Model, targets: Any, wanted: Callable[[int], bool] = lambda index: True
) -> Any:
    """Return the loss that `loss: auto` means.

    softmax with classes: categorical cross-entropy on probabilities (sparse for integer
    labels). linear with classes: the same from logits. One sigmoid unit with two classes, or one
    for each of several labels of 0 or 1: binary cross-entropy (linear: from logits). linear with
    numbers: mean squared error.

    Args:
        model: any Keras model whose graph can be read.
        targets: what is to be learnt: a `Target`, or a dict or list of them.
        wanted: whether the output of an index needs a loss; others have None.

    Returns:
        A Keras loss; for several outputs a dict or list of them, as the targets are.

    Raises:
        StudyError: anything else.
    """
    indices = itertools.count()
    return _for_each(
        model, targets, lambda judged: _loss(judged) if wanted(next(indices)) else None
    )


def auto_metrics(model: keras.Model, targets: Any) -> Any:
    """Return the metrics that `metrics: auto` means: accuracy for classes, mae for numbers.

    Returns:
        What `compile` takes: a list; for several outputs a dict or list of lists.
    """
    return _for_each(model, targets, _metrics)


def outputs_with_targets(model: keras.Model, targets: Any) -> list[Judged]:
    """Return each output with its target, in order; nothing where a graph cannot be read.

    Raises:
        StudyError: the targets have other names than the outputs.
    """
    return _paired(model, targets) if graph.is_container(model) else []


def _paired(model: keras.Model, targets: Any) -> list[Judged]:
    outputs = outputs_of(model)
    if isinstance(targets, Mapping):
        names = list(model.output_names)
        if len(targets) != len(names) or not set(targets) <= set(names):
            raise StudyError(
                f"data: the targets are {', '.join(targets)}; the model's outputs are "
                f"{', '.join(names)}. Expected: the same names."
            )
        return [Judged(targets[each.name], each, which=f" of '{each.name}'") for each in outputs]
    if isinstance(targets, list):
        pairs = enumerate(zip(targets, outputs, strict=True))
        return [Judged(target, each, which=f" {index}") for index, (target, each) in pairs]
    return [Judged(targets, outputs[0])]


def _for_each(model: keras.Model, targets: Any, choose: Callable[[Judged], Any]) -> Any:
    """Return what `choose` makes of each output, in the structure of the targets."""
    made = [(each.output.name, choose(each)) for each in _paired(model, targets)]
    if isinstance(targets, Mapping):
        return dict(made)
    found = [each for _, each in made]
    return found if isinstance(targets, list) else found[0]


def _loss(judged: Judged) -> keras.losses.Loss:
    target, which = judged.target, judged.which
    activation, shape = judged.output.activation, judged.shape
    if activation is None or shape is None:
        raise StudyError(
            f"train.loss: what output{which} means cannot be read from a subclassed model. "
            "Name the loss."
        )
    losses = keras.losses
    if target.task == "regression":
        return _regression(target, activation, shape, which)
    units = judged.units
    logits = activation == "linear"
    if activation in ("sigmoid", "linear"):
        one_of_two = units == 1 and target.classes == 2 and not target.one_hot
        if several_labels(target, shape) or (one_of_two and by_value(target.shape, shape)):
            return losses.BinaryCrossentropy(from_logits=logits)
    if activation in ("softmax", "linear") and units is not None and units >= (target.classes or 2):
        if target.one_hot and by_value(target.shape, shape):
            return losses.CategoricalCrossentropy(from_logits=logits)
        if not target.one_hot and by_class_number(target.shape, shape):
            return losses.SparseCategoricalCrossentropy(from_logits=logits)
    raise StudyError(
        f"train.loss: the labels are {_described(target)} and output{which} has "
        f"{units if len(shape) < 2 else f'the shape {shape}'}{' units' if len(shape) < 2 else ''} "
        f"ending in {activation}, which 'auto' has no loss for. Name a loss, or end the model in "
        "softmax (or linear) with a unit per class, or in sigmoid with a unit per label of 0 or 1."
    )


def _regression(target: Target, activation: str, shape: Any, which: str) -> keras.losses.Loss:
    if activation != "linear":
        raise StudyError(
            f"train.loss: the targets are numbers and output{which} ends in {activation}, which "
            "'auto' has no loss for. Name one (mean_squared_error, binary_crossentropy, …), or "
            "make the output linear. If they are classes, give them as integers or say "
            "data.task: classification."
        )
    if not by_value(target.shape, shape):
        raise StudyError(
            f"train.loss: a row's target has the shape {target.shape} and output{which} the shape "
            f"{shape}. Expected: the same, or a last axis of 1 more or less; Keras would repeat "
            "the one along the other."
        )
    return keras.losses.MeanSquaredError()


def _described(target: Target) -> str:
    kind = "one-hot classes" if target.one_hot else "classes"
    inside = f" in rows of shape {target.shape}" if target.shape and not target.one_hot else ""
    return f"{target.classes} {kind}{inside}"


def _metrics(judged: Judged) -> list[Any]:
    target, shape, linear = judged.target, judged.shape, judged.output.activation == "linear"
    if target.task == "regression":
        return ["mae"]
    if shape is not None and several_labels(target, shape):
        # Keras's accuracy would compare the largest of the labels.
        binary = keras.metrics.BinaryAccuracy
        return [binary(name="binary_accuracy", threshold=0.0 if linear else 0.5)]
    if shape is not None and shape[-1:] == (1,) and linear:
        # Keras's accuracy would cut a logit at one half.
        return [keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0)]
    return ["accuracy"]
