"""Calibration and folding on every hard case of surgery."""

import keras
import numpy as np
import pytest

from ablate.surgery import certify, fold, insert, inserted
from tests.surgery.cases import CASES


def outputs(model, x):
    return [np.asarray(each, "float64") for each in keras.tree.flatten(model(x, training=False))]


def assert_close(ours, theirs, tolerance):
    for a, b in zip(ours, theirs, strict=True):
        assert np.abs(a - b).max() <= tolerance * np.abs(b).max()


@pytest.fixture(params=CASES, ids=str)
def case(request):
    keras.utils.set_random_seed(3)
    return CASES[request.param]()


def test_normalization_undone_everywhere_changes_nothing_and_folds_back(case):
    """At every site of every layer, in eager execution, and after the whole is folded again."""
    model, x = case
    expected = outputs(model, x)
    new = insert(model, "BatchNormalization", at="before_activation", where="all", calibrate=x)
    count = sum(each.role == "inserted" for each in inserted(new))
    assert count > 0
    for ours, theirs in zip(outputs(new, x), expected, strict=True):
        assert np.array_equal(ours, theirs)
    folded = fold(new)
    assert inserted(folded) == ()
    half = "float16" in {each.compute_dtype for each in model._flatten_layers()}
    assert_close(outputs(folded, x), expected, 2e-2 if half else 1e-5)


@pytest.mark.parametrize("name", ["siamese", "three_levels", "dictionaries", "masked_sequence"])
def test_the_certificate_says_so(name):
    model, x = CASES[name]()
    new = insert(model, "BatchNormalization", where="all", calibrate=x)
    before = [np.asarray(v.value) for v in new.variables]
    found = certify(model, new, x, batch_size=3)
    assert found.paths["eager"].identical
    assert all(each.identical for each in found.per_layer)
    assert len(found.per_layer) == sum(each.role == "inserted" for each in inserted(new))
    assert all(np.array_equal(a, v.value) for a, v in zip(before, new.variables, strict=True))
