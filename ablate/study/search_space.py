"""What a search varies: its space, and how a point of it changes a variant.

A path names a field: `train.<field>` (dotted further into mappings, as
`train.optimizer.momentum`) or `insert.<placement>.<field>`, where a placement is called by its
`name`, else by its layer, and `present` says whether it is there at all. `parameters_of` tells
which paths a variant has, `apply_point` the spec that a point makes of it. Keras Tuner is not
needed here: oracles and their hyperparameters are `ablate.search`'s work.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from ablate.errors import StudyError, nearest
from ablate.study.inherit import merge
from ablate.study.placement import LAYER_ARGUMENTS, Placement
from ablate.study.strict import Integers, Range, Strict
from ablate.study.train import Train
from ablate.study.trial import Spec
from ablate.study.validation import InvalidFields, Problem, invalid, shown

if TYPE_CHECKING:
    from ablate.study.resolved import ResolvedVariant

ORACLES = ("random", "quasirandom", "grid", "bayesian", "hyperband")

_PLACEMENT_FIELDS = ("present", "at", "where", "except", "calibrate")


class Dimension(Strict):
    """One searched field: exactly one of `float`, `int`, `choice`, `bool`."""

    float_: Range | None = Field(
        default=None, alias="float", description="Numbers from low to high: [1.0e-4, 1.0]."
    )
    int_: Integers | None = Field(
        default=None, alias="int", description="Whole numbers from low to high, both included."
    )
    choice: list[bool | int | float | str] | None = Field(
        default=None, min_length=1, description="One of these: numbers, or texts, or true/false."
    )
    bool_: Literal[True] | None = Field(
        default=None, alias="bool", description="`bool: true`: yes or no."
    )
    sampling: Literal["linear", "log", "reverse_log"] = Field(
        default="linear", description="How a range is drawn from, or walked by a grid."
    )
    step: float | None = Field(
        default=None, gt=0, description="Distance of grid points; a factor with log sampling."
    )

    @property
    def kind(self) -> Literal["float", "int", "choice", "bool"]:
        """Which of the four it is."""
        return next(key for key in ("float", "int", "choice", "bool") if self._of(key) is not None)

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Low and high of a range; None for choices."""
        return self.float_ if self.float_ is not None else self.int_

    def _of(self, kind: str) -> Any:
        return getattr(self, kind if kind == "choice" else kind + "_")

    @model_validator(mode="after")
    def _one_kind(self) -> Dimension:
        given = [key for key in ("float", "int", "choice", "bool") if self._of(key) is not None]
        if len(given) != 1:
            raise invalid(f"expected exactly one of float, int, choice, bool. Received: {given}.")
        if self.bounds is not None:
            self._check_range(given[0], *self.bounds)
        elif self.sampling != "linear" or self.step is not None:
            raise invalid(f"'sampling' and 'step' belong to a range; {given[0]} has none.")
        if self.choice is not None:
            self._check_choice(self.choice)
        return self

    def _check_range(self, kind: str, low: float, high: float) -> None:
        if not low < high:
            raise invalid(f"an empty range. Expected low < high. Received: [{low}, {high}].", kind)
        if self.sampling != "linear" and low <= 0:
            raise invalid(
                f"a {self.sampling} range must begin above 0. Received: [{low}, {high}].", kind
            )
        if self.step is None:
            return
        if self.sampling == "linear" and self.step > high - low:
            raise invalid(f"'step' {self.step:g} is larger than the range [{low}, {high}].", "step")
        if self.sampling != "linear" and self.step <= 1:
            raise invalid(
                f"with {self.sampling} sampling 'step' is a factor above 1. Received: "
                f"{self.step:g}.",
                "step",
            )
        if kind == "int" and self.step != int(self.step):
            raise invalid(f"whole numbers need a whole 'step'. Received: {self.step:g}.", "step")

    def _check_choice(self, choice: list[Any]) -> None:
        kinds = {type(each) if not isinstance(each, int | float) or isinstance(each, bool) else int
                 for each in choice}  # fmt: skip
        if len(kinds) > 1:
            raise invalid(
                f"choices must be all numbers, all texts or all true/false. Received: "
                f"{shown(choice)}.",
                "choice",
            )
        if len(choice) != len(set(choice)):
            raise invalid(f"a choice stands there twice. Received: {shown(choice)}.", "choice")

    def samples(self) -> tuple[Any, ...]:
        """Return values that stand for all: the ends of a range, or every choice."""
        if self.choice is not None:
            return tuple(self.choice)
        if self.int_ is not None:
            return self.int_
        return (True, False) if self.bool_ else (self.float_ or ())


