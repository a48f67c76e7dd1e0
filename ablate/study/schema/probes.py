"""The probes that a study can name, and the arguments of each.

A table, not code that measures: names, types, defaults and a sentence for each argument are known
here without Keras, so that a slip is found before it is imported. `ablate.probes` has a class of
each name, whose own defaults a test holds against these.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from ablate.study.arguments import Kind, schema
from ablate.study.schema.placement import Selector
from ablate.study.schema.strict import OpenModel, Strict


class Activations(Strict):
    """Arguments of `activations`."""

    where: Selector = Field(default="hidden", description="Which layers, as a placement says it.")
    unit: int | None = Field(
        default=None, description="The unit followed by itself; default the middle one.", ge=0
    )
    bins: int = Field(default=30, ge=2, le=200, description="Bins of the histograms.")


class Batchnorm(Strict):
    """Arguments of `batchnorm`."""

    bins: int = Field(default=30, ge=2, le=200, description="Bins of the histograms.")


class CovariateShift(Strict):
    """Arguments of `covariate_shift`."""

    step: float | None = Field(
        default=None, gt=0, description="Length of the step; default the learning rate."
    )


class Dropout(Strict):
    """Arguments of `dropout`."""

    samples: int = Field(default=50, ge=1, le=1000, description="Thinned networks drawn.")
    bins: int = Field(default=30, ge=2, le=200, description="Bins of the histograms.")


class FittedCurve(Strict):
    """Arguments of `fitted_curve`."""

    points: int = Field(default=200, ge=2, le=2000, description="Points of the curve.")
    margin: float = Field(
        default=0.1, ge=0, description="How far beyond the data it goes, as a share of their range."
    )
    samples: int = Field(
        default=0, ge=0, le=1000, description="Thinned networks drawn for the band; 0 for none."
    )


class Gradients(Strict):
    """Arguments of `gradients`."""

    small: float = Field(
        default=1e-7, gt=0, description="A derivative below it in size has vanished."
    )
    large: float = Field(default=1e2, gt=0, description="One above it in size has exploded.")


class Landscape(Strict):
    """Arguments of `landscape`."""

    steps: int = Field(default=8, ge=2, le=100, description="Points along the gradient.")
    nearest: float = Field(
        default=0.25, gt=0, description="The nearest of them, in learning rates."
    )
    farthest: float = Field(default=4.0, gt=0, description="The farthest, in learning rates.")
    rate: float | None = Field(
        default=None, gt=0, description="The unit of length; default the learning rate."
    )


class Mistakes(Strict):
    """Arguments of `mistakes`."""

    images: int = Field(default=32, ge=0, le=1000, description="Wrong examples kept as images.")
    size: int = Field(default=64, ge=8, le=512, description="Longest side of those, in pixels.")


class Perturbation(Strict):
    """Arguments of `perturbation`."""

    share: float = Field(default=0.01, gt=0, description="How far parameters are moved: 0.01: 1 %.")
    layers: Literal["first", "all", "both"] = Field(
        default="both", description="Whose parameters: the first layer's, all layers', or each."
    )
    kind: Literal["scale", "noise", "both"] = Field(
        default="both",
        description="Every parameter times 1 + share, or times 1 + share · a normal number.",
    )
    training: bool = Field(
        default=True,
        description="Whether a BatchNormalization works with the batch's statistics, as in "
        "training; else with its moving averages, which know nothing of the change.",
    )


class VarianceShift(Strict):
    """Arguments of `variance_shift`."""

    samples: int = Field(default=10, ge=1, le=1000, description="Draws of the Dropout masks.")


def _kind(name: str, arguments: type[Strict], about: str) -> Kind:
    return Kind(f"the probe {name}", "name", (name,), arguments, about)


#: Every probe by its name.
PROBES: dict[str, Kind] = {
    kind.names[0]: kind  # type: ignore[index]
    for kind in (
        _kind(
            "activations",
            Activations,
            "Percentiles, histograms, dead and saturated units of the hidden layers.",
        ),
        _kind(
            "batchnorm",
            Batchnorm,
            "gamma, beta, moving against batch statistics, training against inference mode.",
        ),
        _kind(
            "covariate_shift",
            CovariateShift,
            "How a step of the earlier layers moves a layer's gradient and its inputs.",
        ),
        _kind(
            "dropout",
            Dropout,
            "Sparsity of the hidden activations; averaged thinned networks against weight scaling.",
        ),
        _kind("fitted_curve", FittedCurve, "The function of one number that a network has fitted."),
        _kind("gradients", Gradients, "Norm of each layer's gradient, what vanishes or explodes."),
        _kind("landscape", Landscape, "Loss and gradient along the gradient's direction."),
        _kind("mistakes", Mistakes, "What is predicted wrongly, and how surely."),
        _kind(
            "perturbation",
            Perturbation,
            "What a small change of the parameters does to every layer.",
        ),
        _kind(
            "variance_shift",
            VarianceShift,
            "Variance before each BatchNormalization, as it is against as it was learned.",
        ),
    )
}


class Probe(OpenModel):
    """A measurement inside the network; its own arguments stand beside these."""

    name: str = Field(description=f"Which probe: {', '.join(PROBES)}.")
    every: int = Field(default=1, ge=1, description="Epochs between two measurements.")
    probe_rows: int = Field(default=64, ge=2, description="Validation rows it looks at.")

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        document = handler(core_schema)
        schema(cls, handler.resolve_ref_schema(document), PROBES.values())
        return document
