"""Keras objects in a `train` section, written as the text that a study file has for them.

In Python an optimizer, a learning rate schedule, a loss, a metric or a callback may be the object,
class or function itself. Trials are trained by other processes and known by their content, so each
becomes what YAML says: a name of Keras's with arguments, or `call: module:name`. What an object
was made with is read off its configuration and its attributes, and held against a fresh one made
of it; where that is not the same, or the object has no module that a worker could import, it is
refused with the reason. No framework is imported here: whoever has an object has it.
"""

from __future__ import annotations

import inspect
import math
import re
import struct
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from ablate.study.keras_names import (
    AUGMENTATIONS,
    LOSSES,
    METRICS,
    OPTIMIZERS,
    loss_name,
    metric_name,
    optimizer_name,
    snake,
)
from ablate.study.validation import invalid

#: Arguments that say what an object is called, and nothing of what it does.
_NAMES = ("name", "dtype")

#: Schedules of Keras that `train.schedule` has a name for, with the arguments that both have.
_SCHEDULES = {
    "CosineDecay": ("cosine", ("decay_steps", "alpha")),
    "CosineDecayRestarts": ("cosine_restarts", ("first_decay_steps", "t_mul", "m_mul", "alpha")),
    "ExponentialDecay": ("exponential", ("decay_steps", "decay_rate", "staircase")),
    "InverseTimeDecay": ("inverse_time", ("decay_steps", "decay_rate", "staircase")),
    "PolynomialDecay": ("polynomial", ("decay_steps", "end_learning_rate", "power", "cycle")),
}

#: Defaults of those arguments, left out so that an object is the same trial as its text.
_USUAL = {"alpha": 0.0, "t_mul": 2.0, "m_mul": 1.0, "staircase": False, "power": 1.0,
          "end_learning_rate": 0.0001, "cycle": False}  # fmt: skip


def as_text(train: Any, *, whole: bool = False) -> Any:
    """Return a `train` section with its Keras objects as text.

    Args:
        train: the section, or what of it a variant or a phase overrides.
        whole: write an optimizer with all its arguments, also those that are Keras's defaults, so
            that merging it over another leaves nothing of the other.

    Raises:
        InvalidFields: an object that no text can say.
    """
    if not isinstance(train, Mapping):
        return train
    changed = dict(train)
    optimizer, rate = changed.get("optimizer"), changed.get("learning_rate")
    if _is_object(optimizer):
        changed["optimizer"], given = _optimizer(optimizer, whole)
        rate = given if rate is None else rate
    if _is_object(rate):
        changed["schedule"], rate = _schedule(rate)
    if rate is not None:
        changed["learning_rate"] = rate
    if _is_object(changed.get("schedule")):
        changed["schedule"], rate = _schedule(changed["schedule"])
        changed.setdefault("learning_rate", rate)
    for key in ("loss", "metrics", "weighted_metrics"):
        if key in changed:
            write = _loss if key == "loss" else _metric
            changed[key] = _each(changed[key], write, (key,))
    if isinstance(changed.get("callbacks"), list | tuple):
        changed["callbacks"] = [
            _callback(each, index) if _is_object(each) else each
            for index, each in enumerate(changed["callbacks"])
        ]
    if changed.get("augment") is not None:
        changed["augment"] = list(_augmentations(changed["augment"], ("augment",)))
    if isinstance(changed.get("phases"), list | tuple):
        changed["phases"] = [as_text(each, whole=whole) for each in changed["phases"]]
    return changed


def _is_object(value: Any) -> bool:
    """Whether `value` is a thing of Python that is no text, number, section or container."""
    plain = str | int | float | Mapping | list | tuple
    return value is not None and not isinstance(value, plain) and not _is_section(value)


def _is_section(value: Any) -> bool:
    return hasattr(type(value), "model_fields")  # pydantic's, of a study


def _each(given: Any, write: Callable[..., Any], path: tuple[Any, ...]) -> Any:
    """Write what stands in a list, or by output in a mapping."""
    if isinstance(given, list | tuple):
        return [_each(each, write, (*path, index)) for index, each in enumerate(given)]
    if isinstance(given, Mapping) and not {"name", "call"} & given.keys():
        return {key: _each(each, write, (*path, key)) for key, each in given.items()}
    return write(given, *path) if _is_object(given) else given


