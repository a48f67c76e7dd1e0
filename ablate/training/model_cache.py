"""Compiled networks with their programs, kept from trial to trial.

A spec's `PreparedModel` is built and traced the first time, and taken from memory when the trial
before was of the same program. `begin` puts it in the state in
which a trial with a given seed begins, whatever was trained on it before, so a trial's bits
depend on its spec alone (law 1).
"""

from __future__ import annotations

import gc
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ablate.models import dtype_policy
from ablate.study.programs import program_key
from ablate.study.trial import Spec
from ablate.training.augmentation import Augmentation, augmentation_of
from ablate.training.network import Network, network
from ablate.training.objectives import compile_for
from ablate.training.program import Program
from ablate.training.rows import Rows
from ablate.training.seeding import InitialState, Seed, derive, seeded
from ablate.training.setup import has_gpu

#: Models are kept while all of them together have no more weights than this.
_KEPT_WEIGHTS = 30_000_000
_KEPT = 8


@dataclass
class PreparedModel:
    """A network with its program."""

    network: Network
    program: Program
    initial_state: InitialState
    _optimizer_start: list[np.ndarray] = field(default_factory=list)
    _follows_weights: bool = False

    def __post_init__(self) -> None:
        variables = self.model.optimizer.variables
        self._optimizer_start = [_compact(_array(each)) for each in variables]
        # Some optimizers begin with a copy of the weights; those are built anew for each trial.
        self._follows_weights = any(
            each.size > 1 and each.strides != (0,) * each.ndim for each in self._optimizer_start
        )

    @property
    def model(self) -> keras.Model:
        """The model that is trained."""
        return self.program.model

    @property
    def state(self) -> list[keras.Variable]:
        """Every variable that a trial's future depends on."""
        own = [*self.model.variables, *self.model.optimizer.variables]
        known = {id(each) for each in own}
        metrics = (v for metric in self.model.metrics for v in metric.variables)
        return own + [each for each in metrics if id(each) not in known]

    def begin(
        self, seed: Seed, learning_rate: float, rows: Rows, masks: Seed | None = None
    ) -> None:
        """Set every variable as it is when a trial with `seed` begins.

        `masks` is the seed of what is drawn in training, where that is another.
        """
        masks = seed if masks is None else masks
        for variable, value in self.initial_state.of(seed, masks):
            variable.value.assign(value)
        self.network.calibrate(rows.splits.x_train)
        optimizer = self.model.optimizer
        start = self._optimizer_start
        if self._follows_weights:
            fresh = type(optimizer).from_config(optimizer.get_config())
            fresh.build(self.model.trainable_variables)
            start = [_array(each) for each in fresh.variables]
        for variable, value in zip(optimizer.variables, start, strict=True):
            variable.value.assign(value)
        optimizer.learning_rate = learning_rate
        self.model.reset_metrics()
        self.seed_untracked_variables(masks)
        self.model.stop_training = False
        if not self.program.traced:
            # Operations that keep their state to themselves take their seed when they are traced.
            tf.random.set_seed(derive(masks, "", "operations"))

    def seed_untracked_variables(self, seed: Seed) -> None:
        """Set random state that the graph draws from and no layer owns."""
        for index, variable in enumerate(self.program.untracked_variables):
            if variable.shape == (2,) and variable.dtype.is_integer:
                state = [derive(seed, "", f"generator/{index}"), 0]
                variable.assign(np.array(state, variable.dtype.as_numpy_dtype))

    def generators(self) -> list[tuple[Any, np.ndarray]]:
        """Return the states of all random generators as they are now."""
        found = [(each.value, _array(each)) for each in self.initial_state.generators]
        return found + [(each, each.numpy()) for each in self.program.untracked_variables]


def make(spec: Spec, rows: Rows, seed: Seed) -> PreparedModel:
    """Build, compile and return the model of `spec`.

    Raises:
        StudyError, SurgeryError: the network or its loss is not as it should be.
    """
    # Building draws initial weights that `begin` replaces. It is seeded all the same, for what a
    # model of anyone's own may draw and keep.
    with seeded(derive(seed, "", "model")):
        made = network(spec, rows.splits)
    with dtype_policy(spec.train.dtype):
        made, augmentation = compiled(made, spec, rows)
        large = has_gpu() and rows.large
        program = Program(made.model, gather_on_cpu=large, augmentation=augmentation)

    def again() -> Iterable[tuple[str, keras.Layer]]:
        return network(spec, rows.splits).layers

    return PreparedModel(made, program, InitialState(made.layers, made.keep, again))


def compiled(made: Network, spec: Spec, rows: Rows) -> tuple[Network, Augmentation]:
    """Compile a network; return it with what its compilation gave, and its augmentation.

    Raises:
        StudyError: the loss, a metric or the augmentation is not as it should be.
    """
    augmentation = augmentation_of(spec.train, made.model, rows.splits, rows.train.specs)
    cautions = compile_for(made.model, spec.train, augmentation.seen(rows.splits))
    return replace(made.warned(cautions), notes=(*made.notes, *augmentation.notes)), augmentation


_prepared: OrderedDict[str, PreparedModel] = OrderedDict()


def prepared_model(spec: Spec, rows: Rows, seed: Seed, *, own: bool) -> PreparedModel:
    """Return the model for `spec`, from memory if it is there.

    Args:
        spec: the variant.
        rows: the trial's rows; only their shapes matter.
        seed: the trial's seed.
        own: make one for this trial alone, since something in it may change the model.
    """
    if own:
        return make(spec, rows, seed)
    key = program_key(spec)
    if key in _prepared and _prepared[key].program.unseedable:
        forget(spec)  # its draws go on from the trial before
    if key not in _prepared:
        _prepared[key] = make(spec, rows, seed)
        _make_room()
    _prepared.move_to_end(key)
    return _prepared[key]


def forget(spec: Spec | None = None) -> None:
    """Drop the model of `spec`, or all of them."""
    if spec is None:
        _prepared.clear()
    else:
        _prepared.pop(program_key(spec), None)
    gc.collect()


def _make_room() -> None:
    dropped = False
    while len(_prepared) > 1:
        weights = sum(each.model.count_params() for each in _prepared.values())
        if len(_prepared) <= _KEPT and weights <= _KEPT_WEIGHTS:
            break
        _prepared.popitem(last=False)
        dropped = True
    if dropped:
        gc.collect()  # a graph and its model refer to each other


def _array(variable: keras.Variable) -> np.ndarray:
    return np.array(variable.value.numpy())


def _compact(array: np.ndarray) -> np.ndarray:
    """Return an array of one value everywhere as a view of that value, without its memory."""
    if array.size > 1 and np.all(array == array.flat[0]):
        return np.broadcast_to(array.flat[0], array.shape)
    return array
