"""Files that Keras 1 and 2 wrote, as this Keras can load them.

The configuration of a file goes in, and comes out in today's words with a sentence for each kind
of thing that was put otherwise. Nothing is guessed: an argument that Keras 3 does not have is
dropped where its value says what Keras 3 does anyway, and refused where it says something else.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import keras
from keras import ops

from ablate.errors import AblateError, some


@keras.saving.register_keras_serializable("ablate")
def hard_sigmoid_of_keras_2(x: Any) -> Any:
    """Return `clip(0.2 x + 0.5, 0, 1)`; that of Keras 3 is `clip(x / 6 + 0.5, 0, 1)`."""
    return ops.clip(ops.add(ops.multiply(x, 0.2), 0.5), 0.0, 1.0)


HARD_SIGMOID = {
    "module": "builtins",
    "class_name": "function",
    "config": hard_sigmoid_of_keras_2.__name__,
    "registered_name": f"ablate>{hard_sigmoid_of_keras_2.__name__}",
}

#: Where a layer's configuration holds other layers.
_INNER = ("layer", "forward_layer", "backward_layer", "cell", "cells")

#: Arguments that Keras 3 does not have, with the values that ask for what it does anyway.
#: None: any value, which only says how a thing was computed.
_DROPPED: dict[str, tuple[Any, ...] | None] = {
    "adjustment": (None,),
    "batch_size": None,
    "fused": None,
    "groups": (1,),
    "implementation": None,
    "input_dtype": None,
    "input_length": None,
    "kernel_initializer": (None,),
    "legacy": None,
    "ragged": (False, None),
    "renorm": (False,),
    "renorm_clipping": (None, {}),
    "renorm_momentum": None,
    "time_major": (False,),
    "virtual_batch_size": (None,),
}

#: What Keras 1 called arguments.
_RENAMED = {
    "output_dim": "units", "nb_filter": "filters", "init": "kernel_initializer",
    "inner_activation": "recurrent_activation", "bias": "use_bias", "p": "rate",
    "border_mode": "padding", "subsample": "strides", "W_regularizer": "kernel_regularizer",
    "b_regularizer": "bias_regularizer", "W_constraint": "kernel_constraint",
    "b_constraint": "bias_constraint",
}  # fmt: skip

_HOMES = ("layers", "initializers", "regularizers", "constraints", "optimizers", "losses",
          "metrics", "activations")  # fmt: skip

#: Modules of Keras in its earlier packages.
_FORMER = re.compile(
    r"^(keras\.(src|engine|api|_?tf_keras)\b|tf_keras\b|tensorflow\.(python\.)?keras\b)"
)


def is_legacy(version: str | None) -> bool:
    """Whether a file of this version of Keras is one of before Keras 3; unknown ones are."""
    return version is None or not version.split(".")[0].isdigit() or int(version.split(".")[0]) < 3


def translated(document: dict[str, Any], version: str | None) -> list[str]:
    """Put a model's configuration in the words of Keras 3, in place; return what was changed.

    Raises:
        AblateError: it asks for something that Keras 3 has no words for.
    """
    changed: dict[str, list[str]] = {}

    def note(kind: str, name: str) -> None:
        names = changed.setdefault(kind, [])
        if name not in names:
            names.append(name)

    for each in _serialized(document):
        _container(each, note)
        _module(each, note)
        config = each.get("config")
        if isinstance(config, dict):
            _inner_modules(config)
            name = str(config.get("name") or each["class_name"])
            _arguments(each["class_name"], config, name, version, note)
    _activations(document, None, note)
    _names(document, note)
    return [f"{kind}: {some(names)}" for kind, names in changed.items()]


def unknown_classes(document: dict[str, Any]) -> list[str]:
    """Return the classes in a configuration that this process does not know."""
    known = keras.saving.get_custom_objects()
    found = []
    for each in _serialized(document):
        name, registered = each["class_name"], each.get("registered_name")
        if name in (
            "Model",
            "Functional",
            "Sequential",
            "__keras_tensor__",
            "__tensor__",
            "Policy",
        ):
            continue
        ours = any(hasattr(getattr(keras, home), name) for home in _HOMES) or hasattr(keras, name)
        listed = registered in known or any(key.split(">")[-1] == name for key in known)
        if not (ours or listed or name in ("function", "slice", "DTypePolicy")):
            found.append(name)
    return list(dict.fromkeys(found))


def _serialized(document: Any) -> Iterator[dict[str, Any]]:
    """Yield every object that a configuration describes, the outermost first."""
    if isinstance(document, dict):
        if isinstance(document.get("class_name"), str) and "config" in document:
            yield document
        for value in document.values():
            yield from _serialized(value)
    elif isinstance(document, list):
        for value in document:
            yield from _serialized(value)


Note = Callable[[str, str], None]


def _container(each: dict[str, Any], note: Note) -> None:
    """Give a Sequential of old the name and the list of layers that it has today, and its input."""
    if each["class_name"] != "Sequential":
        return
    if isinstance(each["config"], list):
        each["config"] = {"name": "sequential", "layers": each["config"]}
        note("a list of layers became a Sequential", "sequential")
    layers = each["config"].get("layers") or []
    first = layers[0] if layers else None
    if not isinstance(first, dict) or first.get("class_name") == "InputLayer":
        return
    config = first.get("config", {})
    inner = config.get("layer", {}).get("config", {}) if "layer" in config else {}
    shape = config.pop("batch_input_shape", None) or inner.pop("batch_input_shape", None)
    if shape is None and isinstance(config.get("input_dim"), int):
        shape = [None, config.pop("input_dim")]
    if shape is None:
        return
    dtype = config.get("dtype") if first.get("class_name") != "Embedding" else "int32"
    name = f"{config.get('name', 'layer')}_input"
    entry = {"batch_shape": shape, "dtype": dtype if isinstance(dtype, str) else "float32",
             "name": name}  # fmt: skip
    layers.insert(0, {"class_name": "InputLayer", "config": entry})
    note("inputs became layers of their own", name)


def _module(each: dict[str, Any], note: Note) -> None:
    """Name today's module of a class where a former one is named."""
    module, name = each.get("module"), each["class_name"]
    if not isinstance(module, str) or not _FORMER.match(module):
        return
    if name in ("Functional", "Model", "Sequential"):
        each["module"] = "keras" if name == "Sequential" else "keras.src.models.functional"
        each["class_name"] = name = "Sequential" if name == "Sequential" else "Functional"
        each["registered_name"] = name
    else:
        homes = (home for home in _HOMES if hasattr(getattr(keras, home), name))
        home = next(homes, None)
        if home is None:
            return
        each["module"] = f"keras.{home}"
        each["registered_name"] = None
    note("modules of today", module)


