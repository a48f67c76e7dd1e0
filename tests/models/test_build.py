"""Every factory: its layers by name, its sizes, its head, its refusals."""

import keras
import numpy as np
import pytest
from keras import ops

import ablate
from ablate.errors import StudyError
from ablate.models import InputOutputSpec, Target, base, build
from ablate.study.schema.model import Model

CLASSES = Target("classification", (), 10)


def names(model):
    return [layer.name for layer in model.layers]


@pytest.mark.parametrize(
    "name, shape, arguments, expected, parameters",
    [
        ("mlp", (8, 8, 1), {"units": [5, 4]},
         "input flatten dense1 dense2 output", 64 * 5 + 5 + 5 * 4 + 4 + 4 * 10 + 10),
        ("mlp", (3,), {"units": []}, "input output", 3 * 10 + 10),
        ("cnn", (8, 8, 1), {"filters": [2, 3], "dense": [4]},
         "input conv1 pool1 conv2 pool2 flatten dense1 output",
         9 * 2 + 2 + 9 * 2 * 3 + 3 + 12 * 4 + 4 + 4 * 10 + 10),
        ("cnn", (8, 8, 1), {"filters": [2, 2], "pool_size": [1, 2], "strides": [2, 1],
                            "kernel_size": [1, 3], "head": "average", "dense": []},
         "input conv1 conv2 pool2 pool output", 2 + 2 + 9 * 4 + 2 + 2 * 10 + 10),
        ("cnn", (12, 3), {"filters": [2], "dense": []},
         "input conv1 pool1 flatten output", 3 * 3 * 2 + 2 + 12 * 10 + 10),
        ("lenet", (28, 28, 1), {},
         "input conv1 pool1 conv2 pool2 flatten dense1 dense2 output", 61706),
        ("lenet", (8, 8, 1), {"filters": [2, 3], "dense": [4], "kernel_size": 3},
         "input conv1 pool1 conv2 pool2 flatten dense1 output",
         9 * 2 + 2 + 9 * 2 * 3 + 3 + 3 * 4 + 4 + 4 * 10 + 10),
        ("vgg", (4, 4, 3), {"blocks": [[2, 2], [3]], "dense": [4]},
         "input block1_conv1 block1_conv2 block1_pool block2_conv1 block2_pool flatten fc1 output",
         27 * 2 + 2 + 9 * 4 + 2 + 9 * 6 + 3 + 3 * 4 + 4 + 4 * 10 + 10),
        ("resnet", (8, 8, 1), {"filters": [2, 3], "blocks": 1},
         "input conv1 stage1_block1_conv1 stage1_block1_conv2 stage1_block1_add "
         "stage1_block1_activation stage2_block1_conv1 stage2_block1_conv2 "
         "stage2_block1_shortcut stage2_block1_add stage2_block1_activation pool output",
         20 + 2 * 38 + 57 + 84 + 9 + 40),
    ],
)  # fmt: skip
def test_layers_and_sizes(name, shape, arguments, expected, parameters):
    model = build(name, shape, 10, **arguments)
    assert sorted(names(model)) == sorted(expected.split())
    assert model.count_params() == parameters
    assert model.output_shape == (None, 10) and model.name == name
    # Building again gives the same names, whatever was built before.
    assert names(build(name, shape, 10, **arguments)) == names(model)


def test_the_resnet_of_the_paper_has_6n_plus_2_layers():
    model = build("resnet", (32, 32, 3), 10, blocks=3)
    weighted = [n for n in names(model) if "conv" in n or n == "output"]
    assert len(weighted) == 6 * 3 + 2


def test_a_recurrent_network_reads_images_row_by_row():
    model = build("lstm", (8, 6, 2), units=[5, 3], dense=[4])
    assert names(model) == ["input", "rows", "lstm1", "lstm2", "dense1", "output"]
    assert model.get_layer("rows").output.shape == (None, 8, 12)
    assert names(build("lstm", (9, 2)))[:2] == ["input", "lstm1"]
    with pytest.raises(StudyError, match="takes sequences"):
        build("lstm", (4,))


def test_a_transformer_is_sums_around_attention_and_dense_layers():
    model = build("transformer", (7, 3), width=4, attentions=2, hidden=6)
    assert names(model) == [
        "input", "embedding", "block1_attention", "block1_add1", "block1_dense1",
        "block1_dense2", "block1_add2", "pool", "output",
    ]  # fmt: skip
    # Positions are told apart: a bias for each, beside the weights that all share.
    shapes = [tuple(each.shape) for each in model.get_layer("embedding").weights]
    assert shapes == [(3, 4), (7, 4)]


def test_autoencoders():
    model = build("autoencoder", (4, 4, 1), units=[8, 3])
    expected = "input flatten encoder1 encoder2 decoder1 output output_shape"
    assert " ".join(names(model)) == expected
    assert model.output_shape == (None, 4, 4, 1)
    assert [layer.units for layer in model.layers if hasattr(layer, "units")] == [8, 3, 8, 16]
    assert names(build("autoencoder", (784,), units=[256])) == ["input", "encoder1", "output"]
    with pytest.raises(StudyError, match=r"data\.target: inputs"):
        base(Model(name="autoencoder"), InputOutputSpec((4,), CLASSES))


@pytest.mark.parametrize(
    "classes, outputs, activation, units, ends",
    [
        (10, 1, "auto", 10, "softmax"),
        (10, 1, "linear", 10, "linear"),
        (2, 1, "sigmoid", 1, "sigmoid"),
        (None, 1, "auto", 1, "linear"),
        (None, 3, "auto", 3, "linear"),
        (None, 1, "sigmoid", 1, "sigmoid"),
    ],
)
def test_heads(classes, outputs, activation, units, ends):
    model = build("mlp", (4,), classes, outputs=outputs, output_activation=activation)
    assert model.output_shape == (None, units)
    assert model.get_layer("output").activation.__name__ == ends


