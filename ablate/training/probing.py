"""Probes: measurements between epochs that change no number.

The runner calls `start` once, `measure` before training and after epochs, `finish` at the end.
Whatever a probe moves (statistics of a
normalization, states of generators, weights it perturbs) is put back after each measurement
(law 9), so a probe may run the model in training mode or change its weights. The probes
themselves, and what they return, are in `ablate.probes`.

What `measure` returns is stacked over the epochs measured, as `<probe>/<key>`, with the epochs
as `<probe>/epochs`; what `finish` returns is stored as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np

from ablate.errors import AblateError, StudyError
from ablate.probes import Context, Measurement, make
from ablate.reasons import reason
from ablate.study.schema.probes import Probe as Request
from ablate.study.schema.probes import stem


@dataclass
class Probing:
    """The probes of one trial, and what they have measured so far."""

    requests: Sequence[Request]
    _probes: list[tuple[str, Request, Measurement]] = field(default_factory=list)
    _measured: dict[str, list[tuple[int, dict[str, np.ndarray]]]] = field(default_factory=dict)
    _variables: list[keras.Variable] = field(default_factory=list)

    def start(self, context: Context, state: Sequence[keras.Variable]) -> None:
        """Make the probes and start them.

        Args:
            context: what they may use; `x` and `y` are cut to each probe's rows here.
            state: every variable that must be afterwards as it was.

        Raises:
            StudyError: there is no such probe, or it refuses its arguments.
        """
        self._variables = list(state)
        for request in self.requests:
            name = stem(request.name)
            while name in self._measured:
                name = _next(name)
            self._measured[name] = []
            probe = make(request.name, **request.arguments)
            self._probes.append((name, request, probe))
            with self._unmoved(probe), _named(name):
                probe.start(_cut(context, request.probe_rows))

    def measure(self, epoch: int, last: bool = False) -> None:
        """Let the probes that are due measure: every `every` epochs, the first and the last."""
        for name, request, probe in self._probes:
            if epoch % request.every and not last:
                continue
            if any(each == epoch for each, _ in self._measured[name]):
                continue
            with self._unmoved(probe), _named(name):
                found = probe.measure(epoch)
            arrays = {key: np.asarray(value) for key, value in found.items()}
            self._measured[name].append((epoch, arrays))

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all that was measured, by `<probe>/<key>`."""
        found: dict[str, np.ndarray] = {}
        for name, _, probe in self._probes:
            entries = self._measured[name]
            if entries:
                found[f"{name}/epochs"] = np.array([epoch for epoch, _ in entries])
            for key in dict.fromkeys(key for _, arrays in entries for key in arrays):
                found[f"{name}/{key}"] = _stacked([arrays.get(key) for _, arrays in entries])
            with self._unmoved(probe), _named(name):
                rest = probe.finish()
            found.update({f"{name}/{key}": np.asarray(each) for key, each in rest.items()})
        return found

    def state(self) -> Any:
        """Return what has been measured, for a checkpoint."""
        own: list[Any] = [probe.state() for _, _, probe in self._probes]
        return self._measured, own

    def takes(self, state: Any) -> bool:
        """Whether `restore` can go on from `state`."""
        return (
            isinstance(state, tuple)
            and len(state) == 2
            and isinstance(state[0], dict)
            and state[0].keys() == self._measured.keys()
            and isinstance(state[1], list)
            and len(state[1]) == len(self._probes)
        )

    def restore(self, state: Any) -> None:
        """Go on from `state`."""
        self._measured, own = state
        for (_, _, probe), each in zip(self._probes, own, strict=True):
            probe.restore(each)

    @contextmanager
    def _unmoved(self, probe: Measurement) -> Iterator[None]:
        """Put every variable back that a measurement moves (none if `moves` says so)."""
        if not probe.moves:
            yield
            return
        before = [np.array(v.value.numpy()) for v in self._variables]
        try:
            yield
        finally:
            for variable, value in zip(self._variables, before, strict=True):
                now = variable.value.numpy()
                if not np.array_equal(now, value, equal_nan=now.dtype.kind == "f"):
                    variable.assign(value)


@contextmanager
def _named(probe: str) -> Iterator[None]:
    """Say which probe raised; a refusal of our own says enough."""
    try:
        yield
    except AblateError:
        raise
    except Exception as error:
        raise StudyError(f"Probe '{probe}': {reason(error)}") from error


def _stacked(values: Sequence[np.ndarray | None]) -> np.ndarray:
    """Return measurements by epoch, NaN where a phase has none: of layers that are frozen in it."""
    some = next(each for each in values if each is not None)
    if all(each is not None for each in values):
        return np.stack([each for each in values if each is not None])
    nothing = np.full(some.shape, np.nan)
    return np.stack([nothing if each is None else each for each in values])


def _cut(context: Context, rows: int) -> Context:
    x = keras.tree.map_structure(lambda each: each[:rows], context.x)
    y = None if context.y is None else keras.tree.map_structure(lambda e: e[:rows], context.y)
    return replace(context, x=x, y=y)


def _next(name: str) -> str:
    stem, _, number = name.rpartition("_")
    return f"{stem}_{int(number) + 1}" if stem and number.isdecimal() else f"{name}_2"
