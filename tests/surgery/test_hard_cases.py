"""Calibration and folding on every hard case of surgery, on TensorFlow, JAX and PyTorch.

PyTorch takes the mean off before it scales and puts it back afterwards, which rounds: there the
function is the same within 1e-6 of the largest output, not to the bit.
"""

import keras
import numpy as np
import pytest

from ablate.surgery import certify, fold, insert, inserted
from tests.surgery.cases import CASES


def outputs(model, x):
    return [
        keras.ops.convert_to_numpy(each).astype("float64")
        for each in keras.tree.flatten(model(x, training=False))
    ]


EXACT = keras.backend.backend() != "torch"


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
        assert all(map(np.array_equal, outputs(new, x), expected))
    else:
        assert_close(outputs(new, x), expected, 2e-2 if half else 1e-6)
    folded = fold(new)
    assert inserted(folded) == ()
    assert_close(outputs(folded, x), expected, 2e-2 if half else 1e-5)


@pytest.mark.parametrize("name", ["siamese", "three_levels", "dictionaries", "masked_sequence"])
def test_the_certificate_says_so(name):
    model, x = CASES[name]()
    new = insert(model, "BatchNormalization", where="all", calibrate=x)
    before = [keras.ops.convert_to_numpy(v) for v in new.variables]
    found = certify(model, new, x, batch_size=3)
    for each in (found.paths["eager"], *found.per_layer):
        assert each.identical if EXACT else each.max_rel_diff <= 1e-6
    assert len(found.per_layer) == sum(each.role == "inserted" for each in inserted(new))
    after = [keras.ops.convert_to_numpy(v) for v in new.variables]
    assert all(map(np.array_equal, before, after))
