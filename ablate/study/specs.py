"""What a network has to fit: the shape of an example, and what each output is to learn.

Data says this of its rows and models are built for it, though neither knows of the other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Task = Literal["classification", "regression"]


@dataclass(frozen=True)
class Target:
    """What one output is to learn.

    `shape` is that of one row's target; integer labels have shape (). `classes` and
    `class_names` are None for regression. `values` are the numbers of a regression where they
    are a few whole ones, which may be classes written as floats.
    """

    task: Task
    shape: tuple[int, ...] = ()
    classes: int | None = None
    class_names: tuple[str, ...] | None = None
    one_hot: bool = False
    values: tuple[float, ...] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class InputOutputSpec:
    """The shape of an example and the `Target`; of several inputs or outputs, dicts or lists.

    `tokens`: the inputs are token numbers.
    """

    input_shape: Any
    targets: Any
    tokens: bool = False
