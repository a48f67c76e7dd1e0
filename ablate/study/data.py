"""Where the examples come from, and how they are split and scaled.

One kind per study: a `name` (`digits`, `noisy_line` or a set of `keras.datasets`), the `path`
of an npz file, a `directory` of images, or a `call`. Loading is `ablate.data`'s work.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Scale = Literal["auto", "none", "unit", "standard", "application"]
Split = Literal["fixed", "per_seed"]


class Data(BaseModel):
    """The examples of a study: their source, their split, their scale."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    name: str | None = None
    path: str | None = None
    directory: str | None = None
    call: str | None = None
    image_size: tuple[int, int] | None = None
    validation: float = Field(default=0.15, ge=0, lt=1)
    test: float = Field(default=0.2, ge=0, lt=1)
    split: Split = "fixed"
    limit: int | None = Field(default=None, ge=1)
    scale: Scale = "auto"

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments of the source itself (of `noisy_line`, or of the `call`)."""
        return dict(self.model_extra or {})
