"""Splits by time, by fold and by group: who is on which side, and what cannot be divided."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablate.data import split
from ablate.data.check import source
from ablate.errors import DataError, StudyError
from ablate.study.schema.data import Data

ROWS = 60
X = np.random.default_rng(0).normal(size=(ROWS, 3)).astype(np.float32)
Y = np.repeat([0, 1, 2], [30, 20, 10])


def data(**fields):
    return Data(path="unused.npz", **fields)


def mine(groups=None, y=Y, x=X, **more):
    extra = {} if groups is None else {"groups_train": groups}
    return source("mine", {"x_train": x, "y_train": y, **extra, **more})


def sides(splits):
    return splits.rows_train, splits.rows_val, splits.rows_test


def test_ordered_rows_are_cut_as_they_come():
    found = split(mine(y=np.arange(ROWS) % 3), data(split="ordered", validation=0.25))
    assert [each.tolist() for each in sides(found)] == [
        list(range(36)), list(range(36, 48)), list(range(48, 60)),
    ]  # fmt: skip
    assert found.drawn == ()
    assert split(mine(), data(split="ordered"), 1).rows_test.tolist() == list(range(48, 60))


def test_ordered_limit_keeps_the_latest():
    found = split(mine(), data(split="ordered", validation=0.25, limit=5))
    assert found.rows_train.tolist() == [31, 32, 33, 34, 35]


def test_ordered_leaves_the_sources_own_test_part_and_says_what_train_lacks():
    found = split(mine(x_test=X[:5] + 9, y_test=Y[:5]), data(split="ordered"))
    assert found.rows_test.tolist() == list(range(5))
    assert found.rows_val.tolist() == list(range(51, 60))
    late = split(mine(), data(split="ordered", validation=0.25))
    assert any("no training row of class 2" in note for note in late.notes)


def test_ordered_refuses_a_group_on_two_sides_and_takes_one_that_is_not():
    whole = np.repeat([0, 1, 2], [36, 12, 12])
    found = split(mine(whole, np.arange(ROWS) % 3), data(split="ordered", validation=0.25))
    assert len(found.rows_train) == 36
    with pytest.raises(DataError, match="puts rows of group 1, 2 on two"):
        split(mine(np.repeat([0, 1, 2], 20)), data(split="ordered", validation=0.25))


@pytest.mark.parametrize("groups", [None, np.arange(ROWS) // 3])
def test_folds_of_a_repetition_are_every_row_once_and_the_next_has_others(groups):
    raw = mine(groups)
    found = [split(raw, data(folds=5), seed) for seed in range(10)]
    for start in (0, 5):
        rows = np.concatenate([each.rows_test for each in found[start : start + 5]])
        assert sorted(rows) == list(range(ROWS))
    assert sorted(found[0].rows_test) != sorted(found[5].rows_test)
    for each in found:
        assert sorted(np.concatenate(sides(each))) == list(range(ROWS))
        assert each.drawn == ("train", "validation", "test")
    if groups is None:
        assert {tuple(np.bincount(each.y_test)) for each in found} == {(6, 4, 2)}


def test_folds_need_no_share_of_test_rows_and_take_validation_of_the_rest():
    found = split(mine(), data(folds=3, test=0, validation=0.25), 1)
    assert found.rows == {"train": 30, "validation": 10, "test": 20}
    assert split(mine(), data(folds=3, validation=0), 1).rows["validation"] == 0


@pytest.mark.parametrize(
    "raw, fields, says",
    [
        (mine(x_test=X[:5], y_test=Y[:5]), {"folds": 5}, "brings a test part of its own"),
        (mine(y=np.arange(ROWS) // 59), {"folds": 5}, "class 1 has 1 row"),
        (mine(np.arange(ROWS) // 20), {"folds": 4}, "3 groups cannot fill 4 folds"),
        (mine(np.zeros(ROWS)), {}, "1 groups cannot fill 3 parts"),
        (mine(), {"groups": "patient"}, "no array or column 'patient'"),
    ],
    ids=["own test part", "class of one", "too few for folds", "one group", "not there"],
)
def test_what_cannot_be_divided_is_refused(raw, fields, says):
    with pytest.raises(DataError, match=says):
        split(raw, data(**fields))


@pytest.mark.parametrize("other", ["per_seed", "ordered"])
def test_folds_beside_another_way_to_split_are_refused(other):
    with pytest.raises((StudyError, ValueError), match="Keep one of the two"):
        data(folds=5, split=other)


@settings(max_examples=25, deadline=None)
@given(st.integers(4, 30), st.integers(0, 5), st.booleans())
def test_no_group_is_on_two_sides(count, seed, text):
    groups = np.random.default_rng(seed).integers(0, count, ROWS)
    raw = mine(groups.astype(str) if text else groups)
    try:
        found = split(raw, data(split="per_seed", validation=0.25, test=0.25), seed)
    except DataError as error:
        assert "groups cannot fill" in str(error)
        return
    assert sorted(np.concatenate(sides(found))) == list(range(ROWS))
    named = [set(groups[each]) for each in sides(found)]
    assert not (named[0] & named[1] or named[0] & named[2] or named[1] & named[2])
    assert sorted(found.groups_test) == sorted(raw.train.groups[found.rows_test])


def test_groups_keep_shares_and_classes_where_they_can():
    found = split(mine(np.arange(ROWS) // 2), data(validation=0.25, test=0.2))
    assert found.rows == {"train": 36, "validation": 12, "test": 12}
    assert np.bincount(found.y_test).tolist() == [6, 4, 2]
    assert split(mine(np.arange(ROWS) // 2), data(split="per_seed"), 1).rows_test.tolist() != (
        split(mine(np.arange(ROWS) // 2), data(split="per_seed"), 2).rows_test.tolist()
    )


def test_a_large_group_that_spoils_the_shares_is_noted():
    groups = np.concatenate([np.zeros(40), np.arange(1, 21)])
    found = split(mine(groups), data(test=0.5))
    assert any("whole groups make the test part" in note for note in found.notes)


def test_groups_that_the_sources_own_parts_share_are_a_caution():
    more = {"x_test": X[:3] + 9, "y_test": Y[:3], "groups_test": np.array([0, 1, 99])}
    found = split(mine(np.arange(ROWS) // 2, **more), data())
    assert found.cautions == ("2 groups of the test part have training rows, too: 0, 1",)


def test_ordered_rows_that_are_sorted_by_class_are_a_caution():
    found = split(mine(y=np.repeat([0, 1], 30)), data(split="ordered", validation=0.25))
    assert [text.partition(":")[0] for text in found.cautions] == ["split"] * 2
    assert "the 12 test rows have 1 of 2 classes" in found.cautions[1]
    shuffled = split(mine(y=np.arange(ROWS) % 2), data(split="ordered", validation=0.25))
    assert shuffled.cautions == ()
