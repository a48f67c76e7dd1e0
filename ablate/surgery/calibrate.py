"""Set a model's normalization to the statistics of given images.

One pass over the images gives the moments at every batch normalization at once: the layers are
made, or are to stay, such that they do not change what flows downstream. `undo`
makes freshly inserted layers the identity; `calibrate` brings the layers a model has to the
statistics of other data, keeping the model's function or its parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import keras
import numpy as np

from ablate.errors import SurgeryError, nearest, some
from ablate.surgery import exact, graph
from ablate.surgery.batches import Progress, batches
from ablate.surgery.graph import paths
from ablate.surgery.instrumented_model import (
    InstrumentedModel,
    Watch,
    held,
    largest_row,
    runner,
    runs_on,
)
from ablate.surgery.rebuild import rebuild
from ablate.surgery.statistics import Moments, merge, reduce
from ablate.surgery.tracing import functional

#: A step of a pass takes as many rows as keep the largest activation under this many bytes: a pass
#: then needs less memory than `predict`, and on CPUs a convolution is as fast on eight images as
#: on thirty-two. Small activations go many rows at once, as each call costs more than its rows.
STEP_BYTES = 128 * 2**20
STEP_ROWS = 1024

#: The rows that are normalized together, where nothing else is asked for.
TOGETHER = 32

KEEPS = ("function", "parameters")

#: A normalized channel varies by about 1; with a variance under this it is taken for constant.
CONSTANT = 1e-6


def calibrate(
    model: keras.Model,
    x: Any,
    keep: Literal["function", "parameters"] = "function",
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> keras.Model:
    r"""Return the model with its BN layers' statistics estimated anew on images.

    With `keep="function"` gamma and beta are adjusted, so that the model computes what it
    computed (an exact identity stays one, to the last bit) and only its behaviour in training
    changes:

    .. math:: \gamma' = \gamma \sqrt{\frac{v' + \epsilon}{v + \epsilon}}, \qquad
        \beta' = \beta + (\mu' - \mu) \frac{\gamma}{\sqrt{v + \epsilon}}

    With `keep="parameters"` gamma and beta stay and the function changes, as in precise BN:
    every BN layer normalizes by the statistics of its batch, so that the layers after it see
    what they see in training, and the moments of all batches are merged. Dropout stays off.

    Args:
        model: A functional or Sequential model with BN layers, nested ones too. Not changed.
        x: Images, as for `predict`: an array, a list or dict of arrays, an iterable of batches.
        keep: What stays: the model's function or the layers' gamma and beta.
        batch_size: The most rows run at once, by default as many as memory bears; with
            `keep="parameters"` the rows that are normalized together, by default 32.
        progress: Called after each batch with the rows done and the rows in all, or None.

    Returns:
        A new model with copied weights, compiled as the given one.

    Raises:
        SurgeryError: There is no BN layer, or one without scale or center (with
            `keep="function"`), or an activation is not finite.
        DataError: The images do not fit the model.

    Source: Wu and Johnson, *Rethinking "Batch" in BatchNorm*, 2021, section 3 (precise BN).
    """
    if keep not in KEEPS:
        raise SurgeryError(
            f"calibrate: keep is one of {', '.join(KEEPS)}. Received: {keep!r}."
            f"{nearest(keep, KEEPS)}"
        )
    new = rebuild(functional(model)).model
    layers = normalizations(new)
    if not layers:
        raise SurgeryError(
            f"calibrate: '{model.name}' has no BatchNormalization layer to calibrate. "
            "Insert one first: insert(model, 'BatchNormalization', calibrate=images)."
        )
    if keep == "function":
        _require_scale_and_center(layers, "keep its function under new statistics")
        found = moments(new, layers, x, batch_size=batch_size, progress=progress)
        for layer, each in zip(layers, found, strict=True):
            _keep_function(layer, each)
    else:
        estimate(new, layers, x, batch_size=batch_size, progress=progress)
    return new


def estimate(
    model: keras.Model,
    layers: Sequence[keras.layers.BatchNormalization],
    images: Any,
    *,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> None:
    """Give BN layers of a model the statistics of images, in place; gamma and beta stay.

    Each layer normalizes by its batch meanwhile, so the layers behind it see what they see in
    training.

    Raises:
        SurgeryError: An activation is not finite.
        DataError: The images do not fit the model.
    """
    with _by_the_batch(layers):
        found = moments(model, layers, images, training=True, batch_size=batch_size,
                        progress=progress)  # fmt: skip
    for layer, each in zip(layers, found, strict=True):
        dtype = layer.moving_mean.dtype
        assign_statistics(layer, exact.held(each.mean, dtype), exact.held(each.variance, dtype))


def undo(
    model: keras.Model,
    layers: Sequence[str | keras.layers.BatchNormalization],
    images: Any,
    *,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> None:
    """Make BN layers of a model the identity, with the statistics of images, in place.

    The model runs once over the images without these layers, which is the function it had
    before they were inserted; their statistics all come from that pass.

    Args:
        model: The model the layers were inserted into.
        layers: The layers or their paths, in the model or in models nested in it.
        images: As for `predict`: an array, a list or dict of arrays, an iterable of batches.
        batch_size: The most rows run at once, by default as many as memory bears.
        progress: Called after each batch with the rows done and the rows in all, or None.

    Raises:
        SurgeryError: A layer has no scale or center, or an activation is not finite.
        DataError: The images do not fit the model.
    """
    chosen = named(model, layers)
    if not chosen:
        return
    _require_scale_and_center(chosen, "be the identity")
    found = moments(model, chosen, images, leave_out=True, batch_size=batch_size, progress=progress)
    for layer, each in zip(chosen, found, strict=True):
        dtype = layer.gamma.dtype
        set_parameters(layer, exact.undoing(each.mean, each.variance, layer.epsilon, dtype=dtype))


def keep_moments(
    model: keras.Model,
    new: keras.Model,
    pairs: Sequence[tuple[keras.Layer, keras.Layer]],
    images: Any,
    *,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> None:
    r"""Choose gamma and beta of replaced layers so that each channel's moments stay, in place.

    .. math:: \gamma = \pm \sigma_{old} / \sigma_{normalized}, \qquad
        \beta = \mu_{old} - \gamma \mu_{normalized}

    One layer after the other, each on what the layers replaced before it let through: the mean and
    deviation of its output are then what they were in the old model at inference. The sign is that
    of the old gamma. A channel that the new layer makes constant keeps its gamma.

    Args:
        model: The old model.
        new: The new model.
        pairs: An old layer and the new one in its place, each.
        images: As for `predict`. One pass for the old model and one or two for each pair.
        batch_size: The most rows run at once, by default as many as memory bears.
        progress: Called after each batch with the rows done and the rows in all, or None.

    Raises:
        SurgeryError: A new layer has no gamma and beta per channel, or an activation is not finite.
        DataError: The images do not fit the model.
    """
    lacking = [new_layer.name for _, new_layer in pairs if not _has_channels(new_layer)]
    if lacking:
        raise SurgeryError(
            f"{some(lacking)}: to keep the moments of each channel a layer needs a gamma and a "
            "beta with one value a channel. Leave calibrate out, or choose another layer."
        )
    options: dict[str, Any] = {"batch_size": batch_size, "progress": progress}
    in_order = {layer: place for place, layer in enumerate(graph.calls_by_layer(model))}
    pairs = sorted(pairs, key=lambda pair: in_order[pair[0]])
    targets = moments(model, [old for old, _ in pairs], images, output=True, **options)
    layers = [layer for _, layer in pairs]
    # Traced once: a trace of a deep network takes longer than a pass over many images.
    watches = {each: _moments_watch(_axis(each), True) for each in layers}
    outputs = runner(InstrumentedModel(new, watches))
    for place, ((old, layer), target) in enumerate(zip(pairs, targets, strict=True)):
        if isinstance(layer, keras.layers.BatchNormalization):
            found = moments(new, [layer], images, **options)[0]
            dtype = layer.moving_mean.dtype
            assign_statistics(
                layer, exact.held(found.mean, dtype), exact.held(found.variance, dtype)
            )
        sign = np.ones_like(target.mean)
        if getattr(old, "gamma", None) is not None:
            sign = np.where(exact.value(old.gamma).astype("float64") < 0, -1.0, 1.0)
        gamma = np.abs(np.broadcast_to(exact.value(layer.gamma).astype("float64"), sign.shape))
        layer.gamma.assign(np.ones_like(sign))
        layer.beta.assign(np.zeros_like(sign))
        found = moments(new, layers, images, watched=outputs, only=place, **options)[0]
        varies = found.variance > CONSTANT
        wanted = np.sqrt(target.variance / np.where(varies, found.variance, 1.0))
        gamma = sign * np.where(varies, wanted, gamma)
        layer.gamma.assign(exact.held(gamma, layer.gamma.dtype))
        layer.beta.assign(exact.held(target.mean - gamma * found.mean, layer.beta.dtype))


def require_images(images: Any, names: Sequence[str | None], what: str, where: str = "") -> None:
    """Check that images are there if, and only if, something is to be calibrated on them.

    Args:
        images: What was given, or None.
        names: The layers that are to be calibrated.
        what: What asks for that, a placement or a replacement.
        where: On which of these to ask for it, for the message.

    Raises:
        SurgeryError: only one of images and layers is there.
    """
    if images is not None and not names:
        raise SurgeryError(
            f"Images to calibrate on were given, but no {what} asks for it. Set calibrate=True"
            f"{where}."
        )
    if images is None and names:
        raise SurgeryError(
            f"'{names[0]}' is to be calibrated, but there are no images to do it on. Give some "
            f"with calibrate=images, or leave calibrate out of the {what}."
        )


def _has_channels(layer: keras.Layer) -> bool:
    weights = [getattr(layer, name, None) for name in ("gamma", "beta")]
    return all(each is not None and len(each.shape) == 1 for each in weights)


def named(
    model: keras.Model, layers: Sequence[str | keras.layers.BatchNormalization]
) -> list[keras.layers.BatchNormalization]:
    """Return layers that are given by themselves or by their paths in the model."""
    by_path = {path: layer for layer, path in paths(model)}
    return [by_path[each] if isinstance(each, str) else each for each in layers]


def moments(
    model: keras.Model,
    layers: Sequence[keras.Layer],
    x: Any,
    *,
    output: bool = False,
    watched: Callable[[Any], Any] | None = None,
    only: int | None = None,
    leave_out: bool = False,
    training: bool = False,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> list[Moments]:
    """Return the moments of each layer's input (or output) over all images, from one pass.

    Args:
        model: The model the layers belong to.
        layers: Layers with an axis of channels; one that is called several times gets the moments
            of all its calls.
        x: The images.
        output: Whether the output is measured rather than the input.
        watched: The `runner` of a model that measures these layers already: no need of another.
        only: The place of the only layer of interest.
        leave_out: Whether the layers are passed over, or do their work.
        training: Whether the layers normalize by the statistics of their batch meanwhile.
        batch_size: The most rows run at once, by default as many as memory bears.
        progress: Called after each batch with the rows done and the rows in all, or None.
    """
    outputs = watched or runner(
        InstrumentedModel(
            model,
            {layer: _moments_watch(_axis(layer), output) for layer in layers},
            instead={layer: lambda x, mask: x for layer in layers} if leave_out else None,
            training=layers if training else (),
        )
    )
    # A batch that normalizes together must stay whole; another may be cut to save memory.
    step = max(1, min(STEP_ROWS, STEP_BYTES // largest_row(model)))
    rows = (batch_size or TOGETHER) if training else min(batch_size or step, step)
    chosen = list(range(len(layers))) if only is None else [only]
    found = [Moments.none(1)] * len(chosen)
    with graph.losses_held(model), held(graph.states_of(model)):
        for part, count in batches(model, x, rows, progress):
            with runs_on(model, count):
                seen = outputs(part)[0]
            for place, index in enumerate(chosen):
                for packed in seen[index]:
                    found[place] = merge(found[place], Moments.unpack(packed))
    return [_checked(layers[i], each) for i, each in zip(chosen, found, strict=True)]


def normalizations(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """Return the BN layers of the model's graph and of nested ones, each once."""
    found = (operation for _, operation in graph.every(model))
    wanted = keras.layers.BatchNormalization
    return list(dict.fromkeys(each for each in found if isinstance(each, wanted)))


