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
