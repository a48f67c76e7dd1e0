"""What a selector means."""

import keras
import pytest
from keras import layers

from ablate.errors import SurgeryError
from ablate.surgery import select
from ablate.surgery.hosts import all_hosts
from ablate.surgery.kinds import kind_of
from tests.surgery.cases import CASES, Scale


def found(model, where, except_=None):
    return [host.path for host in select(model, where, except_)]


@pytest.fixture(scope="module")
def convnet():
    inputs = keras.Input((8, 8, 3), name="image")
    x = inputs
    for block in (1, 2):
        x = layers.Conv2D(4, 3, activation="relu", padding="same", name=f"block{block}_conv1")(x)
        x = layers.Conv2D(4, 3, use_bias=False, padding="same", name=f"block{block}_conv2")(x)
        x = layers.BatchNormalization(name=f"block{block}_norm")(x)
        x = layers.ReLU(name=f"block{block}_relu")(x)
        x = layers.MaxPooling2D(name=f"block{block}_pool")(x)
    x = layers.Dense(4, activation="relu", name="fc")(layers.Flatten(name="flatten")(x))
    x = layers.Dense(3, name="logits")(layers.Dropout(0.5, name="drop")(x))
    return keras.Model(inputs, layers.Activation("softmax", name="classes")(x), name="convnet")


CONVS = ["block1_conv1", "block1_conv2", "block2_conv1", "block2_conv2"]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("block1_conv2", ["block1_conv2"]),
        ("Conv2D", CONVS),
        ("conv", CONVS),
        ("dense", ["fc"]),
        ("Dense", ["fc"]),
        ("hidden", [*CONVS, "fc"]),
        ("norm", ["block1_norm", "block2_norm"]),
        ("pool", ["block1_pool", "block2_pool"]),
        ("activation", ["block1_relu", "block2_relu"]),
        ("input", ["image"]),
        ("Dropout", ["drop"]),
        ("conv[0]", ["block1_conv1"]),
        ("conv[-1]", ["block2_conv2"]),
        ("conv[::2]", ["block1_conv1", "block2_conv1"]),
        ("conv[1:3]", ["block1_conv2", "block2_conv1"]),
        ("Conv2D[-2:]", ["block2_conv1", "block2_conv2"]),
        ("hidden[-1]", ["fc"]),
        ("block2_*", [f"block2_{each}" for each in ("conv1", "conv2", "norm", "relu", "pool")]),
        ("block[12]_pool", ["block1_pool", "block2_pool"]),
        ("re:conv1$", ["block1_conv1", "block2_conv1"]),
        (["fc", "conv[0]"], ["block1_conv1", "fc"]),
        (["conv", "block1_conv1"], CONVS),
        ("logits", ["logits"]),
        ("classes", ["classes"]),
    ],
)
def test_selectors(convnet, where, expected):
    assert found(convnet, where) == expected


def test_all_is_every_layer_but_inputs_and_output_layers(convnet):
    everything = [layer.name for layer in convnet.layers]
    assert found(convnet, "all") == [
        name for name in everything if name not in ("image", "logits", "classes")
    ]


def test_except_subtracts(convnet):
    assert found(convnet, "hidden", ["block1_*", "dense"]) == ["block2_conv1", "block2_conv2"]


def test_a_name_comes_before_a_class_and_a_class_before_a_kind():
    inputs = keras.Input((4, 4, 1))
    x = layers.Conv2D(1, 1, name="first")(inputs)
    x = layers.Conv2D(1, 1, name="conv")(x)
    model = keras.Model(inputs, layers.GlobalMaxPooling2D()(x))
    assert found(model, "conv") == ["conv"]
    assert found(model, "conv[0]") == ["first"]


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("block3_*", "'block3_*' matches no layer of 'convnet'."),
        ("Conv2", "Did you mean 'Conv2D'?"),
        ("hiden", "Did you mean 'hidden'?"),
        ("block1_conv3", "Did you mean 'block1_conv"),
        ("conv[4]", "there are 4 (block1_conv1 … block2_conv2), so indices go from -4 to 3"),
        ("conv[2:1]", "matches no layer"),
        ("conv[::0]", "a slice cannot have step 0"),
        ("re:(", "is not a regular expression"),
        ("recurrent", "'recurrent' matches no layer"),
        (["conv", "nothing"], "'nothing' matches no layer"),
        (3, "Expected a selector"),
        ("class*", "Output layers (classes) are selected by their exact name only"),
    ],
)
def test_what_matches_nothing_is_an_error(convnet, where, words):
    with pytest.raises(SurgeryError) as error:
        select(convnet, where if not isinstance(where, int) else [where])
    assert words in str(error.value)


