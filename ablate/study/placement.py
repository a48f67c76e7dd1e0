"""Placements: a layer to insert and the sites it goes to; and removals, their opposite.

A placement is pure data. Which hosts a selector means, and whether a layer takes an argument,
is settled against a real model in `ablate.surgery`; what can be checked without Keras is
checked here, so that a misspelt `rate` is found before TensorFlow is imported.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ablate.errors import nearest
from ablate.study.strict import Strict

Position = Literal["before", "before_activation", "after_activation", "after"]
Selector = str | list[str]

POSITIONS: tuple[Position, ...] = ("before", "before_activation", "after_activation", "after")

_COMMON = {"trainable", "dtype"}
_NORMALIZATION = {
    "epsilon", "center", "scale", "beta_initializer", "gamma_initializer",
    "beta_regularizer", "gamma_regularizer", "beta_constraint", "gamma_constraint", "axis",
}  # fmt: skip

#: Arguments of the layers that placements use most, so that a slip is found without Keras.
LAYER_ARGUMENTS: dict[str, set[str]] = {
    "BatchNormalization": _COMMON
    | _NORMALIZATION
    | {"momentum", "moving_mean_initializer", "moving_variance_initializer", "synchronized"},
    "LayerNormalization": _COMMON | _NORMALIZATION,
    "GroupNormalization": _COMMON | _NORMALIZATION | {"groups"},
    "Dropout": _COMMON | {"rate", "noise_shape"},
    "SpatialDropout1D": _COMMON | {"rate"},
    "SpatialDropout2D": _COMMON | {"rate", "data_format"},
    "SpatialDropout3D": _COMMON | {"rate", "data_format"},
    "GaussianDropout": _COMMON | {"rate"},
    "AlphaDropout": _COMMON | {"rate", "noise_shape"},
}

#: Layers whose `rate` must be given and lie in [0, 1).
RATED = {name for name, arguments in LAYER_ARGUMENTS.items() if "rate" in arguments}


class Placement(BaseModel):
    """A layer to insert and the sites it goes to.

    `layer` is a Keras layer class by name (or any registered one); the layer's own arguments
    (`rate`, `momentum`, …) stand beside it and are found in `arguments`. `at` is the position
    relative to each host, `where` selects the hosts on the base model, `except` subtracts.
    `name` names the placement (for search paths and leave-one-out), not the layer.
    `calibrate: true` makes a BatchNormalization the identity on the training rows.
    """

    model_config = ConfigDict(strict=True, extra="allow", frozen=True, populate_by_name=True)

    layer: str
    at: Position = "after"
    where: Selector = "hidden"
    except_: Selector | None = Field(default=None, alias="except")
    name: str | None = None
    calibrate: bool = False

    @property
    def arguments(self) -> dict[str, Any]:
        """The layer's own arguments, as given beside `layer`."""
        return dict(self.model_extra or {})

    @property
    def label(self) -> str:
        """What search paths and leave-one-out call this placement: its name, else its layer."""
        return self.name or self.layer

    @model_validator(mode="after")
    def _check_arguments(self) -> Placement:
        own = set(Placement.model_fields) - {"except_"} | {"except"}
        known = LAYER_ARGUMENTS.get(self.layer)
        for key in self.arguments:
            if known is not None and key not in known:
                raise ValueError(
                    f"'{key}' is not an argument of {self.layer}."
                    f"{nearest(key, known | own)} It takes: {', '.join(sorted(known))}."
                )
        if self.layer in RATED:
            rate = self.arguments.get("rate")
            if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate < 1:
                raise ValueError(
                    f"{self.layer} needs a 'rate' (share dropped) of at least 0 and below 1. "
                    f"Received: {rate!r}."
                )
        if self.calibrate and self.layer != "BatchNormalization":
            raise ValueError(
                f"'calibrate' undoes a BatchNormalization; {self.layer} has no statistics to set."
            )
        return self


class Removal(Strict):
    """Layers to take out of the base model: those `where` selects, less `except`."""

    where: Selector
    except_: Selector | None = Field(default=None, alias="except")