class Search(Strict):
    """A search for the best point of a space, for each variant on an equal budget."""

    oracle: str = Field(
        default="random",
        description=f"Who proposes points: {', '.join(ORACLES)}, or `package.module:Class` for "
        "anyone's own Keras Tuner oracle.",
    )
    trials: int = Field(default=20, ge=1, description="Sampled points per variant.")
    seeds: int = Field(default=1, ge=1, description="Seeds per point.")
    seed: int = Field(default=0, ge=0, description="Seed of the oracle.")
    objective: str = Field(
        default="val_loss", description="The validation metric that points are judged by."
    )
    direction: Literal["auto", "max", "min"] = Field(
        default="auto", description="Whether more is better; auto knows Keras's own metrics."
    )
    space: dict[str, Dimension] = Field(
        min_length=1,
        description="Fields to vary: `train.<field>` or `insert.<placement name, else layer>."
        "<field>`; `present` is whether a placement is there at all.",
    )
    confirm_seeds: int = Field(
        default=5, ge=0, description="Fresh seeds for each variant's winner; only these count."
    )

    @model_validator(mode="after")
    def _fit_the_oracle(self) -> Search:
        problems = []
        if self.oracle not in ORACLES and ":" not in self.oracle:
            problems.append(
                Problem(
                    ("oracle",),
                    f"expected one of {', '.join(ORACLES)}, or package.module:Class. Received: "
                    f"{self.oracle!r}.{nearest(self.oracle, ORACLES)}",
                )
            )
        for path, dimension in self.space.items() if self.oracle == "grid" else ():
            if dimension.step is None and (
                dimension.kind == "float" or (dimension.kind == "int" and _logarithmic(dimension))
            ):
                text = "a grid needs a 'step' here, or a 'choice' of values in place of the range."
                problems.append(Problem(("space", path), text))
        if not self.objective.startswith("val_"):
            problems.append(
                Problem(
                    ("objective",),
                    "expected a validation metric (val_loss, val_accuracy, ...): choices are made "
                    f"on validation data alone. Received: {self.objective!r}.",
                )
            )
        if problems:
            raise InvalidFields(*problems)
        return self


def _logarithmic(dimension: Dimension) -> bool:
    return dimension.sampling != "linear"


def parameters_of(variant: ResolvedVariant, search: Search) -> dict[str, Dimension]:
    """Return the parameters that `arm` has, by path, in the order of the space.

    Every variant has the fields of `train`, but a part of one (`train.optimizer.momentum`) only
    if its own takes it; it has an `insert` path if it has that placement. The other fields of a
    placement matter only where `insert.<placement>.present` is true.
    """
    labels = {placement.label for placement in variant.spec.insert}
    return {
        path: dimension
        for path, dimension in search.space.items()
        if _placement_path(path, labels) is not None or _has_field(variant, path, dimension)
    }


def _has_field(variant: ResolvedVariant, path: str, dimension: Dimension) -> bool:
    if not path.startswith("train."):
        return False
    if path.count(".") == 1:
        return True
    return any(_accepts(variant.spec, path, value) for value in dimension.samples())


def _accepts(spec: Spec, path: str, value: Any) -> bool:
    try:
        apply_point(spec, {path: value})
    except StudyError:
        return False
    return True


def condition_of(path: str, search: Search) -> str | None:
    """Return the `present` path that `path` hangs on: it matters only where that is true."""
    head, _, last = path.rpartition(".")
    parent = f"{head}.present"
    return parent if path.startswith("insert.") and last != "present" and parent in search.space \
        else None  # fmt: skip


