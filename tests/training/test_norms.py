"""What is said of normalizations, and what is not: both sides of each check."""

import keras
import numpy as np
import pytest

from ablate.errors import some
from ablate.study.schema.train import Train
from ablate.training.network import Network
from ablate.training.norms import remarks_on_norms

layers = keras.layers


def said(model, rows=100, **train):
    """Return (notes, cautions) on a model trained with `train`."""
    made = Network(model, (), frozenset(), (), (), (), (), ())
    return remarks_on_norms(made, rows, Train(**train))


def dense(norm=None):
    """A normalization behind a dense layer."""
    norm = layers.BatchNormalization(name="bn") if norm is None else norm
    return keras.Sequential([keras.Input((6,)), layers.Dense(8), norm, layers.Dense(2)])


def images(size, *before, norm=None):
    """A normalization of maps of `size` by `size`."""
    norm = norm or layers.BatchNormalization(name="bn")
    return keras.Sequential([keras.Input((size, size, 3)), *before, norm, layers.Flatten()])


ONE = [
    ("batch_of_one", dense, {"batch_size": 1}, "train.batch_size is 1"),
    ("rest_of_one", dense, {"rows": 33, "batch_size": 32}, "33 rows in batches of 32"),
    ("one_row", dense, {"rows": 1, "batch_size": 32}, "one value per channel in each step"),
    ("small_maps", lambda: images(1), {"batch_size": 1}, "in each step"),
    (
        "pooled", lambda: images(4, layers.GlobalAveragePooling2D(keepdims=True)),
        {"rows": 65, "batch_size": 16}, "A train.batch_size of 15 leaves",
    ),
    (
        "inside_wrapper",
        lambda: keras.Sequential(
            [keras.Input((4, 3)), layers.TimeDistributed(layers.BatchNormalization(name="bn"))]
        ),
        {"batch_size": 1}, "'bn' normalizes one value per channel",
    ),
    (
        "nested", lambda: keras.Sequential([keras.Input((6,)), dense(), layers.Dense(1)]),
        {"batch_size": 1}, "/bn' normalizes one value",
    ),
    (
        "groups_of_one", lambda: dense(layers.GroupNormalization(-1, name="gn")),
        {}, "'gn' normalizes one value by itself",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "train", "words"), [each[1:] for each in ONE], ids=[e[0] for e in ONE]
)
def test_one_value_is_a_caution(make, train, words):
    (caution,) = said(make(), **train)[1]
    assert words in caution and "beta alone comes out" in caution


@pytest.mark.parametrize(
    ("make", "train"),
    [
        (dense, {"batch_size": 32}),
        (dense, {"rows": 34, "batch_size": 32}),
        (dense, {"batch_size": 1, "epochs": 0}),
        (lambda: images(2), {"batch_size": 1}),
        (lambda: images(2), {"rows": 33, "batch_size": 32}),
        (lambda: dense(layers.BatchNormalization(trainable=False)), {"batch_size": 1}),
        (lambda: dense(layers.BatchNormalization(renorm=True)), {"batch_size": 1}),
        (lambda: dense(layers.LayerNormalization()), {"batch_size": 1}),
        (lambda: dense(layers.GroupNormalization(4)), {"batch_size": 1}),
        (lambda: keras.Sequential([keras.Input((None, 3)), layers.BatchNormalization()]),
         {"batch_size": 1}),
    ],
)  # fmt: skip
def test_more_than_one_is_none(make, train):
    assert said(make(), **train)[1] == []


def test_one_value_gives_beta_alone_and_no_gradient():
    import tensorflow as tf

    model = dense()
    norm = model.get_layer("bn")
    norm.beta.assign([1.0] * 8)
    x = keras.random.normal((1, 6), seed=0)
    with tf.GradientTape() as tape:
        out = norm(model.layers[0](x), training=True)
        loss = keras.ops.sum(out**2)
    np.testing.assert_allclose(out, [[1.0] * 8], atol=1e-5)
    gradient = tape.gradient(loss, model.layers[0].kernel)
    np.testing.assert_allclose(gradient, np.zeros((6, 8)), atol=1e-4)


def test_few_values_are_a_note():
    assert "4 values per channel in a step of 4 rows" in said(dense(), batch_size=4)[0][0]
    assert "2 to 4 values" in said(
        keras.Sequential([images(1), layers.Dense(2), layers.Reshape((2, 1)),
                          layers.BatchNormalization()]),
        batch_size=2,
    )[0][0]  # fmt: skip
    assert said(dense(), batch_size=8) == ([], []) == said(images(2), batch_size=2)


