"""What a network has to fit: the shape of an example, and what is to be learnt.

`Ends` is all that models need to know of data; `ablate.data.Splits` has the same attributes and
can stand for it. `Goal` says what one output learns, as `ablate.data.Target` does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from ablate.errors import StudyError


class Aim(Protocol):
    """What one output is to learn: `shape` of a row's target, () for integer labels."""

    @property
    def task(self) -> Literal["classification", "regression"]: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def classes(self) -> int | None: ...
    @property
    def one_hot(self) -> bool: ...


class Fits(Protocol):
    """The two ends of the data: inputs and targets, or dicts or lists of them."""

    @property
    def input_shape(self) -> Any: ...
    @property
    def targets(self) -> Any: ...
    @property
    def tokens(self) -> bool: ...


@dataclass(frozen=True)
class Goal:
    """One output's task, the shape of a row's target, and its classes."""

    task: Literal["classification", "regression"]
    shape: tuple[int, ...] = ()
    classes: int | None = None
    one_hot: bool = False


@dataclass(frozen=True)
class InputOutputSpec:
    """The ends of a network that is built without data."""

    input_shape: Any
    targets: Any
    tokens: bool = False


def single(fits: Fits, model: str) -> tuple[tuple[int, ...], Aim]:
    """Return the one input shape and the one aim that a factory can build for.

    Raises:
        StudyError: several inputs or outputs, or token numbers, which no factory takes.
    """
    for what, value in (("inputs", fits.input_shape), ("outputs", fits.targets)):
        if isinstance(value, Mapping | list):
            names = list(value) if isinstance(value, Mapping) else f"{len(value)} of them"
            raise StudyError(
                f"model.name: '{model}' has one input and one output; the data has several "
                f"{what} ({names}). Bring a model of your own by 'call' or 'file'."
            )
    if fits.tokens:
        raise StudyError(
            f"model.name: '{model}' takes numbers, and the data are token numbers, which need an "
            "Embedding. Use data.encoding: multi_hot (imdb, reuters), or bring a model of your "
            "own by 'call' or 'file'."
        )
    aim = fits.targets
    if aim.task == "classification" and not aim.one_hot and aim.shape:
        raise StudyError(
            f"model.name: '{model}' gives one class per example; the labels have shape "
            f"{aim.shape}. Bring a model of your own by 'call' or 'file'."
        )
    return tuple(fits.input_shape), aim


def count(value: Any) -> int:
    """Return how many inputs or outputs there are."""
    return len(value) if isinstance(value, Mapping | list) else 1


def shapes(value: Any) -> Sequence[tuple[int, ...]]:
    """Return the shapes of the inputs, in order."""
    if isinstance(value, Mapping):
        return list(value.values())
    return value if isinstance(value, list) else [value]
