"""The networks of `keras.applications`, with a head for the data at hand.

A network's top is its own where the images have its usual size (the last layer exchanged if the
classes differ), else a pool and new layers. Which of the two depends on the shape alone, so
pre-trained and fresh networks have one graph.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ablate.downloads import address_in, downloading, keras_home
from ablate.errors import StudyError
from ablate.models.origin import Origin, note
from ablate.models.replace_head import last_dense, replace_head
from ablate.models.style import Style, flatten, global_pool, output_form
from ablate.reasons import sentence
from ablate.study.schema.factories import APPLICATIONS, Network, Transfer
from ablate.study.specs import Target

_IMAGENET_CLASSES = 1000

Make = Callable[..., keras.Model]


def application(
    name: str,
    weights: str | None,
    shape: tuple[int, ...],
    target: Target,
    arguments: Transfer,
) -> keras.Model:
    """Build a network of `keras.applications`.

    Args:
        name: its name in lower case.
        weights: imagenet, none (or None), or the path of a file of weights.
        shape: height, width and channels of an image.
        target: what is to be learnt.
        arguments: head, top, pooling, dense, alpha, output_activation.

    Raises:
        StudyError: the network does not take such images, its weights cannot be fetched or do
            not fit, or its own top was asked for and cannot be had.
    """
    facts = APPLICATIONS[name]
    source = None if weights in (None, "none") else weights
    if len(shape) != 3:
        raise StudyError(
            f"model.name: '{name}' takes images (height, width, channels); an example of the "
            f"data has shape {shape}."
        )
    make = _maker(name, shape, arguments)
    usual = shape == (facts.size, facts.size, 3)
    if arguments.head == "keep" and not (usual or arguments.top == "own"):
        raise StudyError(
            f"model.head: '{name}' has a last layer of its own for images of "
            f"{facts.size}×{facts.size}×3; those of the data have the shape {shape}, and its top "
            "makes way for a pool and a new layer. Set data.image_size, or leave 'head' out."
        )
    if arguments.top == "own" or (arguments.top == "auto" and usual):
        made = _with_own_top(name, make, source, target, arguments)
        if made is not None:
            return made
    return _pooled(name, make, source, target, arguments)


def _maker(name: str, shape: tuple[int, ...], arguments: Transfer) -> Make:
    """Return a function that builds the network with or without its top."""
    facts = APPLICATIONS[name]
    function = getattr(keras.applications, facts.function)
    more: dict[str, Any] = {}
    if arguments.alpha is not None:
        if "alpha" not in inspect.signature(function).parameters:
            raise StudyError(
                f"model.alpha: '{name}' has no width multiplier; the MobileNet family has."
            )
        more["alpha"] = arguments.alpha

    def make(*, top: bool, weights: str | None, size: tuple[int, ...] = shape) -> keras.Model:
        try:
            quiet = contextlib.redirect_stdout(sys.stderr)
            with downloading(name) if weights == "imagenet" else quiet:
                return function(include_top=top, weights=weights, input_shape=size, **more)
        except Exception as error:
            raise StudyError(_refusal(name, size, weights, error)) from error

    return make


def _refusal(name: str, shape: tuple[int, ...], weights: str | None, error: Exception) -> str:
    if weights == "imagenet" and (url := address_in(error)):
        file = keras_home() / "models" / Path(url).name
        return (
            f"model.weights: the weights of '{name}' could not be fetched from {url}. "
            f"Put the file there yourself: {file}; or give its path: --set model.weights=PATH"
        )
    return f"model.name: '{name}' cannot be built for images of shape {shape}: {sentence(error)}"


def _with_own_top(
    name: str,
    make: Make,
    weights: str | None,
    target: Target,
    arguments: Transfer,
) -> keras.Model | None:
    """Keep the top, exchanging its last layer where needed; None where only a pool can help."""
    units, activation = output_form(target, arguments.output_activation)
    model = _loaded(name, make, weights, top=True)
    same = (units, activation) == (_IMAGENET_CLASSES, "softmax")
    if arguments.head == "keep" or (same and arguments.head is None):
        return note(model, Origin(kept=weights is not None))
    if last_dense(model) is None:
        if arguments.top == "own":
            raise StudyError(
                f"model.top: '{name}' ends in no Dense layer that could be exchanged for "
                f"{units} classes. Use top: pooled."
            )
        return None
    changed, new = replace_head(model, units, activation)
    return note(changed, _origin(name, weights, (new,), units))


def _pooled(
    name: str, make: Make, weights: str | None, target: Target, arguments: Transfer
) -> keras.Model:
    """Replace the top by a pool, dense layers and an output."""
    body = _loaded(name, make, weights, top=False)
    before = {layer.name for layer in body.layers}
    style = Style(Network(output_activation=arguments.output_activation))
    x = body.outputs[0]
    if arguments.pooling == "flatten":
        x = flatten(x, _free("flatten", before))
    else:
        x = global_pool(x, arguments.pooling, _free("pool", before))
    for number, units in enumerate(arguments.dense, start=1):
        x = style.dense(x, units, _free(f"dense{number}", before))
    x = style.output(x, target, _free("output", before))
    model = keras.Model(body.input, x, name=body.name)
    fresh = tuple(layer.name for layer in model.layers if layer.name not in before)
    return note(model, _origin(name, weights, fresh, output_form(target, "auto")[0]))


def _origin(name: str, weights: str | None, fresh: tuple[str, ...], units: int) -> Origin:
    if weights is None:
        return Origin()
    text = f"'{name}' keeps the weights of {weights}; its head of {units} is new"
    return Origin(kept=True, fresh=fresh, notes=(text,))


def _free(name: str, taken: set[str]) -> str:
    return next(n for n in (name, *(f"{name}_{i}" for i in range(2, 99))) if n not in taken)


def _loaded(name: str, make: Make, weights: str | None, *, top: bool) -> keras.Model:
    """Build the network with its weights, from imagenet or from a file."""
    if weights is None or weights == "imagenet":
        return make(top=top, weights=weights)
    path = Path(weights).expanduser()
    if not path.is_file():
        raise StudyError(
            f"model.weights: there is no file '{weights}' (looked at {path.absolute()}). "
            "Expected: imagenet, none or a file of weights."
        )
    if path.suffix == ".keras":
        raise StudyError(
            f"model.weights: '{weights}' is a whole model. Bring it by 'file' in place of 'name'."
        )
    model = make(top=top, weights=None)
    try:
        _load_all(model, path)
    except Exception as first:
        if top or not _copied_from_whole(name, make, path, model):
            hint = " It may hold the body alone: use top: pooled." if top else ""
            reason = " ".join(str(first).split())[:300].rstrip(".")
            raise StudyError(
                f"model.weights: '{weights}' does not hold the weights of '{name}': {reason}.{hint}"
            ) from first
    return model


def _load_all(model: keras.Model, path: Path) -> None:
    """Load weights and see that every random one was replaced: files may be read in part."""
    before = {each.path: _corner(each) for each in model.weights}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # what is left out is reported below
        model.load_weights(path)
    left = [
        each.path
        for each in model.weights
        if before[each.path].std() > 0 and np.array_equal(before[each.path], _corner(each))
    ]
    if left:
        raise ValueError(f"it has nothing for {left[0]} ({len(left)} of {len(before)} weights)")


def _corner(weight: Any) -> np.ndarray:
    """Return a few values of a weight, enough to see whether it was replaced."""
    index = tuple(slice(0, 4) for _ in weight.shape)
    return np.array(keras.ops.convert_to_numpy(weight.value[index]))


def _copied_from_whole(name: str, make: Make, path: Path, body: keras.Model) -> bool:
    """Copy a body's weights from a file that holds the top as well."""
    size = APPLICATIONS[name].size
    whole = make(top=True, weights=None, size=(size, size, 3))
    try:
        _load_all(whole, path)
    except Exception:
        return False
    known = {layer.name: layer for layer in whole.layers}
    for layer in body.layers:
        if layer.weights:
            layer.set_weights(known[layer.name].get_weights())
    return True
