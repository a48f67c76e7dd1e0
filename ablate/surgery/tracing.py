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

import inspect
import json
import math
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras

from ablate.errors import Notice, SurgeryError
from ablate.reasons import reason
from ablate.surgery import graph, record
from ablate.surgery.clone import compile_as, copy_of
from ablate.surgery.rebuild import Rebuilding
from ablate.surgery.recursion_limit import deep_graphs
from ablate.surgery.trace_check import unequal
from ablate.surgery.trace_inputs import inputs_of, sample, values_for, with_tokens

_METHODS = ("train_step", "test_step", "predict_step", "compute_loss", "compute_metrics")


@dataclass(frozen=True)
class Closed:
    """A composite layer that stayed whole: its name, its class, and why."""

    name: str
    layer_class: str
    reason: str


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
    if graph.is_container(model) and not _composites(model):
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
        work = _Tracing(closed)
        try:
            made = work.whole(model, inputs)
        except _Untrue as trouble:
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


class _Untrue(Exception):
    """A layer (or model) whose `call` cannot be opened, and what was seen."""

    def __init__(self, layer: keras.Layer, what: str):
        super().__init__(what)
        self.layer, self.what = layer, what

    def closed(self) -> Closed:
        """Return it as a layer that stays whole."""
        return Closed(self.layer.name, type(self.layer).__name__, self.what)


@dataclass
class _Twin:
    """The functional model of a composite layer called in one way.

    `pack` puts the outputs of the model in the place that they have in what `call` returns.
    """

    model: keras.Model
    pack: Callable[[Sequence[Any]], Any]
    arguments: Callable[[Sequence[Any]], dict[str, Any]]


