"""How a trial is trained: the `train` section of a study."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ablate.study.strict import Strict


class Named(BaseModel):
    """A Keras object by name, with its arguments beside the name."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    name: str

    @property
    def arguments(self) -> dict[str, Any]:
        """Everything but the name."""
        return dict(self.model_extra or {})


class Called(BaseModel):
    """Anyone's own object: `call: package.module:Class`, with its arguments beside it."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    call: str

    @property
    def arguments(self) -> dict[str, Any]:
        """Everything but the import path."""
        return dict(self.model_extra or {})


class EarlyStopping(Strict):
    """Stop when `monitor` has not improved for `patience` epochs; restore the best weights."""

    monitor: str = "val_loss"
    patience: int = Field(default=5, ge=0)
    min_delta: float = Field(default=0.0, ge=0)
    mode: Literal["auto", "min", "max"] = "auto"


class Train(Strict):
    """The `train` section."""

    epochs: int = Field(default=20, ge=0)
    batch_size: int = Field(default=32, ge=1)
    optimizer: str | Named = Named(name="sgd")
    learning_rate: float = Field(default=0.01, ge=0)
    schedule: Named | None = None
    loss: str | Named = "auto"
    metrics: Literal["auto"] | list[str | Named | Called] = "auto"
    early_stopping: EarlyStopping | None = None
    max_norm: float | None = Field(default=None, gt=0)
    freeze: str | list[str] | None = None
    callbacks: list[Called] = []
    class_weight: dict[int, float] | Literal["balanced"] | None = None
    dtype: Literal["float32", "float64", "mixed_float16", "mixed_bfloat16"] = "float32"
    jit_compile: bool = False
    deterministic: bool = True
    threads: Literal["auto"] | int = "auto"
    time_limit: float | None = Field(default=None, gt=0)
    save: Literal["none", "final", "best"] = "none"
