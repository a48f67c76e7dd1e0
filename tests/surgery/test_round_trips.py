"""Law 4 on every hard case: `remove(insert(m))` is `m`, and the given model is untouched."""

import json

import keras
import numpy as np
import pytest

from ablate.surgery import change, changed, insert, inserted, remove, replace
from ablate.surgery.graph import every
from ablate.surgery.kinds import kind_of
from ablate.surgery.rebuild import rebuild
from tests.surgery.cases import CASES

POSITIONS = ("before", "before_activation", "after_activation", "after")

#: Python code does not pass Keras's safe mode, and Keras cannot load a layer of two graphs.
UNSAVED = {"python_lambda", "custom_layer", "own_train_step", "layer_in_two_models"}


def outputs(model, x, **kwargs):
    return [keras.ops.convert_to_numpy(each) for each in keras.tree.flatten(model(x, **kwargs))]


def equal(ours, theirs):
    return all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def state(model):
    """All that must not change: configuration, values, flags, calls."""
    flags, calls = {}, {}
    for read, operation in every(model):
        key = (read.model.name, operation.name)
        if not isinstance(operation, keras.layers.InputLayer):
            flags[key] = getattr(operation, "trainable", None)
        calls[key] = len(operation._inbound_nodes)
    values = [keras.ops.convert_to_numpy(each) for each in model.weights]
    paths = [each.path for each in model.weights]  # a random state's name is Keras's own count
    config = json.loads(json.dumps(model.get_config()))  # as a file has it: tuples are lists
    return config, type(model), model.trainable, flags, paths, values, calls


def assert_same(one, other, calls=True):
    *plain, values, counted = one
    *other_plain, other_values, other_counted = other
    assert plain == other_plain
    assert equal(values, other_values)
    if calls:
        assert counted == other_counted


@pytest.fixture(params=CASES, ids=str)
def case(request):
    keras.utils.set_random_seed(3)
    return request.param, *CASES[request.param]()


def test_a_plain_rebuild_is_a_copy(case):
    _, model, x = case
    before = state(model)
    copy = rebuild(model).model
    assert_same(state(model), before)
    assert_same(state(copy), before, calls=False)
    assert equal(outputs(model, x), outputs(copy, x))
    assert not {id(v) for v in model.variables} & {id(v) for v in copy.variables}
    assert sum(map(float, model.losses)) == sum(map(float, copy.losses))


def test_dropout_everywhere_and_back(case):
    name, model, x = case
    before, wanted = state(model), outputs(model, x)
    for at in POSITIONS:
        assert_goes_in_and_out(model, x, at, before, wanted, opened=name == "custom_layer")


def assert_goes_in_and_out(model, x, at, before, wanted, opened):
    new = insert(model, "Dropout", rate=0.5, at=at, where="all")
    # A composite layer is opened once around the given layers themselves, which are then called in
    # a second graph; what the model computes, saves and lists is the same.
    assert_same(state(model), before, calls=not opened)
    record = inserted(new)
    assert record
    assert equal(wanted, outputs(new, x))
    names = {operation.name for _, operation in every(model)}
    added = {each.name for each in record}
    assert {operation.name for _, operation in every(new)} == names | added
    assert not names & added
    assert_same(state(remove(new)), before, calls=False)


def test_layers_are_changed_and_replaced_and_come_back(case, tmp_path):
    """Each edit that some layer of the case takes, one upon the other, undone from the last."""
    name, model, x = case
    before, wanted = state(model), outputs(model, x)
    new = change(model, "all", trainable=False) if model.trainable_weights else model
    kinds = {kind_of(layer) for _, layer in every(model) if isinstance(layer, keras.layers.Layer)}
    if "dropout" in kinds:
        new = change(new, "Dropout", rate=0.25)
    if "norm" in kinds:
        new = change(new, "norm", epsilon=0.01)
        new = replace(new, "norm", "LayerNormalization")
    assert_same(state(model), before, calls=False)
    if name not in UNSAVED:
        new.save(tmp_path / "new.keras")
        new = keras.models.load_model(tmp_path / "new.keras")
    if changed(new):
        back = remove(new)
        assert_same(state(back), before, calls=False)
        assert equal(wanted, outputs(back, x))


def test_normalization_changes_outputs_and_goes_without_a_trace(case, tmp_path):
    name, model, x = case
    before, wanted = state(model), outputs(model, x)
    new = insert(model, "BatchNormalization", at="before_activation", where="all")
    for weight in new.weights:
        if weight.path not in {each.path for each in model.weights}:
            weight.assign(weight + 0.5)  # statistics that do something
    assert not equal(wanted, outputs(new, x))
    if name not in UNSAVED:
        new.save(tmp_path / "new.keras")
        loaded = keras.models.load_model(tmp_path / "new.keras")
        assert inserted(loaded) == inserted(new)
        assert equal(outputs(new, x), outputs(loaded, x))
        new = loaded
    back = remove(new)
    assert inserted(back) == ()
    assert_same(state(back), before, calls=False)
    assert equal(wanted, outputs(back, x))
