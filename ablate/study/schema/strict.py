"""The one base of everything that a study file can say.

Strict: an unknown key is an error, a number in quotes is not a number. Frozen: a study is a
value; what changes it makes a new one. `OpenModel` takes further keys, the arguments of a factory,
a layer or a probe, and hands them out as `arguments`. Whoever constructs one of these in Python
with a mistake in it gets a `StudyError` in plain words; what is nested is reported by the
outermost.

Schemas are built at first use (`defer_build`), so importing the sections stays quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ablate.study.validation import problems_of, study_error

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass as _Plainly
else:

    class _Plainly(type(BaseModel)):
        """Makes a direct construction raise `StudyError` where pydantic raises its own."""

        def __call__(cls, *args, **fields):
            try:
                return super().__call__(*args, **fields)
            except ValidationError as error:
                raise study_error(problems_of(error, cls, fields), of=cls.__name__) from None


class Strict(BaseModel, metaclass=_Plainly):
    """A frozen pydantic model that refuses unknown keys and wrong types."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        defer_build=True,
        ser_json_inf_nan="constants",
    )


class OpenModel(Strict):
    """A strict model that takes further keys: the arguments of what it names."""

    model_config = ConfigDict(extra="allow")

    @property
    def arguments(self) -> dict[str, Any]:
        """The keys beside the declared ones, as given."""
        return dict(self.model_extra or {})


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


#: Two numbers, the lower first by convention; a list in YAML.
Range = Annotated[
    tuple[float, float], BeforeValidator(_as_tuple, json_schema_input_type=tuple[float, float])
]
Integers = Annotated[
    tuple[int, int], BeforeValidator(_as_tuple, json_schema_input_type=tuple[int, int])
]

#: What a study, a variant, a placement may be called.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$")]