def set_parameters(layer: keras.layers.BatchNormalization, parameters: exact.Parameters) -> None:
    """Give a BN layer its statistics, gamma and beta."""
    assign_statistics(layer, parameters.mean, parameters.variance)
    layer.gamma.assign(parameters.gamma)
    layer.beta.assign(parameters.beta)


def _keep_function(layer: keras.layers.BatchNormalization, found: Moments) -> None:
    gamma, beta, mean, variance = (
        exact.value(each)
        for each in (layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance)
    )
    factor = exact.factor(variance, gamma, layer.epsilon)
    offset = exact.shift(mean, variance, gamma, beta, layer.epsilon)
    parameters = exact.keeping(
        found.mean, found.variance, layer.epsilon, factor, offset, dtype=layer.gamma.dtype
    )
    set_parameters(layer, parameters)


def assign_statistics(
    layer: keras.layers.BatchNormalization, mean: np.ndarray, variance: np.ndarray
) -> None:
    layer.moving_mean.assign(mean)
    layer.moving_variance.assign(variance)
    if layer.renorm:
        deviation = np.sqrt(variance.astype("float64") + layer.epsilon)
        layer.moving_stddev.assign(deviation)
        layer.renorm_mean.assign(mean)
        layer.renorm_stddev.assign(deviation)


