"""What callbacks set is honoured, or refused aloud."""

import re

import keras
import numpy as np
import pytest

from ablate.errors import StudyError
from ablate.study.resolved import ResolvedVariant
from ablate.training import preview, run_group
from tests.training.small import run, spec_of, trial_of

HERE = "tests.training.test_watching:"


class Sets(keras.callbacks.Callback):
    """Does `what` to the model when `hook` is called."""

    def __init__(self, hook, what):
        super().__init__()
        setattr(self, hook, lambda *args, **kwargs: getattr(self, what)(*args))

    def rate(self, *args):
        self.model.optimizer.learning_rate = 0.03

    def nothing(self, *args):
        self.model.optimizer.learning_rate = self.model.optimizer.learning_rate

    def thaw(self, *args):
        self.model.get_layer("dense1").trainable = True

    def freeze(self, *args):
        self.model.get_layer("dense1").trainable = False

    def compile(self, *args):
        self.model.compile("sgd", "sparse_categorical_crossentropy")

    def iterations(self, *args):
        self.model.optimizer.iterations.assign(0)

    def weights(self, *args):
        self.model.set_weights([np.zeros_like(each) for each in self.model.get_weights()])

    def told(self, *args):
        assert self.model.get_weights()


class Halving(keras.callbacks.LearningRateScheduler):
    """Keras's own, with a function that a study cannot write."""

    def __init__(self):
        super().__init__(lambda epoch, rate: rate / 2)


class Steps(keras.callbacks.LearningRateScheduler):
    """Keras's own, whose function knows the epoch alone."""

    def __init__(self):
        super().__init__(lambda epoch: 0.1 / (1 + epoch))


def sets(hook, what):
    return [{"call": HERE + "Sets", "hook": hook, "what": what}]


def came_of(spec):
    ((result, _, _),) = run_group([trial_of(spec)])
    return result


PLATEAU = {"call": "keras.callbacks:ReduceLROnPlateau", "monitor": "val_loss"}
STOPPING = {"call": "keras.callbacks:EarlyStopping", "monitor": "val_loss"}


@pytest.mark.parametrize(
    ("callback", "train", "said"),
    [
        (PLATEAU, {"schedule": "cosine"}, "'ReduceLROnPlateau' sets the learning rate"),
        ({"call": HERE + "Halving"}, {"schedule": "cosine"}, "'Halving' sets the learning rate"),
        (
            {"call": HERE + "Steps"},
            {"schedule": "plateau"},
            "'Steps' sets the learning rate of every epoch from its number alone",
        ),
        (
            {**STOPPING, "restore_best_weights": True},
            {"early_stopping": {}},
            "'EarlyStopping' restores its best weights",
        ),
        (
            {"call": "keras.callbacks:BackupAndRestore", "backup_dir": "x"},
            {},
            "'BackupAndRestore' goes on from epochs that the trial did not train",
        ),
    ],
)
def test_keras_callbacks_that_would_be_overridden_are_refused(callback, train, said):
    spec = spec_of(callbacks=[{"call": "keras.callbacks:History"}, callback], **train)
    with pytest.raises(StudyError, match=rf"variant 'mine': train.callbacks\[1\]: {said}"):
        preview([ResolvedVariant("mine", spec)])


@pytest.mark.parametrize(
    ("callback", "train"),
    [
        (PLATEAU, {}),
        ({"call": HERE + "Steps"}, {}),
        ({"call": HERE + "Halving"}, {"schedule": {"name": "plateau"}}),
        (STOPPING, {"early_stopping": {}}),
        ({**STOPPING, "restore_best_weights": True}, {}),
    ],
)
def test_those_that_are_honoured_are_not(callback, train):
    preview([ResolvedVariant("mine", spec_of(callbacks=[callback], **train))])


HOOKS = (
    "on_train_begin", "on_epoch_begin", "on_train_batch_begin", "on_train_batch_end",
    "on_test_begin", "on_test_end", "on_epoch_end",
)  # fmt: skip


@pytest.mark.parametrize("hook", HOOKS)
def test_a_rate_set_beside_a_schedule_is_an_error(hook):
    bad = came_of(spec_of(schedule="cosine", callbacks=sets(hook, "rate")))
    assert bad.status == "failed" and "Traceback" not in bad.error
    assert "train.callbacks: 'Sets' set the learning rate to 0.03, and train.sched" in bad.error
    assert came_of(spec_of(schedule="cosine", callbacks=sets(hook, "nothing"))).error is None


@pytest.mark.parametrize(
    ("hook", "rates"),
    [
        ("on_train_begin", [0.03, 0.03, 0.03]),
        ("on_train_batch_begin", [0.1, 0.03, 0.03]),
        ("on_train_batch_end", [0.1, 0.03, 0.03]),
        ("on_test_end", [0.1, 0.1, 0.03]),
        ("on_epoch_end", [0.1, 0.1, 0.03]),
    ],
)
def test_a_rate_set_without_one_is_taken_and_recorded(hook, rates):
    (result,) = run(trial_of(spec_of(callbacks=sets(hook, "rate"))))
    assert result.curves["learning_rate"] == rates


@pytest.mark.parametrize(
    ("what", "train", "said"),
    [
        ("thaw", {"freeze": "dense1"}, "'Sets' set `trainable` of '.*dense1' in epoch 2"),
        ("compile", {}, "'Sets' compiled the model anew or exchanged its optimizer in epoch 2"),
        ("iterations", {"schedule": "cosine"}, "4 updates so far, and the optimizer counts 0"),
    ],
)
def test_what_the_compiled_step_would_not_follow_is_an_error(what, train, said):
    bad = came_of(spec_of(callbacks=sets("on_epoch_end", what), **train))
    assert bad.status == "failed" and re.search(said, bad.error) and "Traceback" not in bad.error


def test_what_it_follows_is_none():
    thawed = came_of(spec_of(freeze="dense1", callbacks=sets("on_train_begin", "thaw")))
    assert "'Sets' thawed" in thawed.error and "Traceback" not in thawed.error
    (frozen,) = run(trial_of(spec_of(callbacks=sets("on_train_begin", "freeze"))))
    (said,) = run(trial_of(spec_of(freeze="dense1")))
    assert frozen.metrics == said.metrics
    again = came_of(spec_of(optimizer="adam", callbacks=sets("on_epoch_end", "iterations")))
    plain = came_of(spec_of(optimizer="adam", callbacks=sets("on_epoch_end", "told")))
    assert again.status == "completed" and again.metrics != plain.metrics


def test_weights_that_early_stopping_would_restore_over_are_an_error():
    stopping = {"patience": 1}
    spec = spec_of(early_stopping=stopping, callbacks=sets("on_train_end", "weights"))
    bad = came_of(spec)
    assert bad.status == "failed" and "set weights in on_train_end" in bad.error
    (told,) = run(
        trial_of(spec_of(early_stopping=stopping, callbacks=sets("on_train_end", "told")))
    )
    (plain,) = run(trial_of(spec_of(early_stopping=stopping)))
    assert told.metrics == plain.metrics
    (alone,) = run(trial_of(spec_of(callbacks=sets("on_train_end", "weights"))))
    assert alone.metrics["val_loss"] == pytest.approx(np.log(10))
