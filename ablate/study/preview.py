"""What a variant becomes when it is built, as `plan` shows it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class VariantPlan:
    """A variant, built once and not trained.

    `inserted` has each inserted layer with its site in words, `skipped` each host that could
    not take a position, with the reason, `removed` and `frozen` layers of the base model by
    path, `changed` what became of those that were replaced or changed. `output` is the activation
    the model ends with, `loss` the loss it is trained with, `steps` the steps of an epoch. `notes`
    are what to know before training, `cautions` what may spoil the comparison.
    """

    name: str
    inserted: tuple[str, ...]
    skipped: tuple[str, ...]
    removed: tuple[str, ...]
    frozen: tuple[str, ...]
    parameters: int
    trainable: int
    output: str
    loss: str
    rows: dict[str, int]
    steps: int
    notes: tuple[str, ...]
    metrics: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()
    brings: str = ""  # normalization and Dropout of a model that somebody brought
    weights: str = ""  # whether training starts from kept weights, or from fresh ones
    changed: tuple[str, ...] = ()


@dataclass(frozen=True)
class AugmentedRows:
    """Rows of a variant's first batch: as they are, and as augmentation makes them.

    `pixels` has arrays (rows, height, width, channels), the first before augmentation, one for each
    draw after it; `labels` what each row's label is called there.
    """

    variant: str
    seed: int
    pixels: tuple[Any, ...]
    labels: tuple[tuple[str, ...], ...]


def offer_lines(study: Any, built: Iterable[Any]) -> list[str]:
    """Return what could be asked of a model's own BatchNormalization and Dropout, if nothing is.

    Args:
        study: its variants and `leave_one_out` say what is asked.
        built: what its variants became.
    """
    specs = [each.spec for each in study.resolved]
    asked = any(spec.remove or spec.replace or spec.change for spec in specs)
    brings = next((each.brings for each in built if each.brings), "")
    if not brings or asked or study.leave_one_out is not None:
        return []
    return [
        f"The model has {brings} of its own, in every variant. What each is worth tells "
        "leave_one_out: {from: model}; other rates and momenta, change: [{where: Dropout, rate: "
        "0.2}]."
    ]


def weights_lines(named: Iterable[tuple[str, str]]) -> list[str]:
    """Return what variants start from, said once where it is the same for all.

    >>> weights_lines([("plain", "fresh"), ("bn", "fresh")])
    ['Weights: fresh.']
    """
    by_text: dict[str, list[str]] = {}
    for name, text in named:
        if text:
            by_text.setdefault(text, []).append(name)
    if len(by_text) == 1:
        return [f"Weights: {next(iter(by_text))}."]
    return [f"Weights of {', '.join(names)}: {text}." for text, names in by_text.items()]
