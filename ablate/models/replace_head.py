"""Exchange the last layer of a classifier for one with other classes.

A model and the number of classes go in; a model with the same layers but a fresh last Dense
comes out. The new layer takes the old one's name, so selectors mean what they meant.
"""

from __future__ import annotations

from typing import Any

import keras

from ablate.errors import StudyError
from ablate.models.style import output_dtype
from ablate.surgery import graph


def last_dense(model: keras.Model) -> tuple[graph.Call, list[graph.Call]] | None:
    """Return the call of the Dense layer that gives the output, and the activations after it.

    None where the output comes from anything else: several outputs, a convolution, a layer
    inside a nested model, or a Dense that something else uses too.
    """
    if not graph.is_container(model):
        return None
    read = graph.read(model)
    if len(read.outputs) != 1:
        return None
    tensor = read.outputs[0]
    after: list[graph.Call] = []
    while (call := read.producer.get(id(tensor))) is not None:
        if isinstance(call.operation, keras.layers.Dense):
            return (call, after[::-1]) if len(read.calls_of(call.operation)) == 1 else None
        if not isinstance(call.operation, keras.layers.Activation | keras.layers.Softmax):
            return None
        after.append(call)
        tensor = call.inputs[0]
    return None


def replace_head(
    model: keras.Model, units: int, activation: str | None = None
) -> tuple[keras.Model, str]:
    """Return `model` with a fresh last Dense of `units`, and that layer's name.

    The layers are shared with `model`, whose own last layer stays as it was.

    Args:
        model: a functional or built Sequential model that ends in a Dense layer.
        units: of the new layer.
        activation: of the new layer; None keeps the old one.

    Raises:
        StudyError: the model does not end in a Dense layer.
    """
    found = last_dense(model)
    if found is None:
        raise StudyError(
            f"model: '{model.name}' gives another number of classes than the data has, and ends "
            "in no Dense layer of its own that could be exchanged. Give the model a head for "
            f"{units} classes."
        )
    call, after = found
    old = call.operation
    config: dict[str, Any] = old.get_config()
    config |= {"units": units, "dtype": output_dtype() or config["dtype"]}
    if activation is not None:
        config["activation"] = activation
    new = keras.layers.Dense.from_config(config)
    x = new(call.inputs[0])
    for each in after:
        x = each.operation(x)
    inputs = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    return keras.Model(inputs, x, name=model.name), new.name
