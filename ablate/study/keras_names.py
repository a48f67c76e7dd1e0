"""The names that a study may use of Keras, known without Keras.

`keras.json` has Keras's optimizers, losses, metrics, activations, initializers and the layers of
most placements with their arguments, as `make docs` reads them off the installed Keras, so that a
misspelt `momentun` is found before TensorFlow is imported. A name that is not there may still be
a registered one of anyone's own (`package>Name`): those are settled when the model is compiled.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

#: The layers whose arguments are checked without Keras: those that placements use most.
CHECKED_LAYERS = (
    "BatchNormalization", "LayerNormalization", "GroupNormalization", "Dropout",
    "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "GaussianDropout", "AlphaDropout",
)  # fmt: skip

#: Where `make docs` writes the tables.
TABLES = Path(__file__).with_name("keras.json")

_tables = json.loads(TABLES.read_text(encoding="utf-8"))


def _arguments(table: str) -> dict[str, frozenset[str]]:
    return {name: frozenset(arguments) for name, arguments in _tables[table].items()}


#: Keras's optimizers by lower-case name, with their arguments but for the learning rate.
OPTIMIZERS = _arguments("optimizers")

#: Keras's losses by their function's name, with their arguments.
LOSSES = _arguments("losses")

_layers = _arguments("layers")

#: The checked layers with their arguments; the last ones are ours (`ablate.surgery`).
LAYER_ARGUMENTS = {
    **{name: _layers[name] for name in CHECKED_LAYERS},
    "ClassicDropout": frozenset({"rate", "seed", "trainable", "dtype"}),
    "EarlyDropout": _layers["Dropout"] | {"steps"},
    "DriftingNoise": frozenset({"shift", "scale", "jitter", "trainable", "dtype"}),
    "GhostBatchNormalization": _layers["BatchNormalization"] | {"parts", "moving"},
    "FrozenAffine": frozenset({"axis", "trainable", "dtype"}),
}

#: The layers of Keras that augment, with their arguments.
AUGMENTATIONS = _arguments("augmentations")

#: Activations of Keras that take nothing but their input and keep its shape.
ACTIVATIONS = tuple(_tables["activations"])

#: Initializers of Keras and `pytorch` (ours), each with its own arguments but the seed, which
#: is every trial's own (law 2).
INITIALIZERS = dict(sorted({**_tables["initializers"], "pytorch": []}.items()))

#: Arguments that every loss takes.
LOSS_ARGUMENTS = frozenset({"reduction", "dtype"})

_SHORT = {
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
    "bce": "binary_crossentropy",
    "bfce": "binary_focal_crossentropy",
    "cce": "categorical_crossentropy",
    "scce": "sparse_categorical_crossentropy",
    "kld": "kl_divergence",
    "kullback_leibler_divergence": "kl_divergence",
    "logcosh": "log_cosh",
}

#: Keras's metrics by their snake-case name; short forms included.
METRICS = frozenset(_tables["metrics"]) | {
    "accuracy", "acc", "crossentropy", "ce", "mse", "mae", "mape", "msle", "bce",
}  # fmt: skip

#: The names that Keras gives two of its metrics, which are not the snake case of their classes.
_CALLED = {"f_beta_score": "fbeta_score", "log_cosh_error": "logcosh"}

#: Our schedules, with the arguments that each takes and those it cannot do without. Every
#: length may be given in steps or in epochs.
SCHEDULES: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "cosine": (
        frozenset({"alpha", "decay_steps", "decay_epochs", "warmup_steps", "warmup_epochs"}),
        frozenset(),
    ),
    "cosine_restarts": (
        frozenset({"alpha", "first_decay_steps", "first_decay_epochs", "t_mul", "m_mul"}),
        frozenset(),
    ),
    "exponential": (
        frozenset({"decay_rate", "decay_steps", "decay_epochs", "staircase"}),
        frozenset({"decay_rate"}),
    ),
    "inverse_time": (
        frozenset({"decay_rate", "decay_steps", "decay_epochs", "staircase"}),
        frozenset({"decay_rate"}),
    ),
    "polynomial": (
        frozenset({"decay_steps", "decay_epochs", "end_learning_rate", "power", "cycle"}),
        frozenset(),
    ),
    "piecewise": (
        frozenset({"epochs", "steps", "factors"}),
        frozenset({"factors"}),
    ),
    "warmup": (frozenset({"epochs", "steps"}), frozenset()),
    "plateau": (
        frozenset({"monitor", "factor", "patience", "mode", "min_delta", "cooldown", "min_lr"}),
        frozenset(),
    ),
}


def snake(name: str) -> str:
    """Return a class name in snake case, letter by letter as Keras does it.

    >>> snake("SparseCategoricalCrossentropy"), snake("KLDivergence"), snake("mse")
    ('sparse_categorical_crossentropy', 'kl_divergence', 'mse')
    """
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def optimizer_name(name: str) -> str:
    """Return the name under which `OPTIMIZERS` would have `name` (`AdamW`, `RMSprop`)."""
    return name.lower().replace("_", "")


def loss_name(name: str) -> str:
    """Return the name under which `LOSSES` would have `name` (`mse`, `MeanSquaredError`)."""
    low = snake(name)
    return _SHORT.get(low, low)


def metric_name(name: str) -> str:
    """Return the name under which trials report the metric `name`, whose class is one of Keras's.

    >>> metric_name("AUC"), metric_name("BinaryIoU"), metric_name("mae"), metric_name("FBetaScore")
    ('auc', 'binary_io_u', 'mae', 'fbeta_score')
    """
    low = snake(name)
    return _CALLED.get(low, low)


def is_own(name: str) -> bool:
    """Whether `name` is a registered one of anyone's own: `package>Name`."""
    return ">" in name
