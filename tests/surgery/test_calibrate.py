"""Calibration: inserted BN that changes nothing, and BN brought to other statistics."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from ablate.errors import DataError, SurgeryError
from ablate.surgery import calibrate, insert
from ablate.surgery.calibrate import moments, undo

#: TensorFlow's graph optimizer fuses these into the host; a BN between breaks the fusion.
FUSED = ["elu", "gelu", "hard_swish", "sigmoid", "tanh"]
UNFUSED = ["linear", "relu", "relu6", "leaky_relu", "selu", "silu", "softplus", "mish"]


def draw(*shape, seed=0, low=-1.0, high=1.0):
    return np.random.default_rng(seed).uniform(low, high, shape).astype("float32")


def randomized(model, seed=0):
    """Give every weight a value, so that biases and statistics are not what they start as."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        spread = rng.uniform(0.5, 1.5) / np.sqrt(max(1, np.prod(variable.shape[:-1])))
        positive = "variance" in variable.path or "gamma" in variable.path
        value = rng.normal(size=variable.shape) * spread
        variable.assign(np.abs(value) + 0.5 if positive else value)
    return model


def conv_and_dense(activation="relu"):
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(5, 3, activation=activation, name="conv1")(inputs)
    x = layers.Conv2D(9, 3, padding="same", activation=activation, name="conv2")(x)
    x = layers.Flatten()(x)
    x = layers.Dense(11, activation=activation, name="fc")(x)
    return randomized(keras.Model(inputs, layers.Dense(4, name="logits")(x)))


def normalizations(model):
    return [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]


def inserted(model, images, **kwargs):
    arguments = {"at": "before_activation", "where": "hidden", "calibrate": images, **kwargs}
    return insert(model, "BatchNormalization", **arguments)


def predict(model, x):
    return model.predict(x, verbose=0)


def relative(a, b):
    return np.abs(a - b).max() / np.abs(b).max()


@pytest.mark.parametrize("activation", UNFUSED + FUSED)
def test_a_calibrated_insertion_is_the_identity_for_every_activation(activation):
    model, x = conv_and_dense(activation), draw(16, 8, 8, 3)
    new = inserted(model, x)
    assert len(normalizations(new)) == 3
    assert np.array_equal(new(x), model(x))
    if activation in UNFUSED:
        assert np.array_equal(predict(new, x), predict(model, x))
    else:
        assert relative(predict(new, x), predict(model, x)) <= 1e-6


def test_vgg16_with_all_fifteen_hidden_layers_normalized_is_vgg16():
    keras.utils.set_random_seed(0)
    model = keras.applications.VGG16(weights=None, input_shape=(32, 32, 3), classes=10)
    x = draw(24, 32, 32, 3, low=-120, high=130)
    new = inserted(model, x)
    assert len(normalizations(new)) == 15
    expected = predict(model, x)
    assert np.array_equal(new(x), model(x))
    if keras.backend.backend() == "tensorflow":
        assert np.array_equal(predict(new, x), expected)
    else:  # XLA fuses the product into what follows
        assert relative(predict(new, x), expected) <= 1e-6
    assert relative(ops.convert_to_numpy(new(x, training=True)), expected) <= 1e-5


def test_without_calibration_the_insertion_breaks_the_network_once_it_trains():
    """With its initial statistics (0, 1) it only scales by rsqrt(1 + eps): nothing shows yet."""
    model, x = conv_and_dense(), draw(16, 8, 8, 3)
    new, expected = inserted(model, None), predict(model, x)
    assert relative(predict(new, x), expected) < 1e-2
    assert relative(ops.convert_to_numpy(new(x, training=True)), expected) > 0.1


def test_the_statistics_are_those_that_numpy_finds():
    """The identity holds for any statistics; that they are the images' needs a test of its own."""
    model, x = conv_and_dense("tanh"), draw(30, 8, 8, 3)
    new = inserted(model, x)
    for name, source in (("conv1_bn", "conv1"), ("conv2_bn", "conv2"), ("fc_bn", "fc")):
        linear = keras.Model(new.inputs, new.get_layer(source).output)
        values = predict(linear, x).astype("float64").reshape(-1, linear.output.shape[-1])
        layer = new.get_layer(name)
        assert np.allclose(layer.moving_mean, values.mean(0), rtol=1e-5, atol=1e-6)
        assert np.allclose(layer.moving_variance, values.var(0), rtol=1e-5)


