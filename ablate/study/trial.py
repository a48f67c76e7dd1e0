"""A trial, and what came of it: the two values that travel between driver, worker and store.

`Spec` is a variant resolved (nothing left to inherit), `Trial` one variant with one seed,
`TrialResult` what training it gave. All are plain, picklable, and JSON both ways.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from ablate.study.metrics import without_counters
from ablate.study.record_check import check
from ablate.study.schema.data import Data
from ablate.study.schema.ledger import Reseed
from ablate.study.schema.model import Model
from ablate.study.schema.placement import Change, Placement, Removal, Replacement
from ablate.study.schema.probes import Probe
from ablate.study.schema.strict import Strict
from ablate.study.schema.train import Train

Status = Literal["completed", "diverged", "failed", "interrupted"]

STATUSES: tuple[str, ...] = get_args(Status)

#: Outcomes that are not trained again.
FINAL: frozenset[str] = frozenset({"completed", "diverged"})


#: The folder, in a trial's work folder, of what its callbacks write.
FILES = "files"

#: Fields that name a file or folder: looked for where one works, then beside the study file.
FILE_FIELDS = (
    ("data", "path"), ("data", "table"), ("data", "directory"), ("model", "file"),
    ("model", "weights"), ("model", "study"),
)  # fmt: skip


class Spec(Strict):
    """A variant resolved: everything that decides a trial's numbers but its seed."""

    data: Data
    model: Model
    train: Train
    insert: list[Placement] = []
    remove: list[Removal] = []
    replace: list[Replacement] | None = None
    change: list[Change] | None = None
    reseed: Reseed | None = None


@dataclass(frozen=True)
class Trial:
    """One variant trained with one seed. `id` is its identity (DESIGN.md section 9)."""

    id: str
    variant: str
    seed: int
    spec: Spec
    factors: Mapping[str, str] = field(default_factory=dict)
    probes: tuple[Probe, ...] = ()
    salt: str = ""  # differs between declared duplicates only (allow_duplicates)
    metric: str = "auto"  # the study's analysis.metric, which is kept row by row

    def seed_of(self, source: str) -> int | str:
        """Return the seed of one source of chance (a field of `Reseed`)."""
        own = f"{self.seed}/{self.salt}" if self.salt else self.seed
        again = None if self.spec.reseed is None else getattr(self.spec.reseed, source)
        return own if again is None else f"{own}+{again}"


@dataclass(frozen=True)
class TrialResult:
    """What training a trial gave.

    `metrics` are the final ones, `train_`, `val_` and `test_` before Keras's own name, all in
    inference mode (`train_loss`, `val_accuracy`, …). `curves` has a list per history name with
    one entry per epoch, entry 0 before training (None where nothing was measured then):
    `loss`, `accuracy` (running values, as `fit` reports them), `val_loss`, `val_accuracy`,
    `learning_rate`. A non-finite number is None. `diverged` holds the epoch and step
    (both from 1) of the first non-finite loss or weight.
    """

    id: str
    variant: str
    seed: int
    status: Status
    factors: Mapping[str, str] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    curves: Mapping[str, list[float | None]] = field(default_factory=dict)
    epochs: int = 0  # trained
    best_epoch: int | None = None  # restored by early stopping
    phases: tuple[int, ...] = ()  # the last epoch of each, where there are several
    steps: int = 0
    diverged: Mapping[str, int] | None = None
    parameters: int | None = None
    bn_momentum: float | None = None  # the largest of the BatchNormalizations that trained
    rows: Mapping[str, int] = field(default_factory=dict)  # train, validation, test
    drawn: tuple[str, ...] | None = None  # parts that split: per_seed draws anew; None: not noted
    majority: float | None = None  # share of the commonest class among validation rows
    seconds: Mapping[str, float] = field(default_factory=dict)  # total, train, build, evaluate, …
    inference: tuple[float, ...] = ()  # seconds per 1000 examples, one per timed repeat
    environment: Mapping[str, str] = field(default_factory=dict)
    error: str | None = None  # the traceback of a failure
    notes: tuple[str, ...] = ()  # what the report should say of its network and data
    cautions: tuple[str, ...] = ()  # the same, where it may spoil the comparison
    attempts: int = 1
    probes: tuple[str, ...] = ()  # measured, with their arguments, as canonical strings
    seen: tuple[str, ...] = ()  # what names the rows of each epoch, of a pipeline of anyone's own
    measured: tuple[str, ...] = ()  # metrics, as canonical strings; (): those of the spec
    saved: str | None = None  # what kind of model was saved: final or best
    row_metric: str | None = None  # the metric that is kept row by row, of the test rows

    @property
    def final(self) -> bool:
        """Whether this outcome stands: completed or diverged."""
        return self.status in FINAL

    def to_json(self) -> dict[str, Any]:
        """Return the JSON document of this result; non-finite numbers are null."""
        return _finite(asdict(self))

    @classmethod
    def from_json(cls, document: Any) -> TrialResult:
        """Read `to_json`'s document; unknown keys (of a later version) are ignored.

        Raises:
            UnsoundRecord: it is no record of a trial, with the reason.
        """
        check(document, STATUSES)
        known = {key: value for key, value in document.items() if key in cls.__dataclass_fields__}
        for name in ("inference", "notes", "cautions", "probes", "measured", "seen", "phases"):
            known[name] = tuple(known.get(name, ()))
        if known.get("drawn") is not None:
            known["drawn"] = tuple(known["drawn"])
        for name in ("metrics", "curves"):
            if name in known:
                known[name] = without_counters(known[name], _declared(known.get("spec")))
        return cls(**known)


def contradiction(result: TrialResult, trial: Trial) -> str | None:
    """Return what of a record contradicts the trial whose id it has, as far as a glance tells."""
    if result.seed != trial.seed:
        return f"it is of seed {result.seed}, and its id is that of seed {trial.seed}"
    if not result.spec:
        return None
    try:
        epochs = result.spec["train"]["epochs"]
        layers = [each["layer"] for each in result.spec["insert"]]
    except (KeyError, TypeError):
        return "its 'spec' is not that of a trial"
    if epochs != trial.spec.train.epochs or layers != [each.layer for each in trial.spec.insert]:
        return "its 'spec' is that of another trial"
    return None


def probe_key(probe: Probe) -> str:
    """Return the canonical string of a probe and its arguments, as `TrialResult.probes` has it."""
    return json.dumps(probe.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))


def _declared(spec: Any) -> Any:
    """Return the metrics of a recorded spec; auto where it has none."""
    train = spec.get("train") if isinstance(spec, Mapping) else None
    metrics = train.get("metrics") if isinstance(train, Mapping) else None
    return metrics if isinstance(metrics, list | dict) else "auto"


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return value
