"""Whether a traced graph is true: original and graph run on the same rows, in both modes.

Outputs, masks, losses and the statistics that a run moves must be equal; weights that the graph
lacks are changed for a moment, to see whether the outputs depend on them. `steps` says what a graph
does, to compare one traced in training with one traced at inference.
"""

from __future__ import annotations

import inspect
import warnings
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from ablate.errors import SurgeryError
from ablate.reasons import reason
from ablate.surgery import graph
from ablate.surgery.instrumented_model import held


def unequal(given: Any, made: keras.Model, inputs: Any, notes: list[str]) -> str | None:
    """Say in what way a functional model is not what was given; None where it is."""
    kept = {id(each) for each in made.variables}
    known = {id(each) for each in given.variables}
    if extra := [each.path for each in made.variables if id(each) not in known]:
        return f"Keras does not track the layers of {', '.join(extra[:3])}"
    missing = [each for each in given.variables if id(each) not in kept]
    if (what := _modes_apart(given, made, inputs)) is not None:
        return what
    # A weight that the graph took for a constant, or lacks, shows when all are others.
    floats = [each for each in given.variables if "float" in each.dtype]
    with held(floats):
        for each in floats:
            each.assign(ops.add(ops.multiply(each, 1.02), 0.01))
        moved = _modes_apart(given, made, inputs)
    names = ", ".join(each.path for each in missing[:3])
    if moved is not None:
        where = f" ({names})" if names else ""
        return f"it uses weights outside of the layers that it calls{where}"
    if missing:
        count = sum(int(np.prod(each.shape)) for each in missing)
        notes.append(
            f"{count:,} parameters that the outputs do not depend on are left out: {names}."
        )
    return None


class CalledAlike:
    """A composite layer that is called as its functional model is."""

    def __init__(self, layer: Any, arguments: dict[str, Any]):
        self.layer, self.arguments = layer, arguments
        self.takes_training = "training" in inspect.signature(layer.call).parameters
        self.variables = layer.variables
        self._flatten_layers = layer._flatten_layers

    @property
    def losses(self) -> list[Any]:
        return self.layer.losses

    def __call__(self, inputs: Any, training: bool) -> Any:
        said = {"training": training} if self.takes_training else {}
        found = keras.tree.flatten(self.layer(**self.arguments, **said))
        return [each for each in found if each is not None]


def _modes_apart(given: Any, made: keras.Model, inputs: Any) -> str | None:
    """Say in which mode a functional model differs from what was given, and in what."""
    for training in (False, True):
        where = "in training" if training else "at inference"
        try:
            first = _outcome(given, made, inputs, training)
        except Exception as trouble:
            raise SurgeryError(
                "The model does not run on inputs made up for it, by which its trace is checked. "
                "Give some rows of yours: ablate.surgery.functional(model, example). Its reason: "
                f"{reason(trouble)}"
            ) from trouble
        try:
            second = _outcome(made, given, inputs, training)
        except Exception as trouble:
            return f"the graph does not run {where}: {reason(trouble)}"
        if (what := _apart(first, second)) is not None:
            if _apart(first, _outcome(given, made, inputs, training)) is not None:
                return "it draws random numbers that no SeedGenerator of the model repeats"
            return f"{what} of the traced graph differ {where}"
    return None


@dataclass(frozen=True)
class _Outcome:
    outputs: list[np.ndarray]
    masks: list[Any]
    losses: float
    states: dict[int, np.ndarray]


def _outcome(model: Any, other: Any, inputs: Any, training: bool) -> _Outcome:
    """Run a model on some rows; what that moved in it is put back."""
    moving = [each for each in model.variables if not each.trainable] + graph.states_of(model)
    with (
        held([*moving, *graph.states_of(other)]),
        graph.losses_held(model, other),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # what the model itself has to say, it said before
        outputs = keras.tree.flatten(model(inputs, training=training))
        losses = sum((float(ops.sum(each)) for each in model.losses), 0.0)
        masks = [graph.mask_of(each) for each in outputs]
        return _Outcome(
            [ops.convert_to_numpy(each) for each in outputs],
            [None if each is None else ops.convert_to_numpy(each) for each in masks],
            losses,
            {id(each): ops.convert_to_numpy(each.value) for each in moving},
        )


def _apart(a: _Outcome, b: _Outcome) -> str | None:
    """Name what differs between two runs."""
    if len(a.outputs) != len(b.outputs) or not all(map(_close, a.outputs, b.outputs)):
        return "the outputs"
    if not all(map(_close, a.masks, b.masks)):
        return "the masks of outputs"
    if not _close(a.losses, b.losses):
        return "the losses"
    if not all(_close(value, b.states[key]) for key, value in a.states.items() if key in b.states):
        return "the statistics"
    return None


def _close(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is b
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if np.array_equal(a, b, equal_nan=a.dtype.kind in "fc"):
        return True
    if a.dtype.kind not in "fc":
        return False
    room = 1e-6 * float(np.max(np.abs(a), initial=0.0))
    return bool(np.allclose(a, b, rtol=0.0, atol=room, equal_nan=True))


def steps(model: keras.Model) -> list[Any]:
    """Return what a graph does, call by call, without the values of `training`."""
    read = graph.read(model)
    places = {id(each): i for i, each in enumerate(read.inputs)}
    found: list[Any] = []

    def placed(each: Any) -> Any:
        return f"#{places[id(each)]}" if id(each) in places else each

    for call in read.calls:
        operation = call.operation
        kwargs = {key: value for key, value in call.kwargs.items() if key != "training"}
        args = keras.tree.map_structure(placed, (call.args, kwargs))
        what: Any = id(operation)
        if not isinstance(operation, keras.Layer):
            plain = {
                k: v for k, v in vars(operation).items() if isinstance(v, bool | int | float | str)
            }
            plain.pop("name", None)
            what = (type(operation).__name__, {k: v for k, v in plain.items() if k[0] != "_"})
        found.append((what, repr(args)))
        places |= {id(each): len(places) + i for i, each in enumerate(call.outputs)}
    return [*found, [places.get(id(each)) for each in read.outputs]]
