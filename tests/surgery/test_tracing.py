"""Subclassed models and composite layers as functional models, and what cannot be one."""

import warnings

import keras
import numpy as np
import pytest
from keras import layers, ops

from ablate.errors import Notice, SurgeryError
from ablate.surgery import (
    canonical_paths,
    certify,
    change,
    fold,
    functional,
    insert,
    inserted,
    rebuild,
    remove,
    replace,
    select,
    trace,
)
from ablate.surgery.graph import paths
from tests.surgery.cases import draw, randomized


class MLP(keras.Model):
    def __init__(self):
        super().__init__(name="mlp")
        self.hidden = [layers.Dense(4, activation="relu", name=f"h{i}") for i in range(3)]
        self.drop = layers.Dropout(0.5, name="drop")
        self.out = layers.Dense(2, name="out")

    def call(self, x, training=False):
        for each in self.hidden:
            x = self.drop(each(x), training=training)
        return self.out(x)


class Block(layers.Layer):
    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.conv = layers.Conv2D(filters, 3, padding="same", name="mix")
        self.norm = layers.BatchNormalization(name="bn")
        self.relu = layers.Activation("relu", name="relu")

    def call(self, x, training=None):
        return self.relu(x + self.norm(self.conv(x), training=training))


class Stage(layers.Layer):
    """A composite layer of composite layers."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.blocks = [Block(4, name=f"block{i}") for i in range(2)]

    def call(self, x, training=None):
        for each in self.blocks:
            x = each(x, training=training)
        return x


class ResNet(keras.Model):
    def __init__(self):
        super().__init__(name="resnet")
        self.stem = layers.Conv2D(4, 3, name="stem")
        self.stages = [Stage(name=f"stage{i}") for i in range(2)]
        self.pool = layers.GlobalAveragePooling2D(name="pool")
        self.out = layers.Dense(2, name="out")

    def call(self, x, training=False):
        x = self.stem(x)
        for each in self.stages:
            x = each(x, training=training)
        return self.out(self.pool(x))


class TwoInputs(keras.Model):
    def __init__(self):
        super().__init__(name="two")
        self.dense, self.table = layers.Dense(3, name="dense"), layers.Embedding(9, 3, name="table")

    def call(self, inputs):
        return {"sum": self.dense(inputs["row"]) + self.table(inputs["word"])}


class Attention(layers.Layer):
    """Takes the mask of its input, and hands one on."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.heads = layers.MultiHeadAttention(2, 4, name="heads")
        self.norm = layers.LayerNormalization(name="norm")
        self.feed = layers.Dense(6, activation="relu", name="feed")

    def call(self, x, mask=None, training=False):
        seen = None if mask is None else mask[:, None, :]
        x = self.norm(x + self.heads(x, x, attention_mask=seen, training=training))
        return x + self.feed(x)


class Reader(keras.Model):
    def __init__(self):
        super().__init__(name="reader")
        self.table = layers.Embedding(9, 6, mask_zero=True, name="table")
        self.blocks = [Attention(name=f"attention{i}") for i in range(2)]
        self.pool = layers.GlobalAveragePooling1D(name="pool")
        self.out = layers.Dense(2, name="out")

    def call(self, tokens, training=False):
        x = self.table(tokens)
        mask = x._keras_mask
        for each in self.blocks:
            x = each(x, mask=mask, training=training)
        return self.out(self.pool(x, mask=mask))


