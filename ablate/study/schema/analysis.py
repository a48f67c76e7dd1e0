"""What a report measures, and the published values that it is held against."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ablate.study.schema.strict import Range, Strict


class Analysis(Strict):
    """What the report measures."""

    metric: str = Field(
        default="auto",
        description="The metric that variants are compared by, by Keras's name (`accuracy`); "
        "auto: accuracy, or the loss for regression.",
    )
    direction: Literal["auto", "max", "min"] = Field(
        default="auto", description="Whether more is better; auto knows Keras's own metrics."
    )
    confidence: float = Field(default=0.95, gt=0, lt=1, description="Level of every interval.")
    margin: float | None = Field(
        default=None,
        gt=0,
        description="Differences nearer to zero do not matter, in the metric's unit (0.01: a point "
        "of accuracy). With it a variant can be called equivalent to the baseline.",
    )
    compare: Literal["baseline", "all"] | None = Field(
        default=None,
        description="baseline: each variant with the baseline. all: each with each, and the set "
        "that holds the best; by default where variants differ in nothing but where they place the "
        "same layers.",
    )
    collapse: Literal["auto", "none"] | float = Field(
        default="auto",
        description="When a trial counts as collapsed. auto: its validation accuracy is not above "
        "the majority class by a binomial test (judged where accuracy is the metric); a number: a "
        "metric not better than it.",
    )
    target: float | None = Field(
        default=None,
        description="The validation metric to which learning speed is measured; by default what "
        "the baseline ended with, seed by seed.",
    )


class Expect(Strict):
    """A published value that the study is held against."""

    claim: Literal["value", "ordering", "collapse_rate", "ratio"] = Field(
        description="What is claimed: a value, `variant` better than `than`, a rate of "
        "collapses, or the ratio of `variant` to `than`."
    )
    variant: str = Field(description="The variant the claim is about.")
    than: str | None = Field(default=None, description="The variant it is compared with.")
    metric: str = Field(
        description="The metric, with its split: `test_accuracy`; `collapse_rate`; a probe's last "
        "value: `probe/dropout/dense1/mean`; or a curve's: `curve/loss`."
    )
    value: float | None = Field(default=None, description="The published value.")
    sd: float | None = Field(default=None, ge=0, description="Its published deviation.")
    n: int | None = Field(default=None, ge=1, description="Runs behind the published value.")
    margin: float | None = Field(
        default=None,
        gt=0,
        description="How far the result may lie from `value` and be consistent with it, in the "
        "metric's unit; chosen here, not published.",
    )
    range: Range | None = Field(
        default=None,
        description="In place of a margin, the range within which the result is consistent: "
        "[low, high]; chosen here, not published.",
    )
    source: str = Field(description="Where it is published.")
    changed_by: str | None = Field(
        default=None,
        description="Written by `ablate` itself where a profile or an override changes what is "
        "trained: there is no verdict then.",
    )
