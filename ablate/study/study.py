"""A study: all that its file says, as one frozen value.

The sections live beside this module (`data`, `model`, `train`, `placement`, `search_space`);
here stand the study itself and its smaller parts. A study that exists is sound: what can be
checked without Keras was checked when it was made (`ablate.study.checks`). `arms` has its
variants with nothing left to inherit; `ablate.study.expand` says how they come about.
"""

from __future__ import annotations

import html
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    PrivateAttr,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from ablate.study.arguments import schema
from ablate.study.data import Data
from ablate.study.model import Model
from ablate.study.placement import Placement, Removal, Selector
from ablate.study.probes import PROBES
from ablate.study.search_space import Search
from ablate.study.strict import Open, Range, Strict
from ablate.study.train import Train

if TYPE_CHECKING:
    from ablate.study.in_memory import Live
    from ablate.study.resolved import ResolvedVariant

NAME = r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$"

#: Seeds from here on belong to searches, so that a search never trains on a study's seeds.
SEARCH_SEEDS = 10_000

Name = Annotated[str, Field(pattern=NAME)]


class Variant(Strict):
    """The base model with its placements and overrides, as declared."""

    extends: str | list[str] = Field(
        default=[],
        description="Variants to start from: parents apply left to right, then this variant. "
        "A factor's level extends other levels of that factor.",
    )
    insert: list[Placement] = Field(default=[], description="Placements: layers to insert.")
    remove: list[
        Annotated[
            Removal,
            BeforeValidator(lambda value: _removal(value), json_schema_input_type=Removal | str),
        ]
    ] = Field(default=[], description="Layers of the base model to take out; a text is a selector.")
    train: dict[str, Any] = Field(
        default={},
        description="Fields of `train` that differ. Mappings merge by key; one that gives "
        "another `name` replaces the whole.",
    )
    model: dict[str, Any] = Field(default={}, description="Arguments of the model that differ.")
    data: dict[str, Any] = Field(
        default={}, description="What differs in the data: `limit` or `scale`."
    )

    @property
    def parents(self) -> tuple[str, ...]:
        """The variants this one extends, in order."""
        return (self.extends,) if isinstance(self.extends, str) else tuple(self.extends)


def _removal(value: Any) -> Any:
    return {"where": value} if isinstance(value, str) else value


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _plain(value: Any) -> Any:
    return {} if value is None else value  # `plain:` in YAML is null


#: A variant in a file: a mapping, or nothing at all for the plain network.
Declared = Annotated[Variant, BeforeValidator(_plain, json_schema_input_type=Variant | None)]


class Found(Strict):
    """A site (or layer of the base model) that leave-one-out leaves out in turn."""

    host: str = Field(
        description="The host layer, or the base model's own layer, by name; `path:` stands before "
        "the canonical path of one that Keras named."
    )
    layer: str = Field(description="The inserted layer, or the own layer: what the name says.")
    placement: int | None = Field(
        default=None, ge=0, description="Which of the variant's placements inserted it."
    )


def _by_layer(document: Any) -> Any:
    """Let `leave_one_out: {from: model}` mean its layers, unless a variant is called so."""
    if not isinstance(document, Mapping):
        return document
    rule, variants = document.get("leave_one_out"), document.get("variants") or {}
    if not isinstance(rule, Mapping) or rule.get("from") != "model" or "model" in variants:
        return document
    return {**document, "leave_one_out": {"by": "layer", **rule}}


class LeaveOneOut(Strict):
    """Variants that lack one placement, one site or one layer of `from`."""

    from_: str = Field(
        alias="from", description="A variant, or `model` for the layers a model brings itself."
    )
    by: Literal["placement", "site", "layer"] = Field(
        default="placement",
        description="What is left out in turn: a placement, one site of a placement, or a layer "
        "of the base model. With `from: model` it is layer.",
    )
    where: Selector | None = Field(
        default=None,
        description="With `by: layer`: which layers of the base model. With `from: model` its "
        "BatchNormalization and Dropout layers, if left out.",
    )
    found: list[Found] | None = Field(
        default=None,
        description="Written by `ablate` itself: the sites or layers that the selectors found, "
        "so that a resolved study needs no model to say its variants.",
    )


class Probe(Open):
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
    range: Range | None = Field(default=None, description="The published range: [low, high].")
    n: int | None = Field(default=None, ge=1, description="Runs behind the published value.")
    source: str = Field(description="Where it is published.")


class _Remembered:
    """What a study has worked out of itself; it makes no study differ from another."""

    def __init__(self) -> None:
        self.resolved: tuple[ResolvedVariant, ...] | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Remembered)

    __hash__ = None  # type: ignore[assignment]


