"""Whatever holds images becomes checked batches."""

import keras
import numpy as np
import pytest

from ablate.errors import DataError
from ablate.surgery.batches import batches, count_rows


def one_input():
    inputs = keras.Input((2, 3), name="image")
    return keras.Model(inputs, keras.layers.Flatten()(inputs), name="one")


def two_inputs(named=False):
    a, b = keras.Input((2,), name="a"), keras.Input((3,), name="b")
    out = keras.layers.Concatenate()([a, b])
    return keras.Model({"a": a, "b": b} if named else [a, b], out, name="two")


X = np.arange(42, dtype="float32").reshape(7, 2, 3)


def taken(model, x, rows):
    return list(batches(model, x, rows))


def test_an_array_is_cut_into_rows():
    parts = taken(one_input(), X, 3)
    assert [count for _, count in parts] == [3, 3, 1]
    assert np.array_equal(np.concatenate([part for part, _ in parts]), X)


def test_lists_and_dicts_feed_several_inputs():
    a, b = np.ones((5, 2)), np.zeros((5, 3))
    for model, x in ((two_inputs(), [a, b]), (two_inputs(named=True), {"a": a, "b": b})):
        parts = taken(model, x, 4)
        assert [count for _, count in parts] == [4, 1]
        assert type(parts[0][0]) is type(x)
    assert count_rows([a, b]) == count_rows({"a": a}) == count_rows(a) == 5
    assert count_rows(iter([a])) is None


class Sequence(keras.utils.PyDataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        return X[index * 4 : index * 4 + 4], np.zeros(4)


def tf_dataset():
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((X, np.zeros(7))).batch(4)


@pytest.mark.parametrize(
    "stream",
    [
        lambda: (X[i : i + 4] for i in (0, 4)),
        lambda: iter([(X[:4], np.zeros(4)), (X[4:], np.zeros(3))]),
        Sequence,
        tf_dataset,
    ],
    ids=["generator", "pairs", "pydataset", "tf.data"],
)
def test_streams_of_batches_are_read(stream):
    parts = taken(one_input(), stream(), 3)
    assert [count for _, count in parts] == [3, 1, 3]
    assert np.array_equal(np.concatenate([part for part, _ in parts]), X)


def test_a_stream_of_several_inputs():
    a, b = np.ones((5, 2)), np.zeros((5, 3))
    ((part, count),) = taken(two_inputs(), iter([((a, b), np.zeros(5))]), 9)
    assert count == 5 and np.array_equal(part[1], b)


def test_a_missing_last_axis_of_one_is_what_keras_adds():
    inputs = keras.Input((4, 4, 1))
    model = keras.Model(inputs, keras.layers.Flatten()(inputs))
    assert taken(model, np.ones((2, 4, 4)), 2)[0][1] == 2


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.ones((0, 2, 3)), "at least one row"),
        (iter([]), "at least one row"),
        (np.ones((4, 3, 2)), r"input 'image' of 'one' expects the shape \(None, 2, 3\)"),
        (np.float32(3), "expects the shape"),
        ([X, X], r"expected 1 array\(s\)|expects the shape"),
        (7, "expected an array, a list or dict of arrays"),
        (np.where(X == 20, np.nan, X), "Row 3 of input 'image' holds NaN"),
        (np.where(X == 41, np.inf, X), "Row 6 of input 'image' holds NaN"),
    ],
    ids=["none", "empty", "shape", "scalar", "two", "number", "nan", "inf"],
)
def test_bad_images_are_named(x, message):
    with pytest.raises(DataError, match=message):
        taken(one_input(), x, 2)


def test_inputs_must_agree():
    with pytest.raises(DataError, match="one for each input"):
        taken(two_inputs(), np.ones((2, 2)), 2)
    with pytest.raises(DataError, match=r"equally many rows for every input. Received: \[2, 3\]"):
        taken(two_inputs(), [np.ones((2, 2)), np.ones((3, 3))], 2)
    with pytest.raises(DataError, match="batch_size"):
        taken(one_input(), X, 0)
