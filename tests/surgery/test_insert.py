"""Insertion: what goes where, under what name, and what stays as it was."""

import sys

import keras
import numpy as np
import pytest
from keras import layers

from ablate.errors import SurgeryError
from ablate.study.schema.placement import Placement
from ablate.surgery import insert, inserted, plan_insertions, remove
from ablate.surgery.insert import carry_out
from ablate.surgery.recursion_limit import deep_graphs
from tests.surgery.cases import CASES, Scale, draw, randomized


def names(model):
    return [layer.name for layer in model.layers]


def placement(layer, **fields):
    return Placement.model_validate({"layer": layer, **fields})


def test_the_defaults_are_after_every_hidden_layer():
    model, _ = CASES["plain"]()
    new = insert(model, "LayerNormalization")
    added = [each for each in names(new) if each not in names(model)]
    assert added == [f"{host}_layer_normalization" for host in ("conv1", "conv2", "fc")]


@pytest.mark.parametrize(
    ("layer", "arguments", "suffix"),
    [
        ("BatchNormalization", {}, "bn"),
        ("Dropout", {"rate": 0.1}, "dropout"),
        ("SpatialDropout2D", {"rate": 0.1}, "spatial_dropout2d"),
        ("GaussianDropout", {"rate": 0.1}, "gaussian_dropout"),
        ("AlphaDropout", {"rate": 0.1}, "alpha_dropout"),
        ("LayerNormalization", {}, "layer_normalization"),
        ("GroupNormalization", {"groups": 2}, "group_normalization"),
        ("Activation", {"activation": "tanh"}, "activation"),
    ],
)
def test_names_and_arguments(layer, arguments, suffix):
    model, _ = CASES["plain"]()
    new = insert(model, layer, where="conv[0]", **arguments)
    made = new.get_layer(f"conv1_{suffix}")
    assert type(made).__name__ == layer
    assert made.get_config().items() >= arguments.items()


def test_taken_names_get_a_number():
    model, x = CASES["taken_names"]()
    new = insert(
        model,
        [
            placement("BatchNormalization", at="before_activation", where="fc_dropout"),
            placement("Dropout", rate=0.1, at="after_activation", where="fc"),
            placement("Dropout", rate=0.2, at="after", where="fc"),
            placement("BatchNormalization", at="after", where="fc"),
            placement("BatchNormalization", at="after", where="fc"),
        ],
    )
    assert names(new)[1:] == [
        *("fc", "fc_dropout_3", "fc_bn_2", "fc_bn_3", "fc_bn", "fc_activation", "fc_dropout_2"),
        *("fc_dropout", "fc_dropout_bn", "fc_dropout_activation", "head"),
    ]
    assert np.allclose(remove(new)(x), model(x), atol=0)


def test_placements_at_one_site_stand_in_list_order():
    model, _ = CASES["plain"]()
    first = placement("BatchNormalization", at="before_activation", where="fc")
    second = placement("Dropout", rate=0.5, at="before_activation", where="fc")
    third = placement("Dropout", rate=0.5, at="after", where="fc")
    assert names(insert(model, [first, second, third]))[5:9] == [
        *("fc", "fc_bn", "fc_dropout", "fc_activation"),
    ]
    assert names(insert(model, [third, second, first]))[5:10] == [
        *("fc", "fc_dropout_2", "fc_bn", "fc_activation", "fc_dropout"),
    ]


def test_a_shared_host_gets_one_shared_layer():
    model, _ = CASES["siamese"]()
    new = insert(model, "BatchNormalization", at="before_activation", where="shared")
    shared = new.get_layer("shared_bn")
    assert len(shared._inbound_nodes) == 2
    assert names(new).count("shared_activation") == 1
    assert shared is not insert(model, "BatchNormalization", where="shared").get_layer("shared_bn")


def test_two_hosts_of_one_shared_activation_get_a_layer_each():
    model, _ = CASES["shared_activation"]()
    new = insert(model, "BatchNormalization", at="before_activation")
    for host, norm in (("fc1", "fc1_bn"), ("fc2", "fc2_bn")):
        assert new.get_layer(norm).input is new.get_layer(host).output


@pytest.mark.parametrize("at", ["before", "before_activation", "after"])
def test_channels_first_hosts_are_normalized_over_their_channels(at):
    model, _ = CASES["channels_first"]()
    new = insert(model, "BatchNormalization", at=at, where=["depthwise", "conv", "relu"])
    axes = {each.layer: new.get_layer(each.name).axis for each in inserted(new)}
    assert axes == {"BatchNormalization": 1}
    explicit = insert(model, "BatchNormalization", at=at, where="conv", axis=2)
    assert explicit.get_layer("conv_bn").axis == 2
    spatial = insert(model, "SpatialDropout2D", rate=0.1, at=at, where="conv")
    assert spatial.get_layer("conv_spatial_dropout2d").data_format == "channels_first"


