"""Inputs of every kind that a Keras model takes: certified and calibrated on, or told apart."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from ablate.errors import DataError
from ablate.surgery import calibrate, certify, insert, rebuild
from ablate.surgery.batches import batches, count_rows, fixed_rows

RNG = np.random.default_rng(0)
A, B, C = (RNG.normal(size=(8, width)).astype("float32") for width in (4, 3, 2))
WORDS = np.array([["a"], ["b"], ["unheard"], ["a"]])


def ending(x):
    x = layers.Dense(6, activation="relu", name="d")(x)
    return layers.Dense(2, name="out")(x)


def stateful():
    inputs = keras.Input(batch_shape=(4, 5, 3))
    x = layers.LSTM(4, stateful=True, name="lstm")(inputs)
    return keras.Model(inputs, ending(x))


def of_words():
    inputs = keras.Input((1,), dtype="string")
    lookup = layers.StringLookup(vocabulary=["a", "b"], output_mode="one_hot")
    return keras.Model(inputs, ending(lookup(inputs)))


def nested(structure):
    a, b, c = (keras.Input((n,), name=name) for n, name in ((4, "a"), (3, "b"), (2, "c")))
    return keras.Model(structure(a, b, c), ending(layers.Concatenate()([a, b, c])))


def sparse():
    inputs = keras.Input((4,), sparse=True)
    return keras.Model(inputs, ending(inputs))


def mapped(a, b, c):
    return {"p": [a, b], "q": c}


def listed(a, b, c):
    return [[a, b], c]


def arrays(tensors):
    return keras.tree.map_structure(ops.convert_to_numpy, tensors)


CASES = {
    "fixed batches": (stateful, RNG.normal(size=(8, 5, 3)).astype("float32")),
    "words": (of_words, WORDS),
    "words as objects": (of_words, WORDS.astype(object)),
    "words as tensors": (of_words, tf.constant(WORDS)),
    "words in lists": (of_words, WORDS.tolist()),
    "mapped lists": (lambda: nested(mapped), mapped(A, B, C)),
    "mapped tuples": (lambda: nested(mapped), {"p": (A, B), "q": C}),
    "mapped by the inputs' names": (lambda: nested(mapped), {"a": A, "b": B, "c": C}),
    "lists in a list": (lambda: nested(listed), listed(A, B, C)),
    "a data set of mapped tuples": (
        lambda: nested(mapped),
        tf.data.Dataset.from_tensor_slices({"p": (A, B), "q": C}).batch(4),
    ),
    "dense rows for a sparse input": (sparse, A),
    "a sparse tensor": (sparse, tf.sparse.from_dense(A)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_calibrated_insertion_is_certified_on_inputs_of_any_kind(name):
    build, x = CASES[name]
    model = build()
    new = insert(model, "BatchNormalization", at="before_activation", where="d", calibrate=x)
    found = certify(model, new, x)
    assert found.identical and set(found.paths) == {"eager", "graph"}
    assert found.rows == (8 if "words" not in name else 4)
    norm = new.get_layer("d_bn")
    assert float(ops.max(ops.abs(norm.moving_mean))) > 0
    again = calibrate(new, x)
    assert np.allclose(again.get_layer("d_bn").moving_mean, norm.moving_mean, atol=1e-6)


@pytest.mark.parametrize("operation", [calibrate, lambda m, x: certify(m, m, x)])
def test_rows_that_do_not_fill_fixed_batches_are_told(operation):
    model = insert(stateful(), "BatchNormalization", where="d")
    with pytest.raises(DataError, match=r"batches of exactly 4 rows.*10 rows. Give a multiple"):
        operation(model, np.zeros((10, 5, 3), "float32"))


@pytest.mark.parametrize("operation", [calibrate, lambda m, x: certify(m, m, x)])
def test_a_batch_size_that_only_the_inside_fixes_is_told_with_its_reason(operation):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, ending(ops.reshape(inputs, (4, 4))))
    model = insert(model, "BatchNormalization", where="d")
    with pytest.raises(DataError, match=r"does not run on a batch of 8 rows.*[Rr]eshape"):
        operation(model, A)


def test_states_go_along_and_are_left_as_they_were():
    model, x = stateful(), CASES["fixed batches"][1]
    model.predict(x, batch_size=4, verbose=0)
    before = [np.array(each) for each in model.get_layer("lstm").states]
    assert all(np.abs(each).max() > 0 for each in before)
    new = rebuild(model).model
    new = insert(new, "BatchNormalization", at="before_activation", where="d", calibrate=x)
    assert certify(model, new, x).identical
    for each in (model, new):
        after = [np.array(state) for state in each.get_layer("lstm").states]
        assert all(map(np.array_equal, before, after))


@pytest.mark.parametrize(
    ("build", "x", "said"),
    [
        (of_words, np.zeros((4, 1)), "expects string. Received: float64"),
        (sparse, np.full((3, 4), "a"), "expects float32. Received: <U1"),
        (lambda: nested(mapped), {"p": [A, B], "x": C}, "Received: 3 (p, x)"),
        (lambda: nested(mapped), {"p": [A], "q": C}, "expected 3 array(s)"),
    ],
)
def test_what_does_not_fit_is_told(build, x, said):
    with pytest.raises(DataError) as error:
        list(batches(build(), x, 4))
    assert said in str(error.value)


def test_rows_are_counted_in_any_nesting():
    assert count_rows(mapped(A, B, C)) == count_rows([[A, B], C]) == 8
    assert count_rows(iter([A])) is None
    assert fixed_rows(stateful()) == 4 and fixed_rows(sparse()) is None
