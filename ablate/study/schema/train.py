"""How a trial is trained: the `train` section of a study.

Every field is checked as far as that goes without Keras: the names of optimizers, losses,
metrics and schedules, and the arguments beside them. Names are brought to one spelling
(`SGD`, `sgd` → `sgd`; `mse` → `mean_squared_error`), so that two spellings of one thing are
one trial. What only a model can tell (does this loss fit this output?) is settled by
`ablate.training.preview`, before any training.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)

from ablate.study.keras_names import (
    LOSS_ARGUMENTS,
    LOSSES,
    METRICS,
    SCHEDULES,
    is_own,
    loss_name,
    snake,
)
from ablate.study.keras_objects import as_text
from ablate.study.metrics import RESERVED, alike, bare, by_output, reported_as
from ablate.study.schema.augment import AugmentLayer, as_layer
from ablate.study.schema.optimizing import (
    Called,
    EarlyStopping,
    Either,
    Named,
    Optimizer,
    Phase,
    Schedule,
    check_arguments,
    no_such,
    source_of,
)
from ablate.study.schema.strict import Strict
from ablate.study.validation import invalid

_AS = Field(
    default=None,
    alias="as",
    description="What trials report it as, in place of the snake case of its class",
)


class NamedMetric(Named):
    """A Keras metric by name, its arguments and what it is reported `as` beside the name."""

    as_: str | None = _AS


class CalledMetric(Called):
    """Anyone's own metric: a class, or a function of targets and outputs."""

    as_: str | None = _AS


def _as_integers(value: Any) -> Any:
    """JSON has only text for keys."""
    if not isinstance(value, dict):
        return value
    return {int(k) if isinstance(k, str) and k.isdecimal() else k: v for k, v in value.items()}


def _form(value: Any) -> str:
    """Tell one loss from a mapping of outputs to losses: it has a name or a call."""
    if isinstance(value, list | tuple):
        return "list"
    outputs = isinstance(value, dict) and not {"name", "call"} & value.keys()
    return "outputs" if outputs else "one"


def _as_metrics(value: Any) -> Any:
    """Let one metric stand for a list of it, alone and for an output."""
    if value is None or value == "auto":
        return value
    if isinstance(value, dict) and not {"name", "call"} & value.keys():
        return {key: each if isinstance(each, list) else [each] for key, each in value.items()}
    value = value if isinstance(value, list) else [value]
    if any(isinstance(each, list) for each in value):
        return [each if isinstance(each, list) else [each] for each in value]
    return value


Augment = list[
    Annotated[
        Annotated[AugmentLayer, Tag("named")] | Annotated[Called, Tag("called")],
        Discriminator(source_of),
        BeforeValidator(as_layer, json_schema_input_type=AugmentLayer | Called | str),
    ]
]
Loss = str | Either
Losses = Annotated[
    Annotated[Loss, Tag("one")]
    | Annotated[dict[str, Loss], Tag("outputs")]
    | Annotated[list[Loss], Tag("list")],
    Discriminator(_form),
]
Metric = (
    str
    | Annotated[
        Annotated[NamedMetric, Tag("named")] | Annotated[CalledMetric, Tag("called")],
        Discriminator(source_of),
    ]
)
Metrics = list[Metric] | dict[str, list[Metric]] | list[list[Metric]]
ClassWeight = Annotated[
    dict[int, Annotated[float, Field(ge=0)]] | Literal["balanced"] | None,
    BeforeValidator(_as_integers),
]


