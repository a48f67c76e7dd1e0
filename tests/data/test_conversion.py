"""Arrays however they come end under the same names."""

import numpy as np
import pytest

from ablate.data import column
from ablate.data.column import Column
from ablate.data.conversion import gather
from ablate.errors import DataError

X, Y = np.arange(8.0).reshape(4, 2), np.array([0, 1, 0, 1])
W = np.array([1.0, 2.0, 0.0, 0.5])


def equal(found, expected):
    assert list(found) == list(expected)
    for key, value in expected.items():
        np.testing.assert_array_equal(found[key], value)


@pytest.mark.parametrize(
    "value, expected",
    [
        ((X, Y), {"x_train": X, "y_train": Y}),
        ([X, Y], {"x_train": X, "y_train": Y}),
        ({"x": X, "y": Y}, {"x_train": X, "y_train": Y}),
        (X, {"x_train": X}),
        (((X, Y), (X[:1], Y[:1])), {"x_train": X, "y_train": Y, "x_test": X[:1], "y_test": Y[:1]}),
        (
            {"train": (X, Y), "validation": {"x": X[:2], "y": Y[:2]}},
            {"x_train": X, "y_train": Y, "x_val": X[:2], "y_val": Y[:2]},
        ),
        (
            ((X, Y), (X[:2], Y[:2]), (X[:1], Y[:1])),
            {
                "x_train": X,
                "y_train": Y,
                "x_val": X[:2],
                "y_val": Y[:2],
                "x_test": X[:1],
                "y_test": Y[:1],
            },
        ),
        ({"x_train": X.tolist(), "y_train": Y.tolist()}, {"x_train": X, "y_train": Y}),
        ((X, Y, W), {"x_train": X, "y_train": Y, "weight_train": W}),
        ({"x": X, "y": Y, "sample_weight": W}, {"x_train": X, "y_train": Y, "weight_train": W}),
        ({"train": (X, Y, W)}, {"x_train": X, "y_train": Y, "weight_train": W}),
        (
            {"train": {"x": X, "y": Y, "sample_weight": W, "groups": Y}},
            {"x_train": X, "y_train": Y, "weight_train": W, "groups_train": Y},
        ),
        (
            {"x": X, "y": Y, "writer": Y, "writer_test": Y},
            {"x_train": X, "y_train": Y, "groups_train": Y, "groups_test": Y},
        ),
    ],
)
def test_forms(value, expected):
    equal(gather(value, groups="writer"), expected)


def test_several_inputs_and_facts():
    found = gather({"x_train": {"a": X, "b": X}, "y_train": (Y, Y), "classes": 2})
    assert list(found["x_train"]) == ["a", "b"]
    assert isinstance(found["y_train"], list) and len(found["y_train"]) == 2
    assert found["classes"] == 2


class Dataset:
    """Stands for a tf.data dataset: what it can do is all that is asked of one."""

    def __init__(self, elements, spec, cardinality=1):
        self.elements, self.element_spec, self._cardinality = elements, spec, cardinality

    def as_numpy_iterator(self):
        return iter(self.elements)

    def cardinality(self):
        return self._cardinality


class Spec:
    def __init__(self, *shape):
        self.shape = Shape(shape)


class Shape(tuple):
    @property
    def rank(self):
        return len(self)


def test_a_dataset_of_batches_is_joined():
    dataset = Dataset([(X[:3], Y[:3]), (X[3:], Y[3:])], (Spec(None, 2), Spec(None)))
    equal(gather({"train": dataset}), {"x_train": X, "y_train": Y})


def test_what_is_read_once_lies_in_a_file_where_it_is_large(monkeypatch):
    monkeypatch.setattr(column, "LARGE", 40)
    dataset = Dataset(
        [(X[:2], Y[:2]), (X[2:3], Y[2:3]), (X[3:], Y[3:])], (Spec(None, 2), Spec(None))
    )
    found = gather({"train": dataset})
    assert (type(found["x_train"]), type(found["y_train"])) == (Column, np.ndarray)
    assert np.array_equal(found["x_train"], X)
    assert np.array_equal(found["x_train"].take(np.array([3, 0]))[:], X[[3, 0]])


def test_batches_of_other_types_do_not_lie_in_one_file(monkeypatch):
    monkeypatch.setattr(column, "LARGE", 0)
    dataset = Dataset(
        [(X[:2], Y[:2]), (X[2:].astype("float32"), Y[2:])], (Spec(None, 2), Spec(None))
    )
    with pytest.raises(DataError, match="data: train comes as float32 and before as float64"):
        gather({"train": dataset})


def test_a_dataset_of_rows_is_stacked():
    dataset = Dataset(list(zip(X, Y, strict=True)), (Spec(2), Spec()))
    equal(gather(dataset), {"x_train": X, "y_train": Y})


def test_a_dataset_of_dicts():
    rows = [({"a": x, "b": x}, y) for x, y in zip(X, Y, strict=True)]
    found = gather(Dataset(rows, ({"a": Spec(2), "b": Spec(2)}, Spec())))
    np.testing.assert_array_equal(found["x_train"]["b"], X)


def test_datasets_of_tensorflow_itself():
    data = pytest.importorskip("tensorflow").data.Dataset.from_tensor_slices((X, Y))
    for dataset in (data, data.batch(3), data.batch(2, drop_remainder=True)):
        equal(gather({"train": dataset, "test": data}), {
            "x_train": X, "y_train": Y, "x_test": X, "y_test": Y,
        })  # fmt: skip
    several = data.map(lambda x, y: ({"a": x, "b": x + 1}, (y, x)))
    found = gather(several.batch(3))
    np.testing.assert_array_equal(found["x_train"]["b"], X + 1)
    np.testing.assert_array_equal(found["y_train"][1], X)
    weighted = data.map(lambda x, y: (x, y, x[0])).batch(3)
    equal(gather(weighted), {"x_train": X, "y_train": Y, "weight_train": X[:, 0]})
    with pytest.raises(DataError, match="never ends"):
        gather(data.repeat())


@pytest.mark.parametrize(
    "value, says",
    [
        (3, "expected a mapping with x_train"),
        ({"x_tran": X}, "Did you mean 'x_train'?"),
        ({"x_train": X, "weights": Y}, "Did you mean 'weight'?"),
        ({"x_train": [[1, 2], [3]]}, "is not an array|different lengths"),
        ({"x_train": 5}, "single value"),
        (Dataset([], (Spec(2), Spec()), cardinality=-1), "never ends"),
        (Dataset([], (Spec(2), Spec())), "no elements"),
        (Dataset([(X, Y, Y, Y)], (Spec(2), Spec(), Spec(), Spec())), "4 members"),
    ],
)
def test_what_is_refused(value, says):
    with pytest.raises(DataError, match=says):
        gather(value)
