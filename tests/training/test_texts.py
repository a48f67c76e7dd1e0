"""Rows of raw strings: to a network that takes them, and to none that does not."""

import keras
import numpy as np
import pytest

from ablate.errors import StudyError
from ablate.study.resolved import ResolvedVariant
from ablate.study.trial import Spec
from ablate.training import preview
from tests.training.small import BN, numbers, run, trial_of


def texts():
    words = np.array(["good", "bad", "fine", "dull"])
    chosen = np.random.default_rng(0).integers(0, 4, (80, 2))
    return {"x": [" ".join(words[each]) for each in chosen], "y": chosen[:, 0] % 2}


def network():
    inputs = keras.Input((1,), dtype="string")
    x = keras.layers.TextVectorization(
        vocabulary=["good", "bad", "fine", "dull"], output_sequence_length=2
    )(inputs)
    x = keras.layers.Flatten()(keras.layers.Embedding(6, 4)(x))
    x = keras.layers.Dense(8, activation="relu")(x)
    return keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(x))


def floats():
    return np.zeros((40, 1)), np.arange(40) % 2


def spec_of(*insert, data="texts", model=None):
    return Spec(
        data={"call": f"{__name__}:{data}"},
        model=model or {"call": f"{__name__}:network"},
        train={"epochs": 5, "optimizer": "adam", "learning_rate": 0.05},
        insert=list(insert),
    )


def test_texts_reach_the_layer_that_takes_them_also_after_surgery():
    plain, bn, again = run(
        trial_of(spec_of()), trial_of(spec_of(BN), name="bn"), trial_of(spec_of(), name="again")
    )
    assert plain.metrics["test_accuracy"] == bn.metrics["test_accuracy"] == 1.0
    assert numbers(plain) == numbers(again)


@pytest.mark.parametrize(
    "data, model, says",
    [
        ("texts", {"name": "mlp", "units": [4]}, r"x_train holds texts .* TextVectorization"),
        ("floats", None, "takes strings, and x_train holds float32"),
    ],
)
def test_what_does_not_take_the_rows_is_refused(data, model, says):
    with pytest.raises(StudyError, match=says):
        preview([ResolvedVariant("plain", spec_of(data=data, model=model))])
