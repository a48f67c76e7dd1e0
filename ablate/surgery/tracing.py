"""Open Python code: subclassed models and composite layers become functional models.

The `call` of a model is carried out on symbolic inputs. Meanwhile each composite layer (one of
anyone's own, with layers inside) becomes a nested functional model of the same name, and each
functional model that holds such layers is opened too. The layers and their weights are the given
ones, not copies. A trace is believed only if it is shown to be true: original and trace are run on
the same inputs, at inference and in training, and outputs, masks, losses, statistics and variables
must be equal. A composite layer that cannot be opened stays whole; a model that cannot be is
refused.

    opened = functional(model)      # the model itself where there is nothing to open
    trace(model).closed             # layers that stayed whole, and why
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from ablate.errors import Notice, SurgeryError
from ablate.surgery import graph
from ablate.surgery.clone import compile_as
from ablate.surgery.trace_attempt import Tracing
from ablate.surgery.trace_calls import Closed, Untrue, composites
from ablate.surgery.trace_check import unequal
from ablate.surgery.trace_inputs import inputs_of, sample, with_tokens

_METHODS = ("train_step", "test_step", "predict_step", "compute_loss", "compute_metrics")


@dataclass(frozen=True)
class Traced:
    """A functional model, and what there is to know of how it came about.

    `opened` names the layers and models that became functional models, with their classes;
    `notes` say what was lost or holds only for now.
    """

    model: keras.Model
    opened: tuple[tuple[str, str], ...] = ()
    closed: tuple[Closed, ...] = ()
    notes: tuple[str, ...] = ()


#: What was traced, for as long as the original is there.
_KNOWN: weakref.WeakKeyDictionary[keras.Model, tuple[list[Any], Traced]] = (
    weakref.WeakKeyDictionary()
)


def functional(model: keras.Model, example: Any = None) -> keras.Model:
    """Return `model` as a functional model, with the very layers and weights it has.

    Subclassed models and composite layers are opened (see the module's text) to any depth. A
    functional or Sequential model without composite layers is returned as it is.

    Args:
        model: Any Keras model; a subclassed one must be built, or come with an `example`.
        example: Inputs as the model takes them (arrays, a few rows). Without it shapes are those
            the model was built with, and inputs count as float32.

    Raises:
        SurgeryError: The model's `call` cannot be traced truly; the text says what was seen.

    Example:
        >>> import keras
        >>> class Net(keras.Model):
        ...     def __init__(self):
        ...         super().__init__(name="net")
        ...         self.fc = keras.layers.Dense(4, activation="relu", name="fc")
        ...         self.logits = keras.layers.Dense(2, name="logits")
        ...     def call(self, inputs):
        ...         return self.logits(self.fc(inputs))
        >>> net = Net()
        >>> _ = net(keras.ops.zeros((1, 8)))
        >>> [layer.name for layer in functional(net).layers]
        ['net_input', 'fc', 'logits']
    """
    found = trace(model, example)
    for each in found.notes:
        warnings.warn(f"{model.name}: {each}", Notice, stacklevel=2)
    return found.model


def opened_alike(old: keras.Model, layer: keras.Layer) -> keras.Model:
    """Open a composite layer as `old`, which is one that was opened, takes it.

    Raises:
        SurgeryError: It takes several inputs, or cannot be opened.
    """
    if len(old.inputs) > 1:
        raise SurgeryError(f"it takes {len(old.inputs)} inputs, and can be made anew with one only")
    tensor = old.inputs[0]
    inputs = keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name="made_anew")
    found = trace(keras.Model(inputs, layer(inputs)))
    new = found.model.get_layer(layer.name)
    if not graph.is_container(new):
        raise SurgeryError(f"made anew it cannot be opened: {found.closed[0].reason}")
    return new


def trace(model: keras.Model, example: Any = None) -> Traced:
    """Do as `functional`, and say what was opened, what stayed whole, and what was lost."""
    if not isinstance(model, keras.Model):
        graph.read(model)  # says what is expected
    state = _state(model)
    if (known := _KNOWN.get(model)) is not None and known[0] == state:
        return known[1]
    if graph.is_container(model) and not composites(model):
        return Traced(model, notes=tuple(_lost(model)))
    if isinstance(model, keras.Sequential):
        graph.read(model)  # one that was never built
    found = _trace(model, example)
    if found.model is not model:
        _KNOWN[model] = (state, found)
    return found


def _trace(model: keras.Model, example: Any) -> Traced:
    inputs = inputs_of(model, example)
    closed: dict[int, Closed] = {}
    while True:
        work = Tracing(closed)
        try:
            made = work.whole(model, inputs)
        except Untrue as trouble:
            if trouble.layer is model:
                raise SurgeryError(_refusal(model, trouble.what, closed)) from trouble
            closed[id(trouble.layer)] = trouble.closed()
            continue
        if not work.opened:
            return Traced(model, closed=tuple(closed.values()))
        known = example is not None or graph.is_container(model)
        if not known and (whole_numbers := with_tokens(inputs, made)) is not None:
            inputs = whole_numbers
            continue
        rows = sample(model, inputs, example)
        notes: list[str] = []
        try:
            what = unequal(model, made, rows, notes)
        except SurgeryError as trouble:
            if not graph.is_container(model):
                raise
            return Traced(model, notes=(f"composite layers stay whole: {trouble}",))
        if what is None:
            break
        culprits = work.untrue() or work.all_closed(what, but=model)
        if not culprits:
            raise SurgeryError(_refusal(model, what, closed, work.fixed))
        closed |= culprits
    notes += [
        f"'{layer.name}' is called with training={value}, which the new model does only where "
        "nothing else is said: keep its layers frozen, or Dropout and batch statistics differ."
        for layer, value in work.fixed
    ]
    compile_as(model, made)
    notes += _lost(model)
    opened = [(each.name, type(each).__name__) for each in work.opened]
    return Traced(made, tuple(opened), tuple(closed.values()), tuple(notes))


_REMEDIES = (
    ("TensorFlow function", "Write it with keras.ops, or put it into a layer of its own."),
    ("bool", "Write it with keras.ops.where or keras.ops.cond, or put the `if` into a layer "
     "of its own."),
    ("SymbolicTensor", "Write it with keras.ops, or put it into a layer of its own."),
    ("NoneType", "Do not read the number of rows: reshape with -1, as keras.ops.reshape(x, "
     "(-1, …)), or put it into a layer of its own."),
    ("outside of the layers", "Put them into a layer of their own (add_weight and call)."),
    ("SeedGenerator", "Hold a keras.random.SeedGenerator in the layer, and draw from it."),
    ("in training than at", "Put what differs into a layer of its own that takes `training`."),
    ("add_loss", "Call add_loss in a layer of its own."),
    ("does not track", "Hold them as attributes, or in a list or dict that is one."),
)  # fmt: skip


def _refusal(
    model: keras.Model,
    what: str,
    closed: dict[int, Closed],
    fixed: Sequence[tuple[keras.Layer, bool]] = (),
) -> str:
    """Say of a model that its code is no graph: the layer, what was seen, the remedy."""
    if fixed and "training" in what:
        layer, value = fixed[0]
        what = (
            f"'{layer.name}' is called with training={value} whatever the model's own, and {what}"
        )
        remedy = "Freeze it (trainable = False) if it is to stay as it is, or hand `training` on."
    else:
        found = (remedy for sign, remedy in _REMEDIES if sign in what)
        remedy = next(found, "Put that code into a layer of its own (keras.layers.Layer).")
    inside = "".join(
        f" Layer '{each.name}' ({each.layer_class}) stayed whole: {each.reason}."
        for each in list(closed.values())[:3]
    )
    return (
        f"'{model.name}' is a subclassed model ({type(model).__name__}) whose call() cannot be "
        f"traced as a graph: {what}. {remedy}{inside} Or express the model with the functional API."
    )


def lost_methods(model: keras.Model) -> list[str]:
    """Return the names of a class's own ways to train that its functional model does not have."""
    if graph.is_container(model) and graph.constructor_of(model) is type(model):
        return []
    own = [each for each in type(model).__mro__ if each.__module__.split(".")[0] != "keras"]
    defined = {name for each in own for name in vars(each)}
    return [each for each in _METHODS if each in defined]


def _lost(model: keras.Model) -> list[str]:
    """Say what the functional model of a class lacks."""
    if names := lost_methods(model):
        return [
            f"the own {', '.join(names)} of {type(model).__name__} is not part of the functional "
            "model, which trains by Keras's."
        ]
    return []


def _state(model: keras.Model) -> list[Any]:
    """Return what a trace depends on besides code: layers, flags, compilation."""
    flags = [(id(each), each.trainable) for each in graph.flat_layers(model)]
    return [*flags, id(getattr(model, "_compile_config", None))]