class Train(Strict):
    """The `train` section: how every trial is trained."""

    epochs: int = Field(default=20, ge=0, le=10**9, description="Passes over the training rows.")
    batch_size: int = Field(default=32, ge=1, description="Rows per step; the last may be fewer.")
    steps_per_epoch: int | None = Field(
        default=None,
        ge=1,
        description="Steps of an epoch, for pipelines that never end or whose length is not known.",
    )
    optimizer: Optimizer = Field(
        default=Named(name="sgd"),
        description="A Keras optimizer by name, its arguments beside it: "
        "{name: sgd, momentum: 0.9}; or a class of your own by call. Left out, that which a model "
        "came compiled with.",
    )
    learning_rate: float = Field(
        default=0.01, ge=0, allow_inf_nan=False, description="The (first) learning rate."
    )
    schedule: Schedule | None = Field(
        default=None,
        description=f"How the rate changes: {', '.join(SCHEDULES)}. Lengths in steps or epochs; "
        "left out, they last for the whole training (cosine, polynomial) or one epoch. Or a class "
        "by call, which gets the learning rate as its initial_learning_rate.",
    )
    loss: Losses = Field(
        default="auto",
        description="A Keras loss, one of your own by call, or one per output; auto reads labels "
        "and output.",
    )
    loss_weights: dict[str, float] | list[float] | float | None = Field(
        default=None, description="What each output's loss counts, by output."
    )
    metrics: Annotated[
        Literal["auto"] | Metrics,
        BeforeValidator(_as_metrics, json_schema_input_type=Metric | Metrics),
    ] = Field(
        default="auto",
        description="Keras metrics, or lists of them per output; auto: accuracy, or mae for "
        "regression. A metric is reported under the snake case of its class (AUC: auc, "
        "BinaryIoU: binary_io_u), or as what {name: AUC, as: roc} says.",
    )
    weighted_metrics: Annotated[
        Metrics | None, BeforeValidator(_as_metrics, json_schema_input_type=Metric | Metrics | None)
    ] = Field(
        default=None, description="Metrics that the weights of rows or classes weigh, as metrics."
    )
    phases: list[Phase] | None = Field(
        default=None,
        min_length=1,
        description="Parts of the training one after another, as freezing and then unfreezing "
        "with a smaller rate; train.epochs, if given, is the sum of theirs.",
    )
    trust: bool = Field(
        default=False,
        description="Go on where the named loss or metrics do not fit the output's activation or "
        "the labels' shape; plan and reports still say so.",
    )
    early_stopping: EarlyStopping | None = Field(
        default=None, description="When to stop; the best weights are restored."
    )
    augment: Augment | None = Field(
        default=None,
        min_length=1,
        description="Layers of Keras that change the training rows, one after the other, anew in "
        "each step: [{layer: RandomFlip, mode: horizontal}, MixUp]; or your own by call, a layer "
        "or a function of x, of x and y, with seed: {call: package.module:function}.",
    )
    max_norm: float | None = Field(
        default=None, gt=0, description="Bound on the norm of each unit's incoming weights."
    )
    freeze: str | list[str] | None = Field(
        default=None, description="A `where` selector: layers of the base model not to train."
    )
    callbacks: list[Called] = Field(default=[], description="Your own Keras callbacks.")
    class_weight: ClassWeight = Field(
        default=None, description="Weight of each class in the loss, or balanced."
    )
    dtype: Literal["float32", "float64", "mixed_float16", "mixed_bfloat16"] = Field(
        default="float32", description="Keras's dtype policy."
    )
    jit_compile: bool = Field(default=False, description="Compile steps with XLA.")
    deterministic: bool = Field(
        default=True, description="Ask TensorFlow for deterministic kernels."
    )
    threads: Literal["auto"] | Annotated[int, Field(ge=1)] = Field(
        default="auto", description="Threads per trial; resolved once, part of the identity."
    )
    time_limit: float | None = Field(default=None, gt=0, description="Seconds a trial may take.")
    save: Literal["none", "final", "best"] = Field(
        default="none", description="Keep the trained model as .keras."
    )

    @model_validator(mode="before")
    @classmethod
    def _write_objects(cls, document: Any) -> Any:
        """Write Keras objects as text; null is silence, where a compiled model's own is taken."""
        if not isinstance(document, dict):
            return document
        silent = ("optimizer", "learning_rate", "loss", "metrics")
        said = {k: v for k, v in document.items() if v is not None or k not in silent}
        return as_text(said)

    @field_validator("loss")
    @classmethod
    def _check_loss(cls, loss: Any) -> Any:
        if isinstance(loss, dict):
            return {output: _one_loss(each, output) for output, each in loss.items()}
        if isinstance(loss, list):
            return [_one_loss(each, index) for index, each in enumerate(loss)]
        return _one_loss(loss)

    @field_validator("metrics", "weighted_metrics")
    @classmethod
    def _check_metrics(cls, metrics: Any) -> Any:
        for path, found in by_output(metrics):
            for index, each in enumerate(found):
                name = each if isinstance(each, str) else getattr(each, "name", None)
                if name is None or is_own(name) or snake(name) in METRICS:
                    continue
                raise invalid(no_such("metric", name, METRICS, snake(name)), *path, index)
            _check_metric_names(found, *path)
        return metrics

    @model_validator(mode="after")
    def _check_together(self) -> Train:
        if self.phases is not None:
            total = sum(each.epochs for each in self.phases)
            if "epochs" not in self.model_fields_set:
                self.__dict__["epochs"] = total  # nobody said it: it stays what the phases give
            elif self.epochs != total:
                raise invalid(
                    f"the phases have {total} epochs together. Leave train.epochs out, or let it "
                    f"be their sum. Received: {self.epochs}.",
                    "epochs",
                )
        name = getattr(self.optimizer, "name", None)
        own_steps = name == "adafactor" and self.optimizer.arguments.get("relative_step", True)
        if self.schedule is not None and own_steps:
            raise invalid(
                "Adafactor sets its own steps unless 'relative_step: false' stands beside "
                "its name; a schedule would only half apply.",
                "schedule",
            )
        return self


def _one_loss(loss: Loss, *path: str | int) -> Loss:
    """Bring a loss to its one spelling: a plain name where it has no arguments."""
    if isinstance(loss, Called):
        return loss
    given = loss if isinstance(loss, str) else loss.name
    arguments = {} if isinstance(loss, str) else loss.arguments
    if given == "auto" and not arguments:
        return "auto"
    if is_own(given):
        return loss
    name = loss_name(given)
    if name not in LOSSES:
        raise invalid(no_such("loss", given, LOSSES, name), *path)
    check_arguments(name, arguments, LOSSES[name] | LOSS_ARGUMENTS, "", *path)
    return Named(**{**arguments, "name": name}) if arguments else name


def _check_metric_names(metrics: list[Any], *path: str | int) -> None:
    """Refuse two metrics of one name, and names that mean something else in results."""
    first: dict[str, Any] = {}
    for index, each in enumerate(metrics):
        name = reported_as(each)
        if name is None:
            continue  # anyone's own object names itself
        if re.fullmatch(r"[A-Za-z][\w.-]*", name) is None:
            raise invalid(
                "expected a name of letters, digits, '.', '_' and '-' that begins with a letter. "
                f"Received: '{name}'.",
                *path,
                index,
                "as",
            )
        if name in RESERVED or bare(name) != name:
            raise invalid(
                f"A metric cannot be called '{name}': results have that name for something else.",
                *path,
                index,
                *(["as"] if getattr(each, "as_", None) else []),
            )
        if name in first:
            raise invalid(alike(name, first[name], each), *path, index)
        first[name] = each
