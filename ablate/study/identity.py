"""The identity of a trial: what decides its numbers, and nothing else.

A resolved variant and its seeds go in, trial ids come out. An id is the SHA-256 of canonical JSON
(sorted keys, no spaces) of the spec without what says nothing (null) or cannot change a number
(metrics, saving, the time limit), the seed, the threads, the content digests of every file
named, and `NUMERICS`. A file enters by its content, never by its path, so a moved file changes
nothing and a changed file changes the id. No Keras is needed; ten thousand ids take a fraction
of a second.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ablate.study.digests import Memory, digest, source_digest
from ablate.study.image_files import read_otherwise_before
from ablate.study.schema.train import Train
from ablate.study.trial import FILE_FIELDS, Spec

#: Raise this when our own code changes the numbers that a trial gives. Since 2, images in folders
#: are turned as their EXIF orientation says, WebP is read, a `call` of data runs under seeds, the
#: last layer of a file stays where its shape fits, `loss: auto` sees through more layers, hosts get
#: the bias back that a removed BatchNormalization made needless, and subclassed models and
#: composite layers are opened, whose weights are then drawn layer by layer. Since 3, `scale:
#: standard` sums over 4096 rows at a time, and the first batches of a calibration run eagerly.
#: Since 4, seeds of what is in a composite layer without a name go by the layer's class, not by a
#: name that counts through the life of a process.
NUMERICS = 4

#: What studies were trained under whose files do not say: those of 0.1.
UNRECORDED_NUMERICS = 1

#: Fields of `train` that no number depends on.
_NOT_NUMBERS = {"metrics", "weighted_metrics", "save", "time_limit", "threads", "trust"}

#: Below this many values an example is small, and one thread trains it fastest (law 1).
SMALL_EXAMPLE = 64 * 64 * 3


def trial_ids(
    spec: Spec,
    seeds: Iterable[int],
    *,
    salt: str = "",
    memory: Memory | None = None,
    numerics: int | None = None,
) -> list[str]:
    """Return the id of `spec` with each of `seeds`.

    `spec.train.threads` must be resolved to an integer. `salt` tells declared duplicates of an
    A/A study apart. `memory` keeps file digests between calls. `numerics` is what the trials were
    trained under, by default today's `NUMERICS`.

    Raises:
        StudyError: a file that the spec names is not there, or a call has no module.
        ValueError: `threads` is still "auto".
    """
    if not isinstance(spec.train.threads, int):
        raise ValueError("train.threads must be resolved before a trial has an identity")
    numerics = NUMERICS if numerics is None else numerics
    document: dict[str, Any] = {
        "spec": identity_spec(spec, memory, numerics),
        "threads": spec.train.threads,
        "numerics": _concerning(spec, numerics, memory),
    }
    if salt:
        document["salt"] = salt
    # The spec is the same for every seed: hash it once and only finish the sum for each.
    head = hashlib.sha256(_canonical(document)[:-1].encode())
    ids = []
    for seed in seeds:
        each = head.copy()
        each.update(f',"seed":{seed:d}}}'.encode())
        ids.append(each.hexdigest())
    return ids


def _concerning(spec: Spec, numerics: int, memory: Memory | None) -> int:
    """Return the last rise of the numerics that changed what this trial gives.

    The rise to 2 changed how some folders of images and what a `call` of data returns are read,
    when the last layer of a file is replaced, the networks that are brought along (`loss: auto`
    sees their activation through more layers, composite layers are opened), and what the removal
    of layers other than Dropout leaves: all other trials keep their ids. The rise to 3 changed the
    means and deviations of more than 4096 rows, and in the last bits what layers are calibrated to;
    the rise to 4 the seeds inside of composite layers, which only networks brought along have.
    """
    brought = spec.model.file is not None or spec.model.call is not None
    if numerics == 4:
        if brought:
            return 4
        numerics = 3
    if numerics == 3 and any(each.calibrate for each in spec.insert):
        return 3
    if numerics == 3:
        known = {"digits": 1797}.get(str(spec.data.name), spec.data.arguments.get("size"))
        if spec.data.scale == "standard" and not (isinstance(known, int) and known <= 4096):
            return 3
        numerics = 2
    if numerics != 2 or spec.data.call is not None or brought:
        return numerics
    if _removes_more_than_dropout(spec):
        return numerics
    if spec.data.directory is None:
        return 1
    return 2 if read_otherwise_before(Path(spec.data.directory).expanduser(), memory) else 1


def _removes_more_than_dropout(spec: Spec) -> bool:
    given = (each.where for each in spec.remove)
    names = [name for where in given for name in ([where] if isinstance(where, str) else where)]
    return not all(re.fullmatch(r"Dropout(\[[-:\d]*\])?", name) for name in names)


def identity_spec(
    spec: Spec, memory: Memory | None = None, numerics: int = NUMERICS
) -> dict[str, Any]:
    """Return the part of `spec` that its identity covers, files replaced by their digests.

    Numerics 1 read what hidden folders of a `directory` hold, and counted it; it did not look at
    what a `call` of data returns.
    """
    document = spec.model_dump(mode="json", by_alias=True)
    _drop_unset(spec, document)
    document["data"].pop("load", None)  # how rows reach a step decides nothing
    if numerics == 1:
        document["data"].pop("digest", None)
    document["train"] = {
        key: value for key, value in document["train"].items() if key not in _NOT_NUMBERS
    }
    for section, kind in (("model", spec.model.kind), ("data", spec.data.kind)):
        if kind.implementation and not kind.implementation.startswith("ablate."):
            # Code of others may change under its name, as that of a `call` may.
            document[section]["implementation"] = source_digest(kind.implementation, memory)
    for edits in ("insert", "replace", "change"):
        for edit in document.get(edits, ()):
            edit.pop("name", None)  # what a placement is called decides nothing
    for section, key in FILE_FIELDS:
        place = document[section].get(key)
        if place is None or key == "study" or (key == "weights" and not _is_path(place)):
            continue
        content = digest(place, memory, hidden=numerics == 1)
        document[section][key] = {"sha256": content}
    return _with_sources(document, memory)


def _drop_unset(value: Any, document: Any) -> None:
    """Leave out declared fields that are null, so that a later version may add one.

    The arguments of factories and layers stay as they are: there null may differ from nothing.
    """
    if isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            key, inner = field.serialization_alias or field.alias or name, getattr(value, name)
            if inner is None:
                document.pop(key, None)
            else:
                _drop_unset(inner, document[key])
    elif isinstance(value, list | tuple):
        for inner, each in zip(value, document, strict=True):
            _drop_unset(inner, each)


def resolve_threads(train: Train, example_shape: tuple[int, ...] | None, cores: int) -> int:
    """Return the threads of one trial: as asked, or by law 1's rule.

    The rule: 1 if an example has fewer than 64·64·3 values (or its shape cannot be told
    without running code), else all `cores` of the machine that plans first.
    """
    if isinstance(train.threads, int):
        return train.threads
    if example_shape is None or math.prod(example_shape) < SMALL_EXAMPLE:
        return 1
    return cores


def _is_path(weights: str) -> bool:
    return weights not in {"imagenet", "none", "keep", "fresh"} or Path(weights).is_file()


def _with_sources(value: Any, memory: Memory | None) -> Any:
    """Set beside each `call` the digest of the source it names; so of modules to import."""
    if isinstance(value, list):
        return [_with_sources(each, memory) for each in value]
    if not isinstance(value, dict):
        return value
    result = {key: _with_sources(each, memory) for key, each in value.items()}
    if isinstance(value.get("call"), str):
        result["call"] = {"name": value["call"], "source": source_digest(value["call"], memory)}
    if isinstance(value.get("imports"), list):
        result["imports"] = [source_digest(f"{each}:*", memory) for each in value["imports"]]
    return result


def _canonical(document: Any) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=True)
