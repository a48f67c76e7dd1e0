"""What is said of data that may be a mistake, and what is not said of data that is none."""

from __future__ import annotations

import numpy as np
import pytest

from ablate.data import load, remarks, split
from ablate.data.check import source
from ablate.data.remarks import remarked
from ablate.errors import DataError
from ablate.study.schema.data import Data

RANDOM = np.random.default_rng(0)
ROWS = 40
Y = np.arange(ROWS) % 3


def made(x, y=Y, data=None, **more):
    """Return the splits of arrays, remarks included."""
    arrays = {"x_train": x, "y_train": y, **more}
    facts = {key: arrays.pop(key) for key in ("tokens", "task", "classes") if key in arrays}
    found = remarked(source("mine", arrays, **facts))
    return split(found, Data(path="unused.npz", **(data or {})))


def images(high: float, dtype: str = "float32", shape=(8, 8, 3)) -> np.ndarray:
    x = RANDOM.random((ROWS, *shape)) * high
    x[:, 0], x[:, 1] = 0, high
    return x.astype(dtype)


def table(columns: int = 3) -> np.ndarray:
    return RANDOM.normal(size=(ROWS, columns))


def quiet(splits) -> bool:
    return not (splits.notes or splits.cautions or splits.unscaled)


@pytest.mark.parametrize(
    "x, reaches",
    [
        (images(255, "int64"), "x_train reaches 255 (from 0) and is not scaled"),
        (images(255), "x_train reaches 255 (from 0)"),
        (images(65535, "uint16"), "x_train reaches 65535 (from 0)"),
        (images(4095, "uint16"), "x_train reaches 4095 (from 0)"),
        (images(255, shape=(8, 8, 1)) - 128, "x_train reaches 127 (from -128)"),
        (images(255, "int32").reshape(ROWS, -1), "x_train reaches 255 (from 0)"),
        (np.rint(images(65535)).reshape(ROWS, -1), "x_train reaches 65535 (from 0)"),
        (np.rint(images(255)).reshape(ROWS, 8, 24), "x_train reaches 255 (from 0)"),
    ],
)
def test_images_that_enter_unscaled_are_a_caution(x, reaches):
    (text,) = made(x).unscaled
    assert text.startswith(reaches)
    for scale in ("unit", "standard", "none"):  # scaled, or asked for
        assert made(x, data={"scale": scale}).unscaled == ()


@pytest.mark.parametrize(
    "x, facts",
    [
        (images(255, "uint8"), {}),
        (images(1), {}),
        (images(3) - 1, {}),
        (RANDOM.integers(0, 256, (ROWS, 30)), {"tokens": True}),
        (RANDOM.poisson(3, (ROWS, 30)), {}),
        (np.eye(ROWS, 20), {}),
        (table(30) * 255, {}),
        (np.where(RANDOM.random((ROWS, 30)) < 0.1, 255, RANDOM.poisson(2, (ROWS, 30))), {}),
        (RANDOM.integers(0, 1000, (ROWS, 30)), {}),
        (RANDOM.normal(size=(ROWS, 20, 3)) * 300, {}),
    ],
)
def test_tokens_counts_one_hot_rows_and_scaled_images_are_none(x, facts):
    assert made(x, **facts).unscaled == ()


@pytest.mark.parametrize(
    "shape, told",
    [
        ((3, 32, 32), True),
        ((1, 9, 9), True),
        ((4, 48, 64), True),
        ((32, 32, 3), False),
        ((3, 3, 3), False),
        ((3, 4, 8), False),
        ((8, 8, 8), False),
        ((1, 1, 16), False),
        ((3, 16, 4), False),
    ],
)
def test_channels_first_is_noted(shape, told):
    found = made(RANDOM.random((ROWS, *shape)))
    assert [("which looks like channels first" in note) for note in found.notes] == [True] * told
    assert found.cautions == () and (not told or str(shape) in found.notes[0])


def test_equal_rows_of_images_are_a_caution_with_their_numbers():
    x = images(1)
    test = np.concatenate([x[:5], images(1)[:15]])
    val = np.concatenate([x[7:8].astype("float64"), images(1)[:9]])
    parts = {"x_test": test, "y_test": np.arange(20) % 3, "x_val": val, "y_val": np.arange(10) % 3}
    assert made(x, **parts).cautions == (
        "1 of 10 validation rows equal training rows (inputs): the validation score is partly on "
        "rows that were trained on",
        "5 of 20 test rows equal training rows (inputs): the test score is partly on rows that "
        "were trained on",
    )
    others = {"x_test": test[5:], "y_test": Y[:15], "x_val": val[1:], "y_val": Y[:9]}
    assert made(x, **others).cautions == ()


def test_repeated_rows_of_one_source_are_found_across_its_own_split():
    x = np.concatenate([images(1)[:20]] * 2)
    found = made(x, np.concatenate([np.arange(20) % 2] * 2))
    assert any("test rows equal training rows" in text for text in found.cautions)


def test_rows_of_a_table_are_equal_only_with_their_targets():
    x = np.linspace(-1, 1, ROWS)[:, None]
    parts = {"x_test": x, "x_val": table(1), "y_val": table(1)}
    assert quiet(made(x, table(1), **parts, y_test=table(1)))
    y = table(1)
    found = made(x, y, **parts, y_test=y)
    assert found.cautions == (
        "40 of 40 test rows equal training rows (inputs and targets): the test score is partly on "
        "rows that were trained on",
    )


