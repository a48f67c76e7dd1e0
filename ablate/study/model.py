"""What network a study starts from: a factory and its arguments, a file, or a call."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """The base model: `name` (a factory), `file` (a saved model) or `call` (anyone's own)."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    name: str | None = None
    file: str | None = None
    call: str | None = None
    weights: str | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """The factory's or the call's own arguments."""
        return dict(self.model_extra or {})
