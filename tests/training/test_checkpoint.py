"""A trial that is interrupted goes on from its last checkpoint, to the same bits."""

import json

import numpy as np
import pytest

from ablate.study.schema.probes import Probe
from ablate.training import checkpoint, model_cache, run_group
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
    model_cache.forget()  # as in a new process
    events = []
    (result,) = run(trial, work=lambda trial: tmp_path, report=events.append)
    assert (events[0].kind, events[0].epoch) == ("started", 4)
    assert numbers(result) == numbers(whole)
    assert not (tmp_path / "checkpoint.npz").exists()


def test_a_trial_that_is_interrupted_in_any_phase_goes_on_to_the_same_bits(
    tmp_path, monkeypatch, fresh
):
    phases = [
        {"epochs": 3, "freeze": "conv"},
        {"epochs": 4, "learning_rate": 0.01, "early_stopping": {"min_delta": 9.0, "patience": 2}},
        {"epochs": 3, "optimizer": "adam", "learning_rate": 0.003, "schedule": "cosine"},
    ]
    spec = spec_of(
        BN,
        DROPOUT,
        model={"name": "cnn", "filters": [4], "dense": [8]},
        epochs=None,
        phases=phases,
        callbacks=[{"call": "tests.training.small:Score"}],
    )
    trial = trial_of(spec, seed=4, probes=(Probe(name="activations"), Probe(name="gradients")))
    ((whole, arrays, _),) = run_group([trial])
    assert whole.status == "completed", whole.error
    assert whole.phases == (3, 6, 9)
    monkeypatch.setattr(checkpoint, "pause", lambda cost: 0.0)
    for epoch in (2, 4, 6, 8, 9):
        interrupted(trial, tmp_path, epoch)
        model_cache.forget()  # as in a new process
    ((result, found, _),) = run_group([trial], work=lambda trial: tmp_path)
    assert numbers(result) == numbers(whole)
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_a_small_trial_writes_none(tmp_path, monkeypatch, fresh):
    monkeypatch.setattr(checkpoint, "INTERVAL", 600.0)  # even a machine that is busy is in time
    interrupted(trial_of(SPEC, seed=4), tmp_path, epoch=3)
    assert list(tmp_path.iterdir()) == []


def cut(place):
    place.write_bytes(place.read_bytes()[:-100])


def flip(place):
    content = bytearray(place.read_bytes())
    content[len(content) // 2] ^= 255
    place.write_bytes(content)


def folder(place):
    place.unlink()
    (place / "inside").mkdir(parents=True)


def changed(change):
    def damage(place):
        arrays = dict(np.load(place))
        change(arrays)
        with place.open("wb") as stream:
            np.savez(stream, **arrays)

    return damage


def state(text):
    return changed(lambda arrays: arrays.update(state=np.frombuffer(text.encode(), np.uint8)))


def without(key):
    """Take a part out of the state."""

    def change(arrays):
        document = json.loads(arrays["state"].tobytes())
        document["dict"] = [each for each in document["dict"] if each[0] != key]
        arrays["state"] = np.frombuffer(json.dumps(document).encode(), np.uint8)

    return changed(change)


def of_version(key, value):
    def change(arrays):
        document = json.loads(arrays["state"].tobytes())
        document["dict"] = [[k, value if k == key else v] for k, v in document["dict"]]
        arrays["state"] = np.frombuffer(json.dumps(document).encode(), np.uint8)

    return changed(change)


DAMAGES = {
    "torn": lambda place: place.write_bytes(b"torn"),
    "empty": lambda place: place.write_bytes(b""),
    "cut": cut,
    "a byte": flip,
    "a folder": folder,
    "no state": changed(lambda arrays: arrays.pop("state")),
    "state null": state("null"),
    "state no JSON": state("{"),
    "state unknown": state('{"code": "os.system"}'),
    "state nested": state("[" * 100_000),
    "a variable less": changed(lambda arrays: arrays.pop("v2")),
    "a variable of another shape": changed(lambda arrays: arrays.update(v2=np.ones(3, "float32"))),
    "no record": without("record"),
    "no callbacks": without("callbacks"),
    "no probes": without("probes"),
    "other numerics": of_version("numerics", -1),
    "another Keras": of_version("keras", "0.1"),
}


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A checkpoint of the third epoch, and what the whole trial gives."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "pause", lambda cost: 0.0)
        folder = tmp_path_factory.mktemp("stopped")
        interrupted(trial_of(SPEC, seed=4), folder, epoch=3)
    (whole,) = run(trial_of(SPEC, seed=4))
    return folder / "checkpoint.npz", whole


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_said_and_the_trial_begins_anew(stopped, tmp_path, damage):
    place = tmp_path / "checkpoint.npz"
    place.write_bytes(stopped[0].read_bytes())
    DAMAGES[damage](place)
    events = []
    (result,) = run(trial_of(SPEC, seed=4), work=lambda trial: tmp_path, report=events.append)
    assert (events[0].kind, events[0].epoch) == ("started", 0)
    assert numbers(result) == numbers(stopped[1])
    (note,) = [each for each in result.notes if "checkpoint" in each]
    assert "could not be used" in note and note.endswith("trained from the beginning")


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


def test_a_checkpoint_is_no_pickle(stopped):
    """Neither as a whole nor within: reading one runs nothing."""
    for content in np.load(stopped[0], allow_pickle=False).values():
        assert not content.tobytes().startswith((b"\x80\x04", b"\x80\x05"))
    json.loads(np.load(stopped[0])["state"].tobytes())


def test_checkpoints_take_a_small_share_of_the_time():
    assert checkpoint.pause(0.001) == checkpoint.INTERVAL
    assert checkpoint.pause(1.0) == 50.0