def test_layers_take_the_hosts_dtype_policy():
    model, _ = CASES["mixed_precision"]()
    new = insert(model, "Dropout", rate=0.1, at="before_activation")
    assert new.get_layer("fc1_dropout").dtype_policy.name == "mixed_bfloat16"
    assert new.get_layer("fc1_activation").dtype_policy.name == "mixed_bfloat16"
    inputs = keras.Input((3,), dtype="float16")
    x = layers.Dense(3, activation="relu", dtype="float16", name="fc")(inputs)
    half = keras.Model(inputs, layers.Dense(2, dtype="float16", name="head")(x))
    new = insert(half, "BatchNormalization", at="before_activation")
    assert new.get_layer("fc_bn").dtype_policy.name == "mixed_float16"
    assert new.get_layer("fc_bn").moving_variance.dtype == "float32"
    assert new.get_layer("fc_activation").dtype_policy.name == "float16"
    explicit = insert(half, "BatchNormalization", dtype="float32")
    assert explicit.get_layer("fc_bn").dtype_policy.name == "float32"


def test_trainable_flags():
    model, _ = CASES["frozen"]()
    new = insert(model, "BatchNormalization")
    flags = {layer.name: layer.trainable for layer in new.layers if layer.weights}
    assert [name for name, flag in flags.items() if flag] == ["fc1_bn", "fc2", "fc2_bn", "head"]
    off = insert(model, "BatchNormalization", trainable=False)
    assert not off.get_layer("fc2_bn").trainable
    model.trainable = False
    model.get_layer("head").trainable = True
    new = insert(model, "BatchNormalization")
    assert not new.trainable
    assert [layer.name for layer in new.layers if layer.trainable] == ["head"]


def test_penalties_stay_and_move_with_the_activation():
    model, x = CASES["penalties"]()
    new = insert(model, "Dropout", rate=0.5, at="before_activation")
    for each in (model, new):
        each(x)
    assert sum(map(float, new.losses)) == sum(map(float, model.losses)) > 0
    fc = new.get_layer("fc")
    assert fc.activity_regularizer is None
    assert fc.kernel_regularizer is not None
    assert fc.kernel_constraint is not None
    assert new.get_layer("fc_activation").activity_regularizer is not None


def test_the_model_is_compiled_as_it_was():
    model, x = CASES["dictionaries"]()
    model.compile(
        keras.optimizers.SGD(0.25, momentum=0.5),
        loss={"one": "mse", "two": keras.losses.Huber(0.5)},
        loss_weights={"one": 0.3, "two": 0.7},
        metrics={"one": ["mae"]},
    )
    y = {"one": draw(4, 2, seed=8), "two": draw(4, 1, seed=9)}
    expected = model.evaluate(x, y, verbose=0, return_dict=True)
    new = insert(model, "Dropout", rate=0.5)
    assert new.evaluate(x, y, verbose=0, return_dict=True) == expected
    assert new.optimizer is not model.optimizer
    assert new.optimizer.get_config() == model.optimizer.get_config()
    assert insert(CASES["plain"]()[0], "Dropout", rate=0.5).compiled is False


def test_a_loss_and_a_metric_of_ones_own_survive():
    def own_loss(true, predicted):
        return keras.ops.mean(keras.ops.abs(true - predicted))

    class OwnMetric(keras.metrics.MeanSquaredError):
        pass

    model, x = CASES["sequential"]()
    model.compile("sgd", loss=own_loss, metrics=[OwnMetric(name="own")])
    y = draw(5, 2, seed=8)
    expected = model.evaluate(x, y, verbose=0, return_dict=True)
    new = insert(model, "Dropout", rate=0.5)
    assert new.evaluate(x, y, verbose=0, return_dict=True) == expected
    assert new.metrics[1] is not model.metrics[1]


def test_the_training_behaviour_is_the_models_own():
    model, x = CASES["own_train_step"]()
    model.compile("sgd", loss="mse")
    new = insert(model, "Dropout", rate=0.5)
    assert type(new) is type(model)
    new.fit(x, draw(3, 2), verbose=0)


def test_random_states_are_copied():
    model, x = CASES["sequential"]()
    new = insert(model, "LayerNormalization", where="logits")
    for layer in (model, new):
        layer(x, training=True)
    theirs = new.get_layer("drop").seed_generator.state
    assert np.array_equal(theirs, model.get_layer("drop").seed_generator.state)


