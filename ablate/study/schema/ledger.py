"""Where a score's spread comes from: `ledger: {runs: 8}`, and the reseeding it is made of."""

from __future__ import annotations

from pydantic import Field

from ablate.study.schema.strict import Strict


class Ledger(Strict):
    """Train the baseline anew with one source of chance changed at a time.

    Beside each of `runs` seeds stand trials that differ from it in the initialization alone, the
    order of the batches, the masks and augmentation, or the split; and a few that differ in
    nothing.
    """

    runs: int = Field(default=8, ge=6, le=100, description="Seeds of the baseline to do so with.")


class Reseed(Strict):
    """Sources of chance that are drawn anew beside the trial's own seed, each by a number."""

    initialization: int | None = Field(default=None, ge=1, description="The initial weights.")
    order: int | None = Field(default=None, ge=1, description="The order of the batches.")
    masks: int | None = Field(
        default=None, ge=1, description="Masks of Dropout, noise, and augmentation."
    )
    split: int | None = Field(default=None, ge=1, description="Which rows are in which part.")
    rerun: int | None = Field(default=None, ge=1, description="Nothing: trained once more.")
