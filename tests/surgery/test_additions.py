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
