"""Copies of single layers: configuration, state and flags, each by the layer itself.

The copy of a layer belongs to no model. Configuration goes through `get_config` and `from_config`,
except for functions that Keras refuses to rebuild (Python lambdas), which are handed over as they
are. State is copied variable by variable once the copy has been built.
"""

from __future__ import annotations

import contextlib
import inspect
import tempfile
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import keras

from ablate.errors import Notice, SurgeryError
from ablate.reasons import reason
from ablate.surgery import graph

Configure = Callable[[dict[str, Any]], dict[str, Any]]


def copy_of(operation: Any, configure: Configure | None = None) -> Any:
    """Return a new layer (or operation) configured as `operation`, its state still fresh.

    Args:
        operation: The layer to copy.
        configure: Changes the configuration on the way, if given.

    Raises:
        SurgeryError: the layer cannot be rebuilt from its own configuration.
    """
    if isinstance(operation, keras.layers.Lambda) and configure is None:
        made = _lambda(operation)
    elif not isinstance(operation, keras.Layer):
        made = object.__new__(type(operation))  # copy.copy would go through a saved file
        made.__dict__.update(vars(operation))  # an operation holds plain values only
        graph.forget_calls(made)
    else:
        made = _from_config(operation, configure)
    if made.name != operation.name:
        made.name = operation.name
    if isinstance(operation, keras.Layer):
        made.autocast = operation.autocast
        if made.supports_masking != operation.supports_masking:
            made.supports_masking = operation.supports_masking
    return made


def hold_initializers(layer: keras.Layer) -> list[tuple[Any, str, Any]]:
    """Let a new layer's weights start as zeros, which takes no time and no memory to draw.

    They are copied over anyway; drawing them took half of the time of copying VGG16 and three
    times the memory of its largest layer. Returns the initializers as `(layer, attribute, value)`,
    to be given back.
    """
    zeros = keras.initializers.Zeros()
    own = [
        (each, key, value)
        for each in graph.flat_layers(layer)
        for key, value in vars(each).items()
        if key.endswith("_initializer")
        and not key.startswith("_")
        and isinstance(value, keras.initializers.Initializer)
    ]
    for each, key, _ in own:
        setattr(each, key, zeros)
    return own


def copy_state(old: keras.Layer, new: keras.Layer) -> None:
    """Copy every variable of `old` (weights, statistics, random states) and its assets.

    Raises:
        SurgeryError: the rebuilt layer does not have the variables of the original.
    """
    ours, theirs = old.variables, new.variables
    if [tuple(v.shape) for v in ours] != [tuple(v.shape) for v in theirs]:
        mode = old.dtype_policy.quantization_mode
        if mode is not None:
            raise SurgeryError(
                f"Layer '{old.name}' ({type(old).__name__}) is quantized to {mode}, which surgery "
                "does not support. Operate on the model before model.quantize, or with int8 or "
                "int4."
            )
        raise SurgeryError(
            f"Layer '{old.name}' ({type(old).__name__}) rebuilt from its own configuration has "
            f"other variables. Expected shapes {[tuple(v.shape) for v in ours]}, received "
            f"{[tuple(v.shape) for v in theirs]}. Let its get_config() return all the arguments "
            "of its constructor."
        )
    ours, theirs = [*ours, *graph.states_of(old)], [*theirs, *graph.states_of(new)]
    for ours_one, theirs_one in zip(ours, theirs, strict=True):
        # A copy: JAX would hand the very buffer over, and take it from both when it is donated.
        theirs_one.assign(keras.ops.copy(ours_one.value))
    if type(old).load_own_variables is not keras.Layer.load_own_variables:
        # A way of its own to load variables may derive values from them.
        store: dict[str, Any] = {}
        old.save_own_variables(store)
        new.load_own_variables({k: keras.ops.convert_to_numpy(v) for k, v in store.items()})
    if hasattr(old, "save_assets") and hasattr(old, "load_assets"):
        with tempfile.TemporaryDirectory() as folder:
            old.save_assets(folder)
            new.load_assets(folder)


def copy_flags(old: keras.Layer, new: keras.Layer) -> None:
    """Set `trainable` of `new` and all layers inside it as they are in `old`."""
    if new.trainable != old.trainable:
        new.trainable = old.trainable
    if graph.is_container(old):
        return
    for ours, theirs in zip(graph.sublayers(old), graph.sublayers(new), strict=False):
        copy_flags(ours, theirs)


def compile_as(old: keras.Model, new: keras.Model) -> None:
    """Compile `new` as `old` was: the same losses, a new optimizer and new metrics alike.

    The arguments of `compile` are used rather than their serialized form, which loses losses
    and metrics that are Python code, and some arguments of Keras's own.
    """
    if not old.compiled:
        return
    try:
        if type(old).compile_from_config is not keras.Model.compile_from_config:
            new.compile_from_config(old.get_compile_config())
        else:
            arguments = old._compile_config.config.items()
            # What has state is made anew; the rest are the very arguments of then.
            new.compile(**{key: _anew(value) for key, value in arguments})
    except Exception as trouble:
        raise SurgeryError(
            f"The new model could not be compiled as '{old.name}' ({type(old).__name__}) was. "
            "Losses and metrics that go by an output's name need that output: leave the output "
            "layers whole, or operate on the model before it is compiled. "
            f"Keras says: {reason(trouble)}"
        ) from trouble
    if old.optimizer is not None and old.optimizer.built:
        new.optimizer.build(new.trainable_variables)