def _axis(layer: keras.Layer) -> int:
    """The axis of the channels; where there are several, the last one."""
    axis = getattr(layer, "axis", -1)
    return axis[-1] if isinstance(axis, list | tuple) else axis


def _moments_watch(axis: int, of_output: bool) -> Watch:
    return lambda inputs, output, mask: reduce(output if of_output else inputs, axis, mask)


def _checked(layer: keras.Layer, found: Moments) -> Moments:
    if found.count == 0:
        raise SurgeryError(
            f"'{layer.name}' saw no value in the pass over the images, so it has no statistics. "
            "Check that inputs reach this layer and are not fully masked."
        )
    # Overflowing deviations of finite values are no harm: the variance is brought into range.
    if not np.isfinite(found.mean).all() or np.isnan(found.m2).any():
        channel = int(np.argmin(np.isfinite(found.mean) & ~np.isnan(found.m2)))
        raise SurgeryError(
            f"What goes through '{layer.name}' is NaN or infinite on these images, first in "
            f"channel {channel}. Expected finite activations. Check the model's weights, the "
            "images' preprocessing, or use a wider dtype policy."
        )
    return found


def _require_scale_and_center(
    layers: Sequence[keras.layers.BatchNormalization], purpose: str
) -> None:
    lacking = [
        f"'{layer.name}' ({', '.join(n for n in ('scale', 'center') if not getattr(layer, n))})"
        for layer in layers
        if not (layer.scale and layer.center)
    ]
    if lacking:
        raise SurgeryError(
            f"A BatchNormalization needs gamma and beta to {purpose}; switched off: "
            f"{', '.join(lacking)}. Set scale=True and center=True, or use "
            "keep='parameters' to estimate the statistics alone."
        )


@contextmanager
def _by_the_batch(layers: Sequence[keras.layers.BatchNormalization]) -> Iterator[None]:
    """Let layers normalize by their batch alone.

    Keras gives a frozen one no batch statistics, and one with `renorm` a correction towards the
    statistics it has, which are those to be replaced.
    """
    frozen = [layer for layer in layers if not layer.trainable]
    renormed = [layer for layer in layers if layer.renorm]
    for layer in frozen:
        layer.trainable = True
    for layer in renormed:
        layer.renorm = False
    try:
        yield
    finally:
        for layer in frozen:
            layer.trainable = False
        for layer in renormed:
            layer.renorm = True
