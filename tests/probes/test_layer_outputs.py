import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops

from ablate.probes.layer_outputs import LayerOutputs, hidden_units
from ablate.surgery import insert

X = np.array([[1.0, -2.0], [0.5, 1.0], [-1.0, 3.0]], "float32")


def sides(model, x=X):
    units = hidden_units(model)
    seen, _ = LayerOutputs(model, {unit.watched: unit.watch for unit in units})(x)
    return {unit.name: (*pair, unit.activation) for unit, pair in zip(units, seen, strict=True)}


def dense(model, name="hidden"):
    layer = model.get_layer(name)
    return X @ ops.convert_to_numpy(layer.kernel) + ops.convert_to_numpy(layer.bias)


def test_an_activation_inside_a_layer_has_two_sides(chain):
    model = chain((2,), L.Dense(3, "tanh", name="hidden"), L.Dense(1))
    entering, leaving, activation = sides(model)["hidden"]
    np.testing.assert_allclose(entering, dense(model), rtol=1e-5)
    np.testing.assert_allclose(leaving, np.tanh(dense(model)), rtol=1e-5)
    assert activation == "tanh"
    assert model.get_layer("hidden").activation is keras.activations.tanh


def test_behind_a_normalization_it_is_what_the_normalization_gives(chain):
    plain = chain((2,), L.Dense(3, "relu", name="hidden"), L.Dense(1))
    model = insert(plain, "BatchNormalization", at="before_activation", where="hidden")
    bn = model.get_layer("hidden_bn")
    bn.beta.assign([0.5, -0.5, 0.0])
    entering, leaving, activation = sides(model)["hidden"]
    normalized = dense(model) / np.sqrt(1 + bn.epsilon) + [0.5, -0.5, 0.0]
    np.testing.assert_allclose(entering, normalized, rtol=1e-5)
    np.testing.assert_allclose(leaving, np.maximum(normalized, 0), rtol=1e-5)
    assert activation == "relu"


def test_an_activation_may_be_an_operation():
    inputs = keras.Input((2,))
    x = L.Dense(3, name="hidden")(inputs)
    model = keras.Model(inputs, L.Dense(1)(keras.ops.relu(x)))
    entering, leaving, activation = sides(model)["hidden"]
    np.testing.assert_allclose(entering, dense(model), rtol=1e-5)
    np.testing.assert_allclose(leaving, np.maximum(dense(model), 0), rtol=1e-5)
    assert activation == "relu"


def test_without_an_activation_both_sides_are_the_output(chain):
    model = chain((2,), L.Dense(3, name="hidden"), L.Dense(1))
    entering, leaving, activation = sides(model)["hidden"]
    np.testing.assert_array_equal(entering, leaving)
    np.testing.assert_allclose(leaving, dense(model), rtol=1e-5)
    assert activation == ""


def test_layers_of_a_nested_model_are_seen():
    inner = keras.Sequential([keras.Input((2,)), L.Dense(3, "relu", name="hidden")], name="inner")
    inputs = keras.Input((2,))
    model = keras.Model(inputs, L.Dense(1)(inner(inputs)))
    found = sides(model)["inner/hidden"]
    layer = inner.get_layer("hidden")
    np.testing.assert_allclose(found[0], X @ ops.convert_to_numpy(layer.kernel), rtol=1e-5)


def test_a_look_sees_the_weights_as_they_are(chain):
    model = chain((2,), L.Dense(2, "relu", name="hidden"), L.Dense(1))
    units = hidden_units(model)
    look = LayerOutputs(model, {unit.watched: unit.watch for unit in units}, outputs=True)
    look(X)
    model.get_layer("hidden").kernel.assign(np.eye(2))
    seen, output = look(X)
    np.testing.assert_allclose(seen[0][0], X)
    np.testing.assert_allclose(output, model.predict_on_batch(X), rtol=1e-6)


def test_only_the_layers_asked_for_work_as_in_training(chain):
    model = chain((2,), L.Dropout(0.5, name="d"), L.BatchNormalization(name="bn"))
    dropped = LayerOutputs(model, training=[model.get_layer("d")], outputs=True)(np.ones((64, 2)))[
        1
    ]
    assert set(np.unique(np.round(dropped, 2))) == {0.0, 2.0}
    normal = LayerOutputs(model, training=[model.get_layer("bn")], outputs=True)(X)[1]
    assert np.mean(normal) == pytest.approx(0, abs=1e-6)
