"""Each way of inference against NumPy, on a network small enough to do by hand."""

import keras
import numpy as np
import pytest
from keras import layers as L

from ablate.errors import StudyError
from ablate.probes import make
from ablate.probes.inference import BATCHES
from ablate.probes.predictions import reliability, scores

CLASSES = {"task": "classification", "classes": 3}
GAMMA, BETA = np.array([1.5, 0.5]), np.array([0.25, -0.5])
MEAN, VARIANCE = np.array([0.5, -1.0]), np.array([2.0, 0.5])
KERNEL = np.array([[1.0, -1.0, 0.5], [0.0, 2.0, -1.0]])


@pytest.fixture
def rows():
    draw = np.random.default_rng(3)
    return draw.normal(size=(21, 2)).astype("float32"), draw.integers(0, 3, 21)


@pytest.fixture
def model(chain):
    made = chain(
        (2,),
        L.BatchNormalization(name="bn", epsilon=0.01),
        L.Dropout(0.5, seed=1, name="drop"),
        L.Dense(3, "softmax", use_bias=False, name="out"),
    )
    made.get_layer("bn").set_weights([GAMMA, BETA, MEAN, VARIANCE])
    made.get_layer("out").set_weights([KERNEL])
    return made


def softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def normalized(x, mean, variance):
    return GAMMA * (x - mean) / np.sqrt(variance + 0.01) + BETA


def found_in(probe, part, way, score):
    return probe[f"scalar/{part}/{way}/{score}"].item()


def test_scores_by_hand():
    chances = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.5, 0.25, 0.25], [0.02, 0.02, 0.96]])
    truth = np.array([0, 2, 1, 2])
    found = scores(chances, truth)
    assert found["accuracy"] == 0.5
    assert found["nll"] == pytest.approx(-np.log([0.7, 0.3, 0.25, 0.96]).mean())
    brier = [0.14, 0.01 + 0.36 + 0.49, 0.25 + 0.5625 + 0.0625, 0.0004 * 2 + 0.0016]
    assert found["brier"] == pytest.approx(np.mean(brier))
    # Confidences .7, .6, .5 and .96 fall into four bins of a fifteenth: each row is its own bin.
    assert found["ece"] == pytest.approx(np.mean([0.3, 0.6, 0.5, 0.04]))
    counts, right, sure = reliability(chances, truth)
    assert np.flatnonzero(counts).tolist() == [7, 9, 10, 14]
    assert right.sum() == 2 and sure.sum() == pytest.approx(2.76)
    assert scores(np.array([[1.0, 0.0]]), np.array([1]))["nll"] == pytest.approx(-np.log(1e-7))
    assert all(np.isnan(list(scores(np.full((4, 3), np.nan), truth).values())))


def test_plain_and_precise_inference_and_batches_are_numpy_s(model, context, rows):
    x, y = rows
    probe = make("inference")
    probe.start(context(model, x, y, **CLASSES, batch_size=7))
    probe.measure(4)
    found = probe.finish()
    assert found["epochs"].tolist() == [4]
    sizes = [each for each in BATCHES if each <= 21]
    expected = ["inference", "mc_dropout", "precise_bn", *(f"batch_{each}" for each in sizes)]
    assert found["ways"].tolist() == expected and found["parts"].tolist() == ["validation"]

    def check(way, chances):
        for score, value in scores(chances, y).items():
            assert found_in(found, "validation", way, score) == pytest.approx(value, rel=2e-5), way

    check("inference", softmax(normalized(x, MEAN, VARIANCE) @ KERNEL))
    # All 21 rows in three batches of 7: the moments of the input are those of all rows.
    check("precise_bn", softmax(normalized(x, x.mean(0), x.var(0)) @ KERNEL))
    change = found_in(found, "validation", "precise_bn", "nll_change")
    assert change == found_in(found, "validation", "precise_bn", "nll") - found_in(
        found, "validation", "inference", "nll"
    )
    check("batch_1", np.tile(softmax(BETA @ KERNEL), (21, 1)))
    order = np.random.default_rng(21).permutation(21)
    for size in (2, 8, 16):
        predicted = np.full((21, 3), np.nan)
        for start in range(0, 21, size):
            at = order[np.arange(start, start + size) % 21]
            chances = softmax(normalized(x[at], x[at].mean(0), x[at].var(0)) @ KERNEL)
            predicted[at[: 21 - start]] = chances[: 21 - start]
        check(f"batch_{size}", predicted)


