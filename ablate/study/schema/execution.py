"""Where trials run: the `execution` section of a study."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ablate.study.schema.strict import Strict


class Execution(Strict):
    """Where trials run. None of it changes a number."""

    executor: Literal["processes", "serial", "inline", "ray", "slurm"] = Field(
        default="processes",
        description="processes: a pool of worker processes; serial: one fresh process; inline: "
        "this process (debugging); ray, slurm: a cluster.",
    )
    workers: Literal["auto"] | Annotated[int, Field(ge=1)] = Field(
        default="auto", description="Worker processes; auto: cores divided by threads per trial."
    )
    address: str | None = Field(default=None, description="Address of the Ray cluster.")
    cpus_per_trial: float | None = Field(default=None, gt=0, description="Cores per trial.")
    gpus_per_trial: float | None = Field(default=None, ge=0, description="GPUs per trial.")
    partition: str | None = Field(default=None, description="Slurm partition.")
