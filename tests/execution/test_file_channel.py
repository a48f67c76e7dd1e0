"""Messages through a work folder: complete, in order, and whole whatever is killed."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from ablate.errors import Notice, StoreError
from ablate.execution import file_channel
from ablate.execution.file_channel import FileReader, FileReporter, collect, forget_events
from ablate.execution.messages import Finished
from ablate.study.progress import Event
from ablate.study.trial import TrialResult


def result(name: str) -> TrialResult:
    return TrialResult(id=name, variant="bn", seed=0, status="completed", epochs=2)


def test_messages_arrive_in_order_and_once(tmp_path, monkeypatch):
    monkeypatch.setattr(file_channel, "QUIET", 0.0)
    reporter, reader = FileReporter(tmp_path), FileReader(tmp_path, ("one", "two"))
    assert reader.read() == []
    reporter.report(Event("one", "started", 0))
    reporter.report(Event("one", "epoch", 1, 2, {"loss": 0.5, "accuracy": float("nan")}))
    assert reader.read() == [
        Event("one", "started", 0),
        Event("one", "epoch", 1, 2, {"loss": 0.5, "accuracy": None}),
    ]
    reporter.report(Event("one", "step", 2, 2, step=7, steps=20))
    assert reader.read() == [Event("one", "step", 2, 2, step=7, steps=20)]
    reporter.finished(Finished(result("one"), {}, None))
    reporter.report(Event("two", "started", 3))
    assert reader.read() == [Finished(result("one")), Event("two", "started", 3)]
    assert reader.current == "two" and reader.finished == {"one"}
    reporter.finished(Finished(result("two"), {}, None))
    assert reader.read() == [Finished(result("two"))]
    assert reader.current is None
    assert reader.read() == []


def test_a_line_being_written_waits_for_its_end(tmp_path):
    reporter, reader = FileReporter(tmp_path), FileReader(tmp_path, ("one",))
    file = reporter.folder("one") / "events.jsonl"
    file.write_text('{"started": 0}\n{"epoch": 1, "epo')
    assert reader.read() == [Event("one", "started", 0)]
    with file.open("a") as stream:
        stream.write('chs": 2, "logs": {}}\n')
    assert reader.read() == [Event("one", "epoch", 1, 2, {})]


def test_epochs_in_quick_succession_are_last_epoch_once(tmp_path, monkeypatch):
    monkeypatch.setattr(file_channel, "QUIET", 1e9)
    reporter, reader = FileReporter(tmp_path), FileReader(tmp_path, ("one",))
    reporter.report(Event("one", "started", 0))
    reporter._last_epoch = -1e10
    for epoch in (1, 2, 3):
        reporter.report(Event("one", "epoch", epoch, 3, {}))
    assert reader.read() == [Event("one", "started", 0), Event("one", "epoch", 1, 3, {})]


def test_what_was_handed_in_is_found_without_its_worker(tmp_path):
    reporter = FileReporter(tmp_path)
    model = reporter.folder("one") / "final.keras"
    model.write_bytes(b"weights")
    reporter.finished(Finished(result("one"), {"gamma": np.ones(2)}, model))
    found = collect(tmp_path, "one")
    assert found.result == result("one")
    np.testing.assert_array_equal(found.arrays["gamma"], np.ones(2))
    assert found.model.read_bytes() == b"weights"
    assert collect(tmp_path, "two") is None


def handed_in(works):
    reporter = FileReporter(works)
    mine = replace(result("one"), probes=("activations",))
    reporter.finished(Finished(mine, {"gamma": np.ones(50)}, None))
    assert collect(works, "one").result == mine
    return works / "one"


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("result.json", json.dumps(result("two").to_json()).encode(), "of another trial, two"),
        ("result.json", b"{}", "no 'id'"),
        ("result.json", b"null", "received null"),
        ("result.json", b"[" * 100_000, ""),
        ("result.json", b'{"id": "one", "sta', "EOF"),
        ("result.json", b"", "EOF"),
        ("result.json", None, "Is a directory"),
        ("result.json", b"link", "No such file"),
        ("probes.npz", b"", "empty"),
        ("probes.npz", b"PK spoilt", "no whole npz file"),
        ("probes.npz", None, "a folder"),
    ],
)
def test_a_message_that_is_unsound_is_none_and_said(tmp_path, file, content, reason):
    place = handed_in(tmp_path)
    (place / file).unlink()
    if content is None:
        (place / file).mkdir()
    elif content == b"link":
        (place / file).symlink_to("nowhere")
    else:
        (place / file).write_bytes(content)
    for _ in range(2):  # who only looks leaves it where it is
        with pytest.warns(Notice, match=f"no sound message of a worker .*{reason}"):
            assert collect(tmp_path, "one", keep=True) is None
    with pytest.warns(Notice, match="the trial is trained again"):
        assert FileReader(tmp_path, ("one",)).read() == []
    assert "result.json.unsound" in [each.name for each in place.iterdir()]
    assert collect(tmp_path, "one") is None
    forget_events(tmp_path, "one")
    handed_in(tmp_path)


def test_a_result_waits_for_the_arrays_that_it_names(tmp_path):
    """On a shared disk they may be seen after it."""
    place = handed_in(tmp_path)
    (place / "probes.npz").rename(place / "elsewhere")
    assert collect(tmp_path, "one") is None
    (place / "elsewhere").rename(place / "probes.npz")
    assert set(collect(tmp_path, "one").arrays) == {"gamma"}


def test_arrays_are_handed_in_before_the_result(tmp_path, monkeypatch):
    def full(*_, **__):
        raise StoreError("The disk is full")

    monkeypatch.setattr(file_channel, "write_arrays", full)
    with pytest.raises(StoreError):
        FileReporter(tmp_path).finished(Finished(result("one"), {"gamma": np.ones(2)}, None))
    assert collect(tmp_path, "one") is None


@pytest.mark.parametrize("when", ["before the look at the result", "after it"])
def test_what_was_written_before_the_result_is_read_before_it(tmp_path, monkeypatch, when):
    """Also where the worker finishes while the driver looks at the folder."""
    reporter, reader = FileReporter(tmp_path), FileReader(tmp_path, ("one",))
    reporter.report(Event("one", "started", 0))
    look, ended = file_channel.collect, []

    def finish():
        if not ended:
            ended.append(True)
            reporter._last_epoch = -1e10
            reporter.report(Event("one", "epoch", 1, 1, {"loss": 0.5}))
            reporter.finished(Finished(result("one"), {}, None))

    def finishing(works, trial, **options):
        if when.startswith("before"):
            finish()
        found = look(works, trial, **options)
        finish()
        return found

    monkeypatch.setattr(file_channel, "collect", finishing)
    heard = reader.read() + reader.read()
    assert heard == [
        Event("one", "started", 0),
        Event("one", "epoch", 1, 1, {"loss": 0.5}),
        Finished(result("one")),
    ]


@pytest.mark.parametrize(
    "line",
    ["3", "{}", "null", "[[[", "[" * 100_000, '{"epoch": 1}', '{"started": null}',
     '{"epoch": 1, "epochs": 2, "logs": 3}'],
)  # fmt: skip
def test_a_line_that_says_nothing_is_passed_over(tmp_path, line):
    reporter, reader = FileReporter(tmp_path), FileReader(tmp_path, ("one",))
    (reporter.folder("one") / "events.jsonl").write_text(line + "\n")
    reporter.report(Event("one", "started", 0))
    assert reader.read() == [Event("one", "started", 0)]


def test_what_lies_in_the_place_of_a_work_folder_or_its_files_makes_way(tmp_path):
    (tmp_path / "one").write_text("no folder")
    assert collect(tmp_path, "one") is None
    forget_events(tmp_path, "one")
    (FileReporter(tmp_path).folder("one") / "events.jsonl" / "inside").mkdir(parents=True)
    assert FileReader(tmp_path, ("one",)).read() == []
    forget_events(tmp_path, "one")
    FileReporter(tmp_path).report(Event("one", "started", 2))
    assert FileReader(tmp_path, ("one",)).read() == [Event("one", "started", 2)]


def test_a_new_attempt_forgets_the_events_of_the_last(tmp_path):
    reporter = FileReporter(tmp_path)
    reporter.report(Event("one", "started", 0))
    reporter.finished(Finished(result("one"), {}, None))
    forget_events(tmp_path, "one")
    assert collect(tmp_path, "one") is None
    reporter.report(Event("one", "started", 4))
    assert FileReader(tmp_path, ("one",)).read() == [Event("one", "started", 4)]


def test_what_training_says_of_steps_reaches_the_driver(tmp_path):
    report = FileReporter(tmp_path).report
    report(Event("one", "started"))
    report(Event("one", "step", 1, 3, {}, 5, 9))
    assert FileReader(tmp_path, ("one",)).read() == [
        Event("one", "started", 0),
        Event("one", "step", 1, 3, step=5, steps=9),
    ]