def test_monte_carlo_averages_probabilities_of_thinned_networks(model, context, rows):
    x, y = rows
    probe = make("inference", samples=3)
    model.get_layer("drop").seed_generator.state.assign([5, 6])
    probe.start(context(model, x, y, **CLASSES))
    probe.measure(0)
    found = probe.finish()
    model.get_layer("drop").seed_generator.state.assign([5, 6])
    z = normalized(x, MEAN, VARIANCE).astype("float32")
    drawn = [np.asarray(model.get_layer("drop")(z, training=True)) for _ in range(3)]
    assert np.unique(np.round(np.array(drawn) / z, 3)).tolist() == [0, 2]
    expected = scores(np.mean([softmax(each @ KERNEL) for each in drawn], axis=0), y)
    for score, value in expected.items():
        assert found_in(found, "validation", "mc_dropout", score) == pytest.approx(value, rel=2e-5)


def test_a_convolution_s_statistics_are_over_places_too(chain, context, rng):
    model = chain(
        (4, 4, 1),
        L.Conv2D(2, 3, name="conv"),
        L.BatchNormalization(epsilon=0.01, name="bn"),
        L.Flatten(),
        L.Dense(2, "softmax", name="out"),
    )
    x, y = rng.normal(size=(8, 4, 4, 1)).astype("float32"), np.arange(8) % 2
    probe = make("inference")
    probe.start(context(model, x, y, task="classification", classes=2))
    probe.measure(1)
    found = probe.finish()
    z = np.asarray(model.get_layer("conv")(x))
    z = (z - z.mean((0, 1, 2))) / np.sqrt(z.var((0, 1, 2)) + 0.01)
    chances = np.asarray(model.get_layer("out")(z.reshape(8, -1)))
    expected = scores(chances, y)["nll"]
    assert found_in(found, "validation", "batch_8", "nll") == pytest.approx(expected, rel=1e-5)
    assert "mc_dropout" not in found["ways"]


def test_a_model_is_left_as_it_was_and_a_restored_probe_knows_its_epoch(model, context, rows):
    x, y = rows
    probe, again = make("inference"), make("inference")
    for each in (probe, again):
        each.start(context(model, x, y, **CLASSES))
    probe.measure(2)
    again.restore(probe.state())
    before = model.get_layer("bn").get_weights()
    assert again.finish()["epochs"].tolist() == [2]
    for left, right in zip(before, model.get_layer("bn").get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def test_a_network_that_has_diverged_has_no_scores(model, context, rows):
    x, y = rows
    model.get_layer("bn").set_weights([GAMMA * np.nan, BETA, MEAN, VARIANCE])
    probe = make("inference", samples=1)
    probe.start(context(model, x, y, **CLASSES))
    probe.measure(0)
    found = probe.finish()
    values = [each.item() for key, each in found.items() if key.startswith("scalar/")]
    assert len(values) == 8 * len(found["ways"]) - 4 and np.isnan(values).all()


@pytest.mark.parametrize(
    ("y", "task"),
    [(np.zeros((21, 1)), "regression"), (np.ones((21, 3)), "classification")],
    ids=["numbers", "several classes a row"],
)
def test_what_it_cannot_score_is_refused(model, context, rows, y, task):
    with pytest.raises(StudyError, match="'inference'"):
        make("inference").start(context(model, rows[0], y, task=task, classes=3))


def test_two_classes_of_one_sigmoid(chain, context, rng):
    model = chain((2,), L.Dense(1, "sigmoid", use_bias=False, name="out"))
    x, y = rng.normal(size=(9, 2)).astype("float32"), np.arange(9) % 2
    probe = make("inference")
    model.compile(keras.optimizers.SGD(0.1), "binary_crossentropy")
    probe.start(context(model, x, y, task="classification", classes=2))
    probe.measure(0)
    p = 1 / (1 + np.exp(-x @ np.asarray(model.get_layer("out").kernel)))[:, 0]
    expected = -np.log(np.where(y, p, 1 - p)).mean()
    assert found_in(probe.finish(), "validation", "inference", "nll") == pytest.approx(
        expected, rel=1e-5
    )
