"""Studies that start from a network which another study trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from ablate.config import dump_study, load_study
from ablate.errors import StudyError
from ablate.execution.plan import plan
from ablate.execution.pretrained import with_trained_model
from ablate.store import Store
from ablate.study.study import Study
from ablate.study.trial import TrialResult


@pytest.fixture
def first(tmp_path):
    """The study that trains the network, in a file."""

    def write(**changes):
        study = Study(
            **{
                "study": "first",
                "data": {"name": "digits"},
                "model": {"name": "mlp", "units": [4]},
                "train": {"save": "final", "threads": 1},
                "variants": {"plain": {}, "wide": {"model": {"units": [8]}}},
                "seeds": [3, 5],
                **changes,
            }
        )
        file = tmp_path / "first.yaml"
        file.write_text(dump_study(study))
        return file

    return write


def second(file, **model) -> Study:
    return Study(
        study="second",
        data={"name": "digits"},
        model={"study": str(file), **model},
        variants={"plain": {}},
    )


def trains(tmp_path, become="completed"):
    """Stand for training: write down the outcome of every trial, and the model of those done."""

    def train(study):
        store = Store(tmp_path / "logs", study.study)
        for trial in plan(study, store).trials:
            store.save(
                TrialResult(id=trial.id, variant=trial.variant, seed=trial.seed, status=become)
            )
            if become == "completed":
                store.model_file(trial.id).write_bytes(f"{trial.variant} {trial.seed}".encode())

    return train


def test_the_other_study_is_trained_and_its_network_taken(first, tmp_path):
    made = with_trained_model(second(first()), tmp_path / "logs", trains(tmp_path))
    assert made.model.weights == "keep"
    assert Path(made.model.file).read_text() == "plain 3"
    named = second(first(), variant="wide", seed=5)
    made = with_trained_model(named, tmp_path / "logs", trains(tmp_path))
    assert Path(made.model.file).read_text() == "wide 5"


def test_a_study_that_names_no_other_stays_as_it_is(tmp_path):
    study = Study(study="own", data={"name": "digits"}, model={"name": "mlp"}, variants={"a": {}})
    assert with_trained_model(study, tmp_path, pytest.fail) is study


def test_a_plan_takes_the_untrained_network_until_there_is_a_trained_one(first, tmp_path):
    named = second(first(), variant="wide")
    made = with_trained_model(named, tmp_path / "logs")
    assert (made.model.name, made.model.arguments["units"]) == ("mlp", [8])
    trains(tmp_path)(load_study(named.model.study))
    assert with_trained_model(named, tmp_path / "logs").model.file is not None


@pytest.mark.parametrize(
    ("changes", "model", "told"),
    [
        ({}, {"variant": "wider"}, "no trial of variant 'wider'.*Did you mean 'wide'"),
        ({}, {"seed": 4}, "with seed 4.*its seeds: 3, 5"),
        ({"train": {"threads": 1}}, {}, "saves no model. Add train: {save: final}"),
        (
            {"model": {"study": "third.yaml"}, "variants": {"plain": {}}},
            {},
            "starts from a third study",
        ),
    ],
)
def test_what_cannot_be_is_told(first, tmp_path, changes, model, told):
    with pytest.raises(StudyError, match=told):
        with_trained_model(second(first(**changes), **model), tmp_path / "logs")


def test_the_network_that_a_study_starts_from_is_in_the_ids_of_its_trials(first, tmp_path):
    """By what it is, not by where it lies: another network, other trials."""

    def ids(study):
        made = with_trained_model(study, tmp_path / "logs", trains(tmp_path))
        return {trial.id for trial in plan(made, Store(tmp_path / "logs", "second")).trials}

    plain, wide = ids(second(first())), ids(second(first(), variant="wide"))
    assert len(plain) == len(wide) == 5 and not plain & wide
    assert ids(second(first())) == plain
    moved = tmp_path / "moved.yaml"
    first().rename(moved)
    assert ids(second(moved)) == plain


def test_a_trial_that_left_no_network_is_named(first, tmp_path):
    with pytest.raises(StudyError, match="plain seed 3 ended as 'diverged'"):
        with_trained_model(second(first()), tmp_path / "logs", trains(tmp_path, "diverged"))
