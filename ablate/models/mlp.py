"""The dense network: flatten, dense1 …, output."""

from __future__ import annotations

import keras

from ablate.models.specs import Aim
from ablate.models.style import Style, flatten
from ablate.study.schema.factories import Mlp


def mlp(shape: tuple[int, ...], aim: Aim, arguments: Mlp) -> keras.Model:
    """Build dense layers on inputs of any shape, which are flattened."""
    style = Style.of(arguments)
    inputs = keras.Input(shape, name="input")
    x = flatten(inputs)
    for number, units in enumerate(arguments.units, start=1):
        x = style.dense(x, units, f"dense{number}")
    return keras.Model(inputs, style.output(x, aim), name="mlp")
