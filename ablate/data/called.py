"""Rows that a function of anyone's own returns: read under seeds, known by their digest.

A `call` and its arguments go in, a checked `Source` with its digest comes out. Whoever plans asks
`settled` for the digest that all later readings are held against.
"""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ablate.data.check import as_input, source
from ablate.data.conversion import FACTS, gather, training_pipeline, tree
from ablate.data.nested import leaves, over
from ablate.data.reading import content_digest, seeded
from ablate.data.source import Source
from ablate.data.streams import stream_of
from ablate.errors import DataError
from ablate.reasons import reason
from ablate.study.calls import resolve
from ablate.study.schema.data import Data

#: Rows of more bytes than this are not read twice to see whether they are the same.
_TWICE = 1 << 28

#: Where a pipeline stands among the arrays that are read.
STREAM = "stream"

_REMEDY = (
    "Make the pipeline inside the function, seed its own generators (`default_rng(0)`, "
    "`shuffle(n, seed=0)`), or save the arrays as an npz file and give its path."
)
#: What another process runs: the digest of one reading.
_ELSEWHERE = """
import json, sys
fields, sys.path[:] = json.loads(sys.argv[1])
from ablate.data.called import rows_of
from ablate.study.schema.data import Data
print("digest", rows_of(Data(**fields), True).digest)
"""


def rows_of(data: Data, labels: bool) -> Source:
    """Return what the function of `data.call` returns, checked, with its digest.

    Raises:
        DataError: it raises, or returns what is no data.
        StudyError: there is no such function.
    """
    named = _read(data)
    train = named.pop(STREAM, None)
    digest = content_digest(named) if train is None else None
    facts = {key: named.pop(key) for key in FACTS if key in named}
    if facts.get("class_names") is not None:
        facts["class_names"] = tuple(str(each) for each in np.asarray(facts["class_names"]).ravel())
    if train is None:
        return replace(source(str(data.call), named, labels=labels, **facts), digest=digest)
    return _streamed(data, named, labels, facts)


def _streamed(data: Data, named: dict[str, Any], labels: bool, facts: dict[str, Any]) -> Source:
    """Return the source of a pipeline that is made anew for each epoch."""

    def make() -> Any:
        return training_pipeline(_called(data))[0]

    name = f"data.call: {data.call}"
    stream, first = stream_of(f"{name}: train", make, tree)
    sample = dict(zip(("x_train", "y_train", "weight_train"), first, strict=False))
    made = source(str(data.call), {**named, **sample}, labels=labels, **facts)
    tokens = bool(facts.get("tokens", False))
    inputs = partial(over, partial(as_input, tokens=tokens, add_channel=None))
    return replace(made, stream=replace(stream, inputs=(inputs,)))


def check_digest(data: Data, found: Source) -> None:
    """Refuse rows that are not those that were read first.

    Raises:
        DataError: `found` differs from `data.digest`; the message distinguishes chance from change.
    """
    if data.digest is None or found.digest == data.digest:
        return
    cause = (
        "It returns the same when it is called again: what it reads (a file, a table, a service) "
        "or imports has changed since, or is another on this machine."
        if content_digest(_read(data)) == found.digest
        else "Called twice in a row it returns different rows: it draws from a source of chance "
        "that no global seed reaches, or keeps a state from one call to the next."
    )
    raise DataError(
        f"data.call: '{data.call}' returns other rows than when they were first read (digest "
        f"{str(found.digest)[:12]}, first {data.digest[:12]}). Every trial must see the same rows. "
        f"{cause} {_REMEDY} To begin anew with what it returns now: `ablate run --fresh`."
    )


def settled(data: Data, found: Source) -> str:
    """Return the digest of `found`, made sure that other processes read the same.

    It is `STREAM` where training rows are made anew for each epoch.

    A second call that returns the same rows is proof enough. One that does not may be right all
    the same (a pipeline that its module makes goes on where it was): then a fresh process reads.

    Raises:
        DataError: other processes would read other rows.
    """
    if found.stream is not None:
        return STREAM
    digest = str(found.digest)
    parts = (found.train, found.validation, found.test)
    size = sum(leaf.nbytes for part in parts if part for _, leaf in leaves(part.x))
    if size > _TWICE or content_digest(_read(data)) == digest:
        return digest
    if (other := _elsewhere(data)) == digest:
        return digest
    raise DataError(
        f"data.call: '{data.call}' returns other rows in every process (digest {digest[:12]}, "
        f"then {other[:12]}), though it is read under fixed seeds: it draws from a source of "
        "chance that no global seed reaches, and trials would not train on the same data. "
        f"{_REMEDY}"
    )


def _read(data: Data) -> dict[str, Any]:
    """Return the named arrays of the function, read under seeds that derive from its call.

    A pipeline of training rows that is to be made anew for each epoch stands under `STREAM`.
    """
    call, arguments = str(data.call), data.complete_arguments()
    # Its module may draw when it is imported, which it is once in a process: the call has seeds of
    # its own, so that it draws the same after an import and without one.
    with seeded(call, "import"):
        function = resolve(call, "data.call")
    try:
        inspect.signature(function).bind(**arguments)
    except TypeError as error:
        raise DataError(f"data.call: '{call}' cannot be called like that: {error}.") from None
    except ValueError:
        pass  # a builtin without a signature: calling it will show
    with seeded(call, sorted(arguments.items())):
        value = _called(data)
        train, rest = training_pipeline(value)
        if train is None or data.digest is not None or data.load == "memory":
            return gather(value, f"data.call: {call}", data.groups)
        named = gather(rest, f"data.call: {call}", data.groups) if rest else {}
    names = getattr(train, "class_names", None)  # of an image_dataset_from_directory
    if names is not None:
        named.setdefault("class_names", names)
    return {**named, STREAM: train}


def _called(data: Data) -> Any:
    """Return what the function returns."""
    function = resolve(str(data.call), "data.call")
    try:
        return function(**data.complete_arguments())
    except Exception as error:
        raise DataError(f"data.call: '{data.call}' raised {reason(error)}") from error


def _elsewhere(data: Data) -> str:
    """Return the digest of a reading in a process of its own."""
    fields = {"call": data.call, "groups": data.groups, "load": data.load, **data.arguments}
    request = json.dumps([fields, sys.path])
    done = subprocess.run(
        [sys.executable, "-c", _ELSEWHERE, request], capture_output=True, text=True, check=False
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("digest ")]
    if done.returncode or not lines:
        raise DataError(
            f"data.call: '{data.call}' cannot be read in a process of its own: "
            f"{reason(done.stderr)}"
        )
    return lines[-1].removeprefix("digest ")
