"""Check a loss that was named against the output it judges and the labels it is given.

A mismatch is a sentence that says what does not fit and what to do. Only true mistakes are
reported, those in which
Keras would train on something else than was meant without a word: probabilities taken for logits
or the other way round, class numbers where values are expected, two shapes of which one would be
repeated along the other. What is not known (a subclassed model, a Lambda, a loss of anyone's own)
is not judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ablate.models.fitting import Judged, by_class_number, by_value
from ablate.study.specs import Target

#: Losses that take probabilities, and logits where `from_logits` says so.
_EITHER = frozenset({
    "binary_crossentropy", "binary_focal_crossentropy", "categorical_crossentropy",
    "categorical_focal_crossentropy", "sparse_categorical_crossentropy",
})  # fmt: skip

#: Losses that take probabilities and nothing else.
_PROBABILITIES = _EITHER | {
    "categorical_generalized_cross_entropy", "dice", "kl_divergence", "tversky",
}  # fmt: skip

#: Losses of one choice among classes.
_CHOICE = frozenset({
    "categorical_crossentropy", "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy", "sparse_categorical_crossentropy",
})  # fmt: skip

_BINARY = frozenset({"binary_crossentropy", "binary_focal_crossentropy"})

#: Losses whose targets have shapes of their own.
_UNJUDGED = frozenset({"ctc", "circle"})

#: Losses of scores without bound, whose sign or order says the class.
MARGINS = frozenset({"hinge", "squared_hinge", "categorical_hinge"})

#: Activations whose outputs are no probabilities.
_UNBOUNDED = frozenset({
    "linear", "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "tanh",
    "softsign", "hard_silu", "hard_tanh", "log_softmax", "log_sigmoid", "softplus", "squareplus",
    "exponential", "tanh_shrink", "soft_shrink", "hard_shrink", "sparse_plus",
})  # fmt: skip


def loss_mismatch(name: str, arguments: Mapping[str, Any], judged: Judged) -> str | None:
    """Return why a loss cannot mean what it says, with the remedy; None if nothing speaks against.

    Args:
        name: of the loss, as `ablate.study.keras_names.LOSSES` has it.
        arguments: of the loss.
        judged: the output and its target.
    """
    return next(loss_mismatches(name, arguments, judged), None)


def loss_mismatches(name: str, arguments: Mapping[str, Any], judged: Judged) -> Iterator[str]:
    """Yield what speaks against a loss, the gravest first."""
    if judged.shape is None or name in _UNJUDGED or arguments.get("axis", -1) != -1:
        return
    yield from _one_unit(name, judged)
    yield from _labels(name, judged)
    yield from _activation(name, bool(arguments.get("from_logits")), judged)
    yield from _values(name, judged.target)


def takes_scores(name: str, arguments: Mapping[str, Any]) -> bool:
    """Whether a loss takes the output as logits or margins, where a class begins at 0."""
    return name in MARGINS or bool(arguments.get("from_logits"))


def not_by_value(what: str, judged: Judged, sparse: str) -> Iterator[str]:
    """Yield what is wrong where `what` needs a value for each number of the output.

    `sparse` is what takes class numbers in its place.
    """
    target, shape = judged.target, judged.shape
    if by_value(target.shape, shape):
        return
    if (
        target.task == "classification"
        and not target.one_hot
        and by_class_number(target.shape, shape)
    ):
        yield (
            f"{what} takes a value for each of the {shape[-1]} units, and the labels are "
            f"class numbers, which Keras would repeat along the units. {sparse}, or give one-hot "
            "labels."
        )
    yield (
        f"{what} takes a value for each number of the output: a row's target has the shape "
        f"{target.shape} and the output {shape}, of which Keras would repeat the one "
        "along the other. Give the model an output, or the data targets, of the same shape."
    )


def _one_unit(name: str, judged: Judged) -> Iterator[str]:
    where = judged.where
    if judged.units == 1 and judged.ends("softmax"):
        yield (
            f"{where} is softmax over one unit, which is always 1. End the model in sigmoid, "
            "or give it a unit per class."
        )
    if judged.units == 1 and name in _CHOICE:
        yield (
            f"{name} chooses among units, and {where} has one: it would always be 0. Use "
            "binary_crossentropy."
        )


def _labels(name: str, judged: Judged) -> Iterator[str]:
    target, shape = judged.target, judged.shape
    if name != "sparse_categorical_crossentropy":
        yield from not_by_value(name, judged, "Use sparse_categorical_crossentropy")
        return
    if by_class_number(target.shape, shape):
        return
    if by_value(target.shape, shape):
        use = "categorical_crossentropy" if target.one_hot else "binary_crossentropy"
        yield (
            f"{name} takes class numbers, and the labels have a value for each unit"
            f"{' (one-hot)' if target.one_hot else ''}. Use {use}."
        )
    yield (
        f"{name} takes a class number for each position of the output: a row's target has "
        f"the shape {target.shape} and the output {shape}. Give the model an output of the "
        "shape of the labels with a last axis of classes."
    )


def _activation(name: str, from_logits: bool, judged: Judged) -> Iterator[str]:
    """Probabilities against logits, one choice against labels of their own."""
    ends, units, where = judged.output.activation, judged.units, judged.where
    if not judged.output.known or ends is None:
        return
    if from_logits and ends in ("softmax", "sigmoid"):
        yield (
            f"{name} with from_logits: true takes logits, and {where} ends in {ends}, whose "
            f"values would go through {'softmax' if name in _CHOICE else 'sigmoid'} once more. "
            "Leave from_logits out, or make the output linear."
        )
    if not from_logits and name in _PROBABILITIES and ends in _UNBOUNDED:
        choice = name in _CHOICE or (name == "kl_divergence" and units != 1)  # of distributions
        proper = "softmax" if choice else "sigmoid"
        logits = f"Say {{name: {name}, from_logits: true}}, or end" if name in _EITHER else "End"
        yield (
            f"{name} takes probabilities, and {where} ends in {ends}, whose values are "
            f"none. {logits} the model in {proper}."
        )
    if name in MARGINS and ends in ("softmax", "sigmoid"):
        yield (
            f"{name} takes scores around 0, and {where} ends in {ends}, whose values are never "
            "below it. End the model in linear or tanh."
        )
    if name in _CHOICE and ends == "sigmoid":
        yield (
            f"{name} is one choice among the units of {where}, which ends in sigmoid: a "
            "probability of its own for each. End the model in softmax, or use "
            "binary_crossentropy for labels that do not exclude each other."
        )
    if name in _BINARY and ends == "softmax" and units is not None and units > 2:
        yield (
            f"{name} takes each unit by itself, and {where} ends in softmax over {units}: "
            "one choice among them. Use categorical_crossentropy, or end the model in sigmoid."
        )


def _values(name: str, target: Target) -> Iterator[str]:
    """Labels that a loss of two classes cannot mean."""
    if name not in _BINARY:
        return
    values = target.values
    if values is not None and not set(values) <= {0.0, 1.0}:
        shown = ", ".join(f"{each:g}" for each in values[:5])
        yield (
            f"{name} takes labels from 0 to 1, and these are {shown}. Give labels of 0 and 1, or "
            f"use {'hinge' if set(values) == {-1.0, 1.0} else 'another loss'}."
        )
    if target.task == "classification" and not target.one_hot and (target.classes or 2) > 2:
        yield (
            f"{name} takes labels of 0 and 1, and these are {target.classes} classes. Use "
            "sparse_categorical_crossentropy and a unit per class."
        )
