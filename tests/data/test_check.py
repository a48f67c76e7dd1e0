"""Arrays are judged before anything is trained: each slip has its sentence."""

import numpy as np
import pytest

from ablate.data.check import source
from ablate.errors import DataError
from ablate.study.specs import Target


def made(x, y, **more):
    return source("mine", {"x_train": x, "y_train": y, **more.pop("arrays", {})}, **more)


def test_class_numbers_become_int32_and_inputs_float32(blobs):
    x, y = blobs
    found = made(x.astype(np.float64), y[:, None].astype(np.uint8))
    assert found.train.x.dtype == np.float32
    assert found.train.y.dtype == np.int32 and found.train.y.shape == (60,)
    assert found.target == Target("classification", (), 3)


def test_arrays_are_read_only_and_those_given_stay_writable():
    images = np.zeros((60, 4, 4), np.uint8)
    found = made(images, np.arange(60) % 2)
    assert found.train.x.shape == (60, 4, 4, 1)
    with pytest.raises(ValueError, match="read-only"):
        found.train.x[0] = 1
    images[0] = 1


@pytest.mark.parametrize(
    "y, target",
    [
        (np.eye(3)[np.arange(60) % 3], Target("classification", (3,), 3, None, True)),
        (np.array(["b", "a", "c"] * 20), Target("classification", (), 3, ("a", "b", "c"))),
        (np.arange(60) % 2 == 0, Target("classification", (), 2)),
        (np.linspace(0, 1, 60), Target("regression", (1,))),
        (np.ones((60, 2)) * 0.5, Target("regression", (2,))),
        (np.arange(60 * 4).reshape(60, 2, 2) % 3, Target("classification", (2, 2), 3)),
    ],
)  # fmt: skip
def test_tasks(blobs, y, target):
    assert made(blobs[0], y).target == target


def test_a_task_that_is_given_wins(blobs):
    x, y = blobs
    assert made(x, y, task="regression").target == Target("regression", (1,))
    assert made(x, y.astype(np.float32), task="classification").target.classes == 3


def test_several_outputs_are_judged_one_by_one(blobs):
    x, y = blobs
    found = source("mine", {"x_train": [x, x], "y_train": {"kind": y, "size": x[:, 0]}})
    assert found.target == {
        "kind": Target("classification", (), 3),
        "size": Target("regression", (1,)),
    }


def test_without_labels_only_inputs_are_needed(blobs):
    found = source("mine", {"x_train": blobs[0]}, labels=False)
    assert found.train.y is None and found.target is None


NAN = np.full((60, 3), np.nan, np.float32)
BIG = np.full((60, 3), 1e300)


@pytest.mark.parametrize(
    "arrays, says",
    [
        ({"y_train": None}, "y_train missing.*data.target: inputs"),
        ({"x_train": np.zeros((59, 3))}, "x_train has 59 rows, y_train has 60"),
        ({"x_train": np.zeros((0, 3)), "y_train": np.zeros(0, int)}, "no rows"),
        ({"x_test": np.zeros((5, 3))}, "x_test is there but y_test is missing"),
        ({"y_val": np.zeros(5, int)}, "y_val is there but x_val is missing"),
        (
            {"x_test": np.zeros((5, 4)), "y_test": np.zeros(5, int)},
            r"x_test has shape \(4,\), one of x_train \(3,\)",
        ),
        ({"x_train": NAN}, "NaN .* in 60 of 60 rows, the first at row 0"),
        ({"x_train": BIG}, "beyond float32"),
        ({"x_train": np.full((60, 3), 1j)}, "texts for a model that takes strings"),
        ({"weight_train": np.full(60, -1.0)}, "weight_train is -1 at row 0"),
        ({"weight_train": np.full(60, np.nan)}, "finite weights of at least 0"),
        ({"weight_train": np.zeros(60)}, "0 in every row"),
        ({"weight_train": np.ones(59)}, r"shape \(59,\). Expected: \(60,\)"),
        ({"weight_train": np.full(60, "a")}, "a number per row"),
        ({"groups_train": np.ones((60, 2))}, r"groups_train has shape \(60, 2\)"),
        ({"groups_train": np.full(60, np.nan)}, "groups_train is NaN at row 0"),
        ({"y_train": np.arange(60) - 1}, "label -1"),
        ({"y_train": np.arange(60) * 1000}, "more classes than rows"),
        ({"y_train": np.zeros(60, int)}, "at least two classes"),
        ({"y_train": np.full(60, np.nan)}, "y_train has NaN .* in 60 of 60 rows"),
        ({"x_test": np.zeros((5, 3)), "y_test": np.full(5, 9)}, "label 9, but 3 classes"),
        ({"x_test": np.zeros((5, 3)), "y_test": np.zeros((5, 2), int)}, r"shape \(2,\)"),
    ],
)
def test_what_does_not_fit(blobs, arrays, says):
    x, y = blobs
    whole = {"x_train": x, "y_train": y, **arrays}
    whole = {key: value for key, value in whole.items() if value is not None}
    with pytest.raises(DataError, match=says):
        source("mine", whole)


