"""Where a layer can stand."""

import keras
import pytest
from keras import layers

from ablate.errors import SurgeryError
from ablate.surgery import sites
from tests.surgery.cases import CASES

POSITIONS = ["before", "before_activation", "after_activation", "after"]


def stands(model, host):
    return {site.position: site.stands for site in sites(model, host)}


def graph_of(*chain, shape=(6, 6, 3)):
    inputs = keras.Input(shape, name="input")
    x = inputs
    for layer in chain:
        x = layer(x)
    return keras.Model(inputs, layers.Flatten(name="end")(layers.Dense(2, name="out")(x)))


def test_a_fused_activation_is_split_off():
    model = graph_of(layers.Conv2D(3, 3, activation="relu", name="conv"))
    assert stands(model, "conv") == {
        "before": "before conv",
        "before_activation": "between conv and its relu, split off",
        "after_activation": "after conv (relu inside)",
        "after": "directly after conv",
    }


@pytest.mark.parametrize(
    "activation",
    [
        layers.ReLU(name="act"),
        layers.PReLU(name="act"),
        layers.Activation("gelu", name="act"),
        layers.Softmax(name="act"),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_an_activation_layer_is_found_through_norm_and_dropout(activation):
    model = graph_of(
        layers.Conv2D(3, 3, name="conv"),
        layers.BatchNormalization(name="norm"),
        layers.SpatialDropout2D(0.1, name="drop"),
        activation,
    )
    assert stands(model, "conv") == {
        "before": "before conv",
        "before_activation": "before act",
        "after_activation": "after act",
        "after": "directly after conv",
    }


def test_an_operation_serves_as_activation():
    keras.backend.clear_session()  # Keras numbers the operations of a session
    model, _ = CASES["operations"]()
    assert stands(model, "conv")["before_activation"] == "before relu"
    assert stands(model, "gate")["after_activation"] == "after sigmoid"


@pytest.mark.parametrize(
    "following",
    [
        layers.MaxPooling2D(name="pool"),
        layers.Conv2D(3, 1, activation="relu", name="next"),
        layers.ZeroPadding2D(name="pad"),
    ],
    ids=lambda layer: layer.name,
)
def test_without_an_activation_both_positions_are_directly_after(following):
    model = graph_of(layers.Conv2D(3, 3, name="conv"), following, layers.ReLU(name="late"))
    directly = "directly after conv, which no activation follows"
    assert stands(model, "conv") == {
        "before": "before conv",
        "before_activation": directly,
        "after_activation": directly,
        "after": "directly after conv",
    }


def test_an_activation_behind_a_fork_is_not_the_hosts():
    model, _ = CASES["norm_and_skip"]()
    assert "no activation follows" in stands(model, "conv")["before_activation"]
    assert stands(model, "conv_bn")["before_activation"] == "before relu"


def test_recurrent_layers_use_their_activation_inside():
    model, _ = CASES["masked_sequence"]()
    assert "no activation follows" in stands(model, "lstm")["before_activation"]


def test_an_activation_is_its_own():
    model, _ = CASES["taken_names"]()
    assert stands(model, "fc_activation") == {
        "before": "before fc_activation",
        "before_activation": "before fc_activation",
        "after_activation": "directly after fc_activation",
        "after": "directly after fc_activation",
    }


class Own(layers.Dense):
    """A Dense that does something after its activation."""

    def call(self, inputs):
        return super().call(inputs) + 1


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (Own(3, activation="relu", name="host"), "applied inside Own"),
        (
            layers.TimeDistributed(layers.Dense(3, activation="relu"), name="host"),
            "applied inside TimeDistributed",
        ),
        (layers.Dense(3, activation=layers.PReLU(), name="host"), "with weights (PReLU)"),
    ],
    ids=["own-call", "wrapper", "prelu"],
)
def test_what_cannot_be_split_says_why(layer, words):
    model = graph_of(layer, shape=(4, 3))
    assert list(stands(model, "host")) == ["before", "after_activation", "after"]
    with pytest.raises(SurgeryError) as error:
        sites(model, "host", at="before_activation")
    assert words in str(error.value)


def test_several_inputs_or_outputs_cannot_take_some_positions():
    model, _ = CASES["embedding_to_lstm"]()
    assert list(stands(model, "cat")) == POSITIONS[1:]
    assert list(stands(model, "gru")) == ["before"]
    assert list(stands(model, "tokens")) == POSITIONS[1:]
    with pytest.raises(SurgeryError, match="'cat' cannot take 'before': it has 2 inputs"):
        sites(model, "cat", at="before")
    with pytest.raises(SurgeryError, match="'gru' cannot take 'after': it returns 2 tensors"):
        sites(model, "gru", at="after")


def test_attention_of_a_tensor_with_itself_has_one_input():
    model, _ = CASES["attention"]()
    assert "before" in stands(model, "self")
    assert "before" not in stands(model, "cross")


def test_sites_come_in_order_and_carry_kind_and_position():
    model, _ = CASES["plain"]()
    assert [(s.host, s.kind, s.position) for s in sites(model, "hidden", at="after")] == [
        ("conv1", "conv", "after"),
        ("conv2", "conv", "after"),
        ("fc", "dense", "after"),
    ]
    assert {site.host for site in sites(model)} == {"conv1", "pool", "conv2", "flatten", "fc"}


def test_an_unknown_position_is_an_error():
    with pytest.raises(SurgeryError, match="expected one of before, before_activation"):
        sites(CASES["plain"]()[0], at="around")
