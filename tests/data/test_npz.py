"""Files that are no sound npz of arrays: each is refused with its array and its reason."""

from __future__ import annotations

import random
import zipfile

import numpy as np
import pytest

from ablate.data import load
from ablate.data.npz import read
from ablate.errors import DataError
from ablate.study.schema.data import Data, example_shape

X, Y = np.arange(60.0).reshape(20, 3), np.arange(20) % 2


def test_arrays_of_objects_are_named_with_the_reason(save):
    ragged = np.empty(20, dtype=object)
    ragged[:] = [[1, 2], [3]] * 10
    for x in (ragged, np.array([1, None] * 10, dtype=object)):
        with pytest.raises(DataError, match=r"its array 'x_train' holds Python objects.*run code"):
            read(save(y_train=Y, x_train=x))
    path = save(x_train=X, y_train=np.array(["a", "b"] * 10, dtype=object))
    with pytest.raises(DataError, match=r"its array 'y_train' holds .*astype\(str\)"):
        read(path)


def test_an_npy_file_is_told_from_a_damaged_one(tmp_path):
    np.save(tmp_path / "x.npy", X)
    with pytest.raises(DataError, match=r"is an npy file, one array without a name.*savez\("):
        read(str(tmp_path / "x.npy"))
    (tmp_path / "x.dat").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"is no whole npz file: it cannot be read"):
        read(str(tmp_path / "x.dat"))


def test_a_member_that_is_damaged_is_named(tmp_path):
    path = tmp_path / "data.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x_train.npy", b"\x93NUMPY no header")
    with pytest.raises(DataError, match=r"its array 'x_train' cannot be read"):
        read(str(path))


@pytest.mark.parametrize("writer", [np.savez, np.savez_compressed], ids=["plain", "compressed"])
def test_damage_anywhere_is_an_error_that_can_be_acted_on(tmp_path, writer):
    """Cut short or overwritten at random, a file is read whole or refused, never a traceback."""
    path = tmp_path / "data.npz"
    writer(path, x_train=X, y_train=Y)
    sound = path.read_bytes()
    draw, refused = random.Random(0), 0
    for _ in range(300):
        damaged = bytearray(sound)
        if draw.random() < 0.3:
            del damaged[draw.randrange(len(damaged)) :]
        else:
            for _ in range(draw.choice((1, 1, 3))):
                damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        path.write_bytes(damaged)
        example_shape(Data(path=str(path)))
        try:
            found = read(str(path))
        except DataError as error:
            refused += 1
            assert str(path) in str(error)
        else:
            known = {"x_train": X, "y_train": Y}
            assert all(np.array_equal(known.get(name, each), each) for name, each in found.items())
    assert refused > 200


@pytest.mark.parametrize("name, meant", [("X_train", "x_train"), ("Y_Test", "y_test")])
def test_a_name_in_other_case_is_met_with_its_own(save, name, meant):
    with pytest.raises(DataError, match=rf"'{name}' is none .* Did you mean '{meant}'\?"):
        load(Data(path=save(**{"x_train": X, "y_train": Y, name: X})))
