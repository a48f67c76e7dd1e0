"""What an output means: the loss and the metrics that fit it.

A model and the targets of the data go in; Keras losses and metrics come out. Both are read:
what the output's activation is, and what the labels are. Anything but the plain cases is an
error that asks for `train.loss`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import keras

from ablate.errors import StudyError
from ablate.models.fitting import by_class_number, by_value, several_labels
from ablate.models.outputs import Output, outputs_of
from ablate.models.specs import Aim, Fits
from ablate.surgery import graph

Choose = Callable[[Aim, Output, str], Any]


def auto_loss(
    model: keras.Model, fits: Fits, wanted: Callable[[int], bool] = lambda index: True
) -> Any:
    """Return the loss that `loss: auto` means.

    softmax with classes: categorical cross-entropy on probabilities (sparse for integer
    labels). linear with classes: the same from logits. One sigmoid unit with two classes, or one
    for each of several labels of 0 or 1: binary cross-entropy (linear: from logits). linear with
    numbers: mean squared error.

    Args:
        model: any Keras model whose graph can be read.
        fits: what is to be learnt (`targets`).
        wanted: whether the output of an index needs a loss; others have None.

    Returns:
        A Keras loss; for several outputs a dict or list of them, as the targets are.

    Raises:
        StudyError: anything else.
    """
    indices = itertools.count()

    def choose(aim: Aim, output: Output, which: str) -> Any:
        return _loss(aim, output, which) if wanted(next(indices)) else None

    return _for_each(model, fits, choose)


def auto_metrics(model: keras.Model, fits: Fits) -> Any:
    """Return the metrics that `metrics: auto` means: accuracy for classes, mae for numbers.

    Returns:
        What `compile` takes: a list; for several outputs a dict or list of lists.
    """
    return _for_each(model, fits, _metrics)


def outputs_with_targets(model: keras.Model, fits: Fits) -> list[tuple[Aim, Output, str]]:
    """Return for each output, in order, its target, what is known of it, and the words that tell
    which output it is ("" where there is one); nothing for a model whose graph cannot be read.

    Raises:
        StudyError: the targets have other names than the outputs.
    """
    return _met(model, fits) if graph.is_container(model) else []


def _met(model: keras.Model, fits: Fits) -> list[tuple[Aim, Output, str]]:
    outputs, aims = outputs_of(model), fits.targets
    if isinstance(aims, Mapping):
        names = list(model.output_names)
        missing = [name for name in aims if name not in names]
        if missing or len(aims) != len(names):
            raise StudyError(
                f"data: the targets are {', '.join(aims)}; the model's outputs are "
                f"{', '.join(names)}. Expected: the same names."
            )
        return [(aims[each.name], each, f" of '{each.name}'") for each in outputs]
    if isinstance(aims, list):
        pairs = enumerate(zip(aims, outputs, strict=True))
        return [(aim, each, f" {index}") for index, (aim, each) in pairs]
    return [(aims, outputs[0], "")]


def _for_each(model: keras.Model, fits: Fits, choose: Choose) -> Any:
    """Return what `choose` makes of each output, in the structure of the targets."""
    made = [(each.name, choose(aim, each, which)) for aim, each, which in _met(model, fits)]
    if isinstance(fits.targets, Mapping):
        return dict(made)
    found = [each for _, each in made]
    return found if isinstance(fits.targets, list) else found[0]


def _loss(aim: Aim, output: Output, which: str) -> keras.losses.Loss:
    activation, shape = output.activation, output.shape
    if activation is None or shape is None:
        raise StudyError(
            f"train.loss: what output{which} means cannot be read from a subclassed model. "
            "Name the loss."
        )
    losses = keras.losses
    if aim.task == "regression":
        return _regression(aim, activation, shape, which)
    units = shape[-1] if shape else 1
    logits = activation == "linear"
    if activation in ("sigmoid", "linear"):
        one_of_two = units == 1 and aim.classes == 2 and not aim.one_hot
        if several_labels(aim, shape) or (one_of_two and by_value(aim.shape, shape)):
            return losses.BinaryCrossentropy(from_logits=logits)
    if activation in ("softmax", "linear") and units is not None and units >= (aim.classes or 2):
        if aim.one_hot and by_value(aim.shape, shape):
            return losses.CategoricalCrossentropy(from_logits=logits)
        if not aim.one_hot and by_class_number(aim.shape, shape):
            return losses.SparseCategoricalCrossentropy(from_logits=logits)
    raise StudyError(
        f"train.loss: the labels are {_described(aim)} and output{which} has "
        f"{units if len(shape) < 2 else f'the shape {shape}'}{' units' if len(shape) < 2 else ''} "
        f"ending in {activation}, which 'auto' has no loss for. Name a loss, or end the model in "
        "softmax (or linear) with a unit per class, or in sigmoid with a unit per label of 0 or 1."
    )


def _regression(aim: Aim, activation: str, shape: Any, which: str) -> keras.losses.Loss:
    if activation != "linear":
        raise StudyError(
            f"train.loss: the targets are numbers and output{which} ends in {activation}, which "
            "'auto' has no loss for. Name one (mean_squared_error, binary_crossentropy, …), or "
            "make the output linear. If they are classes, give them as integers or say "
            "data.task: classification."
        )
    if not by_value(aim.shape, shape):
        raise StudyError(
            f"train.loss: a row's target has the shape {aim.shape} and output{which} the shape "
            f"{shape}. Expected: the same, or a last axis of 1 more or less; Keras would repeat "
            "the one along the other."
        )
    return keras.losses.MeanSquaredError()


def _described(aim: Aim) -> str:
    kind = "one-hot classes" if aim.one_hot else "classes"
    inside = f" in rows of shape {aim.shape}" if aim.shape and not aim.one_hot else ""
    return f"{aim.classes} {kind}{inside}"


def _metrics(aim: Aim, output: Output, which: str) -> list[Any]:
    shape, linear = output.shape, output.activation == "linear"
    if aim.task == "regression":
        return ["mae"]
    if shape is not None and several_labels(aim, shape):
        # Keras's accuracy would compare the largest of the labels.
        binary = keras.metrics.BinaryAccuracy
        return [binary(name="binary_accuracy", threshold=0.0 if linear else 0.5)]
    if shape is not None and shape[-1:] == (1,) and linear:
        # Keras's accuracy would cut a logit at one half.
        return [keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0)]
    return ["accuracy"]
