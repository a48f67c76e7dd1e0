"""What a `fit` call hands over, written to a folder: the model, the rows, and a plain entry.

A model is kept as a `.keras` file where that gives the same model in any process, and rows as an
npz file where that holds them. What has no such file is named with the reason: a worker then runs
the script again, up to the same call (`ablate.capture.rerun`).
"""

from __future__ import annotations

import hashlib
import json
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ablate.capture.calls import COMPILED, FitCall
from ablate.capture.contents import describe
from ablate.capture.rows import Rows, is_stream
from ablate.data.reading import content_digest
from ablate.errors import AblateError
from ablate.models import file
from ablate.models.creation import kept_weights
from ablate.reasons import sentence
from ablate.study.in_memory import without_accidents
from ablate.study.keras_objects import as_text
from ablate.study.validation import InvalidFields

MODEL, DATA, WEIGHTS = "model.keras", "data.npz", "weights.npz"

#: Callbacks that leave no trace in what is trained, and what does their work.
_IDLE = {
    "TensorBoard": "`ablate board` has every trial's curves",
    "CSVLogger": "results.csv and the records have the numbers",
    "ProgbarLogger": "`ablate` shows the progress",
    "History": "the records have the curves",
    "RemoteMonitor": "trials report to the study alone",
    "BackupAndRestore": "trials go on from checkpoints of their own",
    "TerminateOnNaN": "a trial that diverges is an outcome",
    "ModelCheckpoint": "train.save keeps each trial's model",
}


def hand_over(call: FitCall, rows: Rows, folder: Path, *, trained: bool) -> dict[str, Any]:
    """Write the model and the rows of a call to `folder`; return the entry of the call.

    `trained` tells whether earlier fits have trained the model: its weights are kept apart then,
    for those who do not train them again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    example = build(call)
    model, arguments = call.model, call.arguments
    entry: dict[str, Any] = {
        "number": call.number,
        "line": call.line,
        "method": call.method,
        "model": {
            **describe(model, example),
            "weights": weights_digest(model),
            "file": None,
            "kept": kept_weights(model),
        },
        "data": _data(rows, folder),
        "settings": _settings(arguments, rows, example),
        "compiled": {**_compiled(model), "train": _train(model, call.namespace)},
        "callbacks": [
            _callback(each, call.namespace) for each in listed(arguments.get("callbacks"))
        ],
    }
    if trained:
        weights = {f"w{i}": each for i, each in enumerate(model.get_weights())}
        np.savez(folder / WEIGHTS, **weights)  # type: ignore[arg-type]
        entry["model"]["trained"] = WEIGHTS
    try:
        _save(model, folder / MODEL)
        entry["model"]["file"] = MODEL
    except AblateError as error:
        entry["model"]["why_not"] = str(error)
    return entry


def build(call: FitCall) -> Any:
    """Give a model its weights, and return a batch; a subclassed one has none before it saw one."""
    x = call.arguments["x"]
    if is_stream(x):
        batch = next(iter(x))
        first = batch[0] if isinstance(batch, tuple | list) else batch
    else:
        first = keras.tree.map_structure(lambda leaf: np.asarray(leaf[:2]), x)
    if not call.model.built or not call.model.weights:
        call.model(first)
    return first


def weights_digest(model: keras.Model) -> str:
    """Return the SHA-256 of a model's weights, in their order; names do not count."""
    whole = hashlib.sha256()
    for variable in model.weights:
        value = np.asarray(keras.ops.convert_to_numpy(variable))
        whole.update(f"{value.dtype} {value.shape}\0".encode())
        whole.update(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data)
    return whole.hexdigest()


def _save(model: keras.Model, place: Path) -> None:
    """Save a model where a file gives it back in a process that does not know the script.

    Raises:
        AblateError: it needs the script; says what for.
    """
    try:
        model.save(place)
        place.write_bytes(without_accidents(place))
        with zipfile.ZipFile(place) as archive:
            config = json.loads(archive.read("config.json"))
        if own := sorted(set(_own(config))):
            raise AblateError(f"it has {', '.join(own)}, which the script defines")
        notes: list[str] = []
        loaded = file.load(place, compiled=True, notes=notes)
        if notes:
            raise AblateError("its loss, metrics or optimizer are the script's own")
        if weights_digest(loaded) != weights_digest(model):
            raise AblateError("a file of it does not give back its weights")
    except AblateError:
        place.unlink(missing_ok=True)
        raise
    except Exception as error:
        place.unlink(missing_ok=True)
        raise AblateError(f"it cannot be saved: {sentence(error)}") from error


