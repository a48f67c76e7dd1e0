"""A look at variants before any training."""

import re

import keras
import numpy as np
import pytest
from keras import layers

from ablate.errors import StudyError, SurgeryError
from ablate.study.resolved import ResolvedVariant
from ablate.study.schema.data import Data
from ablate.study.schema.train import Train
from ablate.study.schema.variant import Found, LeaveOneOut
from ablate.training import found_in, model_cache, preview
from ablate.training.rows import rows_of
from tests.training.small import BN, DROPOUT, binary_spec, run, spec_of, trial_of, two_classes

TWO = {"name": "mlp", "units": [8, 6]}


def test_a_plan_says_what_a_variant_becomes():
    plain, both = preview(
        [
            ResolvedVariant("plain", spec_of(model=TWO, freeze="dense1")),
            ResolvedVariant("both", spec_of(DROPOUT, BN, model=TWO)),
        ]
    )
    assert plain.inserted == () and plain.frozen == ("dense1",)
    assert plain.parameters == 64 * 8 + 8 + 8 * 6 + 6 + 6 * 10 + 10
    assert plain.trainable == plain.parameters - 64 * 8 - 8
    assert (plain.output, plain.loss) == ("softmax", "sparse_categorical_crossentropy")
    assert plain.rows == {"train": 100, "validation": 216, "test": 359} and plain.steps == 4
    assert [each.split(":")[0] for each in both.inserted] == [
        "dense1_dropout", "dense2_dropout", "dense1_bn", "dense2_bn",
    ]  # fmt: skip
    assert any("'dense1_dropout' feeds 'dense2_bn'" in note for note in both.notes)


@pytest.mark.parametrize(
    ("spec", "error", "said"),
    [
        (spec_of({**BN, "where": "conv"}), SurgeryError, "'conv' matches no layer"),
        (spec_of(freeze="dens1"), StudyError, "train.freeze: .*Did you mean 'dense1'"),
        (spec_of(freeze=["dense1", "output"]), StudyError, "nothing would be trained"),
        (spec_of(remove=[{"where": "Dropout"}]), SurgeryError, "'Dropout' matches no layer"),
        (
            spec_of(model={"name": "mlp", "activation": "tanh"}, loss="categorical_crossentropy"),
            StudyError,
            "train.loss: .* the labels are class numbers",
        ),
        (
            spec_of(loss="categorical_crossentropy", trust=True),
            StudyError,
            "do not fit the data",
        ),
        (
            spec_of(early_stopping={"monitor": "val_acuracy", "mode": "max"}),
            StudyError,
            "train.early_stopping.monitor: training reports no 'val_acuracy'. Did you mean",
        ),
        (
            spec_of(early_stopping={"monitor": "val_charm"}),
            StudyError,
            "Set mode: min or mode: max",
        ),
        (
            spec_of(data={"validation": 0.0}, early_stopping={}),
            StudyError,
            "there are no validation rows",
        ),
        (spec_of(class_weight={12: 1.0}), StudyError, "there is no class 12"),
        (spec_of(callbacks=[{"call": "keras.callbacks:Nothing"}]), StudyError, "has no 'Nothing'"),
        (
            spec_of(callbacks=[{"call": "keras:Input", "shape": [2]}]),
            StudyError,
            "expected a keras",
        ),
        (spec_of(callbacks=[{"call": "keras.callbacks:History", "a": 1}]), StudyError, "refused"),
    ],
)
def test_a_slip_shows_before_training_and_names_the_variant(spec, error, said):
    with pytest.raises(error, match=f"variant 'mine': .*{said}"):
        preview([ResolvedVariant("mine", spec)])


def test_leave_one_out_finds_sites_and_layers():
    arm = ResolvedVariant("both", spec_of({**BN, "calibrate": True}, DROPOUT, model=TWO))
    assert found_in(arm, LeaveOneOut(**{"from": "both", "by": "site"})) == [
        Found(host="dense1", layer="dense1_bn", placement=0),
        Found(host="dense2", layer="dense2_bn", placement=0),
        Found(host="dense1", layer="dense1_dropout", placement=1),
        Found(host="dense2", layer="dense2_dropout", placement=1),
    ]
    rule = LeaveOneOut(**{"from": "both", "by": "layer", "where": "hidden"})
    assert [found.host for found in found_in(arm, rule)] == ["dense1", "dense2"]


def own_norms():
    """A model whose layers Keras names anew each time, in a nested model too."""
    inner = keras.Sequential(
        [keras.Input((8,)), layers.Dense(6, use_bias=False), layers.BatchNormalization()],
        name="inner",
    )
    x = keras.Input((8, 8, 1))
    y = layers.Dense(8, use_bias=False)(layers.Flatten()(x))
    y = layers.ReLU()(layers.BatchNormalization(name="first")(y))
    y = layers.ReLU()(layers.BatchNormalization()(layers.Dense(8, use_bias=False)(y)))
    y = layers.Dropout(0.2)(inner(y))
    return keras.Model(x, layers.Dense(10, activation="softmax")(y))


