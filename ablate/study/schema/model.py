"""What network a study starts from: a factory and its arguments, a file, a call, a study.

Exactly one of `name` (a factory or a network of `keras.applications`), `file`, `call` and
`study` (the network that a trial of another study left, which is trained first if need be);
`weights` says where the weights of an application (`imagenet`, `none`, a path) or of a file
(`keep`, `fresh`) come from. Everything else in the section is an argument of the factory or of
the call. Building is `ablate.models`' work.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import (
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from ablate.errors import nearest
from ablate.study.registry import Chosen, Registry
from ablate.study.schema.factories import APPLICATIONS, MODELS, WithHead, factories
from ablate.study.validation import invalid


class Model(Chosen):
    """The base model: `name` (a factory), `file` (a saved model) or `call` (anyone's own)."""

    _registry: ClassVar[Registry] = MODELS
    _keys: ClassVar[tuple[str, ...]] = ("name", "file", "call", "study")

    name: str | None = Field(default=None, description="A factory, or a keras.applications name.")
    file: str | None = Field(default=None, description="A saved model: .keras or .h5.")
    call: str | None = Field(
        default=None, description="package.module:function, which returns a model."
    )
    imports: list[str] | None = Field(
        default=None,
        description="Modules to import before a file is loaded, which register its classes.",
    )
    study: str | None = Field(
        default=None,
        description="Another study's file: the network that a trial of it left (`train.save`), "
        "trained first if it is not there yet.",
    )
    weights: str | None = Field(
        default=None,
        description="Of an application: imagenet, none (the default) or a file of weights; of a "
        "file: keep (the default) or fresh; of a call: keep or fresh, left out: keep those that "
        "were set or trained since their initializers gave them.",
    )
    kept: bool | dict[str, list[int]] | None = Field(
        default=None,
        description="Written by `ablate` itself: whether a call's model has weights that are kept; "
        "of a file: which, by layer.",
    )

    @property
    def application(self) -> str | None:
        """The network of `keras.applications` that this is, whose preprocessing it expects."""
        return self.name if self.name in APPLICATIONS else None

    @property
    def keeps_weights(self) -> bool:
        """Whether training starts from weights that are there already."""
        if self.study is not None:
            return True
        if self.file is not None:
            return self.weights != "fresh"
        if self.call is not None and self.weights in (None, "keep"):
            return bool(self.weights or self.kept)
        return self.application is not None and self.weights not in (None, "none")

    @property
    def own_head(self) -> str | None:
        """What is to become of the last layer that a network comes with: keep, replace or None."""
        return self.arguments.get("head") if self._comes_with_a_head else None

    @property
    def _comes_with_a_head(self) -> bool:
        arguments = self.kind.arguments
        return arguments is not None and issubclass(arguments, WithHead)

    @field_validator("name", mode="before")
    @classmethod
    def _lower(cls, name: Any) -> Any:
        # Keras writes VGG16 and ResNet50; people write both.
        low = name.lower() if isinstance(name, str) else name
        return low if low in APPLICATIONS else name

    @model_validator(mode="after")
    def _check(self) -> Model:
        _check_source(self)
        self._check_arguments()
        _check_weights(self)
        return self

    @model_serializer(mode="wrap")
    def _dump(
        self, handler: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> dict[str, Any]:
        document: dict[str, Any] = super()._dump(handler, info)
        if not (info.exclude_unset or info.exclude_defaults):
            if self._comes_with_a_head and document["head"] is None:
                del document["head"]  # came later than the ids of studies on disk
            if self.application is not None and self.weights is None:
                document["weights"] = "none"
            if self.file is not None and self.weights is None:
                document["weights"] = "keep"
        return document


def _check_source(model: Model) -> None:
    given = model.given_keys
    if model.imports is not None and model.file is None:
        raise invalid("'imports' belongs to a file, whose classes they register.", "imports")
    if not given:
        hint = next(filter(None, (nearest(key, Model._keys) for key in model.arguments)), "")
        raise invalid(
            "The model has no source. Give one of: name (a factory: "
            f"{', '.join(factories())}; or a network of keras.applications), file (a saved "
            f"model), call, study.{hint}"
        )
    if len(given) > 1:
        raise invalid(
            f"The model has {len(given)} sources: {', '.join(given)}. Give exactly one.", given[1]
        )
    if model.name is not None and MODELS.find("name", model.name) is None:
        raise invalid(
            f"There is no factory '{model.name}'.{nearest(model.name.lower(), MODELS.names)} "
            f"There are: {', '.join(factories())}, and every network of keras.applications (vgg16, "
            "resnet50, …). Your own model comes by 'file' or 'call'.",
            "name",
        )


def _check_weights(model: Model) -> None:
    weights = model.weights
    if weights is None:
        return
    if model.study is not None:
        raise invalid("A network that a study trained keeps its weights.", "weights")
    if model.name is not None and model.application is None:
        raise invalid(
            f"'{model.name}' is built here and starts fresh: it has no weights to load. "
            "'weights' belongs to a network of keras.applications or to a file.",
            "weights",
        )
    if model.file is not None and weights not in ("keep", "fresh"):
        raise invalid(
            f"The weights of a file are 'keep' or 'fresh'.{nearest(weights, ('keep', 'fresh'))} "
            f"Received: '{weights}'.",
            "weights",
        )
    if model.application is not None:
        if weights in ("keep", "fresh"):
            meant = "imagenet" if weights == "keep" else "none"
            raise invalid(
                f"The weights of '{model.name}' are 'imagenet', 'none' or the path of a file. "
                f"Did you mean '{meant}'?",
                "weights",
            )
        meant = nearest(weights, ("imagenet", "none"))
        if meant and weights not in ("imagenet", "none") and "." not in weights:
            raise invalid(
                f"The weights of '{model.name}' are 'imagenet', 'none' or the path of a file."
                f"{meant} Received: '{weights}'.",
                "weights",
            )
