"""Rows by number: what was asked for is read, or it is said what is wrong with which row."""

import numpy as np
import pytest

from ablate.data import column, reader, split
from ablate.data.check import source
from ablate.data.column import Column
from ablate.data.conversion import gather
from ablate.errors import DataError
from ablate.study.schema.data import Data

Y = np.arange(10) % 2
X = np.arange(40, dtype="float32").reshape(10, 4)


class Rows:
    """A reader whose readings are counted."""

    rows = 10

    def __init__(self, read=None, labels=None):
        self._read = read or (lambda rows: (X[rows], Y[rows]))
        self.asked = []
        if labels is not None:
            self.labels = lambda: labels

    def read(self, rows):
        self.asked.append(rows.tolist())
        return self._read(rows)

    def digest(self):
        return "all the same"


class Pairs:
    def __len__(self):
        return 10

    def __getitem__(self, index):
        return X[index], Y[index]


@pytest.fixture(autouse=True)
def large(monkeypatch):
    """Nothing is small enough to be read whole."""
    monkeypatch.setattr(reader, "LARGE", 0)


def test_inputs_are_read_when_they_are_asked_for():
    rows = Rows(labels=Y)
    found = gather({"train": rows, "classes": 2})
    assert isinstance(found["x_train"], Column)
    assert (found["y_train"].tolist(), rows.asked) == (Y.tolist(), [[0]])
    taken = found["x_train"].take(np.array([7, 2])).changed(lambda x: x + 1)
    assert rows.asked == [[0]]
    assert taken[:].tolist() == (X[[7, 2]] + 1).tolist()
    assert rows.asked == [[0], [7, 2]]
    assert (taken.shape, taken[1].tolist()) == ((2, 4), (X[2] + 1).tolist())


@pytest.mark.parametrize("value", [Rows(), Pairs()])
def test_without_labels_all_rows_are_read_once(value):
    found = gather(value)
    assert np.asarray(found["x_train"]).tolist() == X.tolist()
    assert found["y_train"].tolist() == Y.tolist()


def test_members_and_weights_of_every_kind():
    both = Rows(lambda rows: ({"a": X[rows], "b": X[rows] + 1}, Y[rows], rows / 10))
    found = gather((both, both))
    assert [np.asarray(found["x_train"][key])[3, 0] for key in "ab"] == [12.0, 13.0]
    assert found["weight_test"].tolist() == (np.arange(10) / 10).tolist()


def test_targets_that_are_images_are_read_when_they_are_asked_for(monkeypatch):
    monkeypatch.setattr(column, "LARGE", 0)
    masks = (np.arange(60).reshape(10, 3, 2) % 2).astype(np.uint8)
    rows = Rows(lambda rows: (X[rows], masks[rows], rows / 10))
    found = source("masks", gather(rows))
    y = found.train.y
    assert isinstance(y, Column) and (y.shape, y.dtype) == ((10, 3, 2), np.int32)
    assert (found.target.classes, found.target.shape) == (2, (3, 2))
    assert found.train.weight.tolist() == (np.arange(10) / 10).astype(np.float32).tolist()
    splits = split(found, Data(path="masks", validation=0.2, test=0.2))
    assert isinstance(splits.y_train, Column)
    assert np.array_equal(splits.y_test, masks[splits.rows_test])


@pytest.mark.parametrize(
    ("bad", "expected"),
    [(np.full((10, 2, 2), -1), "label -1"), (np.full((10, 2, 2), np.nan), "y_train has NaN")],
)
def test_targets_in_columns_are_judged_as_others(bad, expected, monkeypatch):
    monkeypatch.setattr(column, "LARGE", 0)
    with pytest.raises(DataError, match=expected):
        source("masks", {"x_train": X, "y_train": bad})


def test_a_hugging_face_dataset_gives_its_columns():
    class Dataset:
        column_names = ("pixels", "label")

        def __len__(self):
            return 10

        def __getitem__(self, rows):
            return {"pixels": X[rows].tolist(), "label": Y[rows].tolist()}

    found = gather({"train": Dataset()})
    assert np.asarray(found["x_train"]).tolist() == X.tolist()
    Dataset.column_names = ("pixels",)
    Dataset.__getitem__ = lambda self, rows: {"pixels": X[rows].tolist(), "kind": Y[rows].tolist()}
    with pytest.raises(DataError, match=r"which column holds the targets.* pixels, kind"):
        gather({"train": Dataset()})


def short(rows):
    return (X[rows][: max(1, len(rows) - 1)], Y[rows][: max(1, len(rows) - 1)])


def other_shape(rows):
    return (X[rows] if 5 not in rows else X[rows, :3]), Y[rows]


def broken(rows):
    if 5 in rows:
        raise OSError("disk gone")
    return X[rows], Y[rows]


def with_nan(rows):
    x = X[rows].copy()
    x[rows == 5] = np.nan
    return x, Y[rows]


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        (short, r"data: train: reading 10 rows from 0 to 9 gave 9 rows of x. Expected: 10"),
        (other_shape, r"reading 10 rows from 0 to 9 gave x of shape \(3,\). Expected: \(4,\)"),
        (broken, "reading 10 rows from 0 to 9 raised OSError: disk gone"),
        (with_nan, r"data: x_train has NaN .* in row 5"),
        (lambda rows: (X[rows],) * 4, "reading row 0 gave 4 members"),
    ],
)
def test_rows_that_are_not_as_they_should_be_are_named(read, expected):
    with pytest.raises(DataError, match=expected):
        np.asarray(gather(Rows(read))["x_train"])


def test_labels_that_contradict_the_rows_are_named():
    found = gather(Rows(labels=1 - Y))
    with pytest.raises(DataError, match="y of row 3 is another than labels"):
        found["x_train"][3:5]
    with pytest.raises(DataError, match="has 3 rows, the reader has 10"):
        gather(Rows(labels=Y[:3]))


def test_a_reader_without_rows_is_refused():
    rows = Rows()
    rows.rows = 0
    with pytest.raises(DataError, match="it has no rows"):
        gather(rows)
