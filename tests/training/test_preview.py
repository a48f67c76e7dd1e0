"""A look at variants before any training."""

import pytest

from ablate.errors import StudyError, SurgeryError
from ablate.study.arm import Arm
from ablate.study.study import Found, LeaveOneOut
from ablate.training import found_in, preview
from tests.training.small import BN, DROPOUT, run, spec_of, trial_of

TWO = {"name": "mlp", "units": [8, 6]}


def test_a_plan_says_what_a_variant_becomes():
    plain, both = preview(
        [
            Arm("plain", spec_of(model=TWO, freeze="dense1")),
            Arm("both", spec_of(DROPOUT, BN, model=TWO)),
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
        preview([Arm("mine", spec)])


def test_leave_one_out_finds_sites_and_layers():
    arm = Arm("both", spec_of({**BN, "calibrate": True}, DROPOUT, model=TWO))
    assert found_in(arm, LeaveOneOut(**{"from": "both", "by": "site"})) == [
        Found(host="dense1", layer="dense1_bn", placement=0),
        Found(host="dense2", layer="dense2_bn", placement=0),
        Found(host="dense1", layer="dense1_dropout", placement=1),
        Found(host="dense2", layer="dense2_dropout", placement=1),
    ]
    rule = LeaveOneOut(**{"from": "both", "by": "layer", "where": "hidden"})
    assert [found.host for found in found_in(arm, rule)] == ["dense1", "dense2"]


def test_plan_and_trial_say_the_same():
    spec = spec_of(BN, batch_size=33)
    (plan,) = preview([Arm("mine", spec)])
    (result,) = run(trial_of(spec))
    assert (plan.notes, plan.cautions) == (result.notes, result.cautions)
    (caution,) = plan.cautions
    assert "'dense1_bn' normalizes one value per channel in the last step" in caution
    assert "(100 rows in batches of 33)" in caution and "train.batch_size of 32 leaves" in caution
