"""The start of TensorFlow without its greetings.

Importing TensorFlow writes lines about its build to the process's standard error, past every
log level, before its own logging is set up. They tell a user nothing. What is written while the
framework starts is held back, and shown only when the start fails.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_start() -> Iterator[None]:
    """Hold back what is written to standard error inside; show it if an exception escapes."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        there = os.dup(2)
    except OSError:  # no standard error: nothing to hold back
        yield
        return
    with tempfile.TemporaryFile() as held:
        _flush()
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            _flush()
            os.dup2(there, 2)
            held.seek(0)
            os.write(2, held.read())
            raise
        finally:
            _flush()
            os.dup2(there, 2)
            os.close(there)


def _flush() -> None:
    if sys.stderr is not None:
        sys.stderr.flush()
