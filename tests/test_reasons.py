"""Reasons: the sentence of a foreign error stays, its wrapping goes."""

from __future__ import annotations

import traceback
from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

from ablate.errors import StudyError
from ablate.reasons import LINES, LONGEST, reason


class Broken(keras.layers.Layer):
    """Raises in two lines, eagerly and while it is traced."""

    def call(self, x):
        raise ValueError("my own reason\nand its second line")


class Stranger(keras.layers.Layer):
    """Is in no registry."""

    def call(self, x):
        return x


def embed_unknown_word():
    model = keras.Sequential([keras.Input((1,), dtype="int32"), keras.layers.Embedding(4, 2)])
    model.compile(loss="mse")
    model.fit(np.full((2, 1), 9), np.ones((2, 1, 2)), verbose=0)


def load_unknown_class(folder):
    keras.Sequential([keras.Input((2,)), Stranger()]).save(folder / "s.keras")
    keras.saving.load_model(folder / "s.keras")


def load_other_shape(folder):
    def model(units):
        return keras.Sequential([keras.Input((2,)), keras.layers.Dense(units, name="d")])

    model(3).save_weights(folder / "w.weights.h5")
    model(4).load_weights(folder / "w.weights.h5")


def read_on_until_it_breaks():
    def rows():
        yield np.ones((2, 2))
        raise RuntimeError("disk gone")

    kind = tf.TensorSpec((None, 2))
    for _ in tf.data.Dataset.from_generator(rows, output_signature=kind):
        pass


def make_with_unknown_argument():
    config = {**keras.layers.Dense(2, name="head").get_config(), "groups": 1}
    keras.layers.deserialize({"module": "keras.layers", "class_name": "Dense", "config": config})


@tf.function
def of_two_kinds(x):
    if x > 0:  # noqa: SIM108
        y = x
    else:
        y = "a"
    return y


@tf.function
def calls_broken(x):
    return Broken()(x)


def lookup():
    try:
        {}["x"]
    except KeyError as error:
        raise RuntimeError("no such site") from error


def empty():
    raise AssertionError


ERRORS: dict[str, tuple[Callable[..., object], str]] = {
    "layer": (
        lambda: Broken()(np.ones((2, 2))),
        "ValueError: my own reason\nand its second line (in Broken.call())",
    ),
    "layer in a model": (
        lambda: keras.Sequential([keras.Input((2,)), Broken()]),
        "ValueError: my own reason\nand its second line (in Broken.call())",
    ),
    "layer in a function": (
        lambda: calls_broken(tf.ones((2, 2))),
        "ValueError: my own reason\nand its second line (in Broken.call())",
    ),
    "arguments": (
        lambda: keras.Sequential([keras.Input((4,)), keras.layers.Reshape((3, 3))]),
        "ValueError: The total size of the tensor must be unchanged. Received: "
        "input_shape=(4,), target_shape=(3, 3) (in Reshape.call())",
    ),
    "operation": (
        lambda: tf.linalg.matmul(tf.ones((2, 4)), tf.ones((7, 7))),
        "InvalidArgumentError: Matrix size-incompatible: In[0]: [2,4], In[1]: [7,7]",
    ),
    "graph": (embed_unknown_word, "InvalidArgumentError: indices[0,0] = 9 is not in [0, 4)"),
    "class": (load_unknown_class, "TypeError: Could not locate class 'Stranger'."),
    "configuration": (
        make_with_unknown_argument,
        "TypeError: Unrecognized keyword arguments passed to Dense: {'groups': 1} "
        "(in Dense 'head')",
    ),
    "weights": (
        load_other_shape,
        "ValueError: The shape of the target variable and the shape of the target value in "
        "`variable.assign(value)` must match. variable.shape=(2, 4), Received: "
        "value.shape=(2, 3). (in <Dense name=d>)",
    ),
    "generator": (read_on_until_it_breaks, "RuntimeError: disk gone"),
    "autograph": (of_two_kinds, "TypeError: 'y' has dtype"),
    "numpy": (lambda: np.ones((2, 3)) @ np.ones((2, 3)), "ValueError: matmul: Input operand 1"),
    "key": (lambda: {}["x"], "KeyError: 'x'"),
    "cause": (lookup, "RuntimeError: no such site\n(from KeyError: 'x')"),
    "no words": (empty, "AssertionError (line "),
    "syntax": (lambda: compile("a b", "mine.py", "exec"), "SyntaxError: invalid syntax (line 1 of"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_the_reason_is_what_the_error_says_whoever_wrapped_it(name, tmp_path):
    raises, expected = ERRORS[name]
    arguments = (tmp_path,) if raises in (load_unknown_class, load_other_shape) else ()
    if raises is of_two_kinds:
        arguments = (tf.constant(1.0),)
    with pytest.raises(BaseException) as caught:
        raises(*arguments)
    said = reason(caught.value)
    assert said.startswith(expected)
    assert len(said.splitlines()) <= LINES
    for dump in ("config", "Arguments received", "File ", "{{", "[[", "\x1b", "Traceback"):
        assert dump not in said
    assert reason("".join(traceback.format_exception(caught.value))) == said


@pytest.mark.parametrize("raised", [False, True])
def test_a_worker_of_a_pool_says_it_once(raised):
    far = 'Traceback (most recent call last):\n  File "far.py", line 3, in f\nValueError: far away'
    here = 'Traceback (most recent call last):\n  File "here.py", line 3, in g\n'
    text = (
        f'concurrent.futures.process._RemoteTraceback: \n"""\n{far}\n"""\n\nThe above exception '
        "was the direct cause of the following exception:\n\n"
        f"{here if raised else ''}ValueError: far away\n"
    )
    assert reason(text) == "ValueError: far away"


def test_words_before_a_traceback_stay():
    try:
        raise MemoryError("no room for 4 GiB")
    except MemoryError as error:
        text = "Out of memory.\n\n" + "".join(traceback.format_exception(error))
    assert reason(text) == "Out of memory.\nMemoryError: no room for 4 GiB"


def test_own_words_are_returned_as_they_are():
    words = "study.yaml:3: no.\n\n  a\n  b\n  c\n  d"
    assert reason(StudyError(words)) == words
    assert reason("Tried 3 times; each time its worker died.") == (
        "Tried 3 times; each time its worker died."
    )
    assert reason("") == "no reason recorded"


def test_a_dump_without_a_known_wrapping_is_cut():
    said = reason(ValueError("\n".join(["first", *["x" * 10_000] * 50, "last"])))
    assert said.splitlines()[0] == "ValueError: first"
    assert said.splitlines()[-1] == "last"
    assert len(said) < 2 * LONGEST


def test_terminal_sequences_do_not_pass():
    said = reason(ValueError("\x1b[2J\x1b]0;owned\x07red \x1b[31mtext\x1b[0m\x00\x9b1m"))
    assert said == "ValueError: red text1m"
