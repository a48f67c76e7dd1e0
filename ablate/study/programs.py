"""Which trials share a program, and in what pieces they go to workers.

A program is the training graph of one network with one optimizer and one loss. Tracing it takes
as long as training a small trial, so trials that differ only in what a program takes as input
(seed, learning rate and schedule, epochs, batch size, rows and their scale, stopping rules) are
trained by one worker after another on one program. Specs go in, keys and groups come out; no
Keras is needed.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Sequence
from typing import Any

from ablate.study.trial import Spec, Trial

#: Fields of `train` that a program takes as input, or that act outside it.
_OUTSIDE = {
    "epochs", "batch_size", "learning_rate", "schedule", "early_stopping", "time_limit", "save",
}  # fmt: skip

#: Fields of `data` that change values but neither shapes nor types.
_VALUES = {
    "limit",
    "load",
    "only",
    "scale",
    "shift",
    "split",
    "folds",
    "groups",
    "validation",
    "test",
}

#: A piece of this many trials is worth a trace of its own.
_PIECE = 10

#: What layers cost relative to a plain network's step; only the order of the pieces hangs on it.
_COST = {"BatchNormalization": 0.5, "LayerNormalization": 0.4, "GroupNormalization": 0.5}


def program_key(spec: Spec) -> str:
    """Return a key that specs share exactly when one program can train them all.

    >>> from ablate.study.schema.train import Train
    >>> spec = Spec(data={"name": "digits"}, model={"name": "mlp"}, train={"learning_rate": 0.1})
    >>> faster = spec.model_copy(update={"train": Train(learning_rate=0.5)})
    >>> other = spec.model_copy(update={"train": Train(optimizer="adam")})
    >>> program_key(spec) == program_key(faster), program_key(spec) == program_key(other)
    (True, False)
    """
    document: dict[str, Any] = spec.model_dump(mode="json", by_alias=True)
    train = {key: value for key, value in document["train"].items() if key not in _OUTSIDE}
    if train.get("phases"):
        train["phases"] = [
            {key: value for key, value in phase.items() if key not in _OUTSIDE}
            for phase in train["phases"]
        ]
    train["class_weight"] = spec.train.class_weight is not None
    document["train"] = train
    document["data"] = {key: value for key, value in document["data"].items() if key not in _VALUES}
    document.pop("reseed")
    for kind in ("insert", "replace", "change"):
        for edit in document[kind] or ():
            edit.pop("name", None)
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def groups(trials: Sequence[Trial], workers: int = 1) -> list[tuple[Trial, ...]]:
    """Return the trials in groups that share a program, in the order to hand them out.

    A group is cut into pieces where workers would otherwise idle: each piece costs one more
    trace, a few seconds, so small groups stay whole while there are enough of them. The pieces
    that cost most come first, so that what is left at the end is small.

    Args:
        trials: the trials to train, in any order.
        workers: how many groups are trained at once.
    """
    shared: dict[str, list[Trial]] = {}
    keys: dict[int, str] = {}  # many trials hold one spec object
    for trial in trials:
        key = keys.get(id(trial.spec))
        if key is None:
            key = keys[id(trial.spec)] = program_key(trial.spec)
        shared.setdefault(key, []).append(trial)
    most = max(_PIECE, math.ceil(len(trials) / (4 * max(workers, 1))))
    pieces = [piece for group in shared.values() for piece in _cut(group, most)]
    while len(pieces) < workers and any(len(piece) > 1 for piece in pieces):
        longest = max(pieces, key=_cost)
        if len(longest) == 1:
            longest = max(pieces, key=len)
        pieces.remove(longest)
        pieces += _halves(longest)
    return sorted(pieces, key=_cost, reverse=True)


def _cut(group: Sequence[Trial], most: int) -> list[tuple[Trial, ...]]:
    """Return the group in pieces of nearly equal length, none above `most`."""
    number = math.ceil(len(group) / most)
    bounds = [round(index * len(group) / number) for index in range(number + 1)]
    return [tuple(group[a:b]) for a, b in itertools.pairwise(bounds)]


def _halves(piece: tuple[Trial, ...]) -> list[tuple[Trial, ...]]:
    middle = len(piece) // 2
    return [piece[middle:], piece[:middle]]


def _cost(piece: Sequence[Trial]) -> float:
    """Guess how long a piece takes, in epochs of a plain network."""
    inserted = sum(_COST.get(each.layer, 0.1) for each in piece[0].spec.insert)
    return (1 + inserted) * sum(max(trial.spec.train.epochs, 1) for trial in piece)
