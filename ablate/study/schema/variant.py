"""Variants as a study declares them, and the rule that leaves one part of a variant out."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from ablate.study.keras_objects import as_text
from ablate.study.schema.placement import Change, Placement, Removal, Replacement, Selector
from ablate.study.schema.strict import Strict


class Variant(Strict):
    """The base model with its placements and overrides, as declared."""

    extends: str | list[str] = Field(
        default=[],
        description="Variants to start from: parents apply left to right, then this variant. "
        "A factor's level extends other levels of that factor.",
    )
    insert: list[Placement] = Field(default=[], description="Placements: layers to insert.")
    remove: list[
        Annotated[
            Removal,
            BeforeValidator(lambda value: _removal(value), json_schema_input_type=Removal | str),
        ]
    ] = Field(default=[], description="Layers of the base model to take out; a text is a selector.")
    replace: list[Replacement] = Field(
        default=[],
        description="Layers of the base model whose places others take, with their names.",
    )
    change: list[Change] = Field(
        default=[],
        description="Layers of the base model that get other arguments: after `remove` and "
        "`replace`, before `insert`. A variant's arguments count before those that it inherits "
        "with the same selector.",
    )
    train: Annotated[dict[str, Any], BeforeValidator(lambda given: as_text(given, whole=True))] = (
        Field(
            default={},
            description="Fields of `train` that differ. Mappings merge by key; one that gives "
            "another `name` replaces the whole.",
        )
    )
    model: dict[str, Any] = Field(default={}, description="Arguments of the model that differ.")
    data: dict[str, Any] = Field(
        default={}, description="What differs in the data: `limit` or `scale`."
    )

    @property
    def parents(self) -> tuple[str, ...]:
        """The variants this one extends, in order."""
        return (self.extends,) if isinstance(self.extends, str) else tuple(self.extends)


def _removal(value: Any) -> Any:
    return {"where": value} if isinstance(value, str) else value


def _plain(value: Any) -> Any:
    return {} if value is None else value  # `plain:` in YAML is null


#: A variant in a file: a mapping, or nothing at all for the plain network.
Declared = Annotated[Variant, BeforeValidator(_plain, json_schema_input_type=Variant | None)]


class Found(Strict):
    """A site (or layer of the base model) that leave-one-out leaves out in turn."""

    host: str = Field(
        description="The host layer, or the base model's own layer, by name; `path:` stands before "
        "the canonical path of one that Keras named."
    )
    layer: str = Field(description="The inserted layer, or the own layer: what the name says.")
    placement: int | None = Field(
        default=None, ge=0, description="Which of the variant's placements inserted it."
    )


class LeaveOneOut(Strict):
    """Variants that lack one placement, one site or one layer of `from`."""

    from_: str = Field(
        alias="from", description="A variant, or `model` for the layers a model brings itself."
    )
    by: Literal["placement", "site", "layer"] = Field(
        default="placement",
        description="What is left out in turn: a placement, one site of a placement, or a layer "
        "of the base model. With `from: model` it is layer.",
    )
    where: Selector | None = Field(
        default=None,
        description="With `by: layer`: which layers of the base model. With `from: model` its "
        "BatchNormalization and Dropout layers, if left out.",
    )
    found: list[Found] | None = Field(
        default=None,
        description="Written by `ablate` itself: the sites or layers that the selectors found, "
        "so that a resolved study needs no model to say its variants.",
    )
