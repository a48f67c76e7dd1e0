"""The layers that surgery adds: made from a class and arguments, fitted to their site.

A recipe is a class with arguments. A site adds the host's dtype policy and, for channels_first
hosts, the right axis; whether such a layer fits there is found by trying one on the site's tensor.
"""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass, field, replace
from typing import Any

import keras

from ablate.errors import SurgeryError, nearest
from ablate.reasons import reason
from ablate.study.schema.placement import Placement, Replacement
from ablate.surgery import kinds
from ablate.surgery.clone import copy_of
from ablate.surgery.graph import Calls
from ablate.surgery.rebuild import fed
from ablate.surgery.sites import Point, Site


@dataclass(frozen=True)
class Recipe:
    """A layer class and the arguments to make layers with.

    `fitted` are those that a site adds. `tried` remembers the misfits (or None) by shape, dtype and
    fitted arguments: most sites of a model are alike.
    """

    cls: type[keras.Layer]
    arguments: dict[str, Any]
    fitted: dict[str, Any] = field(default_factory=dict)
    tried: dict[tuple[Any, ...], str | None] = field(default_factory=dict, repr=False)

    @property
    def layer_class(self) -> str:
        """The name of the class."""
        return self.cls.__name__

    def fit(self, host: Any, site: Site, calls: Calls) -> Recipe | str:
        """Fit the recipe to a site; a text says why it does not fit."""
        fitted = replace(self, fitted=_fitted(self, host, site.points[0], calls))
        for shape, dtype in {(tuple(p.tensor.shape), p.tensor.dtype) for p in site.points}:
            alike = (shape, dtype, repr(sorted(fitted.fitted.items(), key=str)))
            if alike not in self.tried:
                self.tried[alike] = _misfit(fitted, shape, dtype)
            if misfit := self.tried[alike]:
                return misfit
        shapes = {tuple(p.tensor.shape)[1:] for p in site.points}
        if len(shapes) > 1 and self.cls in kinds.PER_CHANNEL:
            axis = {**fitted.fitted, **self.arguments}.get("axis", -1)
            if len({p.tensor.shape[axis] for p in site.points if isinstance(axis, int)}) > 1:
                return "it is shared, and its calls have different numbers of channels"
        return fitted

    def make(self, **more: Any) -> keras.Layer:
        """Return a new layer.

        Raises:
            SurgeryError: the class does not take the arguments.
        """
        try:
            return self.cls(**{**self.fitted, **more, **self.arguments})
        except (TypeError, ValueError) as trouble:
            takes = [
                name
                for name, parameter in inspect.signature(self.cls.__init__).parameters.items()
                if name != "self" and parameter.kind is not parameter.VAR_KEYWORD
            ]
            wrong = next((key for key in self.arguments if key not in takes), "")
            raise SurgeryError(
                f"{self.layer_class} does not take {self.arguments or 'no arguments'}: {trouble}"
                f"{nearest(wrong, takes) if wrong else ''} It takes: {', '.join(takes)}."
            ) from trouble


def recipe_of(layer: Any, arguments: dict[str, Any] | None = None) -> Recipe:
    """Return the recipe of a placement (or replacement), a class or its name, a layer to copy.

    Raises:
        SurgeryError: there is no such layer class, or an argument is not one of its own.
    """
    arguments = dict(arguments or {})
    whole = not isinstance(layer, Replacement)  # else the layer before has a part in it
    if isinstance(layer, Placement | Replacement):
        layer, arguments = layer.layer, layer.arguments
    if isinstance(layer, str):
        recipe = Recipe(_class_named(layer), arguments)
    elif isinstance(layer, type) and issubclass(layer, keras.Layer):
        recipe = Recipe(layer, arguments)
    elif isinstance(layer, keras.Layer) and not isinstance(layer, keras.Model):
        config = {k: v for k, v in layer.get_config().items() if k not in ("name", "dtype")}
        recipe = Recipe(type(layer), {**config, **arguments})
    else:
        raise SurgeryError(
            "Expected a layer's class by name, a layer class, a layer, or placements. "
            f"Received: {layer!r}."
        )
    recipe = Recipe(
        recipe.cls, {key: named_initializer(key, each) for key, each in recipe.arguments.items()}
    )
    axis = recipe.arguments.get("axis")
    if isinstance(axis, list | tuple) and recipe.cls in kinds.ONE_AXIS:
        raise SurgeryError(
            f"axis: {recipe.layer_class} takes a single axis. Received: {list(axis)}."
        )
    if whole:
        recipe.make()
    return recipe


def activation_of(host: keras.Layer, name: str) -> keras.layers.Activation:
    """Return the host's fused activation as a layer, with its activity regularizer."""
    activation = host.activation
    if isinstance(activation, keras.Layer):
        activation = copy_of(activation)
    return keras.layers.Activation(
        activation,
        activity_regularizer=host.activity_regularizer,
        dtype=_not_quantized(host.dtype_policy),
        name=name,
    )


def linear(config: dict[str, Any]) -> dict[str, Any]:
    """Return a host's configuration without its activation (and the penalty on its output)."""
    config = {**config, "activation": "linear"}
    if "activity_regularizer" in config:
        config["activity_regularizer"] = None
    return config


def named_initializer(key: str, value: Any) -> Any:
    """Return the configuration that `{name: random_uniform, maxval: 1}` stands for.

    Studies name initializers so everywhere; Keras's mappings have a `class_name`. A configuration,
    not an initializer: made anew for each layer, so that no two layers share their draws.
    """
    if not key.endswith("_initializer") or not isinstance(value, dict) or "name" not in value:
        return value
    try:
        cls = type(keras.initializers.get(value["name"]))
    except ValueError as trouble:
        raise SurgeryError(f"{key}: there is no initializer '{value['name']}'.") from trouble
    arguments = {name: each for name, each in value.items() if name != "name"}
    return {"class_name": keras.saving.get_registered_name(cls), "config": arguments}


