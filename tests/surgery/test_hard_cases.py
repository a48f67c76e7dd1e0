"""Calibration and folding on every hard case of surgery, on TensorFlow, JAX and PyTorch.

PyTorch takes the mean off before it scales and puts it back afterwards, which rounds: there the
function is the same within 1e-6 of the largest output, not to the bit.
"""

import keras
import numpy as np
import pytest

from ablate.surgery import certify, fold, insert, inserted
from tests.surgery.cases import CASES

#: Whether a calibrated normalization is the identity to the last bit in eager execution.
EXACT = keras.backend.backend() != "torch"


def outputs(model, x):
    return [
        keras.ops.convert_to_numpy(each).astype("float64")
        for each in keras.tree.flatten(model(x, training=False))
    ]


def equal(ours, theirs):
    return all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


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
    half = "float16" in {each.compute_dtype for each in model._flatten_layers()}
    if EXACT:
        assert equal(outputs(new, x), expected)
    else:
        assert_close(outputs(new, x), expected, 2e-2 if half else 1e-6)
    folded = fold(new)
    assert inserted(folded) == ()
    assert_close(outputs(folded, x), expected, 2e-2 if half else 1e-5)


@pytest.mark.parametrize("name", ["siamese", "three_levels", "dictionaries", "masked_sequence"])
def test_the_certificate_says_so(name):
    model, x = CASES[name]()
    new = insert(model, "BatchNormalization", where="all", calibrate=x)
    before = [np.array(keras.ops.convert_to_numpy(v)) for v in new.variables]
    found = certify(model, new, x, batch_size=3)
    for each in (found.paths["eager"], *found.per_layer):
        assert each.identical if EXACT else each.max_rel_diff <= 1e-6
    assert len(found.per_layer) == sum(each.role == "inserted" for each in inserted(new))
    assert equal(before, [keras.ops.convert_to_numpy(v) for v in new.variables])
