from types import SimpleNamespace

import pytest

from ablate.analysis import analyze
from ablate.events import LiveEvents, update
from ablate.events.files import event_files, read
from ablate.events.server import has_charts
from ablate.execution.plan import Plan
from ablate.store import Store
from ablate.study.resolved import ResolvedVariant
from ablate.study.results import StudyResults
from ablate.study.study import Study
from ablate.study.trial import Spec, Trial

from .test_tree import contents


@pytest.fixture
def study() -> Study:
    return Study.model_validate(
        {
            "study": "mine",
            "data": {"name": "digits"},
            "model": {"name": "mlp"},
            "train": {"threads": 1},
            "variants": {"plain": {}, "dropout": {"train": {"epochs": 3}}},
        }
    )


@pytest.fixture
def plan(study, result):
    """Two variants with two seeds each; a third variant shares the trials of the first."""
    spec = Spec.model_validate({"data": study.data, "model": study.model, "train": study.train})
    resolved = [ResolvedVariant(name, spec) for name in ("plain", "dropout")]
    resolved.append(ResolvedVariant("twin", spec, alias_of="plain"))
    trials = [
        Trial(id=result(arm.alias_of or arm.name, seed).id, variant=arm.name, seed=seed, spec=spec)
        for arm in resolved
        for seed in range(2)
    ]
    return Plan(study, tuple(resolved), tuple(trials), results={}, todo=(), dropped=())


def steps(folder) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for path in event_files(folder):
        for event in read(path):
            for value in event.summary.value:
                found.setdefault(value.tag, []).append(event.step)
    return found


def said(epoch, **logs):
    return SimpleNamespace(epoch=epoch, logs=logs)


def test_every_epoch_is_there_at_once(tmp_path, plan):
    store = Store(tmp_path, "mine")
    live = LiveEvents(store, plan)
    live.begin(4, 0)
    trial = plan.trials[0]
    live.started(trial, 0)
    live.epoch(trial, said(0, val_loss=2.0, loss=None))
    live.epoch(trial, said(1, loss=0.5, val_loss=float("nan"), learning_rate=0.1))
    folder = store.tensorboard / "plain/seed0"
    assert steps(folder / "validation") == {"epoch_loss": [0]}
    assert steps(folder / "train") == {"epoch_loss": [1], "epoch_learning_rate": [1]}
    live.end()


def test_means_have_charts_as_soon_as_there_are_means(tmp_path, plan, result):
    store = Store(tmp_path, "mine")
    live = LiveEvents(store, plan)
    live.begin(4, 0)
    assert not has_charts(store.tensorboard)
    trial = plan.trials[0]
    live.finished(trial, result(trial.variant, trial.seed))
    assert has_charts(store.tensorboard)
    assert live.written.shown == 2  # the twin has it, too
    live.end()


def test_at_the_end_the_board_is_what_a_rebuild_makes(tmp_path, plan, result, arrays):
    store = Store(tmp_path, "mine")
    store.write_study("study: mine\n")
    live = LiveEvents(store, plan)
    live.begin(4, 0)
    for trial in plan.trials[:4]:
        live.started(trial, 0)
        live.epoch(trial, said(1, loss=0.5))
        done = result(trial.variant, trial.seed, probes=("activations",))
        store.save(done, arrays)
        plan.results[trial.id] = done
        live.finished(trial, done, arrays)
    live.end()
    assert live.trouble == ""
    ours = contents(store.tensorboard)
    assert "twin/seed1/train" in ours  # shared trials stand under both names
    assert {"mine/study", "mine/table", "mine/about"} <= ours["."]
    assert "activations/dense/p50" in ours["plain/seed0"]

    outcome = StudyResults(
        study=plan.study,
        resolved=tuple(plan.resolved),
        results=tuple(
            result(trial.variant, trial.seed, id=trial.id, probes=("activations",))
            for trial in plan.trials
        ),
    )
    written = update(store, outcome, analyze(outcome), anew=True)
    assert contents(store.tensorboard) == ours
    assert written == live.written


def text_of(root, tag) -> str:
    """What stands in the Text tab under `tag`."""
    (found,) = (
        value.tensor.string_val[0].decode()
        for path in event_files(root)
        for event in read(path)
        for value in event.summary.value
        if value.tag == tag
    )
    return found


def test_the_text_tells_of_trials_that_are_still_to_come(tmp_path, plan, result):
    store = Store(tmp_path, "mine")
    live = LiveEvents(store, plan)
    live.begin(4, 0)
    trial = plan.trials[0]
    done = result(trial.variant, trial.seed, notes=("limit 9",))
    plan.results[trial.id] = done
    live.finished(trial, done, {})
    live.end()
    said = text_of(store.tensorboard, "mine/table")
    assert "3 of 4 trials are still to come" in said
    assert "Note: limit 9 (plain)." in said

    outcome = StudyResults(plan.study, tuple(plan.resolved), (done,), {"plain": 2, "dropout": 2})
    update(store, outcome, analyze(outcome), anew=True)
    assert "3 of 4 trials are still to come" in text_of(store.tensorboard, "mine/table")


def test_a_trial_taken_up_again_keeps_its_earlier_epochs(tmp_path, plan):
    store = Store(tmp_path, "mine")
    trial = plan.trials[0]
    first = LiveEvents(store, plan)
    first.begin(4, 0)
    first.epoch(trial, said(1, loss=0.5))
    first.lost(trial, "killed", True)
    first.started(trial, 1)
    first.epoch(trial, said(2, loss=0.4))
    assert steps(store.tensorboard / "plain/seed0/train") == {"epoch_loss": [1, 2]}
    first.started(trial, 0)
    assert not (store.tensorboard / "plain/seed0/train").exists()
    first.end()


def test_trials_beyond_the_limit_are_left_to_the_means(tmp_path, plan, result):
    store = Store(tmp_path, "mine")
    live = LiveEvents(store, plan, limit=1 + 3 + 3)
    live.begin(4, 0)
    for trial in plan.trials[:4]:
        live.epoch(trial, said(1, loss=0.5))
        live.finished(trial, result(trial.variant, trial.seed), {})
    live.end()
    found = contents(store.tensorboard)
    assert {run for run in found if "seed" in run} == {
        "plain/seed0", "plain/seed0/train", "plain/seed0/validation",
    }  # fmt: skip
    assert not any("seed" in run for run in contents(store.tensorboard, "*tfevents*"))
    assert {"plain", "dropout", "twin"} <= set(found)
    assert live.written.left_out == 5


def test_a_file_that_cannot_be_written_ends_the_view_and_not_the_run(tmp_path, plan):
    store = Store(tmp_path, "mine")
    store.root.mkdir()
    store.tensorboard.write_text("a file where a folder should be")
    live = LiveEvents(store, plan)
    live.begin(4, 0)
    live.epoch(plan.trials[0], said(1, loss=0.5))
    live.end()
    assert "end here" in live.trouble
