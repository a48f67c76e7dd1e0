"""The oracles: Keras Tuner's, kept from what would bend a search, and two of our own.

An oracle here writes no files (the store is the truth), no run of bad trials stops it, seed 0 is a
seed, it proposes no point twice and ends when a finite space is exhausted. `random`, `quasirandom`
and `grid` propose by number alone, so nothing that happens to a trial changes their points.
"""

from __future__ import annotations

import hashlib
import inspect
import random
import warnings
from collections.abc import Iterator
from typing import Any

import keras_tuner as kt
import numpy as np
from threadpoolctl import threadpool_limits

from ablate.errors import StudyError
from ablate.reasons import reason
from ablate.search.space import Values, every, finite, space_of
from ablate.study.calls import resolve
from ablate.study.metrics import direction_of
from ablate.study.resolved import ResolvedVariant
from ablate.study.schema.search import Search

#: Oracles whose points depend on their number alone.
STEADY = frozenset({"random", "quasirandom", "grid"})

#: Points of a low-discrepancy sequence that are looked through for one that was not tried.
_LOOKED_THROUGH = 2**12

_RUNNING, _STOPPED = "RUNNING", "STOPPED"


class Seed(int):
    """A seed. Even 0 is true, so that `seed or something` keeps it, as Keras Tuner has it."""

    def __bool__(self) -> bool:
        return True


def oracle_of(variant: ResolvedVariant, search: Search) -> kt.Oracle:
    """Return the oracle that proposes points for `variant`.

    Raises:
        StudyError: `package.module:Class` is no oracle, or cannot be made.
    """
    metric = search.objective
    direction = direction_of(metric, search.direction)
    assert direction is not None  # the study's checks
    arguments: dict[str, Any] = {
        "objective": kt.Objective(metric, direction),
        "hyperparameters": space_of(variant, search),
        "seed": Seed(search.seed),
    }
    if search.oracle == "hyperband":
        arguments["max_epochs"] = variant.spec.train.epochs
    elif search.oracle != "grid":
        arguments["max_trials"] = search.trials
    if search.oracle == "quasirandom":
        arguments["names"] = tuple(search.space)
    kind = _KINDS.get(search.oracle) or _own(search.oracle)
    return _made(kind, arguments, search.oracle)


class _Driven:
    """What an oracle must not do when a driver owns it."""

    def save(self) -> None:
        """Write nothing: the oracle is rebuilt from the store."""

    def _save_trial(self, trial: Any) -> None:
        """Write nothing."""

    def _check_consecutive_failures(self) -> None:
        """Go on: bad points are findings."""


class _Exhaustive(kt.Oracle):
    """Looks for what is left of a finite space when drawing hits only points that were tried."""

    def _random_values(self) -> Values | None:
        values: Values | None = super()._random_values()
        if values is None and (left := list(self._left())):
            return random.Random(self._seed_state).choice(left)
        return values

    def _left(self) -> Iterator[Values]:
        space = self.hyperparameters.space
        if not finite(space):
            return iter(())
        return (values for values in every(space) if not self._duplicate(values))


class RandomOracle(_Exhaustive, kt.oracles.RandomSearchOracle):
    """Keras Tuner's random search; variants with the same parameters get the same points."""


