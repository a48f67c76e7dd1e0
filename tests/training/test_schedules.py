"""Learning rates, step by step."""

from itertools import pairwise

import keras
import numpy as np
import pytest

from ablate.study.schema.train import Train
from ablate.training.schedules import Rates, keras_schedule, plateau


def rates(schedule, epochs=4, steps=5, rate=0.8):
    train = Train(learning_rate=rate, schedule=schedule, epochs=epochs)
    optimizer = keras.optimizers.SGD(rate)
    found = Rates(train, steps)
    each = [found.of(optimizer, steps, done=steps * epoch) for epoch in range(epochs)]
    for one, following in pairwise(each):
        assert one[-1] == following[0]
    assert found.first(rate) == pytest.approx(each[0][0])
    return np.concatenate([one[:-1] for one in each])


@pytest.mark.parametrize(
    ("schedule", "formula"),
    [
        (None, lambda t: 0.8 + 0 * t),
        ("cosine", lambda t: 0.4 * (1 + np.cos(np.pi * t / 20))),
        (
            {"name": "cosine", "warmup_epochs": 1, "alpha": 0.1},
            lambda t: np.where(
                t < 5, 0.8 * t / 5, 0.08 + 0.36 * (1 + np.cos(np.pi * (t - 5) / 15))
            ),
        ),
        ({"name": "exponential", "decay_rate": 0.5}, lambda t: 0.8 * 0.5 ** (t / 5)),
        (
            {"name": "exponential", "decay_rate": 0.5, "decay_epochs": 2, "staircase": True},
            lambda t: 0.8 * 0.5 ** (t // 10),
        ),
        (
            {"name": "inverse_time", "decay_rate": 0.3, "decay_steps": 1},
            lambda t: 0.8 / (1 + 0.3 * t),
        ),
        (
            {"name": "polynomial", "end_learning_rate": 0.0, "power": 2.0},
            lambda t: 0.8 * (1 - t / 20) ** 2,
        ),
        ({"name": "warmup", "steps": 8}, lambda t: 0.8 * np.minimum(1, (t + 1) / 8)),
        (
            {"name": "piecewise", "epochs": [1, 3], "factors": [1, 0.5, 0.1]},
            lambda t: 0.8 * np.where(t < 5, 1, np.where(t < 15, 0.5, 0.1)),
        ),
    ],
)
def test_rates_follow_their_formula(schedule, formula):
    np.testing.assert_allclose(rates(schedule), formula(np.arange(20)), rtol=1e-5, atol=1e-7)


def test_a_plateau_is_kerass_callback_and_a_rate_is_what_the_optimizer_has():
    train = Train(schedule={"name": "plateau", "patience": 3, "min_lr": 0.001})
    (callback,) = plateau(train.schedule)
    assert isinstance(callback, keras.callbacks.ReduceLROnPlateau)
    assert (callback.patience, callback.min_lr, callback.monitor) == (3, 0.001, "val_loss")
    assert keras_schedule(train, 5) is None
    optimizer = keras.optimizers.SGD(0.5)
    optimizer.learning_rate = 0.25
    assert Rates(train, 5).of(optimizer, 2, done=0).tolist() == [0.25, 0.25, 0.25]


def test_restarts_are_kerass():
    train = Train(schedule={"name": "cosine_restarts", "t_mul": 1.0, "first_decay_epochs": 2})
    schedule = keras_schedule(train, 7)
    assert schedule.get_config()["first_decay_steps"] == 14
