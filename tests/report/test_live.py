"""The progress of a run: on a terminal, and in a log file, where long epochs break the silence."""

from __future__ import annotations

import io
from types import SimpleNamespace

from rich.console import Console

from ablate.report import live
from ablate.report.live import Display
from ablate.study.pace import Pace
from ablate.study.progress import Event
from ablate.study.schema.data import Data
from ablate.study.schema.model import Model
from ablate.study.schema.train import Train
from ablate.study.trial import Spec, Trial, TrialResult

SPEC = Spec(data=Data(name="digits"), model=Model(name="mlp"), train=Train(epochs=4, threads=1))
TRIAL = Trial(id="a", variant="bn", seed=2, spec=SPEC)


def display(**options) -> tuple[Display, io.StringIO]:
    text = io.StringIO()
    return Display(Console(file=text, width=100, **options)), text


def picture(shown: Display) -> str:
    text = io.StringIO()
    Console(file=text, width=100).print(shown._picture())
    return text.getvalue()


def test_a_long_epoch_shows_its_steps_and_moves_the_bar():
    shown, _ = display(force_terminal=True)
    shown._total = 1
    shown._progress.update(shown._bar, total=1)
    shown.started(TRIAL, 0)
    shown.step(TRIAL, Event("a", "step", 1, 4, step=30, steps=120))
    assert "bn seed 2" in picture(shown)
    assert "epoch 0/4, step 30 of 120 of the next" in picture(shown)
    assert "6 %" in picture(shown)  # a quarter of the first of four epochs
    shown.epoch(TRIAL, Event("a", "epoch", 1, 4, {"loss": 0.5}))
    assert "epoch 1/4  loss 0.5" in picture(shown) and "step" not in picture(shown)
    assert "25 %" in picture(shown)
    shown.finished(TRIAL, TrialResult(id="a", variant="bn", seed=2, status="completed"), {})
    assert "bn seed 2" not in picture(shown) and "100 %" in picture(shown)


def test_a_log_file_gets_a_line_when_it_was_silent_for_long(monkeypatch):
    shown, text = display()
    shown.begin(1, 0)
    shown.started(TRIAL, 0)
    shown.step(TRIAL, Event("a", "step", 1, 4, step=30, steps=120))
    assert text.getvalue() == "Training 1 trial.\n"
    monkeypatch.setattr(live, "SILENCE", 0.0)
    shown.step(TRIAL, Event("a", "step", 1, 4, step=31, steps=120))
    assert text.getvalue().splitlines()[1:] == ["bn seed 2: epoch 0/4, step 31 of 120 of the next"]


def trials(count: int, variant: str = "bn") -> list[Trial]:
    return [Trial(id=f"{variant}{k}", variant=variant, seed=k, spec=SPEC) for k in range(count)]


def ended(trial: Trial, **seconds: float) -> TrialResult:
    return TrialResult(
        id=trial.id, variant=trial.variant, seed=trial.seed, status="completed", epochs=4,
        seconds=seconds,
    )  # fmt: skip


def test_the_time_left_does_not_count_what_is_done_once(monkeypatch):
    shown, text = display()
    todo = trials(11)
    shown.begin(11, 0)
    shown.expected(todo, Pace())
    assert shown._left() == ""  # nothing tells yet
    shown.started(todo[0], 0)
    # A minute until the network was built and traced, four seconds of training.
    shown.finished(todo[0], ended(todo[0], build=20.0, trace=40.0, total=64.0), {})
    assert text.getvalue().splitlines()[-1] == "1/11 trials, about 40 s left"


def test_the_time_left_is_known_from_earlier_trials_and_from_epochs(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: now[0])
    shown, _ = display()
    todo = trials(2)
    shown.begin(2, 3)
    shown.expected(todo, Pace({"bn": 3.0}))
    assert shown._left() == "about 24 s left"
    for trial in todo:
        shown.started(trial, 0)
    assert shown._left() == "about 12 s left"  # two at once
    shown.epoch(todo[0], Event(todo[0].id, "epoch", 1, 4))
    now[0] += 30.0
    shown.epoch(todo[0], Event(todo[0].id, "epoch", 2, 4))
    assert shown._left() == "about 1 min 30 s left"  # six epochs of 30 s, by two


def test_what_is_prepared_is_a_line_in_a_log_and_a_spinner_on_a_terminal():
    shown, text = display()
    for what in ("Study mine: planning", "Study mine: planning", "Building 4 variants"):
        shown.preparing(what)
    assert text.getvalue() == "Study mine: planning …\nBuilding 4 variants …\n"
    shown, text = display(force_terminal=True)
    shown.preparing("Study mine: planning")
    shown.preparing("Building 4 variants")
    shown.begin(1, 0)
    assert shown._status is None and "Building 4 variants" in text.getvalue()
    shown.end()


def test_in_a_notebook_one_output_is_shown_anew_and_nothing_is_printed(monkeypatch):
    seen: list[str] = []
    handle = SimpleNamespace(update=seen.append)
    output = live._Output(lambda html, display_id: handle, str)
    monkeypatch.setattr(live._Output, "here", lambda: output)
    monkeypatch.setattr(live, "OFTEN", 0.0)
    shown, text = display()
    first, second = trials(2, "<b>")
    shown.begin(2, 0)
    shown.expected([first, second], Pace({"<b>": 3.0}))
    shown.started(first, 0)
    shown.epoch(first, Event(first.id, "epoch", 2, 4, {"loss": 0.5}))
    assert '<progress value="0.500" max="2"' in seen[-1]
    assert "about 18 s left" in seen[-1]
    assert "&lt;b&gt; seed 0" in seen[-1] and "epoch 2/4  loss 0.5" in seen[-1]
    for each in (first, second):
        shown.finished(each, ended(each, total=1.0), {})
    assert '<progress value="2.000" max="2"' in seen[-1] and "left" not in seen[-1]
    assert text.getvalue() == "Training 2 trials.\n"
