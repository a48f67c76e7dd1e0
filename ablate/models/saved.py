"""A model that a person brings: saved in a file, or returned by a function.

A saved model keeps its weights unless they are to be fresh; one whose output cannot learn what
the data has gets a new last layer, and plan and report say so.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import keras

from ablate.errors import AblateError, StudyError, nearest
from ablate.models import file, fitting
from ablate.models.creation import kept_weights, noted
from ablate.models.origin import Origin, compiled_with, note, untrained
from ablate.models.outputs import outputs_of
from ablate.models.replace_head import replace_head
from ablate.reasons import reason, sentence
from ablate.study.archives import compiled_in
from ablate.study.calls import import_module, resolve
from ablate.study.schema.model import Model
from ablate.study.specs import InputOutputSpec, Target
from ablate.surgery import Edits, graph, rebuild
from ablate.surgery.graph import paths

Shape = tuple[int | None, ...]


def from_file(model: Model, spec: InputOutputSpec) -> keras.Model:
    """Load `model.file`, with its weights kept or fresh, and a new head where classes differ.

    Raises:
        StudyError: no such file, no model in it, layers that are not registered, or another
            number of classes and no Dense layer to exchange.
    """
    path = Path(str(model.file)).expanduser()
    for module in model.imports or ():
        import_module(module, "model.imports")
    translated: list[str] = []
    loaded = _load(path, str(model.file), translated)
    translated = [each.rstrip(".") for each in translated]
    if model.weights == "fresh":
        loaded = _fresh(loaded)
    target, shape = spec.targets, _one_output(loaded, spec)
    new = None if shape is None else _new_head(loaded, target, shape, model.own_head)
    if shape is None or new is None:
        notes = () if shape is None else _surplus(target, shape, path)
        return note(loaded, _origin(loaded, model, path, notes=(*translated, *notes)))
    changed, name = replace_head(loaded, *new)
    alone = target.classes == 2 and target.shape and not target.one_hot
    kind = "numbers to predict" if target.task == "regression" else "labels" if alone else "classes"
    text = f"the data has {new[0]} {kind}, '{path.name}' gave {shape[-1]}: its last layer is new"
    return note(changed, _origin(changed, model, path, (name,), (*translated, text)))


def _origin(
    made: keras.Model,
    model: Model,
    path: Path,
    fresh: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
) -> Origin:
    """Return where the weights of a loaded model come from, with a caution if they look untrained.

    `fresh` names the layers that were exchanged.
    """
    compiled = compiled_in(path)
    if not model.keeps_weights:
        return Origin(notes=notes, compiled=compiled)
    if isinstance(model.kept, dict):
        kept = {layer: tuple(each) for layer, each in model.kept.items() if layer not in fresh}
        return Origin(bool(kept), fresh, notes, compiled=compiled, weights=kept)
    layers, all_of_them = untrained(made, fresh)
    if all_of_them:
        caution = (
            f"'{path.name}' looks untrained (biases and normalizations are as they were "
            "initialized) and keeps its weights: all seeds start from this one initialization. "
            "Set model.weights: fresh, or give a function that builds the model, to draw one for "
            "each seed"
        )
        return Origin(True, fresh, notes, (caution,), compiled)
    text = f"every seed starts from the weights of '{path.name}'"
    if layers:
        shown = ", ".join(f"'{each}'" for each in layers[:3])
        more = f" and {len(layers) - 3} more" if len(layers) > 3 else ""
        text = (
            f"{shown}{more} of '{path.name}' look untrained, and start from the same weights in "
            "every seed, as the rest does"
        )
    return Origin(True, fresh, (*notes, text), compiled=compiled)


def from_call(model: Model, spec: InputOutputSpec) -> keras.Model:
    """Return the model that `model.call` makes.

    The function gets the section's arguments, and `input_shape` and `classes` where it has
    parameters of these names.

    Raises:
        StudyError: it cannot be found or called, it raises, or what it returns is no model.
    """
    call = str(model.call)
    function = resolve(call, "model.call")
    arguments, asked = model.arguments, model.weights
    if asked not in (None, "keep", "fresh"):
        arguments["weights"] = asked
    classes = getattr(spec.targets, "classes", None)
    offered = {"input_shape": spec.input_shape, "classes": classes}
    try:
        signature = inspect.signature(function)
        wanted = {
            key: value
            for key, value in offered.items()
            if key in signature.parameters and key not in arguments
        }
        signature.bind(**arguments, **wanted)
    except TypeError as error:
        raise StudyError(f"model.call: '{call}' cannot be called like that: {error}.") from None
    except ValueError:
        wanted = {}  # a builtin without a signature: calling it will show
    try:
        with noted():
            made = function(**arguments, **wanted)
    except Exception as error:
        raise StudyError(f"model.call: '{call}' raised {reason(error)}") from error
    if not isinstance(made, keras.Model):
        raise StudyError(
            f"model.call: '{call}' returned a {type(made).__name__}. Expected: a Keras model."
        )
    if not made.built and not isinstance(spec.input_shape, dict | list) and _builds(made):
        made.build((None, *spec.input_shape))
    compiled = compiled_with(made)
    if asked in ("keep", "fresh"):
        return note(made, Origin(asked == "keep", compiled=compiled))
    kept = kept_weights(made)
    return note(made, Origin(bool(kept), weights=kept or None, compiled=compiled))


def _builds(made: keras.Model) -> bool:
    """Whether a model can be built from a shape; the rest are when they are called on data."""
    return isinstance(made, keras.Sequential) or type(made).build is not keras.Model.build


def _load(path: Path, given: str, notes: list[str]) -> keras.Model:
    if not path.exists():
        siblings = [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
        raise StudyError(
            f"model.file: there is no file '{given}' (looked at {path.absolute()})."
            f"{nearest(path.name, siblings)}"
        )
    if path.name.endswith(".weights.h5"):
        raise StudyError(
            f"model.file: '{given}' holds weights without a model. Expected: a file that "
            "model.save wrote (.keras, .h5)."
        )
    try:
        return file.load(path, notes=notes)
    except AblateError as error:
        raise StudyError(
            f"model.file: {error} (Layers of your own are also known to a function of yours that "
            "loads the model: model.call.)"
        ) from error


def _fresh(model: keras.Model) -> keras.Model:
    """Return the same network with weights drawn anew."""
    try:
        if graph.is_container(model):
            parts = (layer for layer, _ in paths(model) if not graph.is_container(layer))
            # What a layer was adapted to (a vocabulary) is no initialization.
            leaves = {layer for layer in parts if not hasattr(layer, "adapt")}
            return rebuild(model, Edits(fresh=leaves), compiled=False).model
        if isinstance(model, keras.Sequential | keras.Function):
            return keras.models.clone_model(model)
        again = type(model).from_config(model.get_config())
        again.build_from_config(model.get_build_config() or {})
        return again
    except Exception as error:
        raise StudyError(
            f"model.weights: '{model.name}' cannot be made again from its configuration: "
            f"{sentence(error)} Use weights: keep, or build it by model.call."
        ) from error


def _new_head(
    model: keras.Model, target: Target, shape: Shape, head: str | None
) -> tuple[int, str | None] | None:
    """Return units and activation of the head the model needs, None if its own will do.

    The activation is None where the old one's will do. `shape` is that of the model's output.
    """
    if head == "keep":
        return None
    if head != "replace" and (target.task == "regression" or fitting.fits(target, shape)):
        return None  # numbers of another shape are refused where outputs are checked
    units = fitting.units_for(target, shape)
    if units is None:
        if head != "replace":
            return None
        raise StudyError(
            f"model.head: a new last layer of '{model.name}', whose output has the shape {shape}, "
            f"cannot give what a row's target of shape {target.shape} needs."
        )
    old = outputs_of(model)[0].activation
    if target.task == "regression":
        return units, "linear" if old == "softmax" else None
    alone = fitting.several_labels(target, (*shape[:-1], units))
    if old == "sigmoid" and not alone and units > 1:
        return units, "softmax"
    return units, "sigmoid" if old == "softmax" and (alone or units == 1) else None


def _one_output(model: keras.Model, spec: InputOutputSpec) -> Shape | None:
    """Return the shape of the one output for the one target, None where there are others."""
    outputs: list[Any] = list(getattr(model, "outputs", None) or ())
    if isinstance(spec.targets, dict | list) or len(outputs) != 1:
        return None
    return tuple(outputs[0].shape[1:])


def _surplus(target: Target, shape: Shape, path: Path) -> tuple[str, ...]:
    """Say that a head has more classes than the data, which it can learn all the same."""
    units, classes = [1, *shape][-1], target.classes or 0
    fits = target.task == "classification" and fitting.by_class_number(target.shape, shape)
    if units is None or units <= classes or not fits:
        return ()
    return (
        f"'{path.name}' gives {units} classes, the data has {classes}: its last layer is kept "
        "(model.head: replace makes a new one)",
    )