def test_a_table_of_few_different_rows_repeats_by_its_nature():
    x = RANDOM.integers(0, 2, (ROWS, 2))
    found = made(x, x[:, 0] ^ x[:, 1])
    assert found.cautions == ()
    assert all("so few values that many are equal by chance" in note for note in found.notes)
    assert len(found.notes) == 3


@pytest.mark.parametrize("times", [2, 3, 20])
@pytest.mark.parametrize(
    "x",
    [
        table(),
        table(1),
        images(1),
        RANDOM.integers(0, 2, (ROWS, 30)),
        RANDOM.normal(size=(ROWS, 5, 2)),
        np.array([f"text {i}" for i in range(ROWS)]),
    ],
    ids=["table", "column", "images", "binary", "sequences", "texts"],
)
def test_rows_that_were_copied_before_the_split_are_a_caution_however_often(x, times):
    found = made(np.concatenate([x] * times), np.concatenate([Y] * times))
    for part in ("validation", "test"):
        assert any(f"the {part} score is partly on rows" in each for each in found.cautions)


def test_rows_that_validation_and_test_share_are_a_caution():
    x, other = images(1), images(1)
    parts = {"x_val": other[:10], "y_val": Y[:10], "x_test": other[6:26], "y_test": Y[:20]}
    assert made(x, **parts).cautions == (
        "4 of 20 test rows equal validation rows (inputs): what is chosen on validation rows is "
        "tested on them",
    )


def test_single_equal_rows_among_many_are_a_note():
    x = table()
    test = np.concatenate([x[:1], RANDOM.normal(size=(199, 3))])
    parts = {"x_test": test, "y_test": np.concatenate([Y[:1], np.arange(199) % 3])}
    found = made(x, **parts, x_val=table()[:9], y_val=Y[:9])
    assert found.cautions == ()
    assert found.notes == ("1 of 200 test rows equal training rows (inputs and targets)",)


def test_large_parts_are_looked_through_as_far_as_is_said(monkeypatch):
    monkeypatch.setattr(remarks, "LOOKED_THROUGH", 10 * 8 * 8 * 3 * 4)
    x = images(1)
    found = made(x, x_test=x, y_test=Y, x_val=images(1)[:9], y_val=Y[:9])
    (text,) = [*found.notes, *found.cautions]
    assert "of 10 test rows" in text and "the first 10 training rows and 10 test rows" in text


def test_several_inputs_are_equal_only_together():
    x = {"a": images(1), "b": table()}
    other = {"a": x["a"], "b": table()}
    parts = {"y_test": Y, "x_val": {"a": images(1), "b": table()}, "y_val": Y}
    assert made(x, **parts, x_test=other).cautions == ()
    assert "40 of 40 test rows" in made(x, **parts, x_test=x).cautions[0]


@pytest.mark.parametrize(
    "labels, says",
    [
        (
            [1, 2, 3],
            "y_train has no row of class 0 (1 of 4 classes): labels begin at 1, and the network "
            "gets 4 outputs. Number the classes from 0 for 3",
        ),
        (
            [0, 2, 5],
            "y_train has no row of class 1, 3, 4 (3 of 6 classes): the network gets an output for "
            "each",
        ),
    ],
)
def test_gaps_in_the_labels_are_noted(labels, says):
    found = made(table(), np.array(labels)[Y])
    assert found.notes == (says,)
    one_hot = made(table(), np.eye(max(labels) + 1)[np.array(labels)[Y]])
    assert [note.split(":")[0] for note in one_hot.notes] == [found.notes[0].split(":")[0]]


def test_classes_lost_by_a_limit_are_told_from_those_that_never_were():
    y = np.where(np.arange(ROWS) < 34, 0, 1 + 2 * (np.arange(ROWS) % 2))  # 0, 1, 3
    found = made(table(), y, {"limit": 1})
    assert found.notes[1] == "no training row of class 1, 3 (2 of 4 classes)"
    only = made(table(), Y, {"only": [0, 2]})
    assert quiet(only)  # class 1 is left out because that was asked for


def test_constant_features_are_noted():
    x = table(5)
    x[:, 1], x[:, 4] = 7, 0
    assert made(x).notes == (
        "2 of 5 features of x_train are constant in all 40 rows: feature 1, 4",
    )
    rgba = np.concatenate([images(1), np.ones((ROWS, 8, 8, 1))], axis=-1)
    assert made(rgba).notes == ("1 of 4 channels of x_train is constant in all 40 rows: channel 3",)
    assert "nothing to learn from" in made(np.ones((ROWS, 2))).cautions[0]
    assert quiet(made(np.eye(400)[:ROWS]))  # many columns: words, pixels


def test_features_of_nothing_but_nan_are_named():
    x = table()
    x[:, 2] = np.nan
    with pytest.raises(DataError, match=r"NaN .* in 40 of 40 rows.*Column 2 is NaN in every row"):
        made(x)
    x[1:, 2] = 0
    with pytest.raises(DataError, match=r"in 1 of 40 rows, the first at row 0\. Remove or replace"):
        made(x)


@pytest.mark.parametrize("name", ["digits", "noisy_line", "badly_scaled"])
def test_nothing_is_said_of_the_sets_that_are_carried(name):
    data = Data(name=name)
    assert quiet(split(load(data), data))
