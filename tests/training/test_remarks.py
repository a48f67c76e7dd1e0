"""What is said of a variant's rows depends on what its network does with them."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from ablate.study.resolved import ResolvedVariant
from ablate.study.trial import Spec
from ablate.training import preview
from ablate.training.network import Network
from ablate.training.remarks import _scales


def mlp(first: list[keras.Layer], shape: tuple[int, ...]) -> keras.Model:
    return keras.Sequential(
        [keras.Input(shape), *first, layers.Flatten(), layers.Dense(2, activation="softmax")]
    )


@pytest.mark.parametrize(
    "first, told",
    [
        ([], True),
        ([layers.Rescaling(1 / 255)], False),
        ([layers.Normalization(mean=128, variance=9)], False),
        ([layers.BatchNormalization()], False),
        ([layers.Reshape((16,)), layers.Dropout(0.1), layers.LayerNormalization()], False),
        ([layers.Conv2D(2, 3), layers.BatchNormalization()], True),
    ],
    ids=["plain", "rescaling", "normalization", "batchnorm", "behind reshapes", "behind a conv"],
)
def test_unscaled_images_are_a_caution_to_networks_that_do_not_scale(tmp_path, first, told):
    x = np.arange(40 * 4 * 4).reshape(40, 4, 4, 1) % 256
    np.savez(tmp_path / "rows.npz", x_train=x, y_train=np.arange(40) % 2)
    mlp(first, (4, 4, 1)).save(tmp_path / "net.keras")
    spec = Spec(
        data={"path": str(tmp_path / "rows.npz")},
        model={"file": str(tmp_path / "net.keras")},
        train={"epochs": 1, "threads": 1},
    )
    (plan,) = preview([ResolvedVariant("plain", spec)])
    found = [text for text in plan.cautions if text.startswith("x_train reaches 255 (from 0)")]
    assert len(found) == told


def test_numbers_that_are_looked_up_are_no_pixels(tmp_path):
    """Bytes of texts end at 255, as pixels do."""
    x = np.random.default_rng(0).integers(0, 256, (40, 20))
    x[0, :2] = 0, 255
    np.savez(tmp_path / "rows.npz", x_train=x, y_train=np.arange(40) % 2)
    for name, first in (("pixels", []), ("bytes", [layers.Embedding(256, 2)])):
        mlp(first, (20,)).save(tmp_path / "net.keras")
        spec = Spec(
            data={"path": str(tmp_path / "rows.npz")},
            model={"file": str(tmp_path / "net.keras")},
            train={"epochs": 1, "threads": 1},
        )
        (plan,) = preview([ResolvedVariant(name, spec)])
        assert any("is not scaled" in text for text in plan.cautions) == (name == "pixels")


@pytest.mark.parametrize(
    "operation, told",
    [(lambda x: x / 255.0, False), (lambda x: (x - 128) * 0.01, False), (keras.ops.abs, True)],
    ids=["/255", "-128", "abs"],
)
def test_operations_on_the_input_scale_as_layers_do(operation, told):
    inputs = keras.Input((4, 4, 1))
    x = layers.Flatten()(operation(keras.ops.cast(inputs, "float32")))
    model = keras.Model(inputs, layers.Dense(2)(x))
    made = Network(model, (), frozenset())
    assert _scales(made) == (not told)
