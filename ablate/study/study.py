"""A study: all that its file says, as one frozen value.

The sections live beside this module (`data`, `model`, `train`, `placement`); here stand the
study itself and its smaller parts. `ablate.study.expand` turns it into arms and trials.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ablate.study.data import Data
from ablate.study.model import Model
from ablate.study.placement import Placement, Removal, Selector
from ablate.study.strict import Strict
from ablate.study.train import Train

NAME = r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$"


class Variant(Strict):
    """The base model with its placements and overrides, as declared."""

    extends: str | list[str] = []
    insert: list[Placement] = []
    remove: list[Removal | str] = []
    train: dict[str, Any] = {}
    model: dict[str, Any] = {}
    data: dict[str, Any] = {}


class LeaveOneOut(Strict):
    """Variants that lack one placement, site or layer of `from`."""

    from_: str = Field(alias="from")
    by: Literal["placement", "site", "layer"] = "placement"
    where: Selector | None = None


class Probe(BaseModel):
    """A measurement inside the network: `name`, `every` n epochs, on `probe_rows` rows."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    name: str
    every: int = Field(default=1, ge=1)
    probe_rows: int = Field(default=64, ge=2)

    @property
    def arguments(self) -> dict[str, Any]:
        """The probe's own arguments."""
        return dict(self.model_extra or {})


class Analysis(Strict):
    """What the report measures: the metric, its direction, the level, what counts as collapse."""

    metric: str = "auto"
    direction: Literal["auto", "max", "min"] = "auto"
    confidence: float = Field(default=0.95, gt=0, lt=1)
    collapse: Literal["auto", "none"] | float = "auto"


class Execution(Strict):
    """Where trials run. None of it changes a number."""

    executor: Literal["processes", "serial", "inline", "ray", "slurm"] = "processes"
    workers: Literal["auto"] | int = "auto"
    address: str | None = None
    cpus_per_trial: float | None = Field(default=None, gt=0)
    gpus_per_trial: float | None = Field(default=None, ge=0)
    partition: str | None = None


class Dimension(Strict):
    """One searched field: exactly one of `float`, `int`, `choice`, `bool`."""

    float_: tuple[float, float] | None = Field(default=None, alias="float")
    int_: tuple[int, int] | None = Field(default=None, alias="int")
    choice: list[Any] | None = None
    bool_: bool | None = Field(default=None, alias="bool")
    sampling: Literal["linear", "log", "reverse_log"] = "linear"
    step: float | None = Field(default=None, gt=0)


class Search(Strict):
    """The `search` section (DESIGN.md section 8)."""

    oracle: str = "random"
    trials: int = Field(default=20, ge=1)
    seeds: int = Field(default=1, ge=1)
    seed: int = Field(default=0, ge=0)
    objective: str = "val_loss"
    direction: Literal["auto", "max", "min"] = "auto"
    space: dict[str, Dimension]
    confirm_seeds: int = Field(default=5, ge=0)


class Expect(Strict):
    """A published value that the study is held against."""

    claim: Literal["value", "ordering", "collapse_rate", "ratio"]
    variant: str
    than: str | None = None
    metric: str
    value: float | None = None
    sd: float | None = Field(default=None, ge=0)
    range: tuple[float, float] | None = None
    n: int | None = Field(default=None, ge=1)
    source: str


class Study(Strict):
    """All that a study file says."""

    study: str = Field(pattern=NAME)
    data: Data
    model: Model
    train: Train = Train()
    execution: Execution = Execution()
    seeds: int | list[int] = 5
    variants: dict[str, Variant] = {}
    factors: dict[str, dict[str, Variant]] = {}
    leave_one_out: LeaveOneOut | None = None
    baseline: str | None = None
    allow_duplicates: bool = False
    probes: list[str | Probe] = []
    analysis: Analysis = Analysis()
    profiles: dict[str, dict[str, Any]] = {}
    search: Search | None = None
    expect: list[Expect] = []
