"""Predictions as probabilities, and how wrong they are.

A network's output may have any form that its loss takes. Classes need a single output: with
several, a probe says that it does not apply.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from ablate.errors import StudyError
from ablate.probes.measurement import Context
from ablate.probes.statistics import relative_change

#: Bins of the confidence, as in Guo et al. 2017.
BINS = 15


def require_single_output(context: Context, probe: str) -> None:
    """Refuse a network with several outputs."""
    if len(context.model.outputs) != 1:
        raise StudyError(f"probes: '{probe}' needs a network with one output.")


def require_classification(context: Context, probe: str) -> None:
    """Refuse anything but one output of classes."""
    require_single_output(context, probe)
    if context.splits.task != "classification":
        raise StudyError(
            f"probes: '{probe}' compares predicted with true classes; these targets are numbers."
        )


def single(output: Any) -> np.ndarray:
    """Return the array of a structure with one output."""
    return np.asarray(keras.tree.flatten(output)[0])


def output_change(before: Any, after: Any) -> float:
    """Return the relative change of a network's output, the mean over several."""
    pairs = zip(keras.tree.flatten(before), keras.tree.flatten(after), strict=True)
    return float(np.mean([relative_change(*pair) for pair in pairs]))


def labels(y: Any) -> np.ndarray:
    """Return class labels (rows,) of labels, of a column of labels or of one-hot rows."""
    y = single(y)
    if y.ndim > 1 and y.shape[-1] > 1:
        return np.argmax(y, axis=-1).astype("int64")
    return np.rint(y.reshape(len(y))).astype("int64")


def probabilities(output: Any) -> np.ndarray:
    """Return class probabilities (…, classes) of a softmax, a sigmoid unit, or of logits.

    What is not a distribution already is taken for logits. One unit becomes two classes.
    """
    output = single(output).astype("float64")
    if output.shape[-1] == 1:
        positive = output[..., 0]
        if np.any((positive < 0) | (positive > 1)):
            with np.errstate(over="ignore"):
                positive = 1 / (1 + np.exp(-positive))
        return np.stack([1 - positive, positive], axis=-1)
    if np.all(output >= 0) and np.allclose(output.sum(axis=-1), 1, atol=1e-3):
        return output
    powers = np.exp(output - output.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def scores(chances: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Return how good probabilities are, each the mean over rows.

    accuracy; nll, the negative log-likelihood −log p[y] in nats (p at least 1e-7, as in Keras's
    loss); brier, Σ_c (p[c] − [y = c])², from 0 to 2 (Brier 1950); ece, the expected calibration
    error Σ_b n_b/n |accuracy_b − confidence_b| over `BINS` equal bins of the confidence (Guo et
    al. 2017).

    Args:
        chances: (rows, classes).
        truth: (rows,), labels.
    """
    if not np.isfinite(chances).all():
        return dict.fromkeys(("accuracy", "nll", "brier", "ece"), np.nan)
    hit = np.eye(chances.shape[-1])[truth]
    counts, right, sure = reliability(chances, truth)
    return {
        "accuracy": 1 - error_share(chances, truth),
        "nll": float(-np.log(np.maximum((chances * hit).sum(axis=-1), 1e-7)).mean()),
        "brier": float(np.square(chances - hit).sum(axis=-1).mean()),
        "ece": float(np.abs(right - sure).sum() / counts.sum()),
    }


def reliability(chances: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return what a reliability diagram shows, (3, `BINS`).

    Per bin of the largest probability: how many rows, how many of them right, and the sum of their
    confidence.
    """
    sure, right = chances.max(axis=-1), chances.argmax(axis=-1) == truth
    at = np.minimum((sure * BINS).astype(int), BINS - 1)
    return np.stack([np.bincount(at, each, BINS) for each in (np.ones(len(at)), right, sure)])


def entropy(chances: np.ndarray) -> np.ndarray:
    """Return −Σ p log p over the last axis, in nats."""
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(chances > 0, chances * np.log(chances), 0.0)
    return -terms.sum(axis=-1)


def error_share(chances: np.ndarray, truth: np.ndarray) -> float:
    """Return the share of rows whose likeliest class is not the true one."""
    return float(np.mean(np.argmax(chances, axis=-1) != truth))