def test_hosts_that_cannot_take_the_position_are_listed():
    model, _ = CASES["embedding_to_lstm"]()
    decisions = plan_insertions(model, [placement("Dropout", rate=0.1, where="all")])
    names_by_host = {each.host: each.name for each in decisions}
    assert list(names_by_host) == ["words", "both", "gru", "cat"]
    assert names_by_host["gru"] is None
    assert names_by_host["cat"] == "cat_dropout"
    [skipped] = [each for each in decisions if each.skipped]
    assert skipped.skipped == "it returns 2 tensors, and 'after' needs exactly one"
    new = carry_out(model, decisions)
    assert [each.host for each in inserted(new)] == ["words", "both", "cat"]


def test_tensors_that_a_layer_cannot_take_are_passed_over():
    model, _ = CASES["plain"]()
    [conv1, _, conv2, _, fc] = plan_insertions(
        model, [placement("SpatialDropout2D", rate=0.1, where="all")]
    )
    assert (conv1.skipped, conv2.skipped) == (None, None)
    assert "does not take a tensor of shape (None, 6)" in str(fc.skipped)
    tokens, _ = CASES["masked_sequence"]()
    with pytest.raises(SurgeryError, match="the values there are int32, not floating point"):
        insert(tokens, "Dropout", rate=0.1, where="tokens")


def test_inputs_can_be_hosts():
    model, _ = CASES["plain"]()
    new = insert(model, "Dropout", rate=0.2, where="input")
    assert names(new)[:3] == ["image", "image_dropout", "conv1"]
    stack, _ = CASES["sequential"]()
    new = insert(stack, "Dropout", rate=0.2, where="input")
    assert names(new)[:2] == ["row_dropout", "fc1"]
    assert type(new) is keras.Sequential


def test_a_named_host_that_cannot_is_an_error():
    model, _ = CASES["embedding_to_lstm"]()
    named = "Dropout cannot be inserted 'after' of 'gru': it returns 2"
    with pytest.raises(SurgeryError, match=named):
        insert(model, "Dropout", rate=0.1, where="gru")
    with pytest.raises(SurgeryError, match="Dropout can be inserted at none of the 1 layers"):
        insert(model, "Dropout", rate=0.1, where="GRU")


def test_an_output_layer_by_its_name():
    model, x = CASES["plain"]()
    new = insert(model, "BatchNormalization", at="before_activation", where="classes")
    assert names(new)[-3:] == ["classes", "classes_bn", "classes_activation"]
    assert np.allclose(np.sum(new(x), axis=-1), 1)
    assert remove(new).get_config() == model.get_config()


@pytest.mark.parametrize(
    ("layer", "arguments", "words"),
    [
        ("Dropot", {"rate": 0.5}, "Received: 'Dropot'. Did you mean 'Dropout'?"),
        ("Dropout", {"rte": 0.5}, "Did you mean 'rate'?"),
        ("Dropout", {}, "needs a 'rate'"),
        ("Dropout", {"rate": 1.5}, "needs a 'rate'"),
        ("GroupNormalization", {"groups": 7}, "does not take a tensor of shape"),
        ("Dense", {"units": 77}, "would change the shape"),
        ("ReLU", {"slope": 1}, "ReLU does not take {'slope': 1}"),
        (3, {}, "Expected a layer's class by name"),
        ([], {}, "at least one placement"),
        (["Dropout"], {}, "Expected a list of Placement"),
        ([placement("Dropout", rate=0.1)], {"rate": 0.2}, "belong in its placement"),
    ],
)
def test_bad_requests(layer, arguments, words):
    model, _ = CASES["plain"]()
    with pytest.raises(SurgeryError) as error:
        insert(model, layer, **arguments)
    assert words in str(error.value)


def test_a_bad_position_is_an_error():
    with pytest.raises(SurgeryError, match="at: expected one of before"):
        insert(CASES["plain"]()[0], "Dropout", rate=0.5, at="beside")


def test_a_class_or_a_layer_serves_as_the_pattern():
    model, x = CASES["plain"]()
    for given in (layers.Dropout(0.25, seed=3), layers.Dropout):
        arguments = {} if isinstance(given, layers.Layer) else {"rate": 0.25, "seed": 3}
        new = insert(model, given, where="conv", **arguments)
        made = new.get_layer("conv2_dropout")
        assert (made.rate, made.seed) == (0.25, 3)
        assert made is not given
    new = insert(model, Scale, where="fc", factor=1.0)
    assert isinstance(new.get_layer("fc_scale"), Scale)
    assert np.array_equal(new(x), model(x))


def test_what_was_inserted_into_can_be_inserted_into_again():
    model, _ = CASES["plain"]()
    once = insert(model, "BatchNormalization", at="before_activation", where="fc")
    twice = insert(once, "Dropout", rate=0.5, at="before_activation", where="fc")
    assert names(twice)[5:9] == ["fc", "fc_bn", "fc_dropout", "fc_activation"]
    assert [each.name for each in inserted(twice)] == ["fc_activation", "fc_bn", "fc_dropout"]
    assert remove(twice).get_config() == model.get_config()


