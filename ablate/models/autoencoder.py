"""The dense autoencoder: encoder1 …, decoder1 …, output, in the shape of the input."""

from __future__ import annotations

import keras

from ablate.errors import StudyError
from ablate.models.specs import Aim
from ablate.models.style import Style, flatten
from ablate.study.schema.factories import Autoencoder


def autoencoder(shape: tuple[int, ...], aim: Aim, arguments: Autoencoder) -> keras.Model:
    """Build dense layers to a code and, mirrored, back to the input.

    units [256] on 784 inputs is the 784-256-784 network of Srivastava et al. 2014, figure 8.

    Raises:
        StudyError: the targets are not the inputs.
    """
    if aim.task != "regression" or tuple(aim.shape) != shape:
        raise StudyError(
            "model.name: an autoencoder learns its own inputs. Set data.target: inputs."
        )
    style = Style.of(arguments)
    inputs = keras.Input(shape, name="input")
    x = flatten(inputs)
    for number, units in enumerate(arguments.units, start=1):
        x = style.dense(x, units, f"encoder{number}")
    for number, units in enumerate(reversed(arguments.units[:-1]), start=1):
        x = style.dense(x, units, f"decoder{number}")
    return keras.Model(inputs, style.output(x, aim), name="autoencoder")
