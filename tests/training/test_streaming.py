"""Pipelines of anyone's own: in their own order, made anew for each epoch under seeds."""

import re
from itertools import pairwise

import keras
import numpy as np
import pytest
import tensorflow as tf

from ablate.errors import DataError, StudyError
from ablate.study.schema.data import Data
from ablate.training import blocks, model_cache, rows, run_group
from ablate.training.objectives import compile_for
from ablate.training.preview import seconds_per_epoch
from ablate.training.rows import rows_of
from tests.training.small import BN, DROPOUT, numbers, run, spec_of, trial_of

DRAW = np.random.default_rng(0)
Y = DRAW.integers(0, 3, 100)
X = (DRAW.normal(size=(100, 6, 6, 1)) + Y[:, None, None, None]).astype("float32")
BYTES = DRAW.integers(0, 255, (100, 6, 6, 1), dtype=np.uint8)
WEIGHT = DRAW.random(100)
HELD = {"validation": (X[:20], Y[:20]), "test": (X[20:40], Y[20:40]), "classes": 3}


def plain():
    return {"train": tf.data.Dataset.from_tensor_slices((X, Y)).batch(32), **HELD}


def weighted():
    return {"train": tf.data.Dataset.from_tensor_slices((X, Y, WEIGHT)).batch(32), **HELD}


def in_bytes():
    held = HELD | {"validation": (BYTES[:20], Y[:20]), "test": (BYTES[20:40], Y[20:40])}
    return {"train": tf.data.Dataset.from_tensor_slices((BYTES, Y)).batch(32), **held}


def in_rows():
    return {"train": tf.data.Dataset.from_tensor_slices((X, Y)), **HELD}


def generated():
    def batches():
        for start in range(0, 100, 32):
            yield X[start : start + 32], Y[start : start + 32]

    return {"train": batches(), **HELD}


#: Where batches of sizes of their own begin and end.
CUTS = [0, 16, 32, 39, 46, 78, 100]


def uneven():
    def batches():
        for start, stop in pairwise(CUTS):
            yield X[start:stop], Y[start:stop]

    return {"train": batches(), **HELD}


class Batches(keras.utils.PyDataset):
    def __init__(self):
        super().__init__()
        self.rows = np.random.permutation(100)

    def __len__(self):
        return 4

    def __getitem__(self, index):
        chosen = self.rows[32 * index : 32 * index + 32]
        return X[chosen], Y[chosen]

    def on_epoch_end(self):
        np.random.shuffle(self.rows)


def shuffled_batches():
    return {"train": Batches(), **HELD}


def augmented():
    flip = keras.layers.RandomFlip()
    made = tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(100).batch(32)
    made = made.map(lambda x, y: (flip(x, training=True), y), num_parallel_calls=tf.data.AUTOTUNE)
    return {"train": made.prefetch(2), **HELD}


def endless():
    return {"train": tf.data.Dataset.from_tensor_slices((X, Y)).repeat().batch(32), **HELD}


ONCE = iter([(X[:32], Y[:32]), (X[32:64], Y[32:64])] * 2)


def exhausted():
    return {"train": ONCE, **HELD}


CALLS = {"n": 0}


def shorter_each_time():
    CALLS["n"] += 1
    return {"train": iter([(X[:32], Y[:32])] * max(1, 12 - CALLS["n"])), **HELD}


def broken():
    def batches():
        for start in range(0, 96, 32):
            if start == 64:
                raise OSError("disk gone")
            yield X[start : start + 32], Y[start : start + 32]

    return {"train": batches(), **HELD}


def train_alone():
    return tf.data.Dataset.from_tensor_slices((X, Y)).batch(32)


@pytest.fixture(autouse=True)
def forgotten():
    yield
    model_cache.forget()
    rows.forget()


def stream(name, data=None, **train):
    made = spec_of(BN, DROPOUT, model={"name": "mlp", "units": [8]}, **train)
    data = Data(call=f"{__name__}:{name}", **(data or {}))
    return made.model_copy(update={"data": data})


def by_fit(spec, dataset, **options):
    """Train the model of a trial of seed 0 by `fit` on a dataset; return history and weights."""
    found = rows_of(spec, 0)
    made = model_cache.make(spec, found, 0)
    for variable, value in made.initial_state.of(0):
        variable.assign(value)
    compile_for(made.model, spec.train, found.splits)
    made.model.optimizer.learning_rate = spec.train.learning_rate
    validation = tf.data.Dataset.from_tensor_slices((found.splits.x_val, found.splits.y_val)).batch(
        32
    )
    history = made.model.fit(
        dataset, epochs=spec.train.epochs, shuffle=False, validation_data=validation, verbose=0,
        **options,
    )  # fmt: skip
    return history.history


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("plain", marks=SLOW), "weighted", "in_bytes",
        pytest.param("in_rows", marks=SLOW), pytest.param("generated", marks=SLOW),
    ],
)  # fmt: skip
def test_a_stream_gives_what_fit_gives_on_it(name, monkeypatch):
    """To the bit, for any size of block."""
    spec = stream(name)
    x, y = X, Y.astype("int32")
    if name == "in_bytes":
        x = BYTES.astype("float32") / np.float32(255)
    members = (x, y, WEIGHT.astype("float32")) if name == "weighted" else (x, y)
    expected = by_fit(spec, tf.data.Dataset.from_tensor_slices(members).batch(32))
    found = []
    for size in (1, 2**25):
        monkeypatch.setattr(blocks, "BLOCK_BYTES", size)
        found.append(run(trial_of(spec))[0])
    for result in found:
        assert numbers(result) == numbers(found[0])
        for key, values in expected.items():
            assert result.curves[key][1:] == values, key
    assert len(result.seen) == 2 and result.seen[0] == result.seen[1]