def _own(config: Any) -> Iterator[str]:
    """Yield the classes and functions in a configuration that are not Keras's."""
    if isinstance(config, Mapping):
        module, name = config.get("module"), config.get("class_name")
        registered = str(config.get("registered_name") or "")
        if name == "__lambda__":
            yield "a lambda"
        elif name == "function" and module == "builtins":
            yield f"the function '{config.get('config')}'"
        elif name and (
            (module and module.split(".")[0] not in ("keras", "builtins")) or ">" in registered
        ):
            yield f"the class '{name}'"
        for each in config.values():
            yield from _own(each)
    elif isinstance(config, list):
        for each in config:
            yield from _own(each)
    elif isinstance(config, str) and ">" in config and " " not in config and len(config) < 100:
        yield f"'{config}'"


def _data(rows: Rows, folder: Path) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "kind": "stream" if rows.streamed else "file" if rows.in_one_file else "arrays",
        "rows": {part: rows.count(part) for part in ("train", "val", "test")},
        "origin": rows.origin,
        "scored_on_validation": rows.scored_on_validation,
        "parts": sorted(rows.named),
    }
    if not rows.streamed:
        entry["digest"] = content_digest(rows.named)
    if entry["kind"] == "file":
        np.savez(folder / DATA, **rows.named)  # type: ignore[arg-type]
    return entry


def _settings(arguments: Mapping[str, Any], rows: Rows, example: Any) -> dict[str, Any]:
    """Return what `fit` is told of how to train, and what of it a trial does otherwise."""
    found: dict[str, Any] = {
        "epochs": max(0, int(arguments["epochs"]) - int(arguments["initial_epoch"] or 0))
    }
    found["batch_size"] = int(arguments["batch_size"] or 32)
    if is_stream(arguments["x"]):
        found["batch_size"] = int(keras.tree.flatten(example)[0].shape[0])
    if weights := arguments.get("class_weight"):
        found["class_weight"] = {int(key): float(value) for key, value in weights.items()}
    if steps := arguments.get("steps_per_epoch"):
        found["steps_per_epoch"] = int(steps)
    otherwise = []
    if arguments.get("shuffle") is False and not rows.streamed:
        otherwise.append("shuffle=False: trials shuffle the rows in every epoch, by their seed")
    if arguments.get("validation_freq", 1) != 1:
        otherwise.append("validation_freq: trials validate after every epoch")
    if arguments.get("validation_steps"):
        otherwise.append("validation_steps: trials validate on all validation rows")
    return {**found, "otherwise": otherwise}


def _compiled(model: keras.Model) -> dict[str, Any]:
    """Describe how a model is compiled, for a person."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        return {}
    rate = optimizer.get_config().get("learning_rate")
    try:
        given = model.get_compile_config() or {}
    except Exception:  # of what has no configuration
        given = {}
    return {
        "optimizer": type(optimizer).__name__.lower(),
        "learning_rate": rate["class_name"] if isinstance(rate, dict) else _rate(rate),
        "loss": _shown(given.get("loss")),
        "metrics": _shown(given.get("metrics")),
    }


def _rate(value: Any) -> float | None:
    """Return a learning rate as it was written, before float32 widened it."""
    return None if value is None else float(str(np.float32(value)))


def _shown(value: Any) -> Any:
    if isinstance(value, Mapping):
        if "class_name" in value:
            return value["class_name"]
        return {str(key): _shown(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(each) for each in value]
    if value is None or isinstance(value, str):
        return value
    return getattr(value, "__name__", None) or getattr(value, "name", None) or type(value).__name__


def listed(callbacks: Any) -> list[Any]:
    """Return the callbacks that a fit is given, in their order."""
    if callbacks is None:
        return []
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return list(callbacks.callbacks)
    return list(keras.tree.flatten(callbacks))


def _callback(callback: Any, namespace: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry of a callback.

    `way` is how a trial has it: as `early_stopping` of the study, as a `call` of its class, made
    anew by the `script`, or not at all (`dropped`, with the reason). `text` is what the study says.
    """
    kind = type(callback)
    entry: dict[str, Any] = {"class": kind.__name__}
    if kind.__module__.startswith("keras.") and kind.__name__ in _IDLE:
        return {**entry, "way": "dropped", "why": _IDLE[kind.__name__]}
    try:
        text = _as_text({"callbacks": [callback]}, namespace)["callbacks"][0]
    except InvalidFields:
        return {**entry, "way": "script"}
    if text.get("monitor") in _RENAMED:
        text["monitor"] = _RENAMED[text["monitor"]]
    if text["call"] == "keras.callbacks:EarlyStopping" and text.get("restore_best_weights"):
        given = {key: each for key, each in text.items() if key not in _SILENT}
        if given.keys() <= {"monitor", "patience", "min_delta", "mode"}:
            patience = given.pop("patience", 0)
            stopping = {"monitor": "val_loss", "patience": patience, **given}
            return {**entry, "way": "early_stopping", "text": stopping}
    return {**entry, "way": "call", "text": text}