@dataclass
class _Tracing:
    """One attempt at a trace; `closed` layers stay whole."""

    closed: dict[int, Closed]
    twins: dict[Any, _Twin] = field(default_factory=dict)
    opened: dict[Any, keras.Model] = field(default_factory=dict)
    fixed: list[tuple[keras.Layer, bool]] = field(default_factory=list)
    mode: bool | None = None
    replayed: Any = None

    def whole(self, model: keras.Model, inputs: Any) -> keras.Model:
        """Return the functional model of the whole."""
        with _calls_go_to(self), deep_graphs(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*mask.*")
            if graph.is_container(model):
                return self.container(model)
            flat = keras.tree.flatten(inputs)
            twin = self.traced(model, {_first(model): inputs}, flat, nested=True)
            self.opened[model] = twin.model
            return twin.model

    def takes(self, layer: Any) -> bool:
        """Whether a layer is one to be opened."""
        if id(layer) in self.closed:
            return False
        if graph.is_container(layer):
            return any(id(each) not in self.closed for each in _composites(layer))
        return _is_composite(layer)

    def look(self, layer: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the keyword arguments of a call, `training` as is, where it is not the mode's."""
        if layer is self.replayed:
            return kwargs  # Keras notes defaults as if they had been given
        value = kwargs.get("training")
        if value is None or value is self.mode:
            return {**kwargs, "training": None} if "training" in kwargs else kwargs
        if isinstance(value, bool) and (layer, value) not in self.fixed:
            self.fixed.append((layer, value))
        return kwargs

    def call(self, original: Callable[..., Any], layer: Any, args: Any, kwargs: Any) -> Any:
        """Call a layer as a functional model."""
        if graph.is_container(layer):
            if layer not in self.opened:
                record.note_opened(self.container(layer), layer)
            return original(self.opened[layer], *args, **kwargs)
        try:
            bound = inspect.signature(layer.call).bind(*args, **kwargs).arguments
        except TypeError as trouble:
            raise _Untrue(layer, str(trouble)) from trouble
        bound = _flat_kwargs(layer, _with_masks(layer, bound))
        training = bound.pop("training", None)
        tensors = _tensors(bound)
        key = (id(layer), _key(bound, tensors), training)
        twin = self.twins.get(key)
        if twin is None:
            if any(other[0] == id(layer) for other in self.twins):
                raise _Untrue(
                    layer,
                    "it is called with inputs of several shapes, or with several arguments of "
                    "other kinds",
                )
            twin = self.twins[key] = self.inner(layer, bound, tensors)
        feed = tensors[0] if len(tensors) == 1 else tensors
        said = {} if training is None else {"training": training}
        return twin.pack(keras.tree.flatten(original(twin.model, feed, **said)))

    def inner(self, layer: Any, bound: dict[str, Any], tensors: list[Any]) -> _Twin:
        """Return the functional model of a composite layer that is called like that."""
        if layer.activity_regularizer is not None:
            raise _Untrue(layer, "it has an activity_regularizer of its own")
        names = _input_names(layer, bound, tensors)
        feeds = [
            keras.Input(batch_shape=each.shape, dtype=_dtype(layer, each), name=name)
            for each, name in zip(tensors, names, strict=True)
        ]
        places = {id(tensor): feed for tensor, feed in zip(tensors, feeds, strict=True)}
        for tensor, feed in zip(tensors, feeds, strict=True):
            mask = graph.mask_of(tensor)
            if mask is not None and id(mask) in places:
                graph.set_mask(feed, places[id(mask)])
        filled = keras.tree.map_structure(lambda each: places.get(id(each), each), bound)
        twin = self.traced(layer, filled, feeds)
        record.note_opened(twin.model, layer, _serialized(layer))
        self.opened[layer] = twin.model
        return twin

    def traced(
        self, layer: Any, arguments: dict[str, Any], feeds: list[Any], nested: bool = False
    ) -> _Twin:
        """Return the functional model of `layer.call(**arguments)` with the inputs `feeds`."""
        parameters = inspect.signature(layer.call).parameters
        usual = parameters["training"].default if "training" in parameters else None
        modes = [True if usual is True else None]
        if "training" in parameters:
            modes += [False, True]
        results = []
        for mode in modes:
            outer, self.mode = self.mode, mode
            try:
                said = {"training": mode} if "training" in parameters else {}
                results.append(layer.call(**_called(parameters, {**arguments, **said})))
            except _Untrue:
                raise
            except Exception as trouble:
                raise _Untrue(layer, _seen(trouble)) from trouble
            finally:
                self.mode = outer
        made = [self.model(layer, arguments, feeds, each, nested) for each in results]
        if any(_print(each.model) != _print(made[0].model) for each in made[1:]):
            raise _Untrue(layer, "its call() does other things in training than at inference")
        return made[0]

    def model(
        self, layer: Any, arguments: dict[str, Any], feeds: list[Any], result: Any, nested: bool
    ) -> _Twin:
        leaves = keras.tree.flatten(result)
        places = [i for i, each in enumerate(leaves) if isinstance(each, keras.KerasTensor)]
        if not places or any(
            not isinstance(each, keras.KerasTensor) and (nested or each is not None)
            for each in leaves
        ):
            kinds = sorted({type(each).__name__ for each in leaves} - {"KerasTensor"})
            raise _Untrue(layer, f"its call() returns {', '.join(kinds) or 'nothing'}, no tensors")
        flat = [leaves[i] for i in places]
        outputs = result if nested else flat[0] if len(flat) == 1 else flat
        inputs = (
            next(iter(arguments.values())) if nested else feeds[0] if len(feeds) == 1 else feeds
        )
        flags = [(each, each.trainable) for each in graph.flat_layers(layer)]
        try:
            made = keras.Model(inputs, outputs, name=layer.name)
        except Exception as trouble:
            raise _Untrue(layer, _seen(trouble)) from trouble
        made.dtype_policy = layer.dtype_policy
        _set_flags([(made, layer.trainable), *flags[1:]])
        handed = [
            each.path
            for call in graph.read(made).calls
            for each in keras.tree.flatten((call.args, call.kwargs))
            if isinstance(each, keras.Variable)
        ]
        if handed:
            names = ", ".join(handed[:3])
            raise _Untrue(layer, f"it uses weights outside of the layers that it calls ({names})")

        def pack(values: Sequence[Any]) -> Any:
            filled = list(leaves)
            for place, value in zip(places, values, strict=True):
                filled[place] = value
            return keras.tree.pack_sequence_as(result, filled)

        def given(values: Sequence[Any]) -> dict[str, Any]:
            found = {id(feed): value for feed, value in zip(feeds, values, strict=True)}
            return keras.tree.map_structure(lambda each: found.get(id(each), each), arguments)

        return _Twin(made, pack, given)

    def container(self, old: keras.Model) -> keras.Model:
        """Return a functional model with the composite layers inside of it opened."""
        flags = [(each, each.trainable) for each in graph.flat_layers(old)]
        work = _Opening(self)
        made: keras.Model = work.functional(graph.read(old))
        if made.dtype_policy != old.dtype_policy:
            made.dtype_policy = old.dtype_policy
        _set_flags([(made, old.trainable), *flags[1:]])
        self.opened[old] = made
        return made

    def untrue(self) -> dict[int, Closed]:
        """Return the composite layers that differ from their functional models by themselves."""
        found: dict[int, Closed] = {}
        for key, twin in self.twins.items():
            layer = next(each for each in self.opened if id(each) == key[0])
            values = [values_for(each) for each in twin.model.inputs]
            given = _Called(layer, twin, twin.arguments(values))
            try:
                what = unequal(given, twin.model, values[0] if len(values) == 1 else values, [])
            except SurgeryError:
                continue  # these inputs are made up, and do not suit every layer
            if what is not None:
                found[id(layer)] = Closed(layer.name, type(layer).__name__, what)
        return found

    def all_closed(self, what: str, but: keras.Model) -> dict[int, Closed]:
        """Return all composite layers as closed, where it is not seen which of them differs."""
        why = f"{what}, in one of the layers like it"
        layers = [each for each in self.opened if each is not but and not graph.is_container(each)]
        return {id(each): Closed(each.name, type(each).__name__, why) for each in layers}


class _Called:
    """A composite layer that is called as its functional model is."""

    def __init__(self, layer: Any, twin: _Twin, arguments: dict[str, Any]):
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


class _Opening(Rebuilding):
    """Carry out a graph with the layers it has, on new inputs; opened layers are put in."""

    def __init__(self, tracing: _Tracing):
        super().__init__()
        self.tracing = tracing

    def layer(self, old: Any) -> Any:
        if old not in self.made:
            ours = isinstance(old, keras.Layer) and not isinstance(old, keras.layers.InputLayer)
            self.made[old] = old if ours else copy_of(old)
        return self.made[old]

    def perform(self, call: graph.Call, values: dict[int, Any], mask: Any) -> Sequence[Any]:
        self.tracing.replayed = call.operation
        return super().perform(call, values, mask)

    def tell_apart(self, read: graph.Graph, outputs: Any, feeds: Sequence[Any]) -> None:
        self.made |= {old: new for old, new in self.tracing.opened.items() if old in self.made}
        super().tell_apart(read, outputs, feeds)

    def construct(self, old: keras.Model, inputs: Any, outputs: Any) -> keras.Model:
        if isinstance(old, keras.Sequential):
            return keras.Model(inputs, outputs, name=old.name)
        return super().construct(old, inputs, outputs)


_ACTIVE = threading.local()
_ONE_AT_A_TIME = threading.RLock()
_CALL = keras.Layer.__call__


@contextmanager
def _calls_go_to(tracing: _Tracing) -> Iterator[None]:
    """Let calls of layers on symbolic tensors, in this thread, be seen by `tracing`."""
    original = _CALL

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        work: _Tracing | None = getattr(_ACTIVE, "tracing", None)
        if work is None:
            return original(layer, *args, **kwargs)
        given = keras.tree.flatten((args, kwargs))
        if not any(isinstance(each, keras.KerasTensor) for each in given):
            return original(layer, *args, **kwargs)  # inside a layer that stays whole
        kwargs = work.look(layer, kwargs)
        if not work.takes(layer):
            return original(layer, *args, **kwargs)
        return work.call(original, layer, args, kwargs)

    def symbolic_call(operation: Any, *args: Any, **kwargs: Any) -> Any:
        if getattr(_ACTIVE, "tracing", None) is not None:
            operation = _of_any_rows(operation, *args)
        return plainly(operation, *args, **kwargs)

    plainly = keras.Operation.symbolic_call
    with _ONE_AT_A_TIME:
        _ACTIVE.tracing = tracing
        keras.Layer.__call__, keras.Operation.symbolic_call = call, symbolic_call
        try:
            yield
        finally:
            keras.Layer.__call__, keras.Operation.symbolic_call = original, plainly
            _ACTIVE.tracing = None


def _of_any_rows(operation: Any, *args: Any) -> Any:
    """Return a reshape to a number of rows that was read off a shape, None here, as one to -1.

    That is what it comes to where all other sizes are known.
    """
    sizes = getattr(operation, "newshape", None)
    if isinstance(operation, keras.Layer) or not isinstance(sizes, list | tuple):
        return operation
    given = [-1 if each is None else each for each in sizes]
    if not all(isinstance(each, int) for each in given) or list(sizes).count(None) != 1:
        return operation
    row, rest = tuple(args[0].shape)[1:], given[1:]
    if -1 in rest and sizes[0] is None and rest.count(-1) == 1 and None not in row:
        others = math.prod(each for each in rest if each != -1)
        rest[rest.index(-1)] = math.prod(row) // max(1, others)
        given = [-1, *rest]
    return type(operation)(tuple(given)) if given.count(-1) == 1 else operation


def _is_composite(layer: Any) -> bool:
    """Whether a layer is one of anyone's own, with layers inside of it that its `call` calls."""
    if not isinstance(layer, keras.Layer) or graph.is_container(layer):
        return False
    if isinstance(layer, keras.Sequential):
        return False  # one that has no graph yet
    defines = next((each for each in type(layer).__mro__ if "call" in vars(each)), keras.Layer)
    return defines.__module__.split(".")[0] != "keras" and bool(graph.sublayers(layer))


def _composites(model: keras.Model) -> list[keras.Layer]:
    """Return the composite layers that are called in a functional model, to any depth."""
    return [each for _, each in graph.every(model) if _is_composite(each)]


def _serialized(layer: keras.Layer) -> dict[str, Any] | None:
    """Return a composite layer as a file has it; None where its class does not say."""
    try:
        document = keras.saving.serialize_keras_object(layer)
        json.dumps(document)
    except Exception:
        return None
    document.pop("build_config", None)
    return document


def _first(model: keras.Model) -> str:
    return next(iter(inspect.signature(model.call).parameters))


def _flat_kwargs(layer: Any, bound: dict[str, Any]) -> dict[str, Any]:
    """Return arguments by name, those of `**kwargs` too."""
    kinds = {key: each.kind for key, each in inspect.signature(layer.call).parameters.items()}
    found: dict[str, Any] = {}
    for key, value in bound.items():
        if kinds[key] is inspect.Parameter.VAR_KEYWORD:
            found |= value
        elif kinds[key] in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.POSITIONAL_ONLY):
            raise _Untrue(layer, "its call() takes arguments that have no names")
        else:
            found[key] = value
    return found


def _with_masks(layer: Any, bound: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call with the masks that Keras would hand over by itself."""
    parameters = inspect.signature(layer.call).parameters
    carrying = [key for key, value in bound.items() if _tensors({key: value}, masks=False)]
    wanted = {f"{key}_mask": key for key in carrying}
    if len(carrying) == 1:
        wanted = {"mask": carrying[0]}
    found = dict(bound)
    for name, key in wanted.items():
        if name in parameters and found.get(name) is None:
            mask = keras.tree.map_structure(graph.mask_of, bound[key])
            if any(each is not None for each in keras.tree.flatten(mask)):
                found[name] = mask
    return found


def _tensors(bound: dict[str, Any], masks: bool = True) -> list[Any]:
    """Return the distinct symbolic tensors among arguments, then the masks that travel along."""
    leaves = keras.tree.flatten(bound)
    found = [each for each in leaves if isinstance(each, keras.KerasTensor)]
    if masks:
        found += [mask for each in list(found) if (mask := graph.mask_of(each)) is not None]
    return list({id(each): each for each in found}.values())


def _key(bound: dict[str, Any], tensors: list[Any]) -> Any:
    """Return what tells ways to call a layer apart: arguments, shapes, which mask goes where."""
    places = {id(each): place for place, each in enumerate(tensors)}

    def part(each: Any) -> Any:
        if id(each) in places:
            return ("tensor", places[id(each)])
        return each if isinstance(each, bool | int | float | str | None) else id(each)

    return (
        tuple(sorted(bound)),
        repr(keras.tree.map_structure(part, bound)),
        tuple((tuple(each.shape), each.dtype) for each in tensors),
        tuple(places.get(id(graph.mask_of(each))) for each in tensors),
    )


def _input_names(layer: Any, bound: dict[str, Any], tensors: list[Any]) -> list[str]:
    """Name inputs after the arguments they are; the first one after the layer."""
    names: dict[int, str] = {}
    for key, value in bound.items():
        for number, each in enumerate(_tensors({key: value}, masks=False)):
            suffix = f"_{number + 1}" if number else ""
            name = f"{layer.name}_{key}{suffix}" if names else f"{layer.name}_input"
            names.setdefault(id(each), name)
    for each in tensors:
        if (mask := graph.mask_of(each)) is not None:
            names.setdefault(id(mask), f"{names[id(each)]}_mask")
    return [names[id(each)] for each in tensors]


def _dtype(layer: Any, tensor: Any) -> str:
    """Return the dtype in which a layer receives a tensor."""
    cast = layer.autocast and "float" in tensor.dtype
    return str(layer.input_dtype if cast else tensor.dtype)


def _called(parameters: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return arguments without `training` where it is None and has another default."""
    if arguments.get("training", 0) is None and parameters["training"].default is not None:
        return {**arguments, "training": None}
    return arguments


def _print(model: keras.Model) -> list[Any]:
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


def _set_flags(flags: Sequence[tuple[Any, bool]]) -> None:
    """Set `trainable` from the outermost layer inwards, since a flag spreads."""
    for layer, flag in flags:
        if layer.trainable != flag:
            layer.trainable = flag


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


def _seen(trouble: Exception) -> str:
    """Return what Keras says, without the lesson that follows."""
    return reason(trouble).split("\n")[0].split(". ")[0].rstrip(".")


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
