"""The `fit` calls of a script, as they come: noted, and stopped at, passed by or trained.

While the script runs, `keras.Model.fit` is a function that notes what it is handed. At the call
that was wanted it ends the script. Another one is passed by with one step, so that what the script
goes on with is there, or trained in full, where the wanted one starts from its weights.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from weakref import WeakKeyDictionary

import keras

from ablate.capture import source as text
from ablate.capture.rows import is_stream
from ablate.capture.source import Source
from ablate.capture.stage import Stop
from ablate.data.written_files import Files, replaced
from ablate.models.creation import noted

Way = Literal["stop", "pass", "train"]

#: `fit` as Keras has it.
REAL = keras.Model.fit

#: What each model of the script was compiled with, the objects themselves.
COMPILED: WeakKeyDictionary[keras.Model, dict[str, Any]] = WeakKeyDictionary()


@dataclass(frozen=True)
class FitCall:
    """A call of `fit`: the model, the arguments by name, and where it stands in the script.

    `frames` has (function, line) of the script's frames, the innermost first; `namespace` what
    names mean there. `method` is what was called.
    """

    number: int
    model: keras.Model
    arguments: Mapping[str, Any]
    frames: list[tuple[str, int]]
    namespace: Mapping[str, Any]
    method: str = "fit"

    @property
    def line(self) -> int:
        """The line of the call, in the script; 0 if it comes from elsewhere."""
        return self.frames[0][1] if self.frames else 0


class Unusual(Stop):
    """The script trains in a way that no study can take over; says which and where."""

    def __init__(self, method: str, line: int, model: keras.Model) -> None:
        super().__init__(method)
        self.method, self.line, self.model = method, line, model


@contextlib.contextmanager
def watched(
    source: Source, files: Files, heard: Callable[[FitCall], Way], *, stop_at_batches: bool = True
) -> Iterator[None]:
    """Tell `heard` of every `fit`, and do with it as it returns, as long as the context lasts."""
    signature = inspect.signature(REAL)
    count = 0

    def fit(self: keras.Model, *arguments: Any, **named: Any) -> Any:
        nonlocal count
        for old, new in (("nb_epoch", "epochs"), ("nb_val_samples", "validation_steps")):
            if old in named:
                named[new] = named.pop(old)
        bound = signature.bind(self, *arguments, **named)
        bound.apply_defaults()
        given = {key: value for key, value in bound.arguments.items() if key != "self"}
        count += 1
        frames, namespace = _frames(source)
        call = FitCall(count, self, given, frames, namespace)
        way = heard(call)
        if way == "stop":
            raise Stop
        if way == "train":
            return REAL(self, **given)
        # What the script goes on with is not what it means to keep.
        files.everything = True
        return _passed_by(self, given, files)

    def fit_generator(self: keras.Model, generator: Any, *arguments: Any, **named: Any) -> Any:
        order = ("steps_per_epoch", "epochs", "verbose", "callbacks", "validation_data")
        named |= dict(zip(order, arguments, strict=False))
        for gone in (
            "max_queue_size",
            "workers",
            "use_multiprocessing",
            "max_q_size",
            "pickle_safe",
        ):
            named.pop(gone, None)
        return fit(self, generator, **named)

    def by_batches(name: str) -> Any:
        method = getattr(keras.Model, name)

        def call(self: keras.Model, *arguments: Any, **named: Any) -> Any:
            frames, _ = _frames(source)
            if frames and stop_at_batches and not count:
                raise Unusual(name, frames[0][1], self)
            return method(self, *arguments, **named)

        return call

    real_compile = keras.Model.compile

    def compile_(self: keras.Model, *arguments: Any, **named: Any) -> Any:
        bound = inspect.signature(real_compile).bind(self, *arguments, **named)
        bound.apply_defaults()
        COMPILED[self] = {key: each for key, each in bound.arguments.items() if key != "self"}
        return real_compile(self, *arguments, **named)

    with contextlib.ExitStack() as stack:
        stack.enter_context(noted())
        for owner, name, value in (
            (keras.Model, "fit", fit),
            (keras.Model, "fit_generator", fit_generator),
            (keras.Model, "train_on_batch", by_batches("train_on_batch")),
            (keras.Model, "compile", compile_),
        ):
            stack.enter_context(replaced(owner, name, value))
        yield


def _frames(source: Source) -> tuple[list[tuple[str, int]], Mapping[str, Any]]:
    """Return the script's frames and the names of the innermost."""
    found: list[tuple[str, int]] = []
    namespace: Mapping[str, Any] = {}
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_filename == str(source.file):
            found.append((frame.f_code.co_name, frame.f_lineno))
            if len(found) == 1:
                namespace = {**frame.f_globals, **frame.f_locals}
        frame = frame.f_back
    return found, namespace


