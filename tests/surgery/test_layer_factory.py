"""What a placement's arguments become: initializers by name, as studies write them."""

import numpy as np
import pytest
from keras import ops

from ablate.errors import SurgeryError
from ablate.surgery import insert
from tests.surgery.cases import CASES


def test_an_initializer_by_name_with_its_arguments():
    model, _ = CASES["plain"]()
    uniform = {"name": "random_uniform", "minval": 2.0, "maxval": 3.0}
    new = insert(model, "BatchNormalization", where="conv", gamma_initializer=uniform)
    gammas = [
        ops.convert_to_numpy(new.get_layer(f"{host}_bn").gamma) for host in ("conv1", "conv2")
    ]
    for gamma in gammas:
        assert np.all((gamma >= 2) & (gamma < 3)) and np.unique(gamma).size > 1
    shorter = min(map(len, gammas))
    assert not np.array_equal(gammas[0][:shorter], gammas[1][:shorter])  # draws of their own


@pytest.mark.parametrize(
    "given", [{"name": "random_uniforn"}, {"name": "random_uniform", "width": 1.0}]
)
def test_an_initializer_that_cannot_be_made_is_refused(given):
    model, _ = CASES["plain"]()
    with pytest.raises(SurgeryError, match=r"initializer|does not take"):
        insert(model, "BatchNormalization", where="conv", gamma_initializer=given)


@pytest.mark.parametrize(
    ("layer", "arguments", "said"),
    [
        ("BatchNormalization", {"axis": 4}, r"axis 4 is not among the 4 axes of \(None, 6, 6, 4\)"),
        ("BatchNormalization", {"axis": -5}, "axis -5 is not among the 4 axes"),
        (
            "BatchNormalization",
            {"axis": [1, 2]},
            r"axis: BatchNormalization takes a single axis. Received: \[1, 2\]",
        ),
        ("BatchNormalization", {"axis": 0}, "axis 0 of .* has no fixed size: it is the batch"),
        ("LayerNormalization", {"axis": [1, 4]}, "axis 4 is not among the 4 axes"),
        ("GroupNormalization", {"groups": 2, "axis": 7}, "axis 7 is not among the 4 axes"),
        (
            "Dropout",
            {"rate": 0.5, "noise_shape": [None, 3, 1, 1]},
            r"noise_shape \[null, 3, 1, 1\]",
        ),
        ("Dropout", {"rate": 0.5, "noise_shape": [1] * 5}, "does not fit .*6, 6, 4"),
        ("Dropout", {"rate": 0.5, "noise_shape": [None, 1, 1]}, r"\[null, 1, 1\] does not fit"),
    ],
)
def test_an_axis_or_a_noise_that_does_not_fit_is_told_in_plain_words(layer, arguments, said):
    model, _ = CASES["plain"]()
    with pytest.raises(SurgeryError, match=said):
        insert(model, layer, where="conv1", **arguments)


@pytest.mark.parametrize(
    ("layer", "arguments"),
    [
        ("BatchNormalization", {"axis": 1}),
        ("LayerNormalization", {"axis": [1, -1]}),
        ("Dropout", {"rate": 0.5, "noise_shape": [None, 1, 1, 4]}),
        ("Dropout", {"rate": 0.5, "noise_shape": [32, 6, 1, 4]}),
        ("Dropout", {"rate": 0.5, "noise_shape": [6, 4]}),
    ],
)
def test_those_that_fit_are_inserted(layer, arguments):
    model, _ = CASES["plain"]()
    insert(model, layer, where="conv1", **arguments)
