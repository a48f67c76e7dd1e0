"""The train section, as far as it can be judged without Keras."""

import pytest

from ablate.errors import StudyError
from ablate.study.schema.optimizing import Named
from ablate.study.schema.train import CalledMetric, Train


def test_names_are_brought_to_one_spelling():
    train = Train(
        optimizer="RMSprop",
        loss="MSE",
        schedule={"name": "ExponentialDecay", "decay_rate": 0.9},
        class_weight={"0": 1.0, 1: 2.0},
    )
    assert train.optimizer == Named(name="rmsprop")
    assert train.loss == "mean_squared_error"
    assert train.schedule == Named(name="exponential", decay_rate=0.9)
    assert train.class_weight == {0: 1.0, 1: 2.0}
    assert Train.model_validate(train.model_dump(mode="json")) == train


def test_what_is_anyones_own_is_left_to_keras():
    train = Train(
        optimizer={"name": "mine>Sgd", "speed": 3},
        loss={"head": "mine>Loss", "tail": {"name": "huber", "delta": 2.0}},
        metrics=["mine>Metric", {"call": "a.b:C", "x": 1}, {"name": "AUC", "curve": "PR"}],
    )
    assert train.optimizer.arguments == {"speed": 3}
    assert train.metrics[1] == CalledMetric(call="a.b:C", x=1)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"optimizer": "adma"}, "optimizer: There is no optimizer 'adma' in Keras. Did you mean"),
        (
            {"optimizer": {"name": "sgd", "momentun": 0.9}},
            "optimizer.momentun: 'sgd' takes no 'momentun'. Did you mean 'momentum'?",
        ),
        ({"optimizer": {"name": "sgd", "lr": 1.0}}, "The learning rate is 'train.learning_rate'"),
        ({"loss": "mean_square_error"}, "Did you mean 'mean_squared_error'?"),
        (
            {"loss": {"name": "huber", "dleta": 1.0}},
            "'huber' takes no 'dleta'. Did you mean 'delta'",
        ),
        ({"loss": {"a": "mse", "b": "msee"}}, "loss.b: There is no loss 'msee'"),
        ({"metrics": ["accuracy", "F1Scor"]}, "metrics[1]: There is no metric 'F1Scor'"),
        ({"schedule": "cosin"}, "There is no schedule 'cosin'. Did you mean 'cosine'?"),
        ({"schedule": "exponential"}, "'exponential' needs 'decay_rate'"),
        ({"schedule": {"name": "cosine", "alhpa": 0.1}}, "Did you mean 'alpha'?"),
        ({"schedule": "warmup"}, "'warmup' needs either 'epochs' or 'steps'"),
        (
            {"schedule": {"name": "cosine", "decay_steps": 1, "decay_epochs": 1}},
            "Give 'decay_steps' or 'decay_epochs', not both",
        ),
        (
            {"schedule": {"name": "piecewise", "epochs": [2], "factors": [1.0]}},
            "expected one factor more than there are boundaries (2). Received: 1",
        ),
        ({"schedule": {"name": "plateau", "factor": 1.5}}, "expected above 0 and below 1"),
        ({"schedule": {"name": "plateau", "patience": "2"}}, "expected a number of at least 0"),
        ({"optimizer": "adafactor", "schedule": "cosine"}, "Adafactor sets its own steps"),
        ({"class_weight": "balance"}, "Did you mean 'balanced'?"),
        ({"batch_sise": 8}, "unknown key. Did you mean 'batch_size'?"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"callbacks": [{"call": "nonsense"}]}, "callbacks"),
    ],
)
def test_slips_are_told_with_the_nearest_name(fields, said):
    with pytest.raises(StudyError) as told:
        Train(**fields)
    assert said in str(told.value)


def test_phases_have_their_sum_of_epochs_and_inherit_the_rest():
    two = [{"epochs": 2, "freeze": "conv"}, {"epochs": 3, "learning_rate": 0.1}]
    assert Train(phases=two).epochs == 5 == Train(phases=two, epochs=5).epochs
    with pytest.raises(StudyError, match=r"epochs: the phases have 5 epochs together\."):
        Train(phases=two, epochs=6)
    with pytest.raises(StudyError, match=r"phases\[0\]\.optimizer: There is no optimizer 'adan'"):
        Train(phases=[{"epochs": 1, "optimizer": "adan"}])
    with pytest.raises(StudyError, match=r"phases\[1\]\.epochs: missing"):
        Train(phases=[{"epochs": 1}, {"freeze": "conv"}])
    with pytest.raises(StudyError, match=r"phases\[0\]\.batch_size: unknown key"):
        Train(phases=[{"epochs": 1, "batch_size": 2}])
    with pytest.raises(StudyError, match="epochs: expected a number of at least 0 and at most"):
        Train(epochs=10**28)
