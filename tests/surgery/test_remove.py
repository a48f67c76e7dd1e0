"""Removal: what was inserted, or whatever hands a tensor through."""

import keras
import numpy as np
import pytest
from keras import layers

from ablate.errors import SurgeryError
from ablate.study.schema.placement import Placement
from ablate.surgery import insert, inserted, remove
from ablate.surgery.remove import take_out
from tests.surgery.cases import CASES, draw, randomized


def names(model):
    return [layer.name for layer in model.layers]


def both_in(model):
    return insert(
        model,
        [
            Placement(layer="BatchNormalization", at="before_activation", where="hidden"),
            Placement(layer="Dropout", rate=0.5, at="before_activation", where="fc"),
        ],
    )


def test_only_what_was_inserted_goes():
    model, x = CASES["taken_names"]()
    new = insert(model, "BatchNormalization", at="before_activation")
    back = remove(new)
    assert back.get_config() == model.get_config()
    assert "fc_bn" in names(back)
    assert np.array_equal(back(x), model(x))


def test_the_activation_is_fused_again_once_nothing_stands_between():
    model, _ = CASES["plain"]()
    new = both_in(model)
    less = remove(new, "Dropout")
    assert names(less)[9:12] == ["fc", "fc_bn", "fc_activation"]
    assert [each.name for each in inserted(less) if each.host == "fc"] == ["fc_activation", "fc_bn"]
    none = remove(less, "fc_bn")
    assert names(none)[9:] == ["fc", "classes"]
    assert none.get_layer("fc").activation is keras.activations.relu
    assert [each.host for each in inserted(none)] == ["conv1", "conv1", "conv2", "conv2"]
    assert remove(none).get_config() == model.get_config()


def test_except_keeps_some():
    model, _ = CASES["plain"]()
    kept = remove(both_in(model), except_="re:^conv")
    assert [each.name for each in inserted(kept)] == [
        *("conv1_activation", "conv1_bn", "conv2_activation", "conv2_bn"),
    ]
    assert "fc_activation" not in names(kept)


def test_a_layer_that_a_person_put_between_keeps_the_activation_apart():
    model, _ = CASES["plain"]()
    new = insert(model, "BatchNormalization", at="before_activation", where="fc")
    inputs = new.input
    x = layers.GaussianNoise(0.1, name="noise")(new.get_layer("fc_bn").output)
    x = new.get_layer("classes")(new.get_layer("fc_activation")(x))
    left = remove(keras.Model(inputs, x, name="plain"))
    assert names(left)[5:8] == ["fc", "noise", "fc_activation"]


def test_own_layers_go_by_selector():
    model, _ = CASES["sequential"]()
    new = remove(model, ["Dropout", "norm"])
    assert names(new) == ["fc1", "fc2", "fc2_relu", "logits"]
    assert type(new) is keras.Sequential
    assert names(model) == ["fc1", "drop", "fc2", "fc2_bn", "fc2_relu", "logits"]


def test_nested_layers_go_too():
    model, _ = CASES["shared_nested"]()
    new = insert(model, "Dropout", rate=0.5, where="block/fc")
    assert [each.path for each in inserted(new)] == ["block/fc_dropout"]
    assert remove(new, "block/fc_dropout").get_config() == model.get_config()


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("fc", "'fc' cannot be removed: it changes the shape from (None, 36) to (None, 6)"),
        ("image", "'image' cannot be removed: it is an input of the model"),
        ("pool", "it changes the shape"),
        ("conv", "'conv1' cannot be removed: it changes the shape"),
        ("Dropout", "'Dropout' matches no layer"),
    ],
)
def test_what_cannot_go_is_an_error(where, words):
    model, _ = CASES["plain"]()
    with pytest.raises(SurgeryError) as error:
        remove(model, where)
    assert words in str(error.value)


def test_nothing_recorded_is_an_error():
    model, _ = CASES["sequential"]()
    with pytest.raises(SurgeryError, match="has no record of inserted or changed layers"):
        remove(model)
    with pytest.raises(SurgeryError, match="has no record"):
        remove(remove(insert(model, "Dropout", rate=0.5)))
    with pytest.raises(SurgeryError, match="Nothing is left to remove after except"):
        remove(insert(model, "Dropout", rate=0.5, where="fc1"), except_="fc1_dropout")


