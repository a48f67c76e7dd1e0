"""The space of a variant as Keras Tuner's hyperparameters.

They are named by their paths in the study, with a condition on each field of a placement that may
be absent. A range with a
step becomes a choice of its exact values: `[0, 0.5]` by 0.1 ends with 0.5 and not with
0.30000000000000004 on the way.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import keras_tuner as kt

from ablate.errors import StudyError
from ablate.study.resolved import ResolvedVariant
from ablate.study.schema.search import Dimension, Search
from ablate.study.search_points import condition_of, parameters_of

Values = dict[str, Any]


def space_of(variant: ResolvedVariant, search: Search) -> kt.HyperParameters:
    """Return the hyperparameters that `variant` has, in the order of the space.

    Raises:
        StudyError: the space holds what no search can vary.
    """
    check_searchable(search)
    hp = kt.HyperParameters()
    declare(hp, parameters_of(variant, search), search)
    return hp


def check_searchable(search: Search) -> None:
    """Refuse fields that decide no number, or that the oracle decides itself.

    Raises:
        StudyError: with the field.
    """
    refused = {
        "train.threads": "it decides the last bits of a number, and nothing else",
        "train.save": "it decides no number",
        "train.metrics": "it decides no number",
        "train.time_limit": "it decides no number but when a trial is given up",
    }
    if search.oracle == "hyperband":
        refused["train.epochs"] = "hyperband decides the epochs itself"
    for path in search.space:
        if path in refused:
            raise StudyError(f"search.space.{path}: cannot be searched: {refused[path]}.")


def declare(
    hp: kt.HyperParameters,
    parameters: Mapping[str, Dimension],
    search: Search,
    defaults: Mapping[str, Any] | None = None,
) -> Values:
    """Declare `parameters` on `hp` and return the values that are active there, by path.

    A placement's `present` is declared before the fields that hang on it. `defaults` are values
    of the space (see `nearest_in`); a parameter without one has Keras Tuner's own default.
    """
    values: Values = {}
    ordered = sorted(parameters, key=lambda path: condition_of(path, search) in parameters)
    for path in ordered:
        parent = condition_of(path, search)
        condition = {} if parent not in parameters else {
            "parent_name": parent, "parent_values": [True],
        }  # fmt: skip
        default = (defaults or {}).get(path)
        value = _declare(hp, path, parameters[path], condition | {"default": default})
        if value is not None:
            values[path] = value
    return values


def every(space: Sequence[Any]) -> Iterator[Values]:
    """Yield all points of a finite space in order; the first parameter changes slowest."""

    def walk(at: int, values: Values) -> Iterator[Values]:
        if at == len(space):
            yield dict(values)
            return
        hp = space[at]
        if not all(condition.is_active(values) for condition in hp.conditions):
            yield from walk(at + 1, values)
            return
        for value in levels(hp):
            yield from walk(at + 1, {**values, hp.name: value})

    return walk(0, {})


def finite(space: Sequence[Any]) -> bool:
    """Whether every parameter has a list of values."""
    return all(not _continuous(hp) for hp in space)


def levels(hp: Any) -> tuple[Any, ...]:
    """Return the values of a parameter of a finite space, in order."""
    return tuple(hp.values)


def stepped(dimension: Dimension) -> list[float] | list[int]:
    """Return the values of a range with a step, exact to the last digit.

    The high end is among them where a whole number of steps leads there.

    >>> stepped(Dimension(**{"float": [0, 0.5], "step": 0.1}))
    [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    >>> stepped(Dimension(**{"float": [1e-3, 1.0], "step": 10, "sampling": "log"}))
    [0.001, 0.01, 0.1, 1.0]
    """
    assert dimension.bounds is not None and dimension.step is not None
    low, high = (Decimal(str(bound)) for bound in dimension.bounds)
    step = Decimal(str(dimension.step))
    if dimension.sampling == "linear":
        found = [low + step * k for k in range(int((high - low) / step) + 1)]
    else:
        ratio = math.log(float(high / low)) / math.log(float(step))
        found = [low * step**k for k in range(int(ratio + 1e-9) + 1)]
        if abs(float(found[-1] / high) - 1) < 1e-9:
            found[-1] = high
        if dimension.sampling == "reverse_log":
            found = [high + low - each for each in reversed(found)]
    if dimension.kind == "int":
        return list(dict.fromkeys(round(each) for each in found))
    return [float(f"{float(each):.12g}") for each in found]


def nearest_in(dimension: Dimension, value: Any) -> Any:
    """Return the value of a dimension that is nearest to `value`, itself if it is there.

    Numbers are compared as the dimension is sampled, by distance or by ratio; what is no number,
    and no value of the dimension either, gives the first of them.

    >>> nearest_in(Dimension(**{"float": [1e-4, 0.1], "sampling": "log"}), 0.5)
    0.1
    >>> nearest_in(Dimension(choice=[16, 32, 64]), 40)
    32
    """
    values = _listed(dimension)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if values is None:
        assert dimension.bounds is not None
        low, high = dimension.bounds
        inside = min(max(value, low), high) if number else low
        return round(inside) if dimension.kind == "int" else float(inside)
    if value in values:
        return values[values.index(value)]
    if not number or not all(isinstance(each, int | float) for each in values):
        return values[0]
    by_ratio = dimension.sampling != "linear" and value > 0

    def distance(each: float) -> float:
        return abs(math.log(each / value)) if by_ratio else abs(each - value)

    return min(values, key=distance)


def _declare(hp: kt.HyperParameters, path: str, dim: Dimension, rest: Values) -> Any:
    values = _listed(dim)
    if values is None:
        assert dim.bounds is not None
        kind = hp.Int if dim.kind == "int" else hp.Float
        return kind(path, *dim.bounds, sampling=dim.sampling, **rest)
    if set(values) == {True, False} and isinstance(values[0], bool):
        # A Choice would turn them into numbers.
        return hp.Boolean(path, **{**rest, "default": bool(rest["default"])})
    return hp.Choice(path, values, ordered=True if dim.step is not None else None, **rest)


def _listed(dim: Dimension) -> list[Any] | None:
    """Return the values of a dimension in order, as Keras Tuner takes them; None for a range."""
    if dim.bool_:
        return [False, True]
    if dim.choice is not None:
        return _of_one_type(dim.choice)
    return list(stepped(dim)) if dim.step is not None else None


def _of_one_type(choice: Sequence[Any]) -> list[Any]:
    """Return numbers as Keras Tuner wants them: all whole, or none."""
    numbers = [each for each in choice if isinstance(each, int | float)]
    if len(numbers) == len(choice) and any(isinstance(each, float) for each in choice):
        return [float(each) for each in choice]
    return list(choice)


def _continuous(hp: Any) -> bool:
    return hasattr(hp, "step") and hp.step is None
