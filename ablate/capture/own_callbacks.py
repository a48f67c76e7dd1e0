"""The callbacks of a `fit` call, as a study has them: translated, kept, made anew, or left out.

What a checkpoint of the best weights means depends on what the script does with it: where it loads
the file after the fit, it goes on with the best weights, and so does a trial; where it does not,
the file is all that it is about, and each trial keeps one of its own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Mapping
from typing import Any

import keras

from ablate.capture.calls import FitCall
from ablate.study.keras_objects import as_text
from ablate.study.validation import InvalidFields

#: Callbacks that leave no trace in what is trained, and what does their work.
_IDLE = {
    "TensorBoard": "`ablate board` has every trial's curves",
    "CSVLogger": "results.csv and the records have the numbers",
    "ProgbarLogger": "`ablate` shows the progress",
    "History": "the records have the curves",
    "RemoteMonitor": "trials report to the study alone",
    "BackupAndRestore": "trials go on from checkpoints of their own",
    "TerminateOnNaN": "a trial that diverges is an outcome",
}

_RENAMED = {"acc": "accuracy", "val_acc": "val_accuracy"}

#: What a translated callback may have been made with, beside what the study says, too.
_SILENT = ("call", "verbose", "restore_best_weights")
_CHECKPOINT = {"filepath", "monitor", "mode", "save_best_only", "save_weights_only"}


def listed(callbacks: Any) -> list[Any]:
    """Return the callbacks that a fit is given, in their order."""
    if callbacks is None:
        return []
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return list(callbacks.callbacks)
    return list(keras.tree.flatten(callbacks))


def translated(call: FitCall, restored: Collection[str]) -> list[dict[str, Any]]:
    """Return an entry for each callback of a call.

    `way` is how a trial has it: as `early_stopping` of the study, as a `call` of its class, made
    anew by the `script`, as part of `another` one, or not at all (`dropped`). `text` is what the
    study says, `why` what a person should know of it.
    """
    given = listed(call.arguments.get("callbacks"))
    found = [_entry(each, index, call.namespace) for index, each in enumerate(given)]
    for callback, entry in zip(given, found, strict=True):
        if _keeps_the_best(callback, entry) and os.path.abspath(callback.filepath) in restored:
            _restore(entry, [each for each in found if each is not entry], call)
            break
    return found


def _entry(callback: Any, index: int, namespace: Mapping[str, Any]) -> dict[str, Any]:
    kind = type(callback)
    entry: dict[str, Any] = {"class": kind.__name__}
    if kind.__module__.startswith("keras.") and kind.__name__ in _IDLE:
        return {**entry, "way": "dropped", "why": _IDLE[kind.__name__]}
    try:
        text = as_said({"callbacks": [callback]}, namespace)["callbacks"][0]
    except InvalidFields:
        return {**entry, "way": "script", "text": {"call": f"@fit:callback_{index}"}}
    if text.get("monitor") in _RENAMED:
        text["monitor"] = _RENAMED[text["monitor"]]
    if text["call"] == "keras.callbacks:EarlyStopping" and text.get("restore_best_weights"):
        given = {key: each for key, each in text.items() if key not in _SILENT}
        if given.keys() <= {"monitor", "patience", "min_delta", "mode"}:
            patience = given.pop("patience", 0)
            stopping = {"monitor": "val_loss", "patience": patience, **given}
            return {**entry, "way": "early_stopping", "text": stopping}
    if text["call"] == "keras.callbacks:ModelCheckpoint":
        entry["why"] = (
            f"each trial writes {os.path.basename(text['filepath'])} to its own folder, "
            "trials/<id>.files"
        )
    return {**entry, "way": "call", "text": text}


def _keeps_the_best(callback: Any, entry: Mapping[str, Any]) -> bool:
    """Whether a callback saves the weights of the best epoch, and does nothing else."""
    if entry["way"] != "call" or entry["text"]["call"] != "keras.callbacks:ModelCheckpoint":
        return False
    given = {key for key in entry["text"] if key not in _SILENT}
    return bool(callback.save_best_only) and given <= _CHECKPOINT


def _restore(entry: dict[str, Any], others: list[dict[str, Any]], call: FitCall) -> None:
    """Let a checkpoint that the script loads be the early stopping that restores its weights.

    What stops by the same values gives it its patience; others stop without restoring theirs,
    which the script loads the checkpoint over.
    """
    said = entry["text"]
    text = {"monitor": said.get("monitor", "val_loss"), "patience": int(call.arguments["epochs"])}
    if "mode" in said:
        text["mode"] = said["mode"]
    name = os.path.basename(said["filepath"])
    why = f"the script loads {name}, the best weights by {text['monitor']}, which a trial restores"
    for other in others:
        given = {"monitor": "val_loss", "patience": 0, **(other.get("text") or {})}
        if not _stops(other):
            continue
        if given["monitor"] == text["monitor"] and given.keys() <= {
            *(*_SILENT, "monitor", "patience", "mode"),
        }:
            text["patience"] = given["patience"]
            other |= {"way": "another", "why": f"it is one with {name}, which it stops for"}
        elif other["way"] == "early_stopping":
            other |= {"way": "call", "text": {"call": "keras.callbacks:EarlyStopping", **given}}
    entry |= {"way": "early_stopping", "text": text, "why": why}


def _stops(entry: Mapping[str, Any]) -> bool:
    named = entry["way"] == "call" and entry["text"]["call"] == "keras.callbacks:EarlyStopping"
    return named or entry["way"] == "early_stopping"


def as_said(
    train: dict[str, Any], namespace: Mapping[str, Any], *, whole: bool = False
) -> dict[str, Any]:
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
        found: dict[str, Any] = _renamed(as_text(train, whole=whole), f"{module}:")
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
