import keras
import numpy as np
import pytest

from ablate.study.schema.placement import Placement
from ablate.surgery import ClassicDropout, insert, remove

X = np.array([[1.0, -2.0, 3.0]], "float32")


def test_inference_scales_and_training_only_drops():
    layer = ClassicDropout(0.25, seed=1)
    np.testing.assert_allclose(layer(X), 0.75 * X)
    dropped = np.array(layer(np.ones((1, 1000), "float32"), training=True))
    assert set(np.unique(dropped)) == {0.0, 1.0}
    assert dropped.mean() == pytest.approx(0.75, abs=0.05)


def test_it_equals_inverted_dropout_in_expectation():
    rows = np.tile(X, (20000, 1))
    classic = np.array(ClassicDropout(0.5, seed=1)(rows, training=True))
    inverted = np.array(keras.layers.Dropout(0.5, seed=1)(rows, training=True))
    np.testing.assert_allclose(classic.mean(0), 0.5 * X[0], atol=0.05)
    np.testing.assert_allclose(2 * classic.mean(0), inverted.mean(0), atol=0.1)
    # And so do the networks at inference, once the layer behind has taken in the factor.
    kernel = np.array([[1.0], [2.0], [3.0]], "float32")
    np.testing.assert_allclose(
        np.array(ClassicDropout(0.5)(X)) @ (2 * kernel),
        np.array(keras.layers.Dropout(0.5)(X)) @ kernel,
    )


def test_a_rate_of_zero_does_nothing_in_either_mode():
    layer = ClassicDropout(0.0)
    np.testing.assert_array_equal(layer(X), X)
    np.testing.assert_array_equal(layer(X, training=True), X)


def test_a_placement_names_it_and_its_rate_is_checked():
    placement = Placement(layer="ClassicDropout", rate=0.5, at="after", where="hidden")
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(4, name="hidden"), keras.layers.Dense(1)]
    )
    new = insert(model, [placement])
    assert isinstance(new.get_layer("hidden_classic_dropout"), ClassicDropout)
    assert [each.name for each in remove(new).layers] == [each.name for each in model.layers]
    with pytest.raises(Exception, match="needs a 'rate'"):
        Placement(layer="ClassicDropout")
    with pytest.raises(ValueError, match="below 1"):
        ClassicDropout(1.0)


def test_it_survives_saving(tmp_path):
    model = keras.Sequential([keras.Input((3,)), ClassicDropout(0.5, seed=3, name="d")])
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(loaded(X), model(X))
    assert loaded.get_layer("d").get_config()["rate"] == 0.5