def from_compilation(
    config: Mapping[str, Any], own: Callable[[str], str | None] = lambda name: None
) -> tuple[dict[str, Any], list[str]]:
    """Return the `train` fields that a model was compiled with, and what of it no text can say.

    Args:
        config: what `get_compile_config` gives, or a `.keras` file holds.
        own: gives `module:name` of a function that is held by its name alone.
    """
    found: dict[str, Any] = {}
    lost: list[str] = []

    def text(kind: str, given: Any) -> Any:
        if isinstance(given, list | tuple):
            return [each for each in (text(kind, inner) for inner in given) if each is not None]
        if isinstance(given, Mapping) and "class_name" not in given:
            return {key: text(kind, each) for key, each in given.items() if each is not None}
        made = _from_config(kind, given, own)
        if made is None and given is not None:
            lost.append(f"its {kind} '{_called(given)}'")
        return made

    optimizer = config.get("optimizer")
    if isinstance(optimizer, Mapping) and optimizer.get("class_name") == "LossScaleOptimizer":
        optimizer = optimizer.get("config", {}).get("inner_optimizer")
    if isinstance(optimizer, str):
        found["optimizer"] = {"name": optimizer_name(optimizer)}
    elif isinstance(optimizer, Mapping):
        inner = dict(optimizer.get("config") or {})
        rate = inner.pop("learning_rate", None)
        made = _from_config("optimizer", {**optimizer, "config": inner}, own)
        if made is None:
            lost.append(f"its optimizer '{_called(optimizer)}'")
        else:
            found["optimizer"] = {"name": made} if isinstance(made, str) else made
            if isinstance(rate, Mapping):
                call = f"{rate.get('module')}:{rate.get('class_name')}"
                found["schedule"], rate = _scheduled(call, dict(rate.get("config") or {}))
            if rate is not None:
                found["learning_rate"] = shortest(float(rate))
    for key in ("loss", "metrics", "weighted_metrics"):
        kind = "loss" if key == "loss" else "metric"
        made = None if config.get(key) is None else text(kind, config[key])
        if made not in (None, [], {}):
            found[key] = made
    if config.get("loss_weights") is not None:
        found["loss_weights"] = _plain(config["loss_weights"], "loss_weights")
    return found, lost


def _from_config(kind: str, given: Any, own: Callable[[str], str | None]) -> Any:
    """Return the text of one serialized object, None where it says too little."""
    if isinstance(given, str):
        return given if _is_name(kind, given) else own(given) and {"call": own(given)}
    if not isinstance(given, Mapping):
        return None
    name, config = str(given.get("class_name")), given.get("config")
    if isinstance(config, str):  # a function, held by its name
        return config if _is_name(kind, config) else own(config) and {"call": own(config)}
    called = (config or {}).get("name")
    arguments = {
        key: _plain(value, kind, key)
        for key, value in (config or {}).items()
        if key not in _NAMES and value is not None
    }
    if str(given.get("module") or "").split(".")[0] == "keras" and _is_name(kind, name):
        text: dict[str, Any] = {"name": optimizer_name(name) if kind == "optimizer" else name}
    elif ">" in str(given.get("registered_name")):
        text = {"name": given["registered_name"]}
    elif given.get("module") and given["module"] != "builtins":
        text = {"call": f"{given['module']}:{name}"}
    else:
        return None
    usual = (metric_name(name), snake(name))
    if kind == "metric" and called and re.sub(r"_\d+$", "", called) not in usual:
        text["as"] = called
    return {**text, **arguments}


def _is_name(kind: str, name: str) -> bool:
    if kind == "optimizer":
        return optimizer_name(name) in OPTIMIZERS
    return loss_name(name) in LOSSES if kind == "loss" else snake(name) in METRICS


def _called(given: Any) -> str:
    if not isinstance(given, Mapping):
        return str(given)
    config = given.get("config")
    return config if isinstance(config, str) else str(given.get("class_name"))


