"""Augmentation: layers of Keras, or functions of anyone's own, that change the training rows.

What can be judged without Keras is judged here: the names, the arguments, and what a list of them
does to shapes and labels.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import Field, model_validator

from ablate.errors import nearest
from ablate.study.keras_names import AUGMENTATIONS
from ablate.study.schema.strict import OpenModel
from ablate.study.validation import invalid

#: Layers that mix the rows of a batch, and their labels with them.
MIXING = ("CutMix", "MixUp")

#: Ways of RandomFlip.
_MODES = ("horizontal_and_vertical", "horizontal", "vertical")


class AugmentLayer(OpenModel):
    """A layer of Keras that draws, by its class, with its arguments beside it."""

    layer: str = Field(description="Its class in Keras: RandomFlip, RandomRotation, MixUp, …")

    @model_validator(mode="after")
    def _check(self) -> AugmentLayer:
        if self.layer not in AUGMENTATIONS:
            raise invalid(
                f"no augmentation of Keras is called '{self.layer}'."
                f"{nearest(self.layer, AUGMENTATIONS)} Expected one of: "
                f"{', '.join(AUGMENTATIONS)}; what does not draw belongs into the model, and your "
                "own comes by 'call'.",
                "layer",
            )
        known = AUGMENTATIONS[self.layer]
        for key in self.arguments:
            if key == "seed":
                raise invalid("the trial's seed decides what is drawn; leave it out.", key)
            if key not in known:
                raise invalid(
                    f"'{self.layer}' takes no '{key}'.{nearest(key, known)} "
                    f"It takes: {', '.join(sorted(known)) or 'nothing'}.",
                    key,
                )
        mode = self.arguments.get("mode", _MODES[0])
        if mode not in _MODES:  # Keras takes any, and flips nothing
            raise invalid(f"expected one of: {', '.join(_MODES)}. Received: {mode!r}.", "mode")
        if self.layer == "RandomCrop":
            for key in ("height", "width"):
                size = self.arguments.get(key)
                if not isinstance(size, int) or size < 1:
                    text = f"expected a number of pixels from 1. Received: {size!r}."
                    raise invalid(text, *([key] if key in self.arguments else []))
        return self


def as_layer(value: Any) -> Any:
    """Return the document of a layer that is named alone."""
    return {"layer": value} if isinstance(value, str) else value


def crop_of(augment: Iterable[Any] | None) -> tuple[int, int] | None:
    """Return the size that the last RandomCrop gives, None if there is none."""
    sizes = [
        (each.arguments["height"], each.arguments["width"])
        for each in augment or ()
        if getattr(each, "layer", None) == "RandomCrop"
    ]
    return sizes[-1] if sizes else None


def mixes(augment: Iterable[Any] | None) -> bool:
    """Whether labels are mixed with the rows."""
    return any(getattr(each, "layer", None) in MIXING for each in augment or ())
