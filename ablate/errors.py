"""Errors that a person can act on.

Every error that `ablate` raises on purpose is an `AblateError`. Its text says where the
trouble is, what was expected, what was received and what to do. The command line turns it
into a message and exit status once, in `ablate.cli`; nothing else catches it to print it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class AblateError(Exception):
    """Say what is wrong with a request, in words that name the remedy."""


class StudyError(AblateError, ValueError):
    """Say which field of a study cannot be obeyed: its path, its line, the remedy.

    `problems` has one entry per slip where the fields of a study were judged.
    """

    problems: tuple[Any, ...] = ()


class DataError(AblateError):
    """Say which array of the data does not fit, and how."""


class SurgeryError(AblateError):
    """Say which layer of a model cannot be operated on, and why."""


class StoreError(AblateError):
    """Say which file under the logs folder cannot be read, written or locked."""


class Notice(UserWarning):
    """Say what a person should know of and what stops nothing, such as a damaged file.

    Issued with `warnings.warn`; the command line prints each once, on the error stream.
    """


class MissingExtraError(AblateError):
    """Name the extra that has to be installed for what was asked."""


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return `" Did you mean 'x'?"` for the valid name nearest to `name`, or `""`."""
    close = difflib.get_close_matches(str(name), [str(each) for each in valid], n=1, cutoff=0.6)
    return f" Did you mean '{close[0]}'?" if close else ""