def _optimizer(thing: Any, whole: bool) -> tuple[dict[str, Any], Any]:
    """Return an optimizer's text, and its learning rate: a number or a schedule."""
    at = ("optimizer",)
    if isinstance(thing, type) or not callable(getattr(thing, "get_config", None)):
        raise invalid(
            "expected an optimizer: its name, a mapping, or an object of keras.optimizers. "
            f"Received: {_kind(thing)}.",
            *at,
        )
    if type(thing).__name__ == "LossScaleOptimizer":
        raise invalid(
            "a LossScaleOptimizer comes with train.dtype: mixed_float16 by itself. Give the "
            "optimizer inside it.",
            *at,
        )
    config = dict(thing.get_config())
    rate = config.pop("learning_rate", None)
    if isinstance(rate, Mapping):
        rate = getattr(thing, "_learning_rate", rate)  # an object of anyone's own, as it is
    elif isinstance(rate, int | float):
        rate = shortest(rate)
    name = optimizer_name(type(thing).__name__)
    defaults = {} if whole else _defaults(type(thing))
    arguments = {
        key: _plain(value, *at, key)
        for key, value in config.items()
        if key not in _NAMES and (key not in defaults or defaults[key] != value)
    }
    if _is_keras(thing) and name in OPTIMIZERS:
        return {"name": name, **arguments}, rate
    return {"call": _importable(type(thing), *at), **arguments}, rate


def _schedule(thing: Any) -> tuple[dict[str, Any], Any]:
    """Return a schedule's text, and the rate that it begins with."""
    at = ("learning_rate",)
    if isinstance(thing, type) or not callable(getattr(thing, "get_config", None)):
        raise invalid(
            "expected a number or an object of keras.optimizers.schedules. Received: "
            f"{_kind(thing)}.",
            *at,
        )
    kind = type(thing).__name__
    call = f"keras.optimizers.schedules:{kind}"
    if not _is_keras(thing):
        call = _importable(type(thing), *at)
    text, rate = _scheduled(call, dict(thing.get_config()))
    return text, shortest(float(thing(0))) if rate is None else rate


