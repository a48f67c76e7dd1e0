"""What a variant removes, replaces and changes of its base model, and in which order."""

import keras
import numpy as np
import pytest
from keras import layers

from ablate.errors import StudyError, SurgeryError
from ablate.study.resolved import ResolvedVariant
from ablate.study.trial import Spec
from ablate.training import preview
from ablate.training.edits import edited_base
from ablate.training.network import network
from ablate.training.rows import rows_of
from tests.training.small import numbers, run, trial_of


def brought(input_shape=None, **arguments):
    """Return a network that brings BN and Dropout, whose layers Keras names."""
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(4, 3, use_bias=False)(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Dropout(0.5)(layers.Flatten()(x))
    x = layers.BatchNormalization()(layers.Dense(6)(x))
    return keras.Model(inputs, layers.Dense(10, activation="softmax", name="classes")(x))


def spec_of(model=None, **edits):
    return Spec(
        data={"name": "digits", "limit": 64},
        model=model or {"call": f"{__name__}:brought"},
        train={"epochs": 1, "learning_rate": 0.1, "threads": 1},
        **edits,
    )


GROUPS = {"where": "BatchNormalization", "layer": "GroupNormalization", "groups": 2}


def test_the_order_is_remove_replace_change_insert_and_selectors_mean_the_base_model():
    spec = spec_of(
        remove=[{"where": "norm[1]"}],
        replace=[GROUPS],
        change=[
            {"where": "BatchNormalization", "epsilon": 0.25},
            {"where": "Dropout", "rate": 0.1},
        ],
        insert=[{"layer": "Dropout", "rate": 0.3, "at": "after", "where": "BatchNormalization"}],
    )
    made = network(spec, rows_of(spec, 0).splits)
    found = [type(layer).__name__ for layer in made.model.layers[1:]]
    assert found == [
        "Conv2D", "GroupNormalization", "Dropout", "ReLU", "Flatten", "Dropout", "Dense", "Dense"
    ]  # fmt: skip
    assert (made.model.layers[2].epsilon, made.model.layers[6].rate) == (0.25, 0.1)
    paths = [path for path, _ in made.layers]
    assert "BatchNormalization[0]" in paths and "BatchNormalization[0]_dropout" in paths
    assert "Dropout[0]" in paths


def test_all_variants_share_what_they_have_in_common():
    plain, groups, changed = (
        spec_of(),
        spec_of(replace=[GROUPS]),
        spec_of(change=[{"where": "Dropout", "rate": 0.0}, {"where": "norm", "renorm": True}]),
    )
    starts = []
    for spec in (plain, groups, changed):
        from ablate.training.model_cache import make

        prepared = make(spec, rows_of(spec, 3), 3)
        prepared.begin(3, 0.1, rows_of(spec, 3))
        weights = dict(prepared.network.layers)
        starts.append(
            [np.asarray(w) for p in ("Conv2D[0]", "Dense[0]") for w in weights[p].weights]
        )
    for other in starts[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(starts[0], other, strict=True))


def test_trials_of_edited_models_are_trained_and_repeat():
    edits = {
        "change": [
            {"where": ["all", "classes"], "except": "BatchNormalization", "trainable": False},
            {"where": "BatchNormalization", "trainable": "parameters"},
        ],
        "replace": [{**GROUPS, "where": "norm[0]", "calibrate": True}],
    }
    one, two = (run(trial_of(spec_of(**edits)))[0] for _ in range(2))
    assert numbers(one) == numbers(two)
    statistics = spec_of(
        change=[
            {"where": ["all", "classes"], "except": "norm", "trainable": False},
            {"where": "norm", "trainable": "statistics"},
        ]
    )
    (result,) = run(trial_of(statistics))
    assert any("only the moving statistics of 2" in note for note in result.notes)


def test_kept_weights_stay_and_moments_are_kept_on_the_training_rows(tmp_path):
    base = brought()
    rng = np.random.default_rng(0)
    for weight in base.weights:
        weight.assign(rng.uniform(0.2, 0.9, weight.shape))
    base.save(tmp_path / "base.keras")
    spec = spec_of(
        model={"file": str(tmp_path / "base.keras")},
        replace=[{**GROUPS, "calibrate": True}],
        change=[{"where": "classes", "trainable": False}],
    )
    rows = rows_of(spec, 0)
    made = network(spec, rows.splits)
    made.calibrate(rows.splits.x_train)
    for ours, theirs in zip(base.layers, made.model.layers, strict=True):
        if isinstance(ours, layers.BatchNormalization):
            assert type(theirs) is layers.GroupNormalization
            a, b = (
                keras.Model(m.input, each.output).predict(rows.splits.x_train, verbose=0)
                for m, each in ((base, ours), (made.model, theirs))
            )
            axes = tuple(range(a.ndim - 1))
            np.testing.assert_allclose(b.mean(axes), a.mean(axes), rtol=1e-3, atol=1e-4)
            np.testing.assert_allclose(b.std(axes), a.std(axes), rtol=1e-3, atol=1e-4)
        else:
            pairs = zip(ours.weights, theirs.weights, strict=True)
            assert all(np.array_equal(a, b) for a, b in pairs)
    assert made.keep >= {"Conv2D[0]", "Dense[0]", "classes"}


def test_a_layer_that_takes_over_no_weight_starts_anew():
    inputs = keras.Input((5, 3))
    model = keras.Model(inputs, layers.Dense(2)(layers.LSTM(4, name="steps")(inputs)))
    spec = spec_of(
        replace=[
            {"where": "steps", "layer": "GRU"},
        ]
    )
    edited = edited_base(model, spec)
    assert edited.anew == {"steps"}
    assert edited_base(model, spec_of(change=[{"where": "steps", "dropout": 0.1}])).anew == set()


def test_a_plan_says_what_becomes_of_each_layer():
    spec = spec_of(
        replace=[GROUPS],
        change=[{"where": "Dropout", "rate": 0.1}, {"where": "all", "momentum": 0}],
    )
    with pytest.raises(SurgeryError, match="variant 'v': None of the"):
        preview([ResolvedVariant("v", spec)])
    spec = spec_of(replace=[{**GROUPS, "groups": 4}], change=[{"where": "Dropout", "rate": 0.1}])
    (plan,) = preview([ResolvedVariant("v", spec)])
    assert [each.split(": ")[1] for each in plan.changed] == [
        "BatchNormalization → GroupNormalization (groups 4)",
        "rate 0.5 → 0.1",
    ]
    assert len(plan.skipped) == 1 and "number of channels" in plan.skipped[0]


@pytest.mark.parametrize("by", ["change", "freeze"])
def test_what_is_inserted_may_be_all_that_learns(by):
    spec = spec_of(insert=[{"layer": "BatchNormalization", "at": "after", "where": "Conv2D"}])
    every = ["all", "classes"]
    if by == "change":
        change = spec_of(change=[{"where": every, "trainable": False}]).change
        spec = spec.model_copy(update={"change": change})
    else:
        train = spec.train.model_copy(update={"freeze": every})
        spec = spec.model_copy(update={"train": train})
    (plan,) = preview([ResolvedVariant("v", spec)])
    assert plan.trainable == 8 and "nothing is trained" not in " ".join(plan.notes)


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        (
            {"change": [{"where": ["all", "classes"], "trainable": False}]},
            "nothing would be trained",
        ),
        (
            {"change": [{"where": "Dropout", "rate": 0.1}, {"where": "all", "rate": 0.2}]},
            "both set rate of",
        ),
        ({"change": [{"where": "LSTM", "dropout": 0.1}]}, "matches no layer"),
    ],
)
def test_mistakes_are_named(edits, said):
    with pytest.raises((StudyError, SurgeryError), match=said):
        preview([ResolvedVariant("v", spec_of(**edits))])
