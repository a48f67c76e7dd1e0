"""The space as Keras Tuner's hyperparameters: conditions, exact values, what cannot be varied."""

from __future__ import annotations

import keras_tuner as kt
import pytest

from ablate.errors import StudyError
from ablate.search.space import declare, every, finite, levels, space_of, stepped
from ablate.study.schema.search import Dimension
from ablate.study.search_points import parameters_of
from tests.search.small import RATE, RATES, study

RATE_OF_DROPOUT = "insert.Dropout.rate"
PRESENT = "insert.Dropout.present"


def dimension(**fields):
    return Dimension(**fields)


def test_a_variant_has_only_its_own_parameters():
    small = study({"space": RATES | {RATE_OF_DROPOUT: {"choice": [0.1, 0.5]}}})
    spaces = {arm.name: space_of(arm, small.search).space for arm in small.resolved}
    assert {name: [hp.name for hp in space] for name, space in spaces.items()} == {
        "plain": [RATE], "bn": [RATE], "dropout": [RATE, RATE_OF_DROPOUT],
    }  # fmt: skip
    (rate,) = spaces["plain"]
    assert (type(rate).__name__, rate.min_value, rate.max_value, rate.sampling) == (
        "Float", 1e-3, 1.0, "log",
    )  # fmt: skip


def test_a_field_hangs_on_the_presence_of_its_placement():
    space = {RATE_OF_DROPOUT: {"choice": [0.1, 0.5]}, PRESENT: {"bool": True}}
    small = study({"space": space}, "plain", "dropout")
    arm = small.resolved[1]
    hp = space_of(arm, small.search)
    assert [each.name for each in hp.space] == [PRESENT, RATE_OF_DROPOUT]  # the parent first
    assert list(every(hp.space)) == [
        {PRESENT: True, RATE_OF_DROPOUT: 0.1},
        {PRESENT: True, RATE_OF_DROPOUT: 0.5},
        {PRESENT: False},
    ]
    hp.values = {PRESENT: False}
    assert declare(hp, parameters_of(arm, small.search), small.search) == {PRESENT: False}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"float": [0, 0.5], "step": 0.1}, [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]),
        ({"float": [0, 1], "step": 0.3}, [0.0, 0.3, 0.6, 0.9]),
        ({"float": [1e-4, 1], "step": 10, "sampling": "log"}, [1e-4, 1e-3, 0.01, 0.1, 1.0]),
        ({"int": [16, 128], "step": 2, "sampling": "log"}, [16, 32, 64, 128]),
        ({"int": [1, 7], "step": 3}, [1, 4, 7]),
        ({"float": [1, 100], "step": 10, "sampling": "reverse_log"}, [1.0, 91.0, 100.0]),
    ],
)
def test_a_step_walks_exact_values_to_the_end(fields, expected):
    assert stepped(dimension(**fields)) == expected


def test_each_kind_becomes_its_hyperparameter():
    space = {
        "train.batch_size": {"int": [8, 10]},
        "train.learning_rate": {"choice": [1, 0.5]},
        "train.deterministic": {"choice": [True, False]},
        "train.max_norm": {"float": [1, 2], "step": 0.5},
    }
    small = study({"space": space}, "plain", "bn")
    hps = space_of(small.resolved[0], small.search).space
    assert [levels(hp) for hp in hps] == [
        (8, 9, 10), (1.0, 0.5), (True, False), (1.0, 1.5, 2.0),
    ]  # fmt: skip
    assert isinstance(hps[2], kt.engine.hyperparameters.Boolean)
    assert finite(hps)
    assert not finite(space_of(study({}).resolved[0], study({}).search).space)


@pytest.mark.parametrize(
    ("path", "oracle"), [("train.threads", "random"), ("train.epochs", "hyperband")]
)
def test_what_no_search_can_vary_is_refused(path, oracle):
    small = study({"space": {path: {"int": [1, 2]}}, "oracle": oracle})
    with pytest.raises(StudyError, match=f"search.space.{path}: cannot be searched"):
        space_of(small.resolved[0], small.search)
