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

    `problems` has one entry per problem where the fields of a study were judged.
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


#: What other frameworks and older versions of Keras call a field.
ALIASES = {
    "lr": "learning_rate",
    "eta": "learning_rate",
    "base_lr": "learning_rate",
    "init_lr": "learning_rate",
    "batch": "batch_size",
    "bs": "batch_size",
    "bsz": "batch_size",
    "batchsize": "batch_size",
    "epoch": "epochs",
    "n_epochs": "epochs",
    "nb_epoch": "epochs",
    "num_epochs": "epochs",
    "max_epochs": "epochs",
    "opt": "optimizer",
    "optim": "optimizer",
    "criterion": "loss",
    "loss_fn": "loss",
    "objective": "loss",
    "scheduler": "schedule",
    "lr_schedule": "schedule",
    "lr_scheduler": "schedule",
    "weight": "weights",
    "pretrained": "weights",
    "seed": "seeds",
    "n_seeds": "seeds",
    "num_seeds": "seeds",
    "repeats": "seeds",
    "val_split": "validation",
    "validation_split": "validation",
    "test_split": "test",
    "test_size": "test",
    "dataset": "data",
    "arch": "model",
    "network": "model",
    "hidden_units": "units",
    "p": "rate",
    "drop_rate": "rate",
    "dropout_rate": "rate",
    "n_workers": "workers",
    "num_workers": "workers",
    "jobs": "workers",
    "n_jobs": "workers",
}


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return `" Did you mean 'x'?"` for the valid name nearest to `name`, or `""`.

    A name that differs in its case alone is nearest, then what others call a field (`lr`).

    >>> nearest("X_train", ["y_train", "x_train"])
    " Did you mean 'x_train'?"
    """
    names = [str(each) for each in valid]
    lowered: dict[str, str] = {}
    for each in names:
        lowered.setdefault(each.lower(), each)
    typed = str(name).lower()
    alias = ALIASES.get(typed.replace("-", "_"))
    if typed in lowered and lowered[typed] != str(name):
        found = lowered[typed]
    elif alias in names:
        found = alias
    else:
        close = difflib.get_close_matches(typed, lowered, n=1, cutoff=0.6)
        if not close:
            return ""
        found = lowered[close[0]]
    return f" Did you mean '{found}'?"


def some(names: Iterable[str]) -> str:
    """Return up to three names in quotes, and how many more there are.

    >>> some(["a", "b"])
    "'a', 'b'"
    """
    each = [f"'{name}'" for name in names]
    return ", ".join(each[:3]) + (f" and {len(each) - 3} more" if len(each) > 3 else "")
