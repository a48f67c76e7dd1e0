"""State as JSON and arrays: it comes back as it was, or is refused."""

import collections
import json
import math

import keras
import numpy as np
import pytest

from ablate.training.packing import CannotPackError, pack, unpack


def round_trip(value):
    tree, arrays = pack(value)
    return unpack(json.loads(json.dumps(tree)), arrays)


def test_values_come_back_as_they_were():
    value = {
        "none": None, "yes": True, "one": 1, "tenth": 0.1, "tiny": 5e-324, "huge": 10**30,
        "inf": math.inf, "text": "a\"\n", "tuple": (1, (2.5, [3])), "set": {1, "a"},
        3: "a number as key", (1, 2): "a tuple as key", "empty": [{}, [], (), set()],
        "dict": {"tuple": [1]}, "function": keras.ops.less, "ufunc": np.less,
    }  # fmt: skip
    found = round_trip(value)
    assert found == value
    assert list(found) == list(value)  # in the order in which it was put down
    assert [type(each) for each in found.values()] == [type(each) for each in value.values()]
    assert math.isnan(round_trip(math.nan))


@pytest.mark.parametrize(
    "array",
    [np.arange(6.0, dtype="float32").reshape(2, 3), np.zeros((0, 2)), np.array(True),
     np.array(["a", "bc"]), np.float16(0.1), np.int64(-3), np.asfortranarray(np.ones((2, 3)))],
)  # fmt: skip
def test_arrays_come_back_to_the_bit(array):
    found = round_trip([array])[0]
    assert type(found) is type(array) and found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


def test_what_is_shared_stays_shared():
    inner, array = [1], np.ones(2)
    found = round_trip({"a": inner, "b": [inner, array], "c": array})
    assert found["a"] is found["b"][0] and found["c"] is found["b"][1]
    loop = []
    loop.append(loop)
    again = round_trip(loop)
    assert again[0] is again


class Own:
    pass


@pytest.mark.parametrize(
    "value",
    [Own(), Own, lambda: 0, round_trip, print, object(), collections.OrderedDict(a=1),
     collections.deque(), b"bytes", np.array([Own()], dtype=object), 1j, keras.Variable(1.0)],
    ids=str,
)  # fmt: skip
def test_what_is_of_no_known_kind_is_refused(value):
    with pytest.raises(CannotPackError):
        pack({"deep": [value]})


@pytest.mark.parametrize(
    "tree",
    [{"code": 1}, {"array": "a7"}, {"same": 3}, {"function": "os.system"}, {"dict": 3},
     {"function": "keras.ops.nothing"}, {"dict": [[[], 1]]}, {"a": 1, "b": 2}, {}],
    ids=str,
)  # fmt: skip
def test_what_it_never_wrote_is_refused(tree):
    with pytest.raises(ValueError):
        unpack([tree], {})
