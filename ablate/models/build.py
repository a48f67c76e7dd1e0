"""Build the base model of a study, and networks by name.

`base` makes the plain Keras model of a `Model` section for the data at hand, its head included.
Normalization and Dropout are no argument of any factory: they come through placements, one
mechanism for all (`build(…, insert=[…])` places them directly).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras

from ablate.errors import StudyError
from ablate.models.applications import application
from ablate.models.origin import note, origin
from ablate.models.saved import from_call, from_file
from ablate.reasons import sentence
from ablate.study.schema.factories import Network, Transfer
from ablate.study.schema.model import Model
from ablate.study.schema.placement import Placement
from ablate.study.specs import InputOutputSpec, Target
from ablate.surgery.recursion_limit import deep_graphs


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
    target = Target("classification", (), classes)
    if classes is None:
        wanted = (outputs,) if isinstance(outputs, int) else tuple(outputs)
        target = Target("regression", shape if name == "autoencoder" else wanted)
    model = base(Model(name=name, weights=weights, **arguments), InputOutputSpec(shape, target))
    placements = [
        each if isinstance(each, Placement) else Placement(**dict(each)) for each in insert
    ]
    if not placements:
        return model
    from ablate.surgery import insert as place

    return place(model, placements, calibrate=calibrate)


def base(model: Model, spec: InputOutputSpec, dtype: str = "float32") -> keras.Model:
    """Build the base model of a study: plain, with the head that the data needs.

    `origin` of the result says which of its weights are kept.

    Args:
        model: the study's section.
        spec: the shapes and tasks of the data.
        dtype: the policy of its layers: float32, float64, mixed_float16, mixed_bfloat16.

    Raises:
        StudyError: the model cannot be built, loaded or called, or does not fit the data.
    """
    with dtype_policy(dtype), deep_graphs():
        built = _built(model, spec)
        if dtype != "float32" and model.file is not None:
            built = _recast(built, dtype)
    _check_inputs(model, built, spec)
    _check_outputs(model, built, spec)
    return built


def _built(model: Model, spec: InputOutputSpec) -> keras.Model:
    if model.file is not None:
        return from_file(model, spec)
    if model.call is not None:
        return from_call(model, spec)
    name = str(model.name)
    shape, target = _single(spec, name)
    arguments: Any = model.kind.arguments
    filled: Network | Transfer = arguments.model_validate(model.arguments)
    if isinstance(filled, Transfer):
        return application(name, model.weights, shape, target, filled)
    made: keras.Model = model.kind.load()(shape, target, filled)
    return made


@contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Let layers be made with a dtype policy, and put the process's own back."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _single(spec: InputOutputSpec, model: str) -> tuple[tuple[int, ...], Target]:
    """Return the one input shape and the one target that a factory can build for."""
    for what, value in (("inputs", spec.input_shape), ("outputs", spec.targets)):
        if isinstance(value, Mapping | list):
            names = list(value) if isinstance(value, Mapping) else f"{len(value)} of them"
            raise StudyError(
                f"model.name: '{model}' has one input and one output; the data has several "
                f"{what} ({names}). Bring a model of your own by 'call' or 'file'."
            )
    if spec.tokens:
        raise StudyError(
            f"model.name: '{model}' takes numbers, and the data are token numbers, which need an "
            "Embedding. Use data.encoding: multi_hot (imdb, reuters), or bring a model of your "
            "own by 'call' or 'file'."
        )
    target = spec.targets
    if target.task == "classification" and not target.one_hot and target.shape:
        raise StudyError(
            f"model.name: '{model}' gives one class per example; the labels have shape "
            f"{target.shape}. Bring a model of your own by 'call' or 'file'."
        )
    return tuple(spec.input_shape), target


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


def _check_inputs(section: Model, model: keras.Model, spec: InputOutputSpec) -> None:
    """Refuse a model that does not take an example of the data."""
    if not model.built or not getattr(model, "inputs", None):
        return  # a subclassed model shows it when it is called
    wanted = [tuple(each.shape[1:]) for each in model.inputs]
    named = isinstance(spec.input_shape, Mapping)
    given = spec.input_shape if named or isinstance(spec.input_shape, list) else [spec.input_shape]
    if len(wanted) != len(given):
        raise StudyError(
            f"model: '{section.label}' has {len(wanted)} inputs, the data {len(given)}."
        )
    if named:
        return  # matched by name, which Keras does and checks
    for takes, gives in zip(wanted, given, strict=True):
        same = len(takes) == len(gives) and all(
            a is None or a == b for a, b in zip(takes, gives, strict=True)
        )
        if not same and not (takes == () and tuple(gives) == (1,)):  # Keras takes off a last 1
            hint = " Set data.add_channel: false." if tuple(gives) == (*takes, 1) else ""
            raise StudyError(
                f"model: '{section.label}' takes examples of shape {takes}; one of the data has "
                f"shape {tuple(gives)}.{hint}"
            )


def _check_outputs(section: Model, model: keras.Model, spec: InputOutputSpec) -> None:
    """Refuse a model that does not give what is to be learnt."""
    outputs = getattr(model, "outputs", None)
    if not outputs:
        return
    target = spec.targets
    several = isinstance(target, Mapping | list)
    if len(outputs) != (count := len(target) if several else 1):
        raise StudyError(
            f"model: '{section.label}' has {len(outputs)} outputs, the data {count} targets."
        )
    if several:
        return
    shape = tuple(outputs[0].shape[1:])
    if target.task == "classification":
        binary = shape[-1:] == (1,) and target.classes == 2 and not target.one_hot
        if shape and shape[-1] is not None and shape[-1] < (target.classes or 0) and not binary:
            hint = " For numbers to predict, say task: regression." if target.shape == shape else ""
            raise StudyError(
                f"model: '{section.label}' gives {shape[-1]} classes; the data has "
                f"{target.classes}.{hint}"
            )
    elif len(shape) == len(target.shape) and any(
        a is not None and a != b for a, b in zip(shape, target.shape, strict=True)
    ):
        whole = target.values is not None
        hint = " For classes written as floats, say task: classification." if whole else ""
        raise StudyError(
            f"model: '{section.label}' gives numbers of shape {shape}; a target of the data has "
            f"shape {target.shape}.{hint}"
        )
