"""Initializers by name: Keras's own, and PyTorch's.

A Keras name, or a mapping of a name and arguments, goes in; a Keras initializer comes out.
`pytorch` is what PyTorch's Linear and Conv layers start from: weights and biases uniform in
±1/√fan_in. It is made of Keras's own initializers, so that a saved model opens without us.
"""

from __future__ import annotations

import math
from typing import Any

import keras

from ablate.errors import StudyError
from ablate.reasons import sentence


def for_kernel(named: str | dict[str, Any]) -> keras.initializers.Initializer:
    """Return the initializer of a kernel.

    PyTorch's: Kaiming uniform with a = √5, that is U(±√(3·(1/3)/fan_in)) = U(±1/√fan_in)
    (torch.nn.Linear, torch.nn.Conv2d).

    Raises:
        StudyError: the initializer does not take its arguments.
    """
    if _name(named) == "pytorch":
        return keras.initializers.VarianceScaling(1 / 3, mode="fan_in", distribution="uniform")
    return initializer(named)


def for_bias(named: str | dict[str, Any], fan_in: int) -> keras.initializers.Initializer:
    """Return the initializer of the bias of a layer with `fan_in` inputs per unit.

    Raises:
        StudyError: the initializer does not take its arguments.
    """
    if _name(named) == "pytorch":
        limit = 1 / math.sqrt(fan_in)
        return keras.initializers.RandomUniform(-limit, limit)
    return initializer(named)


def initializer(named: str | dict[str, Any]) -> keras.initializers.Initializer:
    """Return a Keras initializer by name, or by a mapping of its name and arguments.

    >>> initializer({"name": "random_normal", "stddev": 0.05}).stddev
    0.05

    Raises:
        StudyError: no such initializer, or it does not take these arguments.
    """
    name = _name(named)
    arguments = (
        {key: value for key, value in named.items() if key != "name"}
        if isinstance(named, dict)
        else {}
    )
    try:
        if not arguments:
            return keras.initializers.get(name)
        made = getattr(keras.initializers, name, None) or keras.saving.get_registered_object(name)
        return made(**arguments)
    except (TypeError, ValueError) as error:
        raise StudyError(f"model: initializer '{name}' cannot be made: {sentence(error)}") from None


def _name(named: str | dict[str, Any]) -> str:
    return str(named["name"]) if isinstance(named, dict) else named
