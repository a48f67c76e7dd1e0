"""Whether labels and an output fit each other, by their shapes.

Labels meet an output in one of two ways: class numbers, one for each position that has a unit per
class, or values, one for each number of the output. Shape and classes decide together: integers
of shape (4,) are four labels of 0 or 1 for four units, else a class for each of four positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ablate.models.outputs import Output
from ablate.study.specs import Target

Shape = Sequence[int | None]


@dataclass(frozen=True)
class Judged:
    """An output with its target: what a loss or a metric is checked against.

    `scores`: the loss takes the output as logits or margins, so a class begins at 0. `which` are
    words that distinguish the output from others, or "".
    """

    target: Target
    output: Output
    scores: bool = False
    which: str = ""

    @property
    def where(self) -> str:
        """Name the output in a message."""
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
        if self.target.task == "classification":
            return self.target.one_hot or self.target.classes == 2
        values = self.target.values
        return values is not None and set(values) <= {0.0, 1.0}


def by_value(labels: Shape, output: Shape) -> bool:
    """Whether there is a value for each number of the output; a last axis of 1 may be left out.

    >>> by_value((4,), (4,)), by_value((), (1,)), by_value((8, 8), (8, 8, 1)), by_value((1,), (3,))
    (True, True, True, False)
    """
    labels, output = tuple(labels), tuple(output)
    return _same(labels, output) or _same((*labels, 1), output) or _same(labels, (*output, 1))


def by_class_number(labels: Shape, output: Shape) -> bool:
    """Whether there is a number for each position whose last axis has the classes.

    >>> by_class_number((), (3,)), by_class_number((8, 8, 1), (8, 8, 3))
    (True, True)
    >>> by_class_number((3,), (3,))
    False
    """
    labels, positions = tuple(labels), tuple(output)[:-1]
    return bool(output) and (_same(labels, positions) or _same(labels, (*positions, 1)))


def several_labels(target: Target, output: Shape) -> bool:
    """Whether the output has a number of its own for each of several labels of 0 or 1."""
    return (
        target.task == "classification"
        and target.classes == 2
        and not target.one_hot
        and _same(tuple(target.shape), tuple(output))
        and tuple(output)[-1:] != (1,)
        and bool(output)
    )


def fits(target: Target, output: Shape) -> bool:
    """Whether an output of this shape can learn `target`: shapes meet, classes have units."""
    if target.task == "regression" or target.one_hot:
        return by_value(target.shape, output)
    if several_labels(target, output) or (target.classes == 2 and by_value(target.shape, output)):
        return True
    units = output[-1] if output else 1
    return by_class_number(target.shape, output) and (
        units is None or units >= (target.classes or 2)
    )


def units_for(target: Target, output: Shape) -> int | None:
    """Return the units that the last axis of `output` needs to learn `target`.

    None where other units alone would not help.
    """
    if (
        target.task == "classification"
        and not target.one_hot
        and by_class_number(target.shape, output)
    ):
        return target.classes
    labels = tuple(target.shape)
    if not labels or not _same(labels[:-1], tuple(output)[:-1]):
        return None
    numbers = target.task == "regression" or target.one_hot or target.classes == 2
    return labels[-1] if numbers else None


def _same(one: Shape, other: Shape) -> bool:
    return len(one) == len(other) and all(
        a is None or b is None or a == b for a, b in zip(one, other, strict=True)
    )
