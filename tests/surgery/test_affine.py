"""An affine map merged into the weights of each kind of layer, against the layers themselves."""

import numpy as np
import pytest
from keras import layers, ops

from ablate.surgery import affine as merging
from ablate.surgery.affine import Affine

IMAGE = (6, 6, 4)
CASES = [
    (lambda **k: layers.Dense(5, **k), (4,)),
    (lambda **k: layers.Dense(5, **k), (3, 4)),
    (lambda **k: layers.Conv1D(6, 3, padding="same", **k), (8, 4)),
    (lambda **k: layers.Conv1D(6, 3, padding="causal", dilation_rate=2, **k), (8, 4)),
    (lambda **k: layers.Conv2D(6, 3, strides=2, **k), IMAGE),
    (lambda **k: layers.Conv2D(6, 3, groups=2, **k), IMAGE),
    (lambda **k: layers.Conv2D(6, 1, padding="same", strides=2, **k), IMAGE),
    (lambda **k: layers.Conv2D(6, 2, dilation_rate=2, padding="same", **k), IMAGE),
    (lambda **k: layers.Conv3D(3, 2, **k), (4, 4, 4, 2)),
    (lambda **k: layers.Conv1DTranspose(3, 3, strides=2, **k), (5, 4)),
    (lambda **k: layers.Conv2DTranspose(3, 3, strides=2, padding="same", **k), IMAGE),
    (lambda **k: layers.Conv3DTranspose(3, 2, **k), (3, 3, 3, 2)),
    (lambda **k: layers.DepthwiseConv1D(3, depth_multiplier=2, **k), (8, 4)),
    (lambda **k: layers.DepthwiseConv2D(3, depth_multiplier=2, **k), IMAGE),
    (lambda **k: layers.DepthwiseConv2D(3, padding="same", **k), IMAGE),
    (lambda **k: layers.SeparableConv1D(5, 3, depth_multiplier=2, **k), (8, 4)),
    (lambda **k: layers.SeparableConv2D(5, 3, depth_multiplier=2, **k), IMAGE),
]
NAMES = [f"{index}-{case[0]().__class__.__name__}" for index, case in enumerate(CASES)]


def drawn(channels, rng):
    return Affine(rng.uniform(0.5, 2, channels), rng.normal(size=channels))


def with_weights(layer, weights):
    """The layer with a bias, and these weights."""
    config = layer.get_config()
    if isinstance(layer, layers.EinsumDense):
        config["bias_axes"] = config["bias_axes"] or layer.equation[-1]
    else:
        config["use_bias"] = "bias" in weights
    new = type(layer).from_config(config)
    new.build(layer._build_shapes_dict["input_shape"])
    for name, value in weights.items():
        getattr(new, name).assign(value)
    return new


def randomized(layer, shape, rng):
    layer.build((None, *shape))
    for variable in layer.weights:
        variable.assign(rng.normal(size=variable.shape))
    return layer


@pytest.mark.parametrize("use_bias", [True, False], ids=["bias", "no-bias"])
@pytest.mark.parametrize(("make", "shape"), CASES, ids=NAMES)
def test_a_map_after_the_layer(make, shape, use_bias):
    rng = np.random.default_rng(0)
    layer = randomized(make(use_bias=use_bias), shape, rng)
    x = rng.normal(size=(2, *shape)).astype("float32")
    y = ops.convert_to_numpy(layer(x))
    affine = drawn(y.shape[-1], rng)
    merged = ops.convert_to_numpy(with_weights(layer, merging.after(layer, affine))(x))
    assert np.allclose(merged, y * affine.scale + affine.shift, rtol=1e-5, atol=1e-5 * y.max())


