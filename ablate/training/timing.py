"""How fast a trial will train on this machine, from a few of its steps.

A trial goes in, an estimate of the seconds of one of its epochs comes out. Nothing is kept: the
steps are real, the weights they made are not used.
"""

from __future__ import annotations

import time

import keras
import numpy as np

from ablate.models import dtype_policy
from ablate.study.trial import Trial
from ablate.training.model_cache import prepared_model
from ablate.training.rows import rows_of, weighted

#: Steps that are timed.
STEPS = 8


def seconds_per_epoch(trial: Trial) -> float:
    """Return about how long an epoch of `trial` takes here, its evaluation included."""
    spec = trial.spec
    rows = rows_of(spec, trial.seed)
    batch_size = spec.train.batch_size
    with dtype_policy(spec.train.dtype):
        prepared = prepared_model(spec, rows, trial.seed, own=False)
        data = weighted(rows.train, rows.splits, spec.train.class_weight)
        count = len(keras.tree.flatten(data)[0])
        prepared.begin(trial.seed, spec.train.learning_rate, rows)
        taken = min(count, STEPS * batch_size)
        steps = -(-taken // batch_size)
        order = np.arange(taken, dtype="int32")
        rates = np.full(steps + 1, 0.0, dtype="float32")
        spent = _second_time(lambda: prepared.program.train(data, order, rates, batch_size))
        step = spent / steps
        total = step * -(-count // batch_size)
        if rows.validation is not None:
            part = rows.validation
            total += _second_time(lambda: prepared.program.evaluate(part, batch_size))
    return total


def _second_time(call: object) -> float:
    """Run a call twice and time the second: the first one traces."""
    assert callable(call)
    call()
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
