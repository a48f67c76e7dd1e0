"""A script run again, in a worker, up to a fit whose model, rows or callbacks no file holds.

It runs as it was captured: under the same seeds, with the same arguments. What it hands over is
compared with what was captured, and refused where it is another.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import logging
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ablate.capture import handover, stage
from ablate.capture.calls import COMPILED, FitCall, Way, evaluated, watched
from ablate.capture.own_callbacks import listed
from ablate.capture.rows import Rows, rows_of
from ablate.capture.source import read
from ablate.data.reading import content_digest
from ablate.data.written_files import Files, guarded
from ablate.errors import StudyError
from ablate.reasons import sentence
from ablate.scripts.captured import CAPTURE, Captured, parsed, source_of
from ablate.study.schema.script import Script

#: The names of what a fit is handed or compiled with; without a number, the one that was meant.
_HANDED = (
    r"(?:loss|(?P<kind>metrics|weighted_metrics|callback)_(?P<index>\d+))(?:_of_fit_(?P<fit>\d+))?"
)


class Rerun:
    """What a captured script hands over, made anew.

    Args:
        folder: has `capture.json`.
        source: the digest of the script as it was captured.
    """

    def __init__(self, folder: Path, source: str) -> None:
        self._folder, self._source = folder, source
        self._namespace: dict[str, Any] | None = None
        self._held: dict[int | None, dict[str, Any]] = {}

    def attribute(self, name: str) -> Any:
        """Return what the module has by a name: `model`, `data`, `loss`, or the script's own."""
        if name.startswith("__"):
            raise AttributeError(name)
        if name == "model":
            return lambda fit=None: self._call(fit)[0].model
        if name == "data":
            return lambda fit=None: self._data(fit)
        handed = re.fullmatch(_HANDED, name)
        if handed is not None:
            kind, index = handed["kind"] or "loss", int(handed["index"] or 0)
            fit = int(handed["fit"]) if handed["fit"] else None
            if kind == "callback":
                return lambda: copy.deepcopy(self._handed("callbacks", fit)[index])
            given = self._handed(kind, fit)
            return _as_function(given if kind == "loss" else given[index])
        if self._namespace is None:
            self._call(None)
        assert self._namespace is not None
        if name not in self._namespace:
            raise AttributeError(f"the script has no '{name}'")
        return self._namespace[name]

    def _handed(self, what: str, fit: int | None) -> Any:
        """Return the callbacks, the loss or the metrics of a fit, of one run for all of them."""
        if fit not in self._held:
            call, _, _ = self._call(fit)
            callbacks = listed(call.arguments.get("callbacks"))
            self._held[fit] = {**COMPILED.get(call.model, {}), "callbacks": callbacks}
        return self._held[fit][what]

    def _data(self, fit: int | None) -> dict[str, Any]:
        number = fit or self._captured().script.fit or 1
        entry = next(each for each in self._captured().fits if each.number == number)
        known = entry.data.get("digest")
        # Datasets are made anew for every epoch, each time under seeds of that epoch.
        _, rows, captured = self._call(fit, seed=0 if known else None)
        if known is not None and content_digest(rows.named) != known:
            raise StudyError(_other(captured, "rows"))
        return rows.named

    def _call(self, fit: int | None, seed: int | None = 0) -> tuple[FitCall, Rows, Captured]:
        """Run the script up to a fit; return the call, its rows and what was captured of it.

        Without a `seed` it draws as whoever calls has seeded, and is not held against the capture.

        Raises:
            StudyError: the script has changed, fails, or hands over another model.
        """
        captured = self._captured()
        wanted = fit or captured.script.fit or 1
        source = read(Path(captured.script.file))
        found: list[tuple[FitCall, Rows]] = []

        def heard(call: FitCall) -> Way:
            if call.number < wanted:
                return "pass"
            found.append((call, rows_of(call.arguments, evaluated(call, source))))
            return "stop"

        policy = keras.config.dtype_policy()
        with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
            stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
            stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
            stack.callback(keras.config.set_dtype_policy, policy)
            files = Files(Path(scratch) / "written")
            stack.enter_context(guarded(files))
            stack.enter_context(watched(source, files, heard))
            if seed is not None:
                keras.utils.set_random_seed(seed)
            stack.enter_context(_silent(tf.get_logger()))
            try:
                stage.run(source, captured.script.arguments, keep=self._keep)
            except stage.Stop:
                pass
            except BaseException as error:
                raise StudyError(
                    f"script: {source.file.name}, run again by a worker, raised before its fit: "
                    f"{sentence(error)}"
                ) from error
        if not found:
            raise StudyError(f"script: {source.file.name}, run again, came to no fit {wanted}.")
        call, rows = found[0]
        self._register()
        if seed is not None:
            handover.build(call)
            self._check(call, captured)
        return call, rows, captured

    def _keep(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace

    def _register(self) -> None:
        """Let Keras find the script's classes and functions by their names, as it did there."""
        own = {
            name: each
            for name, each in (self._namespace or {}).items()
            if callable(each) and getattr(each, "__module__", None) == "__main__"
        }
        keras.saving.get_custom_objects().update(own)

    def _check(self, call: FitCall, captured: Captured) -> None:
        entry = next(each for each in captured.fits if each.number == call.number)
        if entry.shares:  # earlier fits, passed by with a step, were trained when it was captured
            with np.load(self._folder / entry.model["trained"]) as arrays:
                call.model.set_weights([arrays[f"w{i}"] for i in range(len(arrays))])
        if not entry.model["kept"] or handover.weights_digest(call.model) == entry.model["weights"]:
            return
        raise StudyError(_other(captured, "weights"))

    def _captured(self) -> Captured:
        document = json.loads((self._folder / CAPTURE).read_text(encoding="utf-8"))
        script = Script(**document["script"])
        if not Path(script.file).is_file():
            raise StudyError(
                f"script: there is no {script.file} here, and what it defines itself is made by "
                "running it. Expected it, and what it reads, at the same place on every machine: "
                "put it on a disk that they share."
            )
        read_ = document["read"]
        if source_of(script, read_) != self._source:
            raise StudyError(
                f"script: {script.file} has changed since it was captured. `ablate run` on it "
                "captures it anew."
            )
        return parsed(document, script, self._folder, self._source)


@contextlib.contextmanager
def _silent(logger: logging.Logger) -> Iterator[None]:
    """Hold back what a logger warns of: the fits that are passed by are no business of a trial."""
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _as_function(made: Any) -> Any:
    """Return a loss or a metric as what a `call` may name: an object is made already."""
    if isinstance(made, keras.metrics.Metric):
        return lambda: made

    def function(y_true: Any, y_pred: Any) -> Any:
        return made(y_true, y_pred)

    function.__name__ = str(getattr(made, "__name__", getattr(made, "name", "function")))
    return function


def _other(captured: Captured, what: str) -> str:
    return (
        f"script: {captured.script.file}, run again, hands other {what} to its fit than when it "
        "was captured: it draws from a source of chance that has no seed (default_rng() without "
        "one, the time, os.urandom), or what it reads has changed. Give it a seed, or save the "
        "rows and the model as files."
    )
