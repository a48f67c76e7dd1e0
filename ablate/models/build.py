"""Build the base model of a study, and networks by name.

A `Model` section and the ends of the data go in; the plain Keras model comes out, its head
included, with every layer named. Normalization and Dropout are no argument of any factory: they
come through placements, one mechanism for all (`build(…, insert=[…])` places them directly).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager
from typing import Any

import keras

from ablate.errors import StudyError
from ablate.models.applications import application
from ablate.models.autoencoder import autoencoder
from ablate.models.cnn import cnn
from ablate.models.lenet import lenet
from ablate.models.mlp import mlp
from ablate.models.origin import note, origin
from ablate.models.resnet import resnet
from ablate.models.saved import from_call, from_file
from ablate.models.specs import Aim, Fits, Goal, InputOutputSpec, count, shapes, single
from ablate.models.vgg import vgg
from ablate.reasons import sentence
from ablate.study.schema.factories import Network, Transfer
from ablate.study.schema.model import Model
from ablate.study.schema.placement import Placement
from ablate.surgery.recursion_limit import deep_graphs

_FACTORIES: dict[str, Callable[[tuple[int, ...], Aim, Any], keras.Model]] = {
    "mlp": mlp,
    "cnn": cnn,
    "lenet": lenet,
    "vgg": vgg,
    "resnet": resnet,
    "autoencoder": autoencoder,
}


def build(
    name: str,
    input_shape: Iterable[int],
    classes: int | None = None,
    *,
    outputs: int | tuple[int, ...] = 1,
    weights: str | None = None,
    insert: Iterable[Placement | Mapping[str, Any]] = (),
    calibrate: Any = None,
    **arguments: Any,
) -> keras.Model:
    """Build a network by name, with layers placed in it.

    Args:
        name: a factory (`ablate models` lists them) or a network of `keras.applications`.
        input_shape: shape of one example, without the batch axis.
        classes: number of classes; None for regression.
        outputs: numbers to predict per example, or their shape, where `classes` is None.
        weights: imagenet, none or a path; networks of `keras.applications` only.
        insert: placements, applied in order.
        calibrate: inputs for placements with `calibrate=True`.
        **arguments: the factory's own.

    Raises:
        StudyError: an unknown name or argument, or shapes that do not fit.
        SurgeryError: a placement that fits nowhere.

    Example:
        >>> model = build("cnn", (8, 8, 1), 10, filters=[4], insert=[
        ...     Placement(layer="BatchNormalization", at="before_activation", where="conv")])
        >>> [layer.name for layer in model.layers][1:4]
        ['conv1', 'conv1_bn', 'conv1_activation']
    """
    shape = tuple(input_shape)
    goal = Goal("classification", (), classes)
    if classes is None:
        wanted = (outputs,) if isinstance(outputs, int) else tuple(outputs)
        goal = Goal("regression", shape if name == "autoencoder" else wanted)
    model = base(Model(name=name, weights=weights, **arguments), InputOutputSpec(shape, goal))
    placements = [
        each if isinstance(each, Placement) else Placement(**dict(each)) for each in insert
    ]
    if not placements:
        return model
    from ablate.surgery import insert as place

    return place(model, placements, calibrate=calibrate)


def base(model: Model, fits: Fits, dtype: str = "float32") -> keras.Model:
    """Build the base model of a study: plain, with the head that the data needs.

    `origin` of the result tells which of its weights are kept.

    Args:
        model: the study's section.
        fits: the shapes and tasks of the data, `ablate.data.Splits` for one.
        dtype: the policy of its layers: float32, float64, mixed_float16, mixed_bfloat16.

    Raises:
        StudyError: the model cannot be built, loaded or called, or does not fit the data.
    """
    with _policy(dtype), deep_graphs():
        built = _built(model, fits)
        if dtype != "float32" and model.file is not None:
            built = _recast(built, dtype)
    _check_inputs(model, built, fits)
    _check_outputs(model, built, fits)
    return built


def _built(model: Model, fits: Fits) -> keras.Model:
    if model.file is not None:
        return from_file(model, fits)
    if model.call is not None:
        return from_call(model, fits)
    name = str(model.name)
    shape, aim = single(fits, name)
    arguments: Any = model.kind.arguments
    filled: Network | Transfer = arguments.model_validate(model.arguments)
    if isinstance(filled, Transfer):
        return application(name, model.weights, shape, aim, filled)
    return _FACTORIES[name](shape, aim, filled)


@contextmanager
def _policy(dtype: str) -> Any:
    """Build under a policy of types, and put the former one back."""
    former = keras.config.dtype_policy()
    if former.name == dtype:
        yield
        return
    keras.config.set_dtype_policy(dtype)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(former)


def _recast(model: keras.Model, dtype: str) -> keras.Model:
    """Return a saved model with the policy of its float32 layers exchanged."""

    def again(layer: keras.Layer) -> keras.Layer:
        config = layer.get_config()
        if layer.dtype_policy.name == "float32" and not isinstance(layer, keras.layers.InputLayer):
            config["dtype"] = dtype
        return type(layer).from_config(config)

    try:
        new = keras.models.clone_model(model, clone_function=again, recursive=True)
    except Exception as error:
        raise StudyError(
            f"train.dtype: '{model.name}' cannot be made again as {dtype}: {sentence(error)} "
            "Use the type it was saved with."
        ) from error
    new.set_weights(model.get_weights())
    return note(new, origin(model))


def _check_inputs(section: Model, model: keras.Model, fits: Fits) -> None:
    """Refuse a model that does not take an example of the data."""
    if not model.built or not getattr(model, "inputs", None):
        return  # a subclassed model tells when it is called
    wanted = [tuple(each.shape[1:]) for each in model.inputs]
    given = shapes(fits.input_shape)
    if len(wanted) != count(fits.input_shape):
        raise StudyError(
            f"model: '{section.label}' has {len(wanted)} inputs, the data {len(given)}."
        )
    if isinstance(fits.input_shape, Mapping):
        return  # matched by name, which Keras does and tells
    for takes, gives in zip(wanted, given, strict=True):
        same = len(takes) == len(gives) and all(
            a is None or a == b for a, b in zip(takes, gives, strict=True)
        )
        if not same:
            hint = " Set data.add_channel: false." if tuple(gives) == (*takes, 1) else ""
            raise StudyError(
                f"model: '{section.label}' takes examples of shape {takes}; one of the data has "
                f"shape {tuple(gives)}.{hint}"
            )


def _check_outputs(section: Model, model: keras.Model, fits: Fits) -> None:
    """Refuse a model that does not give what is to be learnt."""
    outputs = getattr(model, "outputs", None)
    if not outputs:
        return
    if len(outputs) != count(fits.targets):
        raise StudyError(
            f"model: '{section.label}' has {len(outputs)} outputs, the data "
            f"{count(fits.targets)} targets."
        )
    aim = fits.targets
    if isinstance(aim, Mapping | list):
        return
    shape = tuple(outputs[0].shape[1:])
    if aim.task == "classification":
        binary = shape[-1:] == (1,) and aim.classes == 2 and not aim.one_hot
        if shape and shape[-1] is not None and shape[-1] < (aim.classes or 0) and not binary:
            hint = " For numbers to predict, say task: regression." if aim.shape == shape else ""
            raise StudyError(
                f"model: '{section.label}' gives {shape[-1]} classes; the data has {aim.classes}."
                f"{hint}"
            )
    elif len(shape) == len(aim.shape) and any(
        a is not None and a != b for a, b in zip(shape, aim.shape, strict=True)
    ):
        whole = getattr(aim, "values", None) is not None
        hint = " For classes written as floats, say task: classification." if whole else ""
        raise StudyError(
            f"model: '{section.label}' gives numbers of shape {shape}; a target of the data has "
            f"shape {aim.shape}.{hint}"
        )
