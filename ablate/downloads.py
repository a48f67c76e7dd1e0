"""What Keras downloads when it is first used: one worker at a time, and where the file belongs."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def downloading(name: str) -> Iterator[None]:
    """Let one worker at a time fetch `name`; what is printed meanwhile goes to standard error."""
    import filelock

    lock = filelock.FileLock(Path(tempfile.gettempdir()) / f"ablate-{name}.lock")
    with lock, contextlib.redirect_stdout(sys.stderr):
        yield


def keras_home() -> Path:
    """Return the folder that Keras keeps downloads in."""
    return Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()


def address_in(error: Exception) -> str | None:
    """Return the address that the error of a download names."""
    found = re.search(r"https?://[^\s:]+", str(error))
    return found.group() if found else None