def _scheduled(call: str, config: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """Return the text of a schedule by its class and configuration, and its first rate, if told."""
    config = {k: _plain(v, "learning_rate", k) for k, v in config.items() if k not in _NAMES}
    rate = config.pop("initial_learning_rate", None)
    module, _, kind = call.partition(":")
    own = module != "keras.optimizers.schedules"
    if not own and kind in _SCHEDULES and not config.get("warmup_steps"):
        name, keys = _SCHEDULES[kind]
        given = {key: config[key] for key in keys if key in config}
        return {"name": name, **{k: v for k, v in given.items() if _USUAL.get(k) != v}}, rate
    if not own and kind == "PiecewiseConstantDecay":
        pieces = _pieces(config["boundaries"], config["values"])
        if pieces is not None:
            return pieces
        rate = shortest(config["values"][0])
    return {"call": call, **config}, rate


def _pieces(bounds: list[int], values: list[float]) -> tuple[dict[str, Any], float] | None:
    """Return a piecewise constant schedule by factors, None where rounding would move a rate."""
    values = [shortest(each) for each in values]
    factors = [float(f"{each / values[0]:.12g}") for each in values] if values[0] else []
    pairs = zip(factors, values, strict=bool(factors))
    if not factors or any(_float32(values[0] * f) != _float32(v) for f, v in pairs):
        return None
    steps = [each + 1 for each in bounds]  # Keras takes a boundary as the last of a piece
    return {"name": "piecewise", "steps": steps, "factors": factors}, values[0]


def _loss(thing: Any, *at: Any) -> Any:
    _check_kind(thing, "a loss", *at)
    if inspect.isclass(thing) or inspect.isroutine(thing):
        name = loss_name(thing.__name__)
        return name if _is_keras(thing) and name in LOSSES else {"call": _importable(thing, *at)}
    name, arguments = loss_name(type(thing).__name__), _arguments(thing, *at)
    if _is_keras(thing) and name in LOSSES:
        return {"name": name, **arguments} if arguments else name
    return {"call": _importable(type(thing), *at), **arguments}


def _check_kind(thing: Any, what: str, *at: Any) -> None:
    if not callable(thing):
        raise invalid(
            f"expected {what}: a name of Keras's, a mapping with name or call, or an object, a "
            f"class or a function. Received: {_kind(thing)}.",
            *at,
        )


def _metric(thing: Any, *at: Any) -> Any:
    _check_kind(thing, "a metric", *at)
    if inspect.isclass(thing) or inspect.isroutine(thing):
        name = snake(thing.__name__)
        known = _is_keras(thing) and name in METRICS
        return name if known else {"call": _importable(thing, *at)}
    name, arguments = metric_name(type(thing).__name__), _arguments(thing, *at)
    called = str(getattr(thing, "name", name))
    usual = re.sub(r"_\d+$", "", called) in (name, snake(type(thing).__name__))
    renamed = {} if usual else {"as": called}
    if _is_keras(thing) and snake(type(thing).__name__) in METRICS:
        text = {"name": type(thing).__name__, **renamed, **arguments}
        return text if len(text) > 1 else text["name"]
    return {"call": _importable(type(thing), *at), **renamed, **arguments}


def _callback(thing: Any, index: int) -> dict[str, Any]:
    """Return a callback's text; its arguments are attributes of the same names."""
    at = ("callbacks", index)
    kind = thing if isinstance(thing, type) else type(thing)
    call = f"keras.callbacks:{kind.__name__}" if _is_keras(kind) else _importable(kind, *at)
    if isinstance(thing, type):
        return {"call": call}
    found, missing = {}, []
    for name, parameter in _parameters(kind).items():
        if name not in vars(thing):
            missing += [name] if parameter.default is parameter.empty else []
            unseen = parameter.default is not parameter.empty and not _is_keras(kind)
            missing += [name] if unseen else []
        elif parameter.default is parameter.empty or vars(thing)[name] != parameter.default:
            found[name] = _plain(vars(thing)[name], *at, name)
    if missing:
        raise invalid(
            f"what '{kind.__name__}' was made with cannot be read off it: it keeps no attribute "
            f"'{missing[0]}'. Say it as {{call: {call}, {missing[0]}: …}}.",
            *at,
        )
    return {"call": call, **found}


def _augmentations(given: Any, at: tuple[Any, ...]) -> Iterator[Any]:
    """Yield the text of each layer or function; a Sequential or Pipeline is the layers in it."""
    if isinstance(given, list | tuple):
        for index, each in enumerate(given):
            yield from _augmentations(each, (*at, index))
    elif not _is_object(given) and not inspect.isclass(given):
        called = given.get("call") if isinstance(given, Mapping) else None
        made = {"call": _importable(called, *at)} if callable(called) else {}
        yield {**given, **made} if made else given
    elif isinstance(layers := getattr(given, "layers", None), list):
        yield from _augmentations([each for each in layers if not _is_input(each)], at)
    elif inspect.isclass(given) or inspect.isroutine(given):
        name = given.__name__
        known = _is_keras(given) and name in AUGMENTATIONS
        yield {"layer": name} if known else {"call": _importable(given, *at)}
    elif callable(getattr(given, "get_config", None)):
        yield _augmentation(given, at)
    else:
        raise invalid(
            "expected layers of Keras that draw (RandomFlip, MixUp, …) or functions of x, or of x "
            f"and y. Received: {_kind(given)}.",
            *at,
        )


def _is_input(layer: Any) -> bool:
    return type(layer).__name__ == "InputLayer"


def _augmentation(layer: Any, at: tuple[Any, ...]) -> dict[str, Any]:
    """Return the text of a layer, but for its seed: the trial's decides what is drawn."""
    kind, config, named = type(layer), layer.get_config(), _is_keras(layer)
    if named and kind.__name__ not in AUGMENTATIONS:
        return {"layer": kind.__name__}  # which is refused by its name
    needed = [name for name, each in _parameters(kind).items() if each.default is each.empty]
    usual = kind(**{name: config[name] for name in needed}).get_config()
    arguments = {
        key: _plain(value, *at, key)
        for key, value in config.items()
        if key not in (*_NAMES, "seed", "trainable", "data_format")
        and (key in needed or usual[key] != value)
        and (not named or key in AUGMENTATIONS[kind.__name__])
    }
    if named:
        return {"layer": kind.__name__, **arguments}
    return {"call": _importable(kind, *at), **arguments}


def _arguments(thing: Any, *at: Any) -> dict[str, Any]:
    """Return what a loss or a metric was made with, but for Keras's defaults.

    Raises:
        InvalidFields: a fresh object made of it is another.
    """
    kind = type(thing)
    config = dict(thing.get_config()) if callable(getattr(thing, "get_config", None)) else {}
    places: list[Mapping[str, Any]] = [config, vars(thing)]
    places += [each for each in vars(thing).values() if isinstance(each, Mapping)]
    found = {}
    parameters = _parameters(kind)
    for name in dict.fromkeys([*parameters, *("reduction",)]):
        default = parameters[name].default if name in parameters else "sum_over_batch_size"
        held = next((each[name] for each in places if name in each), default)
        if name not in _NAMES and held is not inspect.Parameter.empty and not _same(held, default):
            found[name] = _plain(held, *at, name)
    for extra in ({}, {"dtype": config.get("dtype")}):
        try:
            again = kind(**found, **extra)
        except Exception:
            continue
        if _equal(again, thing):
            return {**found, **extra}
    raise invalid(
        f"what this {kind.__name__} was made with cannot be read off its get_config. Say it by "
        "name or call with its arguments, or let get_config return them all.",
        *at,
    )


def _equal(one: Any, other: Any) -> bool:
    """Whether two objects of one class were made with the same values, their names apart."""
    mine, theirs = (dict(_values(vars(each))) for each in (one, other))
    return mine == theirs


def _values(state: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in state.items():
        if name in ("name", "_name") or name.startswith("_build") or name == "_tracker":
            continue
        if isinstance(value, Mapping):
            yield name, dict(_values({str(key): each for key, each in value.items()}))
        elif isinstance(value, str | int | float | bool | None):
            yield name, value
        elif isinstance(value, list | tuple):
            yield name, [each for each in value if isinstance(each, str | int | float)]


def _parameters(kind: type) -> dict[str, inspect.Parameter]:
    """Return the named parameters that a class is made with."""
    try:
        found = inspect.signature(kind).parameters.values()
    except (TypeError, ValueError):
        return {}
    loose = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return {each.name: each for each in found if each.kind not in loose}


def _defaults(kind: type) -> dict[str, Any]:
    """Return the defaults of a class's parameters, those of the classes it derives from too."""
    found: dict[str, Any] = {}
    for each in reversed(kind.__mro__[:-1]):
        if "__init__" in vars(each):
            found |= {name: p.default for name, p in _parameters(each).items()}
    return found


def _importable(thing: Any, *at: Any) -> str:
    """Return `module:name` of a class or a function.

    Raises:
        InvalidFields: a worker could not import it.
    """
    name, module = getattr(thing, "__qualname__", ""), getattr(thing, "__module__", None) or ""
    if not name or "<" in name:
        raise invalid(
            f"{_kind(thing)} has no name in a module, under which the processes that train could "
            "import it. Write it as a function or class of its own.",
            *at,
        )
    if module == "__main__":
        file = getattr(sys.modules["__main__"], "__file__", None)
        module = "" if file is None else Path(file).stem
        found = PathFinder.find_spec(module, [str(Path.cwd()), *sys.path]) if module else None
        if file is None or not found or Path(found.origin or "") != Path(file).resolve():
            raise invalid(
                f"'{name}' was written in a session or in a script that cannot be imported. Put "
                "it into a module of its own (a file beside the script), and import it from there.",
                *at,
            )
    return f"{module}:{name}"


def _plain(value: Any, *at: Any) -> Any:
    """Return an argument as YAML has it.

    Raises:
        InvalidFields: it is a thing that no file can hold.
    """
    if hasattr(value, "tolist") and hasattr(value, "dtype"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(each, *at) for each in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(each, *at) for key, each in value.items()}
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise invalid(
        f"expected a number, a text or a list. Received: {_kind(value)}, which no study file can "
        "hold. Write a class or function of your own that makes it, and name that by call.",
        *at,
    )


def shortest(number: float) -> float:
    """Return a float32 as people write it, other numbers as they are: 0.001, not 0.00100000005.

    >>> shortest(0.0010000000474974513), shortest(0.1), shortest(0.123456789)
    (0.001, 0.1, 0.123456789)
    """
    if not math.isfinite(number) or _float32(number) != number:
        return number
    rounded = (float(f"{number:.{digits}g}") for digits in range(1, 18))
    return next(short for short in rounded if _float32(short) == number)


def _float32(number: float) -> float:
    try:
        return float(struct.unpack("f", struct.pack("f", number))[0])
    except OverflowError:
        return math.inf


def _is_keras(thing: Any) -> bool:
    kind = thing if inspect.isclass(thing) or inspect.isroutine(thing) else type(thing)
    return str(getattr(kind, "__module__", "")).split(".")[0] == "keras"


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other) if not hasattr(one, "shape") else False


def _kind(thing: Any) -> str:
    if inspect.isclass(thing):
        return f"the class {thing.__name__}"
    if inspect.isroutine(thing):
        return "a lambda" if thing.__name__ == "<lambda>" else f"the function {thing.__name__}"
    return f"an object of type {type(thing).__name__}"