def test_nothing_left_is_an_error(convnet):
    with pytest.raises(SurgeryError, match="Nothing is left of 'fc' after except: 'dense'"):
        select(convnet, "fc", "dense")
    with pytest.raises(SurgeryError, match="'typo' matches no layer"):
        select(convnet, "fc", "typo")


def test_layers_of_nested_models_go_by_path_or_unique_name():
    model, _ = CASES["three_levels"]()
    assert found(model, "all") == ["fc", "middle/deep/fc", "middle/fc", "middle/add"]
    assert found(model, "middle/deep/fc") == ["middle/deep/fc"]
    assert found(model, "add") == ["middle/add"]
    assert found(model, "middle/*") == ["middle/deep/fc", "middle/fc", "middle/add"]
    assert found(model, "middle") == ["middle"]
    assert found(model, "Sequential") == ["middle/deep"]
    assert found(model, "fc") == ["fc"]  # the outermost path


def test_a_name_that_is_not_unique_is_an_error():
    model, _ = CASES["equal_names_at_two_depths"]()
    with pytest.raises(SurgeryError, match=r"'fc' names 2 layers .* two/fc, two/one/fc"):
        found(model, "fc")


def test_output_layers_are_found_through_activations_reshapes_and_nested_models():
    inner_in = keras.Input((6,))
    inner = keras.Model(inner_in, layers.Dense(6, name="last")(inner_in), name="inner")
    inputs = keras.Input((6,))
    x = inner(layers.Dense(6, name="first")(inputs))
    x = layers.Reshape((2, 3), name="fold")(x)
    x = keras.ops.softmax(layers.Permute((2, 1), name="turn")(x))
    model = keras.Model(inputs, x)
    assert {h.path: h.output for h in all_hosts(model) if h.kind == "dense"} == {
        "first": False,
        "inner/last": True,
    }
    further = keras.Model(inputs, layers.GlobalMaxPooling1D(name="pool")(x))
    assert found(further, "hidden") == ["first", "inner/last"]


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        (layers.SeparableConv1D(1, 1), "conv"),
        (layers.Conv3DTranspose(1, 1), "conv"),
        (layers.EinsumDense("ab,bc->ac", 1), "dense"),
        (layers.LSTM(1), "recurrent"),
        (layers.Bidirectional(layers.GRU(1)), "recurrent"),
        (layers.ConvLSTM2D(1, 1), "recurrent"),
        (layers.TimeDistributed(layers.Dense(1)), "dense"),
        (layers.Embedding(2, 2), "embedding"),
        (layers.GroupNormalization(), "norm"),
        (layers.GlobalAveragePooling3D(), "pool"),
        (layers.PReLU(), "activation"),
        (layers.SpatialDropout2D(0.1), "dropout"),
        (layers.Add(), "other"),
        (Scale(1.0), "other"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_kinds(layer, kind):
    assert kind_of(layer) == kind


@pytest.mark.parametrize("selector", ["hidden", "hidden[0]"])
def test_a_model_of_recurrent_layers_says_how_they_are_selected(selector):
    stack = [layers.GRU(3, return_sequences=True, name="g"), layers.LSTM(3, name="l")]
    model = keras.Sequential([keras.Input((5, 4)), *stack, layers.Dense(2, name="out")])
    with pytest.raises(
        SurgeryError, match=r"Recurrent layers \(g, l\) are selected by 'recurrent'"
    ):
        select(model, selector)
    assert [host.path for host in select(model, "recurrent")] == ["g", "l"]
