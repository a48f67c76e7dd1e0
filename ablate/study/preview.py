"""What a variant becomes when it is built, as `plan` shows it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class VariantPlan:
    """A variant, built once and not trained.

    `inserted` has each inserted layer with its site in words, `skipped` each host that could
    not take a position, with the reason, `removed` and `frozen` layers of the base model by
    path. `output` is the activation the model ends with, `loss` the loss it is trained with,
    `steps` the steps of an epoch. `notes` are what to know before training, `cautions` what may
    spoil the comparison.
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