def test_a_sequential_model_keeps_a_layer():
    model = keras.Sequential([keras.Input((3,)), layers.Dropout(0.5, name="only")])
    with pytest.raises(SurgeryError, match="would have no layer left"):
        remove(model, "only")


def test_stochastic_depth_stays_unless_named():
    inputs = keras.Input((4, 4, 2))
    x = layers.Conv2D(2, 1, name="conv")(inputs)
    x = layers.Dropout(0.2, noise_shape=(None, 1, 1, 1), name="depth")(x)
    x = layers.Dropout(0.2, name="drop")(layers.Add(name="add")([x, inputs]))
    model = randomized(keras.Model(inputs, layers.GlobalMaxPooling2D(name="pool")(x)))
    assert "depth" in names(remove(model, "Dropout"))
    assert "depth" not in names(remove(model, "depth"))
    with pytest.raises(SurgeryError, match="stochastic depth"):
        remove(remove(model, "drop"), "Dropout")


def test_a_layer_at_an_output_can_go():
    inputs = keras.Input((4,), name="row")
    x = layers.Dropout(0.5, name="last")(layers.Dense(3, name="fc")(inputs))
    model = randomized(keras.Model(inputs, x))
    new = remove(model, "last")
    assert names(new) == ["row", "fc"]
    values = draw(2, 4)
    assert np.array_equal(new(values), model(values))


def biasless():
    """Hosts without a bias before BN: directly, with a Dropout between, and where BN is not all."""
    x = keras.Input((6, 6, 3))
    y = layers.Conv2D(4, 3, use_bias=False, name="a")(x)
    y = layers.ReLU()(layers.BatchNormalization(name="a_norm")(y))
    y = layers.DepthwiseConv2D(3, use_bias=False, name="b")(y)
    y = layers.BatchNormalization(name="b_norm")(layers.Dropout(0.1, name="drop")(y))
    y = layers.SeparableConv2D(4, 1, use_bias=False, name="c")(y)
    y = layers.Add()([layers.BatchNormalization(name="c_norm")(y), y])
    y = layers.Conv2D(4, 1, use_bias=False, activation="relu", name="d")(y)
    y = layers.Flatten()(layers.BatchNormalization(name="d_norm")(y))
    y = layers.Dense(3, name="e")(y)
    y = layers.BatchNormalization(name="e_norm")(y)
    y = layers.EinsumDense("ab,bc->ac", 3, name="f")(y)
    y = layers.Activation("linear")(y)
    return keras.Model(x, layers.BatchNormalization(name="f_norm", center=False)(y))


@pytest.mark.parametrize(
    ("where", "given"),
    [
        ("BatchNormalization", ("a", "f")),
        (["BatchNormalization", "Dropout"], ("a", "b", "f")),
        (["b_norm", "e_norm"], ()),
        ("a_norm", ("a",)),
    ],
)
def test_a_host_is_given_the_bias_that_a_removed_bn_made_needless(where, given):
    model, x = biasless(), draw(2, 6, 6, 3)
    plain = remove(model, where)
    new = remove(model, where, give_bias=True)
    assert take_out(model, where, give_bias=True).given == given
    channels = {"a": 4, "b": 4, "f": 3}
    more = new.count_params() - plain.count_params()
    assert more == sum(channels[each] for each in given)
    np.testing.assert_array_equal(new(x), plain(x))  # of zeros
    for name in given:
        assert not np.any(new.get_layer(name).bias) and new.get_layer(name).bias.trainable
    assert {each.name for each in model.layers if getattr(each, "use_bias", False)} == {"e"}


def test_what_was_inserted_made_no_bias_needless():
    model = biasless()
    new = insert(model, "BatchNormalization", at="after", where="c")
    assert remove(new, give_bias=True).get_config() == model.get_config()
    shared = layers.Dense(2, use_bias=False, name="twice")
    x = keras.Input((2,))
    y = layers.BatchNormalization(name="norm")(shared(x))
    once = keras.Model(x, shared(y))
    assert take_out(once, "norm", give_bias=True).given == ()
