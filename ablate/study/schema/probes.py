"""The probes that a study can name: each is declared by a module, found by its name.

A module of `ablate/report/probes/` declares the probe of its name as `PROBE`; anyone's own is
named as `package.module:PROBE`. The declaration holds the arguments, so that a study is checked
without Keras, and says which class measures. A module is imported when its probe is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from ablate.errors import StudyError
from ablate.study.calls import find
from ablate.study.registry import Kind, list_kinds
from ablate.study.schema.strict import OpenModel, Strict

_PACKAGE = "ablate.report.probes"
_FOLDER = Path(__file__).parents[2] / "report" / "probes"


@dataclass(frozen=True, kw_only=True)
class DeclaredProbe:
    """What a study needs to know of a probe.

    Args:
        about: a sentence on what it measures.
        arguments: the model of its arguments.
        measurement: `module:Class` of its `ablate.probes.Measurement`, imported for training.
    """

    about: str
    arguments: type[Strict]
    measurement: str


def declared(name: str) -> DeclaredProbe | None:
    """Return the declaration of a probe, None where no probe is called `name`.

    Raises:
        StudyError: `name` is `module:NAME`, and that is no declaration of a probe.
    """
    if ":" not in name:
        if name not in PROBES:
            return None
        name = f"{_PACKAGE}.{name}:PROBE"
    found = find(name, "probes")
    if not isinstance(found, DeclaredProbe):
        raise StudyError(
            f"probes: '{name}' is a {type(found).__name__}. Expected a declaration of a probe "
            "(`ablate.report.probe_sections.ReportedProbe`)."
        )
    return found


def stem(name: str) -> str:
    """Return the name under which a probe's arrays are stored: its own, or that of its module."""
    return name.partition(":")[0]


class _Probes(Mapping[str, Kind]):
    """Every probe that comes with the package, by name; `get` finds anyone's own too."""

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(each.stem for each in _FOLDER.glob("[!_]*.py")))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __contains__(self, name: object) -> bool:
        return name in list(self)

    def __getitem__(self, name: str) -> Kind:
        if (probe := declared(name)) is None:
            raise KeyError(name)
        return Kind(f"the probe {name}", "name", (name,), probe.arguments, probe.about)


PROBES: Mapping[str, Kind] = _Probes()


class Probe(OpenModel):
    """A measurement inside the network; its own arguments are further keys."""

    name: str = Field(
        description=f"Which probe: {', '.join(PROBES)}; or your own, `package.module:PROBE`."
    )
    every: int = Field(default=1, ge=1, description="Epochs between two measurements.")
    probe_rows: int = Field(default=64, ge=2, description="Validation rows it measures on.")

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        document = handler(core_schema)
        plain = handler.resolve_ref_schema(document)
        own = Kind("a probe of your own", "name", None, None, "package.module:PROBE.")
        list_kinds(plain, [*PROBES.values(), own])
        plain["anyOf"][-1]["properties"]["name"]["pattern"] = ".:."
        return document