def test_in_training_mode_the_calibration_set_as_one_batch_changes_nothing():
    model, x = conv_and_dense(), draw(64, 8, 8, 3)
    new = inserted(model, x)
    assert relative(ops.convert_to_numpy(new(x, training=True)), predict(model, x)) <= 1e-5


def test_how_the_images_come_in_does_not_matter():
    model, x = conv_and_dense(), draw(21, 8, 8, 3)
    whole = inserted(model, x)
    stream = inserted(model, ((x[i : i + 5], None) for i in range(0, 21, 5)))
    cut = inserted(model, None)
    undo(cut, normalizations(cut), x, batch_size=4)
    for new in (stream, cut):
        for ours, theirs in zip(normalizations(new), normalizations(whole), strict=True):
            assert np.allclose(ours.moving_mean, theirs.moving_mean, rtol=1e-5, atol=1e-7)
            assert np.allclose(ours.moving_variance, theirs.moving_variance, rtol=1e-5)


def test_a_shared_host_gets_the_statistics_of_all_its_calls():
    shared = layers.Dense(3, activation="relu", name="shared")
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    out = layers.Concatenate()([shared(a), shared(b)])
    model = randomized(keras.Model({"a": a, "b": b}, layers.Dense(2, name="out")(out)))
    x = {"a": draw(20, 4), "b": draw(20, 4, seed=1) + 3}
    new = inserted(model, x, where="shared")
    kernel, bias = model.get_layer("shared").get_weights()
    values = np.concatenate([x["a"], x["b"]]).astype("float64") @ kernel + bias
    assert np.allclose(new.get_layer("shared_bn").moving_mean, values.mean(0), rtol=1e-5)
    assert np.allclose(new.get_layer("shared_bn").moving_variance, values.var(0), rtol=1e-5)
    assert np.array_equal(new(x), model(x))


def test_layers_in_nested_and_shared_models_are_calibrated():
    inner = keras.Sequential(
        [keras.Input((6, 6, 3)), layers.Conv2D(4, 3, activation="relu", name="conv")], name="inner"
    )
    middle_in = keras.Input((6, 6, 3))
    middle = keras.Model(middle_in, layers.Flatten()(inner(middle_in)), name="middle")
    a, b = keras.Input((6, 6, 3)), keras.Input((6, 6, 3))
    joined = layers.Add()([middle(a), middle(b)])
    model = randomized(keras.Model([a, b], layers.Dense(2, name="out")(joined)))
    x = [draw(10, 6, 6, 3), draw(10, 6, 6, 3, seed=1)]
    new = inserted(model, x, where="conv")
    assert np.array_equal(new(x), model(x))
    assert np.array_equal(predict(new, x), predict(model, x))


def test_masked_steps_do_not_count():
    tokens = keras.Input((6,), dtype="int32")
    x = layers.Embedding(9, 4, mask_zero=True, name="embedding")(tokens)
    model = randomized(keras.Model(tokens, layers.Dense(2, name="out")(layers.LSTM(3)(x))))
    ids = np.random.default_rng(0).integers(0, 9, (12, 6))
    new = inserted(model, ids, at="after", where="embedding")
    values = model.get_layer("embedding").get_weights()[0][ids[ids != 0]].astype("float64")
    assert np.allclose(new.get_layer("embedding_bn").moving_mean, values.mean(0), atol=1e-6)
    assert np.allclose(new.get_layer("embedding_bn").moving_variance, values.var(0), rtol=1e-5)
    assert np.array_equal(new(ids), model(ids))


def test_dead_channels_stay_alive_and_enormous_values_stay_what_they_are():
    inputs = keras.Input((3,))
    hidden = layers.Dense(3, name="fc")(inputs)
    model = keras.Model(inputs, layers.Dense(2, name="out")(hidden))
    model.get_layer("fc").set_weights([np.diag([0.0, 1e25, 1.0]), np.array([0.0, 0.0, 1e6])])
    x = draw(40, 3)
    new = inserted(model, x, where="fc")
    layer = new.get_layer("fc_bn")
    assert np.array_equal(new(x), model(x))
    assert ops.convert_to_numpy(layer.gamma)[0] == pytest.approx(np.sqrt(1e-3), rel=1e-5)
    assert np.isfinite(np.concatenate([ops.convert_to_numpy(w) for w in layer.weights])).all()
    deviation = np.sqrt(ops.convert_to_numpy(layer.moving_variance)[2])
    assert deviation == pytest.approx((x[:, 2] + np.float32(1e6)).std(dtype="float64"), rel=1e-4)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16", "float64"])