def test_same_shaped_branches_keep_their_own_weights():
    model, x = CASES["siblings"]()
    new = insert(model, "Dropout", rate=0.5, where="second")
    assert np.array_equal(new(x), model(x))
    for name in ("first", "second"):
        assert np.array_equal(new.get_layer(name).kernel, model.get_layer(name).kernel)


def test_calibration_needs_images_and_a_placement_that_asks():
    model, x = CASES["plain"]()
    asks = placement("BatchNormalization", where="fc", calibrate=True)
    with pytest.raises(SurgeryError, match="'fc_bn' is to be calibrated, but there are no images"):
        insert(model, [asks])
    with pytest.raises(SurgeryError, match="no placement asks for it"):
        insert(model, [placement("Dropout", rate=0.1)], calibrate=x)
    both = insert(model, [asks, placement("Dropout", rate=0.5, where="conv")], calibrate=x)
    assert np.array_equal(both(x), model(x))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="subclassed")
        self.fc = layers.Dense(2)

    def call(self, x):
        return self.fc(x)


def test_models_without_a_graph_get_an_error_that_says_what_to_do():
    with pytest.raises(SurgeryError, match=r"subclassed model \(Subclassed\).*on data first"):
        insert(Subclassed(), "Dropout", rate=0.5)
    with pytest.raises(SurgeryError, match=r"has no graph yet.*model.build"):
        insert(keras.Sequential([layers.Dense(2)]), "Dropout", rate=0.5)
    with pytest.raises(SurgeryError, match="Received: 'vgg16'"):
        insert("vgg16", "Dropout", rate=0.5)


def test_a_graph_with_a_constructor_of_its_own_becomes_one_of_keras():
    class OwnConstructor(keras.Model):
        def __init__(self, width, **kwargs):
            inputs = keras.Input((3,))
            hidden = layers.Dense(width, name="fc")(inputs)
            super().__init__(inputs, layers.Dense(2, name="head")(hidden), **kwargs)

    model = randomized(OwnConstructor(4, name="own"))
    new = insert(model, "Dropout", rate=0.5, where="fc")
    assert type(new) is type(keras.Model(model.inputs, model.outputs)) and new.name == "own"
    assert np.array_equal(new(draw(3, 3)), model(draw(3, 3)))


def test_models_without_a_graph_inside_another_are_copied_whole():
    @keras.saving.register_keras_serializable("ablate_tests")
    class Inner(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.fc = layers.Dense(2)

        def build(self, shape):
            self.fc.build(shape)

        def call(self, x):
            return self.fc(x)

    inputs = keras.Input((3,))
    x = Inner(name="inner")(layers.Dense(3, name="fc")(inputs))
    model = randomized(keras.Model(inputs, layers.Dense(2, name="head")(x)))
    new = insert(model, "Dropout", rate=0.5, where=["fc", "inner"])
    values = draw(3, 3)
    assert np.array_equal(new(values), model(values))
    assert not set(map(id, new.variables)) & set(map(id, model.variables))


def test_a_layer_that_cannot_be_rebuilt_is_named():
    class Forgetful(layers.Layer):
        def __init__(self, secret, **kwargs):
            super().__init__(**kwargs)

        def get_config(self):
            return super().get_config()

        def call(self, x):
            return x

    inputs = keras.Input((3,))
    x = Forgetful(object(), name="forgetful")(layers.Dense(3, name="fc")(inputs))
    with pytest.raises(SurgeryError, match=r"'forgetful' .Forgetful. cannot be rebuilt"):
        insert(keras.Model(inputs, x), "Dropout", rate=0.5, where="fc")


def test_a_network_deeper_than_python_nests_calls(tmp_path):
    """Keras orders a graph by a function that calls itself for each operation in a row."""
    x = inputs = keras.Input((2,))
    for number in range(260):
        x = layers.Dense(2, activation="relu", name=f"fc{number}")(x)
    model = keras.Model(inputs, x)
    limit = sys.getrecursionlimit()
    new = insert(
        model,
        [
            placement("BatchNormalization", at="before_activation", where="all"),
            placement("Dropout", rate=0.5, at="after_activation", where="all"),
        ],
    )
    assert len(new.layers) > limit
    assert sys.getrecursionlimit() == limit
    assert remove(new).get_config() == model.get_config()
    new.save(tmp_path / "deep.keras")
    with pytest.raises(RecursionError):
        keras.saving.load_model(tmp_path / "deep.keras")
    with deep_graphs():
        again = keras.saving.load_model(tmp_path / "deep.keras")
    assert names(again) == names(new)
