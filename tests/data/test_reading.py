"""What is read once is the same wherever it is read, and leaves no trace of its seeds."""

from __future__ import annotations

import random
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from ablate.data import called, load
from ablate.data.load import forget
from ablate.data.reading import content_digest, in_order, seeded
from ablate.errors import DataError
from ablate.study.schema.data import Data

#: A module of pipelines as people write them: nobody seeds anything.
MODULE = """
import itertools, random
import keras, numpy as np, tensorflow as tf

COUNT = itertools.count()
X = np.arange(40 * 4 * 4, dtype="float32").reshape(40, 4, 4, 1)
Y = np.arange(40) % 2
SHUFFLED = tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(40)

def arrays():
    order = np.random.permutation(40)
    return X[order] + random.random(), Y[order]

def at_import():
    return SHUFFLED.batch(8)

def augmented():
    turn = keras.layers.RandomRotation(0.3)
    return (
        tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(40)
        .map(lambda x, y: (turn(x, training=True) + tf.random.normal((4, 4, 1)), y),
             num_parallel_calls=tf.data.AUTOTUNE)
        .interleave(lambda x, y: tf.data.Dataset.from_tensors((x, y)), cycle_length=4,
                    num_parallel_calls=tf.data.AUTOTUNE, deterministic=False)
        .batch(8)
    )

def generated():
    def rows():
        for index in np.random.permutation(40):
            yield X[index], Y[index]
    spec = (tf.TensorSpec((4, 4, 1), tf.float32), tf.TensorSpec((), tf.int64))
    return {"train": tf.data.Dataset.from_generator(rows, output_signature=spec)}

def unseeded():
    return X, np.random.default_rng().permutation(Y)

def counting():
    return X + next(COUNT), Y

def from_file(file):
    return np.load(file), Y

def breaking():
    def rows():
        yield X[0], Y[0]
        raise OSError("disk gone")
    spec = (tf.TensorSpec((4, 4, 1), tf.float32), tf.TensorSpec((), tf.int64))
    return tf.data.Dataset.from_generator(rows, output_signature=spec)
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The module, in a folder that is the current one."""
    (tmp_path / "pipelines.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    forget()
    yield "pipelines"
    forget()
    sys.modules.pop("pipelines", None)


def digest(name: str, **arguments) -> str:
    """Read as a fresh process would: nothing remembered, the module not imported."""
    forget()
    sys.modules.pop("pipelines", None)
    found = load(Data(call=f"pipelines:{name}", load="memory", **arguments)).digest
    assert found is not None
    return found


@pytest.mark.parametrize("name", ["arrays", "at_import", "augmented", "generated"])
def test_what_draws_is_read_the_same_each_time(module, name):
    first = digest(name)
    random.seed(5)
    np.random.seed(5)
    tf.random.set_seed(5)
    np.random.random(3)
    assert digest(name) == first


@pytest.mark.slow
def test_another_process_reads_the_same(module, tmp_path):
    code = (
        "from ablate.data import load; from ablate.study.schema.data import Data\n"
        "print(load(Data(call='pipelines:augmented', load='memory')).digest)"
    )
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert other.stdout.split()[-1] == digest("augmented")


def test_reading_leaves_no_trace(module):
    """The states outside are as before, so that a trial's numbers cannot depend on it."""
    keras.utils.set_random_seed(11)
    expected = [draw() for draw in DRAWS]
    keras.utils.set_random_seed(11)
    before = _determinism()
    digest("augmented")
    assert [draw() for draw in DRAWS] == expected
    with pytest.raises(ZeroDivisionError), seeded("x"):
        raise ZeroDivisionError
    assert _determinism() == before


DRAWS = (
    random.random,
    lambda: float(np.random.random()),
    lambda: float(tf.random.normal(())),
    lambda: float(keras.random.normal(())),
    lambda: float(keras.random.normal(())),
)


def _determinism() -> bool:
    from tensorflow.python.util import _pywrap_determinism

    return bool(_pywrap_determinism.is_enabled())


def test_in_order_holds_as_long_as_it_lasts():
    before = _determinism()
    with in_order():
        assert _determinism()
        with in_order():
            pass
        assert _determinism()
    assert _determinism() == before


def test_other_calls_and_arguments_have_other_seeds():
    drawn = []
    for parts in (("a:f", []), ("a:g", []), ("a:f", [("n", 1)])):
        with seeded(*parts):
            drawn.append(random.random())
    with seeded("a:f", []):
        assert random.random() == drawn[0]
    assert len(set(drawn)) == 3


@pytest.mark.parametrize("name", ["unseeded", "counting"])
def test_a_later_reading_that_differs_is_refused_with_its_cause(module, name):
    first = load(Data(call=f"pipelines:{name}", load="memory")).digest
    assert load(Data(call=f"pipelines:{name}", digest=first, load="memory")).digest == first
    forget()
    with pytest.raises(DataError) as error:
        load(Data(call=f"pipelines:{name}", digest=first, load="memory"))
    text = str(error.value)
    assert "Called twice in a row it returns different rows" in text
    assert first[:12] in text and "--fresh" in text


def test_a_file_behind_a_call_that_has_changed_is_the_cause(module, tmp_path):
    np.save(tmp_path / "rows.npy", np.zeros((40, 2)))
    data = {"call": "pipelines:from_file", "file": str(tmp_path / "rows.npy")}
    first = digest("from_file", file=data["file"])
    assert load(Data(**data, digest=first, load="memory")).train.rows == 40
    np.save(tmp_path / "rows.npy", np.ones((40, 2)))
    forget()
    with pytest.raises(DataError, match=r"It returns the same when it is called again: what it"):
        load(Data(**data, digest=first, load="memory"))


def test_settled_rows_are_the_same_in_every_process(module, monkeypatch):
    """A second call proves it; where that differs a fresh process is asked, and only then."""
    asked = []

    def elsewhere(data):
        asked.append(data.call)
        return "other" if data.call.endswith("unseeded") else digest_of["at_import"]

    digest_of = {"at_import": digest("at_import")}
    monkeypatch.setattr(called, "_elsewhere", elsewhere)
    for name in ("arrays", "augmented", "generated", "at_import"):
        digest(name)  # a fresh import
        data = Data(call=f"pipelines:{name}", load="memory")
        assert called.settled(data, load(data)) == load(data).digest
    assert asked == ["pipelines:at_import"]
    data = Data(call="pipelines:unseeded", load="memory")
    with pytest.raises(DataError, match=r"returns other rows in every process \(digest"):
        called.settled(data, load(data))


@pytest.mark.slow
def test_a_fresh_process_settles_what_is_made_at_import(module):
    data = Data(call="pipelines:at_import", load="memory")
    assert called.settled(data, load(data)) == load(data).digest
    data = Data(call="pipelines:unseeded", load="memory")
    with pytest.raises(DataError, match="returns other rows in every process"):
        called.settled(data, load(data))


def test_a_dataset_that_breaks_is_named(module):
    with pytest.raises(DataError, match=r"train: element 1 .* cannot be read: .*disk gone"):
        digest("breaking")


def test_content_digests_tell_types_shapes_and_names_apart():
    x = np.arange(6)
    named = [
        {"x": x}, {"y": x}, {"x": x.astype("int32")}, {"x": x.reshape(2, 3)}, {"x": [x[:3], x[3:]]},
        {"x": {"a": x}}, {"x": x, "classes": 3}, {"x": x, "classes": None},
        {"x": np.array(["a", "bb"])}, {"x": np.zeros((0, 3))},
    ]  # fmt: skip
    assert len({content_digest(each) for each in named}) == len(named)
    assert content_digest({"x": x.reshape(2, 3).T}) == content_digest(
        {"x": x.reshape(2, 3).T.copy()}
    )
    assert content_digest({"a": x, "b": x + 1}) == content_digest({"b": x + 1, "a": x})
