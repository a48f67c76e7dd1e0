"""Where a script runs: as `__main__`, with its arguments, as Python would run it."""

from __future__ import annotations

import builtins
import os
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ablate.capture.source import Source


class Stop(BaseException):
    """Ends the script at the fit that was wanted; no `except Exception` of the script takes it."""


def run(
    source: Source, arguments: Sequence[str], keep: Callable[[dict[str, Any]], None] | None = None
) -> None:
    """Run a script as `python script.py arguments` would.

    A notebook runs in its own folder. `keep` is given what the script defines, before it runs.
    """
    assert source.tree is not None
    module = types.ModuleType("__main__")
    module.__file__ = str(source.file)
    module.__dict__.update(__builtins__=builtins, __name__="__main__", __package__=None)
    if source.cells:
        module.__dict__.update(get_ipython=lambda: _NoShell(), display=print)
    folder, cwd = str(source.file.parent), Path.cwd()
    before = sys.modules.get("__main__"), sys.argv, list(sys.path)
    os.environ.setdefault("MPLBACKEND", "Agg")
    if keep is not None:
        keep(module.__dict__)
    sys.modules["__main__"] = module
    sys.argv = [str(source.file), *arguments]
    sys.path.insert(0, folder)
    try:
        if source.cells:
            os.chdir(folder)
        exec(compile(source.tree, str(source.file), "exec"), module.__dict__)
    finally:
        if source.cells:
            os.chdir(cwd)
        sys.modules["__main__"] = before[0]  # type: ignore[assignment]
        sys.path[:] = before[2]
        sys.argv = before[1]


class _NoShell:
    """Stands for IPython's shell: every magic does nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments, **named: None
