"""Whether labels and an output can be held against each other, by their shapes.

What is to be learnt and the shape of an output go in. Labels meet an output in one of two ways:
class numbers, one for each position that has a unit per class, or values, one for each number
of the output. Which of the two it is, shape and classes tell together: integers of shape (4,)
are four labels of 0 or 1 for four units, and a class for each of four positions otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence

from ablate.models.specs import Aim

Shape = Sequence[int | None]


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


def several_labels(aim: Aim, output: Shape) -> bool:
    """Whether the output has a number of its own for each of several labels of 0 or 1."""
    return (
        aim.task == "classification"
        and aim.classes == 2
        and not aim.one_hot
        and _same(tuple(aim.shape), tuple(output))
        and tuple(output)[-1:] != (1,)
        and bool(output)
    )


def fits(aim: Aim, output: Shape) -> bool:
    """Whether an output of this shape can learn `aim`: the shapes meet and classes have units."""
    if aim.task == "regression" or aim.one_hot:
        return by_value(aim.shape, output)
    if several_labels(aim, output) or (aim.classes == 2 and by_value(aim.shape, output)):
        return True
    units = output[-1] if output else 1
    return by_class_number(aim.shape, output) and (units is None or units >= (aim.classes or 2))


def units_for(aim: Aim, output: Shape) -> int | None:
    """Return the units that the last axis of `output` needs to learn `aim`.

    None where other units alone would not help.
    """
    if aim.task == "classification" and not aim.one_hot and by_class_number(aim.shape, output):
        return aim.classes
    labels = tuple(aim.shape)
    if not labels or not _same(labels[:-1], tuple(output)[:-1]):
        return None
    numbers = aim.task == "regression" or aim.one_hot or aim.classes == 2
    return labels[-1] if numbers else None


def _same(one: Shape, other: Shape) -> bool:
    return len(one) == len(other) and all(
        a is None or b is None or a == b for a, b in zip(one, other, strict=True)
    )
