"""Rows of some classes only, chosen after the split."""

from __future__ import annotations

import numpy as np
import pytest

from ablate.data import load, split
from ablate.errors import DataError
from ablate.study.schema.data import Data


def parts(**changes):
    data = Data(name="digits", **changes)
    return split(load(data), data)


def test_each_part_keeps_the_rows_of_those_classes():
    whole, few = parts(), parts(only=[0, 7])
    for part in ("train", "val", "test"):
        rows, labels = getattr(whole, f"rows_{part}"), getattr(whole, f"y_{part}")
        expected = rows[np.isin(labels, [0, 7])]
        np.testing.assert_array_equal(getattr(few, f"rows_{part}"), expected)
        assert set(getattr(few, f"y_{part}")) == {0, 7}, "labels keep their numbers"
    assert few.classes == whole.classes == 10


def test_what_one_learns_from_is_never_tested_by_another():
    first, second = parts(only=[0, 1, 2, 3, 4]), parts()
    assert not set(first.rows_train) & (set(second.rows_val) | set(second.rows_test))


def test_a_limit_counts_the_rows_that_are_left():
    assert set(parts(only=[3], limit=5).y_train) == {3}
    assert len(parts(only=[3], limit=5).y_train) == 5


def test_a_class_that_is_not_there_is_told():
    with pytest.raises(DataError, match=r"no class 10\. Expected: 0 to 9"):
        parts(only=[10])
    data = Data(name="noisy_line", only=[0])
    with pytest.raises(DataError, match="the labels are none"):
        split(load(data), data)
