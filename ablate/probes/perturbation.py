"""Probe `perturbation`: what a small change of the parameters becomes on its way through.

The parameters of the first layer, or of every layer, are changed by a given share, all alike or
each by its own noise, and the relative change ‖a′ − a‖/‖a‖ is taken at every hidden layer. In a
stack of ReLU layers without biases 1 % in every layer is 1.01ⁿ − 1 at the n-th; 1 % in the first
alone stays 1 % at every depth; directly behind a normalization that works on the batch, next to
nothing is left of it.

Source: the often told "1 % grows to 9.3 % at the ninth layer", which is 1.01⁹ − 1. Cost: a forward
pass of the probe's rows per kind of change, and one more.
"""

from __future__ import annotations

from typing import Any, Literal

import keras
import numpy as np

from ablate.probes.context import Arrays, Context, names
from ablate.probes.layer_outputs import (
    Look,
    Trained,
    Unit,
    hidden_units,
    kept,
    layers_of,
    restored,
    trained_layers,
    value_of,
)
from ablate.probes.statistics import relative_change
from ablate.surgery.hosts import kind_of


class Perturbation:
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

    moves = True

    def __init__(
        self,
        share: float = 0.01,
        layers: Literal["first", "all", "both"] = "both",
        kind: Literal["scale", "noise", "both"] = "both",
        training: bool = True,
    ) -> None:
        self._share, self._training = share, training
        self._scopes = ["first", "all"] if layers == "both" else [layers]
        self._kinds = ["scale", "noise"] if kind == "both" else [kind]
        self._units: list[Unit] = []

    def start(self, context: Context) -> None:
        self._x, self._seed = context.x, context.seed
        self._weighing = [
            each
            for each in trained_layers(context.model, context.paths)
            if kind_of(each.layer) in ("conv", "dense", "recurrent", "embedding")
        ]
        key = ("perturbation", self._training)
        self._units, self._look = kept(context.model, key, lambda: self._prepared(context))

    def measure(self, epoch: int) -> Arrays:
        found: dict[str, Any] = {}
        before = self._look(self._x)
        for scope in self._scopes:
            chosen = self._weighing[:1] if scope == "first" else self._weighing
            for kind in self._kinds:
                with restored(each for layer in chosen for each in layer.variables):
                    self._change(chosen, kind)
                    after = self._look(self._x)
                self._compare(found, f"scalar/{scope}_{kind}", before, after)
        return found

    def finish(self) -> Arrays:
        return {
            "layers": names([unit.name for unit in self._units]),
            "changes": names([f"{s}_{kind}" for s in self._scopes for kind in self._kinds]),
            "share": np.array(self._share),
        }

    def _prepared(self, context: Context) -> tuple[list[Unit], Look]:
        units = hidden_units(context.model, paths=context.paths)
        watches = {unit.watched: unit.watch for unit in units}
        working = layers_of(context.model, keras.layers.BatchNormalization)
        training = [layer for layer, _ in working] if self._training else []
        return units, Look(context.model, watches, training=training, outputs=True)

    def _change(self, layers: list[Trained], kind: str) -> None:
        generator = np.random.default_rng(self._seed)
        for layer in layers:
            for variable in layer.variables:
                factor = generator.standard_normal(variable.shape) if kind == "noise" else 1.0
                value = value_of(variable)
                variable.assign((value * (1 + self._share * factor)).astype(value.dtype))

    def _compare(self, found: dict[str, Any], stem: str, before: Any, after: Any) -> None:
        for unit, old, new in zip(self._units, before[0], after[0], strict=True):
            for side, was, now in zip(("input", "output"), old, new, strict=True):
                found[f"{stem}/{unit.name}/{side}"] = relative_change(was, now)
        pairs = zip(keras.tree.flatten(before[1]), keras.tree.flatten(after[1]), strict=True)
        found[f"{stem}/result"] = float(np.mean([relative_change(*pair) for pair in pairs]))
