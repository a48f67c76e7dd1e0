"""`training` that was built into a call: what it means, and who minds it."""

import keras
import numpy as np
import pytest
from keras import layers

from ablate.surgery import certify, fold, fold_report, insert
from ablate.surgery.baked import anywhere, training_values

X = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")


def network(layer=None, inner=None, outer=None, build=None):
    """Dense and BN in a model in a model; `training` said to the layer and to either model."""
    keras.utils.set_random_seed(1)
    said = {key: {} if value is None else {"training": value} for key, value in
            (("layer", layer), ("inner", inner), ("outer", outer))}  # fmt: skip
    inputs = keras.Input((4,))
    x = layers.Dense(5, name="d")(inputs)
    if build is not None:
        x = build(x)
    norm = layers.BatchNormalization(name="bn")
    small = keras.Model(inputs, norm(x, **said["layer"]), name="small")
    norm.moving_mean.assign([3.0] * 5)
    middle_inputs = keras.Input((4,))
    middle = keras.Model(middle_inputs, small(middle_inputs, **said["inner"]), name="middle")
    inputs = keras.Input((4,))
    return keras.Model(inputs, layers.ReLU()(middle(inputs, **said["outer"])))


def norm_of(model):
    return model.get_layer("middle").get_layer("small").get_layer("bn")


#: What is said to the layer, the model around it, the model around that; what holds in m(x).
TABLE = [
    (None, None, None, None),
    (True, None, None, True),
    (False, None, None, False),
    (None, True, None, True),
    (None, False, None, False),
    (True, False, None, False),
    (False, True, None, True),
    (True, False, True, True),
    (None, True, False, False),
]


@pytest.mark.parametrize(("layer", "inner", "outer", "holds"), TABLE)
def test_the_outermost_value_wins_as_in_keras(layer, inner, outer, holds):
    model = network(layer, inner, outer)
    assert training_values(model)[norm_of(model)] == {holds}
    assert anywhere(model) == (holds is not None)
    by_the_batch = not np.allclose(model(X), model(X, training=False))
    norm_of(model).moving_mean.assign([3.0] * 5)
    assert by_the_batch == bool(holds)
    (told,) = fold_report(model).foldings
    assert told.action == ("kept" if holds else "merged")
    if holds:
        assert "called with training=True" in told.reason
        assert np.array_equal(fold(model)(X), model(X))


def test_a_frozen_normalization_folds_however_it_was_called():
    model = network(True)
    norm_of(model).trainable = False
    (told,) = fold_report(model).foldings
    assert told.action == "merged"
    assert np.abs(np.asarray(fold(model)(X)) - np.asarray(model(X))).max() < 1e-5


def test_nothing_is_folded_through_a_dropout_that_is_always_on():
    model = network(build=lambda x: layers.Dropout(0.5, name="drop")(x, training=True))
    (told,) = fold_report(model).foldings
    assert told.action == "kept" and "'drop' was called with training=True" in told.reason
    model = network(build=lambda x: layers.Dropout(0.5, name="drop")(x))
    assert fold_report(model).foldings[0].into == "middle/small/d"


def test_an_identity_that_normalizes_by_the_batch_stays():
    model = network(True)
    norm = norm_of(model)
    norm.moving_mean.assign(np.zeros(5))
    norm.moving_variance.assign(np.full(5, 1 - norm.epsilon))
    assert fold_report(model).foldings[0].action == "kept"


def test_a_certificate_measures_the_plain_call_where_training_is_built_in():
    model = network(True)
    new = insert(model, "Dropout", rate=0.5, where="d")
    assert set(certify(model, new, X).paths) == {"eager", "graph", "call"}
    assert certify(model, new, X).identical
    other = keras.models.clone_model(model)
    other.set_weights(model.get_weights())
    norm_of(other).gamma.assign(norm_of(other).gamma * 2)
    assert not certify(model, other, X).paths["call"].identical
    plain = network()
    assert set(certify(plain, plain, X).paths) == {"eager", "graph"}


def test_a_dropout_that_is_always_on_draws_the_same_in_both_models():
    model = network(build=lambda x: layers.Dropout(0.5, seed=3)(x, training=True))
    states = [np.array(each) for each in model.non_trainable_variables]
    found = certify(model, insert(model, "Dropout", rate=0.5, where="d"), X, batch_size=4)
    assert found.paths["call"].identical
    after = [np.array(each) for each in model.non_trainable_variables]
    assert all(map(np.array_equal, states, after))
