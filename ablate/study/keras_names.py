"""The names that the `train` section may use, known without Keras.

Keras's optimizers with their arguments, its losses and metrics, and our schedules stand here
as tables, so that a misspelt `momentun` is found before TensorFlow is imported. A name that a
table lacks may still be a registered one of anyone's own (`package>Name`): those are settled
when the model is compiled. A test holds the tables against the Keras that is installed.
"""

from __future__ import annotations

import re

_SHARED = frozenset(
    {
        "weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "use_ema", "ema_momentum",
        "ema_overwrite_frequency", "loss_scale_factor", "gradient_accumulation_steps",
    }
)  # fmt: skip

#: Keras's optimizers by lower-case name, with their arguments but for the learning rate.
OPTIMIZERS: dict[str, frozenset[str]] = {
    "adadelta": _SHARED | {"rho", "epsilon"},
    "adafactor": _SHARED
    | {"beta_2_decay", "epsilon_1", "epsilon_2", "clip_threshold", "relative_step"},
    "adagrad": _SHARED | {"initial_accumulator_value", "epsilon"},
    "adam": _SHARED | {"beta_1", "beta_2", "epsilon", "amsgrad"},
    "adamax": _SHARED | {"beta_1", "beta_2", "epsilon"},
    "adamw": _SHARED | {"beta_1", "beta_2", "epsilon", "amsgrad"},
    "ftrl": _SHARED
    | {
        "learning_rate_power", "initial_accumulator_value", "l1_regularization_strength",
        "l2_regularization_strength", "l2_shrinkage_regularization_strength", "beta",
    },
    "lamb": _SHARED | {"beta_1", "beta_2", "epsilon"},
    "lion": _SHARED | {"beta_1", "beta_2"},
    "muon": _SHARED
    | {
        "adam_beta_1", "adam_beta_2", "adam_weight_decay", "epsilon", "exclude_layers",
        "exclude_embeddings", "muon_a", "muon_b", "muon_c", "adam_lr_ratio", "momentum",
        "ns_steps", "nesterov", "rms_rate",
    },
    "nadam": _SHARED | {"beta_1", "beta_2", "epsilon"},
    "rmsprop": _SHARED | {"rho", "momentum", "epsilon", "centered"},
    "schedulefreeadamw": _SHARED | {"beta_1", "beta_2", "epsilon", "warmup_steps"},
    "sgd": _SHARED | {"momentum", "nesterov"},
}  # fmt: skip

_LOGITS = frozenset({"from_logits", "label_smoothing", "axis"})

#: Keras's losses by their function's name, with their arguments.
LOSSES: dict[str, frozenset[str]] = {
    "binary_crossentropy": _LOGITS,
    "binary_focal_crossentropy": _LOGITS | {"apply_class_balancing", "alpha", "gamma"},
    "categorical_crossentropy": _LOGITS,
    "categorical_focal_crossentropy": _LOGITS | {"alpha", "gamma"},
    "categorical_generalized_cross_entropy": frozenset({"q"}),
    "categorical_hinge": frozenset(),
    "circle": frozenset({"gamma", "margin", "remove_diagonal"}),
    "cosine_similarity": frozenset({"axis"}),
    "ctc": frozenset(),
    "dice": frozenset({"axis"}),
    "hinge": frozenset(),
    "huber": frozenset({"delta"}),
    "kl_divergence": frozenset(),
    "log_cosh": frozenset(),
    "mean_absolute_error": frozenset(),
    "mean_absolute_percentage_error": frozenset(),
    "mean_squared_error": frozenset(),
    "mean_squared_logarithmic_error": frozenset(),
    "poisson": frozenset(),
    "sparse_categorical_crossentropy": frozenset({"from_logits", "ignore_class", "axis"}),
    "squared_hinge": frozenset(),
    "tversky": frozenset({"alpha", "beta", "axis"}),
}

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
METRICS: frozenset[str] = frozenset(
    {
        "auc", "binary_accuracy", "binary_crossentropy", "binary_io_u", "categorical_accuracy",
        "categorical_crossentropy", "categorical_hinge", "concordance_correlation",
        "cosine_similarity", "f1_score", "f_beta_score", "fbeta_score", "false_negatives",
        "false_positives", "hinge", "io_u", "kl_divergence", "log_cosh_error",
        "mean_absolute_error", "mean_absolute_percentage_error", "mean_io_u",
        "mean_squared_error", "mean_squared_logarithmic_error", "one_hot_io_u",
        "one_hot_mean_io_u", "pearson_correlation", "poisson", "precision",
        "precision_at_recall", "r2_score", "recall", "recall_at_precision",
        "root_mean_squared_error", "sensitivity_at_specificity", "sparse_categorical_accuracy",
        "sparse_categorical_crossentropy", "sparse_top_k_categorical_accuracy",
        "specificity_at_sensitivity", "squared_hinge", "top_k_categorical_accuracy",
        "true_negatives", "true_positives",
        "accuracy", "acc", "crossentropy", "ce", "mse", "mae", "mape", "msle", "bce",
    }
)  # fmt: skip

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