def test_other_dtypes_are_the_identity_in_eager_execution(policy):
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(5, 3, activation="relu", name="conv", dtype=policy)(inputs)
    x = layers.Dense(6, activation="relu", name="fc", dtype=policy)(layers.Flatten()(x))
    model = randomized(keras.Model(inputs, layers.Dense(2, name="out", dtype=policy)(x)))
    x = draw(12, 8, 8, 3)
    new = inserted(model, x)
    assert new.get_layer("conv_bn").variable_dtype == (
        "float64" if policy == "float64" else "float32"
    )
    assert np.array_equal(np.asarray(new(x), "float64"), np.asarray(model(x), "float64"))
    ours, theirs = (predict(each, x).astype("float64") for each in (new, model))
    assert relative(ours, theirs) <= {"mixed_bfloat16": 2e-2, "float64": 1e-12}.get(policy, 2e-3)


def test_xla_is_within_its_tolerance():
    model, x = conv_and_dense(), draw(16, 8, 8, 3)
    new = inserted(model, x)
    for each in (model, new):
        each.compile(jit_compile=True)
    assert relative(predict(new, x), predict(model, x)) <= 1e-5


def test_channels_first_is_normalized_over_its_own_axis():
    layer, inputs = layers.BatchNormalization(axis=1), keras.Input((5, 4))
    model, x = keras.Model(inputs, layer(inputs)), draw(7, 5, 4)
    (found,) = moments(model, [layer], x)
    assert np.allclose(found.mean, x.mean((0, 2)), rtol=1e-5, atol=1e-6)
    assert np.allclose(found.variance, x.var((0, 2)), rtol=1e-5)
    undo(model, [layer], x)
    assert np.array_equal(model(x), x)


def test_progress_tells_rows_done_and_in_all():
    model, told = conv_and_dense(), []
    new = inserted(model, None)
    undo(new, ["conv1_bn"], draw(10, 8, 8, 3), batch_size=4, progress=lambda *r: told.append(r))
    assert told == [(4, 10), (8, 10), (10, 10)]
    undo(new, ["fc_bn"], iter([draw(3, 8, 8, 3)]), progress=lambda *r: told.append(r))
    assert told[-1] == (3, None)


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (draw(0, 8, 8, 3), DataError, "at least one row"),
        (draw(4, 9, 8, 3), DataError, r"expects the shape \(None, 8, 8, 3\)"),
        (np.full((4, 8, 8, 3), np.nan), DataError, "Row 0 of input .* holds NaN"),
        (np.full((4, 8, 8, 3), 3e38), SurgeryError, "'conv1_bn' is NaN or infinite"),
    ],
)
def test_bad_images_are_a_clear_error(images, error, message):
    with pytest.raises(error, match=message):
        inserted(conv_and_dense(), images)


@pytest.mark.parametrize("lacking", ["scale", "center"])
def test_a_layer_without_scale_or_center_cannot_be_the_identity(lacking):
    with pytest.raises(SurgeryError, match=rf"'conv1_bn' \({lacking}\)"):
        inserted(conv_and_dense(), draw(4, 8, 8, 3), **{lacking: False})


def with_normalization(scale=True):
    model = keras.Sequential(
        [
            keras.Input((5,)),
            layers.Dense(6, name="fc1"),
            layers.BatchNormalization(name="bn1", scale=scale),
            layers.Dropout(0.5, name="drop"),
            layers.Dense(4, name="fc2"),
            layers.BatchNormalization(name="bn2", epsilon=1e-5),
            layers.Dense(2, name="out"),
        ]
    )
    return randomized(model)


