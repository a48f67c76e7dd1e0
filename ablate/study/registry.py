"""The kinds that a section of a study can be of, each with the arguments it takes.

`model` and `data` say by one key which kind they are, each of `probes` by its name; further keys
are that kind's arguments. A kind is declared by a strict pydantic class, so each argument has a
type, a default and a sentence, a wrong one is reported at its own path, and the JSON Schema lists
the kinds one by one. The declaration of a model or a source names its implementation,
`package.module:function`, which is imported when it is first used: whoever declares one adds a
line nowhere else. Packages that are installed declare theirs in modules that their entry points
of the group `ablate` name.
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, ClassVar, TypeVar

from pydantic import (
    GetJsonSchemaHandler,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from ablate.errors import StudyError, nearest
from ablate.reasons import reason
from ablate.study.schema.strict import OpenModel, Strict
from ablate.study.validation import InvalidFields, Problem, invalid, problems_of

T = TypeVar("T", bound=Strict)

#: The shape of an example, or what gives it from a kind's arguments.
Shape = tuple[int, ...] | Callable[[Mapping[str, Any]], tuple[int, ...]]


class NoArguments(Strict):
    """Takes nothing beside its name."""


@dataclass(frozen=True)
class Kind:
    """One way to fill a section: the `key` that names it and the arguments it takes.

    `names` are the values the key may have (None: a path or an import path). `arguments` is
    None where anything goes, because someone else's function takes them. `shared` are the
    section's own fields that this kind uses beyond the key. `implementation` is where its
    function or class is imported from. `shape`, of data, is that of one example, or gives it
    from the arguments; None where only reading tells.
    """

    title: str
    key: str
    names: tuple[str, ...] | None
    arguments: type[Strict] | None
    about: str
    implementation: str = ""
    shared: tuple[str, ...] = ()
    shape: Shape | None = None

    def load(self) -> Any:
        """Import the implementation and return it."""
        return pkgutil.resolve_name(self.implementation)

    def complete(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return `arguments` with the defaults filled in (they are valid already)."""
        if self.arguments is None:
            return dict(arguments)
        return self.arguments.model_validate(dict(arguments)).model_dump()

    def check(self, arguments: Mapping[str, Any], fields: Iterable[str]) -> None:
        """Check the arguments; `fields` are the section's own keys, which a typo may have meant.

        Raises:
            InvalidFields: unknown arguments (with the nearest valid name) or wrong values.
        """
        if self.arguments is None:
            return
        known = list(self.arguments.model_fields)
        takes = f"It takes: {', '.join(known)}." if known else "It takes none."
        problems = [
            Problem(
                (key,),
                f"not an argument of {self.title}.{nearest(key, [*known, *fields])} {takes}",
            )
            for key in arguments
            if key not in known
        ]
        fitting = {key: value for key, value in arguments.items() if key in known}
        try:
            self.arguments.model_validate(fitting)
        except ValidationError as error:
            problems += problems_of(error, self.arguments, fitting)
        if problems:
            raise InvalidFields(*problems)


class Registry(dict[str, Kind]):
    """The kinds of one section by title, in the order in which they were declared."""

    _installed = False

    def add(self, *kinds: Kind) -> None:
        """Declare kinds."""
        self.update((kind.title, kind) for kind in kinds)

    def register(
        self,
        name: str,
        implementation: str,
        about: str | None = None,
        *,
        shared: tuple[str, ...] = (),
        shape: Shape | None = None,
    ) -> Callable[[type[T]], type[T]]:
        """Declare the kind `name`, whose arguments are the fields of the decorated class.

        Args:
            name: what a study calls it.
            implementation: "package.module:function", imported when it is first used.
            about: a sentence for the reference and the JSON Schema; default: the class's own.
            shared: fields of the section that it uses too.
            shape: of data: the shape of an example, or a function of the arguments.
        """

        def declare(arguments: type[T]) -> type[T]:
            text = about or inspect.cleandoc(arguments.__doc__ or "")
            self.add(Kind(name, "name", (name,), arguments, text, implementation, shared, shape))
            return arguments

        return declare

    @property
    def names(self) -> tuple[str, ...]:
        """Every value that the key `name` may have."""
        return tuple(name for kind in self.values() for name in kind.names or ())

    def find(self, key: str, name: str) -> Kind | None:
        """Return the kind that `key: name` means, also if an installed package declares it."""
        for kind in self.values():
            if kind.key == key and (kind.names is None or name in kind.names):
                return kind
        if self._installed:
            return None
        self.load_installed()
        return self.find(key, name)

    def load_installed(self) -> None:
        """Import, once, the modules in which installed packages declare kinds.

        Raises:
            StudyError: one of them cannot be imported.
        """
        if self._installed:
            return
        self._installed = True
        for each in entry_points(group="ablate"):
            try:
                each.load()
            except Exception as error:
                raise StudyError(
                    f"The entry point '{each.name} = {each.value}' of the group 'ablate' cannot be "
                    f"loaded: {reason(error)}. Mend or uninstall the package that declares it."
                ) from error


