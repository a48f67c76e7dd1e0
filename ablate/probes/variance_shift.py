"""Probe `variance_shift`: what a Dropout does to the normalization that comes after it.

Per BatchNormalization, the variance of its input as it is at inference, the variance it has
learned, and the variance that the Dropouts give it in training. Where they differ the layer
divides by the wrong number, and the errors add up from layer to layer.

Source: Li et al. 2018. With keep probability p and an input of mean μ and variance σ², a Dropout
directly before makes Var_train / Var_test = ((σ² + μ²)/p − μ²)/σ², which is 1/p at μ = 0. The
shift of a layer is max(real/moving, moving/real). Cost: a forward pass of the probe's rows, and
one per draw of the masks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from ablate.probes.batchnorm import moments_of
from ablate.probes.layer_outputs import LayerOutputs, kept, layers_of, normalizations, value_of
from ablate.probes.measurement import Arrays, Context, Measurement
from ablate.surgery import dropout_before_norm
from ablate.surgery.graph import calls_by_layer, producer_of
from ablate.surgery.kinds import DROPOUT


@dataclass
class VarianceShift(Measurement):
    """Measure the variance before each BatchNormalization: real, learned, and in training.

    Args:
        samples: draws of the Dropout masks that the training variance is a mean of.

    Measures, per layer; means are over channels:
        inference_variance, moving_variance, training_variance/<layer>: (channels,).
        scalar/<layer>/shift: mean of max(real/moving, moving/real), real at inference, each with
            the layer's epsilon.
        scalar/<layer>/dropout_ratio: mean of training / inference variance.
        scalar/<layer>/closed_form: what that ratio is by the formula, from the inference mean and
            variance, where a Dropout is directly before.
        scalar/<layer>/over_closed_form: mean of the ratio of variances over the formula's.
    """

    samples: int

    def start(self, context: Context) -> None:
        super().start(context)
        model, self._layers = context.model, normalizations(context)
        self.layer_names = list(self._layers.values())
        dropouts = [each for each in layers_of(model, *DROPOUT) if getattr(each, "rate", 1)]
        watches = {layer: moments_of(layer) for layer in self._layers}
        self._draws = self.samples if dropouts else 1
        self._inference, self._thinned = kept(
            model,
            "variance_shift",
            lambda: (LayerOutputs(model, watches), LayerOutputs(model, watches, training=dropouts)),
        )
        self._direct = {layer: _rate_directly_before(model, layer) for layer in self._layers}
        self._feeds = [f"{dropout} → {norm}" for dropout, norm in dropout_before_norm(model)]

    def measure(self, epoch: int) -> Arrays:
        if not self._layers:
            return {}
        inference, _ = self._inference(self.context.x)
        draws = [self._thinned(self.context.x)[0] for _ in range(self._draws)]
        found: Arrays = {}
        for at, (layer, name) in enumerate(self._layers.items()):
            mean, real = inference[at]
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
            **super().finish(),
            "feeds": np.array(self._feeds, "U"),
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
