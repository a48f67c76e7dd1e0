"""Messages through a work folder: complete, in order, and whole whatever is killed."""

from __future__ import annotations

import numpy as np

from ablate.execution import mailbox
from ablate.execution.mailbox import Letters, Mailbox, collect, forget_events
from ablate.execution.messages import Epoch, Finished, Started
from ablate.study.trial import TrialResult


def result(name: str) -> TrialResult:
    return TrialResult(id=name, variant="bn", seed=0, status="completed", epochs=2)


def test_messages_arrive_in_order_and_once(tmp_path, monkeypatch):
    monkeypatch.setattr(mailbox, "QUIET", 0.0)
    letters, box = Letters(tmp_path), Mailbox(tmp_path, ("one", "two"))
    assert box.read() == []
    letters.started("one", 0)
    letters.epoch("one", 1, 2, {"loss": 0.5, "accuracy": float("nan")})
    assert box.read() == [
        Started("one", 0),
        Epoch("one", 1, 2, {"loss": 0.5, "accuracy": None}),
    ]
    letters.finished(result("one"), {}, None)
    letters.started("two", 3)
    assert box.read() == [Finished(result("one")), Started("two", 3)]
    assert box.current == "two" and box.finished == {"one"}
    letters.finished(result("two"), {}, None)
    assert box.read() == [Finished(result("two"))]
    assert box.current is None
    assert box.read() == []


def test_a_line_being_written_waits_for_its_end(tmp_path):
    letters, box = Letters(tmp_path), Mailbox(tmp_path, ("one",))
    file = letters.folder("one") / "events.jsonl"
    file.write_text('{"started": 0}\n{"epoch": 1, "epo')
    assert box.read() == [Started("one", 0)]
    with file.open("a") as stream:
        stream.write('chs": 2, "logs": {}}\n')
    assert box.read() == [Epoch("one", 1, 2, {})]


def test_epochs_in_quick_succession_are_told_once(tmp_path, monkeypatch):
    monkeypatch.setattr(mailbox, "QUIET", 1e9)
    letters, box = Letters(tmp_path), Mailbox(tmp_path, ("one",))
    letters.started("one", 0)
    letters._told = -1e10
    for epoch in (1, 2, 3):
        letters.epoch("one", epoch, 3, {})
    assert box.read() == [Started("one", 0), Epoch("one", 1, 3, {})]


def test_what_was_handed_in_is_found_without_its_worker(tmp_path):
    letters = Letters(tmp_path)
    model = letters.folder("one") / "final.keras"
    model.write_bytes(b"weights")
    letters.finished(result("one"), {"gamma": np.ones(2)}, model)
    found = collect(tmp_path, "one")
    assert found.result == result("one")
    np.testing.assert_array_equal(found.arrays["gamma"], np.ones(2))
    assert found.model.read_bytes() == b"weights"
    assert collect(tmp_path, "two") is None


def test_a_new_attempt_forgets_the_events_of_the_last(tmp_path):
    letters = Letters(tmp_path)
    letters.started("one", 0)
    letters.finished(result("one"), {}, None)
    forget_events(tmp_path, "one")
    assert collect(tmp_path, "one") is None
    letters.started("one", 4)
    assert Mailbox(tmp_path, ("one",)).read() == [Started("one", 4)]