MODEL = {"call": "tests.training.test_preview:own_norms"}
RULE = LeaveOneOut(**{"from": "model", "by": "layer"})


def test_a_models_own_layers_are_found_again_however_keras_names_them():
    found = found_in(ResolvedVariant("model", spec_of(model=MODEL)), RULE)
    assert [(each.host, each.layer) for each in found] == [
        ("first", "first"),
        ("path:BatchNormalization[0]", "BatchNormalization[0]"),
        ("path:inner/BatchNormalization[0]", "inner/BatchNormalization[0]"),
        ("path:Dropout[0]", "Dropout[0]"),
    ]
    for each in found:
        (plan,) = preview(
            [ResolvedVariant("less", spec_of(model=MODEL, remove=[{"where": each.host}]))]
        )
        (removed,) = plan.removed
        kind = "dropout" if "Dropout" in each.host else "batch_normalization"
        assert kind in removed or removed == "first"
        said = [note for note in plan.notes if "had no bias" in note]
        assert len(said) == (kind != "dropout")


def test_earlier_removals_do_not_shift_what_a_path_means():
    spec = spec_of(
        model=MODEL,
        remove=[{"where": "path:Dense[0]"}, {"where": "path:BatchNormalization[0]"}],
    )
    (plan,) = preview([ResolvedVariant("less", spec_of(model=MODEL, remove=spec.remove[1:]))])
    with pytest.raises(SurgeryError, match="changes the shape"):
        preview([ResolvedVariant("less", spec)])
    twice = spec_of(model=MODEL, remove=[{"where": "first"}, *spec.remove[1:]])
    (both,) = preview([ResolvedVariant("less", twice)])
    assert set(both.removed) > {"first"} and len(both.removed) == 2
    assert both.parameters == plan.parameters - 4 * 8 + 8  # less a BN of 8, more a bias of 8


def test_sites_in_them_too():
    arm = ResolvedVariant("bn", spec_of({**BN, "at": "after", "where": "Dense"}, model=MODEL))
    found = found_in(arm, LeaveOneOut(**{"from": "bn", "by": "site"}))
    assert [(each.host, each.layer) for each in found] == [
        ("path:Dense[0]", "Dense[0]_bn"),
        ("path:Dense[1]", "Dense[1]_bn"),
        ("path:inner/Dense[0]", "inner/Dense[0]_bn"),
    ]
    for each in found:
        spared = {**BN, "at": "after", "where": "Dense", "except": [each.host]}
        (plan,) = preview([ResolvedVariant("bn", spec_of(spared, model=MODEL))])
        assert len(plan.inserted) == 2


def test_a_model_without_any_is_told_so():
    with pytest.raises(StudyError, match="no BatchNormalization or Dropout of its own"):
        found_in(ResolvedVariant("model", spec_of()), RULE)


def test_the_bias_is_trained_from_zero_and_all_else_begins_alike():
    spec = spec_of(model=MODEL)
    less = spec_of(model=MODEL, remove=[{"where": "path:BatchNormalization[0]"}])
    begun = []
    for each in (spec, less):
        rows = rows_of(each, 0)
        made = model_cache.make(each, rows, 0)
        made.begin(0, 0.1, rows)
        begun.append({path: layer.get_weights() for path, layer in made.network.layers})
    whole, lacking = begun
    assert set(whole) - set(lacking) == {"BatchNormalization[0]"}
    for path, weights in lacking.items():
        if path == "Dense[1]":
            kernel, bias = weights
            assert bias.shape == (8,) and not bias.any()
            weights = [kernel]
        assert len(weights) == len(whole[path])
        if path.startswith("Dropout"):
            continue
        for a, b in zip(weights, whole[path], strict=True):
            np.testing.assert_array_equal(a, b)
    (result,) = run(trial_of(less))
    assert (
        "'Dense[1]' had no bias, which the removed BatchNormalization made needless: given one, "
        "trained from zero"
    ) in result.notes


def test_what_is_said_does_not_depend_on_names_that_count():
    spec = spec_of({**BN, "where": "Dense"}, model=MODEL, batch_size=33, freeze="inner")
    first, second = (preview([ResolvedVariant("mine", spec)])[0] for _ in range(2))
    assert first.inserted != second.inserted  # Keras's own names go on counting
    assert (first.notes, first.cautions) == (second.notes, second.cautions)
    said = " ".join(first.cautions)
    assert "lie inside 'inner', frozen" in said and "'Dense[0]_bn', 'BatchNormalization[0]'" in said


def test_plan_and_trial_say_the_same():
    spec = spec_of(BN, batch_size=33)
    (plan,) = preview([ResolvedVariant("mine", spec)])
    (result,) = run(trial_of(spec))
    assert (plan.notes, plan.cautions) == (result.notes, result.cautions)
    (caution,) = plan.cautions
    assert "'dense1_bn' normalizes one value per channel in the last step" in caution
    assert "(100 rows in batches of 33)" in caution and "train.batch_size of 32 leaves" in caution