def test_accumulation_is_a_caution():
    adam = {"name": "adam", "gradient_accumulation_steps": 4}
    (caution,) = said(dense(), optimizer=adam, batch_size=16)[1]
    assert "over 4 steps, but 'bn' normalizes the 16 rows" in caution and "over 64 rows" in caution
    for norm in (layers.BatchNormalization(trainable=False), layers.LayerNormalization()):
        assert said(dense(norm), optimizer=adam) == ([], [])
    assert said(dense(), optimizer="adam") == ([], [])


def called(training, trainable=True, inner=None):
    """A nested model, or a layer, that is called with a fixed `training`."""
    inner = inner or keras.Sequential(
        [keras.Input((6,)), layers.BatchNormalization(), layers.Dropout(0.5)], name="base"
    )
    inner.trainable = trainable
    x = keras.Input((6,))
    return keras.Model(x, layers.Dense(1)(inner(x, training=training)))


def test_training_false_does_not_keep_a_normalization():
    (caution,) = said(called(False))[1]
    assert caution.startswith("'base' is called with training=False, which training overrides")
    assert "BatchNormalization layers in it: 1" in caution
    (alone,) = said(called(False, inner=layers.BatchNormalization(name="bn")))[1]
    assert alone.startswith("'bn' is called with training=False")
    for model in (
        called(False, trainable=False),
        called(None),
        called(False, inner=layers.Dropout(0.5)),
    ):
        assert said(model)[1] == []


def test_training_true_does_not_hold_in_evaluation():
    (note,) = said(called(True))[0]
    assert note.startswith("'base' is called with training=True, which evaluation overrides")
    assert said(called(True, inner=layers.Dropout(0.0))) == ([], []) == said(called(None))


def test_fit_overrides_what_is_fixed():
    """The fact behind the caution, with this Keras."""
    model = called(False)
    model.compile("sgd", "mse")
    x = keras.random.normal((32, 6), mean=5.0, seed=0)
    model.fit(x, keras.ops.zeros((32, 1)), verbose=0)
    assert (keras.ops.convert_to_numpy(model.layers[1].layers[0].moving_mean) > 0.03).all()


def sequence(*before, end=()):
    """A normalization behind layers that a mask goes through, or does not."""
    x = keras.Input((5,), dtype="int32")
    y = layers.Embedding(9, 4, mask_zero=True)(x)
    for layer in before:
        y = layer(y)
    y = layers.BatchNormalization(name="bn")(y)
    for layer in end:
        y = layer(y)
    return keras.Model(x, y)


@pytest.mark.filterwarnings("ignore:Layer '.*' was passed an input with a mask")
def test_masks():
    notes, cautions = said(sequence(layers.LSTM(4, return_sequences=True)))
    assert cautions == [] and "'bn' gets a mask: the statistics are those of unmasked" in notes[0]
    notes, cautions = said(sequence(layers.Conv1D(4, 2, name="conv"), layers.Dense(3)))
    assert notes == [] and "'bn' counts padding in its statistics: 'conv', before" in cautions[0]
    notes, cautions = said(sequence(lambda x: keras.ops.add(x, 1.0)))
    assert notes == [] and "counts padding" in cautions[0]
    for consumed in (
        [layers.LSTM(4)],
        [layers.GlobalAveragePooling1D()],
        [layers.Conv1D(4, 2), layers.GlobalMaxPooling1D(), layers.Dense(3)],
    ):
        assert said(sequence(*consumed)) == ([], [])


def test_statistics_leave_masked_steps_out():
    """The fact behind the note, with this Keras."""
    model = sequence()
    norm, table = model.get_layer("bn"), model.layers[1].embeddings
    norm.momentum = 0.0
    x = keras.ops.array([[1, 2, 3, 0, 0], [4, 0, 0, 0, 0]])
    model(x, training=True)
    mean = keras.ops.mean(keras.ops.take(table, [1, 2, 3, 4], axis=0), axis=0)
    assert keras.ops.all(abs(norm.moving_mean - mean) < 1e-6)


def test_names_are_counted():
    assert some("abcde") == "'a', 'b', 'c' and 2 more"
