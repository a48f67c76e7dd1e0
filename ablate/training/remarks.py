"""Notes and cautions on a variant's network and data, for plan, run and report.

The preview and each trial call `remarks`, so that what is said before training is also in the
records, and from there in every report. A note is good to know; a caution is
something that may spoil the comparison.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ablate.study.trial import Spec
from ablate.surgery import graph, kinds
from ablate.surgery.dataflow import Dataflow
from ablate.surgery.diagnostics import constant_means, constant_words, dropout_before_norm
from ablate.surgery.graph import paths as named_layers
from ablate.training.network import Network
from ablate.training.norms import remarks_on_norms
from ablate.training.rows import Rows
from ablate.training.surroundings import remarks_on_compilation, remarks_on_insertions

#: Layers and operations of Keras that make something else of raw inputs (of what a `Lambda` does
#: nothing is known).
_SCALING = {
    "BatchNormalization", "CategoryEncoding", "Discretization", "Divide", "Embedding",
    "GroupNormalization", "Hashing", "IntegerLookup", "Lambda", "LayerNormalization", "Multiply",
    "Normalization", "Normalize", "RMSNormalization", "Rescaling", "Subtract", "TrueDivide",
    "UnitNormalization",
}  # fmt: skip

#: Those that hand on values of the same size, besides reshapes, Dropout and augmentation.
_KEEPING = {"Cast", "CenterCrop", "Identity", "Resizing", "ZeroPadding1D", "ZeroPadding2D"}


@dataclass(frozen=True)
class Remarks:
    """Sentences without the variant's name and without a full stop at their end."""

    notes: tuple[str, ...]
    cautions: tuple[str, ...]


def remarks(made: Network, rows: Rows, spec: Spec) -> Remarks:
    """Return the remarks on a variant's network, compiled, and of its training rows."""
    size = rows.train.batch_size or spec.train.batch_size
    train = spec.train.model_copy(update={"batch_size": size})
    of_norms = remarks_on_norms(made, rows.counts["train"], train)
    of_places = remarks_on_insertions(made)
    # A loss that is named says what the targets are: nothing was supposed of them.
    supposed = spec.train.loss == "auto"
    about_rows = [n for n in rows.splits.notes if supposed or "taken for numbers to pred" not in n]
    notes = [
        *about_rows, *rows.notes, *made.notes, *remarks_on_compilation(made), *of_places[0],
        *_dropout_before_norm(made), *of_norms[0],
    ]  # fmt: skip
    unscaled = rows.splits.unscaled
    unscaled = () if unscaled and _scales(made) else unscaled
    cautions = [
        *rows.splits.cautions,
        *unscaled,
        *made.cautions,
        *_constant(made),
        *of_places[1],
        *of_norms[1],
    ]
    steady = _steady(made, spec)
    return Remarks(*(tuple(dict.fromkeys(map(steady, each))) for each in (notes, cautions)))


def _scales(made: Network) -> bool:
    """Whether the network scales its inputs itself: the first that reads them does."""
    if not graph.is_container(made.model):
        return any(type(layer).__name__ in _SCALING for _, layer in made.layers)
    flow = Dataflow(made.model)
    read = graph.read(made.model)
    queue = [(read, tensor) for tensor in read.inputs]
    readers: list[str] = []
    while queue:
        for where, call in flow.readers(*queue.pop()):
            if call is None:
                continue
            operation, name = call.operation, type(call.operation).__name__
            keeps = kinds.is_reshape(operation) or kinds.kind_of(operation) == "dropout"
            if keeps or name in _KEEPING or name.startswith(("Random", "Gaussian")):
                queue += [(where, tensor) for tensor in call.outputs]
            else:
                readers.append(name)
    return bool(readers) and all(name in _SCALING for name in readers)


def _steady(made: Network, spec: Spec) -> Callable[[str], str]:
    """Return what gives layers of a `call` their canonical paths in the place of Keras's names.

    Those count through the life of a process: each trial would say the same of another layer.
    """
    if spec.model.call is None or not graph.is_container(made.model):
        return lambda text: text
    canonical = {id(layer): path for path, layer in made.layers}
    steady: dict[str, str] = {}
    for layer, path in named_layers(made.model):
        parts, others = path.split("/"), canonical.get(id(layer), "").split("/")
        for depth in range(1, len(parts) + 1) if len(parts) == len(others) else ():
            steady["/".join(parts[:depth])] = "/".join(others[:depth])
    quoted = re.compile(r"'([^'\s]+?)(/\*)?'")
    return lambda text: quoted.sub(
        lambda found: f"'{steady.get(found[1], found[1])}{found[2] or ''}'", text
    )


def _constant(made: Network) -> list[str]:
    found = constant_means(made.model) if graph.is_container(made.model) else []
    return [constant_words(norm, pooling) for norm, pooling in found]


def _dropout_before_norm(made: Network) -> list[str]:
    if not graph.is_container(made.model):
        return []
    return [
        f"'{dropout}' feeds '{norm}': Dropout changes the variance between training and "
        "inference, and the normalization learns the one and meets the other"
        for dropout, norm in dropout_before_norm(made.model)
    ]