def _today(name: Any) -> Any:
    return "accuracy" if name == "acc" else name


_RENAMED = {"acc": "accuracy", "val_acc": "val_accuracy"}
_SILENT = ("call", "verbose", "restore_best_weights")

#: What of a compilation becomes the `train` section.
_COMPILED = ("loss", "loss_weights", "metrics", "weighted_metrics")


def _train(model: keras.Model, namespace: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a model is compiled, as the `train` section of a study says it.

    Raises:
        ValueError: an optimizer that no other process could make.
    """
    given = COMPILED.get(model, {})
    if any(isinstance(each, str) for each in keras.tree.flatten(given.get("loss_weights"))):
        raise ValueError(
            f"compile has {given['loss_weights']} as its loss_weights, the third argument since "
            "Keras 3. Write metrics=… by name"
        )
    try:
        train = _as_text({"optimizer": model.optimizer}, namespace)
    except InvalidFields as error:
        raise ValueError(f"its optimizer cannot be made by another process: {error}") from None
    for key in _COMPILED:
        if given.get(key) is None:
            continue
        try:
            train |= _as_text({key: given[key]}, namespace)
        except InvalidFields:
            train[key] = _anew(key, given[key])
    for key in ("metrics", "weighted_metrics"):
        if key in train:
            train[key] = keras.tree.map_structure(_today, train[key])
    if given.get("jit_compile") is True:
        train["jit_compile"] = True
    policy = keras.config.dtype_policy().name
    return train if policy == "float32" else {**train, "dtype": policy}


def _anew(key: str, value: Any) -> Any:
    """Name what the script has to make anew, each loss or metric by where it stands."""
    if key == "loss" and not isinstance(value, Mapping | list | tuple):
        return {"call": "@script:loss"}
    if key in ("metrics", "weighted_metrics") and isinstance(value, list | tuple):
        return [{"call": f"@script:{key}_{index}"} for index in range(len(value))]
    raise ValueError(f"its {key} cannot be made by another process: {_shown(value)}")


def _as_text(train: dict[str, Any], namespace: Mapping[str, Any]) -> dict[str, Any]:
    """Write Keras objects as a study says them; what the script defines is called `@script:`."""
    module = "__ablate_script__"
    own = [
        each
        for name, each in namespace.items()
        if getattr(each, "__module__", None) == "__main__" and getattr(each, "__name__", "") == name
    ]
    sys.modules[module] = sys.modules["__main__"]
    for each in own:
        each.__module__ = module
    try:
        found: dict[str, Any] = _renamed(as_text(train), f"{module}:")
        return found
    finally:
        for each in own:
            each.__module__ = "__main__"
        del sys.modules[module]


def _renamed(value: Any, prefix: str) -> Any:
    if isinstance(value, Mapping):
        return {key: _renamed(each, prefix) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_renamed(each, prefix) for each in value]
    if isinstance(value, str) and value.startswith(prefix):
        return f"@script:{value.removeprefix(prefix)}"
    return value
