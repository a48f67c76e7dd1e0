"""Probe `perturbation`: what a small change of the parameters becomes on its way through.

The parameters of the first layer, or of every layer, are changed by a given share, all alike or
each by its own noise, and the relative change ‖a′ − a‖/‖a‖ is taken at every hidden layer. In a
stack of ReLU layers without biases 1 % in every layer is 1.01ⁿ − 1 at the n-th; 1 % in the first
alone stays 1 % at every depth; directly behind a normalization that works on the batch, next to
nothing is left of it.

Source: the often repeated "1 % grows to 9.3 % at the ninth layer", which is 1.01⁹ − 1. Cost: a
forward pass of the probe's rows per kind of change, and one more.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np

from ablate.probes.layer_outputs import (
    Trained,
    hidden_outputs,
    kept,
    normalizations,
    restored,
    trained_layers,
    value_of,
)
from ablate.probes.measurement import Arrays, Context, Measurement
from ablate.probes.predictions import output_change
from ablate.probes.statistics import relative_change
from ablate.surgery.kinds import kind_of


@dataclass
class Perturbation(Measurement):
    """Measure how a change of parameters travels.

    Args:
        share: how far parameters are moved; 0.01 is 1 %.
        layers: `first`, `all`, or `both` of these one after the other. Layers are those that
            weigh their inputs: conv, dense, recurrent, embedding; a normalization's own
            parameters are left as they are.
        kind: `scale` (times 1 + share), `noise` (times 1 + share · N(0, 1), the same numbers each
            time), or `both` one after the other.
        training: whether a BatchNormalization works with the batch's statistics.

    Measures, with `change` such as `all_scale`:
        scalar/<change>/<layer>/input, output: the relative change of what enters and what leaves
            the activation of each hidden layer.
        scalar/<change>/result: that of the network's output.
    """

    share: float
    layers: Literal["first", "all", "both"]
    kind: Literal["scale", "noise", "both"]
    training: bool

    def start(self, context: Context) -> None:
        super().start(context)
        self._weighing = [
            each
            for each in trained_layers(context.model, context.paths)
            if kind_of(each.layer) in ("conv", "dense", "recurrent", "embedding")
        ]
        scopes = ("first", "all") if self.layers == "both" else (self.layers,)
        kinds = ("scale", "noise") if self.kind == "both" else (self.kind,)
        self._changes = list(product(scopes, kinds))
        training = list(normalizations(context)) if self.training else []
        self._units, self._outputs = kept(
            context.model,
            ("perturbation", self.training),
            lambda: hidden_outputs(context, training=training, outputs=True),
        )
        self.layer_names = [unit.name for unit in self._units]

    def measure(self, epoch: int) -> Arrays:
        found: Arrays = {}
        before = self._outputs(self.context.x)
        for scope, kind in self._changes:
            chosen = self._weighing[:1] if scope == "first" else self._weighing
            with restored(each for layer in chosen for each in layer.variables):
                self._change(chosen, kind)
                after = self._outputs(self.context.x)
            self._compare(found, f"scalar/{scope}_{kind}", before, after)
        return found

    def finish(self) -> Arrays:
        return {
            **super().finish(),
            "changes": np.array([f"{scope}_{kind}" for scope, kind in self._changes], "U"),
            "share": np.array(self.share),
        }

    def _change(self, layers: list[Trained], kind: str) -> None:
        generator = np.random.default_rng(self.context.seed)
        for layer in layers:
            for variable in layer.variables:
                factor = generator.standard_normal(variable.shape) if kind == "noise" else 1.0
                value = value_of(variable)
                variable.assign((value * (1 + self.share * factor)).astype(value.dtype))

    def _compare(self, found: Arrays, stem: str, before: Any, after: Any) -> None:
        for unit, old, new in zip(self._units, before[0], after[0], strict=True):
            for side, was, now in zip(("input", "output"), old, new, strict=True):
                found[f"{stem}/{unit.name}/{side}"] = relative_change(was, now)
        found[f"{stem}/result"] = output_change(before[1], after[1])
