"""Quantized hosts: what is inserted runs beside them, or the refusal says why."""

import keras
import numpy as np
import pytest
from keras import layers

from ablate.errors import SurgeryError
from ablate.surgery import certify, fold, insert, rebuild, remove

X = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")


def quantized(mode):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(4, activation="relu", name="a"), layers.Dense(2)]
    )
    model.quantize(mode)
    return model


@pytest.mark.filterwarnings("ignore:Layer InputLayer does not have")
@pytest.mark.parametrize("mode", ["int8", "int4"])
def test_a_normalization_stands_between_a_quantized_layer_and_its_activation(mode):
    model = quantized(mode)
    new = insert(model, "BatchNormalization", at="before_activation", where="a", calibrate=X)
    assert [layer.name for layer in new.layers[:3]] == ["a", "a_bn", "a_activation"]
    assert [layer.dtype_policy.quantization_mode for layer in new.layers[:3]] == [
        mode, None, None,
    ]  # fmt: skip
    assert certify(model, new, X).identical
    for again in (remove(new), fold(new)):
        assert again.get_config() == model.get_config()
        assert np.array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    dropped = insert(new, "Dropout", rate=0.5, at="after_activation", where="a")
    assert certify(model, dropped, X).identical


@pytest.mark.filterwarnings("ignore:Layer InputLayer does not have")
@pytest.mark.parametrize(
    "operation", [rebuild, lambda model: insert(model, "Dropout", rate=0.5, where="a")]
)
def test_float8_is_said_to_be_unsupported(operation):
    with pytest.raises(
        SurgeryError, match=r"'a' .* is quantized to float8, which surgery does not"
    ):
        operation(quantized("float8"))