def test_numbers_of_several_axes():
    assert build("mlp", (4,), outputs=(3, 2)).output_shape == (None, 3, 2)


def test_style_reaches_every_hidden_layer():
    model = build("cnn", (8, 8, 1), 10, activation="tanh", use_bias=False)
    hidden = [layer for layer in model.layers if hasattr(layer, "use_bias")][:-1]
    assert [layer.activation.__name__ for layer in hidden] == ["tanh"] * 3
    assert [layer.use_bias for layer in hidden] == [False] * 3
    assert model.get_layer("output").use_bias


@pytest.mark.parametrize("name, shape", [("cnn", (8, 8, 3)), ("mlp", (48,))])
def test_pytorch_initialization(name, shape):
    """Weights and biases uniform in ±1/√fan_in, as torch.nn.Linear and Conv2d start."""
    model = build(name, shape, 10, kernel_initializer="pytorch", bias_initializer="pytorch")
    checked = 0
    for layer in model.layers:
        if layer.weights:
            kernel, bias = layer.get_weights()
            limit = 1 / np.sqrt(np.prod(kernel.shape[:-1]))
            assert 0.8 * limit < np.abs(kernel).max() <= limit
            assert 0 < np.abs(bias).max() <= limit
            assert abs(kernel.std() - limit / np.sqrt(3)) < 0.15 * limit
            checked += 1
    assert checked >= 3


def test_pytorch_initialization_is_saved_in_keras_own_words(tmp_path):
    model = build("mlp", (4,), 3, kernel_initializer="pytorch", bias_initializer="pytorch")
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    kernel = loaded.get_layer("dense1").kernel_initializer
    assert kernel.get_config() == model.get_layer("dense1").kernel_initializer.get_config()
    assert "ablate" not in str(model.get_config())


def test_initial_deviation():
    model = build(
        "mlp", (400,), 3, units=[200], kernel_initializer={"name": "random_normal", "stddev": 0.05}
    )
    assert abs(ops.convert_to_numpy(model.get_layer("dense1").kernel).std() - 0.05) < 0.001


def test_types():
    fits = InputOutputSpec((8, 8, 1), CLASSES)
    mixed = base(Model(name="cnn"), fits, "mixed_bfloat16")
    assert mixed.get_layer("conv1").compute_dtype == "bfloat16"
    assert mixed.get_layer("output").compute_dtype == "float32"
    assert base(Model(name="cnn"), fits, "float64").get_layer("conv1").dtype == "float64"
    assert keras.config.dtype_policy().name == "float32"


def test_placements_go_in_directly():
    model = ablate.build(
        "mlp",
        input_shape=(4,),
        classes=3,
        units=[5],
        insert=[
            ablate.Placement(layer="BatchNormalization", at="before_activation", where="dense"),
            {"layer": "Dropout", "rate": 0.5, "at": "after_activation", "where": "dense1"},
        ],
    )
    assert names(model) == [
        "input", "dense1", "dense1_bn", "dense1_activation", "dense1_dropout", "output",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "name, shape, classes, arguments, says",
    [
        ("mpl", (4,), 3, {}, "Did you mean 'mlp'?"),
        ("mlp", (4,), 3, {"unit": [3]}, "Did you mean 'units'?"),
        ("mlp", (4,), 3, {"units": [0]}, "at least 1"),
        ("mlp", (4,), 3, {"activation": "rele"}, "Did you mean 'relu'?"),
        ("mlp", (4,), 3, {"weights": "imagenet"}, "starts fresh"),
        ("mlp", (4,), 3, {"output_activation": "sigmoid"}, "one unit for two classes"),
        ("mlp", (4,), None, {"output_activation": "softmax"}, "the targets are numbers"),
        ("cnn", (4,), 3, {}, "images or sequences"),
        ("cnn", (4, 4, 1), 3, {"filters": [2] * 3}, "pool3 is 2×2, larger than its input of 1×1"),
        ("cnn", (4, 4, 1), 3, {"kernel_size": 5, "padding": "valid"}, "conv1 is 5×5"),
        ("cnn", (8, 8, 1), 3, {"pool_size": [2]}, "1 values for 2 convolutions"),
        ("lenet", (8, 8), 3, {}, "add_channel"),
        ("vgg", (2, 2, 1), 3, {}, "block2_pool"),
        ("vgg16", (4,), 3, {}, "takes images"),
        ("vgg16", (8, 8, 3), 3, {}, "cannot be built for images of shape"),
        ("vgg16", (32, 32, 3), 3, {"alpha": 0.5}, "no width multiplier"),
        ("vgg16", (32, 32, 3), 3, {"weights": "no.h5"}, "there is no file 'no.h5'"),
    ],
)
def test_refusals(name, shape, classes, arguments, says):
    with pytest.raises(StudyError, match=says):
        build(name, shape, classes, **arguments)


def test_data_that_no_factory_takes():
    several = InputOutputSpec({"a": (4,), "b": (4,)}, CLASSES)
    with pytest.raises(StudyError, match=r"several inputs \(\['a', 'b'\]\)"):
        base(Model(name="mlp"), several)
    with pytest.raises(StudyError, match="multi_hot"):
        base(Model(name="mlp"), InputOutputSpec((200,), CLASSES, tokens=True))
    with pytest.raises(StudyError, match="one class per example"):
        base(Model(name="mlp"), InputOutputSpec((4,), Target("classification", (5,), 3)))
