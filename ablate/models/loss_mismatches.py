"""Hold a loss that was named against the output it judges and the labels it is given.

A loss by Keras's name and what is known of an output and its target go in; out comes a sentence
that says what does not fit and what to do, or None. Only true mistakes are told, those in which
Keras would train on something else than was meant without a word: probabilities taken for logits
or the other way round, class numbers where values are expected, two shapes of which one would be
repeated along the other. What is not known (a subclassed model, a Lambda, a loss of anyone's own)
is not judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ablate.models.fitting import by_class_number, by_value
from ablate.models.outputs import Output
from ablate.models.specs import Aim

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
    "softsign", "hard_silu", "hard_tanh",
})  # fmt: skip


@dataclass(frozen=True)
class Judged:
    """An output with its target: what a loss or a metric is held against.

    `scores`: the loss takes the output as logits or margins, so a class begins at 0. `which` are
    words that tell the output from others, or "".
    """

    aim: Aim
    output: Output
    scores: bool = False
    which: str = ""

    @property
    def where(self) -> str:
        """What messages call the output."""
        return f"output{self.which}" if self.which else "the output"

    @property
    def shape(self) -> Any:
        """The output's shape, which is known."""
        return self.output.shape

    @property
    def units(self) -> int | None:
        """The output's last axis."""
        return self.shape[-1] if self.shape else 1

    def ends(self, *activations: str) -> bool:
        """Whether the output is known to end in one of these."""
        return self.output.known and self.output.activation in activations

    @property
    def two_values(self) -> bool:
        """Whether the targets are 0 and 1, as far as that is known."""
        if self.aim.task == "classification":
            return self.aim.one_hot or self.aim.classes == 2
        values = getattr(self.aim, "values", None)
        return values is not None and set(values) <= {0.0, 1.0}


def loss_mismatch(name: str, arguments: Mapping[str, Any], judged: Judged) -> str | None:
    """Return why a loss cannot mean what it says, with the remedy; None if nothing speaks against.

    Args:
        name: of the loss, as `ablate.study.keras_names.LOSSES` has it.
        arguments: of the loss.
        judged: the output and its target.
    """
    if judged.shape is None or name in _UNJUDGED or arguments.get("axis", -1) != -1:
        return None
    return (
        _one_unit(name, judged)
        or _labels(name, judged)
        or _activation(name, bool(arguments.get("from_logits")), judged)
        or _values(name, judged.aim)
    )


def takes_scores(name: str, arguments: Mapping[str, Any]) -> bool:
    """Whether a loss takes the output as logits or margins, where a class begins at 0."""
    return name in MARGINS or bool(arguments.get("from_logits"))


def not_by_value(what: str, judged: Judged, sparse: str) -> str | None:
    """Return what is wrong where `what` needs a value for each number of the output.

    `sparse` is what takes class numbers in its place.
    """
    aim, shape = judged.aim, judged.shape
    if by_value(aim.shape, shape):
        return None
    if aim.task == "classification" and not aim.one_hot and by_class_number(aim.shape, shape):
        return (
            f"{what} takes a value for each of the {shape[-1]} units, and the labels are "
            f"class numbers, which Keras would repeat along the units. {sparse}, or give one-hot "
            "labels."
        )
    return (
        f"{what} takes a value for each number of the output: a row's target has the shape "
        f"{aim.shape} and the output {shape}, of which Keras would repeat the one along the other. "
        "Give the model an output, or the data targets, of the same shape."
    )


def _one_unit(name: str, judged: Judged) -> str | None:
    where = judged.where
    if judged.units != 1:
        return None
    if judged.ends("softmax"):
        return (
            f"{where} is softmax over one unit, which is always 1. End the model in sigmoid, "
            "or give it a unit per class."
        )
    if name in _CHOICE:
        return (
            f"{name} chooses among units, and {where} has one: it would always be 0. Use "
            "binary_crossentropy."
        )
    return None


def _labels(name: str, judged: Judged) -> str | None:
    aim, shape = judged.aim, judged.shape
    if name != "sparse_categorical_crossentropy":
        return not_by_value(name, judged, "Use sparse_categorical_crossentropy")
    if by_class_number(aim.shape, shape):
        return None
    if by_value(aim.shape, shape):
        use = "categorical_crossentropy" if aim.one_hot else "binary_crossentropy"
        return (
            f"{name} takes class numbers, and the labels have a value for each unit"
            f"{' (one-hot)' if aim.one_hot else ''}. Use {use}."
        )
    return (
        f"{name} takes a class number for each position of the output: a row's target has "
        f"the shape {aim.shape} and the output {shape}. Give the model an output of the shape of "
        "the labels with a last axis of classes."
    )


def _activation(name: str, from_logits: bool, judged: Judged) -> str | None:
    """Tell a loss of probabilities from one of logits, and classes from labels."""
    ends, units, where = judged.output.activation, judged.units, judged.where
    if not judged.output.known or ends is None:
        return None
    if from_logits and ends in ("softmax", "sigmoid"):
        return (
            f"{name} with from_logits: true takes logits, and {where} ends in {ends}, whose "
            f"values would go through {'softmax' if name in _CHOICE else 'sigmoid'} once more. "
            "Leave from_logits out, or make the output linear."
        )
    if not from_logits and name in _PROBABILITIES and ends in _UNBOUNDED:
        proper = "softmax" if name in _CHOICE else "sigmoid"
        logits = f"Say {{name: {name}, from_logits: true}}, or end" if name in _EITHER else "End"
        return (
            f"{name} takes probabilities, and {where} ends in {ends}, whose values are "
            f"none. {logits} the model in {proper}."
        )
    if name in _CHOICE and ends == "sigmoid":
        return (
            f"{name} is one choice among the units of {where}, which ends in sigmoid: a "
            "probability of its own for each. End the model in softmax, or use "
            "binary_crossentropy for labels that do not exclude each other."
        )
    if name in _BINARY and ends == "softmax" and units is not None and units > 2:
        return (
            f"{name} takes each unit by itself, and {where} ends in softmax over {units}: "
            "one choice among them. Use categorical_crossentropy, or end the model in sigmoid."
        )
    return None


def _values(name: str, aim: Aim) -> str | None:
    """Tell labels that a loss of two classes cannot mean."""
    if name not in _BINARY:
        return None
    values = getattr(aim, "values", None)
    if values is not None and not set(values) <= {0.0, 1.0}:
        shown = ", ".join(f"{each:g}" for each in values[:5])
        return (
            f"{name} takes labels from 0 to 1, and these are {shown}. Give labels of 0 and 1, or "
            f"use {'hinge' if set(values) == {-1.0, 1.0} else 'another loss'}."
        )
    if aim.task == "classification" and not aim.one_hot and (aim.classes or 2) > 2:
        return (
            f"{name} takes labels of 0 and 1, and these are {aim.classes} classes. Use "
            "sparse_categorical_crossentropy and a unit per class."
        )
    return None
