"""Folding: what merges, what goes, what stays and why."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from ablate.surgery import Folding, fold, fold_report, insert, inserted


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def randomized(model, seed=0):
    """Give every weight and statistic a value of its own."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        spread = 1.0 / np.sqrt(max(1, np.prod(variable.shape[:-1])))
        value = rng.normal(size=variable.shape)
        positive = "variance" in variable.path or "gamma" in variable.path
        variable.assign(np.abs(value) + 0.5 if positive else value * spread)
    return model


def sequential(shape, *stack):
    return randomized(keras.Sequential([keras.Input(shape), *stack]))


def bn(name="bn", **kwargs):
    return layers.BatchNormalization(name=name, **kwargs)


def assert_same_function(folded, model, x):
    ours, theirs = folded(x), model(x)
    for a, b in zip(keras.tree.flatten(ours), keras.tree.flatten(theirs), strict=True):
        a, b = ops.convert_to_numpy(a), ops.convert_to_numpy(b)
        assert np.abs(a - b).max() <= 1e-5 * np.abs(b).max()


IMAGE = (7, 7, 4)
HOSTS = [
    (layers.Dense(6, name="host"), (5,)),
    (layers.Dense(6, name="host", use_bias=False), (3, 5)),
    (layers.Conv1D(6, 3, name="host", padding="causal"), (8, 4)),
    (layers.Conv2D(6, 3, name="host", groups=2, use_bias=False), IMAGE),
    (layers.Conv2D(6, 3, name="host", dilation_rate=2, padding="same"), IMAGE),
    (layers.Conv3D(3, 2, name="host"), (4, 4, 4, 2)),
    (layers.Conv1DTranspose(3, 3, strides=2, name="host"), (5, 4)),
    (layers.Conv2DTranspose(3, 3, strides=2, name="host", use_bias=False), IMAGE),
    (layers.Conv3DTranspose(3, 2, name="host"), (3, 3, 3, 2)),
    (layers.DepthwiseConv1D(3, depth_multiplier=2, name="host"), (8, 4)),
    (layers.DepthwiseConv2D(3, depth_multiplier=2, name="host", use_bias=False), IMAGE),
    (layers.SeparableConv1D(5, 3, name="host"), (8, 4)),
    (layers.SeparableConv2D(5, 3, depth_multiplier=2, name="host", use_bias=False), IMAGE),
    (layers.EinsumDense("abc,cd->abd", (3, 5), name="host"), (3, 4)),
]


@pytest.mark.parametrize(("host", "shape"), HOSTS, ids=lambda value: type(value).__name__)
def test_a_normalization_merges_into_the_layer_before_it(host, shape):
    host = type(host).from_config(host.get_config())
    model = sequential(shape, host, bn(), layers.ReLU(), layers.Flatten(), layers.Dense(2))
    told = []
    folded = fold(model, report=told)
    assert told == [Folding("bn", "merged", into="host")]
    assert [layer.name for layer in folded.layers] == [
        layer.name for layer in model.layers if layer.name != "bn"
    ]
    assert_same_function(folded, model, draw(3, *shape))


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("center", [True, False])
def test_missing_gamma_and_beta(scale, center):
    model = sequential(
        IMAGE, layers.Conv2D(6, 3), bn(scale=scale, center=center, epsilon=0.1), layers.ReLU()
    )
    assert fold_report(model).summary == "1 merged"
    assert_same_function(fold(model), model, draw(3, *IMAGE))


