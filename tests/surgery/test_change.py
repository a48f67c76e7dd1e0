"""`change` and `replace`: exact where they can be, measured where not, and undone by `remove`."""

import json

import keras
import numpy as np
import pytest
from keras import layers

from ablate.errors import SurgeryError
from ablate.study.schema.placement import Change, Replacement
from ablate.surgery import certify, change, changed, insert, inserted, remove, replace
from ablate.surgery.exchange import plan_changes, plan_replacements
from tests.surgery.cases import draw, randomized

X = draw(16, 8, 8, 3)


@pytest.fixture(scope="module")
def cnn():
    inputs = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(8, 3, use_bias=False, name="conv1")(inputs)
    x = layers.BatchNormalization(name="bn1")(x)
    x = layers.ReLU(name="relu1")(x)
    x = layers.Dropout(0.5, name="drop1")(x)
    x = layers.Conv2D(6, 3, activation="relu", name="conv2")(x)
    x = layers.BatchNormalization(name="bn2")(x)
    x = layers.Dropout(0.4, name="drop2")(layers.GlobalMaxPooling2D(name="pool")(x))
    outputs = layers.Dense(3, name="logits")(x)
    return randomized(keras.Model(inputs, outputs, name="cnn"))


@pytest.fixture(scope="module")
def recurrent():
    inputs = keras.Input((5, 3), name="steps")
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True), name="both")(inputs)
    x = layers.RNN([layers.GRUCell(4), layers.GRUCell(3)], return_sequences=True, name="cells")(x)
    x = layers.TimeDistributed(layers.Dropout(0.5), name="each")(x)
    outputs = layers.GRU(2, dropout=0.1, name="gru")(x)
    return randomized(keras.Model(inputs, outputs, name="recurrent"))


def state(model):
    values = [keras.ops.convert_to_numpy(each) for each in model.variables]
    flags = [layer.trainable for layer in model.layers]
    return model.get_config(), flags, values


def assert_same(one, other):
    assert one[:2] == other[:2]
    assert all(np.array_equal(a, b) for a, b in zip(one[2], other[2], strict=True))


#: What leaves the function at inference as it is, to the last bit.
EXACT = {
    "rate": lambda m: change(m, "Dropout", rate=0.1),
    "rate of none": lambda m: change(m, "Dropout", rate=0.0),
    "momentum": lambda m: change(m, "norm", momentum=0.5),
    "regularizer": lambda m: change(m, "conv", kernel_regularizer="l2"),
    "renorm": lambda m: change(m, "norm", renorm=True, renorm_clipping={"rmax": 3.0}),
    "frozen": lambda m: change(m, "all", trainable=False),
    "parameters": lambda m: change(m, "norm", trainable="parameters"),
    "statistics": lambda m: change(m, "norm", trainable="statistics"),
    "ghost": lambda m: replace(m, "norm", "GhostBatchNormalization", parts=4),
    "spatial": lambda m: replace(m, "drop1", "SpatialDropout2D"),
    "gaussian": lambda m: replace(m, "Dropout", layers.GaussianDropout, rate=0.2),
}

#: What leaves it within 1e-5 of the largest output.
CLOSE = {
    "smaller epsilon": lambda m: change(m, "norm", epsilon=1e-5),
    "larger epsilon": lambda m: change(m, "norm", epsilon=0.9),
    "affine": lambda m: replace(m, "norm", "FrozenAffine"),
}

#: What moves it.
MOVES = {
    "groups": lambda m: replace(m, "norm", "GroupNormalization", groups=2),
    "groups, calibrated": lambda m: replace(m, "norm", "GroupNormalization", groups=2, calibrate=X),
    "layer": lambda m: replace(m, "norm", "LayerNormalization"),
    "rms": lambda m: replace(m, "norm", "RMSNormalization"),
    "activation": lambda m: change(m, "conv2", activation="tanh"),
    "no bias": lambda m: change(m, "conv2", use_bias=False),
    "no gamma": lambda m: change(m, "norm", scale=False),
    "several": lambda m: change(
        replace(m, "bn1", "LayerNormalization"), ["bn1", "bn2"], epsilon=0.1, trainable=False
    ),
}


@pytest.mark.parametrize("edit", EXACT.values(), ids=EXACT)
def test_the_function_stays_to_the_last_bit(cnn, edit):
    before = state(cnn)
    new = edit(cnn)
    certificate = certify(cnn, new, X)
    assert certificate.identical, certificate.verdict
    assert [layer.name for layer in new.layers] == [layer.name for layer in cnn.layers]
    assert_same(state(remove(new)), before)
    assert_same(state(cnn), before)