def test_batches_of_a_pipeline_stay_as_they_are_whatever_their_sizes(monkeypatch):
    def batches():
        for start, stop in pairwise(CUTS):
            yield X[start:stop], Y[start:stop].astype("int32")

    like = (tf.TensorSpec((None, 6, 6, 1)), tf.TensorSpec((None,), tf.int32))
    spec = stream("uneven")
    dataset = tf.data.Dataset.from_generator(batches, output_signature=like)
    expected = by_fit(spec, dataset.apply(tf.data.experimental.assert_cardinality(6)))
    for size in (1, 2**25):
        monkeypatch.setattr(blocks, "BLOCK_BYTES", size)
        result = run(trial_of(spec))[0]
        assert (result.steps, result.rows["train"]) == (12, 100)
        for key, values in expected.items():
            assert result.curves[key][1:] == values, key


def test_class_weights_count_beside_those_of_the_rows():
    spec = stream("weighted", class_weight={0: 2.0, 1: 0.5})
    table = np.array([2.0, 0.5, 1.0], "float32")
    weights = table[Y] * WEIGHT.astype("float32")
    dataset = tf.data.Dataset.from_tensor_slices((X, Y.astype("int32"), weights)).batch(32)
    expected = by_fit(spec, dataset)
    assert run(trial_of(spec))[0].curves["loss"][1:] == expected["loss"]


@pytest.mark.parametrize("name", ["augmented", pytest.param("shuffled_batches", marks=SLOW)])
def test_what_draws_sees_the_same_rows_in_all_variants_and_others_in_each_epoch(name):
    one, again = stream(name), stream(name)
    other = again.model_copy(update={"insert": []})
    first, second = run(trial_of(one)), run(trial_of(other, name="other"))
    assert first[0].seen == second[0].seen
    assert len({*first[0].seen}) == 2
    np.random.seed(7)  # whatever the process draws otherwise
    model_cache.forget()
    assert numbers(run(trial_of(one))[0]) == numbers(first[0])
    assert not {*run(trial_of(one, seed=1))[0].seen} & {*first[0].seen}


def test_what_the_process_draws_is_left_as_it_was():
    np.random.seed(3)
    expected = np.random.random(2)[1]
    np.random.seed(3)
    np.random.random()
    run(trial_of(stream("augmented")))
    assert np.random.random() == expected


def test_steps_per_epoch_bounds_what_never_ends():
    result = run(trial_of(stream("endless", steps_per_epoch=5)))[0]
    assert (result.steps, result.rows["train"]) == (10, 160)


def test_a_pipeline_can_be_timed_by_its_first_steps():
    assert seconds_per_epoch(trial_of(stream("endless", steps_per_epoch=12))) > 0


@pytest.mark.parametrize(
    ("name", "data", "train", "expected"),
    [
        ("endless", {}, {}, r"endless: train never ends .* Set train.steps_per_epoch"),
        ("plain", {}, {"steps_per_epoch": 9}, "steps_per_epoch: 9, and .* has 4 batches"),
        ("plain", {}, {"batch_size": 16}, "batches of .*plain: train have 32 rows"),
        ("plain", {}, {"class_weight": "balanced"}, "class_weight: balanced counts"),
        ("train_alone", {}, {}, "there is no validation and no test part"),
        ("plain", {"limit": 10}, {}, "data.limit: 10 needs rows by their numbers"),
        ("plain", {"folds": 3}, {}, "data.folds: 3 needs rows by their numbers"),
        ("plain", {"only": [1, 2]}, {}, r"data.only: \[1, 2\] needs rows"),
        ("plain", {"scale": "standard"}, {}, "data.scale: standard needs rows"),
        ("plain", {"split": "per_seed"}, {}, "data.split: per_seed needs rows"),
        ("exhausted", {}, {}, "gives no rows. A generator that is made once is exhausted"),
        ("shorter_each_time", {}, {"epochs": 3}, r"epoch \d: it ends after \d batches \(row \d+\)"),
        ("broken", {}, {}, r"broken: train: element 2 .* cannot be read: .*disk gone"),
    ],
)  # fmt: skip
def test_what_a_stream_cannot_do_is_refused_by_its_name(name, data, train, expected):
    CALLS["n"] = 0
    (result, _, _) = next(run_group([trial_of(stream(name, data, **train))]))
    assert result.status == "failed"
    assert re.search(expected, result.error), result.error


def test_rows_with_numbers_take_no_steps_per_epoch():
    with pytest.raises(StudyError, match=r"train.steps_per_epoch bounds a pipeline"):
        rows_of(spec_of(steps_per_epoch=3), 0)


def test_in_memory_a_pipeline_is_read_once():
    spec = stream("train_alone", {"load": "memory"})
    result = run(trial_of(spec))[0]
    assert (result.seen, sum(result.rows.values())) == ((), 100)
    with pytest.raises(DataError, match="never ends"):
        rows_of(stream("endless", {"load": "memory"}), 0)