def _passed_by(model: keras.Model, given: dict[str, Any], files: Files) -> Any:
    """Train for one step and return a history as long as that of the whole training."""
    epochs = max(1, int(given.get("epochs") or 1) - int(given.get("initial_epoch") or 0))
    keepers = [
        each
        for each in keras.tree.flatten(given.get("callbacks") or [])
        if isinstance(each, keras.callbacks.ModelCheckpoint)
    ]
    for each in keepers:
        each.filepath = files.place(each.filepath, "w")
        each.save_freq = "epoch"
    history = REAL(model, **{**_short(given), "callbacks": keepers})
    for values in history.history.values():
        values.extend(values[-1:] * (epochs - 1))
    history.epoch = list(range(epochs))
    return history


def seconds_per_step(call: FitCall) -> float | None:
    """Return what a step of `fit` takes; the model is trained a little by it."""
    rows = getattr(call.arguments["x"], "shape", None) or (20,)
    steps = max(2, min(20, int(rows[0]) // int(call.arguments["batch_size"] or 32)))
    short = {**_short(call.arguments), "validation_data": None, "validation_split": 0.0}
    short["callbacks"] = []
    try:
        REAL(call.model, **short)  # traces
        times = []
        for count in (1, steps):
            began = time.perf_counter()
            REAL(call.model, **{**short, "steps_per_epoch": count})
            times.append(time.perf_counter() - began)
    except Exception:  # what is wrong with its steps a study says in its own words
        return None
    return max(times[1] - times[0], times[1] / 10) / (steps - 1)


def _short(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments of a fit of one step."""
    short = {**given, "epochs": 1, "initial_epoch": 0, "steps_per_epoch": 1, "verbose": 0}
    if given.get("validation_data") is not None or given.get("validation_split"):
        short["validation_steps"] = 1
    return short


def evaluated(call: FitCall, source: Source) -> tuple[str, Any, Any] | None:
    """Return (where, x, y) of what the script evaluates its model on after the call.

    What the text names is looked up as it is now; what is computed later is not known.
    """
    for line, expressions in text.evaluations(source):
        if line <= call.line:
            continue
        try:
            values = [_looked_up(each, call.namespace) for each in expressions]
        except LookupError:
            continue
        if not is_stream(values[0]) and len(values) < 2:
            continue
        return f"model.evaluate, {source.place(line)}", values[0], [*values, None][1]
    return None


def restored(call: FitCall, source: Source) -> set[str]:
    """Return the files that the script loads a model or weights from after the call.

    What the text names is looked up as it is now; what is computed later is not known.
    """
    found = set()
    for line, expression in text.loads(source):
        if line <= call.line:
            continue
        with contextlib.suppress(LookupError, TypeError):
            found.add(os.path.abspath(os.fspath(_looked_up(expression, call.namespace))))
    return found


def _looked_up(node: Any, namespace: Mapping[str, Any]) -> Any:
    """Return what an expression of names alone means: `x_test`, `data.x`, `parts[0]`.

    Texts and paths may be put together of them: f"{folder}/best.keras", os.path.join(folder, name).
    """
    plain = (
        *(ast.Name, ast.Attribute, ast.Subscript, ast.Constant, ast.Slice),
        *(ast.Load, ast.UnaryOp, ast.USub, ast.JoinedStr, ast.FormattedValue),
        *(ast.BinOp, ast.Add, ast.Div, ast.Call),
    )
    for call in (each for each in ast.walk(node) if isinstance(each, ast.Call)):
        if ast.unparse(call.func) not in ("os.path.join", "join", "str", "Path", "pathlib.Path"):
            raise LookupError
    if not all(isinstance(each, plain) for each in ast.walk(node)):
        raise LookupError
    try:
        return eval(compile(ast.Expression(node), "", "eval"), dict(namespace))
    except Exception as error:
        raise LookupError from error