class GridOracle(kt.Oracle):
    """All points of a finite space, once each, in order."""

    _points: Iterator[Values] | None = None

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Return the next point."""
        if self._points is None:
            self._points = every(self.hyperparameters.space)
        values = next(self._points, None)
        return {"status": _STOPPED if values is None else _RUNNING, "values": values}


class QuasirandomOracle(_Exhaustive):
    """The Sobol sequence, turned by a shift per parameter: u = (x + shift) mod 1.

    A parameter has the same coordinate in every variant that has it, found by its name, so that
    point k has the same learning rate everywhere: a paired design. More points extend the
    sequence and change none.

    Args:
        names: the whole space of the study; a parameter's place there is its dimension.
        **arguments: those of `keras_tuner.Oracle`.

    Source: I. M. Sobol, 1967; the shift is that of R. Cranley and T. Patterson, 1976.
    """

    def __init__(self, names: tuple[str, ...] = (), **arguments: Any) -> None:
        super().__init__(**arguments)
        self._names = names or tuple(hp.name for hp in self.hyperparameters.space)
        self._shift = np.array([_uniform(self.seed, name) for name in self._names])
        self._table = np.empty((0, len(self._names)))
        self._drawn = 0

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Return the next point of the sequence that was not tried."""
        for _ in range(_LOOKED_THROUGH):
            values = self._placed(self._row(self._drawn))
            self._drawn += 1
            if not self._duplicate(values):
                return {"status": _RUNNING, "values": values}
        left = next(self._left(), None)
        return {"status": _STOPPED if left is None else _RUNNING, "values": left}

    def _row(self, number: int) -> dict[str, float]:
        if number >= len(self._table):
            from scipy.stats import qmc

            power = max(6, number.bit_length())
            plain = qmc.Sobol(max(len(self._names), 1), scramble=False).random_base2(power)
            self._table = (plain[:, : len(self._names)] + self._shift) % 1.0
        return dict(zip(self._names, self._table[number].tolist(), strict=True))

    def _placed(self, row: dict[str, float]) -> Values:
        hps = kt.HyperParameters()
        for hp in self.hyperparameters.space:
            hps.merge([hp])
            if hps.is_active(hp):
                hps.values[hp.name] = hp.prob_to_value(row[hp.name])
        return dict(hps.values)


class BayesianOracle(_Exhaustive, kt.oracles.BayesianOptimizationOracle):
    """Keras Tuner's Bayesian optimization, which here proposes no point twice.

    Where its choice was tried already, the best untried point of a finite space by the same
    criterion stands in (lower confidence bound), else a random one.
    """

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Return the next point."""
        # The fit of a few points says that it is uncertain, which it is; and with one thread its
        # last bits, which decide the next point, are the same on every machine.
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter("ignore")
            response: dict[str, Any] = super().populate_space(trial_id)
        if response["status"] != _RUNNING or not self._duplicate(response["values"]):
            return response
        left = list(self._left())
        if not left:
            if finite(self.hyperparameters.space):
                return {"status": _STOPPED, "values": None}
            again: dict[str, Any] = self._random_populate_space()
            return again
        with threadpool_limits(1):
            mean, deviation = self.gpr.predict(
                np.array([self._vector(values) for values in left]), return_std=True
            )
        best = int(np.argmin(mean - self.beta * deviation))
        return {"status": _RUNNING, "values": left[best]}

    def _vector(self, values: Values) -> list[float]:
        return [hp.value_to_prob(values.get(hp.name, hp.default)) for hp in self._nonfixed_space()]


_KINDS: dict[str, type] = {
    "random": RandomOracle,
    "quasirandom": QuasirandomOracle,
    "grid": GridOracle,
    "bayesian": BayesianOracle,
    "hyperband": kt.oracles.HyperbandOracle,
}


def _own(call: str) -> type:
    kind = resolve(call, "search.oracle")
    if not (isinstance(kind, type) and issubclass(kind, kt.Oracle)):
        raise StudyError(
            f"search.oracle: expected a subclass of keras_tuner.Oracle from '{call}'. Received: "
            f"{kind!r}."
        )
    return kind


def _made(kind: type, arguments: dict[str, Any], name: str) -> kt.Oracle:
    """Make the oracle with those arguments that it takes, and set the others on it."""
    parameters = inspect.signature(kind.__init__).parameters  # type: ignore[misc]
    open_ended = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    taken = {key: each for key, each in arguments.items() if open_ended or key in parameters}
    driven = type(kind.__name__, (_Driven, kind), {})
    try:
        oracle = driven(**taken)
    except (TypeError, ValueError) as error:
        raise StudyError(f"search.oracle: '{name}' cannot be made: {reason(error)}") from error
    for key in arguments.keys() - taken.keys():
        setattr(oracle, key, arguments[key])
        if key == "seed":
            oracle._seed_state = arguments[key]
    oracle.verbose = 0
    made: kt.Oracle = oracle
    return made


def _uniform(seed: int, name: str) -> float:
    """Return a number from [0, 1) that the seed and the name decide."""
    digest = hashlib.sha256(f"{int(seed)}/{name}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