class Chosen(OpenModel):
    """A section that is of one of several kinds; its further keys are that kind's arguments."""

    _registry: ClassVar[Registry]
    _keys: ClassVar[tuple[str, ...]] = ("name",)

    @property
    def given_keys(self) -> list[str]:
        """The keys of those that name a kind which are there."""
        return [key for key in self._keys if getattr(self, key) is not None]

    @property
    def kind(self) -> Kind:
        """The kind that this section names, with the arguments it takes."""
        key = self.given_keys[0]
        kind = self._registry.find(key, getattr(self, key))
        assert kind is not None  # checked when the section was made
        return kind

    @property
    def label(self) -> str:
        """What messages call it."""
        return str(getattr(self, self.given_keys[0]))

    @property
    def arguments(self) -> dict[str, Any]:
        """The keys beside the declared ones, as given, and of a `call` those under `arguments`."""
        given = super().arguments
        if self._apart:
            del given["arguments"]
        return given | self._apart

    @property
    def _apart(self) -> dict[str, Any]:
        """What stands under `arguments`: of a function, what is a key of the section as well."""
        given = super().arguments.get("arguments")
        called = getattr(self, "call", None) is not None
        return dict(given) if called and isinstance(given, Mapping) else {}

    def complete_arguments(self) -> dict[str, Any]:
        """Return the kind's arguments with its defaults filled in."""
        return self.kind.complete(self.arguments)

    def _check_arguments(self) -> None:
        given = super().arguments
        if getattr(self, "call", None) is not None and "arguments" in given:
            apart = given["arguments"]
            if not isinstance(apart, Mapping) or not all(isinstance(key, str) for key in apart):
                raise invalid(f"expected a mapping of names. Received: {apart!r}.", "arguments")
            for key in apart:
                if key in given:
                    raise invalid(f"'{key}' is given twice: here and beside it.", "arguments", key)
        self.kind.check(self.arguments, type(self).model_fields)

    @model_serializer(mode="wrap")
    def _dump(
        self, handler: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> dict[str, Any]:
        document: dict[str, Any] = handler(self)
        if not (info.exclude_unset or info.exclude_defaults):
            # What is left to a default is the same study as what spells it out.
            complete = self.complete_arguments().items()
            document.update({key: each for key, each in complete if key not in self._apart})
        return document

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        document = handler(core_schema)
        list_kinds(handler.resolve_ref_schema(document), cls._registry.values())
        return document


def list_kinds(plain: dict[str, Any], kinds: Iterable[Kind]) -> None:
    """Make `plain`, the JSON Schema of a section, list its kinds one by one, in place."""
    kinds = list(kinds)
    special = {field for kind in kinds for field in (kind.key, *kind.shared)}
    fields = plain.pop("properties", {})
    common = {name: value for name, value in fields.items() if name not in special}
    plain.pop("additionalProperties", None)
    plain["anyOf"] = [_alternative(kind, fields, common) for kind in kinds]


def _alternative(
    kind: Kind, fields: Mapping[str, Any], common: Mapping[str, Any]
) -> dict[str, Any]:
    key = {"type": "string", "description": kind.about}
    if kind.names is not None:
        key["enum"] = list(kind.names)  # type: ignore[assignment]
    own: dict[str, Any] = {}
    if kind.arguments is not None:
        own = kind.arguments.model_json_schema().get("properties", {})
    shared = {name: fields[name] for name in kind.shared if name in fields and name not in own}
    return {
        "title": kind.title,
        "description": kind.about,
        "type": "object",
        "properties": {kind.key: key, **shared, **own, **common},
        "required": [kind.key],
        "additionalProperties": kind.arguments is None,
    }