def logit(input_shape):
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, keras.layers.Dense(1, name="logit")(inputs))


def hidden_end(input_shape):
    inputs = keras.Input(input_shape)
    x = keras.layers.Dense(1)(inputs)
    return keras.Model(inputs, keras.layers.Lambda(lambda x: x, name="end")(x))


def two_ends(input_shape):
    inputs = keras.Input(input_shape)
    ends = [keras.layers.Dense(1, name="a", activation="sigmoid"), keras.layers.Dense(1, name="b")]
    return keras.Model(inputs, [each(inputs) for each in ends])


def two_targets():
    x, y = two_classes()
    return {"x_train": x, "y_train": {"a": y, "b": x[:, :1]}}


@pytest.mark.parametrize(
    "train, said",
    [
        ({"metrics": ["accuracy"]}, r"train\.metrics\[0\]: 'accuracy' cuts the output at one half"),
        ({"loss": "binary_crossentropy"}, r"train\.loss: binary_crossentropy takes probabilities"),
        ({"metrics": ["mae", "AUC"]}, r"train\.metrics\[1\]: 'AUC' goes by thresholds"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_trusted_when_told_to(train, said):
    model = {"call": f"{__name__}:logit"}
    with pytest.raises(StudyError, match=f"variant 'mine': {said}.* train.trust: true goes on"):
        preview([ResolvedVariant("mine", binary_spec(model=model, **train))])
    (plan,) = preview([ResolvedVariant("mine", binary_spec(model=model, trust=True, **train))])
    (caution,) = plan.cautions
    assert re.match(rf"trusted \(train\.trust\): {said}", caution)


def test_what_is_trusted_stands_in_the_record(fresh):
    spec = binary_spec(
        model={"call": f"{__name__}:logit"}, metrics=["accuracy"], trust=True, epochs=1
    )
    results = run(trial_of(spec, seed=0), trial_of(spec, seed=1))
    said = {each.cautions for each in results}
    assert len(said) == 1 and "'accuracy' cuts the output at one half" in said.pop()[0]


def test_what_auto_supposes_is_said_and_a_named_loss_supposes_nothing():
    model = {"call": f"{__name__}:hidden_end"}
    (plan,) = preview([ResolvedVariant("mine", binary_spec(model=model))])
    (caution,) = plan.cautions
    assert caution.startswith("train.loss: what 'end' makes of the output cannot be known")
    loss = {"name": "binary_crossentropy", "from_logits": True}
    metrics = [{"name": "BinaryAccuracy", "threshold": 0.0}]
    (plan,) = preview(
        [ResolvedVariant("mine", binary_spec(model=model, loss=loss, metrics=metrics))]
    )
    assert plan.cautions == ()


def whole_numbers():
    x, y = two_classes()
    return x, y.astype("float32")


def test_a_loss_that_is_named_says_what_whole_numbers_are():
    def notes(**train):
        spec = binary_spec(model={"call": f"{__name__}:number"}, **train)
        spec = spec.model_copy(update={"data": Data(call=f"{__name__}:whole_numbers")})
        return preview([ResolvedVariant("mine", spec)])[0].notes

    assert any("whole numbers as floats" in each for each in notes())
    assert not any("whole numbers as floats" in each for each in notes(loss="mse"))


def number():
    inputs = keras.Input((4,))
    return keras.Model(inputs, keras.layers.Dense(1)(inputs))


def test_losses_by_output_are_judged_and_metrics_where_they_fit_none():
    spec = binary_spec(model={"call": f"{__name__}:two_ends"})
    spec = spec.model_copy(update={"data": Data(call=f"{__name__}:two_targets")})

    def planned(**train):
        return preview(
            [ResolvedVariant("mine", spec.model_copy(update={"train": Train(epochs=1, **train)}))]
        )

    with pytest.raises(StudyError, match=r"train\.loss\.b: binary_crossentropy takes prob"):
        planned(loss={"b": "binary_crossentropy"})
    with pytest.raises(StudyError, match=r"train\.loss\[1\]: binary_crossentropy takes prob"):
        planned(loss=["auto", "binary_crossentropy"])
    (plan,) = planned(metrics=["accuracy"])  # meant for the one output
    assert [each.split(",")[0] for each in plan.cautions] == [
        "train.metrics[0]: 'accuracy' compares with labels of 0 and 1"
    ]
    with pytest.raises(StudyError, match=r"train\.metrics\[0\]: 'categorical_accuracy' looks for"):
        planned(metrics=["categorical_accuracy"])


def test_a_mistake_in_a_phase_names_the_phase():
    wrong = {"epochs": 1, "freeze": "no"}
    for at, phases in enumerate(([wrong], [{"epochs": 1}, wrong])):
        with pytest.raises(
            StudyError, match=rf"train\.phases\[{at}\]: train\.freeze: 'no' matches"
        ):
            preview([ResolvedVariant("mine", spec_of(epochs=None, phases=phases))])