@pytest.mark.parametrize(
    ("host", "action"),
    [
        (layers.Conv2D(6, 3, name="host"), "merged"),
        (layers.Conv2D(6, 1, padding="same", strides=2, name="host", use_bias=False), "merged"),
        (layers.Conv2D(6, 3, padding="same", name="host"), "kept"),
        (layers.DepthwiseConv2D(3, name="host"), "merged"),
        (layers.SeparableConv2D(5, 3, name="host"), "merged"),
        (layers.Conv2DTranspose(5, 3, name="host"), "kept"),
        (layers.Dense(5, name="host", activation="relu"), "merged"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_normalization_merges_into_the_layer_after_it_where_nothing_is_padded(host, action):
    host = type(host).from_config(host.get_config())
    model = sequential(IMAGE, layers.ReLU(), bn(), host, layers.Flatten(), layers.Dense(2))
    told = []
    folded = fold(model, report=told)
    assert [each.action for each in told] == [action]
    assert_same_function(folded, model, draw(3, *IMAGE))


def test_several_normalizations_in_a_row_all_merge():
    stack = [layers.Dense(4, name="a"), bn("b1"), bn("b2"), bn("b3"), layers.Dense(2, name="c")]
    model = sequential((5,), *stack)
    told = []
    folded = fold(model, report=told)
    assert sorted(each.layer for each in told if each.action == "merged") == ["b1", "b2", "b3"]
    assert len(told) == 3
    assert_same_function(folded, model, draw(6, 5))


def test_dropout_between_lets_a_normalization_through():
    stack = [layers.Dense(4, name="a"), layers.Dropout(0.5, name="d"), bn(), layers.ReLU(name="r")]
    model = sequential((5,), *stack)
    folded = fold(model)
    assert [layer.name for layer in folded.layers] == ["a", "d", "r"]
    assert_same_function(folded, model, draw(6, 5))


def conv(name="host", **kwargs):
    return layers.Conv2D(4, 3, padding="same", name=name, **kwargs)


def twice(layer, x):
    return layer(layer(x))


def skipping(x):
    x = conv()(x)
    return layers.Add()([layers.ReLU()(bn()(x)), x])


def sharing(x):
    norm = bn()
    return layers.Add()([norm(conv()(x)), norm(x)])


def added(x):
    return layers.Add(name="add")([conv("c1")(x), conv("c2")(x)])


KEPT = {
    "skip": (skipping, "before it, 'host' feeds 2 layers"),
    "activated": (lambda x: bn()(conv(activation="relu")(x)), "'host' applies its activation"),
    "shared host": (lambda x: bn()(twice(conv(), x)), "'host' is shared: called 2 times"),
    "shared norm": (sharing, "it is shared: called 2 times"),
    "post-add": (lambda x: bn()(added(x)), "'add' (Add) is not a convolution or dense layer"),
    "constraint": (
        lambda x: bn()(conv(kernel_constraint="max_norm")(x)),
        "'host' has a kernel constraint",
    ),
    "axis": (lambda x: bn(axis=1)(conv()(x)), "'host' has its channels on another axis than the 1"),
    "input": (lambda x: bn()(x), "before it, the input of 'model'"),
    "operation": (lambda x: bn()(keras.ops.sin(x)), "is an operation without weights"),
}


@pytest.mark.parametrize(("build", "reason"), KEPT.values(), ids=KEPT)
def test_what_stays_is_told_with_the_reason(build, reason):
    inputs = keras.Input(IMAGE)
    model = randomized(keras.Model(inputs, layers.ReLU()(build(inputs)), name="model"))
    (told,) = fold_report(model).foldings
    assert told.action == "kept"
    assert reason in told.reason
    assert_same_function(fold(model), model, draw(3, *IMAGE))


def test_an_output_that_is_also_used_stays():
    inputs = keras.Input((5,))
    x = layers.Dense(4, name="host")(inputs)
    model = randomized(keras.Model(inputs, [x, layers.ReLU()(bn()(x))], name="model"))
    (told,) = fold_report(model).foldings
    assert "'host' is an output of 'model'" in told.reason


def test_a_normalization_that_is_the_output_merges():
    model = sequential((5,), layers.Dense(4, name="host"), bn())
    assert_same_function(fold(model), model, draw(6, 5))
    assert [layer.name for layer in fold(model).layers] == ["host"]


class Shifted(layers.BatchNormalization):
    """A normalization of one's own."""

    def call(self, inputs, training=None, mask=None):
        return super().call(inputs, training=training, mask=mask) + 1


def test_a_subclass_of_batch_normalization_stays():
    model = sequential((5,), layers.Dense(4), Shifted(name="mine"), layers.ReLU())
    (told,) = fold_report(model).foldings
    assert told.reason.startswith("it is a Shifted")


def test_nested_and_shared_models_fold_inside():
    inner = keras.Sequential(
        [keras.Input((6,)), layers.Dense(4, name="a"), bn("n"), layers.ReLU()], name="inner"
    )
    a, b = keras.Input((6,)), keras.Input((6,))
    joined = layers.Concatenate()([inner(a), inner(b)])
    model = randomized(keras.Model([a, b], bn("outer")(layers.Dense(3, name="d")(joined))))
    told = []
    folded = fold(model, report=told)
    assert told == [
        Folding("inner/n", "merged", into="inner/a"),
        Folding("outer", "merged", into="d"),
    ]
    assert_same_function(folded, model, [draw(4, 6), draw(4, 6, seed=1)])


def network():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(5, 3, use_bias=False, name="c1")(inputs)
    x = layers.ReLU()(layers.BatchNormalization(name="own")(x))
    x = layers.Conv2D(6, 3, activation="relu", name="c2")(x)
    x = layers.Dense(7, activation="tanh", name="fc")(layers.Flatten()(x))
    return randomized(keras.Model(inputs, layers.Dense(3, name="out")(x), name="net"))


def calibrated(model):
    return insert(
        model,
        "BatchNormalization",
        at="before_activation",
        where=["c2", "fc"],
        calibrate=draw(12, 8, 8, 3),
    )


def test_folding_an_untouched_insertion_gives_the_model_back(tmp_path):
    """With BN layers of its own only they are merged; saving and loading does not matter."""
    model = network()
    calibrated(model).save(tmp_path / "new.keras")
    new = keras.models.load_model(tmp_path / "new.keras")
    told = []
    folded = fold(new, report=told)
    assert {each.layer: each.action for each in told} == {
        "own": "merged",
        "c2_bn": "removed",
        "fc_bn": "removed",
    }
    plain = fold(model)
    assert folded.get_config() == plain.get_config()
    assert inserted(folded) == ()
    ours, theirs = folded.get_weights(), plain.get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_an_identity_between_does_not_turn_a_merge_around():
    """Its own normalization goes into the host before it, not into the next one, all the same."""
    stack = [layers.Dense(4, name="a"), bn("own"), layers.Dense(3, name="b"), layers.ReLU()]
    model = sequential((5,), *stack)
    x = draw(8, 5)
    new = insert(model, "BatchNormalization", at="after", where="a", calibrate=x)
    assert Folding("own", "merged", into="a") in fold_report(new).foldings
    assert fold(new).get_config() == fold(model).get_config()


def test_a_trained_insertion_merges_and_its_activation_is_fused_again():
    model = network()
    new = calibrated(model)
    for name in ("c2_bn", "fc_bn"):
        for variable in new.get_layer(name).weights:
            variable.assign(variable * 1.25 + 0.125)
    folded = fold(new)
    assert [layer.name for layer in folded.layers] == [
        layer.name for layer in model.layers if layer.name != "own"
    ]
    assert folded.get_layer("c2").activation is keras.activations.relu
    assert inserted(folded) == ()
    assert_same_function(folded, new, draw(5, 8, 8, 3))


def test_the_given_model_is_untouched_and_the_new_one_compiled_as_it_was():
    model = network()
    model.compile("sgd", loss="mse")
    before = [np.array(ops.convert_to_numpy(v)) for v in model.variables]
    folded = fold(model)
    assert folded.compiled and folded.loss == "mse"
    after = [ops.convert_to_numpy(v) for v in model.variables]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert [layer.name for layer in model.layers][2] == "own"


def test_frozen_hosts_and_dtype_policies_stay():
    model = sequential(
        (5,), layers.Dense(4, name="host", dtype="mixed_float16", trainable=False), bn(),
        layers.ReLU(),
    )  # fmt: skip
    host = fold(model).get_layer("host")
    assert not host.trainable and host.dtype_policy.name == "mixed_float16"


def test_a_model_without_normalization_is_copied():
    model = sequential((5,), layers.Dense(4, name="host"))
    told = []
    folded = fold(model, report=told)
    assert told == [] and folded is not model
    ours, theirs = (ops.convert_to_numpy(each(np.ones((1, 5)))) for each in (folded, model))
    assert np.array_equal(ours, theirs)
    assert str(fold_report(model)) == "there is no BatchNormalization to fold"


def test_the_report_reads():
    text = str(fold_report(network()))
    assert text == "own: merged into 'c1'\n1 merged"


def test_a_layer_between_two_normalizations_takes_in_both_one_after_the_other():
    model = sequential((5,), bn("first"), layers.Dense(4, name="host"), bn("last"), layers.ReLU())
    told = {each.layer: each for each in fold_report(model).foldings}
    assert told == {
        "first": Folding("first", "merged", into="host"),
        "last": Folding("last", "merged", into="host"),
    }
    assert_same_function(fold(model), model, draw(8, 5))


def test_a_renormalized_layer_merges_as_its_moving_statistics_say():
    model = sequential((5,), layers.Dense(4, name="host"), bn(renorm=True), layers.ReLU())
    assert fold_report(model).foldings == (Folding("bn", "merged", into="host"),)
    assert_same_function(fold(model), model, draw(8, 5))