def apply_point(spec: Spec, point: Mapping[str, Any]) -> Spec:
    """Return the spec that `point` (path → value) makes of `spec`.

    Only the sections a point touches are validated again, so ten thousand points take a
    fraction of a second.

    Raises:
        StudyError: a field refuses its value, or the spec has no such parameter.
    """
    train: dict[str, Any] = {}
    inserts: dict[str, dict[str, Any]] = {}
    labels = {placement.label for placement in spec.insert}
    for path, value in point.items():
        if path.startswith("train."):
            _put(train, path.split(".")[1:], value)
            continue
        found = _placement_path(path, labels)
        if found is None:
            raise StudyError(f"{path}: {slip_for(path, labels)}")
        inserts.setdefault(found[0], {})[found[1]] = value
    update: dict[str, Any] = {}
    if train:
        update["train"] = Train(**merge(_fields(spec.train), train))
    if inserts:
        placed = (_placed(each, inserts.get(each.label, {})) for each in spec.insert)
        update["insert"] = [each for each in placed if each is not None]
    return spec.model_copy(update=update)


def values_at(spec: Spec, path: str) -> tuple[Any, ...]:
    """Return what `spec` has at a path of `parameters_of`: the inverse of `apply_point`.

    Returns:
        one value; none where the spec leaves the field to Keras; more than one where placements
        of one name differ.
    """
    if path.startswith("train."):
        sections: list[Any] = [_fields(spec.train)]
        keys = path.split(".")[1:]
    else:
        label, _, last = path.removeprefix("insert.").rpartition(".")
        placements = [_fields(each) for each in spec.insert if each.label == label]
        sections, keys = [{"present": True, **each} for each in placements], [last]
    for key in keys:
        sections = [each[key] for each in sections if isinstance(each, Mapping) and key in each]
    return tuple(each for at, each in enumerate(sections) if each not in sections[:at])


def slip_for(path: str, labels: set[str]) -> InvalidFields:
    """Return the complaint about a path that leads nowhere."""
    expected = f"Expected train.<field> or insert.<placement>.<field>, placements being " \
        f"{', '.join(sorted(labels)) or 'none here'}."  # fmt: skip
    if path.startswith("insert."):
        name = path.removeprefix("insert.").rpartition(".")[0]
        return invalid(
            f"no variant has a placement called '{name}'.{nearest(name, labels)} {expected}"
        )
    return invalid(f"not a path that can be searched. {expected}")


def check_path(path: str, labels: set[str], layers: Mapping[str, set[str]]) -> None:
    """Refuse a path that names no field.

    Args:
        path: as in `search.space`.
        labels: what the placements of all variants are called.
        layers: the layer classes behind each label.

    Raises:
        Slips: with the nearest valid name.
    """
    if path.startswith("train."):
        name = path.split(".")[1]
        fields = list(Train.model_fields)
        if name not in fields:
            raise invalid(
                f"'train' has no field '{name}'.{nearest(name, fields)} "
                f"It has: {', '.join(fields)}."
            )
        return
    found = _placement_path(path, labels) if path.startswith("insert.") else None
    if found is None:
        raise slip_for(path, labels)
    label, name = found
    for layer in sorted(layers[label]):
        own = LAYER_ARGUMENTS.get(layer)
        if own is not None and name not in own and name not in _PLACEMENT_FIELDS:
            known = [*_PLACEMENT_FIELDS, *sorted(own)]
            raise invalid(
                f"a placement of {layer} has no field '{name}'.{nearest(name, known)} "
                f"It has: {', '.join(known)}."
            )


def _placement_path(path: str, labels: set[str]) -> tuple[str, str] | None:
    """Return (label, field) of an `insert` path; labels may themselves have dots."""
    label, _, name = path.removeprefix("insert.").rpartition(".")
    return (label, name) if path.startswith("insert.") and label in labels and name else None


def _placed(placement: Placement, change: Mapping[str, Any]) -> Placement | None:
    """Return the placement as a point wants it, None where it is not present."""
    if not change:
        return placement
    if not change.get("present", True):
        return None
    fields = {key: value for key, value in change.items() if key != "present"}
    return Placement(**{**_fields(placement), **fields}) if fields else placement


def _put(document: dict[str, Any], parts: list[str], value: Any) -> None:
    for part in parts[:-1]:
        document = document.setdefault(part, {})
    document[parts[-1]] = value


def _fields(model: Train | Placement) -> dict[str, Any]:
    return model.model_dump(by_alias=True)
