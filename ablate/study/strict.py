"""The one base of everything that a study file can say.

Strict: an unknown key is an error, a number in quotes is not a number. Frozen: a study is a
value; what changes it makes a new one.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """A frozen pydantic model that refuses unknown keys and wrong types."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        validate_default=True,
        ser_json_inf_nan="constants",
    )
