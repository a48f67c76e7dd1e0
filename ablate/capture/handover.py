"""What a `fit` call hands over, written to a folder: the model, the rows, and a plain entry.

A model is kept as a `.keras` file where that gives the same model in any process, and rows as an
npz file where that holds them. What has no such file is named with the reason: a worker then runs
the script again, up to the same call (`ablate.capture.rerun`).
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ablate.capture.calls import COMPILED, FitCall
from ablate.capture.contents import describe
from ablate.capture.own_callbacks import as_said, translated
from ablate.capture.rows import Rows, is_stream
from ablate.data.reading import content_digest
from ablate.errors import AblateError
from ablate.models import file
from ablate.models.creation import kept_weights
from ablate.reasons import sentence
from ablate.study.in_memory import without_accidents
from ablate.study.validation import InvalidFields

MODEL, DATA, WEIGHTS = "model.keras", "data.npz", "weights.npz"


def hand_over(
    call: FitCall, rows: Rows, folder: Path, *, trained: bool, restored: Collection[str] = ()
) -> dict[str, Any]:
    """Write the model and the rows of a call to `folder`; return the entry of the call.

    `trained` tells whether earlier fits have trained the model: its weights are kept apart then,
    for those who do not train them again. `restored` has the files that the script loads weights
    from afterwards.
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
        "compiled": {**_compiled(model), **_train(model, call.namespace)},
        "callbacks": translated(call, restored),
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
    otherwise: list[str] = []
    if steps := arguments.get("steps_per_epoch"):
        if rows.streamed:
            found["steps_per_epoch"] = int(steps)
        else:
            otherwise += _whole_epochs(int(steps), rows.count("train") or 0, found["batch_size"])
    if arguments.get("shuffle") is False and not rows.streamed:
        otherwise.append("shuffle=False: trials shuffle the rows in every epoch, by their seed")
    if arguments.get("validation_freq", 1) != 1:
        otherwise.append("validation_freq: trials validate after every epoch")
    if arguments.get("validation_steps"):
        otherwise.append("validation_steps: trials validate on all validation rows")
    return {**found, "otherwise": otherwise}


def _whole_epochs(steps: int, rows: int, batch_size: int) -> Iterator[str]:
    """Say that trials take all rows in every epoch, where steps_per_epoch leaves out a part batch.

    Raises:
        ValueError: it means another part of the rows in every epoch, or more than all of them.
    """
    whole = -(-rows // batch_size)
    if steps not in (whole, rows // batch_size):
        raise ValueError(
            f"its steps_per_epoch is {steps}, and {rows:,} rows in batches of {batch_size} are "
            f"{whole}: an epoch of a trial has every row once. Leave it out, or set it to {whole} "
            "and the number of epochs to as many as are meant"
        )
    if steps != whole:
        yield f"steps_per_epoch={steps}: trials take the last, smaller batch of an epoch as well"


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


def _today(name: Any) -> Any:
    return "accuracy" if name == "acc" else name


#: What of a compilation becomes the `train` section.
_COMPILED = ("loss", "loss_weights", "metrics", "weighted_metrics")


def _train(model: keras.Model, namespace: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a model is compiled, as the `train` section of a study says it.

    The optimizer stands there once more with all its arguments, to be laid over another one.

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
        train = as_said({"optimizer": model.optimizer}, namespace)
        whole = as_said({"optimizer": model.optimizer}, namespace, whole=True)["optimizer"]
    except InvalidFields as error:
        raise ValueError(f"its optimizer cannot be made by another process: {error}") from None
    for key in _COMPILED:
        if given.get(key) is None:
            continue
        try:
            train |= as_said({key: given[key]}, namespace)
        except InvalidFields:
            train[key] = _anew(key, given[key])
    for key in ("metrics", "weighted_metrics"):
        if key in train:
            train[key] = keras.tree.map_structure(_today, train[key])
    if given.get("jit_compile") is True:
        train["jit_compile"] = True
    policy = keras.config.dtype_policy().name
    if policy != "float32":
        train["dtype"] = policy
    return {"train": train, "whole_optimizer": whole}


def _anew(key: str, value: Any) -> Any:
    """Name what the script has to make anew, each loss or metric by where it stands."""
    if key == "loss" and not isinstance(value, Mapping | list | tuple):
        return {"call": "@fit:loss"}
    if key in ("metrics", "weighted_metrics") and isinstance(value, list | tuple):
        return [{"call": f"@fit:{key}_{index}"} for index in range(len(value))]
    raise ValueError(f"its {key} cannot be made by another process: {_shown(value)}")