@pytest.mark.parametrize(
    "y, more, says",
    [
        (np.arange(60) / 7, {"task": "classification"}, "whole class numbers"),
        (np.arange(60) % 3, {"classes": 2}, "label 2, but 2 classes are given"),
        (np.array(["a", "b"] * 30), {"task": "regression"}, "holds texts"),
        (np.arange(60) % 3, {"class_names": ("a", "b")}, "2 classes are given"),
        (np.arange(60) * 1j, {}, "complex128"),
        (np.eye(3)[np.arange(60) % 3], {"classes": 4}, "3 columns"),
    ],
)
def test_facts_that_contradict_the_labels(blobs, y, more, says):
    with pytest.raises(DataError, match=says):
        made(blobs[0], y, **more)


def test_a_class_unknown_to_training_is_named(blobs):
    arrays = {"x_test": blobs[0][:1], "y_test": np.array(["z"])}
    with pytest.raises(DataError, match="class 'z', which is not among the 2"):
        made(blobs[0], np.array(["a", "b"] * 30), arrays=arrays)


FLOATS = np.resize([0.0, 1.0, 2.0], 30)


@pytest.mark.parametrize(
    ("y", "more", "said"),
    [
        (FLOATS, {}, ["y holds whole numbers as floats, of 3 values (0, 1, 2)"]),
        (FLOATS - 1, {}, ["y holds whole numbers as floats, of 3 values (-1, 0, 1)"]),
        (FLOATS, {"task": "regression"}, []),
        (FLOATS, {"task": "classification"}, []),
        (FLOATS + 0.5, {}, []),
        (np.arange(30.0), {}, []),  # each value once: numbers
        (FLOATS.astype(int), {}, []),
        (np.resize([[1, 1, 0], [0, 0, 0]], (30, 3)), {}, ["y holds 3 integers of 0 or 1"]),
        (np.resize([[1, 1, 0], [0, 2, 0]], (30, 3)), {}, []),
        (np.arange(30) % 25, {}, ["y holds integers up to 24 in 30 training rows: taken for 25"]),
        (np.arange(30) % 25, {"classes": 25}, []),
        (np.arange(30) % 25, {"task": "classification"}, []),
    ],
)
def test_a_guess_at_the_task_is_said(y, more, said):
    x = np.zeros((30, 2), "float32")
    notes = source("it", {"x_train": x, "y_train": y}, **more).notes
    assert [note.startswith(each) for note, each in zip(notes, said, strict=True)] == [True] * len(
        said
    )


def test_a_guess_names_its_output():
    ys = {"age": np.linspace(0, 1, 30), "kind": FLOATS}
    (note,) = source("it", {"x_train": np.zeros((30, 2)), "y_train": ys}).notes
    assert note.startswith("y['kind'] holds whole numbers as floats")


def test_values_of_numbers_are_known_where_they_are_few_and_whole():
    y = {"few": FLOATS, "real": FLOATS + 0.5, "map": np.ones((30, 4, 4, 1))}
    target = source("it", {"x_train": np.zeros((30, 2)), "y_train": y}).target
    assert {name: each.values for name, each in target.items()} == {
        "few": (0.0, 1.0, 2.0), "real": None, "map": (1.0,),
    }  # fmt: skip


def test_weights_become_float32_and_groups_stay_what_they_are(blobs):
    weights, groups = np.arange(60), np.repeat(["a", "b"], 30)
    found = made(*blobs, arrays={"weight_train": weights[:, None], "groups_train": groups}).train
    assert found.weight.dtype == np.float32 and found.weight.tolist() == weights.tolist()
    assert found.groups.tolist() == groups.tolist()


def test_texts_pass_as_they_are(blobs):
    found = made(np.full(60, "good"), blobs[1])
    assert found.train.x.shape == (60, 1) and found.train.x.dtype.kind == "U"