class Sample(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seeds = keras.random.SeedGenerator(1)

    def call(self, pair):
        mean, spread = pair
        return mean + ops.exp(spread) * keras.random.normal(ops.shape(mean), seed=self.seeds)


class VAE(keras.Model):
    def __init__(self):
        super().__init__(name="vae")
        self.mean, self.spread = layers.Dense(2, name="mean"), layers.Dense(2, name="spread")
        self.sample, self.decoder = Sample(name="sample"), layers.Dense(4, name="decoder")

    def call(self, x):
        return self.decoder(self.sample([self.mean(x), self.spread(x)]))


class Loop(keras.Model):
    def __init__(self):
        super().__init__(name="loop")
        self.dense, self.gru = layers.Dense(4, name="dense"), layers.GRU(4, name="gru")

    def call(self, x):
        for _ in range(3):
            x = self.dense(x)
        return self.gru(ops.expand_dims(x, 1))


TRUE = {
    "a list of layers": (MLP, draw(5, 4)),
    "composite layers in composite layers": (ResNet, draw(5, 9, 9, 3)),
    "dicts": (TwoInputs, {"row": draw(5, 4), "word": np.arange(5)}),
    "masks": (Reader, np.array([[1, 2, 3, 0], [1, 0, 0, 0], [3, 3, 3, 3]])),
    "a sampling layer": (VAE, draw(5, 4)),
    "a loop": (Loop, draw(5, 4)),
}


def equal(a, b, x):
    return all(each.identical for each in certify(a, b, x).paths.values())


def built(build, x):
    model = build()
    model(x)
    return randomized(model)


@pytest.mark.parametrize("name", TRUE)
def test_what_traces_computes_the_same_with_the_same_variables(name):
    build, x = TRUE[name]
    model = built(build, x)
    found = trace(model)
    assert found.closed == () and found.notes == ()
    assert {id(each) for each in found.model.variables} == {id(each) for each in model.variables}
    assert equal(model, rebuild(found.model).model, x)  # a copy has random states of its own
    assert functional(model) is found.model  # traced once
    assert functional(found.model) is found.model


def test_layers_inside_are_addressed_by_the_names_they_have():
    model = built(*TRUE["composite layers in composite layers"])
    assert [path for _, path in paths(functional(model)) if path.startswith("stage0/block0")] == [
        "stage0/block0",
        "stage0/block0/block0_input",
        "stage0/block0/mix",
        "stage0/block0/bn",
        "stage0/block0/relu",
    ]
    assert [host.path for host in select(model, "conv")] == [
        "stem",
        "stage0/block0/mix",
        "stage0/block1/mix",
        "stage1/block0/mix",
        "stage1/block1/mix",
    ]
    assert trace(model).opened[-1] == ("resnet", "ResNet")


def test_subclassed_models_are_operated_on_like_others(tmp_path):
    build, x = TRUE["composite layers in composite layers"]
    model = built(build, x)
    model.compile("sgd", "mse")
    new = insert(model, "BatchNormalization", at="after", where="conv", calibrate=x)
    assert new.compiled and len(inserted(new)) == 5
    assert certify(model, new, x).paths["eager"].max_rel_diff < 1e-6
    assert equal(model, remove(new), x)
    assert certify(model, fold(new), x).paths["eager"].max_rel_diff < 1e-4
    new.save(tmp_path / "new.keras")  # and knows nothing of the classes any more
    again = keras.saving.load_model(tmp_path / "new.keras")
    assert equal(new, again, x)
    assert model.layers[1].blocks[0].conv.kernel.shape == (3, 3, 4, 4)  # the given one stays


def test_composite_layers_of_functional_models_are_opened_too():
    inputs = keras.Input((9, 9, 3), name="image")
    x = layers.Conv2D(4, 3, name="stem")(inputs)
    x = layers.GlobalAveragePooling2D(name="pool")(Stage(name="stage")(x))
    model = randomized(keras.Model(inputs, x, name="mixed"))
    assert [host.path for host in select(model, "norm")] == [
        "stage/block0/bn",
        "stage/block1/bn",
    ]
    new = insert(model, "Dropout", rate=0.5, where="stage/block1/mix")
    assert inserted(new)[0].path == "stage/block1/mix_dropout"
    assert equal(model, new, draw(4, 9, 9, 3))


class Gate(layers.Layer):
    """A composite layer of the user's own, with arguments."""

    def __init__(self, units, rate=0.1, **kwargs):
        super().__init__(**kwargs)
        self.units, self.rate = units, rate
        self.inside = layers.Dense(units, activation="relu", name="inside")
        self.drop = layers.Dropout(rate, name="drop")

    def call(self, x, training=None):
        return self.drop(self.inside(x), training=training) * ops.sigmoid(x)

    def get_config(self):
        return {**super().get_config(), "units": self.units, "rate": self.rate}


def gated():
    inputs = keras.Input((8,), name="row")
    x = layers.Activation("relu", name="relu")(Gate(8, name="gate_a")(inputs))
    return keras.Model(inputs, layers.Dense(2, name="out")(Gate(8, name="gate_b")(x)))


@pytest.fixture(scope="module")
def gates():
    return gated()


@pytest.mark.parametrize(
    ("where", "hosts"),
    [
        ("Gate", ["gate_a", "gate_b"]),
        (keras.saving.get_registered_name(Gate) + "[1]", ["gate_b"]),
        ("Gate[0]", ["gate_a"]),
        ("gate_b", ["gate_b"]),
        ("re:^gate", ["gate_a", "gate_b"]),
        ("gate*", ["gate_a", "gate_b"]),
        ("re:^gate_b/", ["gate_b/inside", "gate_b/drop"]),
        ("inside*", ["gate_a/inside", "gate_b/inside"]),
        ("gate_b/inside", ["gate_b/inside"]),
        (["Gate", "Dense"], ["gate_a", "gate_a/inside", "gate_b", "gate_b/inside"]),
    ],
)
def test_composite_layers_are_selected_as_what_they_were(where, hosts, gates):
    assert [host.path for host in select(gates, where)] == hosts


@pytest.mark.parametrize("at", ["before", "before_activation", "after_activation", "after"])
def test_layers_go_next_to_a_composite_layer(at, gates):
    new = insert(gates, "Dropout", rate=0.5, where="Gate", at=at)
    assert [(each.host, each.path) for each in inserted(new)] == [
        ("gate_a", "gate_a_dropout"),
        ("gate_b", "gate_b_dropout"),
    ]
    assert equal(gates, new, draw(4, 8)) and equal(gates, remove(new), draw(4, 8))


def rates(model):
    return [host.layer.rate for host in select(model, "Dropout")]


def test_composite_layers_are_changed_replaced_and_removed_as_what_they_were(gates, tmp_path):
    x = draw(4, 8)
    changed = change(gates, "Gate[1]", rate=0.4)
    assert rates(changed) == [0.1, 0.4] and equal(gates, changed, x)
    assert rates(remove(changed)) == [0.1, 0.1] and equal(gates, remove(changed), x)
    with pytest.raises(SurgeryError, match=r"Gate takes no 'rat' \(did you mean 'rate'\?\)"):
        change(gates, "gate_a", rat=0.4)
    replaced = replace(gates, "Gate", "Dense")
    assert [host.path for host in select(replaced, "Dense")] == ["gate_a", "gate_b"]
    replaced.save(tmp_path / "replaced.keras")
    again = keras.saving.load_model(tmp_path / "replaced.keras")
    assert equal(gates, remove(again), x)
    assert [host.path for host in select(remove(again), "Gate")] == ["gate_a", "gate_b"]
    assert [each.name for each in remove(gates, "Gate").layers] == ["row", "relu", "out"]


def test_paths_of_composite_layers_do_not_count_through_the_process():
    def build():
        inputs = keras.Input((8,))
        return functional(keras.Model(inputs, Gate(8)(Gate(8)(inputs))))

    ours, theirs = build(), build()
    assert ours.layers[-1].name != theirs.layers[-1].name
    leaves = [path for path in canonical_paths(theirs).values() if "/" in path]
    assert leaves[1:3] + leaves[4:] == [
        f"Gate[{i}]/{each}" for i in (0, 1) for each in ("inside", "drop")
    ]


def test_what_was_changed_since_is_seen():
    model = built(*TRUE["composite layers in composite layers"])
    before = functional(model)
    model.layers[1].trainable = False
    after = functional(model)
    assert after is not before
    assert len(after.trainable_variables) == len(model.trainable_variables)
    assert all(not each.trainable for each in select(model, "stage0/block0/mix")[0].layer.weights)


class OneDense(keras.Model):
    def __init__(self):
        super().__init__(name="net")
        self.dense = layers.Dense(4, name="dense")


class OwnWeight(OneDense):
    def __init__(self):
        super().__init__()
        self.scale = self.add_weight(shape=(4,), name="scale")

    def call(self, x):
        return self.dense(x) * self.scale


class Branches(OneDense):
    def call(self, x):
        return self.dense(x) if ops.sum(x) > 0 else -self.dense(x)


class TensorFlows(OneDense):
    def call(self, x):
        import tensorflow as tf

        return tf.nn.relu(self.dense(x))


class Rows(OneDense):
    def call(self, x):
        return self.dense(x) + ops.zeros((ops.shape(x)[0], 4))


class Reshaped(OneDense):
    """Reads the number of rows, and one size is left to be found."""

    def call(self, x):
        x = self.dense(x)
        rows = ops.shape(x)[0]
        return ops.reshape(ops.reshape(x, (rows, 2, 2)), [rows, -1, 1])


def test_a_reshape_to_the_number_of_rows_is_one_to_any_number():
    model = built(Reshaped, draw(3, 4))
    assert equal(model, functional(model), draw(5, 4))


class OtherInTraining(OneDense):
    def call(self, x, training=False):
        return self.dense(x) * 2 if training else self.dense(x)


class AddsLoss(OneDense):
    def call(self, x):
        self.add_loss(ops.mean(x))
        return self.dense(x)


class Untracked(OneDense):
    def call(self, x):
        return HIDDEN[0](self.dense(x))


class Fixed(keras.Model):
    def __init__(self, trainable=True):
        super().__init__(name="net")
        self.base = keras.Sequential([layers.Dense(4), layers.BatchNormalization()], name="base")
        self.base.trainable = trainable
        self.out = layers.Dense(2, name="out")

    def call(self, x):
        return self.out(self.base(x, training=False))


class NoSeed(OneDense):
    def __init__(self):
        super().__init__()

        class Noise(layers.Layer):
            def call(self, x):
                return x + keras.random.normal(ops.shape(x))

        self.noise = Noise(name="noise")

    def call(self, x):
        return self.noise(self.dense(x))


HIDDEN = [layers.Dense(4, name="hidden")]
UNTRUE = {
    OwnWeight: r"weights outside of the layers that it calls \(net/scale\).*add_weight",
    Branches: "as a boolean.*keras.ops.where",
    TensorFlows: "TensorFlow function.*keras.ops",
    Rows: "reshape with -1",
    OtherInTraining: "other things in training than at inference.*takes `training`",
    AddsLoss: "add_loss.*layer of its own",
    Untracked: "does not track the layers of net/hidden/kernel",
    Fixed: "'base' is called with training=False.*differ in training.*Freeze it",
    NoSeed: "SeedGenerator",
}


@pytest.mark.parametrize("build", UNTRUE, ids=lambda each: each.__name__)
def test_what_does_not_trace_truly_is_refused_with_what_was_seen_and_a_remedy(build):
    x = draw(3, 4)
    model = build()
    model(x)
    before = [np.array(each) for each in model.weights]
    with pytest.raises(SurgeryError, match=rf"'net'.*{build.__name__}.*{UNTRUE[build]}"):
        functional(model, x)
    for value, weight in zip(before, model.weights, strict=True):
        assert np.array_equal(value, weight)


def test_a_composite_layer_that_does_not_trace_stays_whole():
    class Own(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense = layers.Dense(4, name="dense")

        def call(self, x):
            return self.dense(x) if keras.config.backend() and x.shape[0] else self.dense(x) + 1

        def get_config(self):
            return super().get_config()

    class Regularized(Stage):
        pass

    class Reuses(layers.Layer):
        """Takes the weights of a layer that the model calls as well."""

        def __init__(self, other, **kwargs):
            super().__init__(**kwargs)
            self.other = other

        def call(self, x):
            return ops.matmul(x, self.other.kernel)

    inputs = keras.Input((9, 9, 4))
    x = Regularized(name="quiet", activity_regularizer="l2")(Stage(name="open")(inputs))
    x = Own(name="own")(layers.GlobalAveragePooling2D()(x))
    shared = layers.Dense(4, name="shared")
    x = Reuses(shared, name="reuses")(shared(x))
    found = trace(keras.Model(inputs, x))
    assert {each.name: each.reason for each in found.closed} == {
        "quiet": "it has an activity_regularizer of its own",
        "own": "the outputs of the traced graph differ at inference",
        "reuses": "it uses weights outside of the layers that it calls (shared/kernel)",
    }
    assert ("open", "Stage") in found.opened


def test_a_frozen_part_may_be_called_at_inference_and_that_is_said():
    model = Fixed(trainable=False)
    model(draw(3, 4))
    with pytest.warns(Notice, match="'base' is called with training=False.*keep its layers frozen"):
        functional(model)


def test_parameters_that_nothing_depends_on_are_left_out_and_counted():
    class Spare(MLP):
        def __init__(self):
            super().__init__()
            self.spare = layers.Dense(3, name="spare")
            self.spare.build((None, 5))

    model = Spare()
    model(draw(3, 4))
    assert trace(model).notes == (
        "18 parameters that the outputs do not depend on are left out: spare/kernel, spare/bias.",
    )


def test_own_ways_to_train_are_named_as_lost():
    class Trains(MLP):
        def train_step(self, data):
            return super().train_step(data)

    model = Trains()
    model(draw(3, 4))
    assert trace(model).notes == (
        "the own train_step of Trains is not part of the functional model, which trains by "
        "Keras's.",
    )


def test_an_example_stands_for_data():
    with pytest.raises(SurgeryError, match=r"input shapes are not known.*Call it on data"):
        functional(MLP())
    assert functional(MLP(), draw(3, 4)).input_shape == (None, 4)


def test_nothing_is_left_in_keras():
    call = keras.Layer.__call__
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        functional(MLP(), draw(3, 4))
    assert keras.Layer.__call__ is call
