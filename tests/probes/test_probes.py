"""What holds of every probe: its arguments, its keys, and that it only looks."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops

from ablate.probes import make
from ablate.study.calls import find
from ablate.study.schema.probes import PROBES, declared


@pytest.fixture(scope="module")
def network():
    """A convolutional classifier with everything that a probe may move."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            L.Conv2D(3, 3, name="conv"),
            L.BatchNormalization(name="bn"),
            L.ReLU(name="relu"),
            L.Flatten(name="flat"),
            L.Dropout(0.5, seed=7, name="dropout"),
            L.Dense(4, "sigmoid", name="dense"),
            L.BatchNormalization(name="bn2"),
            L.Dense(3, "softmax", name="out"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    x = np.random.default_rng(0).normal(size=(8, 6, 6, 1)).astype("float32")
    return model, x, np.arange(8) % 3


@pytest.mark.parametrize("name", list(PROBES))
def test_what_measures_takes_the_arguments_that_are_declared(name):
    probe = declared(name)
    measurement = find(probe.measurement, "probes")
    assert [each.name for each in dataclasses.fields(measurement)] == list(
        probe.arguments.model_fields
    )
    made = make(name)
    assert dataclasses.asdict(made) == probe.arguments().model_dump()


@pytest.mark.parametrize("name", [each for each in PROBES if each != "fitted_curve"])
def test_a_probe_leaves_everything_but_what_it_says_as_it_was(name, network, context):
    model, x, y = network
    given = context(model, x, y, task="classification", classes=3)
    probe = make(name)
    probe.start(given)
    before = [
        np.array(ops.convert_to_numpy(v)) for v in [*model.variables, *model.optimizer.variables]
    ]
    first = probe.measure(0)
    after = [
        np.array(ops.convert_to_numpy(v)) for v in [*model.variables, *model.optimizer.variables]
    ]
    same = [np.array_equal(a, b) for a, b in zip(before, after, strict=True)]
    assert all(same) or probe.moves
    trained = len(model.trainable_variables)
    kept = {id(v) for v in model.trainable_variables}
    for variable, ok in zip([*model.variables, *model.optimizer.variables], same, strict=True):
        assert ok or id(variable) not in kept
    assert trained and (first or name == "inference")  # which measures at the end, once
    second = probe.measure(1)
    assert {key: np.shape(each) for key, each in first.items()} == {
        key: np.shape(each) for key, each in second.items()
    }


@pytest.mark.parametrize("name", [each for each in PROBES if each != "fitted_curve"])
def test_arrays_can_be_stored_and_histograms_are_in_pairs(name, network, context, tmp_path):
    model, x, y = network
    probe = make(name)
    probe.start(context(model, x, y, task="classification", classes=3))
    found = {key: np.asarray(each) for key, each in probe.measure(0).items()}
    for key, each in found.items():
        kind, _, series = key.partition("/")
        if kind == "scalar":
            assert each.shape == () and each.dtype.kind in "fi"
        if kind == "counts":
            assert found[f"edges/{series}"].shape == (each.size + 1,)
    everything = found | {key: np.asarray(each) for key, each in probe.finish().items()}
    np.savez(tmp_path / "a.npz", **everything)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as stored:
        assert set(stored) == set(everything)