@pytest.mark.parametrize("edit", CLOSE.values(), ids=CLOSE)
def test_the_function_stays_within_rounding(cnn, edit):
    new = edit(cnn)
    assert certify(cnn, new, X).max_rel_diff <= 1e-5
    assert_same(state(remove(new)), state(cnn))


@pytest.mark.parametrize("edit", MOVES.values(), ids=MOVES)
def test_the_certificate_says_how_far_it_moved_and_remove_brings_it_back(cnn, edit):
    new = edit(cnn)
    assert certify(cnn, new, X).max_rel_diff > 1e-3
    back = remove(new)
    assert_same(state(back), state(cnn))
    assert changed(back) == ()


def test_what_is_recorded_survives_a_file(cnn, tmp_path):
    new = change(replace(cnn, "norm", "GroupNormalization", groups=2), "Dropout", rate=0.1)
    new.save(tmp_path / "new.keras")
    loaded = keras.models.load_model(tmp_path / "new.keras")
    assert changed(loaded) == changed(new)
    assert [each.path for each in changed(loaded)] == ["bn1", "bn2", "drop1", "drop2"]
    back = remove(loaded)
    assert [keras.ops.convert_to_numpy(w).tolist() for w in back.weights] == [
        keras.ops.convert_to_numpy(w).tolist() for w in cnn.weights
    ]
    assert json.loads(back.to_json())["config"] == json.loads(cnn.to_json())["config"]


def test_operations_are_undone_from_the_latest(cnn):
    new = change(cnn, "conv2", activation="tanh")
    new = insert(new, "BatchNormalization", at="before_activation", where="conv2")
    new = change(new, "conv2_activation", activation="elu")
    new = change(new, "conv2_bn", momentum=0.1)
    new = insert(new, "Dropout", rate=0.5, at="after", where="conv2_activation")
    new = change(new, "Dropout", rate=0.25)
    assert [each.name for each in inserted(new)] == [
        "conv2_activation",
        "conv2_bn",
        "conv2_activation_dropout",
    ]
    assert_same(state(remove(new)), state(cnn))
    kept = remove(new, except_=["drop1", "conv2"])
    assert kept.get_layer("drop1").rate == 0.25
    assert kept.get_layer("drop2").rate == 0.4
    assert kept.get_layer("conv2").activation.__name__ == "tanh"


def test_a_layer_that_was_folded_or_removed_takes_its_record_along(cnn):
    new = remove(change(cnn, "Dropout", rate=0.1), "drop1")
    assert [each.path for each in changed(new)] == ["drop2"]


def test_what_was_learned_since_stays_where_there_is_a_place_for_it(cnn):
    new = replace(change(cnn, "bn1", epsilon=0.1), "bn2", "GroupNormalization", groups=2)
    for name in ("bn1", "bn2"):
        new.get_layer(name).gamma.assign(new.get_layer(name).gamma + 1)
    new.get_layer("bn1").moving_variance.assign(new.get_layer("bn1").moving_variance + 1)
    back = remove(new)
    for name in ("bn1", "bn2"):
        ours, theirs = (np.asarray(m.get_layer(name).gamma) for m in (cnn, back))
        np.testing.assert_allclose(theirs, ours + 1, rtol=1e-5)
    ours, theirs = (np.asarray(m.get_layer("bn1").moving_variance) for m in (cnn, back))
    np.testing.assert_allclose(theirs, ours + 1, rtol=1e-5)


def test_recurrent_layers_wrapped_or_made_of_cells_take_a_dropout(recurrent):
    new = change(recurrent, "recurrent", dropout=0.2, recurrent_dropout=0.3)
    both = new.get_layer("both")
    cells = new.get_layer("cells").cell.cells
    found = [both.forward_layer, both.backward_layer, *cells, new.get_layer("gru")]
    assert [(each.dropout, each.recurrent_dropout) for each in found] == [(0.2, 0.3)] * 5
    x = draw(4, 5, 3)
    # Keras computes steps with masks otherwise than without: the last bits may move.
    assert certify(recurrent, new, x).max_rel_diff <= 1e-6
    assert_same(state(remove(new)), state(recurrent))
    assert change(recurrent, "each", rate=0.1).get_layer("each").layer.rate == 0.1


def test_a_changed_model_is_compiled_and_trains_as_asked(cnn):
    cnn = change(cnn, "Dropout", rate=0.0)
    cnn.compile("sgd", "mse")
    only = change(cnn, ["all", "logits"], "norm", trainable=False)
    parameters = change(only, "norm", trainable="parameters")
    statistics = change(only, "norm", trainable="statistics")
    for new, moves in ((parameters, {"gamma", "beta"}), (statistics, {"moving_"})):
        before = {weight.path: np.array(weight) for weight in new.weights}
        new.train_on_batch(X, np.zeros((16, 3)))
        moved = {w.path for w in new.weights if not np.array_equal(before[w.path], w)}
        wanted = {path for path in before if "bn" in path and any(m in path for m in moves)}
        assert moved == wanted
    assert not statistics.trainable_variables
    assert len(statistics.get_layer("bn1").weights) == 4


