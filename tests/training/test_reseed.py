"""One source of chance drawn anew, and nothing else."""

import pytest

from ablate.study.programs import program_key
from ablate.study.schema.ledger import Reseed
from tests.training.small import DROPOUT, numbers, run, spec_of, trial_of


@pytest.fixture(scope="module")
def trials():
    """The trial of seed 0, and with each source drawn anew, all on one program."""
    spec = spec_of(DROPOUT, data={"limit": 64}, epochs=1)
    specs = {"base": spec} | {
        source: spec.model_copy(update={"reseed": Reseed(**{source: 1})})
        for source in Reseed.model_fields
    }
    assert len({program_key(each) for each in specs.values()}) == 1
    results = run(*(trial_of(each, name=name) for name, each in specs.items()))
    return dict(zip(specs, results, strict=True))


def test_an_unchanged_rerun_has_the_same_bits(trials):
    assert numbers(trials["rerun"]) == numbers(trials["base"])


@pytest.mark.parametrize("source", ["initialization", "order", "masks", "split"])
def test_each_source_changes_the_result(trials, source):
    ours, base = trials[source], trials["base"]
    assert ours.metrics["train_loss"] != base.metrics["train_loss"]
    # Before training only the weights and the rows tell.
    same = ours.curves["val_loss"][0] == base.curves["val_loss"][0]
    assert same == (source in ("order", "masks"))


def test_masks_are_nothing_without_a_dropout():
    spec = spec_of(data={"limit": 64}, epochs=1)
    plain, again = run(
        trial_of(spec), trial_of(spec.model_copy(update={"reseed": Reseed(masks=1)}), name="again")
    )
    assert numbers(plain) == numbers(again)


def test_a_salted_trial_draws_from_its_salt_too():
    spec = spec_of().model_copy(update={"reseed": Reseed(order=7)})
    trial = trial_of(spec, seed=3, salt="x")
    assert (trial.seed_of("order"), trial.seed_of("masks")) == ("3/x+7", "3/x")
    assert trial_of(spec_of(), seed=3).seed_of("order") == 3