class Study(Strict):
    """All that a study says.

    `model` and `data` also take live objects: a Keras model, a tuple `(x, y)`, a mapping of
    arrays, or a callable that returns one of these; `materialised` turns them into files.

    >>> study = Study(
    ...     study="mine", data={"name": "digits"}, model={"name": "cnn"},
    ...     variants={"plain": {}, "bn": {"insert": [{"layer": "BatchNormalization"}]}},
    ... )
    >>> study
    Study('mine': 2 variants x 5 seeds = 10 trials, baseline 'plain')

    Raises:
        StudyError: something in it cannot be obeyed; every slip is told at once.
    """

    study: Name = Field(description="The study's name, and its folder under `logs/`.")
    data: Data = Field(description="The examples: their source, split and scale.")
    model: Model = Field(description="The base model: a factory, a file or a call.")
    train: Train = Field(default=Train(), description="How every trial is trained.")
    execution: Execution = Field(default=Execution(), description="Where trials run.")
    seeds: int | list[int] = Field(
        default=5, description="How many seeds (5 is 0 to 4), or which: [0, 1, 2]."
    )
    variants: dict[Name, Declared] = Field(
        default={}, description="The variants, by name. `plain: {}` is the base model itself."
    )
    factors: dict[Name, dict[Name, Declared]] = Field(
        default={},
        description="In place of `variants`: factors with their levels, crossed in full; a "
        "variant is then called `bn=on,dropout=off`.",
    )
    leave_one_out: LeaveOneOut | None = Field(
        default=None, description="Adds variants that lack one part of another."
    )
    baseline: str | None = Field(
        default=None, description="The variant others are compared with. Default: the first."
    )
    allow_duplicates: bool = Field(
        default=False,
        description="Lets declared variants be equal (an A/A study) and salts their seeds.",
    )
    probes: list[Annotated[Probe, BeforeValidator(_named, json_schema_input_type=Probe | str)]] = (
        Field(default=[], description="Measurements inside the network; a text is a probe's name.")
    )
    analysis: Analysis = Field(
        default=Analysis(), description="What the report compares, and at what level."
    )
    profiles: dict[Name, dict[str, Any]] = Field(
        default={},
        description="Named sets of overrides for `--profile`, with dotted paths as keys: "
        "`quick: {train.epochs: 2, seeds: 3}`.",
    )
    search: Search | None = Field(
        default=None, description="A search over learning rates, rates and placements."
    )
    expect: list[Expect] = Field(
        default=[], description="Published values that a reproduction is held against."
    )

    numerics: int | None = Field(
        default=None,
        ge=1,
        description="Written by `ablate` itself: the version of its numbers that the trials were "
        "trained under. `report` and `status` look for those trials; `run` always trains under "
        "today's.",
    )

    _live: Live | None = PrivateAttr(default=None)
    _known: _Remembered = PrivateAttr(default_factory=lambda: _Remembered())

    @model_validator(mode="wrap")
    @classmethod
    def _sound(cls, document: Any, make: Any) -> Study:
        """Take live objects out of the document, make the study, and check it as a whole."""
        from ablate.study.checks import check
        from ablate.study.in_memory import take

        document, live = take(_by_layer(document))
        study = make(document)
        if live is not None:
            study._live = live
        check(study)
        return study

    @property
    def resolved(self) -> tuple[ResolvedVariant, ...]:
        """The variants with nothing left to inherit, in order, as far as they are known."""
        from ablate.study.expand import expand

        if self._known.resolved is None:
            self._known.resolved = tuple(expand(self))
        return self._known.resolved

    @property
    def seed_list(self) -> tuple[int, ...]:
        """The seeds, in order."""
        return tuple(range(self.seeds)) if isinstance(self.seeds, int) else tuple(self.seeds)

    @property
    def baseline_name(self) -> str:
        """The baseline's name: as declared, else the first variant's."""
        return self.baseline if self.baseline is not None else self.resolved[0].name

    @property
    def live(self) -> bool:
        """Whether a live object stands in it, so that it has to be materialised to run."""
        return self._live is not None

    def materialised(self, folder: str | os.PathLike[str]) -> Study:
        """Return this study with its live objects as files in `folder` (itself if it has none).

        The model becomes `model.keras`, the arrays `data.npz`. Equal objects give equal files,
        byte for byte, so a study made again in a new session finds its finished trials.
        """
        from ablate.study.in_memory import materialise

        return self if self._live is None else materialise(self, self._live, folder)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Study:
        """Return a copy, with `update` unchecked, as pydantic does; its arms are its own."""
        copy = super().model_copy(update=update, deep=deep)
        copy._known = _Remembered()
        return copy

    def __repr__(self) -> str:
        trials = sum(arm.alias_of is None for arm in self.resolved) * len(self.seed_list)
        return (
            f"Study({self.study!r}: {_count(len(self.resolved), 'variant')} x "
            f"{_count(len(self.seed_list), 'seed')} = {_count(trials, 'trial')}, "
            f"baseline {self.baseline_name!r})"
        )

    __str__ = __repr__

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(arm.name)}{' (baseline)' * (arm.name == self.baseline_name)}"
            f"</td><td>{html.escape(_told(arm))}</td></tr>"
            for arm in self.resolved
        )
        return (
            f"<p>{html.escape(repr(self))}</p>"
            f"<table><tr><th>variant</th><th>what it is</th></tr>{rows}</table>"
        )


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _told(arm: ResolvedVariant) -> str:
    """Say in a line what an arm's model has that the base model has not."""
    if arm.alias_of is not None:
        return f"the same as {arm.alias_of}"
    parts = [f"{each.layer} {each.at} {each.where}" for each in arm.spec.insert]
    parts += [f"without {each.where}" for each in arm.spec.remove]
    return "; ".join(parts) or "the base model"
