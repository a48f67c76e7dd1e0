"""Arguments of the layers that placements use most, known without Keras."""

import inspect

import keras
import pytest

from ablate import surgery
from ablate.errors import StudyError
from ablate.study.keras_names import LAYER_ARGUMENTS
from ablate.study.schema.placement import Placement


@pytest.mark.parametrize("layer", sorted(LAYER_ARGUMENTS))
def test_the_table_has_what_the_installed_keras_and_our_own_layers_take(layer):
    cls = getattr(keras.layers, layer, None) or getattr(surgery, layer)
    ours = cls.__module__.startswith("ablate.")  # which hand their other arguments on
    bases = [cls] if not ours or cls.__base__ is keras.Layer else [cls, cls.__base__]
    takes = set().union(*(inspect.signature(each.__init__).parameters for each in bases))
    takes = takes - {"self", "kwargs", "name", "seed"} | {"trainable", "dtype"}
    assert LAYER_ARGUMENTS[layer] - {"seed"} == takes


def test_batch_renormalization_is_taken():
    arguments = {
        "renorm": True,
        "renorm_clipping": {"rmax": 3, "rmin": 0.33, "dmax": None},
        "renorm_momentum": 0.9,
    }
    assert Placement(layer="BatchNormalization", **arguments).arguments == arguments


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"renorm_clipping": {"rmax": 1, "rmin": 3}}, "rmin <= rmax"),
        ({"renorm_clipping": {"dmax": -1}}, "dmax >= 0"),
        ({"renorm_clipping": {"max": 1}}, "some of rmin"),
        ({"renorm_clipping": 3}, "expected a mapping"),
        ({"renorm_momentum": 1.5}, "from 0 to 1"),
        ({"axis": [1, 2]}, r"takes a single axis. Received: \[1, 2\]"),
        ({"axis": "last"}, "takes a single axis"),
        ({"renorn": True}, "Did you mean 'renorm'"),
    ],
)
def test_values_that_keras_would_refuse_in_its_own_words_are_told_before(arguments, said):
    with pytest.raises(StudyError, match=said):
        Placement(layer="BatchNormalization", **arguments)
