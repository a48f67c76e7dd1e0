"""Run a script and note its fits; what came of it is a file that is written anew after each."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from ablate.capture import stage
from ablate.capture.calls import (
    FitCall,
    Unusual,
    Way,
    evaluated,
    restored,
    seconds_per_step,
    watched,
)
from ablate.capture.handover import hand_over
from ablate.capture.rows import rows_of
from ablate.capture.source import Source, another, own_loop
from ablate.data.reading import seeded
from ablate.data.written_files import Files, guarded
from ablate.disk import write_text
from ablate.reasons import reason


class Run:
    """A script, what was asked of it, and what is known of it so far.

    Args:
        source: the script.
        request: as `ablate.capture.__main__` reads it.
        read: paths of what the script reads; grows while it runs.
        stopped: called before the script is stopped at a fit.
    """

    def __init__(
        self,
        source: Source,
        request: dict[str, Any],
        read: dict[str, None] | None = None,
        stopped: Callable[[], None] = lambda: None,
    ) -> None:
        self._source, self._request, self._stopped = source, request, stopped
        self._folder = Path(request["folder"])
        self._fits: list[dict[str, Any]] = []
        self._models: list[keras.Model] = []
        self._optimizers: list[Any] = []
        self._names: dict[str, Any] = {}
        self._end: dict[str, Any] | None = None
        self._read = {} if read is None else read

    def go(self) -> None:
        """Run the script to the fit that is wanted, or to its end; whatever it raises is noted."""
        keras.utils.set_random_seed(0)  # a script that seeds nothing draws the same every time
        try:
            self._go()
        except SystemExit as error:
            status = error.code if isinstance(error.code, int | None) else str(error.code)
            self._end = {"kind": "exit", "status": status, "line": self._line(error)}
        except KeyboardInterrupt:
            self._end = {"kind": "interrupted"}
        except BaseException as error:
            self._end = {
                "kind": "raised",
                "type": type(error).__name__,
                "error": str(error),
                "traceback": "".join(traceback.format_exception(error)),
                "line": self._line(error),
            }
        self._write()

    def _go(self) -> None:
        files = Files(self._folder / "written")
        try:
            with guarded(files), watched(self._source, files, self._heard):
                stage.run(self._source, self._request["arguments"], keep=self._keep)
        except Unusual as unusual:
            self._end = {"kind": "finished", "loop": unusual.method, "line": unusual.line}
            self._end |= _left({"model": unusual.model}, self._folder)
        except stage.Stop:
            return
        else:
            self._end = self._end or {"kind": "finished"}
            if not self._fits:
                if (loop := own_loop(self._source)) is not None:
                    self._end |= {"loop": loop[1], "line": loop[0]}
                self._end |= _left(self._names, self._folder)

    def _keep(self, names: dict[str, Any]) -> None:
        self._names = names

    def _heard(self, call: FitCall) -> Way:
        request = self._request
        entry = self._entry(call)
        if call.number in request["train"]:
            return "train"
        if request["fit"] and call.number < request["fit"] and not request["rehearse"]:
            return "pass"
        entry["another"] = another(self._source, call.frames)
        try:
            rows = rows_of(call.arguments, evaluated(call, self._source))
            with seeded("capture"):  # leaves no trace in what the script draws afterwards
                folder = self._folder / f"fit-{call.number}"
                entry |= hand_over(
                    call,
                    rows,
                    folder,
                    trained=bool(entry["shares"]),
                    restored=restored(call, self._source),
                )
        except Exception as error:
            entry["refused"] = str(error) if type(error) is ValueError else reason(error)
        if request["rehearse"]:
            self._write()
            return "pass"
        self._end = {"kind": "stopped"}
        if "refused" not in entry:
            entry["seconds_per_step"] = seconds_per_step(call)
        self._write()
        self._stopped()
        return "stop"

    def _entry(self, call: FitCall) -> dict[str, Any]:
        """Return the entry of a fit, with the numbers of earlier ones of the same model."""
        variables = {id(each) for each in call.model.weights}
        earlier = enumerate(self._models, 1)  # one that was not built yet has its weights by now
        optimizer = getattr(call.model, "optimizer", None)
        entry = {
            "number": call.number,
            "line": call.line,
            "place": self._source.place(call.line),
            "shares": [i for i, model in earlier if variables & {id(v) for v in model.weights}],
            "goes_on": any(each is optimizer for each in self._optimizers),
        }
        self._models.append(call.model)
        self._optimizers.append(optimizer)
        self._fits.append(entry)
        return entry

    def _write(self) -> None:
        document = {"fits": self._fits, "end": self._end, "read": self._stamps()}
        write_text(self._folder / "capture.json", json.dumps(document))

    def _stamps(self) -> dict[str, list[int]]:
        """Return size and time of what was read, by path: what a later capture may differ by."""
        beside = str(self._source.file.parent) + os.sep
        modules = (getattr(each, "__file__", None) for each in list(sys.modules.values()))
        own = [each for each in modules if each and each.startswith(beside)]
        found = {}
        for path in (*self._read, *own):
            try:
                stat = os.stat(path)
            except OSError:
                continue
            if not path.startswith((sys.prefix, sys.base_prefix)):
                found[path] = [0 if os.path.isdir(path) else stat.st_size, stat.st_mtime_ns]
        found.pop(str(self._source.file), None)
        return found

    def _line(self, error: BaseException) -> int | None:
        """Return the line of the script that an error comes from."""
        lines = [
            each.lineno
            for each in traceback.extract_tb(error.__traceback__)
            if each.filename == str(self._source.file)
        ]
        return lines[-1] if lines else None


def _left(names: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Save the largest model that a script without a fit leaves; name what else it trains with."""
    models = [each for each in names.values() if isinstance(each, keras.Model) and each.built]
    if models:
        try:
            max(models, key=lambda each: each.count_params()).save(folder / "model.keras")
        except Exception:  # of a class that the script alone knows
            return {"unsaved": True}
        return {"model": "model.keras"}
    for package in ("torch", "jax", "sklearn", "tf_keras"):
        if any(getattr(each, "__name__", "").split(".")[0] == package for each in names.values()):
            return {"other": package}
    return {}