def _from_config(layer: keras.Layer, configure: Configure | None) -> keras.Layer:
    lambdas = {key: each for key, each in _functions(layer) if each.__name__ == "<lambda>"}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*includes a `lambda`.*")
        try:
            config = layer.get_config()
            for key in lambdas.keys() & config.keys():
                config[key] = None
            config = _unbuilt(config)
            if configure is not None:
                config = configure(config)
            with keras.saving.custom_object_scope(classes_of(layer)):
                made = type(layer).from_config(config)
        except SurgeryError:
            raise
        except Exception as trouble:
            if (made := _as_constructed(layer, configure)) is not None:
                return made
            raise SurgeryError(
                f"Layer '{layer.name}' ({type(layer).__name__}) cannot be rebuilt from its own "
                "configuration, which surgery has to do to leave the given model as it is. Give "
                "it a get_config() that returns all the arguments of its constructor. "
                f"Keras says: {reason(trouble)}"
            ) from trouble
    for key, function in lambdas.items():
        if key in config and config[key] is None:
            setattr(made, key, function)
    return made


def _as_constructed(layer: keras.Layer, configure: Configure | None) -> keras.Layer | None:
    """Return a layer anew whose configuration and constructor disagree, None where that fails.

    Keras notes what plain arguments a constructor was given; else the configuration is tried
    without what the constructor refuses. What is saved of such a layer cannot be loaded.
    """
    if configure is not None:
        return None
    taken = {"name", "dtype", "trainable"}
    for each in type(layer).__mro__:
        if "__init__" in vars(each) and each.__module__.split(".")[0] != "keras":
            taken |= set(inspect.signature(vars(each)["__init__"]).parameters)
    offers = []
    policy = layer.dtype_policy
    if type(policy) is keras.DTypePolicy:
        policy = policy.name  # Keras notes arguments of plain types only, for the copy of the copy
    if (noted := getattr(layer, "_auto_config", None)) is not None:
        offers.append({**noted.config, "name": layer.name, "dtype": policy})
    with contextlib.suppress(Exception):
        offers.append({k: v for k, v in layer.get_config().items() if k in taken})
    if not offers and type(layer).__module__.split(".")[0] == "keras":
        own = inspect.signature(
            type(layer)
        ).parameters  # such as a dtype policy kept it from saying
        known = {key: getattr(layer, key) for key in own if hasattr(layer, key)}
        offers.append({**known, "name": layer.name, "dtype": policy})
    for arguments in offers:
        if any(isinstance(each, keras.Layer) for each in keras.tree.flatten(arguments)):
            continue  # the copy would share it with the given layer
        with contextlib.suppress(Exception), keras.saving.custom_object_scope(classes_of(layer)):
            made = type(layer).from_config(arguments)
            warnings.warn(
                f"'{layer.name}' ({type(layer).__name__}) returns other arguments in get_config() "
                "than its constructor takes: a file of this model cannot be loaded.",
                Notice,
                stacklevel=2,
            )
            return made
    return None


def _unbuilt(config: Any) -> Any:
    """Leave inner layers to be built by the call, which gives their variables the same paths."""
    if isinstance(config, dict):
        serialized = "class_name" in config
        return {
            key: _unbuilt(value)
            for key, value in config.items()
            if not (serialized and key == "build_config")
        }
    return config


def _lambda(layer: keras.layers.Lambda) -> keras.layers.Lambda:
    """Rebuild a Lambda from its function, which `from_config` refuses to do."""
    config = keras.layers.Layer.get_config(layer)
    return type(layer)(
        layer.function,
        output_shape=layer._output_shape,
        mask=layer.mask,
        arguments=layer.arguments,
        **config,
    )


def _functions(layer: Any) -> Iterator[tuple[str, Any]]:
    """The plain Python functions a layer holds: activations and the like of the user's own."""
    for key, value in vars(layer).items():
        if type(value).__name__ == "function" and not key.startswith("_"):
            module = getattr(value, "__module__", "") or ""
            if module.split(".")[0] != "keras" and key not in ("build", "quantize", "call"):
                yield key, value


def classes_of(layer: Any) -> dict[str, Any]:
    """Return what a layer's configuration may refer to by name: its functions, classes inside."""
    names: dict[str, Any] = {}
    for each in graph.flat_layers(layer):
        names[type(each).__name__] = type(each)
        names |= {function.__name__: function for _, function in _functions(each)}
    return {
        name: value
        for name, value in names.items()
        if (getattr(value, "__module__", "") or "").split(".")[0] != "keras"
    }


def build_alike(old: keras.Layer, new: keras.Layer) -> None:
    """Build inner layers that Keras builds only when real data comes by, where `old` has them."""
    if old.built and not new.built:
        new.build_from_config(old.get_build_config())
    for ours, theirs in zip(graph.sublayers(old), graph.sublayers(new), strict=False):
        build_alike(ours, theirs)


def _anew(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(_anew(each) for each in value)
    if isinstance(value, dict):
        return {key: _anew(each) for key, each in value.items()}
    if isinstance(value, keras.optimizers.Optimizer):
        config = value.get_config()
        rate = getattr(value, "_learning_rate", None)
        if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
            config["learning_rate"] = rate  # has no state, and need not be registered
        return type(value).from_config(config)
    if isinstance(value, keras.Metric):
        functions = {each.__name__: each for _, each in _functions(value)}
        own = getattr(value, "_fn", None)
        if own is not None:
            functions[getattr(own, "__name__", "")] = own
        with keras.saving.custom_object_scope(functions):
            return type(value).from_config(value.get_config())
    return value