def test_moments_downstream_stay_layer_by_layer(cnn):
    new = replace(cnn, "norm", "GroupNormalization", groups=2, calibrate=X)
    for name in ("bn1", "bn2"):
        ours, theirs = (
            keras.Model(m.input, m.get_layer(name).output).predict(X, verbose=0) for m in (cnn, new)
        )
        for moment in (np.mean, np.std):
            a, b = (moment(each, axis=(0, 1, 2)) for each in (ours, theirs))
            np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-4)
    assert np.array_equal(np.sign(new.get_layer("bn1").gamma), np.sign(cnn.get_layer("bn1").gamma))
    copied = replace(cnn, "norm", "GroupNormalization", groups=2)
    assert np.array_equal(copied.get_layer("bn1").gamma, cnn.get_layer("bn1").gamma)


def test_arguments_that_are_not_given_are_the_old_layers(cnn):
    new = replace(change(cnn, "bn1", epsilon=0.25), "bn1", "LayerNormalization")
    assert new.get_layer("bn1").epsilon == 0.25
    assert replace(cnn, "drop1", "SpatialDropout2D").get_layer("drop1").rate == 0.5


def test_what_cannot_be_done_is_said_and_skipped_where_a_pattern_matched(cnn):
    decisions = plan_replacements(
        cnn, [Replacement(where="norm", layer="GroupNormalization", groups=4)]
    )
    assert [each.skipped is None for each in decisions] == [True, False]
    assert "number of channels" in decisions[1].skipped
    decisions = plan_changes(cnn, [Change(where="all", rate=0.1)])
    assert {each.host for each in decisions if not each.skipped} == {"drop1", "drop2"}


REFUSED = {
    "takes no 'rte' (did you mean 'rate'?)": lambda m: change(m, "drop1", rte=0.1),
    "at least 0 and below 1": lambda m: change(m, "drop1", rate=1.5),
    "its kernel would change": lambda m: change(m, "conv2", groups=2),
    "would change from": lambda m: change(m, "conv1", filters=4),
    "learns its statistics alone": lambda m: change(m, "drop1", trainable="statistics"),
    "matches no layer": lambda m: change(m, "LSTM", dropout=0.1),
    "nothing to change": lambda m: change(m, "Dropout"),
    "both set rate of 'drop1'": lambda m: change(
        m, [Change(where="Dropout", rate=0.1), Change(where="drop1", rate=0.2)]
    ),
    "both set the layer of 'drop1'": lambda m: replace(
        m,
        [
            Replacement(where="Dropout", layer="GaussianDropout"),
            Replacement(where="drop1", layer="AlphaDropout"),
        ],
    ),
    "it is an input": lambda m: replace(m, "image", "Dropout", rate=0.1),
    "expected the name of a Keras layer": lambda m: replace(m, "norm", "GroupNorm"),
    "no replacement asks for it": lambda m: replace(
        m, Replacement(where="norm", layer="LayerNormalization"), calibrate=X
    ),
    "there are no images": lambda m: replace(
        m, Replacement(where="norm", layer="LayerNormalization", calibrate=True)
    ),
    "chooses gamma and beta": lambda m: replace(m, "norm", "FrozenAffine", calibrate=X),
    "expected true, false or one of": lambda m: change(m, "norm", trainable="gamma"),
    "'replace'": lambda m: change(m, "Dropout", layer="GaussianDropout"),
}


@pytest.mark.parametrize("words", REFUSED)
def test_mistakes_are_refused(cnn, words):
    with pytest.raises(SurgeryError) as refusal:
        REFUSED[words](cnn)
    assert words in str(refusal.value)


def test_a_host_whose_activation_was_split_off_names_where_it_is(cnn):
    new = insert(cnn, "BatchNormalization", at="before_activation", where="conv2")
    with pytest.raises(SurgeryError, match="change 'conv2_activation' instead"):
        change(new, "conv2", activation="tanh")


def test_a_training_that_was_built_in_stays():
    inputs = keras.Input((4,))
    outputs = layers.Dense(2)(layers.Dropout(0.5, name="drop")(inputs, training=True))
    model = randomized(keras.Model(inputs, outputs))
    new = replace(model, "drop", "GaussianDropout", rate=0.5)
    x = draw(6, 4)
    assert not np.array_equal(new(x), new(x))
