"""A trial that is interrupted goes on from its last checkpoint, to the same bits."""

import numpy as np
import pytest

from ablate.training import bench, checkpoint, run_group
from tests.training.small import BN, DROPOUT, numbers, run, spec_of, trial_of

SPEC = spec_of(
    BN,
    DROPOUT,
    epochs=6,
    optimizer={"name": "adam"},
    schedule={"name": "plateau", "patience": 1, "factor": 0.5, "min_delta": 0.3},
    early_stopping={"patience": 4, "monitor": "val_accuracy", "min_delta": 0.02},
    learning_rate=0.02,
)


def interrupted(trial, folder, epoch):
    """Train until an epoch has ended, then be interrupted."""

    def report(event):
        if event.kind == "epoch" and event.epoch == epoch:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(run_group([trial], work=lambda trial: folder, report=report))


def test_an_interrupted_trial_goes_on_to_the_same_bits(tmp_path, monkeypatch, fresh):
    trial = trial_of(SPEC, seed=4)
    (whole,) = run(trial)
    monkeypatch.setattr(checkpoint, "pause", lambda cost: 0.0)
    interrupted(trial, tmp_path, epoch=3)
    assert (tmp_path / "checkpoint.npz").is_file()
    interrupted(trial, tmp_path, epoch=5)
    bench.forget()  # as in a new process
    events = []
    (result,) = run(trial, work=lambda trial: tmp_path, report=events.append)
    assert (events[0].kind, events[0].epoch) == ("started", 4)
    assert numbers(result) == numbers(whole)
    assert not (tmp_path / "checkpoint.npz").exists()


def test_a_small_trial_writes_none_and_a_torn_one_is_as_good_as_none(tmp_path, monkeypatch, fresh):
    monkeypatch.setattr(checkpoint, "INTERVAL", 600.0)  # even a machine that is busy is in time
    trial = trial_of(SPEC, seed=4)
    interrupted(trial, tmp_path, epoch=3)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "checkpoint.npz").write_bytes(b"torn")
    (result,) = run(trial, work=lambda trial: tmp_path)
    (whole,) = run(trial)
    assert numbers(result) == numbers(whole)


def test_what_cannot_be_written_makes_no_checkpoint(tmp_path):
    with (tmp_path / "log").open("w") as stream:
        assert not checkpoint.write(tmp_path, [], {"open": stream})
    assert checkpoint.write(tmp_path, [], {"epoch": 3})
    assert checkpoint.read(tmp_path, []).state == {"epoch": 3}
    assert checkpoint.read(tmp_path / "absent", []) is None
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    with pytest.raises(OSError):
        checkpoint.write(blocked, [], {})
    assert np.load(tmp_path / "checkpoint.npz").files == ["state"]


def test_checkpoints_take_a_small_share_of_the_time():
    assert checkpoint.pause(0.001) == checkpoint.INTERVAL
    assert checkpoint.pause(1.0) == 50.0