def test_keep_function_takes_new_statistics_and_computes_the_same():
    model, x = with_normalization(), draw(50, 5) * 3 + 1
    new = calibrate(model, x, keep="function")
    assert relative(ops.convert_to_numpy(new(x)), ops.convert_to_numpy(model(x))) <= 1e-6
    first = ops.convert_to_numpy(model.layers[0](x)).astype("float64")
    assert np.allclose(new.get_layer("bn1").moving_mean, first.mean(0), rtol=1e-5, atol=1e-6)
    assert np.allclose(new.get_layer("bn1").moving_variance, first.var(0), rtol=1e-5)
    second = ops.convert_to_numpy(keras.Model(model.inputs, model.get_layer("fc2").output)(x))
    assert np.allclose(new.get_layer("bn2").moving_mean, second.mean(0), rtol=1e-5, atol=1e-6)


def test_keep_function_leaves_an_exact_identity_exact():
    model, x = conv_and_dense(), draw(16, 8, 8, 3)
    new = inserted(model, x)
    again = calibrate(new, draw(16, 8, 8, 3, seed=5) + 2)
    assert np.array_equal(again(x), model(x))
    assert not np.allclose(again.get_layer("fc_bn").beta, new.get_layer("fc_bn").beta)


def test_keep_parameters_is_precise_bn():
    """Statistics of one batch are those that Keras itself would compute in training."""
    model, x = with_normalization(), draw(40, 5) * 3 + 1
    new = calibrate(model, x, keep="parameters", batch_size=40)
    values = x
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            mean, variance = values.mean(0), values.var(0)
            assert np.allclose(new.get_layer(layer.name).moving_mean, mean, rtol=1e-4, atol=1e-5)
            assert np.allclose(new.get_layer(layer.name).moving_variance, variance, rtol=1e-4)
            values = (values - mean) / np.sqrt(variance + layer.epsilon)
            values = values * ops.convert_to_numpy(layer.gamma) + ops.convert_to_numpy(layer.beta)
        else:
            values = (
                ops.convert_to_numpy(layer(values, training=False))
                if layer.name == "drop"
                else ops.convert_to_numpy(layer(values))
            )
    for name in ("bn1", "bn2"):
        assert np.array_equal(new.get_layer(name).gamma, model.get_layer(name).gamma)
        assert np.array_equal(new.get_layer(name).beta, model.get_layer(name).beta)


def test_keep_parameters_takes_layers_without_scale_and_frozen_ones():
    model = with_normalization(scale=False)
    model.trainable = False
    x = draw(40, 5) * 3 + 1
    new = calibrate(model, x, keep="parameters", batch_size=8)
    assert not any(layer.trainable for layer in new.layers)
    first = ops.convert_to_numpy(model.layers[0](x))
    assert np.allclose(new.get_layer("bn1").moving_variance, first.var(0), rtol=1e-5)
    with pytest.raises(SurgeryError, match=r"'bn1' \(scale\)"):
        calibrate(model, x)


def test_batch_renormalization_gets_its_own_statistics_too():
    inputs = keras.Input((3,))
    layer = layers.BatchNormalization(renorm=True, name="bn")
    model = keras.Model(inputs, layer(inputs))
    x = draw(20, 3) * 4
    new = calibrate(model, x).get_layer("bn")
    assert np.allclose(new.renorm_mean, x.mean(0), atol=1e-6)
    assert np.allclose(new.renorm_stddev, np.sqrt(x.var(0) + 1e-3), rtol=1e-5)
    assert np.allclose(new.moving_stddev, new.renorm_stddev)


@pytest.mark.parametrize("keep", ["function", "parameters"])
def test_the_given_model_is_untouched_and_the_new_one_compiled_as_it_was(keep):
    model, x = with_normalization(), draw(12, 5)
    model.compile("adam", loss="mse", metrics=["mae"])
    before = [ops.convert_to_numpy(v) for v in model.variables]
    new = calibrate(model, x, keep=keep)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.variables, strict=True))
    assert new.compiled and new.loss == "mse"
    assert model.get_layer("bn1").output.shape == (None, 6)  # raises if it had been called again


def test_calibrate_says_what_it_cannot_do():
    x = draw(4, 8, 8, 3)
    with pytest.raises(SurgeryError, match="has no BatchNormalization layer to calibrate"):
        calibrate(conv_and_dense(), x)
    with pytest.raises(SurgeryError, match=r"Received: 'functions'\. Did you mean 'function'\?"):
        calibrate(conv_and_dense(), x, keep="functions")
