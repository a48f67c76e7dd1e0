"""A KerasHub task around another backbone: what surgery took from a task, brought back.

Surgery makes plain functional models. What a task's class has besides its graph (`from_preset`,
a preprocessor, `generate`, losses of its own) comes back where its constructor takes the backbone
that surgery made, with the attributes that it reads there.
"""

from __future__ import annotations

import contextlib
from typing import Any

import keras

from ablate.errors import SurgeryError
from ablate.reasons import reason
from ablate.surgery import graph
from ablate.surgery.clone import compile_as, copy_state


def task_around(task: keras.Model, backbone: keras.Model) -> keras.Model:
    """Return a task of the class of `task` around `backbone`, with the head's weights of `task`.

    Args:
        task: A KerasHub task (`keras_hub.models.Task`); not changed.
        backbone: What surgery made of `task.backbone`: layers may be added, left out or other
            ones, but those that the task itself calls (a token embedding) must be there under
            their names. It becomes part of the new task, and gets attributes of the old backbone.

    Raises:
        SurgeryError: `task` has no backbone, its class cannot be constructed around the other
            one, or weights of its head do not fit.

    Example (weights of a preset are downloaded)::

        task = keras_hub.models.ImageClassifier.from_preset("…")
        new = insert(task.backbone, "Dropout", rate=0.1, where="conv")
        task_around(task, new).predict(images)
    """
    former = getattr(task, "backbone", None)
    if not isinstance(former, keras.Model) or not hasattr(task, "preprocessor"):
        raise SurgeryError(
            "task_around takes a KerasHub task, which has a backbone and a preprocessor. "
            f"Received: '{getattr(task, 'name', task)}' of type {type(task).__name__}."
        )
    if [each.shape for each in former.inputs] != [each.shape for each in backbone.inputs]:
        raise SurgeryError(
            f"'{backbone.name}' takes other inputs than the backbone '{former.name}'. Expected a "
            "model that surgery made of task.backbone."
        )
    _give_attributes(former, backbone)
    config = task.get_config()
    try:
        made: keras.Model = type(task).from_config(
            {**config, "backbone": backbone, "preprocessor": task.preprocessor}
        )
    except Exception as trouble:
        raise SurgeryError(
            f"{type(task).__name__} cannot be constructed around '{backbone.name}': "
            f"{reason(trouble)} Operate on the whole task instead, which gives a functional model."
        ) from trouble
    _copy_own_layers(task, made, former, backbone)
    made.trainable = task.trainable
    with contextlib.suppress(SurgeryError):
        compile_as(task, made)  # else it stays as its class compiles it by itself
    return made


def _give_attributes(former: keras.Model, backbone: keras.Model) -> None:
    """Give a backbone what tasks read off the class that it was: numbers, layers, tensors."""
    layers = {each.name: each for each in reversed(graph.flat_layers(backbone))}

    def today(value: Any) -> Any:
        if isinstance(value, keras.Layer):
            return layers.get(value.name)
        if isinstance(value, keras.KerasTensor):
            return _tensor(former, backbone, value)
        if isinstance(value, dict):
            return {key: today(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [today(each) for each in value]
        return value

    for key, value in vars(former).items():
        own = not key.startswith("_") or key in ("_token_embedding", "_pyramid_outputs")
        if own and not hasattr(backbone, key):
            with_today = today(value)
            if with_today is not None:
                setattr(backbone, key, with_today)
    for key in _properties(type(former)):
        if not hasattr(backbone, key) and (value := today(getattr(former, key, None))) is not None:
            setattr(backbone, key, value)


def _properties(cls: type) -> list[str]:
    """Return the properties that a class of anyone's own has over Keras's."""
    own = (each for each in cls.__mro__ if each.__module__.split(".")[0] != "keras")
    return [
        key
        for each in own
        for key, value in vars(each).items()
        if isinstance(value, property) and not key.startswith("_")
    ]


def _tensor(former: keras.Model, backbone: keras.Model, tensor: Any) -> Any:
    """Return the tensor of the new backbone that stands for one of the former."""
    for place, each in enumerate(former.inputs):
        if each is tensor:
            return backbone.inputs[place]
    read = graph.read(former)
    call = read.producer.get(id(tensor))
    if call is None:
        return None
    new = graph.read(backbone)
    place = next(i for i, each in enumerate(call.outputs) if each is tensor)
    found = [each for each in new.calls if each.operation.name == call.operation.name]
    # What was put directly after the layer belongs to its output.
    output = found[call.ordinal].outputs[place] if len(found) > call.ordinal else None
    if output is None:
        return None
    added = {each.name for each in new.order} - {each.name for each in read.order}
    while (after := new.consumers.get(id(output), ())) and len(after) == 1:
        if after[0].operation.name not in added or len(after[0].outputs) != 1:
            break
        output = after[0].outputs[0]
    return output


def _copy_own_layers(
    task: keras.Model, made: keras.Model, former: keras.Model, backbone: keras.Model
) -> None:
    """Copy the state of the layers that the task itself brings.

    They go by their names; those that got one from Keras's counter, which the task's configuration
    does not tell, by their place among those of their class.
    """
    inside = {id(each) for each in graph.flat_layers(former)}
    around = {id(each) for each in graph.flat_layers(backbone)}
    own = [each for each in task.layers if id(each) not in inside and each.variables]
    new = {each.name: each for each in made.layers if id(each) not in around}
    for layer in own:
        alike = [each for each in own if type(each) is type(layer) and each.name not in new]
        left = [
            each
            for each in new.values()
            if type(each) is type(layer) and each.name not in {one.name for one in own}
        ]
        if layer.name in new:
            copy_state(layer, new[layer.name])
        elif len(alike) == len(left):
            copy_state(layer, left[alike.index(layer)])
        elif layer.weights:  # else it is a Dropout that the task's configuration does not tell
            raise SurgeryError(
                f"The new {type(task).__name__} has no layer '{layer.name}', whose weights belong "
                "to its head."
            )