def _class_named(name: str) -> type[keras.Layer]:
    found = getattr(keras.layers, name, None)
    if found is None:
        registered = {
            key.rpartition(">")[2]: value
            for key, value in keras.saving.get_custom_objects().items()
            if isinstance(value, type) and issubclass(value, keras.Layer)
        }
        found = registered.get(name.rpartition(">")[2])
    if isinstance(found, type) and issubclass(found, keras.Layer):
        return found
    known = [key for key, value in vars(keras.layers).items() if isinstance(value, type)]
    raise SurgeryError(
        f"layer: expected the name of a Keras layer class or of a registered one. "
        f"Received: '{name}'.{nearest(name, known)}"
    )


def _fitted(recipe: Recipe, host: Any, point: Point, calls: Calls) -> dict[str, Any]:
    """The arguments that follow from the site: dtype policy, axis, data format."""
    takes = inspect.signature(recipe.cls.__init__).parameters
    policy = _policy(recipe, host, point)
    fitted: dict[str, Any] = {} if policy is None else {"dtype": policy}
    rank = len(point.tensor.shape)
    if rank > 2 and _data_format(host, rank, calls) == "channels_first":
        if "axis" in takes:
            fitted["axis"] = 1
        if "data_format" in takes:
            fitted["data_format"] = "channels_first"
    return {key: value for key, value in fitted.items() if key not in recipe.arguments}


def _policy(recipe: Recipe, host: Any, point: Point) -> Any:
    """The host's dtype policy; normalization keeps float32 statistics, since float16 overflows."""
    if isinstance(host, keras.layers.InputLayer):
        return None
    policy = host.dtype_policy
    if policy.compute_dtype not in ("float16", "bfloat16", "float32", "float64"):
        return None
    given = point.tensor.dtype
    if point.side != "before" and given != policy.compute_dtype and "float" in given:
        # A host that hands on what it gets, whatever its policy: what follows must not round it.
        return given if given in ("float32", "float64") else f"mixed_{given}"
    half = policy.variable_dtype in ("float16", "bfloat16")
    if half and recipe.layer_class.endswith("Normalization"):
        return f"mixed_{policy.compute_dtype}"
    return _not_quantized(policy)


def _not_quantized(policy: Any) -> Any:
    """The policy by which a quantized layer's neighbours compute: only layers with kernels are."""
    if policy.quantization_mode is None:
        return policy
    mixed = policy.compute_dtype != policy.variable_dtype
    return f"mixed_{policy.compute_dtype}" if mixed else policy.compute_dtype


def _data_format(host: Any, rank: int, calls: Calls) -> str | None:
    """The data format at a layer: its own, else that of the nearest layer before that has one."""
    seen: set[Any] = set()
    wave = [host]
    while wave:
        following = []
        for operation in wave:
            if operation in seen:
                continue
            seen.add(operation)
            inner = getattr(operation, "layer", operation)
            if value := getattr(inner, "data_format", None):
                return str(value)
            for read, call in calls.get(operation, ()):
                for tensor in fed(call):
                    if len(tensor.shape) == rank and id(tensor) in read.producer:
                        following.append(read.producer[id(tensor)].operation)
        wave = following
    return None


def _misfit(recipe: Recipe, shape: Any, dtype: str) -> str | None:
    """Try the layer on a tensor like the site's; say why it does not fit."""
    if "float" not in dtype:
        return f"the values there are {dtype}, not floating point"
    arguments = {**recipe.fitted, **recipe.arguments}
    if misfit := _axis_misfit(recipe, arguments, shape) or _noise_misfit(arguments, shape):
        return misfit
    layer = recipe.make()
    try:
        result = layer(keras.KerasTensor(shape, dtype=dtype))
    except Exception as trouble:
        why = reason(trouble).rstrip(".")
        return f"{recipe.layer_class} does not take a tensor of shape {shape}: {why}"
    if not isinstance(result, keras.KerasTensor) or tuple(result.shape) != tuple(shape):
        return f"{recipe.layer_class} would change the shape {shape}, which surgery does not allow"
    return None


def _axis_misfit(recipe: Recipe, arguments: dict[str, Any], shape: Any) -> str | None:
    """Say so where a normalization's axis is none of the tensor's, or has no size of its own."""
    axis = arguments.get("axis")
    if axis is None or not recipe.layer_class.endswith("Normalization"):
        return None
    for each in axis if isinstance(axis, list | tuple) else [axis]:
        if not isinstance(each, int) or not -len(shape) <= each < len(shape):
            return f"axis {each} is not among the {len(shape)} axes of {shape}"
        if each % len(shape) == 0:
            return f"axis {each} of {shape} has no fixed size: it is the batch"
        if shape[each] is None:
            return f"axis {each} of {shape} has no fixed size"
    return None


def _noise_misfit(arguments: dict[str, Any], shape: Any) -> str | None:
    """Say so where a Dropout's noise does not spread over the tensor; null is the tensor's own."""
    noise = arguments.get("noise_shape")
    if noise is None:
        return None
    # Keras fills null from the left; a shorter list without null is laid on the last axes.
    laid = noise if None in noise else [1] * (len(shape) - len(noise)) + list(noise)
    fits = len(laid) == len(shape) and all(
        size in (1, None, wanted) or wanted is None
        for size, wanted in zip(laid, shape, strict=True)
    )
    return None if fits else f"noise_shape {json.dumps(list(noise))} does not fit {shape}"