@pytest.mark.parametrize("use_bias", [True, False], ids=["bias", "no-bias"])
@pytest.mark.parametrize("shifted", [True, False], ids=["shift", "scale"])
@pytest.mark.parametrize(("make", "shape"), CASES, ids=NAMES)
def test_a_map_ahead_of_the_layer_merges_exactly_where_no_zero_is_padded(
    make, shape, use_bias, shifted
):
    rng = np.random.default_rng(1)
    layer = randomized(make(use_bias=use_bias), shape, rng)
    x = rng.normal(size=(2, *shape)).astype("float32")
    affine = drawn(shape[-1], rng)
    if not shifted:
        affine = Affine(affine.scale, np.zeros(shape[-1]))
    expected = ops.convert_to_numpy(layer((x * affine.scale + affine.shift).astype("float32")))
    weights = merging.before(layer, affine)
    padded = getattr(layer, "padding", "valid") != "valid" and max(layer.kernel_size) > 1
    if shifted and (padded or "Transpose" in type(layer).__name__):
        assert isinstance(weights, str) and layer.name in weights
        return
    merged = ops.convert_to_numpy(with_weights(layer, weights)(x))
    assert np.allclose(merged, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(("equation", "axes"), [("abc,cd->abd", "d"), ("abc,cd->abd", None)])
def test_einsum_dense(equation, axes):
    rng = np.random.default_rng(2)
    layer = layers.EinsumDense(equation, output_shape=(None, 5), bias_axes=axes)
    layer = randomized(layer, (3, 4), rng)
    x = rng.normal(size=(2, 3, 4)).astype("float32")
    affine = drawn(5, rng)
    expected = ops.convert_to_numpy(layer(x)) * affine.scale + affine.shift
    merged = ops.convert_to_numpy(with_weights(layer, merging.after(layer, affine))(x))
    assert np.allclose(merged, expected, rtol=1e-5, atol=1e-5)


def test_channels_first_has_its_channels_at_one():
    layer = layers.Conv2D(3, 3, data_format="channels_first")
    assert merging.channel_axis(layer, 4) == 1
    assert merging.channel_axis(layers.Conv2D(3, 3), 4) == 3
    assert merging.channel_axis(layers.Dense(3), 3) == 2


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("center", [True, False])
def test_the_map_of_a_normalization_is_what_the_layer_computes(scale, center):
    rng = np.random.default_rng(3)
    layer = layers.BatchNormalization(scale=scale, center=center, epsilon=0.01)
    layer.build((None, 4))
    for variable in layer.weights:
        variable.assign(rng.uniform(0.5, 2, variable.shape))
    x = rng.normal(size=(6, 4)).astype("float32")
    affine = merging.of_normalization(layer)
    assert np.allclose(
        ops.convert_to_numpy(layer(x)), x * affine.scale + affine.shift, rtol=1e-5, atol=1e-6
    )


class Doubling(layers.Dense):
    """A Dense that is not one."""

    def call(self, inputs):
        return 2 * super().call(inputs)


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (Doubling(3, name="mine"), "'mine' is a Doubling, a layer of its own"),
        (layers.LayerNormalization(name="mine"), "'mine' (LayerNormalization) is not a conv"),
        (layers.Dense(3, kernel_constraint="max_norm", name="mine"), "'mine' has a kernel constr"),
        (layers.DepthwiseConv2D(3, depthwise_constraint="max_norm", name="mine"), "a depthwise"),
        (layers.Dense(3, bias_constraint="non_neg", name="mine"), "'mine' has a bias constraint"),
        (layers.Dense(3, lora_rank=1, name="mine"), "'mine' has LoRA weights"),
        (layers.Dense(3, activation="relu", name="mine"), "'mine' applies its activation before"),
    ],
)
def test_refusals_name_the_layer_and_the_reason(layer, reason):
    layer.build((None, 6, 6, 4) if "Depthwise" in type(layer).__name__ else (None, 4))
    answer = merging.after(layer, Affine(np.ones(3), np.ones(3)))
    assert isinstance(answer, str) and reason in answer


def test_a_quantized_layer_is_refused():
    layer = layers.Dense(3, name="mine")
    layer.build((None, 4))
    layer.quantize("int8")
    assert merging.refusal(layer) == "'mine' is quantized"
