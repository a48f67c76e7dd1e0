"""Probe `variance_shift`: what a Dropout does to the normalization that comes after it.

Per BatchNormalization, the variance of its input as it is at inference beside the variance it has
learned, and beside the variance that the Dropouts give it in training. Where they differ the layer
divides by the wrong number, and the errors add up from layer to layer.

Source: Li et al. 2018. With keep probability p and an input of mean μ and variance σ², a Dropout
directly before makes Var_train / Var_test = ((σ² + μ²)/p − μ²)/σ², which is 1/p at μ = 0. The
shift of a layer is max(real/moving, moving/real). Cost: a forward pass of the probe's rows, and
one per draw of the masks.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from ablate.probes.batchnorm import moments_of
from ablate.probes.context import Arrays, Context, names
from ablate.probes.layer_outputs import Look, kept, layers_of, value_of
from ablate.surgery import dropout_before_norm
from ablate.surgery.graph import producer_of
from ablate.surgery.hosts import DROPOUT
from ablate.surgery.sites import calls_by_layer


class VarianceShift:
    """Measure the variance before each BatchNormalization: real, learned, and in training.

    Args:
        samples: draws of the Dropout masks that the training variance is a mean of.

    Measures, per layer; means are over channels:
        inference_variance, moving_variance, training_variance/<layer>: (channels,).
        scalar/<layer>/shift: mean of max(real/moving, moving/real), real at inference, each with
            the layer's epsilon.
        scalar/<layer>/dropout_ratio: mean of training / inference variance.
        scalar/<layer>/closed_form: what that ratio is by the formula, from the inference mean and
            variance, where a Dropout stands directly before.
        scalar/<layer>/over_closed_form: mean of the ratio of variances over the formula's.
    """

    moves = True

    def __init__(self, samples: int = 10) -> None:
        self._samples = samples
        self._layers: list[tuple[keras.Layer, str]] = []

    def start(self, context: Context) -> None:
        model = context.model
        found = layers_of(model, keras.layers.BatchNormalization)
        self._layers = [(layer, context.paths.get(layer, path)) for layer, path in found]
        self._x = context.x
        dropouts = [layer for layer, _ in layers_of(model, *DROPOUT) if getattr(layer, "rate", 1)]
        watches = {layer: moments_of(layer) for layer, _ in self._layers}
        self._dropouts = len(dropouts)
        self._resting, self._dropping = kept(
            model,
            "variance_shift",
            lambda: (Look(model, watches), Look(model, watches, training=dropouts)),
        )
        self._direct = {layer: _rate_directly_before(model, layer) for layer, _ in self._layers}
        self._feeds = [f"{dropout} → {norm}" for dropout, norm in dropout_before_norm(model)]

    def measure(self, epoch: int) -> Arrays:
        if not self._layers:
            return {}
        at_rest, _ = self._resting(self._x)
        draws = [self._dropping(self._x)[0] for _ in range(self._samples if self._dropouts else 1)]
        found: dict[str, Any] = {}
        for at, (layer, name) in enumerate(self._layers):
            mean, real = at_rest[at]
            training = np.mean([draw[at][1] for draw in draws], axis=0)
            moving = value_of(layer.moving_variance)
            found[f"inference_variance/{name}"] = real
            found[f"moving_variance/{name}"] = moving
            found[f"training_variance/{name}"] = training
            # With epsilon, as the layer divides: a dead channel would count without end.
            ratio = (real + layer.epsilon) / (moving + layer.epsilon)
            found[f"scalar/{name}/shift"] = _mean(np.maximum(ratio, 1 / ratio))
            found[f"scalar/{name}/dropout_ratio"] = _mean(_over(training, real))
            if (rate := self._direct[layer]) is not None:
                formula = closed_form(mean, real, 1 - rate)
                found[f"scalar/{name}/closed_form"] = _mean(formula)
                ratio = _over(_over(training, real), formula)
                found[f"scalar/{name}/over_closed_form"] = _mean(ratio)
        return found

    def finish(self) -> Arrays:
        return {
            "layers": names([name for _, name in self._layers]),
            "feeds": names(self._feeds),
        }


def closed_form(mean: Any, variance: Any, keep: float) -> Any:
    """Return ((σ² + μ²)/p − μ²)/σ², the ratio of variances that a Dropout makes.

    Args:
        mean, variance: of the input at inference, μ and σ².
        keep: the probability p of keeping a unit.

    >>> float(closed_form(0.0, 1.0, 0.5))
    2.0
    """
    mean, variance = np.asarray(mean, "float64"), np.asarray(variance, "float64")
    return _over((variance + mean**2) / keep - mean**2, variance)


def _over(numerator: Any, denominator: Any) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.asarray(numerator, "float64") / np.asarray(denominator, "float64")
    return np.where(np.isfinite(ratio), ratio, np.nan)


def _mean(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else float("nan")


def _rate_directly_before(model: keras.Model, layer: keras.Layer) -> float | None:
    """Return the rate of the Dropout whose output the layer normalizes; None without one."""
    for _, call in calls_by_layer(model)[layer]:
        before: Any = producer_of(call.inputs[0]) if call.inputs else None
        if type(before) is keras.layers.Dropout and before.rate:
            return float(before.rate)
    return None
