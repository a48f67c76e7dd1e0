"""Certificates: what is measured, what is put back, and how it reads."""

import json

import keras
import numpy as np
import pytest
from keras import layers, ops

from ablate.errors import AblateError, DataError, SurgeryError
from ablate.surgery import Certificate, Difference, Drift, LayerDifference, certify, insert
from ablate.surgery.certify import Comparison


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def network(name="net"):
    inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    x = layers.Flatten()(x)
    x = layers.Dense(8, activation="relu", name="fc")(x)
    return keras.Model(inputs, layers.Dense(5, name="logits")(x), name=name)


def test_a_calibrated_insertion_is_certified_identical():
    model, x = network(), draw(20, 6, 6, 3)
    new = insert(model, "BatchNormalization", at="before_activation", calibrate=x)
    found = certify(model, new, x, batch_size=8, images="seeded random values")
    same = Difference(True, 0.0, 0.0, 1.0)
    assert found.paths == {"eager": same, "graph": same}
    assert found.identical and found.max_abs_diff == 0 and found.top1_agreement == 1
    assert found.per_layer == (
        LayerDifference("conv_bn", "conv", True, 0.0, 0.0, 1.0),
        LayerDifference("fc_bn", "fc", True, 0.0, 0.0, 1.0),
    )
    assert (found.rows, found.batch_size, found.dtype) == (20, 8, "float32")
    assert found.training_drift.batch_size == 8 and found.training_drift.layers == 2
    assert found.training_drift.max_rel_diff > 1e-3
    assert found.verdict.endswith("identical")


def test_the_drift_vanishes_when_the_batch_is_the_calibration_set():
    model, x = network(), draw(40, 6, 6, 3)
    new = insert(model, "BatchNormalization", at="before_activation", calibrate=x)
    assert certify(model, new, x, batch_size=40).training_drift.max_rel_diff <= 1e-5


def test_differences_are_measured_and_located():
    model, x = network(), draw(20, 6, 6, 3)
    new = insert(model, "BatchNormalization", at="before_activation", calibrate=x)
    beta = new.get_layer("fc_bn").beta
    beta.assign(beta + 0.5)
    found = certify(model, new, x)
    expected = np.abs(ops.convert_to_numpy(new(x)) - ops.convert_to_numpy(model(x))).max()
    assert not found.identical
    assert found.paths["eager"].max_abs_diff == pytest.approx(expected, rel=1e-6)
    assert found.max_rel_diff == pytest.approx(expected / np.abs(model(x)).max(), rel=1e-4)
    agreed = np.mean(np.argmax(new(x), -1) == np.argmax(model(x), -1))
    assert found.top1_agreement == pytest.approx(agreed)
    conv, fc = found.per_layer
    assert conv.identical and not fc.identical
    assert fc.max_abs_diff == pytest.approx(0.5, rel=1e-5)


def stochastic():
    """A model with all that moves: random states, moving averages, a frozen part."""
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(5),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.Dense(4, trainable=False),
            layers.BatchNormalization(trainable=False),
            layers.Dense(3),
        ]
    )


def test_every_variable_is_put_back():
    model, other, x = stochastic(), stochastic(), draw(10, 6)
    before = [ops.convert_to_numpy(v) for each in (model, other) for v in each.variables]
    found = certify(model, other, x, batch_size=4)
    after = [ops.convert_to_numpy(v) for each in (model, other) for v in each.variables]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert found.training_drift.layers == 1  # the frozen one keeps its statistics
    assert found.training_drift.max_abs_diff > 0
    assert model.layers[0].output.shape == (None, 5)  # raises if it had been called again


def test_losses_that_layers_hold_are_left_as_they_are():
    inputs = keras.Input((6,))
    hidden = layers.Dense(4, activation="relu", activity_regularizer="l2", name="fc")(inputs)
    model, x = keras.Model(inputs, layers.Dense(2, name="out")(hidden)), draw(5, 6)
    model(x)
    before = [float(each) for each in model.losses]
    new = insert(model, "BatchNormalization", at="before_activation", calibrate=x)
    certify(model, new, x)
    assert [float(each) for each in model.losses] == before
    assert all(float(each) >= 0 for each in new.losses)  # a symbol of a graph is no number