def _inner_modules(config: dict[str, Any]) -> None:
    """Name the module of layers inside of a layer, which HDF5 does without and wrappers want."""
    for key in _INNER:
        inside = config.get(key)
        for each in inside if isinstance(inside, list) else [inside]:
            if isinstance(each, dict) and hasattr(keras.layers, str(each.get("class_name"))):
                each.setdefault("module", "keras.layers")
                each.setdefault("registered_name", None)


def _arguments(
    cls: str, config: dict[str, Any], name: str, version: str | None, note: Note
) -> None:
    layer = getattr(keras.layers, cls, None)
    if layer is None or cls == "InputLayer":
        return
    taken = _taken(layer)
    if cls == "BatchNormalization" and isinstance(config.get("axis"), list | tuple | dict):
        axis = config["axis"]
        axis = next(iter(axis.get("config", axis).values())) if isinstance(axis, dict) else axis
        if len(axis) != 1:
            raise AblateError(f"'{name}' normalizes over the axes {axis}; Keras 3 takes one.")
        config["axis"] = int(axis[0])
        note("the axis of BatchNormalization is one number", name)
    if cls == "GRU" and "reset_after" not in config:
        config["reset_after"] = False
        note("reset_after is False, as it was", name)
    for key in [each for each in config if each not in taken]:
        if (today := _RENAMED.get(key)) in taken and today not in config:
            config[today] = config.pop(key)
            note(f"{key} is called {today}", name)
        elif key in _DROPPED:
            value, idle = config[key], _DROPPED[key]
            if idle is not None and value not in idle:
                raise AblateError(f"'{name}' ({cls}) has {key}={value!r}, which Keras 3 cannot do.")
            del config[key]
            note(f"{key}, which Keras 3 does not take, left out", name)


def _taken(cls: type) -> set[str]:
    """Return the arguments that a layer's constructor takes."""
    names = {"name", "dtype", "trainable", "batch_input_shape", "input_shape", "input_dim"}
    for each in cls.__mro__:
        if each is not keras.Layer and "__init__" in vars(each):
            names |= set(inspect.signature(vars(each)["__init__"]).parameters)
            if not any(
                p.kind is inspect.Parameter.VAR_KEYWORD
                for p in inspect.signature(vars(each)["__init__"]).parameters.values()
            ):
                break
    return names - {"self", "args", "kwargs"}


def _activations(each: Any, owner: str | None, note: Note) -> None:
    """Keep the hard sigmoid that Keras had: Keras 3 has another one under its name."""
    if isinstance(each, list):
        for value in each:
            _activations(value, owner, note)
    if not isinstance(each, dict):
        return
    owner = str(each["name"]) if isinstance(each.get("name"), str) else owner
    for key, value in each.items():
        if key.endswith("activation") and _is_hard_sigmoid(value):
            each[key] = dict(HARD_SIGMOID)
            note("hard_sigmoid is that of Keras 2 (0.2 x + 0.5), not of Keras 3", str(owner))
        else:
            _activations(value, owner, note)


def _names(document: dict[str, Any], note: Note) -> None:
    """Write layers' names without slashes, which Keras 3 does not take, wherever they stand."""
    named = (each["config"].get("name") for each in _serialized(document)
             if isinstance(each["config"], dict))  # fmt: skip
    slashed = [each for each in named if isinstance(each, str) and "/" in each]
    today = {each: each.replace("/", "_") for each in slashed}
    if not today:
        return

    def renamed(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: renamed(each) for key, each in value.items()}
        if isinstance(value, list):
            return [renamed(each) for each in value]
        return today.get(value, value) if isinstance(value, str) else value

    document |= renamed(document)
    for each in today:
        note("names without slashes", each)


def _is_hard_sigmoid(value: Any) -> bool:
    if isinstance(value, dict):
        return value.get("config") == "hard_sigmoid" or value.get("class_name") == "hard_sigmoid"
    return value == "hard_sigmoid"
