"""Laws 1 and 9: a trial's numbers depend on its spec and seed alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ablate.probes import Measurement
from ablate.study.registry import NoArguments
from ablate.study.schema.probes import DeclaredProbe, Probe
from ablate.study.schema.train import Train
from ablate.training import model_cache, run_group
from tests.training.small import BN, DROPOUT, numbers, run, spec_of, trial_of


def test_a_trial_is_the_same_alone_after_others_and_in_any_order(fresh):
    slow = spec_of(BN, DROPOUT, optimizer={"name": "sgd", "momentum": 0.9})
    fast = slow.model_copy(
        update={
            "train": Train(
                **{**slow.train.model_dump(), "learning_rate": 0.7, "batch_size": 16, "epochs": 3}
            ),
            "data": slow.data.model_copy(update={"limit": 70, "split": "per_seed"}),
        }
    )
    wild = slow.model_copy(update={"train": slow.train.model_copy(update={"learning_rate": 1e18})})
    trials = [
        trial_of(slow, 0, "slow"), trial_of(fast, 0, "fast"), trial_of(wild, 0, "wild"),
        trial_of(slow, 1, "slow"), trial_of(fast, 1, "fast"), trial_of(spec_of(BN), 0, "other"),
    ]  # fmt: skip
    together = {result.id: numbers(result) for result in run(*trials)}
    assert together["wild-0"]["status"] == "diverged"
    assert together["slow-0"]["metrics"] != together["slow-1"]["metrics"]
    assert together["slow-0"]["metrics"] != together["fast-0"]["metrics"]
    assert len(model_cache._prepared) == 2  # learning rates, batches and rows share a program

    shuffled = {result.id: numbers(result) for result in run(*reversed(trials))}
    assert shuffled == together
    for trial in trials[:2]:
        model_cache.forget()
        (alone,) = run(trial)
        assert numbers(alone) == together[trial.id]


class Meddling(Measurement):
    """Runs the model in training mode and perturbs its weights."""

    def start(self, context):
        super().start(context)
        assert len(context.x) == 5
        self.context.model(context.x, training=True)

    def measure(self, epoch):
        model = self.context.model
        out = np.asarray(model(self.context.x, training=True))
        for variable in model.variables:
            variable.assign(variable + 1)
        return {"mean": out.mean(axis=1), "epoch": epoch}

    def finish(self):
        return {"size": 3}


MEDDLING = DeclaredProbe(
    about="Changes all there is.", arguments=NoArguments, measurement=f"{__name__}:Meddling"
)


def test_probes_only_look():
    spec = spec_of(BN, DROPOUT, epochs=3)
    probe = Probe(name=f"{__name__}:MEDDLING", every=2, probe_rows=5)
    (plain,) = run(trial_of(spec))
    ((probed, arrays, _),) = run_group([trial_of(spec, probes=(probe,))])
    assert probed.error is None
    ours, theirs = numbers(plain), numbers(probed)
    assert theirs.pop("probes") != ours.pop("probes")
    assert ours == theirs
    assert {name: array.shape for name, array in arrays.items()} == {
        f"{__name__}/epochs": (3,),
        f"{__name__}/mean": (3, 5),
        f"{__name__}/epoch": (3,),
        f"{__name__}/size": (),
        "rows/test": (45,),
    }
    assert arrays[f"{__name__}/epochs"].tolist() == [0, 2, 3]


def test_copies_of_a_variant_draw_anew_with_a_salt():
    spec = spec_of(DROPOUT)
    one, same, other = run(
        trial_of(spec), trial_of(spec, name="b"), trial_of(spec, name="c", salt="c")
    )
    assert numbers(one) == numbers(same)
    assert one.metrics != other.metrics
    assert one.rows == other.rows


@keras.saving.register_keras_serializable("ablate_tests")
class Noise(keras.layers.Layer):
    """Draws from a global state, in training and at inference."""

    def __init__(self, kind="keras", **kwargs):
        super().__init__(**kwargs)
        self.kind = kind

    def call(self, x):
        if self.kind == "keras":
            return x + keras.random.normal(keras.ops.shape(x), stddev=0.1)
        return x + tf.random.normal(tf.shape(x), stddev=0.1)


@pytest.mark.parametrize("kind", ["keras", "tensorflow"])
def test_what_draws_from_a_global_state_is_pure_too(kind, fresh):
    noise = {"layer": "ablate_tests>Noise", "kind": kind, "at": "after", "where": "dense1"}
    spec = spec_of(noise, DROPOUT)
    first, second = run(trial_of(spec, 0), trial_of(spec, 1))
    assert first.metrics != second.metrics
    assert len(first.notes) == (kind == "tensorflow")
    model_cache.forget()
    (alone,) = run(trial_of(spec, 1))
    assert numbers(alone) == numbers(second)
