"""What a layer made anew takes over from the one before: variables by name, and maps of channels.

Of two layers, each variable with the same place, name and shape is copied. Between normalizations
there is more to it: another epsilon moves the variance, so that their sum stays; renorm starts
from the moving statistics; a frozen affine map gets what a BN is at inference. What the new layer
lacks, and what was moved, is stored as it was, so that the layer can be brought back.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from ablate.surgery import exact, graph
from ablate.surgery.batchnorms import FrozenAffine
from ablate.surgery.calibrate import assign_statistics, set_parameters
from ablate.surgery.clone import build_alike
from ablate.surgery.rebuild import free_name

_BN = keras.layers.BatchNormalization

#: What one class calls otherwise than the others.
_ALIKE = {("RMSNormalization", "scale"): "gamma"}

#: A stored variable: its dtype, shape, the bytes in base64, and a digest of what took its place.
Stored = dict[str, Any]


def variables(layer: keras.Layer) -> dict[str, Any]:
    """Return a layer's variables, random states among them, by a key that a copy's have too.

    Names of inner layers may count through the life of a process, so these go by class and place.
    """
    found: dict[str, Any] = {}

    def visit(each: Any, place: str) -> None:
        for variable in graph.own_weights(each):
            name = _ALIKE.get((type(each).__name__, variable.name), variable.name)
            found[free_name(place + name, found)] = variable
        for index, inner in enumerate(graph.sublayers(each)):
            visit(inner, f"{place}{type(inner).__name__}{index}/")

    visit(layer, "")
    weights = {id(each) for each in layer.weights}
    random = [each for each in layer.variables if id(each) not in weights]
    for kind, states in (("seed", random), ("state", graph.states_of(layer))):
        found |= {f"{kind} {index}": state for index, state in enumerate(states)}
    return found


def hand_over(old: keras.Layer, new: keras.Layer) -> set[str]:
    """Give `new` what it takes over from `old`, in place; return the keys of what was moved."""
    if type(old) is type(new):
        build_alike(old, new)
    ours, theirs = variables(old), variables(new)
    for key in ours.keys() & theirs.keys():
        if ours[key].shape == theirs[key].shape:
            theirs[key].assign(keras.ops.copy(ours[key].value))
    if not isinstance(old, _BN):
        return set()
    if isinstance(new, FrozenAffine):
        gamma, beta, mean, variance = _values(old)
        new.factor.assign(exact.factor(variance, gamma, old.epsilon))
        new.shift.assign(exact.shift(mean, variance, gamma, beta, old.epsilon))
    if not isinstance(new, _BN):
        return set()
    moved = set()
    if new.epsilon != old.epsilon:
        _move_variance(old, new)
        moved = {"gamma", "beta", "moving_mean", "moving_variance"} & ours.keys() & theirs.keys()
    if new.renorm and not old.renorm:
        assign_statistics(new, exact.value(new.moving_mean), exact.value(new.moving_variance))
    return moved


def takes_over(old: keras.Layer, new: keras.Layer) -> bool:
    """Whether `new` has a weight from `old`, or has none to take."""
    if not new.weights or (isinstance(old, _BN) and isinstance(new, FrozenAffine)):
        return True
    ours, theirs, weights = variables(old), variables(new), {id(each) for each in new.weights}
    shared = [key for key in ours.keys() & theirs.keys() if id(theirs[key]) in weights]
    return any(ours[key].shape == theirs[key].shape for key in shared)


def lost(old: keras.Layer, new: keras.Layer, moved: Iterable[str]) -> dict[str, Stored]:
    """Return the variables of `old` that `new` lacks or has with another meaning, to be stored."""
    ours, theirs = variables(old), variables(new)
    found: dict[str, Stored] = {}
    for key, variable in ours.items():
        gone = key not in theirs or theirs[key].shape != variable.shape
        if gone or key in moved:
            value = exact.value(variable)
            found[key] = {
                "dtype": str(variable.dtype),
                "shape": list(value.shape),
                "value": base64.b64encode(value.tobytes()).decode(),
                "became": None if gone else _digest(theirs[key]),
            }
    return found


def give_back(stored: dict[str, Stored], now: keras.Layer, new: keras.Layer) -> None:
    """Give `new` the stored variables, but for those of `now` that have learned since."""
    present, theirs = variables(now), variables(new)
    for key, each in stored.items():
        if each["became"] is not None and _digest(present[key]) != each["became"]:
            continue
        dtype = exact.numpy_dtype(each["dtype"])
        raw = np.frombuffer(base64.b64decode(each["value"]), dtype)
        theirs[key].assign(raw.reshape(each["shape"]))


def _move_variance(old: Any, new: Any) -> None:
    """Move the variance by what epsilon lost: v' + ε' = v + ε. A little is left for gamma."""
    gamma, beta, mean, variance = _values(old)
    moved = variance.astype("float64") + old.epsilon - new.epsilon
    if not (new.scale and new.center and old.scale and old.center):
        new.moving_variance.assign(exact.held(np.maximum(moved, 0.0), new.moving_variance.dtype))
        return
    wanted = exact.factor(variance, gamma, old.epsilon)
    offset = exact.shift(mean, variance, gamma, beta, old.epsilon)
    parameters = exact.keeping(
        mean, moved, new.epsilon, wanted, offset, dtype=new.moving_variance.dtype
    )
    set_parameters(new, parameters)


def _values(layer: Any) -> tuple[np.ndarray, ...]:
    """Return gamma, beta, mean and variance of a BN; what it has not is 1 or 0."""
    mean, variance = exact.value(layer.moving_mean), exact.value(layer.moving_variance)
    gamma = exact.value(layer.gamma) if layer.scale else np.ones_like(variance)
    beta = exact.value(layer.beta) if layer.center else np.zeros_like(mean)
    return gamma, beta, mean, variance


def _digest(variable: Any) -> str:
    return hashlib.sha256(exact.value(variable).tobytes()).hexdigest()[:16]
