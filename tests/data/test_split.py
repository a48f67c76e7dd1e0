"""Splits are stratified, reproducible, disjoint, and the same for every variant."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablate.data import load, split
from ablate.data.check import source
from ablate.data.partition import _quotas
from ablate.errors import DataError
from ablate.study.schema.data import Data


def data(**fields):
    return Data(path="unused.npz", **fields)


@pytest.fixture
def mine(blobs):
    x, y = blobs
    return source("mine", {"x_train": x, "y_train": y})


def test_shares_of_classes_stay(mine):
    found = split(mine, data(validation=0.25, test=0.2))
    counts = {n: np.bincount(p.y).tolist() for n, p in found.parts.items()}
    assert counts == {"train": [18, 12, 6], "validation": [6, 4, 2], "test": [6, 4, 2]}
    assert found.rows == {"train": 36, "validation": 12, "test": 12}


def test_every_row_is_in_one_part_and_rows_say_which(mine):
    found = split(mine, data())
    together = np.concatenate([found.rows_train, found.rows_val, found.rows_test])
    assert sorted(together) == list(range(60))
    np.testing.assert_array_equal(found.x_val, mine.train.x[found.rows_val])
    np.testing.assert_array_equal(found.y_train, mine.train.y[found.rows_train])


def test_the_same_request_gives_the_same_object(mine):
    assert split(mine, data()) is split(mine, data())
    assert split(mine, data(), 1) is split(mine, data(), 2)  # fixed: the seed does not matter


def test_per_seed_redraws_and_repeats(mine):
    one, two = (split(mine, data(split="per_seed"), seed).rows_test.tolist() for seed in (1, 2))
    assert one != two
    again = source("mine", {"x_train": mine.train.x, "y_train": mine.train.y})
    assert split(again, data(split="per_seed"), 1).rows_test.tolist() == one


def test_the_order_of_rows_is_the_same_on_every_machine(mine):
    # Raw PCG64 output seeded by SHA-256: neither NumPy nor Python may change it.
    expected = [44, 54, 5, 40, 58, 11, 45, 6, 7, 8, 42, 17]
    assert split(mine, data()).rows_test.tolist() == expected


def test_limit_keeps_the_first_training_rows_and_nothing_else_moves(mine):
    whole, less = split(mine, data()), split(mine, data(limit=10))
    np.testing.assert_array_equal(less.rows_train, whole.rows_train[:10])
    np.testing.assert_array_equal(less.x_test, whole.x_test)
    np.testing.assert_array_equal(less.x_val, whole.x_val)
    assert split(mine, data(limit=1000)).notes == ("limit 1000: there are only 41 training rows",)
    assert "no training row of class" in split(mine, data(limit=1)).notes[0]


def test_the_first_rows_are_rows_at_random():
    """Stratifying must not sort the classes into the order of the training rows."""
    y = np.arange(2000) % 10
    raw = source("mine", {"x_train": np.zeros((2000, 1)), "y_train": y})
    counts = np.bincount(split(raw, data(limit=200)).y_train, minlength=10)
    # 20 are expected; a hypergeometric deviation is about 4.
    assert counts.min() >= 8 and counts.max() <= 35


def test_parts_that_the_source_gives_are_used(blobs):
    x, y = blobs
    arrays = {
        "x_train": x,
        "y_train": y,
        "x_val": x[:7],
        "y_val": y[:7],
        "x_test": x[:5],
        "y_test": y[:5],
    }
    found = split(source("mine", arrays), data())
    assert found.rows == {"train": 60, "validation": 7, "test": 5}
    np.testing.assert_array_equal(found.x_val, x[:7])
    np.testing.assert_array_equal(found.rows_test, np.arange(5))


@pytest.mark.parametrize("gives", [(), ("test",), ("val",), ("val", "test")])
@pytest.mark.parametrize("fields", [{}, {"limit": 20}, {"limit": 1000}, {"test": 0.0}])
def test_what_is_drawn_is_what_differs_between_seeds(blobs, gives, fields):
    x, y = blobs
    arrays = {"x_train": x, "y_train": y}
    for part in gives:
        arrays |= {f"x_{part}": x[:12] + 1, f"y_{part}": y[:12]}
    raw = source("mine", arrays)
    one, two = (split(raw, data(split="per_seed", **fields), seed) for seed in (1, 2))
    rows = {
        "train": (one.rows_train, two.rows_train),
        "validation": (one.rows_val, two.rows_val),
        "test": (one.rows_test, two.rows_test),
    }
    differ = tuple(name for name, (a, b) in rows.items() if set(a) != set(b))
    assert one.drawn == two.drawn == differ
    assert split(raw, data(**fields)).drawn == differ  # what per_seed would redraw


def test_parts_of_share_zero_are_absent(mine):
    found = split(mine, data(validation=0.0, test=0.0))
    assert (found.x_val, found.y_test) == (None, None)
    assert found.rows == {"train": 60, "validation": 0, "test": 0}


def test_arrays_are_read_only(mine):
    found = split(mine, data())
    for array in (found.x_train, found.y_val, found.rows_test):
        assert not array.flags.writeable


def test_inputs_as_targets():
    x = np.arange(40, dtype=np.uint8).reshape(10, 2, 2)
    found = split(source("mine", {"x_train": x}, labels=False), data(target="inputs"))
    assert found.y_train is found.x_train and found.task == "regression"
    assert found.output_shape == (2, 2, 1) and found.x_train.max() < 1


def test_binary_inputs(mine):
    found = split(mine, data(binarize=0.0))
    np.testing.assert_array_equal(found.x_train, mine.train.x[found.rows_train] > 0)
    assert found.scaling == "none, then 1 where above 0"


def test_a_shifted_test_set_leaves_the_rest_alone():
    x = np.arange(60, dtype=np.uint8).reshape(20, 3)
    raw = source("mine", {"x_train": x, "y_train": np.arange(20) % 2})
    plain, inverted = (
        split(raw, data(scale="none", shift=shift)) for shift in (None, {"name": "invert"})
    )
    np.testing.assert_array_equal(plain.x_train, inverted.x_train)
    low, high = plain.x_train.min(), plain.x_train.max()
    np.testing.assert_array_equal(inverted.x_test, np.clip(low + high - plain.x_test, low, high))
    assert inverted.notes == ("test inputs shifted: invert 0.3",)


def test_brightened_and_noisy_stay_in_range():
    x = np.linspace(0, 1, 60, dtype=np.float32).reshape(20, 3)
    raw = source("mine", {"x_train": x, "y_train": np.arange(20) % 2})
    plain = split(raw, data()).x_test
    low, high = split(raw, data()).x_train.min(), split(raw, data()).x_train.max()
    for name in ("brighten", "contrast", "noise"):
        found = split(raw, data(shift={"name": name, "amount": 0.2})).x_test
        assert low <= found.min() and found.max() <= high and not np.array_equal(found, plain)
    bright = split(raw, data(shift={"name": "brighten", "amount": 0.2})).x_test
    np.testing.assert_allclose(bright, np.clip(plain + 0.2 * (high - low), low, high), rtol=1e-6)


def test_several_inputs(blobs):
    x, y = blobs
    raw = source("mine", {"x_train": {"a": x, "b": x * 2}, "y_train": {"out": y}})
    found = split(raw, data(scale="standard"))
    assert found.input_shape == {"a": (3,), "b": (3,)}
    assert found.output_shape == {"out": ()} and found.classes is None
    assert found.task == "classification"
    np.testing.assert_allclose(found.x_train["a"], found.x_train["b"], atol=1e-6)


@pytest.mark.parametrize(
    "counts, fields, says",
    [
        ([30, 2], {}, "class 1 has 2 rows, too few to be in 3 parts"),
        ([30, 1], {"test": 0.0}, "class 1 has 1 row, too few to be in 2 parts"),
        ([30, 30], {"validation": 0.001}, "rows is 0"),
    ],
)
def test_too_few_rows(counts, fields, says):
    y = np.repeat(np.arange(len(counts)), counts)
    raw = source("mine", {"x_train": np.zeros((len(y), 1)), "y_train": y})
    with pytest.raises(DataError, match=says):
        split(raw, data(**fields))


def test_regression_splits_at_random():
    x = np.arange(100.0)[:, None]
    found = split(source("mine", {"x_train": x, "y_train": x[:, 0]}), data())
    assert found.rows == {"train": 68, "validation": 12, "test": 20}
    assert found.y_train.shape == (68, 1)


def test_generated_sources_are_redrawn_per_seed():
    fixed = Data(name="noisy_line", size=10)
    per_seed = Data(name="noisy_line", size=10, split="per_seed")
    raw = load(fixed)
    np.testing.assert_array_equal(split(raw, fixed, 3).y_train, split(raw, fixed, 4).y_train)
    three, four = (split(raw, per_seed, seed) for seed in (3, 4))
    assert not np.array_equal(three.y_test, four.y_test)
    np.testing.assert_array_equal(np.sort(three.x_train, axis=0), np.sort(four.x_train, axis=0))


def test_all_of_a_generated_source_is_drawn():
    generated = Data(name="noisy_line")
    assert split(load(generated), generated).drawn == ("train", "validation", "test")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(2, 200), min_size=2, max_size=8), st.floats(0.05, 0.9))
def test_quotas_take_every_class_and_leave_every_class(counts, share):
    counts = np.array(counts)
    quotas = _quotas(counts, share, round(share * counts.sum()))
    assert (quotas >= 1).all() and (quotas <= counts - 1).all()
    assert (np.abs(quotas - counts * share) <= np.maximum(1, 1 - counts * share + 1)).all()


def test_splits_are_values(mine):
    found = split(mine, data())
    assert replace(found, notes=("x",)).notes == ("x",)
