"""What a script's text says of its fit calls, and where its lines come from."""

import ast
from pathlib import Path

import pytest

from ablate.capture.source import Source, another, evaluations, own_loop, read


def source_of(text):
    return Source(Path("train.py"), text, tree=ast.parse(text))


LONE = [
    ("m.fit(x)", [("<module>", 1)]),
    ("scaler.fit(x)\nm.fit(x)", [("<module>", 2)]),
    ("def go():\n    m.fit(x)\n\ngo()", [("go", 2), ("<module>", 4)]),
    ("def other():\n    m.fit(x)\n\nm.fit(x)", [("<module>", 4)]),
    ("for i in y:\n    pass\nm.fit(x)", [("<module>", 3)]),
    ("for i in y:\n    def go():\n        m.fit(x)\ngo()", [("go", 3), ("<module>", 4)]),
]
MORE = [
    ("m.fit(x)\nm.fit(x)", [("<module>", 1)], "there is another fit in train.py:2"),
    ("for i in y:\n    m.fit(x)", [("<module>", 2)], "it stands in the loop of train.py:1"),
    ("a = [m.fit(x) for m in y]", [("<module>", 1)], "it stands in the loop of train.py:1"),
    (
        "def go(m):\n    m.fit(x)\ngo(a)\ngo(b)",
        [("go", 2), ("<module>", 3)],
        "go() is called again in train.py:4",
    ),
    (
        "def go(m):\n    m.fit(x)\ndef main():\n    go(a)\n    go(b)\nmain()",
        [("go", 2), ("main", 4), ("<module>", 6)],
        "go() is called again in train.py:5",
    ),
    (
        "def one():\n    m.fit(x)\ndef two():\n    n.fit(x)\none()\ntwo()",
        [("one", 2), ("<module>", 5)],
        "there is another fit in train.py:4",
    ),
    (
        "def go(m):\n    m.fit(x)\nfor m in y:\n    go(m)",
        [("go", 2), ("<module>", 4)],
        "it stands in the loop of train.py:3",
    ),
]


@pytest.mark.parametrize("text,frames", LONE)
def test_a_fit_without_a_sign_of_another(text, frames):
    assert another(source_of(text), frames) is None


@pytest.mark.parametrize("text,frames,why", MORE)
def test_a_fit_that_may_not_be_the_only_one(text, frames, why):
    assert another(source_of(text), frames) == why


def test_what_is_evaluated_and_what_trains_otherwise():
    found = evaluations(source_of("m.evaluate(x, y)\nm.evaluate(y=b, x=a)\nm.evaluate(data)"))
    assert [(line, [each.id for each in given]) for line, given in found] == [
        (1, ["x", "y"]), (2, ["a", "b"]), (3, ["data"]),
    ]  # fmt: skip
    loop = "with tf.GradientTape() as t:\n    pass\no.apply_gradients(z)"
    assert own_loop(source_of(loop)) == (1, "GradientTape")
    assert own_loop(source_of("m.fit(x)")) is None


def test_a_file_that_is_no_notebook(tmp_path):
    (tmp_path / "a.ipynb").write_text('{"worksheets": []}')
    with pytest.raises(ValueError, match="no notebook"):
        read(tmp_path / "a.ipynb")