def test_a_drift_is_that_of_whole_batches():
    """A last batch of one row has no variance at all; it would be the whole drift."""
    model, x = stochastic(), draw(9, 6)
    x[8] = 1e6
    assert certify(model, model, x, batch_size=4).training_drift == (
        certify(model, model, x[:8], batch_size=4).training_drift
    )
    assert certify(model, model, x[:3], batch_size=4).training_drift.batch_size == 3


def test_models_without_normalization_have_no_drift():
    model = network()
    found = certify(model, model, draw(4, 6, 6, 3))
    assert found.identical and found.training_drift is None and found.per_layer == ()


def test_several_inputs_outputs_and_shapes():
    a, b = keras.Input((4,), name="a"), keras.Input((5, 4), name="b")
    dense = layers.Dense(3)
    model = keras.Model({"a": a, "b": b}, {"u": dense(a), "v": dense(b)})
    x = {"a": draw(7, 4), "b": draw(7, 5, 4)}
    assert certify(model, model, x, batch_size=3).top1_agreement == 1


def test_a_subclassed_model_can_be_the_first():
    inner = network()

    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__(name="subclassed")
            self.inner = inner

        def call(self, inputs, training=None):
            return self.inner(inputs, training=training)

    assert certify(Subclassed(), inner, draw(4, 6, 6, 3)).identical
    assert certify(inner, Subclassed(), draw(4, 6, 6, 3)).identical


def test_xla_is_a_path_of_its_own():
    model = network()
    found = certify(model, model, draw(4, 6, 6, 3), paths=["xla"])
    assert list(found.paths) == ["xla"] and found.identical


def test_what_cannot_be_compared_is_said():
    model, x = network(), draw(4, 6, 6, 3)
    other = keras.Model(model.inputs, model.get_layer("fc").output)
    with pytest.raises(SurgeryError, match=r"\[\(4, 5\)\] and \[\(4, 8\)\]"):
        certify(model, other, x)
    with pytest.raises(SurgeryError, match=r"Received: 'eagre'\. Did you mean 'eager'\?"):
        certify(model, model, x, paths=["eagre"])
    with pytest.raises(SurgeryError, match="at least one"):
        certify(model, model, x, paths=[])
    with pytest.raises(DataError, match="at least one row"):
        certify(model, model, x[:0])


def test_a_comparison_treats_what_is_not_finite_as_equal_only_where_it_is():
    gap = Comparison()
    gap.add([np.array([[1.0, np.nan, np.inf]])], [np.array([[1.0, np.nan, np.inf]])])
    assert gap.difference() == Difference(True, 0.0, 0.0, 1.0, 0)
    gap.add([np.array([[1.0, 2.0, 3.0]])], [np.array([[1.0, np.nan, 3.0]])])
    assert gap.difference().non_finite == 1 and not gap.difference().identical
    assert gap.difference().max_abs_diff == np.inf


CERTIFICATE = Certificate(
    first="a[1]",
    second="b",
    rows=12,
    batch_size=4,
    dtype="float32",
    paths={
        "eager": Difference(True, 0.0, 0.0, 1.0),
        "graph": Difference(False, 0.5, 1e-7, 0.99999),
    },
    per_layer=tuple(
        LayerDifference(f"fc{i}_bn", f"fc{i}", i != 3, 0.25 * (i == 3), 0.125 * (i == 3), 1.0)
        for i in range(25)
    ),
    training_drift=Drift(4, 25, 0.25, 0.5, 0.75),
    images="images.npz",
    backend="tensorflow",
)


def test_json_round_trip():
    assert Certificate.from_json(CERTIFICATE.to_json()) == CERTIFICATE
    assert json.loads(CERTIFICATE.to_json())["identical"] is False
    broken = Certificate("a", "b", 1, 1, "float32", {"eager": Difference(False, np.inf, np.inf)})
    assert json.loads(broken.to_json())["paths"]["eager"]["max_abs_diff"] is None
    assert Certificate.from_json(broken.to_json()) == broken
    for text in ("{}", "[]", "no"):
        with pytest.raises(AblateError, match="expected a document as"):
            Certificate.from_json(text)


def test_it_prints_itself():
    text = str(CERTIFICATE)
    assert "a[1]" in text and "images.npz" in text
    assert "fc3_bn" in text and "fc4_bn" not in text
    assert "24 of 25 inserted layers return their input unchanged." in text
    assert "99.99 %" in text  # rounding up would claim that all agree
    assert "training drift, batches of 4" in text
    assert "<pre" in CERTIFICATE._repr_html_()
