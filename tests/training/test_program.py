"""The graph loop: whatever the rows, their number and their shapes."""

import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from ablate.training.feed import InMemory
from ablate.training.program import Program

layers = keras.layers


def linear(*, metrics=(), model=None):
    """Return a program of one weight, w = 1, trained by y = w x with squared error."""
    if model is None:
        dense = layers.Dense(1, use_bias=False, kernel_initializer="ones")
        model = keras.Sequential([keras.Input((1,)), dense])
    model.compile(keras.optimizers.SGD(0.0), "mse", metrics=list(metrics))
    return Program(model)


def rows(*pairs):
    x, y = np.array(pairs, np.float32).T[:, :, None]
    return tf.constant(x), tf.constant(y)


def test_each_step_takes_its_rows_in_order_and_its_rate():
    program = linear()
    data = rows((1, 3), (2, 0), (1, 1))
    done = program.train(data, np.array([1, 0, 2], np.int32), np.array([0.1, 0.5, 9.0], "f"), 2)
    # Step 1, rows 1 and 0: gradient ((2 - 0)·2·2 + (1 - 3)·2)/2 = 2; step 2, row 2: w = 0.8.
    w = 1 - 0.1 * 2
    first, second = ((1 - 3) ** 2 + 2**2) / 2, (w - 1) ** 2
    assert done.logs["loss"] == pytest.approx((2 * first + second) / 3)
    w -= 0.5 * 2 * (w - 1)
    np.testing.assert_allclose(program.model.get_weights()[0], [[w]], rtol=1e-6)
    assert (done.steps, done.diverged, done.stopped) == (2, None, False)
    assert float(program.model.optimizer.learning_rate) == 9.0  # what is left behind


def test_evaluation_changes_nothing_and_any_number_of_rows_fits():
    program = linear(metrics=["mae"])
    for count in (1, 7, 40):
        data = rows(*[(k, k + 2) for k in range(count)])
        for size in (3, 40):
            logs = program.evaluate(data, size)
            assert logs == {"loss": pytest.approx(4.0), "mae": pytest.approx(2.0)}
    assert program.model.get_weights()[0].tolist() == [[1.0]]
    assert len(program._evaluators) == 1


def test_the_first_step_that_is_not_finite_ends_the_loop():
    program = linear()
    data = rows(*[(1, 0)] * 9, (np.inf, 0), *[(1, 0)] * 9)
    done = program.train(data, np.arange(19, dtype=np.int32), np.zeros(20, "f"), 1)
    assert (done.steps, done.diverged) == (10, 10)
    assert not np.isfinite(done.logs["loss"])


def test_hooks_hear_each_step_and_may_stop():
    program, heard = linear(), []
    data = rows((1, 2), (1, 3), (1, 4))

    def after(step, logs):
        heard.append((step, logs["loss"]))
        return step == 1

    done = program.train(
        data, np.arange(3, dtype=np.int32), np.zeros(4, "f"), 1,
        before=lambda step: heard.append(step), after=after,
    )  # fmt: skip
    assert heard == [0, (0, 1.0), 1, (1, 2.5)]
    assert done.stopped and done.steps == 2


def test_long_epochs_are_done_in_breaths():
    program, breaths = linear(), []
    data = rows(*[(1, 1)] * 100)
    for _ in range(2):
        order, rates = np.arange(100, dtype=np.int32), np.zeros(101, "f")
        program.train(data, order, rates, 1, on_progress=breaths.append)
    assert breaths[0] == 8 and breaths[-1] == 100  # the first call is careful
    assert breaths == [*sorted(breaths[: breaths.index(100) + 1]), 100]


class Own(keras.Model):
    """A model with a step of its own, which reports what no metric holds."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = keras.ops.mean((self(x, training=True) - y) ** 2)
        (gradient,) = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply([gradient], self.trainable_variables)
        return {"loss": loss, "slope": keras.ops.sum(gradient)}


def test_a_step_of_anyones_own_reports_its_last_values():
    x = keras.Input((1,))
    model = Own(x, layers.Dense(1, use_bias=False, kernel_initializer="ones")(x))
    program = linear(model=model)
    data = rows((1, 2), (1, 5))
    done = program.train(data, np.arange(2, dtype=np.int32), np.zeros(3, "f"), 1)
    assert done.logs == {"loss": 16.0, "slope": -8.0}


@keras.saving.register_keras_serializable("ablate_tests")
class Unseeded(layers.Layer):
    """Draws noise from Keras's or from TensorFlow's global state."""

    def __init__(self, kind="keras", **kwargs):
        super().__init__(**kwargs)
        self.kind = kind

    def call(self, x):
        if self.kind == "keras":
            return x + keras.random.normal(keras.ops.shape(x))
        return x + tf.random.normal(tf.shape(x))


@pytest.mark.parametrize("kind", ["keras", "tensorflow"])
def test_random_state_that_no_layer_owns_is_found(kind):
    x = keras.Input((1,))
    program = linear(model=keras.Model(x, layers.Dense(1)(Unseeded(kind)(x))))
    program.prepare(rows((1, 2)))
    assert len(program.untracked_variables) == (kind == "keras")
    assert program.unseedable == (() if kind == "keras" else ("RandomStandardNormal",))


def test_a_program_that_is_dropped_leaves_no_graph_behind():
    program = linear()
    data = rows((1, 2), (1, 3))
    program.train(data, np.arange(2, dtype=np.int32), np.zeros(3, "f"), 2)
    program.evaluate(data, 2)
    functions = [*program._trainers.values(), *program._evaluators.values()]
    graphs = [weakref.ref(each.get_concrete_function().graph) for each in functions]
    del program, functions
    gc.collect()
    assert [graph() for graph in graphs] == [None, None]


def test_weights_count_in_training_and_evaluation():
    program = linear()
    feed = InMemory((*rows((1, 2), (1, 5)), tf.constant([1.0, 0.0])))
    done = program.train(feed, np.arange(2, dtype=np.int32), np.zeros(2, "f"), 2)
    # (2 - 1)², over all rows as in Keras: those of no weight count too
    assert done.logs["loss"] == program.evaluate(feed, 2)["loss"] == 0.5


def test_bytes_are_divided_in_the_graph_to_the_bit_of_numpy():
    x = np.arange(256, dtype=np.uint8)[:, None]
    y = np.zeros((256, 1), "f")
    divided = InMemory((tf.constant(x), tf.constant(y)), (np.float32(255),))
    before = InMemory((tf.constant(x.astype("f") / np.float32(255)), tf.constant(y)))
    order, rates = np.arange(256, dtype=np.int32), np.full(33, 0.1, "f")
    found = []
    for feed in (divided, before):
        program = linear()
        logs = program.train(feed, order, rates, 8).logs
        found.append((logs, program.model.get_weights()[0].tobytes(), program.evaluate(feed, 7)))
    assert found[0] == found[1]
    assert np.array_equal(divided.batch(0, 256)[0], before.data[0])
